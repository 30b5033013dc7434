//! A door for the fuzz targets of `fuzz/`, to what calendars bring.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::caldav;
use super::parse::parse;
use super::series::occurrences;
use crate::domain::meeting::Occurrence;

/// Everything in a file that overlaps `window`.
pub fn read(text: &[u8], window: (Timestamp, Timestamp)) -> Vec<Occurrence> {
    let parsed = parse(text, &TimeZone::UTC);
    occurrences(parsed.events, window).0
}

/// A `CalDAV` server's answer: the paths of the entries in it, each in its one spelling, or why it is
/// not read.
pub fn dav(body: &[u8]) -> Result<Vec<String>, &'static str> {
    caldav::fuzzed(body, Timestamp::UNIX_EPOCH)
}

/// The one spelling of a path.
pub fn dav_path(path: &str) -> Option<String> {
    caldav::fuzzed_path(path)
}
