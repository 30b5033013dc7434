//! Read-only connections, so that looking things up never waits for writing.
//!
//! Every look has a deadline: one that never ends would keep its connection from everybody else and
//! the write-ahead log from being folded into the store.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::Tx;
use super::trouble::{Failure, TooSlow, Trouble};

const CONNECTIONS: usize = 4;
/// Instructions of SQLite's machine between two looks at the watch: some microseconds.
const STEPS: i32 = 1000;

pub(super) struct Readers {
    idle: Arc<Idle>,
    free: Arc<Semaphore>,
    failure: Failure,
}

/// The connections nobody uses; `None` once closed.
struct Idle(Mutex<Option<Vec<Connection>>>);

/// A connection that finds its way back, whatever happens.
struct Borrowed {
    connection: Option<Connection>,
    idle: Arc<Idle>,
}

/// A read-only connection with our settings.
pub(super) fn connect(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("open the store {} for reading", path.display()))?;
    super::schema::settle(&connection).context("apply the store's settings")?;
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 500")
        .context("apply the reader's settings")?;
    Ok(connection)
}

impl Readers {
    pub(super) fn open(path: &Path, failure: Failure) -> anyhow::Result<Self> {
        let connections: anyhow::Result<Vec<_>> = (0..CONNECTIONS).map(|_| connect(path)).collect();
        Ok(Self {
            idle: Arc::new(Idle(Mutex::new(Some(connections?)))),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
            failure,
        })
    }

    /// Lets nobody read any more.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().take();
    }

    pub(super) async fn read<T, F>(&self, limit: Duration, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.free).acquire_owned().await.context("the store is closed")?;
        let (idle, failure) = (Arc::clone(&self.idle), self.failure.clone());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut connection = Borrowed::take(idle)?;
            let result = connection.within(limit, work);
            match result.as_ref().err().and_then(Trouble::within) {
                Some(Trouble::Interrupted) => Err(TooSlow(limit).into()),
                Some(trouble) if trouble.is_final() => {
                    let why = result.as_ref().err().map(|error| format!("{error:#}"));
                    failure.declare(&why.unwrap_or_default());
                    result
                }
                _ => result,
            }
        })
        .await
        .context("a look panicked; this is a bug")?
    }
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Borrowed {
    fn take(idle: Arc<Idle>) -> anyhow::Result<Self> {
        let connection = idle.lock().as_mut().and_then(Vec::pop);
        Ok(Self { connection: Some(connection.context("the store is closed")?), idle })
    }

    /// Runs `work`, interrupting SQLite once `limit` is over.
    fn within<T>(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let connection = self.connection.as_mut().context("a connection was returned early")?;
        let until = Instant::now() + limit;
        connection
            .progress_handler(STEPS, Some(move || Instant::now() > until))
            .context("set a deadline")?;
        let tx = connection.unchecked_transaction().context("begin reading")?;
        work(&Tx(&tx))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        // Clearing cannot fail; and the next look sets its own.
        let _ = connection.progress_handler(0, None::<fn() -> bool>);
        if let Some(idle) = self.idle.lock().as_mut() {
            idle.push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::Store;

    const ENDLESS: &str =
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

    async fn kept(store: &Store) -> u64 {
        store.read(|tx: &Tx<'_>| tx.dead_letters()).await.unwrap()
    }

    #[tokio::test]
    async fn a_look_that_never_ends_is_given_up_and_its_connection_returned() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("debrief.db"), Timestamp::UNIX_EPOCH).unwrap();
        let limit = Duration::from_millis(20);
        for _ in 0..=CONNECTIONS {
            let endless =
                |tx: &Tx<'_>| Ok(tx.0.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?);
            let error = store.read_within(limit, endless).await.unwrap_err();
            assert!(error.is::<TooSlow>(), "{error:#}");
            let panics = |_: &Tx<'_>| -> anyhow::Result<()> { panic!("on purpose") };
            assert!(store.read(panics).await.is_err());
        }
        assert_eq!(kept(&store).await, 0);
        let writes = |tx: &Tx<'_>| tx.forget_deliveries(Timestamp::UNIX_EPOCH);
        assert!(store.read(writes).await.is_err(), "a look changes nothing");
    }

    #[tokio::test]
    async fn inline_work_is_done_at_once_and_looks_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("debrief.db");
        let now = Timestamp::UNIX_EPOCH;
        let store = Store::open_inline(&path, now).unwrap();
        store.transact(move |tx| tx.keep_dead_letter("test", "x", now)).await.unwrap();
        let fails = move |tx: &Tx<'_>| -> anyhow::Result<()> {
            tx.keep_dead_letter("test", "y", now)?;
            anyhow::bail!("on purpose")
        };
        assert!(store.transact_behind(fails).await.is_err());
        assert!(store.read(move |tx| tx.keep_dead_letter("test", "z", now)).await.is_err());
        assert_eq!(kept(&store).await, 1);
        drop(store);
        let store = Store::open(&path, now).unwrap();
        assert_eq!(kept(&store).await, 1);
    }
}
