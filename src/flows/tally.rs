//! What flows have done since the start, as plain figures. Whoever wants to show them reads them.
//!
//! Also how one can tell a long turn from a stalled one: something is counted for every calendar
//! read and every message handled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::roster::source::Provider;
use crate::ports::Trouble;

/// Something that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took how long.
#[derive(Debug)]
pub struct Spread<const N: usize> {
    /// Upper bounds in seconds, rising.
    bounds: [f64; N],
    /// How many fell below each bound and above the one before.
    counts: [AtomicU64; N],
    beyond: AtomicU64,
    sum_ms: AtomicU64,
}

impl<const N: usize> Spread<N> {
    pub fn new(bounds: [f64; N]) -> Self {
        Self {
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            beyond: AtomicU64::new(0),
            sum_ms: AtomicU64::new(0),
        }
    }

    pub fn note(&self, took: Duration) {
        let place = self.bounds.iter().position(|bound| took.as_secs_f64() <= *bound);
        let count = place.and_then(|place| self.counts.get(place)).unwrap_or(&self.beyond);
        count.fetch_add(1, Ordering::Relaxed);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.sum_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// (upper bound, how many between the one before and it); the last bound is endless.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let beyond = (f64::INFINITY, self.beyond.load(Ordering::Relaxed));
        self.bounds.into_iter().zip(counts).chain([beyond]).collect()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_millis(self.sum_ms.load(Ordering::Relaxed))
    }
}

/// What became of messages of one kind.
#[derive(Debug, Default)]
pub struct Fates {
    pub sent: Count,
    /// Found in the conversation when its fate was unknown.
    pub reconciled: Count,
    /// It became too late to ask.
    pub expired: Count,
    pub failed: Count,
    /// Not wanted any more.
    pub cancelled: Count,
}

impl Fates {
    pub fn by_name(&self) -> [(&'static str, u64); 5] {
        [
            ("sent", self.sent.so_far()),
            ("reconciled", self.reconciled.so_far()),
            ("expired", self.expired.so_far()),
            ("failed", self.failed.so_far()),
            ("cancelled", self.cancelled.so_far()),
        ]
    }
}

/// Since the start.
#[derive(Debug)]
pub struct Tally {
    pub prompts: Fates,
    /// From the moment a question was due to the moment it was visible.
    pub prompt_latency: Spread<7>,
    pub digests: Fates,
    /// Rows of the outbox that were handled, whatever came of it.
    pub handled: Count,
    pub calendars: Calendars,
}

/// How reading calendars went.
#[derive(Debug, Default)]
pub struct Calendars {
    pub ics: Readings,
    pub google: Readings,
    pub microsoft: Readings,
    pub caldav: Readings,
    pub planned: Count,
    pub reopened: Count,
    pub withdrawn: Count,
}

impl Calendars {
    pub fn of(&self, provider: Provider) -> &Readings {
        match provider {
            Provider::Ics => &self.ics,
            Provider::Google => &self.google,
            Provider::Microsoft => &self.microsoft,
            Provider::CalDav => &self.caldav,
        }
    }

    /// However they went.
    pub fn read(&self) -> u64 {
        Provider::ALL.into_iter().map(|provider| self.of(provider).all()).sum()
    }
}

/// How reading one provider's calendars went.
#[derive(Debug)]
pub struct Readings {
    pub changed: Count,
    pub unchanged: Count,
    pub gone: Count,
    pub refused: Count,
    pub busy: Count,
    /// For any other reason.
    pub failed: Count,
    pub took: Spread<8>,
}

impl Readings {
    /// Where failures of a kind are counted.
    pub fn failed(&self, trouble: Trouble) -> &Count {
        match trouble {
            Trouble::Passing => &self.failed,
            Trouble::Gone => &self.gone,
            Trouble::Refused => &self.refused,
            Trouble::Busy => &self.busy,
        }
    }

    pub fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("changed", self.changed.so_far()),
            ("unchanged", self.unchanged.so_far()),
            ("gone", self.gone.so_far()),
            ("refused", self.refused.so_far()),
            ("busy", self.busy.so_far()),
            ("failed", self.failed.so_far()),
        ]
    }

    fn all(&self) -> u64 {
        self.by_name().into_iter().map(|(_, count)| count).sum()
    }
}

impl Default for Readings {
    fn default() -> Self {
        Self {
            changed: Count::default(),
            unchanged: Count::default(),
            gone: Count::default(),
            refused: Count::default(),
            busy: Count::default(),
            failed: Count::default(),
            took: Spread::new([0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0, 60.0]),
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            prompts: Fates::default(),
            prompt_latency: Spread::new([1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0]),
            digests: Fates::default(),
            handled: Count::default(),
            calendars: Calendars::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_puts_each_duration_below_its_bound() {
        let spread = Spread::new([1.0, 5.0]);
        for seconds in [0, 1, 2, 5, 6] {
            spread.note(Duration::from_secs(seconds));
        }
        assert_eq!(spread.buckets(), [(1.0, 2), (5.0, 2), (f64::INFINITY, 1)]);
        assert_eq!(spread.sum(), Duration::from_secs(14));
    }
}
