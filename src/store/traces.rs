//! Traces of an erasure: bytes that were freed and not yet overwritten.
//!
//! `secure_delete` overwrites every row that goes, but where pages of the file were split or merged
//! earlier, copies of rows stay in the gaps. So the whole file is written anew (`VACUUM`) and the
//! write-ahead log emptied. The bot's own writing waits meanwhile; for a store of half a gigabyte
//! that is some seconds.
//!
//! The new file is first put together in a temporary one, in the store's folder: not in memory, as
//! it is as large as the store, and not in `/var/tmp`, which may be small or not there. It holds
//! living rows only, is readable by its owner only and has lost its name before anything is in it,
//! so it is gone with the process, however that ends.

use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use rusqlite::Connection;

use super::{open_to_write, peek, visit};

/// Whoever waits for this had better be told that it is done later.
const PATIENCE: Duration = Duration::from_secs(2);
/// Instructions of SQLite's machine between two looks at whether to go on.
const STEPS: i32 = 10_000;

/// Whether an erasure has left traces.
///
/// # Errors
/// If the store cannot be read.
pub fn are_left(path: &Path) -> anyhow::Result<bool> {
    Ok(newest(path)?.is_some())
}

/// Up to which erasure the file was written anew. Who tries again passes it on: a log that somebody
/// reads for days must not make the file be written every hour.
#[derive(Debug, Default)]
pub struct Progress(AtomicI64);

/// Overwrites what erasures have freed; does nothing where no traces are left. Given up as soon as
/// `is_over` says so.
///
/// # Errors
/// If somebody else writes or reads for longer than two seconds, or there is no room for a second
/// copy of the store and a third in its log. Nothing is lost then; try again.
pub fn clean(
    path: &Path,
    progress: &Progress,
    is_over: impl Fn() -> bool + Send + 'static,
) -> anyhow::Result<()> {
    let Some(newest) = newest(path)? else {
        return Ok(());
    };
    if progress.0.load(Relaxed) < newest {
        write_anew(path, is_over)?;
        progress.0.store(newest, Relaxed);
    }
    empty_log(path)?;
    visit(path, |tx| {
        // Not those that came while the file was written.
        let clean = "UPDATE erasure_log SET is_clean = 1 WHERE is_clean = 0 AND id <= ?1";
        tx.0.execute(clean, [newest]).context("write the log of erasures").map(drop)
    })
}

/// The newest erasure that has left traces.
fn newest(path: &Path) -> anyhow::Result<Option<i64>> {
    peek(path, |tx| {
        tx.0.query_row("SELECT max(id) FROM erasure_log WHERE is_clean = 0", [], |row| row.get(0))
            .context("look for traces")
    })
}

/// Writes the whole file anew, without gaps.
fn write_anew(path: &Path, is_over: impl Fn() -> bool + Send + 'static) -> anyhow::Result<()> {
    let mut connection = open_patiently(path)?;
    keep_temporary_files_beside(path, &connection)?;
    connection.progress_handler(STEPS, Some(is_over)).context("listen whether to stop")?;
    connection.execute_batch("VACUUM").context("write the store anew")
}

fn empty_log(path: &Path) -> anyhow::Result<()> {
    let busy: bool = open_patiently(path)?
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .context("empty the write-ahead log")?;
    anyhow::ensure!(!busy, "empty the write-ahead log: somebody reads {}", path.display());
    Ok(())
}

fn open_patiently(path: &Path) -> anyhow::Result<Connection> {
    let connection = open_to_write(path)?;
    connection.busy_timeout(PATIENCE).context("set how long to wait for others")?;
    Ok(connection)
}

/// The folder holds for the whole process, which is why every other connection keeps its temporary
/// tables in memory, and is set once: SQLite drops the old name while others may be reading it. Where
/// it cannot use the folder, it takes `SQLITE_TMPDIR`, `TMPDIR` or `/var/tmp`.
fn keep_temporary_files_beside(path: &Path, connection: &Connection) -> anyhow::Result<()> {
    static CHOSEN: Once = Once::new();
    connection.pragma_update(None, "temp_store", "FILE").context("keep memory free")?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::path::absolute(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    CHOSEN.call_once(|| {
        let chosen = connection.pragma_update(None, "temp_store_directory", folder.to_str());
        if let Err(error) = chosen {
            tracing::warn!(%error, "a copy of the store is made in another folder");
        }
    });
    Ok(())
}
