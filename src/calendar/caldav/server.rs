//! One person's server: questions and whole answers, through the guard and within limits.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::multistatus::Answer;
use crate::calendar::fetch::{failed, limited, retry_after, trouble};
use crate::calendar::guard::{Guard, Request, SLOW};
use crate::ports::CalendarError;

const TOO_LARGE: &str = "an answer is larger than calendar.max_bytes; publish fewer past events";
const WEB_PAGE: &str = "a web page instead of a calendar; the address may need a log-in, or is not \
                        that of the CalDAV server";

/// Who has the key to one person's calendars.
pub(super) struct Server<'g> {
    guard: &'g Guard,
    key: HeaderValue,
    /// Bytes of one answer.
    most: u64,
    /// For everything that is asked in one reading, however slowly answers trickle.
    deadline: Instant,
}

/// How far below an address is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Itself,
    Children,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Anything but an answer of the right kind (207), and what it asks for by `Retry-After`.
    Status(StatusCode, Option<u64>),
    Other(CalendarError),
}

impl From<CalendarError> for Refusal {
    fn from(error: CalendarError) -> Self {
        Self::Other(error)
    }
}

impl Refusal {
    /// Whether the server itself refused, rather than that it was busy or not there: asking in
    /// another way, or elsewhere, may help.
    pub(super) fn is_about_the_question(&self) -> bool {
        match self {
            Self::Status(status, _) => !matches!(status.as_u16(), 401 | 429 | 502 | 503 | 504),
            Self::Other(_) => false,
        }
    }

    /// In words for an administrator.
    pub(super) fn told(self) -> CalendarError {
        let (status, after) = match self {
            Self::Status(status, after) => (status, after),
            Self::Other(error) => return error,
        };
        let code = status.as_u16();
        let reason = match code {
            200 => WEB_PAGE,
            401 => {
                "the server refuses the user name or password; many want a password made for \
                 apps (HTTP 401)"
            }
            403 => "the server forbids reading this calendar (HTTP 403)",
            404 | 410 => "not found (HTTP 404 or 410); the calendar may have been deleted",
            405 | 501 => "there is no CalDAV server at this address (HTTP 405 or 501)",
            429 => "the server asks for patience (HTTP 429)",
            507 => "the server does not list the whole calendar (HTTP 507)",
            300..=399 => "the server redirects without a place to go",
            500.. => "the server has a problem of its own; it is tried again",
            _ => "the server refuses the request",
        };
        let reason = format!("{reason} [{code}]");
        CalendarError { reason, retry_after: after, trouble: trouble(status) }
    }
}

impl<'g> Server<'g> {
    pub(super) fn new(
        guard: &'g Guard,
        (user, password): (&str, &str),
        most: u64,
        deadline: Instant,
    ) -> Result<Self, CalendarError> {
        let word = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let mut key = HeaderValue::try_from(format!("Basic {word}"))
            .map_err(|_| failed("the user name or password cannot be sent"))?;
        key.set_sensitive(true);
        Ok(Self { guard, key, most, deadline })
    }

    /// Asks for properties; also where the answer came from, for the paths in it.
    pub(super) async fn properties(
        &self,
        url: &Url,
        depth: Depth,
        names: &str,
    ) -> Result<(Url, Answer), Refusal> {
        let body = format!("<D:propfind {SPACES}><D:prop>{names}</D:prop></D:propfind>");
        self.ask("PROPFIND", url, depth, &body).await
    }

    /// Asks a calendar.
    pub(super) async fn report(
        &self,
        url: &Url,
        depth: Depth,
        body: &str,
    ) -> Result<Answer, Refusal> {
        Ok(self.ask("REPORT", url, depth, body).await?.1)
    }

    async fn ask(
        &self,
        method: &str,
        url: &Url,
        depth: Depth,
        body: &str,
    ) -> Result<(Url, Answer), Refusal> {
        let depth = match depth {
            Depth::Itself => "0",
            Depth::Children => "1",
        };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.key.clone());
        headers.insert(HeaderName::from_static("depth"), HeaderValue::from_static(depth));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=utf-8"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/xml, text/xml"));
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| failed("the server refuses the request"))?;
        let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{body}").into_bytes();
        let request = Request { method, headers, body };
        let asking = self.answer(url, &request);
        timeout_at(self.deadline, asking).await.unwrap_or_else(|_| Err(failed(SLOW).into()))
    }

    async fn answer(&self, url: &Url, request: &Request) -> Result<(Url, Answer), Refusal> {
        let response = self.guard.send(url.as_str(), request).await?;
        if response.status() != StatusCode::MULTI_STATUS {
            return Err(Refusal::Status(response.status(), retry_after(response.headers())));
        }
        let from = response.url().clone();
        let body = limited(response, self.most, TOO_LARGE, |start| {
            if is_web_page(start) { Err(WEB_PAGE) } else { Ok(()) }
        })
        .await?;
        if is_web_page(&body) {
            return Err(failed(WEB_PAGE).into());
        }
        let reading = tokio::task::spawn_blocking(move || Answer::read(&body));
        let answer = reading.await.unwrap_or(Err("the server's answer could not be worked out"));
        Ok((from, answer.map_err(failed)?))
    }
}

fn is_web_page(body: &[u8]) -> bool {
    let start = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(64);
    let start = String::from_utf8_lossy(&start.collect::<Vec<u8>>()).to_lowercase();
    start.starts_with("<html") || start.contains("<!doctypehtml")
}

/// The prefixes that every question uses.
pub(super) const SPACES: &str = "xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\" \
                                 xmlns:S=\"http://calendarserver.org/ns/\"";

/// Text within XML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(letter),
        }
    }
    out
}
