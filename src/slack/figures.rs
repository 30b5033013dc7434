//! How calling Slack goes, counted for the metrics, and said in the log.
//!
//! A rush of refusals would fill the log with one line again and again: such lines come once a
//! minute, with a count.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::errors::{self, Limited};
use super::pace::Pace;
use crate::ports::SendError;

/// Upper bounds of the buckets of durations, in seconds; one more is without a bound.
pub const BOUNDS: [f64; 9] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0];
const QUIET: Duration = Duration::from_mins(1);

/// What was counted of one method since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MethodFigures {
    pub method: String,
    /// `ok`, Slack's error code, or ours (`unknown`, `not_now`) → calls.
    pub requests: BTreeMap<String, u64>,
    /// Refusals because we called too often.
    pub rate_limited: u64,
    /// Calls by duration: not more than each of [`BOUNDS`], and longer. Not cumulative.
    pub durations: [u64; BOUNDS.len() + 1],
    pub duration_sum: Duration,
    /// Calls a minute that Slack takes, as learnt; `None` where it was not put to the test.
    pub learnt_per_minute: Option<f64>,
}

#[derive(Debug, Default)]
pub(super) struct Figures(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    methods: BTreeMap<&'static str, MethodFigures>,
    /// When refusals of a method may be told of again, and how many were not told of.
    told: HashMap<&'static str, (Instant, u64)>,
}

impl Figures {
    /// Counts a call that has ended, and logs it.
    pub(super) fn called(
        &self,
        method: &'static str,
        started: Instant,
        error: Option<&SendError>,
        limited: Limited,
    ) {
        let took = started.elapsed();
        let code = match (error, limited) {
            (None, _) => "ok",
            (Some(error), Limited::No) => errors::code(error),
            (Some(_), _) => "ratelimited",
        };
        let mut inner = self.inner();
        inner.count(method, code, took, limited);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if limited != Limited::No {
            let wait_s = if let Some(SendError::Later { after }) = error { *after } else { 0 };
            let is_odd = limited == Limited::Oddly;
            if let Some(refusals) = inner.untold(method) {
                tracing::warn!(method, refusals, wait_s, is_odd, "Slack asks us to slow down");
            }
        } else if error.is_some() {
            tracing::warn!(method, code, duration_ms, "a call to Slack failed");
        } else {
            tracing::debug!(method, duration_ms, "called Slack");
        }
    }

    pub(super) fn snapshot(&self, pace: &Pace) -> Vec<MethodFigures> {
        let mut methods: BTreeMap<String, MethodFigures> = BTreeMap::new();
        for (method, figures) in &self.inner().methods {
            methods.insert((*method).to_owned(), figures.clone());
        }
        for (method, per_minute) in pace.learnt() {
            let figures = methods.entry(method).or_default();
            figures.learnt_per_minute = Some(per_minute);
        }
        let named = |(method, figures)| MethodFigures { method, ..figures };
        methods.into_iter().map(named).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn count(&mut self, method: &'static str, code: &str, took: Duration, limited: Limited) {
        let figures = self.methods.entry(method).or_default();
        match figures.requests.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                figures.requests.insert(code.to_owned(), 1);
            }
        }
        figures.rate_limited += u64::from(limited != Limited::No);
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        figures.durations[bucket] += 1;
        figures.duration_sum += took;
    }

    /// How many refusals to tell of now; `None` if others were told of just before.
    fn untold(&mut self, method: &'static str) -> Option<u64> {
        let now = Instant::now();
        let (next, untold) = self.told.entry(method).or_insert((now, 0));
        *untold += 1;
        if now < *next {
            return None;
        }
        *next = now + QUIET;
        Some(std::mem::take(untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f09_refusals_are_counted_one_by_one_and_told_once_a_minute() {
        let figures = Figures::default();
        let error = SendError::Later { after: 30 };
        let mut told = Vec::new();
        for _ in 0..90 {
            let started = Instant::now();
            tokio::time::advance(Duration::from_secs(1)).await;
            figures.called("chat.update", started, Some(&error), Limited::Oddly);
            told.push(figures.inner().told["chat.update"].1);
        }
        figures.called("chat.update", Instant::now(), None, Limited::No);
        let times_told = told.iter().filter(|untold| **untold == 0).count();
        assert_eq!(times_told, 2, "{told:?}");
        let all = figures.snapshot(&Pace::slack());
        assert_eq!((all.len(), all[0].method.as_str()), (1, "chat.update"));
        assert_eq!(all[0].rate_limited, 90);
        let requests: Vec<_> = all[0].requests.iter().collect();
        assert_eq!(requests, [(&"ok".to_owned(), &1), (&"ratelimited".to_owned(), &90)]);
        assert_eq!(all[0].durations, [1, 0, 0, 0, 0, 90, 0, 0, 0, 0]);
        assert_eq!(all[0].duration_sum, Duration::from_secs(90));
        assert_eq!(all[0].learnt_per_minute, None);
    }
}
