//! How much one person may ask of the bot in a while, so that nobody slows it down for the others.
//!
//! A bucket for each person: it holds so many requests and fills up again with time. Only what costs
//! the bot work is counted, such as commands and forms to open. Answers are not: one that Slack was
//! told is taken must be kept, and it costs a single commit.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::roster::ChatId;

/// So many at once …
const MOST: u32 = 20;
/// … and from then on one in this time.
const REFILL: SignedDuration = SignedDuration::from_secs(2);
/// From here on, full buckets are thrown away.
const MANY: usize = 1000;

/// Everybody's buckets.
#[derive(Debug, Default)]
pub struct Allowance(HashMap<ChatId, Bucket>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    /// What was filled up to then is in `left`.
    at: Timestamp,
    told: bool,
}

/// Whether somebody may ask now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// The first time that it is too much: they are told.
    TooMuch,
    /// They know.
    Silence,
}

impl Allowance {
    /// One request.
    pub fn ask(&mut self, who: &ChatId, now: Timestamp) -> Verdict {
        if self.0.len() >= MANY {
            self.0.retain(|_, bucket| {
                bucket.fill(now);
                bucket.left < MOST
            });
        }
        if !self.0.contains_key(who) {
            self.0.insert(who.clone(), Bucket { left: MOST, at: now, told: false });
        }
        self.0.get_mut(who).map_or(Verdict::Fine, |bucket| bucket.ask(now))
    }
}

impl Bucket {
    /// A clock that goes back fills nothing.
    fn fill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.at).as_secs() / REFILL.as_secs();
        let Ok(more @ 1..) = u32::try_from(passed) else { return };
        self.left = self.left.saturating_add(more).min(MOST);
        self.at += REFILL.saturating_mul(i32::try_from(more).unwrap_or(i32::MAX));
        if self.left == MOST {
            self.at = now;
        }
    }

    fn ask(&mut self, now: Timestamp) -> Verdict {
        self.fill(now);
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            // A trickle in the middle of a flood is no reason to tell them anew.
            self.told &= left < MOST / 2;
            return Verdict::Fine;
        }
        if std::mem::replace(&mut self.told, true) { Verdict::Silence } else { Verdict::TooMuch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_773_150_600 + second).unwrap()
    }

    #[test]
    fn s18_a_flood_gets_one_line_and_then_silence_and_others_do_not_notice() {
        let mut allowance = Allowance::default();
        let (one, other) = (ChatId("U1".into()), ChatId("U2".into()));
        for _ in 0..MOST {
            assert_eq!(allowance.ask(&one, at(0)), Verdict::Fine);
        }
        assert_eq!(allowance.ask(&one, at(0)), Verdict::TooMuch);
        assert_eq!(allowance.ask(&one, at(0)), Verdict::Silence);
        assert_eq!(allowance.ask(&other, at(0)), Verdict::Fine);
        assert_eq!(allowance.ask(&one, at(2)), Verdict::Fine, "one in two seconds");
        assert_eq!(allowance.ask(&one, at(2)), Verdict::Silence, "still the same flood");
        assert_eq!(allowance.ask(&one, at(-900)), Verdict::Silence);
        for _ in 0..MOST {
            assert_eq!(allowance.ask(&one, at(100)), Verdict::Fine, "forgiven");
        }
        assert_eq!(allowance.ask(&one, at(100)), Verdict::TooMuch);
    }

    #[test]
    fn memory_is_bounded() {
        let mut allowance = Allowance::default();
        for number in 0..5000 {
            allowance.ask(&ChatId(format!("U{number}")), at(number * 2));
        }
        assert!(allowance.0.len() <= MANY);
    }
}
