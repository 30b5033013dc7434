//! One at a time for each person: nobody's provider is asked twice at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::domain::person::PersonId;

/// From this many on, those that nobody holds are forgotten.
const MANY: usize = 256;

/// Whose calendars are being read, and when somebody looked which are due.
#[derive(Debug, Default)]
pub struct Turns {
    people: Mutex<HashMap<PersonId, Arc<Turn<()>>>>,
    looked_at: Mutex<Option<Timestamp>>,
}

/// While this lives, nobody else has the person's turn.
pub(super) struct Taken {
    pub(super) had_to_wait: bool,
    _turn: OwnedMutexGuard<()>,
}

impl Turns {
    /// Whole seconds since this was last asked, a minute at most; none the first time.
    pub(super) fn seconds_since_last(&self, now: Timestamp) -> u32 {
        let mut last = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(now).unwrap_or(now);
        u32::try_from(now.duration_since(before).as_secs().clamp(0, 60)).unwrap_or(0)
    }

    pub(super) async fn take(&self, person: PersonId) -> Taken {
        let turn = self.of(person);
        if let Ok(turn) = Arc::clone(&turn).try_lock_owned() {
            return Taken { had_to_wait: false, _turn: turn };
        }
        Taken { had_to_wait: true, _turn: turn.lock_owned().await }
    }

    fn of(&self, person: PersonId) -> Arc<Turn<()>> {
        let mut turns = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= MANY {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(person).or_default())
    }
}
