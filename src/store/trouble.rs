//! What an error of SQLite means for the bot: this once, or the end.
//!
//! A full disk or a file locked by somebody else is refused and tried again. After a failed fsync
//! nobody knows what is on disk, and a damaged file only gets worse by writing: then the process
//! ends, and the next start reads what is really there.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CORRUPT_VTAB, SQLITE_IOERR_WRITE};
use tokio::sync::watch;

/// The store cannot be used as it is, and starting again does not help; the message says what does.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub(super) String);

/// A look that was given up because it took longer than this.
#[derive(Debug, thiserror::Error)]
#[error("looking this up took longer than {} ms and was given up", .0.as_millis())]
pub struct TooSlow(pub Duration);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another program holds the file.
    Busy,
    /// No room: later, perhaps.
    Full,
    /// The disk failed.
    Disk,
    /// The file is damaged.
    Damage,
    /// We gave up ourselves.
    Interrupted,
}

impl Trouble {
    pub(super) fn of(error: &rusqlite::Error) -> Option<Self> {
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            return None;
        };
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Self::Busy),
            ErrorCode::DiskFull => Some(Self::Full),
            ErrorCode::SystemIoFailure => Some(Self::Disk),
            // A damaged search index can be rebuilt from the answers: not worth ending for.
            ErrorCode::DatabaseCorrupt if failure.extended_code == SQLITE_CORRUPT_VTAB => None,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Self::Damage),
            ErrorCode::OperationInterrupted => Some(Self::Interrupted),
            _ => None,
        }
    }

    /// The same for an error that was given context on its way.
    pub(super) fn within(error: &anyhow::Error) -> Option<Self> {
        error.chain().find_map(|cause| Self::of(cause.downcast_ref()?))
    }

    /// Whether a write failed before any flush: nothing is lost by trying again.
    pub(super) fn is_unwritten(error: &rusqlite::Error) -> bool {
        error.sqlite_error().is_some_and(|failure| failure.extended_code == SQLITE_IOERR_WRITE)
    }

    /// Whether a transaction that ended with `error` may be on disk all the same: after a failed
    /// flush nobody knows.
    pub(super) fn may_be_committed(error: &anyhow::Error) -> bool {
        let mut causes = error.chain().filter_map(|cause| cause.downcast_ref());
        causes
            .any(|cause| Self::of(cause).is_some_and(Self::is_final) && !Self::is_unwritten(cause))
    }

    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Disk | Self::Damage)
    }
}

/// Whether the store has come to its end, and why.
#[derive(Debug, Clone)]
pub(super) struct Failure(Arc<watch::Sender<Option<String>>>);

impl Failure {
    pub(super) fn none_yet() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// The first reason counts; what follows from it would only confuse.
    pub(super) fn declare(&self, why: &str) {
        self.0.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                tracing::error!(why, "the store has failed; nothing more is written");
                *known = Some(why.to_owned());
            }
            first
        });
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    pub(super) fn happened(&self) -> bool {
        self.0.borrow().is_some()
    }

    pub(super) async fn wait(&self) -> String {
        let mut watched = self.0.subscribe();
        // The sender lives in `self`, so waiting ends with a reason only.
        match watched.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }
}
