//! Calendars: one file a provider, and what iCalendar needs.
//!
//! [`ics`] is the adapter; it asks `fetch` for the text, `parse` for the events in it and
//! `series` for their occurrences in a window. `zone` gives local times their meaning,
//! `recurrence` works rules out. A broken event costs itself only; it is counted in a warning
//! that holds no title and no address.

mod details;
mod discreet;
mod event;
mod fetch;
pub mod ics;
mod parse;
mod recurrence;
mod series;
#[cfg(test)]
mod tests;
mod zone;

use std::time::Duration;

/// How calendars are read.
#[derive(Debug, Clone)]
pub struct CalendarSettings {
    /// For one reading, from the first byte sent to the last one received.
    pub timeout: Duration,
    /// Of the decompressed text.
    pub max_bytes: u64,
}
