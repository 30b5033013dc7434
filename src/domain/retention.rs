//! How long things are kept.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// An age in days or in months of the calendar: `30d`, `18mo`, `2y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    Days(u32),
    Months(u32),
}

/// What is forgotten when (`[retention]`). The audit log is not: it only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Customer meetings with everything about them: questions, answers, earlier versions.
    pub debriefs: Age,
    /// Other meetings, of which only the times are known.
    pub times: Age,
    /// The text of what was sent, and texts whose meeting was never found.
    pub messages: Age,
    /// What came in and could not be understood.
    pub dead_letters: Age,
}

impl Age {
    /// Reads `30d`, `18mo` or `2y`, up to thirty years.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count: u32 = number.parse().ok()?;
        let age = match &text[number.len()..] {
            "d" => Self::Days(count),
            "mo" => Self::Months(count),
            "y" => Self::Months(count.checked_mul(12)?),
            _ => return None,
        };
        (age.about_days() <= 30 * 366).then_some(age)
    }

    /// The moment that was so long ago at `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        let span: Span = match self {
            Self::Days(days) => i64::from(days).days(),
            Self::Months(months) => i64::from(months).months(),
        };
        // Before time itself nothing is old.
        now.to_zoned(TimeZone::UTC)
            .checked_sub(span)
            .map_or(Timestamp::UNIX_EPOCH, |at| at.timestamp())
    }

    /// For comparing ages.
    pub fn about_days(self) -> u32 {
        match self {
            Self::Days(days) => days,
            Self::Months(months) => months.saturating_mul(365) / 12,
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Months(months) => write!(f, "{months}mo"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_counted_on_the_calendar() {
        let cases = [
            ("30d", "2026-03-01T10:00:00Z"),
            ("18mo", "2024-09-30T10:00:00Z"),
            ("2y", "2024-03-31T10:00:00Z"),
            ("1mo", "2026-02-28T10:00:00Z"),
        ];
        let now: Timestamp = "2026-03-31T10:00:00Z".parse().unwrap();
        for (age, then) in cases {
            assert_eq!(Age::parse(age).unwrap().before(now).to_string(), then, "{age}");
        }
    }

    #[test]
    fn what_is_no_age_is_refused() {
        for text in
            ["", "d", "18", "18m", "-1d", "1.5y", "31y", "99999999999d", "2 y", "4294967295y"]
        {
            assert_eq!(Age::parse(text), None, "{text}");
        }
    }
}
