//! SQLite: everything the bot remembers, and its queues. The only module with SQL.
//!
//! [`Store::transact`] takes a synchronous closure, so no transaction can span a network call. The
//! store is never asked for the time; it is given `now`. Methods on [`Tx`] read like sentences, one
//! file for each thing they are about.

pub mod answers;
pub mod debriefs;
pub mod digests;
pub mod feeds;
pub mod history;
pub mod inbox;
mod inline;
pub mod meetings;
pub mod outbox;
pub mod people;
mod readers;
pub mod schema;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use self::inline::Inline;
use self::readers::Readers;
use self::writer::Writer;

/// The open store. Dropping it finishes what is queued and closes the file.
pub struct Store {
    work: Work,
    /// Held as long as we live, so that a second process is refused.
    lock: Mutex<Option<File>>,
}

/// Where the work is done.
enum Work {
    Threads { writer: Writer, readers: Readers },
    Inline(Inline),
}

/// A transaction, or a consistent view for reading.
pub struct Tx<'c>(&'c Connection);

impl Store {
    /// Opens the store, creating or migrating it, and claims it for this process.
    ///
    /// # Errors
    /// If another process holds it, if it is somebody else's file, or from a newer version; the
    /// message says what to do.
    pub fn open(path: &Path, now: Timestamp) -> anyhow::Result<Self> {
        Self::opened(path, now, |connection| {
            let readers = Readers::open(path)?;
            Ok(Work::Threads { writer: Writer::start(connection)?, readers })
        })
    }

    /// The same, but everything happens on the caller's thread, at once: for simulations, whose
    /// clock would run away from a thread that works.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_inline(path: &Path, now: Timestamp) -> anyhow::Result<Self> {
        Self::opened(path, now, |connection| Ok(Work::Inline(Inline::new(connection)?)))
    }

    fn opened(
        path: &Path,
        now: Timestamp,
        work: impl FnOnce(Connection) -> anyhow::Result<Work>,
    ) -> anyhow::Result<Self> {
        let lock = claim(path)?;
        let mut connection =
            Connection::open(path).with_context(|| format!("open the store {}", path.display()))?;
        schema::prepare(&mut connection, path, now)?;
        Ok(Self { work: work(connection)?, lock: Mutex::new(Some(lock)) })
    }

    /// Finishes what is queued, closes the file and lets another process have it, whoever still
    /// holds on to this store. Blocks meanwhile; everything asked of it later fails.
    pub fn close(&self) {
        match &self.work {
            Work::Threads { writer, readers } => {
                readers.close();
                writer.close();
            }
            Work::Inline(inline) => inline.close(),
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Runs `work` in a transaction and returns once it is on disk; an error rolls it back.
    pub async fn transact<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        match &self.work {
            Work::Threads { writer, .. } => writer.transact(work).await,
            Work::Inline(inline) => inline.transact(work),
        }
    }

    /// Runs `work` on a consistent, read-only view.
    pub async fn read<T, F>(&self, work: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> anyhow::Result<T> + Send + 'static,
    {
        match &self.work {
            Work::Threads { readers, .. } => readers.read(work).await,
            Work::Inline(inline) => inline.read(work),
        }
    }
}

/// What is looked at by commands that must not disturb a running bot.
///
/// # Errors
/// If there is no store yet, or it is not one of ours.
pub fn peek<T>(path: &Path, work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("open the store {}", path.display()))?;
    schema::expect_current(&connection, path)?;
    work(&Tx(&connection))
}

/// An advisory lock beside the file; the operating system frees it when we die.
fn claim(path: &Path) -> anyhow::Result<File> {
    let beside = lock_path(path);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("create the folder of the store {}", path.display()))?;
    }
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&beside)
        .with_context(|| format!("create the lock file {}", beside.display()))?;
    if lock.try_lock().is_err() {
        bail!(
            "the store {} is in use by another debrief process; stop that one first",
            path.display()
        );
    }
    Ok(lock)
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Seconds, as stored.
fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

/// A stored moment. What the store holds was a timestamp once, so it always is one.
fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
