//! Cron expression + zone → the latest moment owed.
//!
//! Schedules look back: a bot that slept through Monday 08:00 still sees that slot at 11:00. The
//! `cron` crate never sees a zone. It counts on a wall clock that is called UTC and has no clock
//! changes; what it finds is mapped to the zone afterwards. A time that a change skips moves on by
//! the gap, a time that happens twice means the first.

use std::fmt;

use chrono::{DateTime, Utc};
use jiff::civil::{Date, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// When something is due: five fields, minute to weekday.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: cron::Schedule,
}

/// One moment of a schedule in one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub at: Timestamp,
    /// The local date of `at`: what a digest is keyed by.
    pub date: Date,
}

/// The expression cannot be used; the text says why and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

/// A field's place, its name, what may stand there.
const FIELDS: [(usize, &str, &str); 4] = [
    (0, "a minute", "0 to 59, such as 0, 0,30 or */15"),
    (1, "an hour", "0 to 23, such as 8, 8,13 or 8-17"),
    (2, "a day of the month", "1 to 31, such as 1, 1,15 or *"),
    (3, "a month", "1 to 12 or JAN to DEC, such as 1-6 or *"),
];

impl Schedule {
    /// Reads `minute hour day-of-month month weekday`, with weekdays by name.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(ScheduleError(format!(
                "{text:?} needs five fields and has {}: minute, hour, day of the month, \
                 month and weekday, such as \"0 8 * * MON\"",
                fields.len()
            )));
        };
        for (place, name, allowed) in FIELDS {
            let mut alone = ["*"; 5];
            alone[place] = fields[place];
            if evaluator(&alone).is_none() {
                return Err(ScheduleError(format!(
                    "{:?} is not {name}; write {allowed}",
                    fields[place]
                )));
            }
        }
        let weekday = match weekday {
            "*" => "*".to_owned(),
            names => ordinals(&weekdays(names)?),
        };
        if weekday != "*" && !matches!(day, "*" | "?") {
            // Elsewhere in the world this means "or", to the `cron` crate it means "and".
            return Err(ScheduleError(
                "names both a day of the month and a weekday; leave one of them *".into(),
            ));
        }
        let cron = evaluator(&[minute, hour, day, month, &weekday])
            .filter(|cron| cron.after(&DateTime::<Utc>::UNIX_EPOCH).next().is_some())
            .ok_or_else(|| ScheduleError(format!("{text:?} never comes: no month has that day")))?;
        Ok(Self { text: text.to_owned(), cron })
    }

    /// The latest slot at or before `now`.
    pub fn latest(&self, now: Timestamp, zone: &TimeZone) -> Option<Slot> {
        let mut best: Option<Slot> = None;
        // Backwards the crate is strict, so start a second late.
        let from = wall_clock(now, offsets_around(now, zone).1 + 1)?;
        for wall in self.cron.after(&from).rev() {
            // A skipped time moves on, maybe past one that comes later on the wall.
            if best.is_some_and(|best| {
                wall.timestamp() - offsets_around(best.at, zone).0 <= best.at.as_second()
            }) {
                break;
            }
            best = slot_at(wall, zone)
                .filter(|slot| slot.at <= now && best.is_none_or(|best| slot.at > best.at))
                .or(best);
        }
        best
    }

    /// The first slot after `now`.
    pub fn next(&self, now: Timestamp, zone: &TimeZone) -> Option<Slot> {
        let mut best: Option<Slot> = None;
        let from = wall_clock(now, offsets_around(now, zone).0)?;
        for wall in self.cron.after(&from) {
            if best.is_some_and(|best| {
                wall.timestamp() - offsets_around(best.at, zone).1 >= best.at.as_second()
            }) {
                break;
            }
            best = slot_at(wall, zone)
                .filter(|slot| slot.at > now && best.is_none_or(|best| slot.at < best.at))
                .or(best);
        }
        best
    }

    /// The next `count` slots, for showing what a schedule means.
    pub fn upcoming(&self, now: Timestamp, zone: &TimeZone, count: usize) -> Vec<Slot> {
        std::iter::successors(self.next(now, zone), |slot| self.next(slot.at, zone))
            .take(count)
            .collect()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads weekdays by name: `MON`, `MON,THU`, `MON-FRI`, `SAT-MON`; Monday first, each once.
pub fn weekdays(text: &str) -> Result<Vec<Weekday>, ScheduleError> {
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (weekday(first)?, weekday(last)?);
        days.push(day);
        while day != last {
            day = day.next();
            days.push(day);
        }
    }
    days.sort_unstable_by_key(|day| day.to_monday_one_offset());
    days.dedup();
    Ok(days)
}

/// The first three letters, or the whole name.
fn weekday(text: &str) -> Result<Weekday, ScheduleError> {
    const NAMES: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let name = text.trim().to_lowercase();
    if name.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(ScheduleError(format!(
            "{text:?} is not a weekday: programs number weekdays differently, so write names: \
             MON, TUE, WED, THU, FRI, SAT, SUN"
        )));
    }
    NAMES
        .into_iter()
        .find_map(|(full, day)| (name == full || name == full[..3]).then_some(day))
        .ok_or_else(|| {
            ScheduleError(format!(
                "{text:?} is not a weekday; write MON, TUE, WED, THU, FRI, SAT or SUN, such as \
                 MON, MON,THU or MON-FRI"
            ))
        })
}

/// Weekdays as the `cron` crate counts them: Sunday is 1.
fn ordinals(days: &[Weekday]) -> String {
    let numbers: Vec<String> =
        days.iter().map(|day| day.to_sunday_one_offset().to_string()).collect();
    numbers.join(",")
}

/// The crate wants seconds first.
fn evaluator(fields: &[&str; 5]) -> Option<cron::Schedule> {
    format!("0 {}", fields.join(" ")).parse().ok()
}

/// The smallest and largest offset in force within two days of `at`, in seconds east of UTC.
///
/// A wall time W near `at` lies between `W - largest` and `W - smallest`.
fn offsets_around(at: Timestamp, zone: &TimeZone) -> (i64, i64) {
    let near = [-48, 0, 48].map(|hours| {
        let then = at.saturating_add(SignedDuration::from_hours(hours));
        i64::from(zone.to_offset(then.unwrap_or(at)).seconds())
    });
    let [before, now, after] = near;
    (before.min(now).min(after), before.max(now).max(after))
}

fn wall_clock(at: Timestamp, offset: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.as_second() + offset, 0)
}

fn slot_at(wall: DateTime<Utc>, zone: &TimeZone) -> Option<Slot> {
    let wall = Timestamp::from_second(wall.timestamp()).ok()?;
    let at = zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(wall)).compatible().ok()?;
    Some(Slot { at, date: at.to_zoned(zone.clone()).date() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// Slots as local times with offset.
    fn shown(slot: Option<Slot>, zone: &TimeZone) -> String {
        slot.map_or_else(
            || "none".into(),
            |slot| {
                let local = slot.at.to_zoned(zone.clone());
                assert_eq!(local.date(), slot.date);
                local.strftime("%a %Y-%m-%d %H:%M %:z").to_string()
            },
        )
    }

    fn latest(text: &str, now: &str, place: &str) -> String {
        let slot = Schedule::parse(text).unwrap().latest(now.parse().unwrap(), &zone(place));
        shown(slot, &zone(place))
    }

    fn next(text: &str, now: &str, place: &str) -> String {
        let slot = Schedule::parse(text).unwrap().next(now.parse().unwrap(), &zone(place));
        shown(slot, &zone(place))
    }

    const BERLIN: &str = "Europe/Berlin";
    const MONDAYS: &str = "0 8 * * MON";

    #[test]
    fn a_slot_is_owed_from_its_very_second() {
        let cases = [
            ("2026-03-09T06:59:59.999Z", "Mon 2026-03-02 08:00 +01:00"),
            ("2026-03-09T07:00:00Z", "Mon 2026-03-09 08:00 +01:00"),
            ("2026-03-09T07:00:00.5Z", "Mon 2026-03-09 08:00 +01:00"),
            ("2026-03-09T10:00:00Z", "Mon 2026-03-09 08:00 +01:00"),
            ("2026-03-15T23:59:59Z", "Mon 2026-03-09 08:00 +01:00"),
        ];
        for (now, slot) in cases {
            assert_eq!(latest(MONDAYS, now, BERLIN), slot, "{now}");
        }
        let after = "Mon 2026-03-16 08:00 +01:00";
        assert_eq!(next(MONDAYS, "2026-03-09T07:00:00Z", BERLIN), after);
        assert_eq!(next(MONDAYS, "2026-03-09T06:59:59.9Z", BERLIN), "Mon 2026-03-09 08:00 +01:00");
    }

    #[test]
    fn a_skipped_time_moves_on_by_the_gap() {
        let daily = "30 2 * * *";
        let gap = "Sun 2026-03-29 03:30 +02:00";
        assert_eq!(next(daily, "2026-03-29T00:59:00Z", BERLIN), gap);
        assert_eq!(latest(daily, "2026-03-29T01:30:00Z", BERLIN), gap);
        assert_eq!(latest(daily, "2026-03-29T01:29:59Z", BERLIN), "Sat 2026-03-28 02:30 +01:00");
        assert_eq!(
            next("0 0 * * *", "2026-04-23T12:00:00Z", "Africa/Cairo"),
            "Fri 2026-04-24 01:00 +03:00"
        );
    }

    #[test]
    fn a_time_that_happens_twice_is_owed_once() {
        let daily = "30 2 * * *";
        let first = "Sun 2026-10-25 02:30 +02:00";
        assert_eq!(next(daily, "2026-10-24T12:00:00Z", BERLIN), first);
        for now in [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:15:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T12:00:00Z",
        ] {
            assert_eq!(latest(daily, now, BERLIN), first, "{now}");
            assert_eq!(next(daily, now, BERLIN), "Mon 2026-10-26 02:30 +01:00", "{now}");
        }
    }

    /// Twice a year in most zones, and some have stranger habits: midnight skipped, half an hour.
    #[test]
    fn f22_every_zone_gets_each_day_exactly_once_for_two_years() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let end: Timestamp = "2028-01-01T00:00:00Z".parse().unwrap();
        let mut zones = 0;
        for name in jiff::tz::db().available() {
            let zone = TimeZone::get(name.as_str()).unwrap();
            let changes: Vec<_> =
                zone.following(start).take_while(|change| change.timestamp() < end).collect();
            for text in ["0 9 * * *", "30 2 * * *", "0 0 * * *"] {
                let schedule = Schedule::parse(text).unwrap();
                // Days without a change are like each other: look around the changes, and for a
                // zone without any at its first week.
                let around = changes.iter().map(jiff::tz::TimeZoneTransition::timestamp);
                for change in around.chain([start]) {
                    let from = change - SignedDuration::from_hours(4 * 24);
                    let slots = schedule.upcoming(from, &zone, 8);
                    let days: Vec<Date> = slots.iter().map(|slot| slot.date).collect();
                    for (one, next) in days.iter().zip(&days[1..]) {
                        assert_eq!(*next, one.tomorrow().unwrap(), "{text} in {name:?}");
                    }
                    for slot in &slots {
                        assert_eq!(schedule.latest(slot.at, &zone), Some(*slot), "{name:?}");
                        let first =
                            zone.to_ambiguous_timestamp(slot.date.to_datetime(slots_time(text)));
                        assert_eq!(slot.at, first.compatible().unwrap(), "{text} in {name:?}");
                    }
                }
            }
            zones += 1;
        }
        assert!(zones > 400, "{zones}");
    }

    fn slots_time(text: &str) -> jiff::civil::Time {
        let mut fields = text.split(' ').map(|field| field.parse::<i8>().unwrap_or(0));
        let (minute, hour) = (fields.next().unwrap(), fields.next().unwrap());
        jiff::civil::time(hour, minute, 0, 0)
    }

    #[test]
    fn half_hours_run_forward_through_both_changes() {
        let schedule = Schedule::parse("*/30 * * * *").unwrap();
        let times = |from: &str| -> Vec<String> {
            let slots = schedule.upcoming(from.parse().unwrap(), &zone(BERLIN), 5);
            let locals = slots.iter().map(|slot| slot.at.to_zoned(zone(BERLIN)).time());
            locals.map(|time| time.to_string()).collect()
        };
        assert_eq!(
            times("2026-03-29T00:15:00Z"),
            ["01:30:00", "03:00:00", "03:30:00", "04:00:00", "04:30:00"]
        );
        assert_eq!(
            times("2026-10-25T00:15:00Z"),
            ["02:30:00", "03:00:00", "03:30:00", "04:00:00", "04:30:00"]
        );
    }

    #[test]
    fn a_gap_that_is_not_a_whole_hour_changes_the_order() {
        // 02:00 to 02:30 is skipped: 02:10 comes at 02:40, after 02:35.
        let (text, place) = ("10,35 2 * * *", "Australia/Lord_Howe");
        let slots = Schedule::parse(text).unwrap().upcoming(
            "2026-10-03T12:00:00Z".parse().unwrap(),
            &zone(place),
            2,
        );
        let shown: Vec<String> =
            slots.iter().map(|slot| slot.at.to_zoned(zone(place)).time().to_string()).collect();
        assert_eq!(shown, ["02:35:00", "02:40:00"]);
        assert_eq!(latest(text, "2026-10-03T15:45:00Z", place), "Sun 2026-10-04 02:40 +11:00");
    }

    #[test]
    fn years_end_and_begin() {
        let cases = [
            ("59 23 31 12 *", "Wed 2025-12-31 23:59 +01:00"),
            ("0 0 1 JAN *", "Thu 2026-01-01 00:00 +01:00"),
            ("0 12 29 2 *", "Thu 2024-02-29 12:00 +01:00"),
            ("0 8 * * THU", "Thu 2025-12-25 08:00 +01:00"),
        ];
        for (text, slot) in cases {
            assert_eq!(latest(text, "2025-12-31T23:00:00Z", BERLIN), slot, "{text}");
        }
        assert_eq!(
            next("59 23 31 12 *", "2025-12-31T22:59:00Z", BERLIN),
            "Thu 2026-12-31 23:59 +01:00"
        );
        assert_eq!(
            next("0 12 29 2 *", "2025-12-31T22:59:00Z", BERLIN),
            "Tue 2028-02-29 12:00 +01:00"
        );
        assert_eq!(next("0 8 * * MON", "2100-12-31T12:00:00Z", "UTC"), "none");
        assert_eq!(latest("0 8 * * MON", "1969-12-31T12:00:00Z", "UTC"), "none");
    }

    /// Every minute of two weeks, decided by looking at the fields, agrees with the crate.
    #[test]
    fn latest_and_next_agree_with_counting_minutes() {
        type Fires = fn(jiff::civil::DateTime) -> bool;
        let place = TimeZone::UTC;
        let cases: [(&str, Fires); 4] = [
            ("0 8 * * MON", |t| t.weekday() == Weekday::Monday && (t.hour(), t.minute()) == (8, 0)),
            ("*/30 22-23 * * SAT-MON", |t| {
                matches!(t.weekday(), Weekday::Saturday | Weekday::Sunday | Weekday::Monday)
                    && t.hour() >= 22
                    && t.minute() % 30 == 0
            }),
            ("5,50 */7 1,31 * *", |t| {
                [1, 31].contains(&t.day()) && t.hour() % 7 == 0 && [5, 50].contains(&t.minute())
            }),
            ("59 23 * 2,12 *", |t| {
                [2, 12].contains(&t.month()) && (t.hour(), t.minute()) == (23, 59)
            }),
        ];
        for (text, fires) in cases {
            let schedule = Schedule::parse(text).unwrap();
            let start: Timestamp = "2027-12-25T00:00:00Z".parse().unwrap();
            let mut last = schedule.latest(start, &place);
            let mut coming = schedule.next(start, &place);
            for minute in 1..14 * 24 * 60 {
                let now = start + SignedDuration::from_mins(minute);
                if fires(now.to_zoned(place.clone()).datetime()) {
                    assert_eq!(coming.unwrap().at, now, "{text}");
                    last = coming;
                    coming = schedule.next(now, &place);
                }
                if minute % 7 == 0 {
                    assert_eq!(schedule.latest(now, &place), last, "{text} at {now}");
                    assert_eq!(schedule.next(now, &place), coming, "{text} at {now}");
                }
            }
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let cases = [
            (
                "",
                "\"\" needs five fields and has 0: minute, hour, day of the month, month and weekday, such as \"0 8 * * MON\"",
            ),
            (
                "@weekly",
                "\"@weekly\" needs five fields and has 1: minute, hour, day of the month, month and weekday, such as \"0 8 * * MON\"",
            ),
            (
                "0 0 8 * * MON",
                "\"0 0 8 * * MON\" needs five fields and has 6: minute, hour, day of the month, month and weekday, such as \"0 8 * * MON\"",
            ),
            (
                "0 8 * * 1",
                "\"1\" is not a weekday: programs number weekdays differently, so write names: MON, TUE, WED, THU, FRI, SAT, SUN",
            ),
            (
                "0 8 * * MON-5",
                "\"5\" is not a weekday: programs number weekdays differently, so write names: MON, TUE, WED, THU, FRI, SAT, SUN",
            ),
            (
                "0 8 * * MO",
                "\"MO\" is not a weekday; write MON, TUE, WED, THU, FRI, SAT or SUN, such as MON, MON,THU or MON-FRI",
            ),
            ("60 8 * * MON", "\"60\" is not a minute; write 0 to 59, such as 0, 0,30 or */15"),
            ("*/0 8 * * MON", "\"*/0\" is not a minute; write 0 to 59, such as 0, 0,30 or */15"),
            ("0 24 * * MON", "\"24\" is not an hour; write 0 to 23, such as 8, 8,13 or 8-17"),
            ("0 8 0 * *", "\"0\" is not a day of the month; write 1 to 31, such as 1, 1,15 or *"),
            (
                "0 8 1 MAI *",
                "\"MAI\" is not a month; write 1 to 12 or JAN to DEC, such as 1-6 or *",
            ),
            ("0 8 31 2,4 *", "\"0 8 31 2,4 *\" never comes: no month has that day"),
            ("0 8 1 * MON", "names both a day of the month and a weekday; leave one of them *"),
        ];
        for (text, message) in cases {
            assert_eq!(Schedule::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn weekdays_go_by_name() {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        assert_eq!(weekdays("MON-FRI").unwrap(), [Monday, Tuesday, Wednesday, Thursday, Friday]);
        assert_eq!(weekdays("sat-mon, sunday").unwrap(), [Monday, Saturday, Sunday]);
        assert!(weekdays("").is_err());
        assert!(weekdays("MON,").is_err());
        assert!(weekdays("MON-WED-FRI").is_err());
    }

    #[test]
    fn a_schedule_reads_as_it_was_written() {
        assert_eq!(Schedule::parse("0 8  * * Mon").unwrap().to_string(), "0 8  * * Mon");
    }
}
