//! One meeting, seen through several calendars: which of them knows last.
//!
//! Calendars lag behind each other by minutes or by a day, and their time stamps are of little use:
//! a published feed stamps every event with the time of the request. So a change counts from when
//! *we* saw a calendar change its mind, and the organiser's own count (`SEQUENCE`), where calendars
//! carry it, goes before that.

use jiff::Timestamp;

/// What a calendar says of one meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub start: Timestamp,
    pub end: Timestamp,
    pub cancelled: bool,
    /// How often the organiser changed it, if the calendar tells.
    pub sequence: Option<u32>,
    /// When the calendar began to say so; the Unix epoch for what it said at first, which is no news.
    pub news_at: Timestamp,
}

impl Said {
    /// What a calendar says `now`, if it said `before` until then.
    pub fn after(before: Option<&Self>, now: Timestamp, mut said: Self) -> Self {
        said.news_at = match before {
            None => Timestamp::UNIX_EPOCH,
            Some(before) if before.says_the_same(&said) => before.news_at,
            Some(_) => now,
        };
        said
    }

    fn says_the_same(&self, other: &Self) -> bool {
        (self.start, self.end, self.cancelled, self.sequence)
            == (other.start, other.end, other.cancelled, other.sequence)
    }

    /// Whether this is later than the other: by the organiser's count where both tell, else by when we
    /// learnt of it.
    pub fn is_later_than(&self, other: &Self) -> bool {
        match (self.sequence, other.sequence) {
            (Some(this), Some(other)) if this != other => this > other,
            _ => self.news_at > other.news_at,
        }
    }
}

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// The calendar of whoever called the meeting.
    Organiser,
    /// The calendar of a guest, who may move or delete their own copy only.
    Guest,
}

/// Whether what a calendar `says` holds for everybody in the meeting, if it said `before` until now
/// and `word` is what held until now.
pub fn holds_for_all(
    says: &Said,
    before: Option<&Said>,
    word: Option<&Said>,
    voice: Voice,
) -> bool {
    let is_change = before.is_some_and(|before| !before.says_the_same(says));
    match word {
        // A guest's calendar may show what they deleted as cancelled.
        None => !says.cancelled || voice == Voice::Organiser,
        Some(word) => {
            let counts = says.sequence.zip(word.sequence);
            let counts_more = counts.is_some_and(|(this, word)| this > word);
            // The organiser's own second calendar may be late as well.
            let counts_less = counts.is_some_and(|(this, word)| this < word);
            // A calendar that goes back to a lower count had counted wrongly before.
            let takes_back = counts_less
                && before.is_some_and(|before| {
                    before.sequence == word.sequence && before.sequence.is_some()
                });
            counts_more || takes_back || (is_change && !counts_less && voice == Voice::Organiser)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-03-10T{time}:00Z").parse().unwrap()
    }

    fn said(start: &str, sequence: u32) -> Said {
        let sequence = Some(sequence);
        let start = at(start);
        let end = start + jiff::SignedDuration::from_mins(30);
        Said { start, end, cancelled: false, sequence, news_at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn what_a_calendar_said_at_first_is_no_news_and_a_change_is() {
        let first = Said::after(None, at("08:00"), said("10:00", 0));
        assert_eq!(first.news_at, Timestamp::UNIX_EPOCH);
        let moved = Said::after(Some(&first), at("08:05"), said("11:00", 0));
        assert_eq!(moved.news_at, at("08:05"));
        let still = Said::after(Some(&moved), at("08:10"), said("11:00", 0));
        assert_eq!(still.news_at, at("08:05"));
        assert!(moved.is_later_than(&first) && !first.is_later_than(&moved));
        let counted = said("10:00", 1);
        assert!(counted.is_later_than(&moved), "the organiser's count goes first");
        let uncounted = Said { sequence: None, ..moved };
        assert!(uncounted.is_later_than(&counted), "where both tell");
    }

    #[test]
    fn only_the_organiser_or_a_higher_count_speaks_for_all() {
        let (old, new) = (said("10:00", 1), said("11:00", 1));
        let holds = |says: &Said, before: Option<&Said>, voice| {
            holds_for_all(says, before, Some(&old), voice)
        };
        assert!(holds(&new, Some(&old), Voice::Organiser));
        assert!(!holds(&new, Some(&old), Voice::Guest), "a guest moves their own copy only");
        assert!(!holds(&new, None, Voice::Organiser), "at first it may be late");
        assert!(holds(&said("11:00", 2), None, Voice::Guest));
        let deleted = Said { cancelled: true, ..old };
        assert!(!holds(&deleted, Some(&old), Voice::Guest));
        assert!(holds(&Said { sequence: Some(2), ..deleted }, Some(&old), Voice::Guest));
        assert!(!holds_for_all(&deleted, None, None, Voice::Guest));
        assert!(holds_for_all(&old, None, None, Voice::Guest));
    }

    #[test]
    fn what_an_organisers_late_calendar_shows_does_not_undo_what_came_after() {
        let cancelled = Said { cancelled: true, ..said("11:00", 2) };
        let (first, moved) = (said("10:00", 0), said("11:00", 1));
        let late = holds_for_all(&moved, Some(&first), Some(&cancelled), Voice::Organiser);
        assert!(!late, "the count says that it is older");
    }

    #[test]
    fn a_calendar_that_does_not_count_takes_nothing_back() {
        let word = said("10:00", 2);
        let bare = Said { cancelled: true, sequence: None, ..word };
        assert!(!holds_for_all(&bare, Some(&word), Some(&word), Voice::Guest));
    }

    #[test]
    fn a_calendar_that_counted_wrongly_may_take_it_back() {
        let (wrong, right) = (said("10:00", 9), said("11:00", 2));
        assert!(holds_for_all(&right, Some(&wrong), Some(&wrong), Voice::Guest));
        assert!(!holds_for_all(&right, Some(&said("10:00", 1)), Some(&wrong), Voice::Guest));
    }
}
