//! iCalendar text to events. `calcard` splits it into components; what they mean is decided here.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarDuration, ICalendarEntry,
    ICalendarParameterName, ICalendarParameterValue, ICalendarPeriod, ICalendarProperty,
    ICalendarValue,
};
use calcard::{Entry, Parser};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::details::details;
use super::event::{Event, Length, Moment, Replaces, Rule};
use super::recurrence::{Budget, expand};
use super::zone::{Brought, Change, Zone, Zones, as_if_utc};

/// A longer line is left out, with its folds.
const LONGEST_LINE: usize = 64 << 10;
const MOST_EVENTS: usize = 20_000;
/// Alarms and the parts of zones among them.
const MOST_COMPONENTS: usize = 100_000;
/// Of components within each other; calendars need three.
const DEEPEST: usize = 8;
/// Single dates that one event adds or leaves out.
const MOST_DATES: usize = 10_000;
/// Of one zone; two a year are usual.
const MOST_CHANGES: usize = 1000;
/// For all zones of one file together.
const ZONE_TIME: Duration = Duration::from_secs(1);
/// Zone rules are worked out for these years.
const ZONE_YEARS: (i16, i16) = (1970, 2050);

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) events: Vec<Event>,
    /// At least one calendar was there, even if it is empty.
    pub(super) is_calendar: bool,
    /// It has its end; a download that broke off has none.
    pub(super) is_whole: bool,
    pub(super) broken_events: usize,
    pub(super) unknown_zones: usize,
    /// Why the whole of it is not read.
    pub(super) refused: Option<&'static str>,
}

/// Reads everything that can be read. `zone` gives floating times their meaning, unless the
/// calendar names a zone for them.
pub(super) fn parse(text: &[u8], zone: &TimeZone) -> Parsed {
    let Unfolded { text, shape } = unfolded(text);
    let mut parsed =
        Parsed { is_whole: shape.is_whole, refused: shape.refusal(), ..Parsed::default() };
    if parsed.refused.is_some() {
        return parsed;
    }
    let budget = Budget::new(ZONE_TIME);
    let mut parser = Parser::new(&text);
    // Each step takes at least a line.
    for _ in 0..=text.lines().count() {
        match parser.entry() {
            Entry::ICalendar(calendar) => {
                parsed.is_calendar = true;
                Reader::new(&calendar, zone, &budget).read(&mut parsed);
            }
            Entry::Eof => break,
            Entry::UnterminatedComponent(_) | Entry::TooManyComponents => {
                parsed.broken_events += 1;
            }
            _ => {}
        }
    }
    parsed
}

pub(super) struct Unfolded {
    pub(super) text: String,
    shape: Shape,
}

/// What can be told of a file by its lines, before anything is made of them.
#[derive(Debug, Default)]
struct Shape {
    is_whole: bool,
    depth: usize,
    deepest: usize,
    events: usize,
    components: usize,
}

impl Shape {
    fn take(&mut self, line: &[u8]) {
        let after = |word: &[u8]| {
            let start = line.get(..word.len())?;
            start.eq_ignore_ascii_case(word).then(|| line[word.len()..].trim_ascii())
        };
        if let Some(name) = after(b"BEGIN:") {
            self.components += 1;
            self.events += usize::from(name.eq_ignore_ascii_case(b"VEVENT"));
            self.depth += 1;
            self.deepest = self.deepest.max(self.depth);
            if name.eq_ignore_ascii_case(b"VCALENDAR") {
                self.is_whole = false;
            }
        } else if let Some(name) = after(b"END:") {
            self.depth = self.depth.saturating_sub(1);
            if name.eq_ignore_ascii_case(b"VCALENDAR") {
                self.is_whole = true;
            }
        }
    }

    fn refusal(&self) -> Option<&'static str> {
        if self.events > MOST_EVENTS || self.components > MOST_COMPONENTS {
            Some("too many entries; publish fewer past events")
        } else if self.deepest > DEEPEST {
            Some("entries within entries, deeper than any calendar needs")
        } else {
            None
        }
    }
}

/// Joins folded lines before decoding, for a fold may cut a character in two.
pub(super) fn unfolded(text: &[u8]) -> Unfolded {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut shape = Shape::default();
    let mut out: Vec<u8> = Vec::with_capacity(text.len() + 2);
    // Where the line that may still go on begins.
    let mut start = 0;
    let finish = |out: &mut Vec<u8>, start: usize, shape: &mut Shape| {
        if out.len() - start > LONGEST_LINE || out.len() == start {
            out.truncate(start);
        } else {
            shape.take(&out[start..]);
            out.extend_from_slice(b"\r\n");
        }
        out.len()
    };
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.first() {
            Some(b' ' | b'\t') if out.len() > start => out.extend_from_slice(&line[1..]),
            None => {}
            _ => {
                start = finish(&mut out, start, &mut shape);
                out.extend_from_slice(line);
            }
        }
    }
    finish(&mut out, start, &mut shape);
    let text = String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Unfolded { text, shape }
}

/// One calendar of the file.
struct Reader<'c> {
    calendar: &'c ICalendar,
    zones: Zones,
    /// Gives floating times their meaning.
    floating: Zone,
}

impl<'c> Reader<'c> {
    fn new(calendar: &'c ICalendar, zone: &TimeZone, budget: &Budget) -> Self {
        let floating = Zone::Known(zone.clone());
        let mut reader = Self { calendar, zones: Zones::default(), floating };
        for component in &calendar.components {
            if component.component_type == ICalendarComponentType::VTimezone {
                reader.learn_zone(component, budget);
            }
        }
        let named = calendar.components.first().and_then(|root| other(root, "X-WR-TIMEZONE"));
        if let Some(own) = named.and_then(|name| reader.zones.find(&name)) {
            reader.floating = own;
        }
        reader
    }

    fn read(&self, parsed: &mut Parsed) {
        let components = self.calendar.components.iter();
        for component in components.filter(|component| component.component_type.is_event()) {
            match self.event(component, parsed) {
                Some(event) => parsed.events.push(event),
                None => parsed.broken_events += 1,
            }
        }
    }

    fn event(&self, component: &ICalendarComponent, parsed: &mut Parsed) -> Option<Event> {
        let mut moments = |name: ICalendarProperty| self.moments(component, &name, parsed);
        let start = moments(ICalendarProperty::Dtstart).into_iter().next()?.0;
        let end = moments(ICalendarProperty::Dtend).into_iter().next().map(|(end, _)| end);
        let more = moments(ICalendarProperty::Rdate);
        let exceptions: Vec<Moment> =
            moments(ICalendarProperty::Exdate).into_iter().map(|(moment, _)| moment).collect();
        if more.len() > MOST_DATES || exceptions.len() > MOST_DATES {
            return None;
        }
        let replaced = moments(ICalendarProperty::RecurrenceId).into_iter().next();
        let and_following = component
            .property(&ICalendarProperty::RecurrenceId)
            .and_then(|entry| entry.parameter(&ICalendarParameterName::Range))
            .is_some_and(|range| match range {
                ICalendarParameterValue::Bool(and_following) => *and_following,
                other => {
                    other.as_text().is_some_and(|text| text.eq_ignore_ascii_case("THISANDFUTURE"))
                }
            });
        let replaces = replaced.map(|(instance, _)| Replaces { instance, and_following });
        let details = details(component, &start);
        let stamp = [ICalendarProperty::LastModified, ICalendarProperty::Dtstamp]
            .iter()
            .find_map(|name| first_moment(component.property(name)?));
        let uid = component.uid().map(str::trim).filter(|uid| !uid.is_empty());
        Some(Event {
            uid: uid.map_or_else(|| made_up_uid(&start, &details.title), str::to_owned),
            version: (details.sequence, stamp.map(|at| at.to_string()).unwrap_or_default()),
            length: length(component, &start, end.as_ref()),
            rules: self.rules(component, &ICalendarProperty::Rrule),
            exception_rules: self.rules(component, &ICalendarProperty::Exrule),
            start,
            more,
            exceptions,
            replaces,
            details,
        })
    }

    /// Every time under `name`, periods with their length.
    fn moments(
        &self,
        component: &ICalendarComponent,
        name: &ICalendarProperty,
        parsed: &mut Parsed,
    ) -> Vec<(Moment, Option<Length>)> {
        let mut found = Vec::new();
        for entry in component.properties(name) {
            let zone = parameter(entry, &ICalendarParameterName::Tzid).map(|tzid| {
                self.zones.find(&tzid).unwrap_or_else(|| {
                    parsed.unknown_zones += 1;
                    self.floating.clone()
                })
            });
            let zone = zone.unwrap_or_else(|| self.floating.clone());
            for value in &entry.values {
                match value {
                    ICalendarValue::PartialDateTime(at) => {
                        found.extend(moment(at, &zone).map(|moment| (moment, None)));
                    }
                    ICalendarValue::Period(period) => found.extend(self::period(period, &zone)),
                    _ => {}
                }
            }
        }
        found
    }

    fn rules(&self, component: &ICalendarComponent, name: &ICalendarProperty) -> Vec<Rule> {
        let values = component.properties(name).flat_map(|entry| &entry.values);
        values
            .filter_map(|value| match value {
                ICalendarValue::RecurrenceRule(rule) => Some(Rule {
                    until: rule.until.as_ref().and_then(|until| moment(until, &self.floating)),
                    rule: rule.clone(),
                }),
                _ => None,
            })
            .collect()
    }

    /// Works out the changes of a zone that the calendar defines.
    fn learn_zone(&mut self, component: &ICalendarComponent, budget: &Budget) {
        let Some(name) = text(component, &ICalendarProperty::Tzid) else {
            return;
        };
        let mut all = Vec::new();
        for id in &component.component_ids {
            let Some(part) = self.calendar.component_by_id(*id) else {
                continue;
            };
            all.extend(changes(part, budget).unwrap_or_default());
        }
        all.sort_unstable();
        all.dedup();
        all.truncate(MOST_CHANGES);
        let place = other(component, "X-LIC-LOCATION");
        self.zones.own.insert(name, Brought { place, changes: all.into() });
    }
}

/// What one `STANDARD` or `DAYLIGHT` part changes, and when.
fn changes(part: &ICalendarComponent, budget: &Budget) -> Option<Vec<Change>> {
    let before = offset(part, &ICalendarProperty::Tzoffsetfrom)?;
    let after = offset(part, &ICalendarProperty::Tzoffsetto)?;
    let start = first_moment(part.property(&ICalendarProperty::Dtstart)?)?;
    let mut walls = vec![start];
    let years = |year| DateTime::new(year, 1, 1, 0, 0, 0, 0).ok();
    let window = (years(ZONE_YEARS.0)?, years(ZONE_YEARS.1)?);
    for entry in part.properties(&ICalendarProperty::Rrule) {
        for value in &entry.values {
            let ICalendarValue::RecurrenceRule(rule) = value else {
                continue;
            };
            let until = rule.until.as_ref().and_then(local);
            walls.extend(expand(rule, start, until, window, budget).unwrap_or_default());
        }
    }
    for entry in part.properties(&ICalendarProperty::Rdate) {
        walls.extend(entry.values.iter().filter_map(|value| local(value.as_partial_date_time()?)));
    }
    let change =
        |wall: DateTime| Some(Change { at: as_if_utc(wall)? - i64::from(before), before, after });
    Some(walls.into_iter().filter_map(change).collect())
}

/// Seconds east of UTC.
fn offset(part: &ICalendarComponent, name: &ICalendarProperty) -> Option<i32> {
    let value = part.property(name)?.values.first()?;
    if let Some(at) = value.as_partial_date_time() {
        let seconds = i32::from(at.tz_hour?) * 3600 + i32::from(at.tz_minute.unwrap_or(0)) * 60;
        return Some(if at.tz_minus { -seconds } else { seconds });
    }
    let written = value.as_text()?.trim();
    let digits = written.trim_start_matches(['+', '-']);
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i32>().ok();
    let seconds = part(0..2)? * 3600 + part(2..4)? * 60 + part(4..6).unwrap_or(0);
    Some(if written.starts_with('-') { -seconds } else { seconds })
}

fn first_moment(entry: &ICalendarEntry) -> Option<DateTime> {
    local(entry.values.first()?.as_partial_date_time()?)
}

/// What was written, without its zone; a leap second is the one before it.
fn local(at: &PartialDateTime) -> Option<DateTime> {
    let small = |part: Option<u8>| i8::try_from(part.unwrap_or(0)).ok();
    let date = Date::new(
        i16::try_from(at.year?).ok()?,
        i8::try_from(at.month?).ok()?,
        i8::try_from(at.day?).ok()?,
    )
    .ok()?;
    let time = Time::new(small(at.hour)?, small(at.minute)?, small(at.second)?.min(59), 0).ok()?;
    Some(date.to_datetime(time))
}

fn moment(at: &PartialDateTime, zone: &Zone) -> Option<Moment> {
    let wall = local(at)?;
    let is_date = !at.has_time();
    if !at.has_zone() {
        return Some(Moment { wall, zone: zone.clone(), is_date });
    }
    let offset = i64::from(at.tz_hour?) * 3600 + i64::from(at.tz_minute.unwrap_or(0)) * 60;
    let offset = SignedDuration::from_secs(if at.tz_minus { -offset } else { offset });
    Some(Moment { wall: wall.checked_sub(offset).ok()?, zone: Zone::utc(), is_date })
}

fn period(period: &ICalendarPeriod, zone: &Zone) -> Option<(Moment, Option<Length>)> {
    match period {
        ICalendarPeriod::Range { start, end } => {
            let (start, end) = (moment(start, zone)?, moment(end, zone)?);
            let length = end.instant()?.duration_since(start.instant()?);
            Some((start, Some(Length::Exact(length.max(SignedDuration::ZERO)))))
        }
        ICalendarPeriod::Duration { start, duration } => {
            Some((moment(start, zone)?, Some(nominal(duration))))
        }
    }
}

/// Weeks and days are those of the calendar, the rest is elapsed time. Never negative.
fn nominal(duration: &ICalendarDuration) -> Length {
    if duration.neg {
        return Length::Nominal(0, SignedDuration::ZERO);
    }
    let days = i64::from(duration.weeks) * 7 + i64::from(duration.days);
    let seconds = i64::from(duration.hours) * 3600
        + i64::from(duration.minutes) * 60
        + i64::from(duration.seconds);
    Length::Nominal(days, SignedDuration::from_secs(seconds))
}

/// From the end, else from the duration; without either a day has a day and a time has none.
fn length(component: &ICalendarComponent, start: &Moment, end: Option<&Moment>) -> Length {
    let none = Length::Nominal(i64::from(start.is_date), SignedDuration::ZERO);
    if let Some(end) = end {
        if start.is_date && end.is_date {
            let days = end.date().duration_since(start.date()).as_hours() / 24;
            return Length::Nominal(days.max(1), SignedDuration::ZERO);
        }
        let elapsed =
            end.instant().zip(start.instant()).map(|(end, start)| end.duration_since(start));
        return elapsed.filter(|length| !length.is_negative()).map_or(none, Length::Exact);
    }
    let duration = component.property(&ICalendarProperty::Duration);
    match duration.and_then(|entry| entry.values.first()) {
        Some(ICalendarValue::Duration(duration)) => nominal(duration),
        _ => none,
    }
}

pub(super) fn parameter(entry: &ICalendarEntry, name: &ICalendarParameterName) -> Option<String> {
    entry.parameter(name)?.as_text().map(str::to_owned)
}

pub(super) fn text(component: &ICalendarComponent, name: &ICalendarProperty) -> Option<String> {
    let entry = component.property(name)?;
    let words: Vec<&str> = entry.values.iter().filter_map(ICalendarValue::as_text).collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// A property that only vendors know.
pub(super) fn other(component: &ICalendarComponent, name: &str) -> Option<String> {
    let is_it = |entry: &&ICalendarEntry| match &entry.name {
        ICalendarProperty::Other(known) => known.eq_ignore_ascii_case(name),
        _ => false,
    };
    let entry = component.entries.iter().find(is_it)?;
    entry.values.first()?.as_text().map(str::to_owned)
}

/// The same event gets the same one at every reading.
fn made_up_uid(start: &Moment, title: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (start.wall, title).hash(&mut hasher);
    format!("no-uid-{:016x}", hasher.finish())
}
