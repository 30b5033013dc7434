//! Putting a backup in the place of the store.
//!
//! The present store is kept under another name. The new one is made complete in a folder of its
//! own, erasures included, and takes its place in one step, so a crash leaves the old store or the
//! new.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use rusqlite::Connection;

use super::audit::{self, Standing};
use super::backup::{self, Findings};
use super::{Store, Tx, checksum, place};

/// More than anybody asks in the life of a backup.
const AHEAD: i64 = 1_000_000;
/// What SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    pub findings: Findings,
    /// The new store has these many erasures that the backup did not know.
    pub erased: u32,
    /// Where the store lies that was there before.
    pub aside: Option<PathBuf>,
    /// How far its audit log went, if it could be read.
    pub replaced: Option<Standing>,
    /// How far the backup's log goes.
    pub log: Standing,
}

/// Puts the backup at `from` in the place of the store at `path`. `replay` is given the new store
/// before anybody uses it, and erases again whoever was erased after the backup was made; it says
/// how many that were. It is also told how far the audit log goes that is replaced, to note that in
/// the new one.
///
/// # Errors
/// If a bot runs on the store, or if the backup is damaged, not ours or from a newer version. The
/// present store is then untouched.
pub fn run(
    path: &Path,
    from: &Path,
    now: Timestamp,
    replay: impl FnOnce(&Path, Option<&Standing>) -> anyhow::Result<u32>,
) -> anyhow::Result<Restored> {
    let _held = place::hold(path, now)?;
    ensure!(
        checksum::matches(from)? != Some(false),
        "{} is not what it was when it was made: its checksum differs",
        from.display()
    );
    let findings = backup::look_over(from)?;
    let workshop = workshop(path);
    remove_remains_of_the_dead(path)?;
    backup::make_private_folder(&workshop)?;
    let new = workshop.join(path.file_name().context("store.path names no file")?);
    let replaced = path.exists().then(|| audit::standing(path)).flatten();
    let replay = |new: &Path| replay(new, replaced.as_ref());
    let moved = prepare(path, from, &new, now, replay).and_then(|(log, erased)| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let like = if path.exists() { path } else { folder.unwrap_or(Path::new(".")) };
        backup::belongs_with(&new, like);
        let aside = put_aside(path, now)?;
        fs::rename(&new, path).context("put the restored store in its place")?;
        place::sync_folder(path)?;
        Ok((log, erased, aside))
    });
    remove_remains_of_the_dead(path)?;
    let (log, erased, aside) = moved?;
    Ok(Restored { findings, erased, aside, replaced, log })
}

/// Removes what a killed restore of the store at `path` left. Only for whoever holds that store.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_remains_of_the_dead(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(workshop(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context("remove what a restore has left")
        }
        _ => Ok(()),
    }
}

/// Removes what a migration or a restore put aside before `before`: `pre-vN.db` and
/// `<store>.before-restore-TIME`. Says how many files that were.
///
/// # Errors
/// If the folder cannot be read or a file not removed.
pub fn remove_old_copies(path: &Path, before: Timestamp) -> anyhow::Result<usize> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().context("store.path names no file")?.to_string_lossy().into_owned();
    let mut removed = 0;
    for entry in
        fs::read_dir(folder.unwrap_or(Path::new("."))).context("read the store's folder")?
    {
        let entry = entry.context("read the store's folder")?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let is_database = entry.path().extension().is_some_and(|ending| ending == "db");
        let is_migration = file.starts_with("pre-v") && is_database;
        let is_aside = file.starts_with(&format!("{name}.before-restore-"));
        let written = entry.metadata().and_then(|about| about.modified()).ok();
        let written = written.and_then(|at| Timestamp::try_from(at).ok());
        if (is_migration || is_aside) && written.is_some_and(|at| at < before) {
            backup::remove(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Where the new store is made.
fn workshop(path: &Path) -> PathBuf {
    backup::beside(path, "restoring")
}

/// Makes the new store complete. Says how far its audit log went and how many erasures it had missed.
fn prepare(
    path: &Path,
    from: &Path,
    new: &Path,
    now: Timestamp,
    replay: impl FnOnce(&Path) -> anyhow::Result<u32>,
) -> anyhow::Result<(Standing, u32)> {
    backup::copy_at_rest(from, new)?;
    // Brings it up to date.
    Store::open(new, now)?.close();
    let log = audit::standing(new).context("read the audit log of the backup")?;
    let connection = Connection::open(new).context("open the restored store")?;
    settle(&connection, now)?;
    connection.close().map_err(|(_, error)| error).context("close the restored store")?;
    // Erasures are noted beside the store; the new one must find them beside itself.
    let noted = backup::beside(path, "erasures");
    if noted.exists() {
        fs::copy(&noted, backup::beside(new, "erasures"))
            .context("read which erasures to repeat")?;
    }
    let erased = replay(new).context("repeat erasures")?;
    fold(new)?;
    Ok((log, erased))
}

/// Messages in Slack are younger than the restored store. Their ids must not come to mean something
/// else, and what was waiting to be sent may have been sent since.
fn settle(connection: &Connection, now: Timestamp) -> anyhow::Result<()> {
    connection
        .execute(
            "UPDATE installation SET id_floor = ?1 + max(id_floor,
                coalesce((SELECT max(id) FROM debrief), 0),
                coalesce((SELECT max(id) FROM pending_text), 0))",
            [AHEAD],
        )
        .context("leave ids free")?;
    Tx(connection).doubt_all(now)
}

/// Everything into one file, on disk.
fn fold(new: &Path) -> anyhow::Result<()> {
    let connection = Connection::open(new).context("open the restored store")?;
    connection
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .context("make the restored store one file")?;
    connection.close().map_err(|(_, error)| error).context("close the restored store")?;
    fs::File::open(new).and_then(|file| file.sync_all()).context("bring the restored store to disk")
}

/// Gives the present store a second name, so that its place is never empty.
fn put_aside(path: &Path, now: Timestamp) -> anyhow::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    // A sound store folds its log into itself. Of a damaged one the log is kept as it is.
    let _ = Connection::open(path)
        .and_then(|old| old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    let aside = backup::beside(path, &format!("before-restore-{}", now.strftime("%Y%m%d-%H%M%S")));
    ensure!(!aside.exists(), "{} exists already", aside.display());
    for ending in BESIDE {
        rename_if_there(&join(path, ending), &join(&aside, ending))?;
    }
    if fs::hard_link(path, &aside).is_err() {
        // A file system without second names: for a moment the place is empty.
        fs::rename(path, &aside).context("put the present store aside")?;
    }
    Ok(Some(aside))
}

fn rename_if_there(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("put {} aside", from.display()))
        }
        _ => Ok(()),
    }
}

fn join(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_put_aside_go_once_they_are_old_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("debrief.db");
        let copies = ["pre-v7.db", "debrief.db.before-restore-20260310-120000"];
        let others =
            ["debrief.db", "debrief.db.erasures", "pre-v7.txt", "other.db.before-restore-1"];
        for name in copies.iter().chain(&others) {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let there = |name: &&str| folder.path().join(name).exists();
        let (long_ago, one_day) = ("2020-01-01T00:00:00Z", "2200-01-01T00:00:00Z");
        assert_eq!(remove_old_copies(&store, long_ago.parse().unwrap()).unwrap(), 0);
        assert_eq!(remove_old_copies(&store, one_day.parse().unwrap()).unwrap(), 2);
        assert!(!copies.iter().any(there) && others.iter().all(there));
    }
}
