//! A door for the fuzz targets of `fuzz/`, to what calendars bring.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::google::account::Identity;
use super::google::refusals;
use super::parse::parse;
use super::series::occurrences;
use super::{caldav, google, microsoft, uid};
use crate::domain::meeting::Occurrence;

/// Everything in a file that overlaps `window`.
pub fn read(text: &[u8], window: (Timestamp, Timestamp)) -> Vec<Occurrence> {
    let parsed = parse(text, &TimeZone::UTC);
    occurrences(parsed.events, window).0
}

/// What a page of Google's says, with warnings, or why it is refused as a whole.
pub fn google_page(
    body: &[u8],
    window: (Timestamp, Timestamp),
) -> Result<(Vec<Occurrence>, Vec<String>), String> {
    let mut pages = google::page::Pages::default();
    pages.take(body)?;
    let whose = google::page::Whose::new("maya@own.example", None);
    Ok(pages.occurrences(&whose, &TimeZone::UTC, window))
}

/// What an administrator is told of Google's refusals.
pub fn google_refusals(status: u16, body: &[u8], now: Timestamp) -> [String; 2] {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let (headers, account) = (HeaderMap::new(), Identity::default());
    [
        refusals::of_token(status, &headers, body, &account, now).reason,
        refusals::of_calendar(status, &headers, body, &account).reason,
    ]
}

/// Everything on a page of Microsoft Graph that overlaps `window`, with where the next page is.
pub fn graph_page(
    body: &[u8],
    window: (Timestamp, Timestamp),
) -> Option<(Vec<Occurrence>, Option<String>)> {
    let whose = microsoft::page::Whose {
        email: "maya@own.example".into(),
        mailbox: "maya@own.onmicrosoft.example".into(),
        zone: TimeZone::UTC,
    };
    let mut pages = microsoft::page::Pages::default();
    let next = pages.take(body, &whose).ok()?;
    Some((pages.done(window).0, next))
}

/// A UID as all calendars of a meeting share it.
pub fn shared_uid(raw: &str) -> String {
    uid::shared(raw)
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
