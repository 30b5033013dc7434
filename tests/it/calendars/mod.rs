//! The calendars people really have, through the real adapters.

mod caldav;
