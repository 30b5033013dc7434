//! Reads `caldav:` sources: one question where nothing changed, and the whole within one deadline.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Url;
use tokio::time::Instant;

use super::CalDavSettings;
use super::discovery::{Offer, discover, listed};
use super::href::login;
use super::server::{Refusal, Server};
use super::state::{Kept, Place, State};
use super::sync::{Sync, TOO_MUCH};
use crate::calendar::CalendarSettings;
use crate::calendar::fetch::failed;
use crate::calendar::guard::{Guard, Names, SystemNames};
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
/// Of all unfinished readings together.
const MOST_UNFINISHED: u64 = 64 << 20;

const NO_USER: &str = "the user name holds a colon, which servers do not understand";
const OUT_OF_TIME: &str = "takes too long to work out; publish fewer repeating events";

/// Reads `caldav:` sources.
#[derive(Debug)]
pub struct CalDavCalendar {
    guard: Guard,
    limits: CalendarSettings,
    settings: CalDavSettings,
    unfinished: Mutex<Unfinished>,
}

/// First readings that took too long for one deadline, by whose they are.
type Unfinished = HashMap<String, State>;

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
        let guard = Guard::new(limits, names)?;
        Ok(Self { guard, limits: limits.clone(), settings, unfinished: Mutex::default() })
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

    /// Brings `state` to now. Where that fails, it holds what came until then.
    async fn refresh(
        &self,
        access: &Access<'_>,
        state: &mut State,
        window: (Timestamp, Timestamp),
    ) -> Result<(), CalendarError> {
        let key = (access.user.as_str(), access.password);
        let deadline = Instant::now() + self.limits.timeout;
        let server = Server::new(&self.guard, key, self.limits.max_bytes, deadline)?;
        let offers = found(&server, access, state).await?;
        let listing_is_due = state.turn_to(window.0);
        let mut sync = Sync {
            server: &server,
            horizon: state.horizon(),
            until: window.1,
            listing_is_due,
            most: self.limits.max_bytes,
            taken: 0,
        };
        state.calendars.retain(|kept| offers.iter().any(|offer| offer.url.as_str() == kept.url));
        for offer in offers {
            let known = state.calendars.iter().position(|kept| kept.url == offer.url.as_str());
            let place = known.unwrap_or_else(|| {
                state.calendars.push(Kept::at(offer.url.as_str()));
                state.calendars.len() - 1
            });
            sync.taken = state.size() - state.calendars[place].size();
            sync.refresh(&mut state.calendars[place], &offer).await?;
        }
        if state.size() > self.limits.max_bytes {
            return Err(failed(TOO_MUCH));
        }
        Ok(())
    }

    /// Keeps what came of a reading that failed, so that a calendar too large for one deadline is
    /// read in several. In memory only, and for few at a time.
    fn put_aside(&self, subject: &str, state: State) {
        if let Ok(mut unfinished) = self.unfinished.lock() {
            let kept: u64 = unfinished.values().map(State::size).sum();
            if kept + state.size() <= MOST_UNFINISHED {
                unfinished.insert(subject.to_owned(), state.unfinished());
            }
        }
    }
}

#[async_trait]
impl Calendar for CalDavCalendar {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let access = self.access(request)?;
        let subject = subject(&access);
        let known = State::recall(request.known.as_ref(), &subject);
        let begun = self.unfinished.lock().ok().and_then(|mut all| all.remove(&subject));
        let mut state = begun.or_else(|| known.clone()).unwrap_or_else(|| State::new(&subject));
        let before = known.as_ref().map_or(0, State::count);
        if let Err(error) = self.refresh(&access, &mut state, request.window).await {
            if state.count() > before {
                self.put_aside(&subject, state);
            }
            return Err(error);
        }
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
    state: &mut State,
) -> Result<Vec<Offer>, CalendarError> {
    if !state.places.is_empty() {
        match listed(server, &state.places).await {
            Ok(offers) => return Ok(offers),
            Err(refusal) if may_have_moved(&refusal, state, access) => {}
            Err(refusal) => return Err(refusal.told()),
        }
    }
    let places = discover(server, &access.start).await?;
    let offers = listed(server, &places).await.map_err(Refusal::told)?;
    state.places = places;
    Ok(offers)
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
