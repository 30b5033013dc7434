//! `<store>.erasures`: a line of JSON for each erasure, beside the store.
//!
//! A backup that is put in the store's place brings back whoever was erased since; this file, which
//! backups do not replace, remembers. It holds numbers, hashes and times, and is for us alone.
//!
//! A line is on disk before the commit it tells of, so there is no commit without its line. A commit
//! that fails takes its line back; one that was cut off by a kill leaves it, and is done after all
//! by the running bot or the next start: it had been confirmed.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// The file, held against everybody else who erases, or repeats erasures, until it is dropped. So
/// nobody acts on a line that is about to be taken back.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    file: File,
    /// How long the file was before a line was added.
    before: Option<u64>,
}

impl Held {
    /// For adding lines: makes the file if there is none.
    pub(super) fn to_write(store: &Path) -> anyhow::Result<Self> {
        let path = beside(store);
        let open = || -> std::io::Result<File> {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            lock(&file)?;
            // Made by root, it must still be read by the bot.
            let owner = std::fs::metadata(store)?;
            if owner.uid() != file.metadata()?.uid() {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
            Ok(file)
        };
        let file = open().with_context(|| format!("open {}", path.display()))?;
        Ok(Self { path, file, before: None })
    }

    /// For reading lines; `None` if there is no file.
    pub(super) fn to_read(store: &Path) -> anyhow::Result<Option<Self>> {
        let path = beside(store);
        match File::open(&path).and_then(|file| lock(&file).map(|()| file)) {
            Ok(file) => Ok(Some(Self { path, file, before: None })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("open {}", path.display())),
        }
    }

    /// Adds a line and returns once it is on disk.
    pub(super) fn append(&mut self, line: &Line) -> anyhow::Result<()> {
        let mut write = || -> std::io::Result<()> {
            // What a crash left half written was never committed.
            let mut text = Vec::new();
            self.file.rewind()?;
            self.file.read_to_end(&mut text)?;
            let whole =
                text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1) as u64;
            self.before = Some(whole);
            self.file.set_len(whole)?;
            self.file.seek(SeekFrom::End(0))?;
            let line = serde_json::to_string(line)?;
            self.file.write_all(format!("{line}\n").as_bytes())?;
            self.file.sync_all()?;
            // The file may be new.
            File::open(folder(&self.path))?.sync_all()
        };
        write().with_context(|| format!("write {}", self.path.display()))
    }

    /// Whether a line was added, at least in part.
    pub(super) fn has_added(&self) -> bool {
        self.before.is_some()
    }

    /// Removes the line that was added: what it says did not happen.
    pub(super) fn take_back(&mut self) -> anyhow::Result<()> {
        let Some(before) = self.before.take() else {
            return Ok(());
        };
        self.file
            .set_len(before)
            .and_then(|()| self.file.sync_all())
            .with_context(|| format!("take back the last line of {}", self.path.display()))
    }

    /// Every line, oldest first.
    pub(super) fn lines(&mut self) -> anyhow::Result<Vec<Line>> {
        let mut text = String::new();
        self.file
            .rewind()
            .and_then(|()| self.file.read_to_string(&mut text))
            .with_context(|| format!("read {}", self.path.display()))?;
        parse(&self.path, &text)
    }
}

/// Every line, oldest first, without waiting for anybody: the last one may be about to be taken back.
pub(super) fn glance(store: &Path) -> anyhow::Result<Vec<Line>> {
    let path = beside(store);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Vec<Line>> {
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

/// A little longer than a command waits for the store while it holds the file.
fn lock(file: &File) -> std::io::Result<()> {
    for _ in 0..300 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
    Err(std::io::Error::other("another process is erasing; if it was stopped, let it go on"))
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

    fn append(store: &Path, line: &Line) {
        Held::to_write(store).unwrap().append(line).unwrap();
    }

    #[test]
    fn a_line_that_a_crash_cut_is_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("debrief.db");
        std::fs::write(&store, "").unwrap();
        assert_eq!(glance(&store).unwrap(), []);
        let at: Timestamp = "2026-03-10T13:00:00Z".parse().unwrap();
        let first = Line::erased(PersonId(1), "aa".into(), at);
        append(&store, &first);
        let path = beside(&store);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"what\":\"era");
        std::fs::write(&path, text).unwrap();
        assert_eq!(glance(&store).unwrap(), std::slice::from_ref(&first));
        let second = Line::lifted("aa".into(), at);
        append(&store, &second);
        assert_eq!(glance(&store).unwrap(), [first, second]);
    }

    #[test]
    fn a_line_is_taken_back_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("debrief.db");
        std::fs::write(&store, "").unwrap();
        let at: Timestamp = "2026-03-10T13:00:00Z".parse().unwrap();
        let first = Line::erased(PersonId(1), "aa".into(), at);
        append(&store, &first);
        let mut held = Held::to_write(&store).unwrap();
        held.take_back().unwrap();
        held.append(&Line::lifted("aa".into(), at)).unwrap();
        assert_eq!(held.lines().unwrap().len(), 2);
        held.take_back().unwrap();
        held.take_back().unwrap();
        drop(held);
        assert_eq!(glance(&store).unwrap(), [first]);
    }

    #[test]
    fn a_line_in_the_middle_that_is_not_understood_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("debrief.db");
        std::fs::write(beside(&store), "nonsense\n").unwrap();
        let error = glance(&store).unwrap_err();
        assert!(format!("{error:#}").contains("line 1 is not understood"), "{error:#}");
    }
}
