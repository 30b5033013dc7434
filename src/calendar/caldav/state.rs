//! What is kept of somebody's calendars from one reading to the next, as JSON.
//!
//! Of every entry its path and version; of those that are not over its text too, less what is
//! nobody's business. What is over is kept as a short seal of path and version: enough to see that it
//! did not change, so that a list of everything costs no second look at the past.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::discreet::discreet;
use crate::calendar::event::{Event, Length};
use crate::calendar::kept::seal;
use crate::calendar::parse::parse;
use crate::calendar::zone::is_known as is_known_zone;
use crate::ports::FeedState;

/// Of this layout; another one is read anew.
const LAYOUT: u32 = 1;
/// How long an entry is kept after its end.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often everything is listed, whatever servers say of changes.
const LISTED_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Everything that is known of one address of the roster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    layout: u32,
    /// Which address and user it is about.
    subject: String,
    /// Where the calendars are.
    pub(super) places: Vec<Place>,
    /// Entries that ended before are left out (Unix seconds).
    pub(super) from: i64,
    /// When everything was last listed, by the beginning of the window (Unix seconds).
    listed_at: i64,
    pub(super) calendars: Vec<Kept>,
}

/// Where one or several calendars are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) url: String,
    /// It holds calendars rather than being one.
    pub(super) is_home: bool,
}

/// One calendar.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) url: String,
    /// What is in it does not make its owner busy.
    pub(super) is_free: bool,
    /// What the server called its state when it was last read; `None` if it must be read again.
    pub(super) mark: Option<String>,
    /// Where the next `sync-collection` begins.
    pub(super) token: Option<String>,
    /// Everything was listed once.
    pub(super) is_listed: bool,
    /// By path.
    pub(super) entries: BTreeMap<String, Entry>,
    /// Seals of what is over.
    pub(super) over: BTreeSet<String>,
}

/// One entry: an event with all that belongs to its series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) etag: String,
    /// Empty for what could not be understood.
    pub(super) text: String,
}

/// What becomes of an entry.
pub(super) enum Reduced {
    Kept(String),
    Over,
}

impl State {
    /// What is known, if it is about the same address and of this layout.
    pub(super) fn recall(known: Option<&FeedState>, subject: &str) -> Option<Self> {
        let state: Self = serde_json::from_slice(&known?.body).ok()?;
        (state.layout == LAYOUT && state.subject == subject).then_some(state)
    }

    pub(super) fn new(subject: &str) -> Self {
        Self { layout: LAYOUT, subject: subject.to_owned(), ..Self::default() }
    }

    /// Whether everything must be listed for a window that begins then; if so, what ended long
    /// before it is dropped, and a past that was dropped comes back.
    pub(super) fn turn_to(&mut self, start: Timestamp) -> bool {
        let from = start.saturating_sub(KEPT_FOR).map_or(i64::MIN, Timestamp::as_second);
        let since = start.as_second().saturating_sub(self.listed_at);
        if (0..LISTED_EVERY.as_secs()).contains(&since) && start.as_second() >= self.from {
            return false;
        }
        if from < self.from {
            for calendar in &mut self.calendars {
                calendar.over.clear();
            }
        }
        self.from = from;
        self.listed_at = start.as_second();
        let horizon = self.horizon();
        for calendar in &mut self.calendars {
            calendar.drop_past(horizon);
        }
        true
    }

    /// What was read before a reading failed: the next one goes on from there, with a list of
    /// everything.
    pub(super) fn unfinished(mut self) -> Self {
        self.listed_at = i64::MIN;
        self
    }

    /// How many entries need not be asked for.
    pub(super) fn count(&self) -> usize {
        self.calendars.iter().map(|calendar| calendar.entries.len() + calendar.over.len()).sum()
    }

    pub(super) fn horizon(&self) -> Timestamp {
        Timestamp::from_second(self.from).unwrap_or(Timestamp::MIN)
    }

    /// How much text is kept.
    pub(super) fn size(&self) -> u64 {
        self.calendars.iter().map(Kept::size).sum()
    }

    /// As the store keeps it.
    pub(super) fn to_feed(&self) -> FeedState {
        // Nothing in it can fail to be written.
        let body = serde_json::to_vec(self).unwrap_or_default();
        FeedState { etag: Some(seal(&body)), last_modified: None, body }
    }

    /// The texts of the calendars that make busy, or of the others, one after the other.
    pub(super) fn text(&self, is_free: bool) -> String {
        let calendars = self.calendars.iter().filter(|calendar| calendar.is_free == is_free);
        calendars.flat_map(|calendar| calendar.entries.values()).map(|entry| &*entry.text).collect()
    }

    pub(super) fn broken_entries(&self) -> usize {
        let entries = self.calendars.iter().flat_map(|calendar| calendar.entries.values());
        entries.filter(|entry| entry.text.is_empty()).count()
    }
}

impl Kept {
    pub(super) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }

    /// Whether this version of an entry need not be asked for.
    pub(super) fn knows(&self, path: &str, etag: &str) -> bool {
        !etag.is_empty()
            && (self.entries.get(path).is_some_and(|entry| entry.etag == etag)
                || self.over.contains(&short(path, etag)))
    }

    /// Takes an entry in its new version.
    pub(super) fn put(&mut self, path: String, etag: String, reduced: Reduced) {
        match reduced {
            Reduced::Kept(text) => {
                self.entries.insert(path, Entry { etag, text });
            }
            Reduced::Over => {
                self.over.insert(short(&path, &etag));
                self.entries.remove(&path);
            }
        }
    }

    /// Everything that there is was listed: what was not is gone.
    pub(super) fn keep_only(&mut self, listed: &BTreeMap<String, String>) {
        self.entries.retain(|path, _| listed.contains_key(path));
        let seals: BTreeSet<String> = listed.iter().map(|(path, etag)| short(path, etag)).collect();
        self.over.retain(|seal| seals.contains(seal));
    }

    fn drop_past(&mut self, horizon: Timestamp) {
        let over: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.text.is_empty() && is_over(&entry.text, horizon))
            .map(|(path, _)| path.clone())
            .collect();
        for path in over {
            if let Some(entry) = self.entries.remove(&path) {
                self.over.insert(short(&path, &entry.etag));
            }
        }
    }

    pub(super) fn size(&self) -> u64 {
        let entries = self.entries.iter().map(|(path, entry)| path.len() + entry.text.len());
        let over = self.over.iter().map(String::len);
        entries.chain(over).sum::<usize>() as u64
    }
}

/// The first half of a hash: enough for the entries of one calendar.
fn short(path: &str, etag: &str) -> String {
    let seal = seal(format!("{path}\n{etag}").as_bytes());
    seal.trim_start_matches("sha256:").chars().take(16).collect()
}

/// What is kept of an entry's text; empty if it is no whole calendar.
pub(super) fn reduced(text: &str, horizon: Timestamp) -> Reduced {
    let text = String::from_utf8(discreet(text.as_bytes())).unwrap_or_default();
    let parsed = parse(text.as_bytes(), &TimeZone::UTC);
    if !parsed.is_calendar || !parsed.is_whole || parsed.refused.is_some() {
        return Reduced::Kept(String::new());
    }
    if parsed.events.is_empty() && parsed.broken_events == 0 {
        // A task, or a note.
        return Reduced::Over;
    }
    if is_past(&parsed.events, horizon) {
        Reduced::Over
    } else {
        Reduced::Kept(without_known_zones(&text))
    }
}

/// Every entry brings the rules of its zone along, often more text than the event. They are of use
/// only where the name does not say which zone it is.
fn without_known_zones(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rules: Option<(String, bool)> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        if bare.eq_ignore_ascii_case("BEGIN:VTIMEZONE") {
            rules = Some((String::new(), false));
        }
        let Some((zone, is_known)) = &mut rules else {
            kept.push_str(line);
            continue;
        };
        zone.push_str(line);
        if let Some((name, value)) = bare.split_once(':') {
            *is_known |= name.eq_ignore_ascii_case("TZID") && is_known_zone(value);
        }
        if bare.eq_ignore_ascii_case("END:VTIMEZONE") {
            if !*is_known {
                kept.push_str(zone);
            }
            rules = None;
        }
    }
    kept
}

fn is_over(text: &str, horizon: Timestamp) -> bool {
    is_past(&parse(text.as_bytes(), &TimeZone::UTC).events, horizon)
}

/// Whether nothing of a series can come after `horizon`. One that ends by a count is taken for
/// endless, and where a day begins depends on the person's zone, so a little is added.
fn is_past(events: &[Event], horizon: Timestamp) -> bool {
    !events.is_empty()
        && events.iter().all(|event| last_end(event).is_some_and(|end| end < horizon))
}

fn last_end(event: &Event) -> Option<Timestamp> {
    let day = SignedDuration::from_hours(24);
    let mut starts = vec![event.start.instant()?];
    for rule in &event.rules {
        starts.push(rule.until.as_ref()?.instant()?);
    }
    let mut days = event.length.days();
    for (more, length) in &event.more {
        starts.push(more.instant()?);
        days = days.max(length.map_or(0, Length::days));
    }
    let last = starts.into_iter().max()?;
    last.checked_add(day.checked_mul(i32::try_from(days + 2).ok()?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn event(lines: &str) -> String {
        format!(
            "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"
        )
    }

    #[test]
    fn only_what_is_over_for_good_is_dropped() {
        let horizon = at("2026-03-01T00:00:00Z");
        let is_kept = |text: &str| match reduced(text, horizon) {
            Reduced::Kept(text) => !text.is_empty(),
            Reduced::Over => false,
        };
        for (lines, kept) in [
            ("DTSTART:20260310T100000Z", true),
            ("DTSTART:20260201T100000Z", false),
            ("DTSTART:20260201T100000Z\nDURATION:P40D", true),
            ("DTSTART:20200201T100000Z\nRRULE:FREQ=WEEKLY", true),
            ("DTSTART:20200201T100000Z\nRRULE:FREQ=WEEKLY;COUNT=2", true),
            ("DTSTART:20200201T100000Z\nRRULE:FREQ=WEEKLY;UNTIL=20210101T000000Z", false),
            ("DTSTART:20200201T100000Z\nRRULE:FREQ=WEEKLY;UNTIL=20260401T000000Z", true),
            ("DTSTART:20200201T100000Z\nRDATE:20260310T100000Z", true),
            (
                "DTSTART:20200201T100000Z\nRRULE:FREQ=WEEKLY;UNTIL=20210101T000000Z\nEND:VEVENT\n\
                 BEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20201212T100000Z\nDTSTART:20260401T100000Z",
                true,
            ),
        ] {
            assert_eq!(is_kept(&event(lines)), kept, "{lines}");
        }
        assert!(!is_kept("BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\nEND:VCALENDAR\n"));
        for broken in ["", "<html>", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a"] {
            assert!(matches!(reduced(broken, horizon), Reduced::Kept(text) if text.is_empty()));
        }
    }

    #[test]
    fn rules_of_a_zone_are_kept_where_its_name_does_not_tell() {
        let text = |name: &str| {
            format!(
                "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:{name}\r\nBEGIN:STANDARD\r\n\
                 DTSTART:19700101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\n\
                 END:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:a\r\n\
                 DTSTART;TZID={name}:20260310T100000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            )
        };
        for (name, kept) in [
            ("Europe/Berlin", false),
            ("W. Europe Standard Time", false),
            ("/example.org/20240101_1/Europe/Berlin", false),
            ("Ours", true),
            ("europe/berlin", true),
        ] {
            let Reduced::Kept(reduced) = reduced(&text(name), at("2026-03-01T00:00:00Z")) else {
                panic!("{name}");
            };
            assert_eq!(reduced.contains("VTIMEZONE"), kept, "{name}");
            let start = |text: &str| {
                let parsed = parse(text.as_bytes(), &TimeZone::UTC);
                assert_eq!(parsed.unknown_zones, 0);
                parsed.events[0].start.instant()
            };
            assert_eq!(start(&reduced), start(&text(name)), "{name}");
        }
    }

    #[test]
    fn a_day_later_everything_is_listed_and_an_older_past_comes_back() {
        let mut state = State::new("me");
        let mut calendar = Kept::at("https://dav.example/c/");
        let first = at("2026-03-10T00:00:00Z");
        assert!(state.turn_to(first));
        let text = event("DTSTART:20260305T100000Z");
        calendar.put("/c/1".into(), "\"1\"".into(), reduced(&text, state.horizon()));
        calendar.put("/c/2".into(), "\"2\"".into(), Reduced::Over);
        state.calendars.push(calendar);
        assert_eq!(state.calendars[0].entries.len(), 1);
        assert!(!state.turn_to(at("2026-03-10T23:00:00Z")));
        assert!(!state.turn_to(first));
        assert!(state.turn_to(at("2026-03-20T00:00:00Z")));
        assert_eq!(state.calendars[0].entries.len(), 0);
        assert!(
            state.calendars[0].knows("/c/1", "\"1\"") && state.calendars[0].knows("/c/2", "\"2\"")
        );
        assert!(!state.calendars[0].knows("/c/1", "\"7\""));
        let feed = state.to_feed();
        assert_eq!(State::recall(Some(&feed), "me"), Some(state.clone()));
        assert_eq!(State::recall(Some(&feed), "somebody else"), None);
        assert!(state.turn_to(at("2026-03-06T00:00:00Z")));
        assert!(!state.calendars[0].knows("/c/1", "\"1\""));
    }
}
