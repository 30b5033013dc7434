//! What erasures have left to do, finished while the bot runs.
//!
//! `debrief erase` overwrites the traces it leaves in the file, and may be refused: somebody reads
//! the store, or there is no room. It may also be killed between its line beside the store and its
//! commit. Neither may wait for the next start, which may be months away.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::keep::apart;
use crate::store::erasure;
use crate::store::traces::{self, Progress};

/// A command that erases is given as long to do all of it itself.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);
/// From one failed try to the next, doubled each time: writing the file anew holds up people.
const FIRST_RETRY: SignedDuration = SignedDuration::from_mins(5);
const LONGEST_RETRY: SignedDuration = SignedDuration::from_hours(1);

/// Finishes erasures.
pub(super) struct Aftermath {
    store: PathBuf,
    stopping: CancellationToken,
    next: Mutex<Option<Next>>,
    progress: Arc<Progress>,
}

/// Something is left to do.
#[derive(Debug, Clone, Copy)]
struct Next {
    try_at: Timestamp,
    failures: u32,
}

impl Aftermath {
    pub(super) fn new(store: PathBuf, stopping: CancellationToken) -> Self {
        Self { store, stopping, next: Mutex::default(), progress: Arc::default() }
    }

    /// Does what is left and due. Errors are told here: other work of the night goes on.
    pub(super) async fn turn(&self, now: Timestamp) {
        let mut next = self.next.lock().await;
        *next = match (self.is_anything_left().await, *next) {
            (Ok(false), _) => None,
            (Ok(true), None) => Some(Next { try_at: now + PATIENCE, failures: 0 }),
            (Ok(true), Some(due)) if due.try_at <= now => self.finish(due, now).await,
            (Ok(true), waiting) => waiting,
            (Err(error), waiting) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot see whether erasures are finished");
                waiting
            }
        };
    }

    async fn is_anything_left(&self) -> anyhow::Result<bool> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || erasure::is_anything_left(&store)).await?
    }

    async fn finish(&self, due: Next, now: Timestamp) -> Option<Next> {
        let (store, progress) = (self.store.clone(), Arc::clone(&self.progress));
        let finished = apart("erasing", &self.stopping, move |is_over| {
            let redone = erasure::repeat(&store)?;
            traces::clean(&store, &progress, is_over)?;
            Ok(redone)
        });
        match finished.await {
            Ok(redone) => {
                tracing::info!(redone, "finished what erasures had left to do");
                None
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "traces of an erasure are left in the file; trying again");
                let wait = FIRST_RETRY * (1 << due.failures.min(10));
                let try_at = now + wait.min(LONGEST_RETRY);
                Some(Next { try_at, failures: due.failures + 1 })
            }
        }
    }
}
