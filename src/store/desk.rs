//! Where writing happens: many jobs, one transaction, one flush.
//!
//! A failing job rolls back alone: it runs in a savepoint, or, as those cost a copy of every page that
//! is written, the batch is undone and run again with savepoints. A job's caller hears of success
//! only after the commit is on disk; of failure, always. Folding the write-ahead log into
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

/// A unit of work, and its caller who waits.
pub(super) type Job = Box<dyn Work>;

pub(super) trait Work: Send {
    /// Whether it may be run once more after its first run was undone.
    fn is_repeatable(&self) -> bool;
    /// Runs in a transaction. Says what went wrong, if anything did.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Failed>;
    /// Its run was undone, or it never ran, for this reason.
    fn undone(&mut self, error: anyhow::Error);
    /// Tells the caller, given how the commit went.
    fn tell(self: Box<Self>, commit: &Result<(), String>);
}

/// Jobs that are committed together.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    /// From here on each job can be undone alone.
    is_guarded: bool,
}

/// A job that failed; why, if SQLite was the reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed(Option<Trouble>);

struct Task<T, F> {
    work: F,
    is_repeatable: bool,
    result: anyhow::Result<T>,
    caller: oneshot::Sender<anyhow::Result<T>>,
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnMut(&Tx<'_>) -> anyhow::Result<T> + Send,
{
    fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Failed> {
        self.result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)))
            .unwrap_or_else(|_| Err(anyhow!("a write panicked; this is a bug")));
        self.result.as_ref().map(drop).map_err(|error| Failed(Trouble::within(error)))
    }

    fn undone(&mut self, error: anyhow::Error) {
        if self.result.is_ok() {
            self.result = Err(error);
        }
    }

    fn tell(self: Box<Self>, commit: &Result<(), String>) {
        let result = match commit {
            Ok(()) => self.result,
            Err(reason) => self.result.and_then(|_| Err(anyhow!(reason.clone()))),
        };
        // The caller may have given up waiting; the work is done all the same.
        let _ = self.caller.send(result);
    }
}

/// The one connection that writes.
pub(super) struct Desk {
    connection: Connection,
    meters: Arc<Meters>,
    failure: Failure,
}

/// A job that runs `work`, and where its result will be. It may be run twice, if another one of its
/// batch fails.
pub(super) fn repeatable<T, F>(work: F) -> (Job, oneshot::Receiver<anyhow::Result<T>>)
where
    T: Send + 'static,
    F: Fn(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
{
    job(work, true)
}

/// The same for `work` that can be run once only.
pub(super) fn once<T, F>(work: F) -> (Job, oneshot::Receiver<anyhow::Result<T>>)
where
    T: Send + 'static,
    F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
{
    let mut work = Some(work);
    job(move |tx: &Tx<'_>| work.take().context("a write was to be repeated")?(tx), false)
}

fn job<T, F>(work: F, is_repeatable: bool) -> (Job, oneshot::Receiver<anyhow::Result<T>>)
where
    T: Send + 'static,
    F: FnMut(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
{
    let (caller, done) = oneshot::channel();
    let result = Err(anyhow!("it was not done"));
    (Box::new(Task { work, is_repeatable, result, caller }), done)
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
        let mut batch = Batch::default();
        while let Some(job) = next() {
            batch.jobs.push(job);
            if state.is_ok() {
                state = self.run_last(&mut batch);
                if state.is_err() {
                    break;
                }
            }
        }
        self.meters.batches.held(batch.jobs.len());
        let outcome = state.and_then(|()| self.commit());
        match &outcome {
            Ok(()) => self.meters.saved(),
            Err(_) => self.meters.is_failing.store(true, Relaxed),
        }
        if outcome.is_err() && !self.connection.is_autocommit() && !self.failure.happened() {
            // If even that fails, the next batch cannot begin and says so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        for job in batch.jobs {
            job.tell(&outcome);
        }
        if outcome.is_ok() && self.meters.wal_pages.load(Relaxed) >= FOLD_FROM {
            self.fold();
        }
    }

    /// Runs the newest job of a batch. Says whether the batch can go on.
    fn run_last(&self, batch: &mut Batch) -> Result<(), String> {
        let Some(job) = batch.jobs.last_mut() else {
            return Ok(());
        };
        // What comes after a job that cannot be repeated must not undo it.
        batch.is_guarded |= !job.is_repeatable();
        if batch.is_guarded {
            let trouble = self.run_in_savepoint(job.as_mut());
            return self.after(trouble);
        }
        let before = self.connection.total_changes();
        let failed = job.run(&Tx(&self.connection)).err();
        self.after(failed.and_then(|Failed(trouble)| trouble))?;
        if failed.is_none() || self.connection.total_changes() == before {
            return Ok(());
        }
        self.start_over(batch)
    }

    /// A job that failed has left something behind: undoes the whole batch and runs it again, in such
    /// a way that every job can be undone alone.
    fn start_over(&self, batch: &mut Batch) -> Result<(), String> {
        batch.is_guarded = true;
        self.connection.execute_batch("ROLLBACK").map_err(|error| self.met(&error, "undo"))?;
        self.begin()?;
        for job in &mut batch.jobs {
            let trouble = self.run_in_savepoint(job.as_mut());
            self.after(trouble)?;
        }
        Ok(())
    }

    /// Runs a job so that nothing is left of it if it fails.
    fn run_in_savepoint(&self, job: &mut dyn Work) -> Option<Trouble> {
        let undo = |job: &mut dyn Work, error: rusqlite::Error, doing: &'static str| {
            let trouble = Trouble::of(&error);
            job.undone(anyhow::Error::new(error).context(doing));
            trouble
        };
        if let Err(error) = self.run("SAVEPOINT job") {
            return undo(job, error, "begin a job");
        }
        let failed = job.run(&Tx(&self.connection)).err();
        if self.connection.is_autocommit() {
            // The error was such that SQLite has rolled everything back already.
            job.undone(anyhow!("the transaction was given up"));
        } else if failed.is_some()
            && let Err(error) = self.run("ROLLBACK TO job")
        {
            return undo(job, error, "undo a job");
        } else if let Err(error) = self.run("RELEASE job") {
            return undo(job, error, "end a job");
        }
        failed.and_then(|Failed(trouble)| trouble)
    }

    /// What is done for many jobs is not parsed for each.
    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
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
        result.map_err(|error| self.met(&error, "commit"))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

    use anyhow::bail;
    use jiff::Timestamp;

    use crate::store::{Store, Tx};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn keep(tx: &Tx<'_>, text: &str) -> anyhow::Result<()> {
        tx.keep_dead_letter("test", text, NOW).map(drop)
    }

    /// Three jobs share a batch with one that keeps the writer until all are there.
    async fn together(
        middle: impl Fn(&Tx<'_>) -> anyhow::Result<()> + Send + 'static,
    ) -> (u64, u32) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("debrief.db"), NOW).unwrap());
        let are_there = Arc::new(AtomicBool::new(false));
        let runs = Arc::new(AtomicU32::new(0));
        let (waits, counts) = (Arc::clone(&are_there), Arc::clone(&runs));
        let first = store.transact(move |_| {
            while !waits.load(SeqCst) {
                std::thread::yield_now();
            }
            Ok(())
        });
        let good = store.transact(move |tx| {
            counts.fetch_add(1, SeqCst);
            keep(tx, "good")
        });
        let last = store.transact(|tx| keep(tx, "last"));
        let queued = async {
            while store.figures().people_waiting < 3 {
                tokio::task::yield_now().await;
            }
            are_there.store(true, SeqCst);
        };
        let (first, good, middle, last, ()) =
            tokio::join!(first, good, store.transact(middle), last, queued);
        first.unwrap();
        good.unwrap();
        last.unwrap();
        middle.unwrap_err();
        assert_eq!(store.figures().batches.count, 1);
        let kept = store.read(|tx: &Tx<'_>| tx.dead_letters()).await.unwrap();
        (kept, runs.load(SeqCst))
    }

    #[tokio::test]
    async fn a_job_that_fails_takes_nothing_with_it_that_shares_its_commit() {
        let writes_and_fails = |tx: &Tx<'_>| {
            keep(tx, "bad")?;
            bail!("on purpose")
        };
        assert_eq!(together(writes_and_fails).await, (2, 2), "run again, and kept once");
        let writes_and_panics = |tx: &Tx<'_>| {
            keep(tx, "bad")?;
            panic!("on purpose")
        };
        assert_eq!(together(writes_and_panics).await, (2, 2));
        let fails = |_: &Tx<'_>| bail!("on purpose");
        assert_eq!(together(fails).await, (2, 1), "there is nothing to undo");
    }
}
