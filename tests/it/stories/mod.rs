//! What people see.

mod answering;
mod asking;
mod digest;
mod history;
mod keeping;
mod over_http;
mod roster;
