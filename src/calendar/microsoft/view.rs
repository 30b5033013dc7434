//! Reads a window of somebody's calendar (`calendarView`), page by page.
//!
//! Each reading asks for the whole window anew, without a token for changes: those fix the window
//! that they were given for, know no selection of fields, and report what is outside the window as
//! removed.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode, Url};

use super::page::{NOT_GRAPH, Pages, Whose};
use super::tokens::Tokens;
use super::wire::FIELDS;
use super::{MicrosoftSettings, refusals};
use crate::calendar::CalendarSettings;
use crate::calendar::fetch::{Limits, failed, limited};
use crate::calendar::guard::{Guard, Names, Request, SLOW, SystemNames};
use crate::calendar::kept::{known, reading};
use crate::domain::roster::source::CalendarSource;
use crate::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, Clock};

/// Of a hundred entries each.
const MOST_PAGES: usize = 50;
/// Graph reads several wishes from one header, not from several.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const WISHES: HeaderValue = HeaderValue::from_static(
    "IdType=\"ImmutableId\", outlook.timezone=\"UTC\", odata.maxpagesize=100",
);
/// Whole days are compared as if they were days in UTC, which are up to this much away from those
/// of the person.
const DAYS_DIFFER: SignedDuration = SignedDuration::from_hours(14);
const TOO_LARGE: &str = "larger than calendar.max_bytes";
/// An error tells its reason within this.
const MOST_ERROR_BYTES: u64 = 64 << 10;

/// Reads `microsoft` sources.
#[derive(Debug)]
pub struct MicrosoftCalendar {
    guard: Guard,
    tokens: Tokens,
    graph: Url,
    limits: Limits,
}

impl MicrosoftCalendar {
    /// `clock` tells how old the token is.
    ///
    /// # Errors
    /// If the address is none, or the HTTP client cannot be set up.
    pub fn new(
        settings: &CalendarSettings,
        microsoft: MicrosoftSettings,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        Self::with_names(settings, microsoft, clock, Arc::new(SystemNames))
    }

    /// The same where names are found in another way.
    ///
    /// # Errors
    /// As [`MicrosoftCalendar::new`].
    pub fn with_names(
        settings: &CalendarSettings,
        microsoft: MicrosoftSettings,
        clock: Arc<dyn Clock>,
        names: Arc<dyn Names>,
    ) -> anyhow::Result<Self> {
        // The list is for addresses in the roster; these two come from the configuration.
        let settings = CalendarSettings { allowed_hosts: Vec::new(), ..settings.clone() };
        let graph = Url::parse(&microsoft.graph_url)?;
        Ok(Self {
            guard: Guard::new(&settings, names)?,
            tokens: Tokens::new(microsoft, clock, settings.timeout),
            graph,
            limits: Limits { time: settings.timeout, bytes: settings.max_bytes },
        })
    }

    /// Every page of the window.
    async fn pages(
        &self,
        whose: Whose,
        window: (Timestamp, Timestamp),
    ) -> Result<Pages, CalendarError> {
        let mut token = self.tokens.header(&self.guard).await?;
        let mut address = self.address(&whose.mailbox, window)?;
        let whose = Arc::new(whose);
        let mut pages = Pages::default();
        let mut left = self.limits.bytes;
        for _ in 0..MOST_PAGES {
            let body = self.page(&address, &mut token, left).await?;
            left = left.saturating_sub(body.len() as u64);
            let whose = Arc::clone(&whose);
            // A large page takes a while, so it is taken in beside the other work.
            let taking = tokio::task::spawn_blocking(move || {
                let next = pages.take(&body, &whose);
                (pages, next)
            });
            let (taken, next) = taking
                .await
                .map_err(|_| failed("Microsoft Graph's answer could not be worked out"))?;
            pages = taken;
            match next.map_err(failed)? {
                Some(next) => address = self.next(&address, &next)?,
                None => return Ok(pages),
            }
        }
        Err(failed("Microsoft Graph's answer does not end; it is tried again"))
    }

    /// One page. Microsoft may have withdrawn the token that we kept; another one is tried once.
    async fn page(
        &self,
        address: &str,
        token: &mut HeaderValue,
        most: u64,
    ) -> Result<Vec<u8>, CalendarError> {
        let mut response = self.ask(address, token).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(another) = self.tokens.another(&self.guard, token).await?
        {
            *token = another;
            response = self.ask(address, token).await?;
        }
        let status = response.status();
        if status == StatusCode::OK {
            let begins = |start: &[u8]| match start.trim_ascii_start().first() {
                Some(b'{') => Ok(()),
                _ => Err(NOT_GRAPH),
            };
            return limited(response, most, TOO_LARGE, begins).await;
        }
        let headers = response.headers().clone();
        // Whatever cannot be read of a refusal is none the less one.
        let body = limited(response, MOST_ERROR_BYTES, TOO_LARGE, |_| Ok(())).await;
        Err(refusals::of_graph(status, &headers, &body.unwrap_or_default()))
    }

    async fn ask(&self, address: &str, token: &HeaderValue) -> Result<Response, CalendarError> {
        let headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (AUTHORIZATION, token.clone()),
            (PREFER, WISHES),
        ]);
        self.guard.send(address, &Request { headers, ..Request::default() }).await
    }

    fn address(
        &self,
        mailbox: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<String, CalendarError> {
        let mut url = self.graph.clone();
        url.path_segments_mut()
            .map_err(|()| failed("microsoft.graph_url is no address that a path may follow"))?
            .pop_if_empty()
            .extend(["v1.0", "users", mailbox, "calendarView"]);
        let whole = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        let from = whole(from.saturating_sub(DAYS_DIFFER).unwrap_or(from));
        let to = whole(to.saturating_add(DAYS_DIFFER).unwrap_or(to));
        url.set_query(Some(&format!(
            "startDateTime={from}&endDateTime={to}&$select={FIELDS}&$top=100"
        )));
        Ok(url.into())
    }

    /// Where the answer says that it goes on; our token is for nobody else.
    fn next(&self, here: &str, next: &str) -> Result<String, CalendarError> {
        let next = Url::parse(here).ok().and_then(|here| here.join(next).ok());
        match next {
            Some(next) if next.origin() == self.graph.origin() => Ok(next.into()),
            _ => Err(failed(
                "Microsoft Graph's answer goes on at another server, which is not given the token; \
                 correct microsoft.graph_url",
            )),
        }
    }
}

#[async_trait]
impl Calendar for MicrosoftCalendar {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let CalendarSource::Microsoft(mailbox) = &request.source else {
            return Err(failed("not a Microsoft 365 calendar"));
        };
        let whose = Whose {
            email: request.email.clone(),
            mailbox: mailbox.clone().unwrap_or_else(|| request.email.clone()),
            zone: request.zone.clone(),
        };
        let asking = self.pages(whose, request.window);
        let pages = tokio::time::timeout(self.limits.time, asking)
            .await
            .unwrap_or_else(|_| Err(failed(SLOW)))?;
        let (occurrences, warnings) = pages.done(request.window);
        Ok(reading(occurrences, request.known.as_ref(), warnings))
    }

    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead> {
        let occurrences = known(request.known.as_ref()?, request.window)?;
        Some(CalendarRead { occurrences, state: None, warnings: Vec::new() })
    }
}
