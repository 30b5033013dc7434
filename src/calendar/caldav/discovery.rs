//! Where somebody's calendars are, and which of them are theirs.
//!
//! The roster may name a calendar, the home of calendars, a person or the server itself (RFC 6764).
//! What it names is taken at its word: only the root of a server leads to the calendars of whoever
//! logs in.

use reqwest::Url;

use super::href::{path, place};
use super::multistatus::{Answer, Props, Response};
use super::server::{Depth, Refusal, Server};
use super::state::Place;
use crate::calendar::fetch::failed;
use crate::ports::CalendarError;

/// Nobody has more.
const MOST_CALENDARS: usize = 100;

const NOTHING_HERE: &str = "no calendar is found at this address; write that of the server, of a \
                            person, or of one calendar";
const NO_EVENTS: &str = "no calendar of events of this person is found; name the calendar itself \
                         if it belongs to somebody else";
const NOT_READABLE: &str = "this user may not read this calendar";
const MANY: &str = "too many calendars; name one of them";

const WHAT_IT_IS: &str = "<D:resourcetype/><D:current-user-principal/><C:calendar-home-set/>";
const WHAT_THEY_ARE: &str = "<D:resourcetype/><D:owner/><D:current-user-privilege-set/>\
    <D:sync-token/><S:getctag/><S:source/><C:supported-calendar-component-set/>\
    <C:schedule-calendar-transp/>";

/// A calendar as its server lists it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) url: Url,
    pub(super) is_free: bool,
    /// What the server calls its state; `None` if it does not tell.
    pub(super) mark: Option<String>,
    /// It speaks `sync-collection`.
    pub(super) syncs: bool,
}

/// Finds out what the roster's address stands for.
pub(super) async fn discover(
    server: &Server<'_>,
    start: &Url,
) -> Result<Vec<Place>, CalendarError> {
    let refused = match look(server, start).await {
        Ok((url, props)) => match follow(server, &url, &props).await {
            Ok(places) if places.is_empty() => None,
            found => return found.map_err(Refusal::told),
        },
        Err(refusal) if refusal.is_about_the_question() => Some(refusal),
        Err(refusal) => return Err(refusal.told()),
    };
    if start.path() == "/" {
        let known = place(start, "/.well-known/caldav")?;
        match look(server, &known).await {
            Ok((url, props)) => {
                let places = follow(server, &url, &props).await.map_err(Refusal::told)?;
                if !places.is_empty() {
                    return Ok(places);
                }
            }
            Err(refusal) if refusal.is_about_the_question() => {}
            Err(refusal) => return Err(refusal.told()),
        }
    }
    Err(refused.map_or_else(|| failed(NOTHING_HERE), Refusal::told))
}

/// From whatever it is to its calendars.
async fn follow(server: &Server<'_>, url: &Url, props: &Props) -> Result<Vec<Place>, Refusal> {
    if props.is_calendar {
        return Ok(vec![Place { url: url.to_string(), is_home: false }]);
    }
    if !props.homes.is_empty() {
        return homes(url, props);
    }
    let itself = Place { url: url.to_string(), is_home: true };
    if props.is_collection && url.path() != "/" {
        let (_, answer) = server.properties(url, Depth::Children, WHAT_THEY_ARE).await?;
        if answer.responses.iter().any(|response| response.props.is_calendar) {
            return Ok(vec![itself]);
        }
    }
    let Some(principal) = &props.principal else {
        return Ok(Vec::new());
    };
    // A person is on the server that knows them, whatever host stands in the path.
    let person = on_server(url, principal).ok_or_else(|| failed(NOTHING_HERE))?;
    let (url, props) = look(server, &person).await?;
    homes(&url, &props)
}

fn homes(base: &Url, props: &Props) -> Result<Vec<Place>, Refusal> {
    let home = |href: &String| {
        let url = place(base, href)?;
        Ok(Place { url: url.to_string(), is_home: true })
    };
    props.homes.iter().take(MOST_CALENDARS).map(home).collect()
}

/// The properties of one address, and where it turned out to be.
async fn look(server: &Server<'_>, url: &Url) -> Result<(Url, Props), Refusal> {
    let (from, answer) = server.properties(url, Depth::Itself, WHAT_IT_IS).await?;
    let first = answer.responses.into_iter().next();
    let Response { status, props, .. } = first.unwrap_or_default();
    match status.and_then(|code| reqwest::StatusCode::from_u16(code).ok()) {
        Some(code) if !code.is_success() => Err(Refusal::Status(code, None)),
        _ => Ok((from, props)),
    }
}

/// The calendars of events at all places.
pub(super) async fn listed(server: &Server<'_>, places: &[Place]) -> Result<Vec<Offer>, Refusal> {
    let mut offers: Vec<Offer> = Vec::new();
    for known in places {
        let url = Url::parse(&known.url).map_err(|_| failed(NOTHING_HERE))?;
        let depth = if known.is_home { Depth::Children } else { Depth::Itself };
        let (from, answer) = server.properties(&url, depth, WHAT_THEY_ARE).await?;
        let found =
            if known.is_home { of_home(&from, answer)? } else { vec![single(&from, answer)?] };
        for offer in found {
            if !offers.iter().any(|other| other.url == offer.url) {
                offers.push(offer);
            }
        }
    }
    if offers.is_empty() {
        return Err(failed(NO_EVENTS).into());
    }
    if offers.len() > MOST_CALENDARS {
        return Err(failed(MANY).into());
    }
    Ok(offers)
}

/// One calendar that the roster names: whosever it is, if it can be read.
fn single(from: &Url, answer: Answer) -> Result<Offer, Refusal> {
    let response = answer.responses.into_iter().next().unwrap_or_default();
    if let Some(code) = response.status.filter(|code| !(200..300).contains(code)) {
        let code = reqwest::StatusCode::from_u16(code).map_err(|_| failed(NOTHING_HERE))?;
        return Err(Refusal::Status(code, None));
    }
    let props = response.props;
    if !props.is_calendar {
        return Err(Refusal::Status(reqwest::StatusCode::NOT_FOUND, None));
    }
    if !props.may_read {
        return Err(failed(NOT_READABLE).into());
    }
    if !props.holds_events {
        return Err(failed(NO_EVENTS).into());
    }
    Ok(offer(from.clone(), props))
}

/// The person's own calendars of events: not what others share with them, what they subscribed to,
/// tasks, or what they may not read.
fn of_home(from: &Url, answer: Answer) -> Result<Vec<Offer>, Refusal> {
    if answer.is_cut_short() {
        return Err(Refusal::Status(reqwest::StatusCode::INSUFFICIENT_STORAGE, None));
    }
    let home = path(from, "").map(|path| trimmed(&path).to_owned());
    let mut owner: Option<String> = None;
    let mut found = Vec::new();
    for response in answer.responses {
        let Some(url) = on_server(from, &response.href) else { continue };
        let props = response.props;
        if Some(trimmed(url.path())) == home.as_deref() {
            owner = props.owner;
            continue;
        }
        if response.status.is_some_and(|code| code >= 500) {
            // One that is there and cannot be told of must not look like one that is gone.
            return Err(failed("the server cannot tell of one of the calendars now").into());
        }
        let is_right = props.is_calendar && props.holds_events && props.may_read;
        if is_right && !props.is_subscribed {
            found.push((url, props));
        }
    }
    let person = |href: &str| path(from, href).map(|path| trimmed(&path).to_owned());
    found.retain(|(_, props)| match (&owner, &props.owner) {
        (Some(home), Some(one)) => person(home) == person(one),
        _ => true,
    });
    Ok(found.into_iter().map(|(url, props)| offer(url, props)).collect())
}

fn offer(url: Url, props: Props) -> Offer {
    let syncs = props.token.is_some();
    let mark = match (props.ctag, props.token) {
        (None, None) => None,
        (ctag, token) => {
            Some(format!("{}\n{}", ctag.unwrap_or_default(), token.unwrap_or_default()))
        }
    };
    Offer { url, is_free: props.is_free, mark, syncs }
}

/// The same server with the path of `href`.
fn on_server(base: &Url, href: &str) -> Option<Url> {
    let mut url = base.clone();
    url.set_path(&path(base, href)?);
    url.set_query(None);
    Some(url)
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}
