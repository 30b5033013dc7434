//! A store without threads, for a world whose clock stands still while nothing happens.
//!
//! A paused clock runs ahead as soon as every task waits, so a thread that works meanwhile would
//! look like a store that takes hours. Here everything happens at once, on the caller's thread.

use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use rusqlite::Connection;

use super::{Tx, writer};

/// One connection for reading and writing; gone once the store is closed.
pub(super) struct Inline(Mutex<Option<Connection>>);

impl Inline {
    /// Nobody else reads the file, so its lock is kept from one transaction to the next.
    pub(super) fn new(connection: Connection) -> anyhow::Result<Self> {
        connection
            .query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))
            .context("keep the store to ourselves")?;
        Ok(Self(Mutex::new(Some(connection))))
    }

    pub(super) fn transact<T>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.with(|connection| writer::alone(connection, work))
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.with(|connection| {
            let tx = connection.unchecked_transaction().context("begin reading")?;
            work(&Tx(&tx))
        })
    }

    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(connection.as_ref().context("the store is closed")?)
    }
}
