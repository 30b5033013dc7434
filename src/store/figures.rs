//! What the store counts about its own work, for whoever publishes it.
//!
//! Durations are seconds. Nothing here names a person.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds in seconds for [`Figures::commits`] and [`Figures::checkpoints`].
pub const SECONDS: [f64; 11] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Upper bounds for [`Figures::batches`].
pub const JOBS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// A moment's view of the store at work.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Jobs that wait in the people's lane.
    pub people_waiting: usize,
    /// Jobs that wait in the background's lane.
    pub behind_waiting: usize,
    /// Jobs that shared a transaction; their count is the number of batches.
    pub batches: Histogram,
    /// How long `COMMIT` took, flush included.
    pub commits: Histogram,
    /// How long folding the write-ahead log into the store took.
    pub checkpoints: Histogram,
    /// Pages in the write-ahead log after the last commit.
    pub wal_pages: u64,
    /// Batches refused because another program held the file for two seconds.
    pub busy: u64,
    /// Batches refused because the disk was full.
    pub full: u64,
    /// Jobs refused because their lane was full.
    pub overloaded: u64,
    /// Every batch or job that failed for a reason of SQLite's, the above included.
    pub errors: u64,
    /// Whether the last batch could not be saved: the store is not writable now.
    pub is_failing: bool,
    /// How long ago a batch was last saved; `None` before the first.
    pub saved_ago: Option<Duration>,
}

/// Observations by bucket, in Prometheus' terms but not cumulative.
#[derive(Debug, Clone)]
pub struct Histogram {
    pub sum: f64,
    pub count: u64,
    /// Upper bound and observations since the bound before; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
}

/// What is counted while working.
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) batches: Meter<{ JOBS.len() }>,
    pub(super) commits: Meter<{ SECONDS.len() }>,
    pub(super) checkpoints: Meter<{ SECONDS.len() }>,
    pub(super) wal_pages: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) overloaded: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) is_failing: AtomicBool,
    saved_at: Mutex<Option<Instant>>,
}

impl Meters {
    pub(super) fn saved(&self) {
        self.is_failing.store(false, Relaxed);
        *self.saved_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn read(&self, people_waiting: usize, behind_waiting: usize) -> Figures {
        let saved_at = *self.saved_at.lock().unwrap_or_else(PoisonError::into_inner);
        Figures {
            people_waiting,
            behind_waiting,
            batches: self.batches.read(&JOBS),
            commits: self.commits.read(&SECONDS),
            checkpoints: self.checkpoints.read(&SECONDS),
            wal_pages: self.wal_pages.load(Relaxed),
            busy: self.busy.load(Relaxed),
            full: self.full.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            errors: self.errors.load(Relaxed),
            is_failing: self.is_failing.load(Relaxed),
            saved_ago: saved_at.map(|at| at.elapsed()),
        }
    }
}

/// A histogram being filled; the sum is kept in millionths.
#[derive(Debug)]
pub(super) struct Meter<const N: usize> {
    buckets: [AtomicU64; N],
    beyond: AtomicU64,
    millionths: AtomicU64,
}

impl<const N: usize> Default for Meter<N> {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; N],
            beyond: AtomicU64::new(0),
            millionths: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Meter<N> {
    fn put(&self, bounds: &[f64; N], value: f64, millionths: u64) {
        let place = bounds.iter().position(|&bound| value <= bound);
        let bucket = place.map_or(&self.beyond, |place| &self.buckets[place]);
        bucket.fetch_add(1, Relaxed);
        self.millionths.fetch_add(millionths, Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of seconds for a chart")]
    fn read(&self, bounds: &[f64; N]) -> Histogram {
        let counted = self.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let mut buckets: Vec<(f64, u64)> = bounds.iter().copied().zip(counted).collect();
        buckets.push((f64::INFINITY, self.beyond.load(Relaxed)));
        Histogram {
            sum: self.millionths.load(Relaxed) as f64 / 1e6,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

impl Meter<{ SECONDS.len() }> {
    pub(super) fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.put(&SECONDS, time.as_secs_f64(), micros);
    }
}

impl Meter<{ JOBS.len() }> {
    pub(super) fn held(&self, jobs: usize) {
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        self.put(&JOBS, f64::from(jobs), u64::from(jobs) * 1_000_000);
    }
}
