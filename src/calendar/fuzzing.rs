//! A door for the fuzz targets of `fuzz/`, to what calendars bring.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::microsoft::page::{Pages, Whose};
use super::parse::parse;
use super::series::occurrences;
use super::uid;
use crate::domain::meeting::Occurrence;

/// Everything in a file that overlaps `window`.
pub fn read(text: &[u8], window: (Timestamp, Timestamp)) -> Vec<Occurrence> {
    let parsed = parse(text, &TimeZone::UTC);
    occurrences(parsed.events, window).0
}

/// Everything on a page of Microsoft Graph that overlaps `window`, with where the next page is.
pub fn graph_page(
    body: &[u8],
    window: (Timestamp, Timestamp),
) -> Option<(Vec<Occurrence>, Option<String>)> {
    let whose = Whose {
        email: "maya@own.example".into(),
        mailbox: "maya@own.onmicrosoft.example".into(),
        zone: TimeZone::UTC,
    };
    let mut pages = Pages::default();
    let next = pages.take(body, &whose).ok()?;
    Some((pages.done(window).0, next))
}

/// A UID as all calendars of a meeting share it.
pub fn shared_uid(raw: &str) -> String {
    uid::shared(raw)
}
