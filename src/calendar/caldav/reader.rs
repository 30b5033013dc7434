//! Reads `caldav:` sources: one question where nothing changed, and the whole within one deadline.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Url;

use super::CalDavSettings;
use super::discovery::{Offer, discover, listed};
use super::href::login;
use super::server::{Refusal, Server};
use super::state::{Kept, Place, State};
use super::sync::{Sync, TOO_MUCH};
use crate::calendar::CalendarSettings;
use crate::calendar::fetch::failed;
use crate::calendar::guard::{Guard, Names, SLOW, SystemNames};
use crate::calendar::ics::{counted, trouble_warnings, warnings};
use crate::calendar::kept::seal;
use crate::calendar::parse::parse;
use crate::calendar::series::occurrences;
use crate::domain::meeting::Occurrence;
use crate::domain::roster::source::CalendarSource;
use crate::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest};

const NO_PASSWORD: &str = "no password is known for this person's user name; set \
                           DEBRIEF_CALDAV_PASSWORD, or give it a line in the file that \
                           DEBRIEF_CALDAV_PASSWORDS_FILE names";
const NO_USER: &str = "the user name holds a colon, which servers do not understand";
const OUT_OF_TIME: &str = "takes too long to work out; publish fewer repeating events";

/// Reads `caldav:` sources.
#[derive(Debug)]
pub struct CalDavCalendar {
    guard: Guard,
    limits: CalendarSettings,
    settings: CalDavSettings,
}

/// Where a person's calendars are said to be, and what opens them.
struct Access<'c> {
    start: Url,
    user: String,
    password: &'c str,
}

impl CalDavCalendar {
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new(limits: &CalendarSettings, settings: CalDavSettings) -> anyhow::Result<Self> {
        Self::with_names(limits, settings, Arc::new(SystemNames))
    }

    /// The same where names are found in another way.
    ///
    /// # Errors
    /// As [`CalDavCalendar::new`].
    pub fn with_names(
        limits: &CalendarSettings,
        settings: CalDavSettings,
        names: Arc<dyn Names>,
    ) -> anyhow::Result<Self> {
        Ok(Self { guard: Guard::new(limits, names)?, limits: limits.clone(), settings })
    }

    fn access(&self, request: &CalendarRequest) -> Result<Access<'_>, CalendarError> {
        let CalendarSource::CalDav(address) = &request.source else {
            return Err(failed("not a CalDAV source"));
        };
        let (start, user) = login(address)?;
        let user = user.or_else(|| self.settings.user.clone());
        let user = user.unwrap_or_else(|| request.email.clone());
        if user.contains(':') {
            return Err(failed(NO_USER));
        }
        let password = self.settings.passwords.of(&user).ok_or_else(|| failed(NO_PASSWORD))?;
        Ok(Access { start, user, password })
    }

    /// The state of now.
    async fn refreshed(
        &self,
        access: &Access<'_>,
        known: Option<State>,
        window: (Timestamp, Timestamp),
    ) -> Result<State, CalendarError> {
        let key = (access.user.as_str(), access.password);
        let server = Server::new(&self.guard, key, self.limits.max_bytes)?;
        let (mut state, offers) = found(&server, access, known).await?;
        let listing_is_due = state.turn_to(window.0);
        let mut sync = Sync {
            server: &server,
            horizon: state.horizon(),
            until: window.1,
            listing_is_due,
            most: self.limits.max_bytes,
            taken: 0,
        };
        let mut before = std::mem::take(&mut state.calendars);
        for offer in offers {
            let known = before.iter().position(|kept| kept.url == offer.url.as_str());
            let mut calendar = known
                .map_or_else(|| Kept::at(offer.url.as_str()), |place| before.swap_remove(place));
            sync.refresh(&mut calendar, &offer).await?;
            state.calendars.push(calendar);
            sync.taken = state.size();
        }
        if sync.taken > self.limits.max_bytes {
            return Err(failed(TOO_MUCH));
        }
        Ok(state)
    }
}

#[async_trait]
impl Calendar for CalDavCalendar {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let access = self.access(request)?;
        let known = State::recall(request.known.as_ref(), &subject(&access));
        let refreshing = self.refreshed(&access, known.clone(), request.window);
        let state = tokio::time::timeout(self.limits.timeout, refreshing)
            .await
            .unwrap_or_else(|_| Err(failed(SLOW)))?;
        let is_new = known.as_ref() != Some(&state);
        expanded(request, state, is_new).await
    }

    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead> {
        let access = self.access(request).ok()?;
        let state = State::recall(request.known.as_ref(), &subject(&access))?;
        expanded(request, state, false).await.ok()
    }
}

/// What a state is about: nobody's calendar is taken for another's.
fn subject(access: &Access<'_>) -> String {
    seal(format!("{}\n{}", access.user, access.start).as_bytes())
}

/// The calendars as their server lists them now. What is remembered of where they are is tried
/// first, and found out anew where that fails.
async fn found(
    server: &Server<'_>,
    access: &Access<'_>,
    known: Option<State>,
) -> Result<(State, Vec<Offer>), CalendarError> {
    let mut state = match known {
        None => None,
        Some(state) => match listed(server, &state.places).await {
            Ok(offers) => return Ok((state, offers)),
            Err(refusal) if may_have_moved(&refusal, &state, access) => Some(state),
            Err(refusal) => return Err(refusal.told()),
        },
    };
    let places = discover(server, &access.start).await?;
    let offers = listed(server, &places).await.map_err(Refusal::told)?;
    match &mut state {
        Some(state) => state.places = places,
        None => state = Some(State::new(&subject(access), places)),
    }
    state.map(|state| (state, offers)).ok_or_else(|| failed(SLOW))
}

/// A password that is wrong here is wrong there, and tries are counted: only where the calendars
/// were on another host is it worth asking the first one again.
fn may_have_moved(refusal: &Refusal, state: &State, access: &Access<'_>) -> bool {
    let elsewhere = |place: &Place| {
        let url = Url::parse(&place.url).ok();
        url.is_none_or(|url| url.host_str() != access.start.host_str())
    };
    let is_elsewhere = state.places.iter().any(elsewhere);
    match refusal {
        Refusal::Status(..) if refusal.is_about_the_question() => true,
        Refusal::Status(status, _) => is_elsewhere && status.as_u16() == 401,
        Refusal::Other(_) => is_elsewhere,
    }
}

/// Works the occurrences out. This may take a while, so it is done beside the other work.
async fn expanded(
    request: &CalendarRequest,
    state: State,
    is_new: bool,
) -> Result<CalendarRead, CalendarError> {
    let (zone, window) = (request.zone.clone(), request.window);
    let work = tokio::task::spawn_blocking(move || {
        let mut all: Vec<Occurrence> = Vec::new();
        let mut said = counted([
            (state.broken_entries(), "could not be understood and are left out"),
            (0, ""),
        ]);
        for is_free in [false, true] {
            let parsed = parse(state.text(is_free).as_bytes(), &zone);
            if let Some(reason) = parsed.refused {
                return Err(failed(reason));
            }
            said.extend(warnings(&parsed));
            let (found, troubles) = occurrences(parsed.events, window);
            if troubles.out_of_time {
                return Err(failed(OUT_OF_TIME));
            }
            said.extend(trouble_warnings(troubles));
            let busy: HashSet<String> = all.iter().map(|one| one.uid.clone()).collect();
            let further = found.into_iter().filter(|one| !busy.contains(&one.uid));
            all.extend(further.map(|one| Occurrence { free: one.free || is_free, ..one }));
        }
        all.sort_by(|a, b| (a.start, a.end, &a.uid).cmp(&(b.start, b.end, &b.uid)));
        let state = is_new.then(|| state.to_feed());
        Ok(CalendarRead { occurrences: all, state, warnings: said })
    });
    work.await.unwrap_or_else(|_| Err(failed("the calendar could not be worked out")))
}
