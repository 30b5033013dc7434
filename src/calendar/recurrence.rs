//! Recurrence rules on the wall clock, under a budget.
//!
//! The engine is the `rrule` crate. It is given local times as if they were UTC, so that no clock
//! change disturbs the rule; whoever asks maps the results to a zone.

use std::time::{Duration, Instant};

use calcard::icalendar::{ICalendarFrequency, ICalendarRecurrenceRule};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use super::zone::as_if_utc;

/// Steps of the engine for one rule.
const MOST_STEPS: u32 = 100_000;
/// Results of one rule within the window: what nobody could attend.
pub(super) const MOST_FOUND: usize = 500;
/// Of one period, which the engine builds at once.
const LARGEST_SET: usize = 1000;

/// What one reading may cost.
#[derive(Debug)]
pub(super) struct Budget {
    until: Instant,
}

impl Budget {
    pub(super) fn new(time: Duration) -> Self {
        Self { until: Instant::now() + time }
    }

    pub(super) fn is_spent(&self) -> bool {
        Instant::now() > self.until
    }
}

/// Why a rule gave no full answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleTrouble {
    /// It contradicts itself or is not known.
    NotUnderstood,
    /// It takes more steps than a calendar of people ever needs.
    TooLong,
}

/// The local times that `rule` gives from `window.0` to `window.1` (both inclusive), starting at
/// `start`. `until` is the rule's end on the same wall clock. `start` itself is only among them if
/// it fits the rule.
pub(super) fn expand(
    rule: &ICalendarRecurrenceRule,
    start: DateTime,
    until: Option<DateTime>,
    window: (DateTime, DateTime),
    budget: &Budget,
) -> Result<Vec<DateTime>, RuleTrouble> {
    let mut plain = rule.clone();
    // The end is given below, on the wall clock; the calendar scale is Gregorian anyway.
    (plain.until, plain.rscale, plain.skip) = (None, None, None);
    if plain.interval == Some(0) {
        return Err(RuleTrouble::NotUnderstood);
    }
    if never_comes(rule) {
        return Ok(Vec::new());
    }
    if set_size(rule) > LARGEST_SET || budget.is_spent() {
        return Err(RuleTrouble::TooLong);
    }
    let text = plain.to_string();
    let mut parsed: RRule<Unvalidated> = text.parse().map_err(|_| RuleTrouble::NotUnderstood)?;
    let from = as_if_utc(window.0).ok_or(RuleTrouble::NotUnderstood)?;
    let to = as_if_utc(window.1).ok_or(RuleTrouble::NotUnderstood)?;
    let start = as_if_utc(start).ok_or(RuleTrouble::NotUnderstood)?;
    let start = if rule.count.is_some() { start } else { skipped_ahead(rule, start, from) };
    if let Some(until) = until.and_then(as_if_utc) {
        if until < start {
            return Ok(Vec::new());
        }
        parsed = parsed.until(chrono_at(until).ok_or(RuleTrouble::NotUnderstood)?);
    }
    let start = chrono_at(start).ok_or(RuleTrouble::NotUnderstood)?;
    let valid = parsed.validate(start).map_err(|_| RuleTrouble::NotUnderstood)?;
    let set = RRuleSet::new(start).rrule(valid).limit();
    let mut found = Vec::new();
    for (steps, at) in (0_u32..).zip(&set) {
        let at = at.timestamp();
        if at > to {
            break;
        }
        if steps > MOST_STEPS || found.len() >= MOST_FOUND || budget.is_spent() {
            return Err(RuleTrouble::TooLong);
        }
        if at >= from {
            found.extend(Timestamp::from_second(at).ok().map(|at| Offset::UTC.to_datetime(at)));
        }
    }
    Ok(found)
}

/// A day that none of the months has, such as 30 February: the engine would look for it through
/// thousands of years.
fn never_comes(rule: &ICalendarRecurrenceRule) -> bool {
    let longest = |month: u8| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let most = rule.bymonth.iter().map(|month| longest(month.month())).max();
    let least = rule.bymonthday.iter().map(|day| day.unsigned_abs()).min();
    most.zip(least).is_some_and(|(most, least)| least > most)
}

/// How many times one period of a rule may hold.
fn set_size(rule: &ICalendarRecurrenceRule) -> usize {
    let days = match rule.freq {
        ICalendarFrequency::Yearly => 366,
        ICalendarFrequency::Monthly => 31,
        ICalendarFrequency::Weekly => 7,
        _ => 1,
    };
    let times = [&rule.byhour, &rule.byminute, &rule.bysecond];
    times.into_iter().fold(days, |size, part| size.saturating_mul(part.len().max(1)))
}

/// A later start that gives the same results from `from` on: a whole number of intervals ahead.
fn skipped_ahead(rule: &ICalendarRecurrenceRule, start: i64, from: i64) -> i64 {
    let unit = match rule.freq {
        ICalendarFrequency::Secondly => 1,
        ICalendarFrequency::Minutely => 60,
        ICalendarFrequency::Hourly => 3600,
        ICalendarFrequency::Daily => 24 * 3600,
        ICalendarFrequency::Weekly => 7 * 24 * 3600,
        // Few enough to walk through.
        ICalendarFrequency::Monthly | ICalendarFrequency::Yearly => return start,
    };
    let interval = unit * i64::from(rule.interval.unwrap_or(1));
    let whole = (from - start) / interval - 2;
    if whole > 0 { start + whole * interval } else { start }
}

fn chrono_at(seconds: i64) -> Option<chrono::DateTime<Tz>> {
    chrono::DateTime::from_timestamp(seconds, 0).map(|at| at.with_timezone(&Tz::UTC))
}
