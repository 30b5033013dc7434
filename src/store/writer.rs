//! One writing thread with group commit.
//!
//! SQLite has one writer; a pool would only move the queue into its busy handler, which sleeps and
//! is unfair. Jobs that wait while a commit is under way share the next one; each runs in a
//! savepoint, so that a failing job rolls back alone. A job's caller hears of success only after
//! the commit is on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow, bail};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Tx;

const QUEUE: usize = 4096;
const BATCH: usize = 256;

/// A unit of work; called inside a transaction, or with the reason why there is none, then told
/// whether the commit succeeded.
type Job = Box<dyn FnOnce(Result<&Connection, String>) -> Finish + Send>;
type Finish = Box<dyn FnOnce(Result<(), String>) + Send>;

pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> anyhow::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serve(&connection, &jobs))
            .context("start the store's writing thread")?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn transact<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        let (answer, done) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = match connection {
                Ok(connection) => in_savepoint(connection, work),
                Err(reason) => Err(anyhow!("begin: {reason}")),
            };
            Box::new(move |commit: Result<(), String>| {
                let result = match commit {
                    Ok(()) => result,
                    Err(reason) => Err(anyhow!("commit: {reason}")),
                };
                // The caller may have given up waiting; the work is done all the same.
                let _ = answer.send(result);
            })
        });
        let queue = locked(&self.queue).clone();
        match queue.context("the store is closed")?.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => bail!("the store is overloaded"),
            Err(TrySendError::Disconnected(_)) => bail!("the store's writing thread has ended"),
        }
        done.await.context("the store's writing thread has ended")?
    }
}

impl Writer {
    /// Takes nothing more, finishes what is queued and closes the file. Blocks meanwhile.
    pub(super) fn close(&self) {
        locked(&self.queue).take();
        let thread = locked(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writing thread has panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(connection: &Connection, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let rest = std::iter::from_fn(|| jobs.try_recv().ok()).take(BATCH - 1);
        let batch: Vec<Job> = std::iter::once(first).chain(rest).collect();
        commit_together(connection, batch);
    }
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "could not fold the write-ahead log into the store at the end");
    }
}

fn commit_together(connection: &Connection, batch: Vec<Job>) {
    let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| {
        tracing::error!(%error, "cannot begin a transaction");
        error.to_string()
    });
    let finishes: Vec<Finish> =
        batch.into_iter().map(|job| job(begun.clone().map(|()| connection))).collect();
    let outcome = begun.and_then(|()| commit(connection));
    for finish in finishes {
        finish(outcome.clone());
    }
}

/// A batch of one job, on the caller's thread.
pub(super) fn alone<T>(
    connection: &Connection,
    work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    connection.execute_batch("BEGIN IMMEDIATE").context("begin a transaction")?;
    let result = in_savepoint(connection, work);
    commit(connection).map_err(|reason| anyhow!("commit: {reason}"))?;
    result
}

fn commit(connection: &Connection) -> Result<(), String> {
    connection.execute_batch("COMMIT").map_err(|error| {
        tracing::error!(%error, "cannot commit");
        let _ = connection.execute_batch("ROLLBACK");
        error.to_string()
    })
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    connection.execute_batch("SAVEPOINT job").context("begin a job")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(&Tx(connection))))
        .unwrap_or_else(|_| Err(anyhow!("a write panicked; this is a bug")));
    let ending = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    connection.execute_batch(ending).context("end a job")?;
    result
}
