//! What goes wrong on purpose, for tests.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// What one call meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// HTTP 429 with `Retry-After` in seconds; nothing happens.
    RateLimited(u64),
    /// This HTTP status with a page instead of JSON; nothing happens.
    Broken(u16),
    /// `ok: false` with this code; nothing happens.
    Refused(String),
    /// The connection breaks before anything happens.
    CutBefore,
    /// It happens, then the connection breaks.
    CutAfter,
    /// It happens, then `ok: false` with this code.
    RefusedAfter(String),
    /// It happens; the answer comes after this real time.
    Slow(Duration),
    /// The connection breaks, and it happens only when `Playground::arrive` is called.
    Late,
}

impl Fault {
    /// Whether the call is not carried out.
    pub(super) fn comes_first(&self) -> bool {
        matches!(
            self,
            Self::RateLimited(_)
                | Self::Broken(_)
                | Self::Refused(_)
                | Self::CutBefore
                | Self::Late
        )
    }
}

/// What the next calls of each method meet, in order.
#[derive(Debug, Default)]
pub(super) struct Faults(HashMap<String, VecDeque<Fault>>);

impl Faults {
    pub(super) fn add(&mut self, method: &str, fault: Fault) {
        self.0.entry(method.to_owned()).or_default().push_back(fault);
    }

    pub(super) fn clear(&mut self, method: &str) {
        self.0.remove(method);
    }

    pub(super) fn next(&mut self, method: &str) -> Option<Fault> {
        self.0.get_mut(method)?.pop_front()
    }
}

/// A limit of the workspace on one method, in real time.
#[derive(Debug)]
pub(super) struct Limit {
    per_minute: f64,
    holds: f64,
    left: f64,
    since: Instant,
}

impl Limit {
    pub(super) fn new(per_minute: u32, at_once: u32) -> Self {
        let holds = f64::from(at_once);
        Self { per_minute: f64::from(per_minute), holds, left: holds, since: Instant::now() }
    }

    /// Lets one call pass, or says after how many seconds to come again.
    pub(super) fn pass(&mut self) -> Result<(), u64> {
        let minutes = self.since.elapsed().as_secs_f64() / 60.0;
        self.left = (self.left + minutes * self.per_minute).min(self.holds);
        self.since = Instant::now();
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - self.left) / self.per_minute * 60.0;
        Err(Duration::from_secs_f64(missing).as_secs() + 1)
    }
}
