//! The store as files: who holds it, whether it is the one we know, who may read it.
//!
//! Beside `debrief.db` lie SQLite's own `debrief.db-wal` and `-shm`, and two of ours.
//! `debrief.db.lock` is held by the running process and names it; what it still says after that
//! process is gone tells us that it did not stop in order. `debrief.db.expected` says that there was
//! a store once: without it, a start on an empty or unmounted folder would quietly begin anew.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::trouble::Unusable;

/// Readable and writable by its owner, nobody else.
const PRIVATE: u32 = 0o600;

/// The store's files, claimed for this process.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Held as long as we live, so that a second process is refused.
    lock: Mutex<Option<File>>,
    /// Device and inode of the store when we opened it.
    identity: (u64, u64),
    pub(super) last_stop: LastStop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastStop {
    InOrder,
    /// Killed, crashed, or without power.
    Unclean,
}

/// Whether a missing store may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Made, unless there was one once.
    Create,
    /// Refused: the administrator says that there is one.
    Refuse,
}

impl Place {
    /// Claims the store at `path`, making an empty file if there is none and may be one.
    pub(super) fn claim(path: &Path, missing: Missing, now: Timestamp) -> anyhow::Result<Self> {
        expect_present(path, missing)?;
        make_folder(path)?;
        let (lock, mut last_stop) = lock(path, now)?;
        // Another process may have closed it just now: look again, with the lock held.
        expect_present(path, missing)?;
        if size(&beside(path, "-wal")) > 0 {
            last_stop = LastStop::Unclean;
        }
        let made = OpenOptions::new().create(true).append(true).mode(PRIVATE).open(path);
        let made = made.with_context(|| format!("open the store {}", path.display()))?;
        let metadata = made.metadata().context("look at the store")?;
        for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
            keep_private(&file);
        }
        Ok(Self {
            path: path.to_owned(),
            lock: Mutex::new(Some(lock)),
            identity: (metadata.dev(), metadata.ino()),
            last_stop,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Says from now on that there is a store here.
    pub(super) fn expect_from_now_on(&self, now: Timestamp) -> anyhow::Result<()> {
        let marker = beside(&self.path, ".expected");
        if marker.exists() {
            return Ok(());
        }
        let text = format!(
            "debrief has kept its store beside this file since {now}. As long as this file is here, \
             debrief\nrefuses to start without that store, so that an empty disk is noticed. Delete \
             it only to begin\nwith an empty store.\n"
        );
        let mut file = create_private(&marker)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(|| format!("write {}", marker.display()))?;
        sync_folder(&self.path)
    }

    /// Whether the file we opened is still the one at its path.
    pub(super) fn is_still_there(&self) -> Result<(), String> {
        let path = self.path.display();
        match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.identity => Ok(()),
            Ok(_) => Err(format!("{path} was replaced by another file while we used it")),
            Err(error) => Err(format!("{path} is gone: {error}")),
        }
    }

    /// Lets another process have the store. After a stop in order, says so.
    pub(super) fn release(&self, stop: LastStop) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(lock), LastStop::InOrder) = (lock, stop) {
            // Otherwise the next start checks more than it needs to.
            let _ = lock.set_len(0);
        }
    }
}

/// The store's place, held while something else than a bot works on it.
pub(super) struct Held(File);

/// Keeps bots, and everybody else who asks, away from the store at `path` until it is dropped.
pub(super) fn hold(path: &Path, now: Timestamp) -> anyhow::Result<Held> {
    make_folder(path)?;
    let (file, _) = lock(path, now)?;
    Ok(Held(file))
}

/// Whether somebody holds the store at `path`.
pub(super) fn is_held(path: &Path) -> bool {
    let lock = File::options().write(true).open(beside(path, ".lock"));
    lock.is_ok_and(|lock| lock.try_lock().is_err())
}

impl Drop for Held {
    fn drop(&mut self) {
        // Otherwise the next start checks more than it needs to.
        let _ = self.0.set_len(0);
    }
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("create the folder of the store {}", path.display()))
}

/// `name` beside the store: `debrief.db` → `debrief.db.lock`.
pub(super) fn beside(path: &Path, name: &str) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(OsStr::new(name));
    whole.into()
}

pub(super) fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// A new file, or an old one emptied, for its owner alone.
pub(super) fn create_private(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).write(true).truncate(true).mode(PRIVATE).open(path);
    file.with_context(|| format!("create {}", path.display()))
}

/// Whether a few more bytes beside `store` are refused for want of room. SQLite knows a full disk,
/// but takes a used-up quota for a broken one.
pub(super) fn has_no_room(store: &str) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let probe = beside(Path::new(store), ".probe");
    let written = std::fs::write(&probe, [0; 8192]);
    // What is left of it is overwritten by the next one.
    let _ = std::fs::remove_file(&probe);
    let refused = written.err().map(|error| error.kind());
    matches!(refused, Some(StorageFull | QuotaExceeded | FileTooLarge))
}

/// Makes a new name in the store's folder survive a power cut.
pub(super) fn sync_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .context("write the store's folder to disk")
}

/// Refuses to begin with an empty store where there was, or should be, a full one.
///
/// # Errors
/// With what to do.
pub fn expect_present(path: &Path, missing: Missing) -> Result<(), Unusable> {
    let marker = beside(path, ".expected");
    let wal = beside(path, "-wal");
    if size(path) > 0 {
        return Ok(());
    }
    let (why, else_) = if marker.exists() {
        (
            format!("{} says that there was one", marker.display()),
            format!("delete {}", marker.display()),
        )
    } else if size(&wal) > 0 {
        (format!("{} is here without it", wal.display()), format!("delete {}", wal.display()))
    } else if missing == Missing::Refuse {
        ("store.missing is \"refuse\"".to_owned(), "set it to \"create\"".to_owned())
    } else {
        return Ok(());
    };
    let state = if path.exists() { "empty" } else { "missing" };
    Err(Unusable(format!(
        "the store {} is {state}, but {why}. Is its disk mounted? {}. To begin with an empty store \
         instead, {else_}",
        path.display(),
        super::rescue::advice(path)
    )))
}

/// An advisory lock beside the file; the operating system frees it when we die.
fn lock(path: &Path, now: Timestamp) -> anyhow::Result<(File, LastStop)> {
    let name = beside(path, ".lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(PRIVATE)
        .open(&name)
        .with_context(|| format!("create the lock file {}", name.display()))?;
    let mut said = String::new();
    match try_for_a_moment(&file) {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            // Who holds it is a courtesy: without it, the refusal stands.
            let _ = file.read_to_string(&mut said);
            let by = if said.trim().is_empty() { "an unknown process" } else { said.trim() };
            bail!(
                "the store {} is in use by another debrief process: locked by {by}; stop that one \
                 first",
                path.display()
            );
        }
        Err(std::fs::TryLockError::Error(error)) => {
            return Err(error).with_context(|| {
                format!("lock {} (a local disk is needed, not a network share)", name.display())
            });
        }
    }
    keep_private(&name);
    file.read_to_string(&mut said).context("read the lock file")?;
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "process {} since {now:.0}", std::process::id()))
        .context("write the lock file")?;
    Ok((file, if said.is_empty() { LastStop::InOrder } else { LastStop::Unclean }))
}

/// A process that is being started as a copy of the one before holds its locks, too, until it runs a
/// program of its own; and one that was told to stop may be about to end.
fn try_for_a_moment(file: &File) -> Result<(), std::fs::TryLockError> {
    for _ in 0..50 {
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            other => return other,
        }
    }
    file.try_lock()
}

fn keep_private(file: &Path) {
    let Ok(found) = std::fs::metadata(file) else {
        return;
    };
    if found.permissions().mode() & 0o777 != PRIVATE
        && let Err(error) = std::fs::set_permissions(file, Permissions::from_mode(PRIVATE))
    {
        let file = file.display();
        tracing::warn!(%file, %error, "others can read this file of the store; run chmod 600 on it");
    }
}
