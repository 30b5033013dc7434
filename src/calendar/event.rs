//! An event as its calendar tells it, before any expansion.

use calcard::icalendar::ICalendarRecurrenceRule;
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};

use super::zone::{Zone, later};
use crate::domain::meeting::{Attendee, Nature};

/// A time as it was written: on a wall clock, in a zone.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) wall: DateTime,
    pub(super) zone: Zone,
    /// A day without a time.
    pub(super) is_date: bool,
}

impl Moment {
    pub(super) fn instant(&self) -> Option<Timestamp> {
        self.zone.instant(self.wall)
    }

    pub(super) fn is_utc(&self) -> bool {
        matches!(&self.zone, Zone::Known(zone) if zone.iana_name() == Some("UTC"))
    }

    pub(super) fn date(&self) -> Date {
        self.wall.date()
    }
}

/// How long an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// From an end that was given: elapsed time.
    Exact(SignedDuration),
    /// Days on the wall clock, then elapsed time.
    Nominal(i64, SignedDuration),
}

impl Length {
    /// The end of an instance that begins at `wall`.
    pub(super) fn end(self, zone: &Zone, wall: DateTime) -> Option<Timestamp> {
        match self {
            Self::Exact(length) => zone.instant(wall)?.checked_add(length).ok(),
            Self::Nominal(days, length) => later(zone, wall, days, length),
        }
    }

    /// Rounded up to whole days, for looking back far enough.
    pub(super) fn days(self) -> i64 {
        match self {
            Self::Exact(length) => length.as_hours() / 24 + 1,
            Self::Nominal(days, length) => days + length.as_hours() / 24 + 1,
        }
    }
}

/// One component of a calendar.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) uid: String,
    /// Version: the highest wins. Then the time of the last change, as text.
    pub(super) version: (u32, String),
    pub(super) start: Moment,
    pub(super) length: Length,
    pub(super) rules: Vec<Rule>,
    pub(super) exception_rules: Vec<Rule>,
    /// Further instances, some with a length of their own.
    pub(super) more: Vec<(Moment, Option<Length>)>,
    pub(super) exceptions: Vec<Moment>,
    /// Which instance of the series this one replaces.
    pub(super) replaces: Option<Replaces>,
    pub(super) details: Details,
}

impl Event {
    pub(super) fn is_series(&self) -> bool {
        !self.rules.is_empty() || !self.more.is_empty()
    }
}

/// A recurrence rule with its end.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) rule: Box<ICalendarRecurrenceRule>,
    pub(super) until: Option<Moment>,
}

#[derive(Debug, Clone)]
pub(super) struct Replaces {
    pub(super) instance: Moment,
    /// And all that come after it.
    pub(super) and_following: bool,
}

/// What does not depend on the time.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own in calendars")]
pub(super) struct Details {
    pub(super) title: String,
    pub(super) is_cancelled: bool,
    pub(super) is_private: bool,
    pub(super) is_free: bool,
    pub(super) is_all_day: bool,
    pub(super) organizer: Option<String>,
    pub(super) attendees: Vec<Attendee>,
    pub(super) link: Option<String>,
    pub(super) nature: Nature,
    pub(super) sequence: u32,
}
