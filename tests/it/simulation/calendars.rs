//! Pretend calendars, and the organisers who change their minds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use debrief::domain::meeting::{Attendee, AttendeeKind, Nature, Occurrence, Response};
use debrief::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, FeedState, Trouble};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::bot::Process;
use super::world::World;

/// One entry of one rep's calendar, with all that it ever said.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) rep: usize,
    pub(super) uid: String,
    /// Somebody from outside is invited.
    pub(super) customer: bool,
    /// Oldest first, never empty.
    pub(super) versions: Vec<Version>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Version {
    /// From when on the calendar says so, in true time.
    pub(super) since: Timestamp,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Takes,
    Cancelled,
    /// Not in the feed any more.
    Deleted,
}

/// A reading that the bot was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) rep: usize,
    pub(super) taken: Timestamp,
    pub(super) process: u32,
}

#[derive(Default)]
pub(super) struct Calendars(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    entries: Vec<Entry>,
    readings: Vec<Reading>,
}

impl Entry {
    pub(super) fn latest(&self) -> Version {
        *self.versions.last().unwrap()
    }

    fn at(&self, when: Timestamp) -> Option<Version> {
        self.versions.iter().rfind(|version| version.since <= when).copied()
    }
}

impl Calendars {
    pub(super) fn add(&self, entry: Entry) {
        self.shelf().entries.push(entry);
    }

    pub(super) fn change(&self, uid: &str, to: Version) {
        let mut shelf = self.shelf();
        let entry = shelf.entries.iter_mut().find(|entry| entry.uid == uid).unwrap();
        entry.versions.push(to);
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.shelf().entries.clone()
    }

    pub(super) fn entry(&self, uid: &str) -> Entry {
        self.shelf().entries.iter().find(|entry| entry.uid == uid).unwrap().clone()
    }

    fn was_read(&self, reading: Reading) {
        self.shelf().readings.push(reading);
    }

    pub(super) fn readings(&self) -> Vec<Reading> {
        self.shelf().readings.clone()
    }

    /// What a rep's calendar said then, as far as it lies in the window.
    fn as_of(
        &self,
        rep: usize,
        when: Timestamp,
        window: (Timestamp, Timestamp),
    ) -> Vec<Occurrence> {
        let shelf = self.shelf();
        let mut found: Vec<Occurrence> = shelf
            .entries
            .iter()
            .filter(|entry| entry.rep == rep)
            .filter_map(|entry| Some((entry, entry.at(when)?)))
            .filter(|(_, version)| version.standing != Standing::Deleted)
            .filter(|(_, version)| version.end > window.0 && version.start < window.1)
            .map(|(entry, version)| occurrence(entry, version))
            .collect();
        found.sort_by(|one, other| (one.start, &one.uid).cmp(&(other.start, &other.uid)));
        found
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn occurrence(entry: &Entry, version: Version) -> Occurrence {
    let guest = |email: String| Attendee {
        email,
        name: String::new(),
        response: Response::Accepted,
        kind: AttendeeKind::Person,
    };
    let other = if entry.customer { "acme.example" } else { "own.example" };
    Occurrence {
        uid: entry.uid.clone(),
        original_start: Timestamp::UNIX_EPOCH,
        title: entry.uid.clone(),
        start: version.start,
        end: version.end,
        all_day: false,
        cancelled: version.standing == Standing::Cancelled,
        private: false,
        free: false,
        recurring: false,
        nature: Nature::Meeting,
        sequence: None,
        organizer: None,
        attendees: vec![
            guest(format!("r{}@own.example", entry.rep)),
            guest(format!("kim@{}.{other}", entry.uid)),
        ],
        link: None,
    }
}

/// How a process of the bot sees the calendars.
pub(super) struct Reader(pub(super) Process);

#[async_trait]
impl Calendar for Reader {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let Reader(process) = self;
        let world = &process.world;
        let rep = rep_of(&request.source.to_string());
        sleep(world.chance.millis(50, 900)).await;
        if world.has_faults() && world.chance.percent(10) {
            let reason = "it does not answer".to_owned();
            return process
                .survived(Err(CalendarError {
                    reason,
                    retry_after: None,
                    trouble: Trouble::Passing,
                }))
                .await;
        }
        let taken = world.now();
        let occurrences = world.calendars.as_of(rep, taken, request.window);
        world.calendars.was_read(Reading { rep, taken, process: process.number });
        let body = format!("{rep} {taken}").into_bytes();
        let state = Some(FeedState { etag: None, last_modified: None, body });
        process.survived(Ok(CalendarRead { occurrences, state, warnings: vec![] })).await
    }

    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead> {
        let Reader(process) = self;
        let known = String::from_utf8(request.known.clone()?.body).ok()?;
        let (rep, taken) = known.split_once(' ')?;
        let when = taken.parse().ok()?;
        let occurrences = process.world.calendars.as_of(rep.parse().ok()?, when, request.window);
        Some(CalendarRead { occurrences, state: None, warnings: vec![] })
    }
}

/// `ics:https://calendar.example/7.ics` → 7.
fn rep_of(source: &str) -> usize {
    let name = source.rsplit('/').next().unwrap();
    name.strip_suffix(".ics").unwrap().parse().unwrap()
}

/// A week of meetings that somebody else arranges.
pub(super) fn fill(world: &Arc<World>, days: i64) {
    for rep in 0..world.reps() {
        for day in 0..days {
            fill_day(world, rep, day, day == days - 1);
        }
    }
}

/// The last day is short, so that everything can be asked about before the world ends.
fn fill_day(world: &Arc<World>, rep: usize, day: i64, is_last: bool) {
    let chance = &world.chance;
    let morning = world.local(rep, day, 8 * 60 + 30);
    let evening = world.local(rep, day, if is_last { 15 * 60 + 30 } else { 17 * 60 + 30 });
    let half_hours = |count: u64| SignedDuration::from_mins(30 * i64::try_from(count).unwrap());
    let mut start = morning + half_hours(chance.between(0, 3));
    let mut number = 0;
    loop {
        let length = *chance.pick(&[30, 30, 45, 60]);
        let end = start + SignedDuration::from_mins(length);
        if end > evening {
            return;
        }
        let uid = format!("r{rep}d{day}m{number}");
        let first = Version { since: world.now(), start, end, standing: Standing::Takes };
        let customer = chance.percent(75);
        world.calendars.add(Entry { rep, uid: uid.clone(), customer, versions: vec![first] });
        if chance.percent(18) {
            let limit = evening + SignedDuration::from_mins(90);
            tokio::spawn(change_of_mind(Arc::clone(world), uid, first, limit));
        }
        start += half_hours(2 + chance.between(1, 4));
        number += 1;
    }
}

/// Moves, extends, shortens, cancels or deletes a meeting some time around it.
async fn change_of_mind(world: Arc<World>, uid: String, first: Version, limit: Timestamp) {
    let lead = i64::try_from(world.chance.between(0, 3 * 3600)).unwrap();
    let when = first.end + SignedDuration::from_secs(240 - lead);
    world.sleep_until(when).await;
    let minutes = |least, most| {
        SignedDuration::from_mins(i64::try_from(world.chance.between(least, most)).unwrap())
    };
    let mut to = Version { since: world.now(), ..first };
    match world.chance.between(0, 99) {
        0..=29 => {
            let by = minutes(2, 12) * 15;
            (to.start, to.end) = (to.start + by, to.end + by);
        }
        30..=54 => to.end += minutes(1, 4) * 15,
        55..=64 => to.end = to.start + SignedDuration::from_mins(20),
        65..=89 => to.standing = Standing::Cancelled,
        _ => to.standing = Standing::Deleted,
    }
    if to.end > limit {
        return;
    }
    world.note(format!("organiser: {uid} {:?} {}–{}", to.standing, to.start, to.end));
    world.calendars.change(&uid, to);
}

/// When the bot took readings that it lived to store, by rep, in true time.
pub(super) fn stored_readings(world: &World) -> HashMap<usize, Vec<Timestamp>> {
    let mut stored: HashMap<usize, Vec<Timestamp>> = HashMap::new();
    for reading in world.calendars.readings() {
        let died = world.died_at(reading.process);
        if died.is_none_or(|died| died > reading.taken + SignedDuration::from_secs(2)) {
            stored.entry(reading.rep).or_default().push(reading.taken);
        }
    }
    stored
}
