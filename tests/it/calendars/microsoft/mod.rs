//! Microsoft 365 on good days and bad ones.

mod bad_days;
mod graph;
mod meetings;
mod setting;
mod setting_up;
mod signing_in;
