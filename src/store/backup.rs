//! Copies of the store: made while the bot runs, looked over, taken turns.
//!
//! A copy is made under a temporary name and gets its own only when it has been checked page by
//! page and is on disk, so a file with the name of a backup is a good one. Whatever a killed
//! process left behind has a name that says so.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use jiff::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::place::{self, sync_folder};
use super::trouble::Trouble;
use super::{checksum, moment, schema};
use crate::domain::backup::{Rotation, Which};

/// Pages copied between two looks at whether to go on.
const STEP: i32 = 256;
/// The ending of a copy that is not finished.
const PARTIAL: &str = "partial";
/// Whoever makes a backup in a folder holds this file of it.
const LOCK: &str = "lock";

/// What a good copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The version of its schema.
    pub version: i64,
    pub bytes: u64,
    pub people: u64,
    pub debriefs: u64,
    pub answers: u64,
    pub newest_answer_at: Option<Timestamp>,
}

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    pub path: PathBuf,
    pub findings: Findings,
    /// How many older ones were removed.
    pub removed: usize,
}

/// Makes a backup in `folder`, and removes those that the rotation can spare.
///
/// # Errors
/// If another process is at it, if `go_on` says no, or if the copy cannot be made or is not good.
pub fn into_folder(
    store: &Path,
    folder: &Path,
    rotation: Rotation,
    now: Timestamp,
    go_on: &dyn Fn() -> bool,
) -> anyhow::Result<Made> {
    let Some(_claim) = claim(folder)? else {
        bail!("another backup into {} is under way", folder.display());
    };
    // Root may have made them, and the bot is to use them.
    belongs_with(folder, store);
    belongs_with(&folder.join(LOCK), store);
    remove_remains(folder)?;
    let path = free_place(folder, now);
    let findings = into_file(store, &path, go_on)?;
    let removed = rotate(folder, rotation, now)?;
    Ok(Made { path, findings, removed })
}

/// Several may be made within a second.
fn free_place(folder: &Path, now: Timestamp) -> PathBuf {
    let mut which = Which::first(now);
    loop {
        let path = folder.join(which.file_name());
        if !path.exists() {
            return path;
        }
        which = which.next();
    }
}

/// Makes a backup at `to`, with its checksum beside it.
///
/// # Errors
/// As [`into_folder`], and if there is a file already.
pub fn into_file(store: &Path, to: &Path, go_on: &dyn Fn() -> bool) -> anyhow::Result<Findings> {
    ensure!(!to.exists(), "{} exists already; name another file", to.display());
    let partial = beside(to, PARTIAL);
    remove(&partial)?;
    let made = copy(store, &partial, go_on).and_then(|()| {
        let findings = look_over(&partial)?;
        belongs_with(&partial, store);
        checksum::write(to, &checksum::of(&partial)?)?;
        belongs_with(&checksum::place(to), store);
        fs::rename(&partial, to).with_context(|| format!("name the backup {}", to.display()))?;
        sync_folder(to)?;
        Ok(findings)
    });
    if made.is_err() {
        // The first error is the one to tell.
        let _ = remove(&partial);
        let _ = remove(&with_journal(&partial));
    }
    made
}

/// Removes what a killed process left in `folder`. Says how much that was; nothing if a backup is
/// being made there right now.
///
/// # Errors
/// If the folder cannot be read or a file in it not be removed.
pub fn remove_remains_of_the_dead(folder: &Path) -> anyhow::Result<usize> {
    if !folder.exists() {
        return Ok(0);
    }
    match claim(folder)? {
        Some(_claim) => remove_remains(folder),
        None => Ok(0),
    }
}

/// The backups in `folder`, newest first; none if there is no folder.
pub fn list(folder: &Path) -> anyhow::Result<Vec<(Timestamp, PathBuf)>> {
    Ok(each(folder)?.into_iter().map(|(which, path)| (which.made_at, path)).collect())
}

fn each(folder: &Path) -> anyhow::Result<Vec<(Which, PathBuf)>> {
    let mut found: Vec<(Which, PathBuf)> = names(folder)?
        .into_iter()
        .filter_map(|name| Some((Which::parse(&name)?, folder.join(name))))
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Copies the store at `from` as it is at this moment, whoever writes to it meanwhile, into the new
/// file `to`, which only its owner may read. The copy is one file, on disk when this returns.
///
/// # Errors
/// If `from` is not one of our stores, if `go_on` says no, or if the disk fails.
pub fn copy(from: &Path, to: &Path, go_on: &dyn Fn() -> bool) -> anyhow::Result<()> {
    if !from.exists() {
        bail!("there is no store {} yet; `debrief run` makes it", from.display());
    }
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("open {}", from.display()))?;
    settle(&source, from)?;
    expect_known(&source, from)?;
    transfer(&source, to, go_on)
}

/// The same for a file that nobody writes to.
pub(super) fn copy_at_rest(from: &Path, to: &Path) -> anyhow::Result<()> {
    transfer(&open_untouched(from)?, to, &|| true)
}

fn transfer(source: &Connection, to: &Path, go_on: &dyn Fn() -> bool) -> anyhow::Result<()> {
    // One view for the whole copy: without it every write would make the copy begin again.
    let view = source.unchecked_transaction().context("begin reading")?;
    schema::version(&view)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(|| format!("create {}", to.display()))?;
    let mut target = Connection::open(to).with_context(|| format!("open {}", to.display()))?;
    {
        let pages = Backup::new(&view, &mut target).context("begin the copy")?;
        while pages.step(STEP).with_context(|| format!("copy to {}", to.display()))?
            != StepResult::Done
        {
            ensure!(go_on(), "stopped before the copy was finished");
        }
    }
    // The copy is born with a write-ahead log, as the store has one; alone it needs none.
    target
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .context("make the copy one file")?;
    target.close().map_err(|(_, error)| error).context("close the copy")?;
    file.sync_all().context("bring the copy to disk")
}

/// Looks at every page of a backup and counts what it holds. Changes nothing.
///
/// # Errors
/// If it is damaged, not ours or newer than this program; the message says which.
pub fn look_over(path: &Path) -> anyhow::Result<Findings> {
    let bytes = expect_file(path)?;
    let connection = open_untouched(path)?;
    let version = expect_known(&connection, path)?;
    let damage: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .with_context(|| format!("read {}", path.display()))?;
    ensure!(damage == "ok", "{} is damaged: {damage}", path.display());
    let is_broken = connection
        .prepare("PRAGMA foreign_key_check")?
        .exists([])
        .with_context(|| format!("read the references of {}", path.display()))?;
    ensure!(!is_broken, "{} is damaged: a row refers to one that is missing", path.display());
    let (people, debriefs, answers, newest): (_, _, _, Option<i64>) = connection
        .query_row(
            "SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM debrief),
                (SELECT count(*) FROM answer), (SELECT max(written_at) FROM answer)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .with_context(|| format!("count what is in {}", path.display()))?;
    Ok(Findings { version, bytes, people, debriefs, answers, newest_answer_at: newest.map(moment) })
}

/// How large a backup is.
///
/// # Errors
/// If there is no such file; the message says where one may be found.
pub fn expect_file(path: &Path) -> anyhow::Result<u64> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found.len()),
        Ok(_) => bail!("{shown} is no file; name one of the backups, such as debrief-….db"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("there is no file {shown}; backups are in the folder that backup.folder names")
        }
        Err(error) => Err(error).with_context(|| format!("find {shown}")),
    }
}

/// `path` with another ending behind its own: `debrief.db` → `debrief.db.sha256`.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    place::beside(path, &format!(".{ending}"))
}

/// Gives a file that root made to the owner of `other`. Others may not, and need not.
pub(super) fn belongs_with(path: &Path, other: &Path) {
    let owner = |path: &Path| fs::metadata(path).map(|found| (found.uid(), found.gid()));
    if let (Ok(is), Ok(should)) = (owner(path), owner(other))
        && is != should
    {
        let _ = chown(path, Some(should.0), Some(should.1));
    }
}

pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A backup stands alone and is opened as something that never changes, which leaves no files
/// beside it. A raw copy may have its write-ahead log with it, which must be read too.
pub(super) fn open_untouched(path: &Path) -> anyhow::Result<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    let opened = if has_log {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{}?immutable=1", encoded(path)), flags)
    };
    let connection = opened.with_context(|| format!("open {}", path.display()))?;
    settle(&connection, path)?;
    Ok(connection)
}

fn settle(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    schema::settle(connection).map_err(|error| match Trouble::of(&error) {
        // SQLite's own words for it add nothing, and it says them twice.
        Some(Trouble::Damage) => anyhow!(
            "{} is no database, or damaged at its very beginning; name another backup",
            path.display()
        ),
        _ => anyhow!(error).context(format!("{} cannot be read as a database", path.display())),
    })
}

/// The version of one of our stores that this program understands.
fn expect_known(connection: &Connection, path: &Path) -> anyhow::Result<i64> {
    let application: i64 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .with_context(|| format!("{} cannot be read as a database", path.display()))?;
    ensure!(application == schema::APPLICATION_ID, "{} is not a store of debrief", path.display());
    let version = schema::version(connection)?;
    let newest = schema::MIGRATIONS.len();
    ensure!(
        usize::try_from(version).is_ok_and(|version| version <= newest),
        "{} was written by a newer debrief (version {version}, this one knows {newest}); use that \
         one, or an older backup",
        path.display()
    );
    Ok(version)
}

/// A path as part of an address: what might mean something there is written in numbers.
fn encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            checksum::push_hex(&mut encoded, byte);
        }
    }
    encoded
}

pub(super) fn make_private_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("create the folder {}", folder.display()))
}

fn claim(folder: &Path) -> anyhow::Result<Option<File>> {
    make_private_folder(folder)?;
    let path = folder.join(LOCK);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("create {}", path.display()))?;
    Ok(lock.try_lock().is_ok().then_some(lock))
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("read the folder {}", folder.display()));
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("read the folder {}", folder.display()))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// Copies that were never finished, and checksums of files that are not there.
fn remove_remains(folder: &Path) -> anyhow::Result<usize> {
    let names = names(folder)?;
    let is_ours =
        |name: &str, ending: &str| name.strip_suffix(ending).and_then(Which::parse).is_some();
    let mut removed = 0;
    for name in &names {
        let is_partial = [".partial", ".partial-journal", ".sha256.partial"]
            .iter()
            .any(|ending| is_ours(name, ending));
        let is_orphan = is_ours(name, ".sha256")
            && !names.iter().any(|other| *name == format!("{other}.sha256"));
        if is_partial || is_orphan {
            remove(&folder.join(name))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn rotate(folder: &Path, rotation: Rotation, now: Timestamp) -> anyhow::Result<usize> {
    let backups = each(folder)?;
    let made: Vec<Which> = backups.iter().map(|(which, _)| *which).collect();
    let expendable = rotation.expendable(&made, now);
    for (_, path) in backups.iter().filter(|(which, _)| expendable.contains(which)) {
        remove(path)?;
        remove(&checksum::place(path))?;
    }
    Ok(expendable.len())
}

fn with_journal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}
