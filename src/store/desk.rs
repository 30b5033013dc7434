//! Where writing happens: many jobs, one transaction, one flush.
//!
//! Each job runs in a savepoint, so that a failing one rolls back alone. A job's caller hears of
//! success only after the commit is on disk; of failure, always. Folding the write-ahead log into
//! the store comes after that, so nobody's acknowledgement waits for it, and its errors are seen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use super::Tx;
use super::figures::Meters;
use super::place;
use super::trouble::{Failure, Trouble};

/// Pages in the write-ahead log from which on it is folded into the store.
const FOLD_FROM: u64 = 1000;

/// A unit of work; called inside a transaction, or with the reason why there is none.
pub(super) type Job = Box<dyn FnOnce(Result<&Connection, String>) -> Done + Send>;

/// Work that was done, to be told whether the commit succeeded.
pub(super) struct Done {
    trouble: Option<Trouble>,
    finish: Box<dyn FnOnce(Result<(), String>) + Send>,
}

/// The one connection that writes.
pub(super) struct Desk {
    connection: Connection,
    meters: Arc<Meters>,
    failure: Failure,
}

/// A job that runs `work`, and where its result will be.
pub(super) fn job<T, F>(work: F) -> (Job, oneshot::Receiver<anyhow::Result<T>>)
where
    T: Send + 'static,
    F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
{
    let (answer, done) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        let result = match connection {
            Ok(connection) => in_savepoint(connection, work),
            Err(reason) => Err(anyhow!(reason)),
        };
        let trouble = result.as_ref().err().and_then(Trouble::within);
        let finish = Box::new(move |commit: Result<(), String>| {
            let result = match commit {
                Ok(()) => result,
                Err(reason) => result.and_then(|_| Err(anyhow!(reason))),
            };
            // The caller may have given up waiting; the work is done all the same.
            let _ = answer.send(result);
        });
        Done { trouble, finish }
    });
    (job, done)
}

impl Desk {
    pub(super) fn new(
        mut connection: Connection,
        meters: Arc<Meters>,
        failure: Failure,
    ) -> anyhow::Result<Self> {
        let pages = Arc::clone(&meters);
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count: i32| {
                pages.wal_pages.store(u64::try_from(count).unwrap_or(0), Relaxed);
                Ok(())
            }))
            .context("watch the write-ahead log")?;
        Ok(Self { connection, meters, failure })
    }

    /// Runs the jobs that `next` hands out, commits them together and tells each.
    pub(super) fn commit_together(&self, mut next: impl FnMut() -> Option<Job>) {
        let mut state = self.begin();
        let mut finishes = Vec::new();
        while let Some(job) = next() {
            let Done { trouble, finish } = job(state.clone().map(|()| &self.connection));
            finishes.push(finish);
            if state.is_ok() {
                state = self.after(trouble);
                if state.is_err() {
                    break;
                }
            }
        }
        self.meters.batches.held(finishes.len());
        let outcome = state.and_then(|()| self.commit());
        match &outcome {
            Ok(()) => self.meters.saved(),
            Err(_) => self.meters.is_failing.store(true, Relaxed),
        }
        for finish in finishes {
            finish(outcome.clone());
        }
        if outcome.is_ok() && self.meters.wal_pages.load(Relaxed) >= FOLD_FROM {
            self.fold();
        }
    }

    /// Runs `work` on what is stored, changing nothing.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        // Not with `query_only`: switching it makes SQLite forget every statement it has prepared.
        let before = self.connection.total_changes();
        self.connection.execute_batch("BEGIN").context("begin reading")?;
        let result = catch_unwind(AssertUnwindSafe(|| work(&Tx(&self.connection))));
        self.connection.execute_batch("ROLLBACK").context("end reading")?;
        if self.connection.total_changes() != before {
            bail!("a look tried to write; this is a bug");
        }
        result.unwrap_or_else(|_| Err(anyhow!("a look panicked; this is a bug")))
    }

    /// Folds the whole write-ahead log into the store, unless the store has failed: then what is on
    /// disk is left as it is.
    pub(super) fn finish(self) {
        if self.failure.happened() {
            let flag = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            // Without it there is nothing better to do than to close.
            let _ = self.connection.set_db_config(flag, true);
        } else if let Err(error) = super::schema::fold_all(&self.connection) {
            let error = format!("{error:#}");
            tracing::warn!(error, "could not fold the write-ahead log into the store at the end");
        }
    }

    fn begin(&self) -> Result<(), String> {
        if let Some(reason) = self.failure.reason() {
            return Err(format!("the store has failed: {reason}"));
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| self.met(&error, "begin"))
    }

    /// Whether the batch can go on after a job: some errors end the whole transaction.
    fn after(&self, trouble: Option<Trouble>) -> Result<(), String> {
        if trouble.is_some_and(Trouble::is_final) {
            self.count(trouble);
            let why = match trouble {
                Some(Trouble::Damage) => "the file is damaged",
                _ => "the disk failed while reading or writing",
            };
            self.failure.declare(why);
            return Err(format!("the store has failed: {why}"));
        }
        if self.connection.is_autocommit() {
            self.count(trouble);
            return Err("the transaction was given up; nothing was saved".to_owned());
        }
        Ok(())
    }

    fn commit(&self) -> Result<(), String> {
        let began = Instant::now();
        let result = self.connection.execute_batch("COMMIT");
        self.meters.commits.took(began.elapsed());
        result.map_err(|error| {
            let reason = self.met(&error, "commit");
            if !self.connection.is_autocommit() && !self.failure.happened() {
                // If even that fails, the next batch cannot begin and says so.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            reason
        })
    }

    fn fold(&self) {
        let began = Instant::now();
        let result = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        self.meters.checkpoints.took(began.elapsed());
        if let Err(error) = result {
            self.met(&error, "checkpoint");
        }
    }

    /// Counts an error, ends the store if it must, and says what it means.
    fn met(&self, error: &rusqlite::Error, during: &str) -> String {
        let mut trouble = Trouble::of(error);
        if Trouble::is_unwritten(error) && self.connection.path().is_some_and(place::has_no_room) {
            trouble = Some(Trouble::Full);
        }
        self.count(trouble);
        tracing::error!(%error, during, "the store could not be written");
        match trouble {
            Some(Trouble::Busy) => {
                "another program holds the store locked; nothing was saved".to_owned()
            }
            Some(Trouble::Full) => "the disk is full; nothing was saved".to_owned(),
            Some(trouble) if trouble.is_final() => {
                let why = format!("{during}: {error}");
                self.failure.declare(&why);
                format!("the store has failed: {why}")
            }
            _ => format!("{during}: {error}"),
        }
    }

    fn count(&self, trouble: Option<Trouble>) {
        self.meters.errors.fetch_add(1, Relaxed);
        match trouble {
            Some(Trouble::Busy) => self.meters.busy.fetch_add(1, Relaxed),
            Some(Trouble::Full) => self.meters.full.fetch_add(1, Relaxed),
            _ => 0,
        };
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    run(connection, "SAVEPOINT job").context("begin a job")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(&Tx(connection))))
        .unwrap_or_else(|_| Err(anyhow!("a write panicked; this is a bug")));
    if connection.is_autocommit() {
        // The error was such that SQLite has rolled everything back already.
        return result.and_then(|_| Err(anyhow!("the transaction was given up")));
    }
    if result.is_err() {
        run(connection, "ROLLBACK TO job").context("undo a job")?;
    }
    run(connection, "RELEASE job").context("end a job")?;
    result
}

/// What is done for every job is not parsed for each.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
