//! What the pace learnt of Slack's limits, from one process to the next.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::slack::pace::Pace;
use crate::store::Store;

/// A rate is stored once it is this much away from what is stored.
const WORTH_KEEPING: f64 = 0.05;
const NOT_MORE_OFTEN: SignedDuration = SignedDuration::from_secs(60);

pub(super) struct Rates {
    pace: Arc<Pace>,
    kept: Mutex<Kept>,
}

struct Kept {
    rates: HashMap<String, f64>,
    at: Option<Timestamp>,
}

impl Rates {
    /// Reminds `pace` of what is stored.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn recall(store: &Store, pace: Arc<Pace>) -> anyhow::Result<Self> {
        let stored = store.read(|tx| tx.learnt_rates()).await?;
        pace.recall(stored.iter().cloned());
        let kept = Kept { rates: stored.into_iter().collect(), at: None };
        Ok(Self { pace, kept: Mutex::new(kept) })
    }

    /// Stores what has changed a good deal, unless something was stored just now.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn keep(&self, store: &Store, now: Timestamp) -> anyhow::Result<()> {
        let mut kept = self.kept.lock().await;
        if kept.at.is_some_and(|at| at + NOT_MORE_OFTEN > now) {
            return Ok(());
        }
        kept.keep(self.pace.learnt(), WORTH_KEEPING, store, now).await
    }

    /// The same at the end, down to small changes.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn keep_all(&self, store: &Store, now: Timestamp) -> anyhow::Result<()> {
        self.kept.lock().await.keep(self.pace.learnt(), 0.001, store, now).await
    }
}

impl Kept {
    async fn keep(
        &mut self,
        mut rates: Vec<(String, f64)>,
        worth: f64,
        store: &Store,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        rates.retain(|(method, rate)| {
            self.rates.get(method).is_none_or(|kept| (rate - kept).abs() > kept * worth)
        });
        if rates.is_empty() {
            return Ok(());
        }
        self.rates.extend(rates.iter().cloned());
        self.at = Some(now);
        store.transact_behind(move |tx| tx.keep_rates(&rates, now)).await
    }
}
