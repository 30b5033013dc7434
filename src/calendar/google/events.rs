//! Reads a window of somebody's calendar (`events.list`), page by page.
//!
//! Each reading asks for the whole window anew. A sync token would not save a request: it takes one
//! to ask for changes too, and a window that moves on needs its new end read besides.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{StatusCode, Url};

use super::account::Account;
use super::page::{Pages, Whose};
use super::refusals::of_calendar;
use super::tokens::Tokens;
use super::wire::FIELDS;
use crate::calendar::CalendarSettings;
use crate::calendar::fetch::{Limits, failed, limited};
use crate::calendar::guard::{Guard, Names, Request, SLOW, SystemNames};
use crate::calendar::kept::{known, reading, seal};
use crate::domain::roster::source::CalendarSource;
use crate::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, Clock};

/// How many events Google may put on a page, and how many pages are read. A page may come half
/// empty, so the limit on events is [`Pages`]' own.
const PAGE: &str = "250";
const MOST_PAGES: usize = 40;
const TOO_MANY_PAGES: &str = "Google's answer does not end; it is tried again";
const TOO_LARGE: &str = "larger than calendar.max_bytes";
/// An error tells its reason within this.
const MOST_ERROR_BYTES: u64 = 256 << 10;
/// Google compresses only for clients that say so here too.
const AGENT: &str = concat!("debrief/", env!("CARGO_PKG_VERSION"), " (gzip)");

/// Where Google is.
#[derive(Debug, Clone)]
pub struct GoogleSettings {
    /// Without a slash at its end.
    pub api_url: String,
    pub token_url: String,
}

/// Reads `google` sources.
#[derive(Debug)]
pub struct GoogleCalendar {
    guard: Guard,
    tokens: Tokens,
    api: Url,
    limits: Limits,
}

impl GoogleCalendar {
    /// `clock` tells when an assertion is signed.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new(
        settings: &CalendarSettings,
        google: &GoogleSettings,
        account: Account,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        Self::with_names(settings, google, account, clock, Arc::new(SystemNames))
    }

    /// The same where names are found in another way.
    ///
    /// # Errors
    /// As [`GoogleCalendar::new`].
    pub fn with_names(
        settings: &CalendarSettings,
        google: &GoogleSettings,
        account: Account,
        clock: Arc<dyn Clock>,
        names: Arc<dyn Names>,
    ) -> anyhow::Result<Self> {
        // The list is for addresses in the roster; Google's come from the configuration.
        let settings = CalendarSettings { allowed_hosts: Vec::new(), ..settings.clone() };
        Ok(Self {
            guard: Guard::new(&settings, names)?,
            tokens: Tokens::new(account, google.token_url.clone(), clock),
            api: Url::parse(&google.api_url)?,
            limits: Limits { time: settings.timeout, bytes: settings.max_bytes },
        })
    }

    /// Every page of the window.
    async fn pages(
        &self,
        whose: &Whose,
        window: (Timestamp, Timestamp),
    ) -> Result<Pages, CalendarError> {
        let mut token = self.tokens.header(&self.guard, &whose.person, None).await?;
        let mut pages = Pages::default();
        let mut left = self.limits.bytes;
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let address = self.address(whose, window, next.as_deref())?;
            let body = self.page(&address, whose, &mut token, left).await?;
            left = left.saturating_sub(body.len() as u64);
            // A large page takes a while, so it is taken in beside the other work.
            let taking = tokio::task::spawn_blocking(move || {
                let next = pages.take(&body);
                (pages, next)
            });
            let (taken, found) =
                taking.await.map_err(|_| failed("Google's answer could not be worked out"))?;
            pages = taken;
            next = found.map_err(failed)?;
            if next.is_none() {
                return Ok(pages);
            }
        }
        Err(failed(TOO_MANY_PAGES))
    }

    /// One page. Google may have withdrawn the token that we kept; a fresh one is tried once.
    async fn page(
        &self,
        address: &str,
        whose: &Whose,
        token: &mut HeaderValue,
        most: u64,
    ) -> Result<Vec<u8>, CalendarError> {
        let mut response = self.ask(address, token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            *token = self.tokens.header(&self.guard, &whose.person, Some(&*token)).await?;
            response = self.ask(address, token).await?;
        }
        let status = response.status();
        if status.is_success() {
            let begins = |start: &[u8]| match start.trim_ascii_start().first() {
                Some(b'{') => Ok(()),
                _ => {
                    Err("a web page or something else instead of Google's answer; is something in \
                          between, or google.api_url wrong?")
                }
            };
            return limited(response, most, TOO_LARGE, begins).await;
        }
        let headers = response.headers().clone();
        // Whatever cannot be read of a refusal is none the less one.
        let body = limited(response, MOST_ERROR_BYTES, TOO_LARGE, |_| Ok(())).await;
        let body = body.unwrap_or_default();
        Err(of_calendar(status, &headers, &body, self.tokens.identity()))
    }

    async fn ask(
        &self,
        address: &str,
        token: &HeaderValue,
    ) -> Result<reqwest::Response, CalendarError> {
        let headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (AUTHORIZATION, token.clone()),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
        ]);
        self.guard.send(address, &Request { headers, ..Request::default() }).await
    }

    fn address(
        &self,
        whose: &Whose,
        (from, to): (Timestamp, Timestamp),
        page: Option<&str>,
    ) -> Result<String, CalendarError> {
        let mut url = self.api.clone();
        url.path_segments_mut()
            .map_err(|()| failed("google.api_url is no address that a path may follow"))?
            .pop_if_empty()
            .extend(["calendars", &whose.calendar, "events"]);
        // Whole seconds, so that nothing at an edge is missed.
        let edge = |at: Timestamp, more: i64| {
            Timestamp::from_second(at.as_second().saturating_add(more)).unwrap_or(at).to_string()
        };
        let mut query = url.query_pairs_mut();
        query
            .append_pair("singleEvents", "true")
            .append_pair("showDeleted", "true")
            .append_pair("timeMin", &edge(from, 0))
            .append_pair("timeMax", &edge(to, 1))
            .append_pair("maxResults", PAGE)
            .append_pair("fields", FIELDS)
            // Without it Google counts everybody's requests against the one service account.
            .append_pair("quotaUser", &pseudonym(&whose.person));
        if let Some(page) = page {
            query.append_pair("pageToken", page);
        }
        drop(query);
        Ok(url.into())
    }
}

/// The same for the same person only; at most 40 characters.
fn pseudonym(person: &str) -> String {
    seal(person.as_bytes()).trim_start_matches("sha256:").chars().take(32).collect()
}

#[async_trait]
impl Calendar for GoogleCalendar {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let CalendarSource::Google(mailbox) = &request.source else {
            return Err(failed("not a Google calendar"));
        };
        let whose = Whose::new(&request.email, mailbox.as_deref());
        let asking = self.pages(&whose, request.window);
        let pages = tokio::time::timeout(self.limits.time, asking)
            .await
            .unwrap_or_else(|_| Err(failed(SLOW)))?;
        let (occurrences, warnings) = pages.occurrences(&whose, &request.zone, request.window);
        Ok(reading(occurrences, request.known.as_ref(), warnings))
    }

    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead> {
        let occurrences = known(request.known.as_ref()?, request.window)?;
        Some(CalendarRead { occurrences, state: None, warnings: Vec::new() })
    }
}
