//! The text of a calendar, from a server or a file, within limits.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{
    ACCEPT, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use tokio::io::AsyncReadExt;

use super::guard::{Guard, Request, SLOW, in_words};
use super::kept::seal;
use crate::ports::{CalendarError, FeedState, Trouble};

/// By then a calendar has begun.
const FIRST_BYTES: usize = 1024;
const TOO_LARGE: &str = "larger than calendar.max_bytes; publish fewer past events";

/// How much more memory is taken at a time.
const GROWTH: usize = 256 << 10;

/// What came back.
#[derive(Debug)]
pub(super) enum Fetched {
    New(FeedState),
    /// It is as it was.
    Unchanged,
}

/// What one fetch may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the first look-up to the last byte, however slowly they trickle.
    pub(super) time: Duration,
    /// Of the decompressed text.
    pub(super) bytes: u64,
}

/// A reason without an address or a title.
pub(super) fn failed(reason: impl Into<String>) -> CalendarError {
    CalendarError { reason: reason.into(), retry_after: None, trouble: Trouble::Passing }
}

/// Asks a server, which need not answer in full if nothing has changed.
pub(super) async fn from_web(
    guard: &Guard,
    address: &str,
    known: Option<&FeedState>,
    limits: Limits,
) -> Result<Fetched, CalendarError> {
    let asking = ask(guard, address, known, limits.bytes);
    tokio::time::timeout(limits.time, asking).await.unwrap_or_else(|_| Err(failed(SLOW)))
}

async fn ask(
    guard: &Guard,
    address: &str,
    known: Option<&FeedState>,
    most: u64,
) -> Result<Fetched, CalendarError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/calendar, */*;q=0.1"));
    if let Some(known) = known {
        let conditions = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value.as_deref().and_then(|value| value.parse().ok()) {
                headers.insert(name, value);
            }
        }
    }
    let request = Request { headers, ..Request::default() };
    let response = guard.send(address, &request).await?;
    match response.status() {
        StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Fetched::Unchanged),
        status if status.is_success() => {}
        status => return Err(refused(status, response.headers())),
    }
    let headers = response.headers().clone();
    let body = limited(response, most, TOO_LARGE, |start| {
        if begins(start) { Ok(()) } else { Err(no_calendar(start)) }
    })
    .await?;
    let header = |name: HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let state = FeedState { etag: header(ETAG), last_modified: header(LAST_MODIFIED), body };
    Ok(Fetched::New(state))
}

/// Counts what is decompressed, so that a small bomb is not a large calendar; and stops at once
/// where `vet` finds a reason in the beginning.
pub(super) async fn limited(
    response: Response,
    most: u64,
    too_large: &'static str,
    vet: impl Fn(&[u8]) -> Result<(), &'static str>,
) -> Result<Vec<u8>, CalendarError> {
    let is_larger = |length: u64| length > most;
    if response.content_length().is_some_and(is_larger) {
        return Err(failed(too_large));
    }
    let mut body: Vec<u8> = Vec::new();
    let mut chunks = response.bytes_stream();
    let mut begun = false;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed(in_words(&error)))?;
        if is_larger((body.len() + chunk.len()) as u64) {
            return Err(failed(too_large));
        }
        if body.capacity() - body.len() < chunk.len() {
            // Doubling would take twice the limit.
            body.reserve_exact(chunk.len().max(GROWTH));
        }
        body.extend_from_slice(&chunk);
        if !begun && body.len() >= FIRST_BYTES {
            vet(&body[..FIRST_BYTES]).map_err(failed)?;
            begun = true;
        }
    }
    Ok(body)
}

const BEGIN: &[u8] = b"BEGIN:VCALENDAR";

fn begins(text: &[u8]) -> bool {
    text.windows(BEGIN.len()).any(|part| part.eq_ignore_ascii_case(BEGIN))
}

/// What came in place of a whole calendar.
pub(super) fn no_calendar(body: &[u8]) -> &'static str {
    let start: Vec<u8> =
        body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(64).collect();
    let start = String::from_utf8_lossy(&start).to_lowercase();
    if start.is_empty() {
        "the calendar is empty"
    } else if start.contains("<html") || start.contains("<!doctype") {
        "a web page instead of a calendar; the address may need a log-in"
    } else if begins(body) {
        "the calendar breaks off in the middle"
    } else {
        "not an iCalendar file"
    }
}

/// What a server's refusal means for an administrator.
fn refused(status: StatusCode, headers: &HeaderMap) -> CalendarError {
    let code = status.as_u16();
    let reason = match code {
        401 | 403 => "the server refuses (HTTP 401 or 403); the secret address may have been reset",
        404 | 410 => "not found (HTTP 404 or 410); the calendar may no longer be published",
        429 => "the server asks for patience (HTTP 429)",
        300..=399 => "the server redirects without a place to go",
        500.. => "the server has a problem of its own; it is tried again",
        _ => "the server refuses the request",
    };
    let after = retry_after(headers);
    let trouble = trouble(status);
    CalendarError { reason: format!("{reason} [{code}]"), retry_after: after, trouble }
}

/// What a refusal means, by its status alone.
pub(super) fn trouble(status: StatusCode) -> Trouble {
    match status.as_u16() {
        401 | 403 => Trouble::Refused,
        404 | 410 => Trouble::Gone,
        429 | 500.. => Trouble::Busy,
        _ => Trouble::Passing,
    }
}

/// For how many seconds the server asks not to be called, as a number or as a date beside its own.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let wish = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = wish.parse() {
        return Some(seconds);
    }
    let date = |text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let wait = date(wish)?.duration_since(date(text(DATE)?)?);
    u64::try_from(wait.as_secs()).ok()
}

/// Reads a file; one that did not change since is not read again.
pub(super) async fn from_file(
    path: &Path,
    known: Option<&FeedState>,
    most: u64,
) -> Result<Fetched, CalendarError> {
    let file = tokio::fs::File::open(path).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed("the file does not exist"),
        kind => failed(format!("the file cannot be read: {kind}")),
    })?;
    let mut body = Vec::new();
    // One byte more than allowed shows that it is too large.
    file.take(most + 1)
        .read_to_end(&mut body)
        .await
        .map_err(|error| failed(format!("the file cannot be read: {}", error.kind())))?;
    if body.len() as u64 > most {
        return Err(failed("larger than calendar.max_bytes"));
    }
    // What is kept of a calendar is less than what it says, so the two cannot be compared.
    let seal = Some(seal(&body));
    if known.is_some_and(|known| known.etag == seal) {
        return Ok(Fetched::Unchanged);
    }
    Ok(Fetched::New(FeedState { etag: seal, last_modified: None, body }))
}
