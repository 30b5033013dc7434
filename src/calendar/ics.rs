//! iCalendar feeds and files.

use std::path::Path;

use async_trait::async_trait;
use reqwest::Client;

use super::CalendarSettings;
use super::discreet::discreet;
use super::fetch::{self, Fetched, failed};
use super::parse::{Parsed, parse};
use super::series::{Troubles, occurrences};
use crate::domain::roster::CalendarSource;
use crate::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, FeedState};

/// Reads `ics:` sources.
#[derive(Debug)]
pub struct IcsCalendar {
    client: Client,
    max_bytes: u64,
}

impl IcsCalendar {
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new(settings: &CalendarSettings) -> anyhow::Result<Self> {
        Ok(Self { client: fetch::client(settings)?, max_bytes: settings.max_bytes })
    }
}

#[async_trait]
impl Calendar for IcsCalendar {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let known = request.known.as_ref();
        let fetched = match &request.source {
            CalendarSource::IcsUrl(address) => {
                fetch::from_web(&self.client, address, known, self.max_bytes).await?
            }
            CalendarSource::IcsFile(path) => {
                fetch::from_file(Path::new(path), known, self.max_bytes).await?
            }
        };
        match fetched {
            Fetched::Unchanged => expanded(request, None).await,
            Fetched::New(state) => expanded(request, Some(state)).await,
        }
    }

    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead> {
        request.known.as_ref()?;
        expanded(request, None).await.ok()
    }
}

/// Works the occurrences out of `new`, or of the last good state. This may take a while, so it is
/// done beside the other work.
async fn expanded(
    request: &CalendarRequest,
    new: Option<FeedState>,
) -> Result<CalendarRead, CalendarError> {
    let state = new.as_ref().or(request.known.as_ref());
    let body = state.map(|state| state.body.clone()).unwrap_or_default();
    let (zone, window) = (request.zone.clone(), request.window);
    let is_new = new.is_some();
    let work = tokio::task::spawn_blocking(move || {
        let parsed = parse(&body, &zone);
        check(&parsed, &body)?;
        let mut warnings = warnings(&parsed);
        let (found, troubles) = occurrences(parsed.events, window);
        warnings.extend(trouble_warnings(troubles));
        let kept = if is_new { discreet(&body) } else { Vec::new() };
        Ok((found, warnings, kept))
    });
    let worked = work.await.map_err(|_| failed("the calendar could not be worked out"))?;
    let (occurrences, warnings, body) = worked?;
    let state = new.map(|state| FeedState { body, ..state });
    Ok(CalendarRead { occurrences, state, warnings })
}

/// A log-in page or an empty answer must not look like an empty calendar.
fn check(parsed: &Parsed, body: &[u8]) -> Result<(), CalendarError> {
    if parsed.has_too_many {
        return Err(failed("too many entries; publish fewer past events"));
    }
    if parsed.is_calendar && parsed.is_whole {
        return Ok(());
    }
    let start: Vec<u8> =
        body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(64).collect();
    let start = String::from_utf8_lossy(&start).to_lowercase();
    Err(failed(if start.is_empty() {
        "the calendar is empty"
    } else if start.contains("<html") || start.contains("<!doctype") {
        "a web page instead of a calendar; the address may need a log-in"
    } else if start.contains("begin:vcalendar") {
        "the calendar breaks off in the middle"
    } else {
        "not an iCalendar file"
    }))
}

fn warnings(parsed: &Parsed) -> Vec<String> {
    let lines = [
        (parsed.broken_events, "could not be understood and are left out"),
        (parsed.unknown_zones, "name a time zone that is not known; local time is assumed"),
    ];
    counted(lines)
}

fn trouble_warnings(troubles: Troubles) -> Vec<String> {
    let lines = [
        (troubles.rules_not_understood, "repeat in a way that is not understood"),
        (troubles.rules_too_long, "repeat too often to be worked out"),
    ];
    counted(lines)
}

fn counted(lines: [(usize, &str); 2]) -> Vec<String> {
    let seen = lines.into_iter().filter(|(count, _)| *count > 0);
    seen.map(|(count, what)| format!("{count} entries {what}")).collect()
}
