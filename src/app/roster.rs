//! The roster file: applied at start and whenever it changes.

use std::path::PathBuf;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::domain::roster;
use crate::flows::{Bot, enroll};

/// The file, and which version of it was applied.
pub struct RosterFile {
    path: PathBuf,
    applied: Option<(SystemTime, u64)>,
    /// Said once, not every half minute.
    complained: bool,
    /// What stands in the file now could be used, every row of it.
    is_well: bool,
}

impl RosterFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path, applied: None, complained: false, is_well: false }
    }

    /// Whether the file, as it was last read, is in use with every row.
    pub fn is_well(&self) -> bool {
        self.is_well
    }

    /// Applies the file if it changed. Says whether it did. A file that cannot be read, or that
    /// has no usable row, leaves everything as it was.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn reload(&mut self, bot: &Bot, now: Timestamp) -> anyhow::Result<bool> {
        // Not through tokio's threads: the file is small and local, and a look every half minute
        // is over before a thread would have been woken.
        let version =
            std::fs::metadata(&self.path).and_then(|about| Ok((about.modified()?, about.len())));
        let text = match version {
            Ok(version) if self.applied == Some(version) => return Ok(false),
            Ok(version) => std::fs::read_to_string(&self.path).map(|text| (version, text)),
            Err(error) => Err(error),
        };
        let (version, text) = match text {
            Ok(read) => read,
            Err(error) => {
                if !self.complained {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "the roster cannot be read; the last one stays");
                }
                self.complained = true;
                self.is_well = false;
                return Ok(false);
            }
        };
        self.complained = false;
        self.applied = Some(version);
        let read = roster::parse(&text);
        self.is_well = read.problems.is_empty() && !read.people.is_empty();
        for problem in &read.problems {
            tracing::error!(roster = %self.path.display(), problem, "a row is left out");
        }
        if read.people.is_empty() {
            tracing::error!(roster = %self.path.display(), "nobody is left; the last one stays");
            return Ok(false);
        }
        enroll::apply(bot, read.people, now).await?;
        Ok(true)
    }
}
