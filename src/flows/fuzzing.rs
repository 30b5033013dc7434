//! Doors for the fuzz targets of `fuzz/`, to what people type.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{command, history};

/// What follows `/debrief history`. Says whether it was understood.
pub fn query(text: &str) -> bool {
    history::parse(text).is_ok()
}

/// What follows `/debrief pause until`, in some zone at some time.
pub fn pause(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    command::pause_until(text, now, Time::constant(8, 0, 0, 0), zone).ok()
}
