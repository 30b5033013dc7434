//! Calendars of every provider, through the real adapters and several at a time.

mod agreement;
mod away;
mod checking;
mod google;
mod scale;
