//! What Google's events mean.
//!
//! An event that cannot be understood costs itself only. Deleted ones may hold next to nothing: then
//! what is missing is taken from their siblings in the series.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::refusals::stranger;
use super::wire::{Conference, Event, Guest, MOST_EVENTS, Moment, Page};
use crate::calendar::uid;
use crate::calendar::zone::{Zone, Zones};
use crate::domain::meeting::{Attendee, AttendeeKind, Nature, Occurrence, Response};

pub(super) const TOO_MANY: &str = "more than 5000 entries in a week; something fills this calendar";
pub(super) const CUT_OFF: &str = "Google's answer breaks off in the middle";
/// Of one event, in Google's own words.
const MOST_EVENT_BYTES: usize = 512 << 10;
/// Stands where an organiser is not known.
pub(super) const NOBODY: &str = "unknownorganizer@calendar.google.com";

/// Whose calendar is read.
#[derive(Debug)]
pub(in crate::calendar) struct Whose {
    /// For whom the account acts.
    pub(super) person: String,
    /// As the API calls the calendar.
    pub(super) calendar: String,
    /// The roster's address, if the calendar is the person's own: Google may know the person by
    /// another one.
    own: Option<String>,
}

impl Whose {
    /// `mailbox` is what the roster says beyond the person's own address: another mailbox of theirs,
    /// or a calendar that belongs to no mailbox and is read as the person sees it.
    pub(in crate::calendar) fn new(email: &str, mailbox: Option<&str>) -> Self {
        let shared = mailbox.filter(|mailbox| mailbox.ends_with(".calendar.google.com"));
        if let Some(calendar) = shared {
            return Self { person: email.into(), calendar: calendar.into(), own: None };
        }
        Self {
            person: mailbox.unwrap_or(email).into(),
            calendar: "primary".into(),
            own: Some(email.into()),
        }
    }
}

/// What the pages say so far.
#[derive(Default)]
pub(in crate::calendar) struct Pages {
    zone: Option<String>,
    events: Vec<Event>,
    /// Events that could not be understood.
    broken: usize,
}

impl Pages {
    /// Takes a page in and says how to ask for the next one, if there is one.
    pub(in crate::calendar) fn take(&mut self, body: &[u8]) -> Result<Option<String>, String> {
        let page: Page<'_> =
            serde_json::from_slice(body).map_err(|error| match error.classify() {
                serde_json::error::Category::Eof if !body.trim_ascii().is_empty() => {
                    CUT_OFF.to_owned()
                }
                _ => stranger(body, "google.api_url"),
            })?;
        if page.error.is_some() {
            return Err(stranger(body, "google.api_url"));
        }
        self.zone = self.zone.take().or(page.time_zone);
        if let Some(items) = page.items {
            if !items.is_whole || self.events.len() + items.kept.len() > MOST_EVENTS {
                return Err(TOO_MANY.to_owned());
            }
            for item in items.kept {
                let text = item.get();
                match serde_json::from_str(text) {
                    Ok(event) if text.len() <= MOST_EVENT_BYTES => self.events.push(event),
                    _ => self.broken += 1,
                }
            }
        }
        Ok(page.next_page_token.filter(|token| !token.is_empty()))
    }

    /// Everything that overlaps `window`, each once, and what was left out. `zone` is for days if
    /// the calendar names none that is known.
    pub(in crate::calendar) fn occurrences(
        self,
        whose: &Whose,
        zone: &TimeZone,
        window: (Timestamp, Timestamp),
    ) -> (Vec<Occurrence>, Vec<String>) {
        let own = self.zone.as_deref().and_then(|name| Zones::default().find(name));
        let reader = Reader {
            whose,
            zone: own.unwrap_or_else(|| Zone::Known(zone.clone())),
            series: HashMap::new(),
        }
        .with_series(&self.events);
        let mut found: HashMap<(String, Timestamp), Occurrence> = HashMap::new();
        let (mut broken, mut omitted) = (self.broken, 0);
        for event in self.events {
            // Of what is deleted Google may tell no more than that.
            let is_deleted = is_cancelled(&event);
            let hides_guests = hides_guests(&event);
            let Some(one) = reader.occurrence(event) else {
                broken += usize::from(!is_deleted);
                continue;
            };
            if one.start >= window.1 || one.end <= window.0 {
                continue;
            }
            omitted += usize::from(hides_guests && !one.cancelled);
            let key = (one.uid.clone(), one.original_start);
            let standing = |one: &Occurrence| (!one.cancelled, one.sequence);
            match found.get(&key) {
                Some(known) if standing(known) >= standing(&one) => {}
                _ => drop(found.insert(key, one)),
            }
        }
        let warnings = [
            (broken, "could not be understood and are left out"),
            (omitted, "do not name all of their guests"),
        ];
        let seen = warnings.into_iter().filter(|(count, _)| *count > 0);
        let warnings = seen.map(|(count, what)| format!("{count} entries {what}")).collect();
        (found.into_values().collect(), warnings)
    }
}

/// What the instances of a series have in common.
struct Series {
    uid: String,
    length: SignedDuration,
}

struct Reader<'w> {
    whose: &'w Whose,
    /// Of the calendar: where its days begin.
    zone: Zone,
    /// By Google's own id.
    series: HashMap<String, Series>,
}

impl Reader<'_> {
    fn with_series(mut self, events: &[Event]) -> Self {
        for event in events {
            let (Some(id), Some(uid)) = (&event.recurring_event_id, &event.ical_uid) else {
                continue;
            };
            let length = self
                .times(event)
                .map_or(SignedDuration::ZERO, |times| times.end.duration_since(times.start));
            let known = self.series.get(id).is_some_and(|series| !series.length.is_zero());
            if !known {
                self.series.insert(id.clone(), Series { uid: uid.clone(), length });
            }
        }
        self
    }

    /// `None` if too little is known of it.
    fn occurrence(&self, event: Event) -> Option<Occurrence> {
        let (cancelled, has_guests) = (is_cancelled(&event), has_guests(&event));
        let series = event.recurring_event_id.as_deref();
        let siblings = series.and_then(|id| self.series.get(id));
        let original = event.original_start_time.as_ref().and_then(|moment| self.instant(moment));
        let times = self.times(&event).or_else(|| {
            // A cancelled instance may only say when it would have been.
            let start = original.filter(|_| cancelled)?;
            let length = siblings.map_or(SignedDuration::ZERO, |series| series.length);
            Some(Times { start, end: start.checked_add(length).ok()?, all_day: false })
        })?;
        let uid = uid::shared(&match (event.ical_uid.filter(|uid| !uid.is_empty()), siblings) {
            (Some(uid), _) => uid,
            (None, Some(siblings)) => siblings.uid.clone(),
            (None, None) => uid_of(series.or(event.id.as_deref())?),
        });
        // Of a cancelled instance hardly anything is told, so nothing follows from what is not.
        let organizer = self.organizer(event.organizer.as_ref(), has_guests || cancelled);
        let guests = event.attendees.map(|guests| guests.kept).unwrap_or_default();
        let is_free = event.transparency.as_deref() == Some("transparent");
        Some(Occurrence {
            uid,
            original_start: match series {
                Some(_) => original.unwrap_or(times.start),
                None => Timestamp::UNIX_EPOCH,
            },
            title: event.summary.unwrap_or_default().trim().to_owned(),
            start: times.start,
            end: times.end,
            all_day: times.all_day,
            cancelled,
            private: matches!(event.visibility.as_deref(), Some("private" | "confidential")),
            free: is_free,
            recurring: series.is_some(),
            nature: nature(event.kind.as_deref()),
            sequence: event.sequence.and_then(|number| u32::try_from(number).ok()),
            organizer,
            attendees: guests.into_iter().filter_map(|guest| self.attendee(guest)).collect(),
            link: link(event.conference_data, event.hangout_link),
        })
    }

    fn times(&self, event: &Event) -> Option<Times> {
        let (first, last) = (event.start.as_ref()?, event.end.as_ref());
        let start = self.instant(first)?;
        let all_day = first.date_time.is_none();
        let end = match last.and_then(|last| self.instant(last)) {
            Some(end) if end > start => end,
            // The day itself, where its end is missing or not after it.
            _ if all_day => self.day_after(first)?,
            _ => start,
        };
        Some(Times { start, end, all_day })
    }

    fn instant(&self, moment: &Moment) -> Option<Timestamp> {
        let Some(text) = &moment.date_time else {
            return self.zone.instant(day(moment)?.at(0, 0, 0, 0));
        };
        // Google always writes an offset; a time without one stands in the zone that it names.
        text.parse::<Timestamp>().ok().or_else(|| {
            let wall: DateTime = text.parse().ok()?;
            let named = moment.time_zone.as_deref().and_then(|name| Zones::default().find(name));
            named.as_ref().unwrap_or(&self.zone).instant(wall)
        })
    }

    fn day_after(&self, moment: &Moment) -> Option<Timestamp> {
        self.zone.instant(day(moment)?.tomorrow().ok()?.at(0, 0, 0, 0))
    }

    fn organizer(&self, guest: Option<&Guest>, has_guests: bool) -> Option<String> {
        match guest.and_then(|guest| self.address(guest)) {
            Some(address) => Some(address).filter(|address| address != NOBODY),
            // Whoever invites nobody has it from themselves.
            None if !has_guests => self.whose.own.clone(),
            None => None,
        }
    }

    fn attendee(&self, guest: Guest) -> Option<Attendee> {
        let email = self.address(&guest)?;
        let name = guest.display_name.unwrap_or_default();
        // Many calendars repeat the address where a name should be.
        let name = if name.contains('@') { String::new() } else { name.trim().to_owned() };
        let is_room = guest.resource == Some(true);
        Some(Attendee {
            email,
            name,
            response: match guest.response_status.as_deref() {
                Some("accepted") => Response::Accepted,
                Some("declined") => Response::Declined,
                Some("tentative") => Response::Tentative,
                _ => Response::NoAnswer,
            },
            kind: if is_room { AttendeeKind::Room } else { AttendeeKind::Person },
        })
    }

    /// Lower case; the person whose calendar it is goes by the roster's address.
    fn address(&self, guest: &Guest) -> Option<String> {
        if guest.is_self == Some(true)
            && let Some(own) = &self.whose.own
        {
            return Some(own.clone());
        }
        let email = guest.email.as_deref()?.trim().to_lowercase();
        Some(email).filter(|email| email.contains('@'))
    }
}

struct Times {
    start: Timestamp,
    end: Timestamp,
    all_day: bool,
}

fn is_cancelled(event: &Event) -> bool {
    event.status.as_deref() == Some("cancelled")
}

fn hides_guests(event: &Event) -> bool {
    event.attendees_omitted == Some(true)
        || event.attendees.as_ref().is_some_and(|guests| !guests.is_whole)
}

fn has_guests(event: &Event) -> bool {
    event.attendees.as_ref().is_some_and(|guests| !guests.kept.is_empty())
}

fn day(moment: &Moment) -> Option<Date> {
    moment.date.as_deref()?.parse().ok()
}

/// What Google makes out of a mail (`fromGmail`: a flight, a table) is an entry like any other: nobody
/// is invited to it, so nobody is asked about it, and it blocks time only where Google says so.
fn nature(kind: Option<&str>) -> Nature {
    match kind {
        Some("outOfOffice") => Nature::Absence,
        Some("focusTime" | "workingLocation" | "birthday") => Nature::Marker,
        _ => Nature::Meeting,
    }
}

fn link(conference: Option<Conference>, hangout: Option<String>) -> Option<String> {
    let points = conference.and_then(|conference| conference.entry_points).unwrap_or_default();
    let video = points
        .into_iter()
        .filter(|point| point.entry_point_type.as_deref() == Some("video"))
        .filter_map(|point| point.uri);
    video.chain(hangout).find(|link| link.starts_with("https://") || link.starts_with("http://"))
}

/// The iCalendar UID of an event of which only Google's id is known. What was made in Google has its
/// id with `@google.com`; the id of what came from elsewhere is its UID in base 32 after a `_`.
fn uid_of(id: &str) -> String {
    let brought = id.strip_prefix('_').and_then(|rest| String::from_utf8(base32hex(rest)?).ok());
    brought
        .filter(|uid| !uid.is_empty() && !uid.contains(char::is_control))
        .unwrap_or_else(|| format!("{id}@google.com"))
}

/// RFC 4648, section 7, in lower case and without padding.
fn base32hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'0'..=b'9' => letter - b'0',
            b'a'..=b'v' => letter - b'a' + 10,
            _ => return None,
        };
        held = (held << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}
