//! The life of one debrief: its states, and when to ask, remind and give up.
//!
//! Everything is computed from what the store holds and a `now` that is handed in, so a restart
//! changes nothing.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// The row of a debrief in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DebriefId(pub i64);

/// Where a message stands in the messenger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageRef {
    pub channel: String,
    pub ts: String,
}

/// Where a debrief is in its life.
///
/// `Planned → Asked → Answered | Skipped | NotHeld | Expired`; a plan whose meeting is cancelled
/// becomes `Withdrawn`, one above the day's budget `Held`. An answer is welcome in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The meeting is in the calendar; nobody was asked yet.
    Planned,
    /// Not asked about because the day's budget was used up; the rep may still debrief it.
    Held,
    Asked,
    Answered,
    Skipped,
    /// The rep said that the meeting did not happen.
    NotHeld,
    /// Asked, and nobody answered in time; or too late to ask.
    Expired,
    /// Cancelled or moved away before we asked.
    Withdrawn,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Planned,
        Self::Held,
        Self::Asked,
        Self::Answered,
        Self::Skipped,
        Self::NotHeld,
        Self::Expired,
        Self::Withdrawn,
    ];

    /// The word stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Held => "held",
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Skipped => "skipped",
            Self::NotHeld => "not_held",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Waiting for the rep.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Asked | Self::Held)
    }
}

/// How a meeting ended: the first tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// A firm yes.
    Yes,
    /// They act by a date (an *Advance*).
    Dated,
    /// A nice chat without a step (a *Continuation*).
    NiceChat,
    No,
    DidntHappen,
}

impl Outcome {
    pub const ALL: [Self; 5] =
        [Self::Yes, Self::Dated, Self::NiceChat, Self::No, Self::DidntHappen];

    /// The word stored, and the option's id in the question sets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Dated => "dated",
            Self::NiceChat => "nice_chat",
            Self::No => "no",
            Self::DidntHappen => "didnt_happen",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }

    /// The customer committed to something.
    pub fn is_advance(self) -> bool {
        matches!(self, Self::Yes | Self::Dated)
    }
}

/// When people may be written to, and how insistently (`[prompt]` in the configuration).
#[derive(Debug, Clone)]
pub struct PromptRules {
    /// From the meeting's end to the question.
    pub delay: SignedDuration,
    pub max_per_day: u32,
    /// From the question to the one reminder.
    pub remind_after: SignedDuration,
    /// From the question to giving up.
    pub expire_after: SignedDuration,
    /// A pause shorter than this between two meetings is no gap.
    pub min_gap: SignedDuration,
    pub hours: WorkingHours,
}

/// Local working hours.
#[derive(Debug, Clone)]
pub struct WorkingHours {
    pub from: Time,
    pub to: Time,
    pub days: Vec<Weekday>,
}

impl WorkingHours {
    /// `at` itself if it lies in working hours, else the next moment that does.
    ///
    /// A day on which the rep met a customer is a working day for them, whatever its name:
    /// `met_on` is the moment of that meeting's end.
    pub fn next_open(&self, at: Timestamp, zone: &TimeZone, met_on: Timestamp) -> Timestamp {
        let local = at.to_zoned(zone.clone());
        let met = met_on.to_zoned(zone.clone()).date();
        let mut date = local.date();
        for _ in 0..15 {
            if self.days.contains(&date.weekday()) || date == met {
                let open = instant(date.to_datetime(self.from), zone);
                let close = instant(date.to_datetime(self.to), zone);
                if at < close {
                    return at.max(open);
                }
            }
            date = date.saturating_add(1.day());
        }
        at
    }
}

/// Maps a local time to UTC; a time that a clock change skips moves on by the gap.
fn instant(local: jiff::civil::DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_ambiguous_timestamp(local).compatible().unwrap_or(Timestamp::MAX)
}

/// When to ask about a meeting that ends at `end`.
///
/// At the end plus the delay; if the rep is in another meeting then, or goes into one within
/// `min_gap`, at the first gap, but not later than half an hour before closing time; and never
/// outside working hours. `busy` are the rep's other meetings as (start, end), in any order.
pub fn ask_at(
    end: Timestamp,
    busy: &[(Timestamp, Timestamp)],
    rules: &PromptRules,
    zone: &TimeZone,
) -> Timestamp {
    let first = end + rules.delay;
    let last_chance = closing_time(end, &rules.hours, zone) - SignedDuration::from_mins(30);
    let free = first_gap(first, busy, rules.min_gap);
    let at = if free > last_chance { last_chance.max(first) } else { free };
    rules.hours.next_open(at, zone, end)
}

/// The first moment from `from` on that is in no meeting and followed by `min_gap` of freedom.
pub fn first_gap(
    from: Timestamp,
    busy: &[(Timestamp, Timestamp)],
    min_gap: SignedDuration,
) -> Timestamp {
    let mut at = from;
    let mut sorted = busy.to_vec();
    sorted.sort_unstable();
    for (start, end) in sorted {
        if start < at + min_gap && end > at {
            at = end;
        }
    }
    at
}

fn closing_time(at: Timestamp, hours: &WorkingHours, zone: &TimeZone) -> Timestamp {
    instant(at.to_zoned(zone.clone()).date().to_datetime(hours.to), zone)
}

/// How long a rep wants to be left alone about one meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snooze {
    OneHour,
    AfterLunch,
    EndOfDay,
}

impl Snooze {
    pub const ALL: [Self; 3] = [Self::OneHour, Self::AfterLunch, Self::EndOfDay];

    /// Until when, in the rep's zone. Lunch ends at 13:00 and the day half an hour before closing
    /// time; where that has passed, the next working day's is meant.
    pub fn until(self, now: Timestamp, hours: &WorkingHours, zone: &TimeZone) -> Timestamp {
        let wanted = match self {
            Self::OneHour => now + SignedDuration::from_hours(1),
            Self::AfterLunch => next_local(now, Time::constant(13, 0, 0, 0), zone),
            Self::EndOfDay => next_local(now, half_an_hour_before(hours.to), zone),
        };
        hours.next_open(wanted, zone, now)
    }
}

fn half_an_hour_before(time: Time) -> Time {
    time.checked_sub(30.minutes()).unwrap_or(time)
}

/// The next time that clocks in `zone` show `time`.
pub fn next_local(now: Timestamp, time: Time, zone: &TimeZone) -> Timestamp {
    let today: Zoned = now.to_zoned(zone.clone());
    let at = instant(today.date().to_datetime(time), zone);
    if at > now {
        at
    } else {
        instant(today.date().saturating_add(1.day()).to_datetime(time), zone)
    }
}

/// What makes one debrief worth more than another when the day's budget is short (C8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// The first meeting with this account.
    pub first_meeting: bool,
    /// At least two days since the rep's last debrief.
    pub long_silence: bool,
    /// Somebody asked about another meeting today already.
    pub asked_today: bool,
    /// Earlier is better among equals.
    pub end: Timestamp,
}

impl Worth {
    fn score(self) -> i32 {
        2 * i32::from(self.first_meeting) + i32::from(self.long_silence)
            - 2 * i32::from(self.asked_today)
    }
}

/// Whether `this` is among the best `left` of itself and its rivals, the day's other plans.
pub fn within_budget(this: Worth, rivals: &[Worth], left: u32) -> bool {
    let better = rivals
        .iter()
        .filter(|rival| {
            (rival.score(), std::cmp::Reverse(rival.end))
                > (this.score(), std::cmp::Reverse(this.end))
        })
        .count();
    u32::try_from(better).is_ok_and(|better| better < left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn at(local: &str) -> Timestamp {
        let local: jiff::civil::DateTime = local.parse().unwrap();
        instant(local, &berlin())
    }

    fn rules() -> PromptRules {
        PromptRules {
            delay: SignedDuration::from_mins(5),
            max_per_day: 5,
            remind_after: SignedDuration::from_hours(3),
            expire_after: SignedDuration::from_hours(24),
            min_gap: SignedDuration::from_mins(10),
            hours: hours(),
        }
    }

    fn hours() -> WorkingHours {
        use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
        WorkingHours {
            from: Time::constant(8, 0, 0, 0),
            to: Time::constant(18, 0, 0, 0),
            days: vec![Monday, Tuesday, Wednesday, Thursday, Friday],
        }
    }

    fn asked(end: &str, busy: &[(&str, &str)]) -> String {
        let busy: Vec<_> = busy.iter().map(|(from, to)| (at(from), at(to))).collect();
        ask_at(at(end), &busy, &rules(), &berlin()).to_zoned(berlin()).datetime().to_string()
    }

    #[test]
    fn asks_five_minutes_after_the_end() {
        assert_eq!(asked("2026-03-10T14:45", &[]), "2026-03-10T14:50:00");
    }

    #[test]
    fn waits_for_the_first_real_gap() {
        let busy = [
            ("2026-03-10T14:50", "2026-03-10T15:30"),
            ("2026-03-10T15:35", "2026-03-10T16:00"),
            ("2026-03-10T16:10", "2026-03-10T17:00"),
        ];
        assert_eq!(asked("2026-03-10T14:45", &busy), "2026-03-10T16:00:00");
        assert_eq!(asked("2026-03-10T14:45", &busy[1..]), "2026-03-10T14:50:00");
    }

    #[test]
    fn a_full_afternoon_leaves_one_last_chance() {
        let busy = [("2026-03-10T14:45", "2026-03-10T19:00")];
        assert_eq!(asked("2026-03-10T14:45", &busy), "2026-03-10T17:30:00");
        assert_eq!(asked("2026-03-10T17:45", &busy), "2026-03-10T17:50:00");
    }

    #[test]
    fn nobody_is_written_to_outside_working_hours() {
        assert_eq!(asked("2026-03-10T19:00", &[]), "2026-03-11T08:00:00");
        assert_eq!(asked("2026-03-10T07:00", &[]), "2026-03-10T08:00:00");
        assert_eq!(asked("2026-03-13T18:30", &[]), "2026-03-16T08:00:00");
    }

    #[test]
    fn a_saturday_with_a_customer_is_a_working_day() {
        assert_eq!(asked("2026-03-14T11:00", &[]), "2026-03-14T11:05:00");
        assert_eq!(asked("2026-03-14T19:00", &[]), "2026-03-16T08:00:00");
    }

    #[test]
    fn snoozing_lands_in_working_hours() {
        let until = |snooze: Snooze, now: &str| {
            snooze.until(at(now), &hours(), &berlin()).to_zoned(berlin()).datetime().to_string()
        };
        assert_eq!(until(Snooze::OneHour, "2026-03-10T15:00"), "2026-03-10T16:00:00");
        assert_eq!(until(Snooze::OneHour, "2026-03-10T17:30"), "2026-03-11T08:00:00");
        assert_eq!(until(Snooze::AfterLunch, "2026-03-10T11:00"), "2026-03-10T13:00:00");
        assert_eq!(until(Snooze::AfterLunch, "2026-03-10T15:00"), "2026-03-11T13:00:00");
        assert_eq!(until(Snooze::EndOfDay, "2026-03-13T17:45"), "2026-03-16T08:00:00");
    }

    #[test]
    fn a_short_budget_goes_to_the_meetings_worth_most() {
        let plain = |hour: i8| Worth {
            first_meeting: false,
            long_silence: false,
            asked_today: true,
            end: at(&format!("2026-03-10T{hour:02}:00")),
        };
        let first = Worth { first_meeting: true, ..plain(16) };
        assert!(within_budget(plain(10), &[plain(11)], 1));
        assert!(!within_budget(plain(11), &[plain(10)], 1));
        assert!(!within_budget(plain(10), &[first], 1));
        assert!(within_budget(first, &[plain(10), plain(11)], 1));
        assert!(!within_budget(first, &[], 0));
    }
}
