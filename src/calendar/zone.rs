//! What a calendar's time zone names mean.
//!
//! Names come as IANA names, as Windows names, with a vendor's prefix, or as anything at all with
//! the rules beside it. They are tried in that order; a name counts as IANA only in its exact
//! spelling, because some calendars carry other rules under a name that differs in its case.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use windows_timezones::WindowsTimezone;

/// Turns local times into moments.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    Known(TimeZone),
    /// Rules that a calendar brought along, as the changes they make, oldest first.
    Own(Arc<[Change]>),
}

/// From one offset to another, in seconds east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    /// Unix seconds.
    pub(super) at: i64,
    pub(super) before: i32,
    pub(super) after: i32,
}

impl Zone {
    pub(super) fn utc() -> Self {
        Self::Known(TimeZone::UTC)
    }

    /// A time that a change skips is read with the offset before it, one that happens twice is the
    /// first of the two. `None` only beyond the years that can be told.
    pub(super) fn instant(&self, wall: DateTime) -> Option<Timestamp> {
        match self {
            Self::Known(zone) => zone.to_ambiguous_timestamp(wall).compatible().ok(),
            Self::Own(changes) => {
                let seconds = as_if_utc(wall)?;
                let first = changes.first()?;
                let mut offset = first.before;
                for change in changes.iter() {
                    let later = change.before.max(change.after);
                    if seconds - i64::from(later) < change.at {
                        break;
                    }
                    offset = change.after;
                }
                Timestamp::from_second(seconds - i64::from(offset)).ok()
            }
        }
    }

    /// What clocks show at a moment.
    pub(super) fn wall(&self, at: Timestamp) -> DateTime {
        match self {
            Self::Known(zone) => zone.to_datetime(at),
            Self::Own(changes) => {
                let past = changes.iter().rev().find(|change| change.at <= at.as_second());
                let offset = past
                    .map(|change| change.after)
                    .or_else(|| changes.first().map(|change| change.before))
                    .unwrap_or(0);
                Offset::from_seconds(offset).unwrap_or(Offset::UTC).to_datetime(at)
            }
        }
    }
}

/// Unix seconds of a local time, were it UTC.
pub(super) fn as_if_utc(wall: DateTime) -> Option<i64> {
    Offset::UTC.to_timestamp(wall).ok().map(Timestamp::as_second)
}

/// The zones of one calendar.
#[derive(Debug, Default)]
pub(super) struct Zones {
    /// Rules that came with it, by name.
    pub(super) own: HashMap<String, Brought>,
}

/// A zone definition that a calendar brought along.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// What it says of its place in the IANA list (`X-LIC-LOCATION`).
    pub(super) place: Option<String>,
    /// Shared: every time of the calendar may stand in this zone.
    pub(super) changes: Arc<[Change]>,
}

impl Zones {
    /// The zone that `name` stands for.
    pub(super) fn find(&self, name: &str) -> Option<Zone> {
        let name = name.trim().trim_matches('"');
        let brought = self.own.get(name);
        let known =
            named(name).or_else(|| brought.and_then(|brought| exact(brought.place.as_deref()?)));
        if let Some(zone) = known {
            return Some(Zone::Known(zone));
        }
        if let Some(brought) = brought.filter(|brought| !brought.changes.is_empty()) {
            return Some(Zone::Own(Arc::clone(&brought.changes)));
        }
        fuzzy(name).map(Zone::Known)
    }
}

/// Whether a name says which zone it is, whatever rules come with it.
pub(super) fn is_known(name: &str) -> bool {
    named(name.trim().trim_matches('"')).is_some()
}

fn named(name: &str) -> Option<TimeZone> {
    exact(name).or_else(|| windows(name)).or_else(|| without_prefix(name))
}

fn exact(name: &str) -> Option<TimeZone> {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    let names = NAMES
        .get_or_init(|| jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect());
    if name == "Z" || name == "UTC" || name == "Etc/UTC" {
        return Some(TimeZone::UTC);
    }
    names.contains(name).then(|| TimeZone::get(name).ok()).flatten()
}

fn windows(name: &str) -> Option<TimeZone> {
    let known: WindowsTimezone = name.parse().ok()?;
    TimeZone::get(known.tzdb_id()).ok()
}

/// `/example.org/20240101_1/Europe/Berlin` → `Europe/Berlin`
fn without_prefix(name: &str) -> Option<TimeZone> {
    let rest = name.strip_prefix('/')?;
    let mut from = rest;
    while let Some((_, shorter)) = from.split_once('/') {
        if let Some(zone) = exact(shorter) {
            return Some(zone);
        }
        from = shorter;
    }
    None
}

/// Names in another case, `GMT+0100`, `(UTC+01:00) Amsterdam, Berlin`.
fn fuzzy(name: &str) -> Option<TimeZone> {
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let upper = name.trim_start_matches('(').to_uppercase();
    let rest = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT"))?;
    let rest = rest.split([')', ' ']).next().unwrap_or(rest);
    if rest.is_empty() {
        return Some(TimeZone::UTC);
    }
    let negative = rest.starts_with(['-', '−']);
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.parse::<i32>().ok()?, 0),
        3 => (digits[..1].parse().ok()?, digits[1..].parse::<i32>().ok()?),
        4 => (digits[..2].parse().ok()?, digits[2..].parse::<i32>().ok()?),
        _ => return None,
    };
    let seconds = hours * 3600 + minutes * 60;
    let offset = Offset::from_seconds(if negative { -seconds } else { seconds }).ok()?;
    Some(TimeZone::fixed(offset))
}

/// `at` moved by whole days on the wall and then by an exact time.
pub(super) fn later(
    zone: &Zone,
    wall: DateTime,
    days: i64,
    exact: SignedDuration,
) -> Option<Timestamp> {
    let moved = wall.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    zone.instant(moved)?.checked_add(exact).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Option<String> {
        match Zones::default().find(name)? {
            Zone::Known(zone) => {
                let fixed = || zone.to_fixed_offset().map(|offset| offset.to_string());
                zone.iana_name().map(str::to_owned).or_else(|| fixed().ok())
            }
            Zone::Own(_) => Some("own".into()),
        }
    }

    #[test]
    fn names_of_every_sort() {
        for (name, zone) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("W. Europe Standard Time", "Europe/Berlin"),
            ("Pacific Standard Time", "America/Los_Angeles"),
            ("/freeassociation.sourceforge.net/Europe/Paris", "Europe/Paris"),
            ("/citadel.org/20210210_1/America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
            ("europe/berlin", "Europe/Berlin"),
            ("GMT+0100", "+01"),
            ("(UTC-03:30) Newfoundland", "-03:30"),
            ("UTC", "UTC"),
        ] {
            assert_eq!(told(name).as_deref(), Some(zone), "{name}");
        }
        assert_eq!(told("Customized Time Zone"), None);
    }

    #[test]
    fn rules_of_its_own_know_gaps_and_folds() {
        // Central Europe, 2026: 29 March and 25 October, at 01:00 UTC.
        let changes: Arc<[Change]> = Arc::from([
            Change { at: 1_774_746_000, before: 3600, after: 7200 },
            Change { at: 1_792_890_000, before: 7200, after: 3600 },
        ]);
        let own = Zone::Own(changes);
        let berlin = Zone::Known(TimeZone::get("Europe/Berlin").unwrap());
        for wall in [
            "2026-01-10T12:00",
            "2026-03-29T01:59",
            "2026-03-29T02:30",
            "2026-03-29T03:00",
            "2026-07-01T09:00",
            "2026-10-25T01:59",
            "2026-10-25T02:30",
            "2026-10-25T03:00",
        ] {
            let wall: DateTime = wall.parse().unwrap();
            let at = berlin.instant(wall).unwrap();
            assert_eq!(own.instant(wall), Some(at), "{wall}");
            assert_eq!(own.wall(at), berlin.wall(at), "{wall}");
        }
    }
}
