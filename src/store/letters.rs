//! Dead letters: what came in and could not be understood, as it came.
//!
//! `kept → wanted → replayed | unreadable`: a command wants one, the running bot reads it again. They
//! may hold what people wrote, so nothing but their kind and size is shown unasked.

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::{Tx, moment, seconds};

/// A dead letter without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub id: i64,
    pub received_at: Timestamp,
    pub kind: String,
    pub bytes: u64,
    pub state: String,
}

impl Tx<'_> {
    /// Keeps what could not be understood; returns its id.
    pub fn keep_dead_letter(&self, kind: &str, raw: &str, now: Timestamp) -> anyhow::Result<i64> {
        self.0
            .prepare_cached(
                "INSERT INTO dead_letter (received_at, kind, raw) VALUES (?1, ?2, ?3) RETURNING id",
            )?
            .query_row((seconds(now), kind, raw), |row| row.get(0))
            .context("keep a dead letter")
    }

    /// How many nobody has understood yet.
    pub fn dead_letters(&self) -> anyhow::Result<u64> {
        self.0
            .query_row("SELECT count(*) FROM dead_letter WHERE state <> 'replayed'", [], |row| {
                row.get(0)
            })
            .context("count dead letters")
    }

    /// All of them, oldest first.
    pub fn letters(&self) -> anyhow::Result<Vec<Letter>> {
        let mut statement = self.0.prepare(
            "SELECT id, received_at, kind, length(CAST(raw AS BLOB)), state
             FROM dead_letter ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Letter {
                id: row.get(0)?,
                received_at: moment(row.get(1)?),
                kind: row.get(2)?,
                bytes: row.get(3)?,
                state: row.get(4)?,
            })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("list dead letters")
    }

    /// As it came.
    pub fn letter_text(&self, id: i64) -> anyhow::Result<Option<String>> {
        self.0
            .prepare_cached("SELECT raw FROM dead_letter WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()
            .context("read a dead letter")
    }

    /// Has them read again; without ids, all that nobody has understood yet. Says which.
    pub fn want_letters(&self, ids: &[i64]) -> anyhow::Result<Vec<i64>> {
        if ids.is_empty() {
            let mut want = self.0.prepare_cached(
                "UPDATE dead_letter SET state = 'wanted' WHERE state IN ('kept', 'unreadable')
                 RETURNING id",
            )?;
            let wanted = want.query_map([], |row| row.get(0)).context("want dead letters")?;
            return wanted.collect::<rusqlite::Result<_>>().context("want dead letters");
        }
        let want = self.0.prepare_cached(
            "UPDATE dead_letter SET state = 'wanted'
             WHERE id = ?1 AND state IN ('kept', 'unreadable')",
        )?;
        each_that_is_there(want, ids).context("want a dead letter")
    }

    pub fn wanted_letters(&self, most: u32) -> anyhow::Result<Vec<(i64, String)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, raw FROM dead_letter WHERE state = 'wanted' ORDER BY id LIMIT ?1",
        )?;
        let rows = statement.query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>().context("find wanted letters")
    }

    /// It was read again, and understood or not.
    pub fn letter_was_read(&self, id: i64, fate: Fate, now: Timestamp) -> anyhow::Result<()> {
        let state = match fate {
            Fate::Replayed => "replayed",
            Fate::Unreadable => "unreadable",
        };
        self.0
            .prepare_cached("UPDATE dead_letter SET state = ?2, tried_at = ?3 WHERE id = ?1")?
            .execute((id, state, seconds(now)))
            .context("note a letter's fate")?;
        Ok(())
    }

    /// Says which there were.
    pub fn drop_letters(&self, ids: &[i64]) -> anyhow::Result<Vec<i64>> {
        let drop = self.0.prepare_cached("DELETE FROM dead_letter WHERE id = ?1")?;
        each_that_is_there(drop, ids).context("drop a dead letter")
    }
}

/// Those of `ids` of which `change` found a row.
fn each_that_is_there(
    mut change: rusqlite::CachedStatement<'_>,
    ids: &[i64],
) -> rusqlite::Result<Vec<i64>> {
    let mut there = Vec::new();
    for id in ids {
        if change.execute([id])? > 0 {
            there.push(*id);
        }
    }
    Ok(there)
}

/// What became of a letter that was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Replayed,
    /// Not understood, or what it says could not be done.
    Unreadable,
}
