//! Calendars of every provider, through the real adapters.

mod google;
