//! What goes wrong on purpose, for tests.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

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
}

impl Fault {
    /// Whether the call is not carried out.
    pub(super) fn comes_first(&self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Broken(_) | Self::Refused(_) | Self::CutBefore)
    }
}

/// What the next calls of each method meet, in order.
#[derive(Debug, Default)]
pub(super) struct Faults(HashMap<String, VecDeque<Fault>>);

impl Faults {
    pub(super) fn add(&mut self, method: &str, fault: Fault) {
        self.0.entry(method.to_owned()).or_default().push_back(fault);
    }

    pub(super) fn next(&mut self, method: &str) -> Option<Fault> {
        self.0.get_mut(method)?.pop_front()
    }
}
