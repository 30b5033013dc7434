//! One writing thread, two lanes.
//!
//! SQLite has one writer; a pool would only move the queue into its busy handler, which sleeps and
//! is unfair. Jobs that wait while a commit is under way share the next one. People wait for theirs
//! (an acknowledgement has three seconds), so their lane is emptied first; the background gets one job
//! into every batch, and as many as fit into a few milliseconds where nobody waits.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::desk::{Desk, Job};
use super::figures::{Figures, Meters};
use super::trouble::Failure;

/// Jobs that may wait in each lane; more are refused at once.
const QUEUE: usize = 4096;
/// Jobs that share a commit, at most.
const BATCH: usize = 256;
/// How long the background may make a batch last that nobody waits for.
const BEHIND_FOR: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody waits for it.
    People,
    Behind,
}

pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
    meters: Arc<Meters>,
    failure: Failure,
}

#[derive(Default)]
struct Lanes {
    people: VecDeque<Job>,
    behind: VecDeque<Job>,
    /// Waking somebody who is awake costs a call of the system for each job.
    is_asleep: bool,
    is_closed: bool,
}

/// A batch being filled.
struct Turn {
    began: Instant,
    jobs: usize,
    behind: usize,
}

impl Writer {
    pub(super) fn start(desk: Desk, meters: Arc<Meters>, failure: Failure) -> anyhow::Result<Self> {
        let (lanes, filled) = (Mutex::default(), Condvar::new());
        let queue = Arc::new(Queue { lanes, filled, meters, failure });
        let served = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || serve(desk, &served))
            .context("start the store's writing thread")?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Queues `job`; its result comes once it is on disk.
    pub(super) fn add(&self, lane: Lane, job: Job) -> anyhow::Result<()> {
        self.queue.add(lane, job)
    }

    pub(super) fn figures(&self) -> Figures {
        let lanes = self.queue.lanes();
        let (people, behind) = (lanes.people.len(), lanes.behind.len());
        drop(lanes);
        self.queue.meters.read(people, behind)
    }

    /// Takes nothing more, finishes what is queued and closes the file. Blocks meanwhile, except
    /// after a failure, when nothing is left to be finished.
    pub(super) fn close(&self) {
        self.queue.lanes().is_closed = true;
        self.queue.filled.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.queue.failure.happened() {
            return;
        }
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

impl Queue {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, lane: Lane, job: Job) -> anyhow::Result<()> {
        let mut lanes = self.lanes();
        if let Some(reason) = self.failure.reason() {
            bail!("the store has failed: {reason}");
        }
        if lanes.is_closed {
            bail!("the store is closed");
        }
        let jobs = match lane {
            Lane::People => &mut lanes.people,
            Lane::Behind => &mut lanes.behind,
        };
        if jobs.len() >= QUEUE {
            self.meters.overloaded.fetch_add(1, Relaxed);
            bail!("the store is overloaded; nothing was saved");
        }
        jobs.push_back(job);
        let is_asleep = std::mem::take(&mut lanes.is_asleep);
        drop(lanes);
        if is_asleep {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for work. Says whether there is any; there is none once we are closed.
    fn wait(&self) -> bool {
        let is_idle = |lanes: &mut Lanes| {
            lanes.is_asleep =
                lanes.people.is_empty() && lanes.behind.is_empty() && !lanes.is_closed;
            lanes.is_asleep
        };
        let lanes = self.filled.wait_while(self.lanes(), is_idle);
        let lanes = lanes.unwrap_or_else(PoisonError::into_inner);
        !lanes.people.is_empty() || !lanes.behind.is_empty()
    }

    fn next(&self, turn: &mut Turn) -> Option<Job> {
        if turn.jobs == BATCH {
            return None;
        }
        let mut lanes = self.lanes();
        let owed = turn.jobs + 1 == BATCH && turn.behind == 0 && !lanes.behind.is_empty();
        let person = if owed { None } else { lanes.people.pop_front() };
        let job = person.or_else(|| {
            let does_nobody_wait = turn.jobs == turn.behind;
            let may = turn.behind == 0 || does_nobody_wait && turn.began.elapsed() < BEHIND_FOR;
            let job = may.then(|| lanes.behind.pop_front()).flatten()?;
            turn.behind += 1;
            Some(job)
        })?;
        turn.jobs += 1;
        Some(job)
    }
}

fn serve(desk: Desk, queue: &Queue) {
    let _watch = DeathWatch(queue);
    while queue.wait() {
        let mut turn = Turn { began: Instant::now(), jobs: 0, behind: 0 };
        desk.commit_together(|| queue.next(&mut turn));
    }
    desk.finish();
}

/// A bot whose writer is dead is worse than a dead bot: it looks alive.
struct DeathWatch<'q>(&'q Queue);

impl Drop for DeathWatch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failure.declare("its writing thread has died; this is a bug");
            let mut lanes = self.0.lanes();
            lanes.is_closed = true;
            lanes.people.clear();
            lanes.behind.clear();
        }
    }
}
