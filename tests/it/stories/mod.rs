//! What people see.

mod answering;
mod asking;
mod digest;
mod history;
mod over_http;
mod roster;
