//! A door for the fuzz targets of `fuzz/`, to what calendars bring.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::google::account::Identity;
use super::google::page::{Pages, Whose};
use super::google::refusals;
use super::parse::parse;
use super::series::occurrences;
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
    let mut pages = Pages::default();
    pages.take(body)?;
    let whose = Whose::new("maya@own.example", None);
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
