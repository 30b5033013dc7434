//! Backups and retention: the loop of the night, and the commands.
//!
//! A backup has a thread and a connection of its own, so it holds up neither people nor other
//! loops. Told to stop, it stops at the next step; what it leaves is removed at the next start.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::aftermath::Aftermath;
use super::operator::operator;
use crate::config::{BackupConfig, Config, RetentionConfig};
use crate::domain::audit::{Action, Entry};
use crate::domain::schedule::Schedule;
use crate::store::audit::Standing;
use crate::store::backup::{self, Findings, Made};
use crate::store::restore::{self, Restored};
use crate::store::retention::{self, Limits, Step};
use crate::store::upkeep::{Job, Upkeep};
use crate::store::{self, Store, Tx, checksum, erasure};

/// From one failed try to the next, doubled each time.
const FIRST_RETRY: SignedDuration = SignedDuration::from_mins(5);
/// As long as the oldest backup.
const COPIES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);
const LONGEST_RETRY: SignedDuration = SignedDuration::from_hours(1);

/// How backups go, for whoever watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupStatus {
    /// Whether they are made by schedule.
    pub is_scheduled: bool,
    /// The newest backup, by schedule or by hand.
    pub last_success_at: Option<Timestamp>,
    /// A backup is checked page by page before it gets its name; when that was last done.
    pub verified_at: Option<Timestamp>,
    /// Why the last try failed, if it did.
    pub problem: Option<String>,
    /// More than one slot was missed.
    pub is_overdue: bool,
}

/// What the nights need.
pub(super) struct Keeper {
    store: PathBuf,
    backup: BackupConfig,
    retention: RetentionConfig,
    stopping: CancellationToken,
    aftermath: Aftermath,
}

impl Keeper {
    /// Removes what killed processes left: of a backup in its folder, of a restore beside the store.
    /// Only for whoever holds the store.
    pub(super) fn new(config: &Config, stopping: &CancellationToken) -> Self {
        let removed = backup::remove_remains_of_the_dead(&config.backup.folder).and_then(|files| {
            restore::remove_remains_of_the_dead(&config.store_path)?;
            Ok(files)
        });
        match removed {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "removed what an interrupted backup had left"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot remove what an interrupted backup has left");
            }
        }
        Self {
            store: config.store_path.clone(),
            backup: config.backup.clone(),
            retention: config.retention.clone(),
            stopping: stopping.clone(),
            aftermath: Aftermath::new(config.store_path.clone(), stopping.clone()),
        }
    }

    /// Does what is owed; says when something is owed next.
    pub(super) async fn turn(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> anyhow::Result<Option<Timestamp>> {
        self.aftermath.turn(now).await;
        let mut next = self.retention.schedule.next(now, &TimeZone::UTC).map(|slot| slot.at);
        if let Some(schedule) = &self.backup.schedule {
            if let Some(slot) = owed(store, Job::Backup, schedule, now).await? {
                let made = self.back_up(now).await.map(|made| {
                    tracing::info!(bytes = made.findings.bytes, "made a backup");
                });
                self.conclude(store, Job::Backup, slot, made, now).await?;
            }
            let slot = schedule.next(now, &TimeZone::UTC).map(|slot| slot.at);
            next = next.into_iter().chain(slot).min();
        }
        if let Some(slot) = owed(store, Job::Retention, &self.retention.schedule, now).await? {
            self.tidy(now);
            let done = self.forget(store, now).await.map(|rows| {
                tracing::info!(rows, "forgot what was too old");
            });
            self.conclude(store, Job::Retention, slot, done, now).await?;
        }
        Ok(next)
    }

    /// Copies from before a migration or a restore hold erased people, as backups do, and go as they do.
    fn tidy(&self, now: Timestamp) {
        match restore::remove_old_copies(&self.store, now - COPIES_KEPT) {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "removed copies from before a migration or restore"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot remove old copies beside the store");
            }
        }
    }

    async fn back_up(&self, now: Timestamp) -> anyhow::Result<Made> {
        let (store, folder) = (self.store.clone(), self.backup.folder.clone());
        let rotation = self.backup.rotation;
        apart("backup", &self.stopping, move |is_over| {
            backup::into_folder(&store, &folder, rotation, now, &|| !is_over())
        })
        .await
    }

    /// Counts what was removed.
    async fn forget(&self, store: &Store, now: Timestamp) -> anyhow::Result<usize> {
        let limits = Limits::at(&self.retention.ages, now);
        let mut rows = 0;
        for step in Step::ALL {
            loop {
                if self.stopping.is_cancelled() {
                    return Err(anyhow!("stopped before everything old was removed"));
                }
                let removed = store.transact_behind(move |tx| tx.forget(step, &limits)).await?;
                if removed == 0 {
                    break;
                }
                rows += removed;
            }
        }
        if rows > 0 {
            let path = self.store.clone();
            if !tokio::task::spawn_blocking(move || retention::fold(&path)).await?? {
                tracing::info!("what was removed leaves the write-ahead log a little later");
            }
        }
        Ok(rows)
    }

    async fn conclude(
        &self,
        store: &Store,
        job: Job,
        slot: Timestamp,
        done: anyhow::Result<()>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let problem = done.err().map(|error| format!("{error:#}"));
        if problem.is_some() && self.stopping.is_cancelled() {
            // Not its fault: still owed at the next start.
            return Ok(());
        }
        if let Some(problem) = &problem {
            tracing::error!(problem, ?job, "upkeep failed; it is tried again within the hour");
        }
        store
            .transact(move |tx| match &problem {
                None => tx.upkeep_done(job, slot, now),
                Some(problem) => tx.upkeep_failed(job, problem, now),
            })
            .await
    }
}

/// Does long work on a thread of its own, not as a task: one of those would have to end before the
/// process may. `work` is given a way to see that it is to stop.
pub(super) async fn apart<T: Send + 'static>(
    name: &'static str,
    stopping: &CancellationToken,
    work: impl FnOnce(Box<dyn Fn() -> bool + Send>) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_over);
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            // Whoever waited may be gone.
            let _ = done.send(work(Box::new(move || flag.load(Ordering::Relaxed))));
        })
        .with_context(|| format!("start a thread for {name}"))?;
    tokio::select! {
        result = result => result.with_context(|| format!("the thread for {name} has panicked"))?,
        () = stopping.cancelled() => {
            is_over.store(true, Ordering::Relaxed);
            Err(anyhow!("stopped before it was finished"))
        }
    }
}

/// The slot that is to be done now: the latest one, unless it was done, lies before the
/// installation, or failed a moment ago.
async fn owed(
    store: &Store,
    job: Job,
    schedule: &Schedule,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    let Some(slot) = schedule.latest(now, &TimeZone::UTC) else {
        return Ok(None);
    };
    let (installed, known) =
        store.read(move |tx| Ok((tx.installed_at()?, tx.upkeep(job)?))).await?;
    let is_new = slot.at >= installed && known.slot_at.is_none_or(|done| done < slot.at);
    Ok((is_new && retry_at(&known).is_none_or(|at| at <= now)).then_some(slot.at))
}

fn retry_at(known: &Upkeep) -> Option<Timestamp> {
    let doublings = known.failures.saturating_sub(1).min(10);
    Some(known.tried_at? + (FIRST_RETRY * (1 << doublings)).min(LONGEST_RETRY))
}

/// How backups go. What was made by hand counts, as long as it lies in the folder.
///
/// # Errors
/// If the store cannot be read. A folder that cannot is a problem to tell.
pub fn backup_status(
    tx: &Tx<'_>,
    config: &BackupConfig,
    now: Timestamp,
) -> anyhow::Result<BackupStatus> {
    let known = tx.upkeep(Job::Backup)?;
    let (newest, trouble) = match backup::list(&config.folder) {
        Ok(backups) => (backups.first().map(|(at, _)| *at), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let last_success_at = known.done_at.max(newest);
    let second = SignedDuration::from_secs(1);
    let missed = config.schedule.as_ref().and_then(|schedule| {
        let latest = schedule.latest(now, &TimeZone::UTC)?;
        schedule.latest(latest.at - second, &TimeZone::UTC)
    });
    let since = last_success_at.map_or_else(|| tx.installed_at(), Ok)?;
    Ok(BackupStatus {
        is_scheduled: config.schedule.is_some(),
        last_success_at,
        verified_at: last_success_at,
        problem: known.problem.or(trouble),
        is_overdue: missed.is_some_and(|missed| since < missed.at),
    })
}

/// `debrief backup`: into the folder, or to a file. May be used while the bot runs.
///
/// # Errors
/// If there is no store, or the copy cannot be made or is not good.
pub fn back_up(
    config: &Config,
    to: Option<&Path>,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let BackupConfig { folder, rotation, .. } = &config.backup;
    let begun = Instant::now();
    let made = match to {
        None => backup::into_folder(&config.store_path, folder, *rotation, now, &|| true)?,
        Some(to) => Made {
            path: to.to_owned(),
            findings: backup::into_file(&config.store_path, to, &|| true)?,
            removed: 0,
        },
    };
    let older = match made.removed {
        0 => String::new(),
        removed => format!("; removed {removed} older"),
    };
    let took = begun.elapsed().as_secs_f64();
    let (path, size) = (made.path.display(), size(made.findings.bytes));
    writeln!(out, "{path}: {size} in {took:.1} s, verified{older}")?;
    Ok(())
}

/// `debrief restore --verify FILE`: whether a backup is good, and what is in it. Changes nothing.
///
/// # Errors
/// If the backup is damaged, not ours or from a newer version.
pub fn verify(from: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let checksum = match checksum::matches(from)? {
        Some(true) => "checksum right",
        Some(false) => {
            return Err(anyhow!(
                "{} is not what it was when it was made: its checksum differs",
                from.display()
            ));
        }
        None => "no checksum beside it",
    };
    let findings = backup::look_over(from)?;
    let (path, size) = (from.display(), size(findings.bytes));
    writeln!(out, "{path}: good, {size}, {checksum}, {}", contents(&findings))?;
    Ok(())
}

/// `debrief restore FILE`: puts a backup in the place of the store.
///
/// # Errors
/// If the bot runs, or as [`verify`].
pub fn restore(
    config: &Config,
    from: &Path,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let path = &config.store_path;
    let done = restore::run(path, from, now, |new, replaced| {
        let erased = erasure::replay(new)?;
        let mut restored = Entry::of(operator(), Action::Restore);
        if let Some(log) = replaced {
            restored = restored.within(format!("replaced rows {} head {}", log.rows, log.head));
        }
        store::visit(new, move |tx| tx.audit(&restored, now))?;
        Ok(erased)
    })?;
    writeln!(out, "{}: restored from {}", path.display(), from.display())?;
    writeln!(out, "it holds {}", contents(&done.findings))?;
    if done.erased > 0 {
        writeln!(out, "erased again who was erased since: {}", done.erased)?;
    }
    if let Some(aside) = &done.aside {
        writeln!(out, "{}", log_of_the_replaced(&done))?;
        writeln!(out, "the store that was there before is {}", aside.display())?;
    }
    Ok(())
}

/// Who looked at whom after the backup was made is known to the replaced store only.
fn log_of_the_replaced(done: &Restored) -> String {
    let Some(Standing { rows, head }) = &done.replaced else {
        return "the audit log that was there before could not be read".to_owned();
    };
    let kept = done.log.rows;
    let lost = if done.log.head == *head {
        "all of them are in the restored one".to_owned()
    } else {
        format!("the restored one has the {kept} of the backup; keep the store that was there")
    };
    format!("the audit log that was there before had {rows} rows, head {head}: {lost}")
}

fn contents(findings: &Findings) -> String {
    let newest = match findings.newest_answer_at {
        Some(at) => format!("the newest answer of {at}"),
        None => "no answer yet".to_owned(),
    };
    format!(
        "{} people, {} debriefs, {} answers, {newest}, schema {}",
        findings.people, findings.debriefs, findings.answers, findings.version
    )
}

/// In the unit that people read.
fn size(bytes: u64) -> String {
    let kib = bytes.div_ceil(1 << 10);
    if kib < 1 << 10 {
        return format!("{kib} KiB");
    }
    format!("{}.{} MiB", kib >> 10, ((kib % (1 << 10)) * 10) >> 10)
}
