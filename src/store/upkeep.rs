//! Work of the night: what was owed, done, or went wrong.

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::{Tx, moment, seconds};

/// What is done by schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    Backup,
    Retention,
}

/// How a job goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// The latest slot that was done.
    pub slot_at: Option<Timestamp>,
    pub done_at: Option<Timestamp>,
    /// Why the last try failed, if it did.
    pub problem: Option<String>,
    pub tried_at: Option<Timestamp>,
    /// How many tries in a row failed.
    pub failures: u32,
}

impl Job {
    fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Retention => "retention",
        }
    }
}

impl Tx<'_> {
    pub fn upkeep(&self, job: Job) -> anyhow::Result<Upkeep> {
        let found = self
            .0
            .prepare_cached(
                "SELECT slot_at, done_at, problem, tried_at, failures FROM upkeep WHERE job = ?1",
            )?
            .query_row([job.as_str()], |row| {
                let at = |index| row.get::<_, Option<i64>>(index).map(|at| at.map(moment));
                Ok(Upkeep {
                    slot_at: at(0)?,
                    done_at: at(1)?,
                    problem: row.get(2)?,
                    tried_at: at(3)?,
                    failures: row.get(4)?,
                })
            })
            .optional()
            .context("read how upkeep goes")?;
        Ok(found.unwrap_or_default())
    }

    pub fn upkeep_done(&self, job: Job, slot_at: Timestamp, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO upkeep (job, slot_at, done_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (job) DO UPDATE SET slot_at = excluded.slot_at,
                    done_at = excluded.done_at, problem = NULL, tried_at = NULL, failures = 0",
            )?
            .execute((job.as_str(), seconds(slot_at), seconds(now)))
            .context("record upkeep")?;
        Ok(())
    }

    pub fn upkeep_failed(&self, job: Job, problem: &str, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO upkeep (job, problem, tried_at, failures) VALUES (?1, ?2, ?3, 1)
                 ON CONFLICT (job) DO UPDATE SET problem = excluded.problem,
                    tried_at = excluded.tried_at, failures = failures + 1",
            )?
            .execute((job.as_str(), problem, seconds(now)))
            .context("record failed upkeep")?;
        Ok(())
    }
}
