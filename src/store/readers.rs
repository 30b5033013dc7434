//! Read-only connections, so that looking things up never waits for writing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::Tx;

const CONNECTIONS: usize = 2;

pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let connections = (0..CONNECTIONS)
            .map(|_| {
                let connection =
                    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                connection.execute_batch(super::schema::EVERY_CONNECTION)?;
                connection.execute_batch("PRAGMA query_only = ON")?;
                connection.set_prepared_statement_cache_capacity(super::schema::STATEMENTS);
                Ok(connection)
            })
            .collect::<rusqlite::Result<Vec<_>>>()
            .context("open the store for reading")?;
        Ok(Self {
            idle: Arc::new(Mutex::new(connections)),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    /// Lets nobody read any more.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) async fn read<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.free).acquire_owned().await.context("the store is closed")?;
        let idle = Arc::clone(&self.idle);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = connection.context("no reading connection is left")?;
            let result = (|| {
                let tx = connection.unchecked_transaction().context("begin reading")?;
                work(&Tx(&tx))
            })();
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        })
        .await
        .context("a reading task failed")?
    }
}
