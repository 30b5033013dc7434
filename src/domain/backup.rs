//! What backups are called, and which of them to keep.
//!
//! The name holds the moment, in UTC, so that the folder tells all there is to know. Those of one
//! second are numbered.

use jiff::civil::{DateTime, ISOWeekDate};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Backups hold people who were erased since, so none is kept longer, whatever the counts say.
const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);
const FORM: &str = "debrief-%Y%m%d-%H%M%S";
const ENDING: &str = ".db";

/// Which backup it is: of that moment, the first, the second …; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Which {
    pub made_at: Timestamp,
    pub number: u32,
}

/// How many to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The newest of each of so many days.
    pub daily: u32,
    /// The newest of each of so many weeks.
    pub weekly: u32,
}

impl Which {
    pub fn first(made_at: Timestamp) -> Self {
        Self { made_at, number: 1 }
    }

    #[must_use]
    pub fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    pub fn file_name(self) -> String {
        let moment = self.made_at.strftime(FORM);
        match self.number {
            1 => format!("{moment}{ENDING}"),
            number => format!("{moment}-{number}{ENDING}"),
        }
    }

    /// The backup of that name; `None` for other files.
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(ENDING)?;
        let read = |moment: &str, number| {
            let made_at = Offset::UTC.to_timestamp(DateTime::strptime(FORM, moment).ok()?).ok()?;
            // What is lax in reading would be another name.
            let which = Self { made_at, number };
            (number > 0 && which.file_name() == name).then_some(which)
        };
        read(stem, 1).or_else(|| {
            let (moment, number) = stem.rsplit_once('-')?;
            read(moment, number.parse().ok()?)
        })
    }
}

impl Rotation {
    /// Those of `made` that may go. What is younger than a day stays, so that a backup made by hand
    /// before some work is there after it.
    pub fn expendable(self, made: &[Which], now: Timestamp) -> Vec<Which> {
        let mut newest_first = made.to_vec();
        newest_first.sort_unstable_by(|a, b| b.cmp(a));
        let (mut days, mut weeks) = (Vec::new(), Vec::new());
        let mut expendable = Vec::new();
        for which in newest_first {
            let at = which.made_at;
            let date = Offset::UTC.to_datetime(at).date();
            let monday_of = ISOWeekDate::from(date);
            let age = now.duration_since(at);
            let for_its_day = first_of(&mut days, date, self.daily);
            let for_its_week =
                first_of(&mut weeks, (monday_of.year(), monday_of.week()), self.weekly);
            let is_young = age < SignedDuration::from_hours(24);
            if age > LONGEST || !(is_young || for_its_day || for_its_week) {
                expendable.push(which);
            }
        }
        expendable
    }
}

/// Whether nothing of this day or week was seen before, and there is room for one more.
fn first_of<T: PartialEq>(seen: &mut Vec<T>, this: T, most: u32) -> bool {
    let is_first = !seen.contains(&this) && seen.len() < most as usize;
    if is_first {
        seen.push(this);
    }
    is_first
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation { daily: 7, weekly: 4 };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_tells_the_moment_and_nothing_else_is_a_backup() {
        let first = Which::first(at("2026-03-10T03:00:05Z"));
        assert_eq!(first.file_name(), "debrief-20260310-030005.db");
        let tenth = Which { number: 10, ..first };
        assert_eq!(tenth.file_name(), "debrief-20260310-030005-10.db");
        for which in [first, first.next(), tenth] {
            assert_eq!(Which::parse(&which.file_name()), Some(which));
        }
        assert!(first < first.next() && first.next() < tenth);
        for other in [
            "debrief.db",
            "debrief-20260310-030005.db.sha256",
            "debrief-2026310-30005.db",
            "debrief-20260310-030005-1.db",
            "debrief-20260310-030005-02.db",
            "debrief-20260310-030005-+2.db",
            "debrief-20260310-030005-0.db",
            "x",
        ] {
            assert_eq!(Which::parse(other), None, "{other}");
        }
    }

    #[test]
    fn of_one_second_the_last_is_kept_for_its_day() {
        let first = Which::first(at("2026-03-10T03:00:05Z"));
        let made = [first, first.next(), first.next().next()];
        let rotation = Rotation { daily: 1, weekly: 0 };
        assert_eq!(rotation.expendable(&made, first.made_at), []);
        let later = first.made_at + SignedDuration::from_hours(25);
        assert_eq!(rotation.expendable(&made, later), [made[1], made[0]]);
    }

    #[test]
    fn a_year_of_nights_leaves_seven_days_and_the_weeks_of_a_month() {
        let first = at("2026-01-01T03:00:00Z");
        let mut kept: Vec<Which> = Vec::new();
        for night in 0..365 {
            let now = first + SignedDuration::from_hours(24 * night);
            kept.push(Which::first(now));
            let expendable = ROTATION.expendable(&kept, now);
            kept.retain(|at| !expendable.contains(at));
        }
        let days: Vec<String> =
            kept.iter().map(|which| which.made_at.strftime("%a %m-%d").to_string()).collect();
        assert_eq!(
            days,
            [
                "Sun 12-13",
                "Sun 12-20",
                "Fri 12-25",
                "Sat 12-26",
                "Sun 12-27",
                "Mon 12-28",
                "Tue 12-29",
                "Wed 12-30",
                "Thu 12-31"
            ]
        );
    }

    #[test]
    fn nothing_older_than_a_month_stays_and_nothing_of_today_goes() {
        let now = at("2026-03-31T12:00:00Z");
        let made = [
            at("2026-03-01T11:59:59Z"),
            at("2026-03-31T03:00:00Z"),
            at("2026-03-31T11:00:00Z"),
            now,
        ]
        .map(Which::first);
        let many = Rotation { daily: 90, weekly: 52 };
        assert_eq!(many.expendable(&made, now), [made[0]]);
        let none = Rotation { daily: 1, weekly: 0 };
        assert_eq!(none.expendable(&made, now), [made[0]]);
    }
}
