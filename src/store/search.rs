//! The index of words, which follows behind.
//!
//! Bringing it up to date costs more than everything else about an answer, so it is not part of what
//! somebody waits for. Nobody sees the difference: a search has the words of its rep indexed first,
//! which are few, and the background does the rest.

use anyhow::Context;
use rusqlite::OptionalExtension;

use super::Tx;
use crate::domain::person::PersonId;

/// An answer whose words are to be indexed.
struct Unindexed {
    id: i64,
    rep: i64,
    body: String,
}

/// What happened to the words of an answer in the index.
enum Index {
    Added,
    Changed,
}

/// The effort of taking words out of the index, in answers added: they are overwritten wherever they
/// stand.
const CHANGE: u32 = 10;

impl Tx<'_> {
    /// Whether the index does not hold all words of `rep` as they are now.
    pub fn has_unindexed_words(&self, rep: PersonId) -> anyhow::Result<bool> {
        self.0
            .prepare_cached("SELECT 1 FROM answer WHERE is_unindexed = 1 AND rep_id = ?1")?
            .exists([rep.0])
            .context("look for words to index")
    }

    /// Indexes the words of `rep`.
    pub fn index_words_of(&self, rep: PersonId) -> anyhow::Result<()> {
        let unindexed = self.unindexed(
            "SELECT id, rep_id, body FROM answer WHERE is_unindexed = 1 AND rep_id = ?1",
            [rep.0],
        )?;
        unindexed.iter().try_for_each(|answer| self.index(answer).map(drop))
    }

    /// Indexes words, whoever's, for as much effort as indexing `effort` new answers takes. Says
    /// whether there may be more.
    pub fn index_words(&self, effort: u32) -> anyhow::Result<bool> {
        let unindexed = self.unindexed(
            "SELECT id, rep_id, body FROM answer WHERE is_unindexed = 1 LIMIT ?1",
            [effort],
        )?;
        let mut spent = 0;
        for answer in &unindexed {
            if spent >= effort {
                return Ok(true);
            }
            spent += match self.index(answer)? {
                Index::Added => 1,
                Index::Changed => CHANGE,
            };
        }
        Ok(spent >= effort)
    }

    /// In ascending order, as the index gathers what comes like that and writes it in one piece.
    fn unindexed(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> anyhow::Result<Vec<Unindexed>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, |row| {
            Ok(Unindexed { id: row.get(0)?, rep: row.get(1)?, body: row.get(2)? })
        })?;
        let found: rusqlite::Result<Vec<_>> = rows.collect();
        let mut found = found.context("find words to index")?;
        found.sort_unstable_by_key(|answer| answer.id);
        Ok(found)
    }

    /// Each statement writes one row: for one that may write more, SQLite has the index write down
    /// first what it has gathered.
    fn index(&self, answer: &Unindexed) -> anyhow::Result<Index> {
        let scope = format!("r{}", answer.rep);
        let outdated: Option<String> = self
            .0
            .prepare_cached("SELECT body FROM outdated_words WHERE answer_id = ?1")?
            .query_row([answer.id], |row| row.get(0))
            .optional()
            .context("find outdated words")?;
        let done = if outdated.is_some() { Index::Changed } else { Index::Added };
        if let Some(body) = outdated {
            self.0
                .prepare_cached(
                    "INSERT INTO answer_fts (answer_fts, rowid, scope, body)
                     VALUES ('delete', ?1, ?2, ?3)",
                )?
                .execute((answer.id, &scope, body))
                .context("take outdated words out of the index")?;
            self.0
                .prepare_cached("DELETE FROM outdated_words WHERE answer_id = ?1")?
                .execute([answer.id])
                .context("forget outdated words")?;
        }
        self.0
            .prepare_cached("INSERT INTO answer_fts (rowid, scope, body) VALUES (?1, ?2, ?3)")?
            .execute((answer.id, &scope, &answer.body))
            .context("index words")?;
        self.0
            .prepare_cached("UPDATE answer SET is_unindexed = 0 WHERE id = ?1")?
            .execute([answer.id])
            .context("note that words are indexed")?;
        Ok(done)
    }
}
