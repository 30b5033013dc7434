//! What to do when a store is lost: the newest backup that is still good, and the command.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::place::{beside, size};
use super::schema;

/// Larger files are not read through while somebody waits.
pub(super) const CHECKED_UP_TO: u64 = 2 << 30;

/// One sentence without its full stop.
pub(super) fn advice(path: &Path) -> String {
    let folder = beside(path, ".backups");
    match newest_good_backup(&folder) {
        Some(backup) => format!(
            "The newest good backup is {}: stop debrief and run `debrief restore {}`",
            backup.display(),
            backup.display()
        ),
        None => format!(
            "There is no good backup in {}: find one elsewhere and run `debrief restore FILE`",
            folder.display()
        ),
    }
}

/// The newest file named `debrief-YYYYMMDD-HHMMSS.db` that is a sound store.
fn newest_good_backup(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("debrief-") && name.ends_with(".db")
        })
        .collect();
    found.sort();
    found.into_iter().rev().find(|file| is_good(file))
}

fn is_good(file: &Path) -> bool {
    let Ok(connection) = at_rest(file) else {
        return false;
    };
    let is_ours = schema::expect_ours(&connection, file).is_ok();
    is_ours && (size(file) > CHECKED_UP_TO || schema::check(&connection).is_ok())
}

/// Opens a file that nobody writes, leaving nothing beside it.
fn at_rest(file: &Path) -> rusqlite::Result<Connection> {
    let name = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
}
