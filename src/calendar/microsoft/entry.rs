//! What one entry of an Exchange calendar means.
//!
//! Two things that Graph keeps apart belong together for us: the list of guests is without the
//! organiser, and in a guest's calendar only `responseStatus` knows what that guest answered.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::wire::{Entry, Guest, Moment, Status};
use crate::calendar::uid;
use crate::calendar::zone::{Zone, Zones};
use crate::domain::meeting::{Attendee, AttendeeKind, Nature, Occurrence, Response};

/// Whose calendar is read.
#[derive(Debug, Clone)]
pub(in crate::calendar) struct Whose {
    /// As the roster knows the person; lower case.
    pub(in crate::calendar) email: String,
    /// Where the calendar is: the same, or another address of that person.
    pub(in crate::calendar) mailbox: String,
    /// Gives whole days their meaning.
    pub(in crate::calendar) zone: TimeZone,
}

impl Whose {
    fn is_own(&self, email: &str) -> bool {
        email == self.email || email == self.mailbox
    }
}

/// What is shown of a series as a whole; its instances come by themselves.
pub(super) fn is_master(entry: &Entry) -> bool {
    entry.kind.as_deref() == Some("seriesMaster")
}

/// `None` if it has no name or no times.
pub(super) fn occurrence(entry: &Entry, whose: &Whose) -> Option<Occurrence> {
    let raw_uid = entry.ical_uid.as_deref().filter(|uid| !uid.trim().is_empty());
    let raw_uid = raw_uid.or(entry.id.as_deref()).filter(|uid| !uid.trim().is_empty())?;
    let all_day = entry.is_all_day.unwrap_or(false);
    let days = all_day.then_some(&whose.zone);
    let start = moment(entry.start.as_ref()?, days)?;
    let end = moment(entry.end.as_ref()?, days)?.max(start);
    let recurring = is_instance(entry, raw_uid);
    let original = || entry.original_start.as_deref().and_then(|text| instant(text, None, days));
    let original_start =
        if recurring { original().unwrap_or(start) } else { Timestamp::UNIX_EPOCH };
    let shown_as = |word| entry.show_as.as_deref() == Some(word);
    let organizer = entry.organizer.as_ref().and_then(guest).map(|host| {
        // A mailbox of theirs under another address is the person all the same.
        if whose.is_own(&host.email) { whose.email.clone() } else { host.email }
    });
    let attendees = attendees(entry, whose, shown_as("oof"));
    let meets_others = attendees.iter().any(|guest| guest.email != whose.email);
    let nature = match entry.show_as.as_deref() {
        Some("oof") => Nature::Absence,
        // Where somebody works; with guests it is a meeting that they hold there.
        Some("workingElsewhere") if !meets_others => Nature::Marker,
        _ => Nature::Meeting,
    };
    Some(Occurrence {
        uid: uid::shared(raw_uid),
        original_start,
        title: entry.subject.as_deref().unwrap_or_default().trim().to_owned(),
        start,
        end,
        all_day,
        cancelled: entry.is_cancelled.unwrap_or(false),
        private: entry.sensitivity.as_deref().is_some_and(|word| word != "normal"),
        free: shown_as("free"),
        recurring,
        nature,
        // Graph has the property of Exchange that counts changes only for entries read singly.
        sequence: None,
        organizer,
        attendees,
        link: link(entry),
    })
}

/// Whether it is one of a series. Somebody who is invited to one instance only has it as an entry
/// that does not repeat; then its id tells.
fn is_instance(entry: &Entry, raw_uid: &str) -> bool {
    match entry.kind.as_deref() {
        Some("occurrence" | "exception") => true,
        Some(_) => uid::names_an_instance(raw_uid),
        None => entry.original_start.is_some() || uid::names_an_instance(raw_uid),
    }
}

/// `days` is the zone that whole days are meant in.
fn moment(moment: &Moment, days: Option<&TimeZone>) -> Option<Timestamp> {
    instant(moment.date_time.as_deref()?, moment.time_zone.as_deref(), days)
}

/// We ask for UTC; a server that does not care names the zone.
fn instant(text: &str, zone: Option<&str>, days: Option<&TimeZone>) -> Option<Timestamp> {
    let text = text.trim();
    let utc = text.parse::<Timestamp>().ok();
    let wall = match utc {
        Some(at) => TimeZone::UTC.to_datetime(at),
        None => text.parse::<DateTime>().ok()?,
    };
    // A whole day is written as midnight wherever it was made.
    if let Some(days) = days.filter(|_| wall.time() == Time::midnight()) {
        return days.to_ambiguous_timestamp(wall).compatible().ok();
    }
    utc.or_else(|| named(zone.unwrap_or("UTC"))?.instant(wall))
}

fn named(zone: &str) -> Option<Zone> {
    let zone = zone.trim();
    if zone.eq_ignore_ascii_case("UTC") || zone.eq_ignore_ascii_case("tzone://Microsoft/Utc") {
        return Some(Zone::utc());
    }
    Zones::default().find(zone)
}

/// Everybody who is invited, the organiser among them. The person whose calendar it is goes by the
/// address of the roster and has the answer that their own calendar knows.
fn attendees(entry: &Entry, whose: &Whose, is_absence: bool) -> Vec<Attendee> {
    let mut all: Vec<Attendee> = Vec::new();
    let listed = entry.attendees.as_ref().map(|list| list.kept.as_slice()).unwrap_or_default();
    for mut one in listed.iter().filter_map(guest) {
        if whose.is_own(&one.email) {
            one.email.clone_from(&whose.email);
        }
        if !all.iter().any(|known| known.email == one.email) {
            all.push(one);
        }
    }
    let meets_others = |all: &[Attendee]| all.iter().any(|guest| guest.email != whose.email);
    let host = entry.organizer.as_ref().and_then(guest);
    if let Some(host) = host.filter(|host| !whose.is_own(&host.email)) {
        let is_known = all.iter().any(|known| known.email == host.email);
        // Who enters somebody's holiday for them does not meet them then.
        if !is_known && (!is_absence || meets_others(&all)) {
            all.push(Attendee { response: Response::Accepted, ..host });
        }
    }
    let own = answer(entry.response_status.as_ref());
    if let Some(me) = all.iter_mut().find(|guest| guest.email == whose.email) {
        if own != Response::NoAnswer {
            me.response = own;
        }
    } else if meets_others(&all) {
        // Invited through a group, or under a further address.
        let (email, kind) = (whose.email.clone(), AttendeeKind::Person);
        all.push(Attendee { email, name: String::new(), response: own, kind });
    }
    all
}

fn guest(guest: &Guest) -> Option<Attendee> {
    let address = guest.email_address.as_ref()?;
    // Exchange writes its own kind of address for who has left.
    let email = address.address.as_deref()?.trim().to_lowercase();
    if !email.contains('@') {
        return None;
    }
    let name = address.name.as_deref().unwrap_or_default().trim();
    let kind = match guest.kind.as_deref() {
        Some("resource") => AttendeeKind::Room,
        _ => AttendeeKind::Person,
    };
    Some(Attendee {
        email,
        // Often the address again.
        name: if name.contains('@') { String::new() } else { name.to_owned() },
        response: answer(guest.status.as_ref()),
        kind,
    })
}

fn answer(status: Option<&Status>) -> Response {
    match status.and_then(|status| status.response.as_deref()) {
        Some("accepted" | "organizer") => Response::Accepted,
        Some("declined") => Response::Declined,
        Some("tentativelyAccepted") => Response::Tentative,
        _ => Response::NoAnswer,
    }
}

/// To join, else to read more.
fn link(entry: &Entry) -> Option<String> {
    let join = entry.online_meeting.as_ref().and_then(|meeting| meeting.join_url.as_ref());
    let all = [join, entry.online_meeting_url.as_ref(), entry.web_link.as_ref()];
    let is_web = |link: &&String| link.starts_with("https://") || link.starts_with("http://");
    all.into_iter().flatten().find(is_web).cloned()
}
