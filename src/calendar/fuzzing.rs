//! A door for the fuzz targets of `fuzz/`, to what calendars bring.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::parse::parse;
use super::series::occurrences;
use crate::domain::meeting::Occurrence;

/// Everything in a file that overlaps `window`.
pub fn read(text: &[u8], window: (Timestamp, Timestamp)) -> Vec<Occurrence> {
    let parsed = parse(text, &TimeZone::UTC);
    occurrences(parsed.events, window).0
}
