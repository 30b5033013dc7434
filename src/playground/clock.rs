//! A clock that can be turned.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::ports::Clock;

/// Stands still, or goes on from where it was set; never goes back.
#[derive(Debug)]
pub struct TurnableClock {
    hands: Mutex<Hands>,
    turned: watch::Sender<u64>,
}

#[derive(Debug)]
struct Hands {
    at: Timestamp,
    /// When they were set, if time goes on from there.
    running_since: Option<Instant>,
}

impl TurnableClock {
    /// Moves only when it is turned.
    pub fn standing(start: Timestamp) -> Self {
        Self::with(Hands { at: start, running_since: None })
    }

    /// Goes on by itself between turns.
    pub fn running(start: Timestamp) -> Self {
        Self::with(Hands { at: start, running_since: Some(Instant::now()) })
    }

    fn with(hands: Hands) -> Self {
        Self { hands: Mutex::new(hands), turned: watch::Sender::new(0) }
    }

    /// Turns it to `to`; an earlier moment changes nothing. Says whether it was turned.
    pub fn set(&self, to: Timestamp) -> bool {
        let mut hands = self.hands();
        if to <= hands.now() {
            return false;
        }
        hands.at = to;
        hands.running_since = hands.running_since.map(|_| Instant::now());
        drop(hands);
        self.turned.send_modify(|turns| *turns += 1);
        true
    }

    pub fn advance(&self, by: SignedDuration) {
        self.set(self.now() + by);
    }

    /// Changes at every turn.
    pub fn turned(&self) -> watch::Receiver<u64> {
        self.turned.subscribe()
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hands {
    fn now(&self) -> Timestamp {
        let passed = self.running_since.map(|since| since.elapsed()).unwrap_or_default();
        let passed = SignedDuration::try_from(passed).unwrap_or_default();
        self.at.saturating_add(passed).unwrap_or(self.at)
    }
}

impl Clock for TurnableClock {
    fn now(&self) -> Timestamp {
        self.hands().now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let start: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        let clock = TurnableClock::standing(start);
        let turned = clock.turned();
        assert!(!clock.set(start - SignedDuration::from_secs(1)));
        assert_eq!(clock.now(), start);
        clock.advance(SignedDuration::from_mins(5));
        assert_eq!(clock.now(), start + SignedDuration::from_mins(5));
        assert!(turned.has_changed().unwrap());
    }
}
