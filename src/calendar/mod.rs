//! Calendars: one file a provider, and what iCalendar needs.
//!
//! [`providers`] sends each request to the one that it is for. [`ics`] asks `fetch` for the text (`guard` keeps it out of where it has no
//! business, `address` says where that is), `parse` for the events in it and `series` for their
//! occurrences in a window. `zone` gives local times their meaning,
//! `recurrence` works rules out. A broken event costs itself only; it is counted in a warning
//! that holds no title and no address. `kept` is what stays of a calendar whose provider works series
//! out itself; [`google`] is one of those.
//! [`google`] is a folder of its own.

mod address;
mod details;
mod discreet;
mod event;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
pub mod google;
pub mod guard;
pub mod ics;
mod kept;
mod parse;
pub mod providers;
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
    /// Calendars may come from private networks.
    pub allow_private: bool,
    /// And without encryption.
    pub allow_http: bool,
    /// Servers that calendars may come from, subdomains included; any if empty.
    pub allowed_hosts: Vec<String>,
}

impl Default for CalendarSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20),
            max_bytes: 16 << 20,
            allow_private: false,
            allow_http: false,
            allowed_hosts: Vec::new(),
        }
    }
}
