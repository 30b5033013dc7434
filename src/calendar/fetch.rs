//! The text of a calendar, from a server or a file, within limits.

use std::path::Path;

use futures_util::StreamExt;
use reqwest::header::RETRY_AFTER;
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::io::AsyncReadExt;

use super::CalendarSettings;
use crate::ports::{CalendarError, FeedState};

const MOST_REDIRECTS: usize = 3;

/// What came back.
#[derive(Debug)]
pub(super) enum Fetched {
    New(FeedState),
    /// It is as it was.
    Unchanged,
}

pub(super) fn client(settings: &CalendarSettings) -> anyhow::Result<Client> {
    Ok(Client::builder()
        .timeout(settings.timeout)
        .connect_timeout(settings.timeout)
        .redirect(Policy::limited(MOST_REDIRECTS))
        // The address is a secret; it is not told to where a redirect leads.
        .referer(false)
        .user_agent(concat!("debrief/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// A reason without an address or a title.
pub(super) fn failed(reason: impl Into<String>) -> CalendarError {
    CalendarError { reason: reason.into(), retry_after: None }
}

/// Asks a server, which need not answer in full if nothing has changed.
pub(super) async fn from_web(
    client: &Client,
    address: &str,
    known: Option<&FeedState>,
    most: u64,
) -> Result<Fetched, CalendarError> {
    let mut request = client.get(address).header("Accept", "text/calendar, */*;q=0.1");
    if let Some(known) = known {
        let conditions = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
    }
    let response = request.send().await.map_err(|error| failed(in_words(&error)))?;
    match response.status() {
        StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Fetched::Unchanged),
        status if status.is_success() => {}
        status => return Err(refused(status, response.headers())),
    }
    let headers = response.headers().clone();
    let body = limited(response, most).await?;
    let header = |name: HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let state = FeedState { etag: header(ETAG), last_modified: header(LAST_MODIFIED), body };
    Ok(Fetched::New(state))
}

/// Counts what is decompressed, so that a small bomb is not a large calendar.
async fn limited(response: Response, most: u64) -> Result<Vec<u8>, CalendarError> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed(in_words(&error)))?;
        if (body.len() + chunk.len()) as u64 > most {
            return Err(failed("larger than calendar.max_bytes; publish fewer past events"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
    let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    CalendarError { reason: format!("{reason} [{code}]"), retry_after: after }
}

/// The library's own words carry the address, which is a secret.
fn in_words(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "the server did not answer in time (calendar.timeout)"
    } else if error.is_redirect() {
        "the server redirects in a circle"
    } else if error.is_connect() {
        "the server cannot be reached"
    } else if error.is_builder() {
        "the address is not a valid one"
    } else {
        "the connection broke while reading"
    }
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
    if known.is_some_and(|known| known.body == body) {
        return Ok(Fetched::Unchanged);
    }
    Ok(Fetched::New(FeedState { etag: None, last_modified: None, body }))
}
