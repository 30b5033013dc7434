//! `<store>.erasures`: a line of JSON for each erasure, beside the store.
//!
//! A backup that is put in the store's place brings back whoever was erased since; this file, which
//! backups do not replace, remembers. It holds numbers, hashes and times, and is for us alone.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::person::PersonId;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub(super) enum Line {
    /// `person` is its row in the store of that day.
    Erased { person: i64, tombstone: String, at: Timestamp },
    /// The address may come back by the roster.
    Lifted { tombstone: String, at: Timestamp },
}

impl Line {
    pub(super) fn erased(person: PersonId, tombstone: String, at: Timestamp) -> Self {
        Self::Erased { person: person.0, tombstone, at }
    }

    pub(super) fn lifted(tombstone: String, at: Timestamp) -> Self {
        Self::Lifted { tombstone, at }
    }

    pub(super) fn stone(&self) -> &str {
        match self {
            Self::Erased { tombstone, .. } | Self::Lifted { tombstone, .. } => tombstone,
        }
    }

    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Erased { at, .. } | Self::Lifted { at, .. } => *at,
        }
    }
}

/// Adds a line and returns once it is on disk.
pub(super) fn append(store: &Path, line: &Line) -> anyhow::Result<()> {
    let path = beside(store);
    let write = || -> std::io::Result<()> {
        let is_new = !path.exists();
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        // What a crash left half written was never committed.
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let line = serde_json::to_string(line)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        if is_new {
            // Made by root, it must still be read by the bot.
            let owner = std::fs::metadata(store)?;
            if owner.uid() != file.metadata()?.uid() {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
            File::open(folder(&path))?.sync_all()?;
        }
        Ok(())
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// Every line, oldest first; none if there is no file.
pub(super) fn read(store: &Path) -> anyhow::Result<Vec<Line>> {
    let path = beside(store);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().enumerate();
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| {
                format!("{}: line {} is not understood", path.display(), number + 1)
            })
        })
        .collect()
}

fn beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".erasures");
    name.into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_crash_cut_is_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("debrief.db");
        std::fs::write(&store, "").unwrap();
        assert_eq!(read(&store).unwrap(), []);
        let at: Timestamp = "2026-03-10T13:00:00Z".parse().unwrap();
        let first = Line::erased(PersonId(1), "aa".into(), at);
        append(&store, &first).unwrap();
        let path = beside(&store);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"what\":\"era");
        std::fs::write(&path, text).unwrap();
        assert_eq!(read(&store).unwrap(), std::slice::from_ref(&first));
        let second = Line::lifted("aa".into(), at);
        append(&store, &second).unwrap();
        assert_eq!(read(&store).unwrap(), [first, second]);
    }

    #[test]
    fn a_line_in_the_middle_that_is_not_understood_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("debrief.db");
        std::fs::write(beside(&store), "nonsense\n").unwrap();
        let error = read(&store).unwrap_err();
        assert!(format!("{error:#}").contains("line 1 is not understood"), "{error:#}");
    }
}
