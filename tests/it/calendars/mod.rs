//! Calendars of every provider, several at a time.

mod agreement;
mod away;
mod scale;
