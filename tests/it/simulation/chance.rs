//! Everything that is left to chance, from one seed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One stream of numbers for the whole world: the same seed and the same code make the same world.
pub(super) struct Chance(Mutex<fastrand::Rng>);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    pub(super) fn percent(&self, percent: u32) -> bool {
        self.rng().u32(0..100) < percent
    }

    /// From `least` to `most`, both included.
    pub(super) fn between(&self, least: u64, most: u64) -> u64 {
        self.rng().u64(least..=most)
    }

    pub(super) fn seconds(&self, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.between(least, most))
    }

    pub(super) fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.rng().usize(0..from.len())]
    }

    fn rng(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
