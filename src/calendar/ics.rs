//! iCalendar feeds and files.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::CalendarSettings;
use super::discreet::discreet;
use super::fetch::{self, Fetched, Limits, failed, no_calendar};
use super::guard::{Guard, Names, SystemNames};
use super::parse::{Parsed, parse};
use super::series::{Troubles, occurrences};
use crate::domain::roster::source::CalendarSource;
use crate::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, FeedState};

/// Reads `ics:` sources.
#[derive(Debug)]
pub struct IcsCalendar {
    guard: Guard,
    limits: Limits,
    /// Calendars that may be worked out at the same time.
    working: Semaphore,
}

impl IcsCalendar {
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new(settings: &CalendarSettings) -> anyhow::Result<Self> {
        Self::with_names(settings, Arc::new(SystemNames))
    }

    /// The same where names are found in another way.
    ///
    /// # Errors
    /// As [`IcsCalendar::new`].
    pub fn with_names(settings: &CalendarSettings, names: Arc<dyn Names>) -> anyhow::Result<Self> {
        let limits = Limits { time: settings.timeout, bytes: settings.max_bytes };
        // One core is left to whoever waits for an answer.
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let working = Semaphore::new(cores.saturating_sub(1).max(1));
        Ok(Self { guard: Guard::new(settings, names)?, limits, working })
    }
}

#[async_trait]
impl Calendar for IcsCalendar {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let known = request.known.as_ref();
        let fetched = match &request.source {
            CalendarSource::IcsUrl(address) => {
                fetch::from_web(&self.guard, address, known, self.limits).await?
            }
            CalendarSource::IcsFile(path) => {
                fetch::from_file(Path::new(path), known, self.limits.bytes).await?
            }
            _ => return Err(failed("not an iCalendar source")),
        };
        match fetched {
            Fetched::Unchanged => self.expanded(request, None).await,
            Fetched::New(state) => self.expanded(request, Some(state)).await,
        }
    }

    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead> {
        request.known.as_ref()?;
        self.expanded(request, None).await.ok()
    }
}

impl IcsCalendar {
    /// Works the occurrences out of `new`, or of the last good state. This may take a while, so it is
    /// done beside the other work.
    async fn expanded(
        &self,
        request: &CalendarRequest,
        new: Option<FeedState>,
    ) -> Result<CalendarRead, CalendarError> {
        let _turn = self.working.acquire().await;
        let known = match &new {
            Some(_) => None,
            None => request.known.as_ref().map(|known| known.body.clone()),
        };
        let (zone, window) = (request.zone.clone(), request.window);
        let work = tokio::task::spawn_blocking(move || {
            let body = new.as_ref().map(|state| &state.body).or(known.as_ref());
            let body = body.map(Vec::as_slice).unwrap_or_default();
            let parsed = parse(body, &zone);
            check(&parsed, body)?;
            let mut warnings = warnings(&parsed);
            let (occurrences, troubles) = occurrences(parsed.events, window);
            if troubles.out_of_time {
                return Err(failed("takes too long to work out; publish fewer repeating events"));
            }
            warnings.extend(trouble_warnings(troubles));
            // What is kept is what was read, less what is nobody's business.
            let state = new.map(|state| FeedState { body: discreet(&state.body), ..state });
            Ok(CalendarRead { occurrences, state, warnings })
        });
        work.await.unwrap_or_else(|_| Err(failed("the calendar could not be worked out")))
    }
}

/// A log-in page or an empty answer must not look like an empty calendar.
fn check(parsed: &Parsed, body: &[u8]) -> Result<(), CalendarError> {
    match parsed.refused {
        Some(reason) => Err(failed(reason)),
        None if parsed.is_calendar && parsed.is_whole => Ok(()),
        None => Err(failed(no_calendar(body))),
    }
}

pub(super) fn warnings(parsed: &Parsed) -> Vec<String> {
    let lines = [
        (parsed.broken_events, "could not be understood and are left out"),
        (parsed.unknown_zones, "name a time zone that is not known; local time is assumed"),
    ];
    counted(lines)
}

pub(super) fn trouble_warnings(troubles: Troubles) -> Vec<String> {
    let lines = [
        (troubles.rules_not_understood, "repeat in a way that is not understood"),
        (troubles.rules_too_long, "repeat too often to be worked out"),
    ];
    counted(lines)
}

pub(super) fn counted(lines: [(usize, &str); 2]) -> Vec<String> {
    let seen = lines.into_iter().filter(|(count, _)| *count > 0);
    seen.map(|(count, what)| format!("{count} entries {what}")).collect()
}
