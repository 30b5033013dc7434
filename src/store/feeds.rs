//! The last good state of each calendar, and how reading it goes.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, named_params};

use super::{Tx, moment, seconds};
use crate::domain::person::PersonId;

/// A calendar to read.
#[derive(Debug, Clone)]
pub struct Feed {
    pub person: PersonId,
    /// As in the roster. A secret: never log it.
    pub source: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub body: Option<Vec<u8>>,
    pub tried_at: Option<Timestamp>,
    pub failures: u32,
    /// How many of the last readings in a row ended with "there is no such calendar".
    pub gone: u32,
    pub good_at: Option<Timestamp>,
}

/// How a calendar is doing, for `check` and the metrics.
#[derive(Debug, Clone)]
pub struct FeedHealth {
    pub email: String,
    pub good_at: Option<Timestamp>,
    pub problem: Option<String>,
    /// As in [`Feed`].
    pub gone: u32,
}

impl Tx<'_> {
    /// Whose calendars are to be read now, the longest waiting first.
    pub fn due_feeds(&self, now: Timestamp, most: u32) -> anyhow::Result<Vec<PersonId>> {
        let mut statement = self.0.prepare_cached(
            "SELECT person_id FROM feed WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2",
        )?;
        let rows = statement.query_map((seconds(now), most), |row| row.get(0).map(PersonId))?;
        rows.collect::<rusqlite::Result<_>>().context("list due calendars")
    }

    /// When a calendar is to be read next.
    pub fn next_feed_at(&self) -> anyhow::Result<Option<Timestamp>> {
        let next: Option<i64> = self
            .0
            .prepare_cached("SELECT min(next_at) FROM feed")?
            .query_row([], |row| row.get(0))
            .context("find the next calendar")?;
        Ok(next.map(moment))
    }

    /// Whether somebody's calendar is still to be read: they may have left while it was.
    pub fn has_feed(&self, person: PersonId) -> anyhow::Result<bool> {
        self.0
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM feed WHERE person_id = ?1)")?
            .query_row([person.0], |row| row.get(0))
            .context("look for a calendar")
    }

    pub fn feed(&self, person: PersonId) -> anyhow::Result<Option<Feed>> {
        self.0
            .prepare_cached(
                "SELECT source, etag, last_modified, body, tried_at, failures, gone, good_at
                 FROM feed WHERE person_id = ?1",
            )?
            .query_row([person.0], |row| {
                Ok(Feed {
                    person,
                    source: row.get(0)?,
                    etag: row.get(1)?,
                    last_modified: row.get(2)?,
                    body: row.get(3)?,
                    tried_at: row.get::<_, Option<i64>>(4)?.map(moment),
                    failures: row.get(5)?,
                    gone: row.get(6)?,
                    good_at: row.get::<_, Option<i64>>(7)?.map(moment),
                })
            })
            .optional()
            .context("read a calendar's state")
    }

    /// When a calendar was last tried.
    pub fn feed_tried_at(&self, person: PersonId) -> anyhow::Result<Option<Timestamp>> {
        let tried: Option<Option<i64>> = self
            .0
            .prepare_cached("SELECT tried_at FROM feed WHERE person_id = ?1")?
            .query_row([person.0], |row| row.get(0))
            .optional()
            .context("read when a calendar was tried")?;
        Ok(tried.flatten().map(moment))
    }

    /// A good reading; `state` is (etag, last-modified, body) where it changed.
    pub fn feed_was_good(
        &self,
        person: PersonId,
        state: Option<(Option<&str>, Option<&str>, &[u8])>,
        note: Option<&str>,
        now: Timestamp,
        next_at: Timestamp,
    ) -> anyhow::Result<()> {
        if let Some((etag, last_modified, body)) = state {
            self.0
                .prepare_cached(
                    "UPDATE feed SET etag = ?2, last_modified = ?3, body = ?4 WHERE person_id = ?1",
                )?
                .execute((person.0, etag, last_modified, body))
                .context("store a calendar's state")?;
        }
        self.0
            .prepare_cached(
                "UPDATE feed SET good_at = :now, tried_at = :now, problem = :note, failures = 0,
                    gone = 0, next_at = :next
                 WHERE person_id = :person",
            )?
            .execute(named_params! {
                ":now": seconds(now), ":note": note, ":next": seconds(next_at),
                ":person": person.0,
            })
            .context("store a good reading")?;
        Ok(())
    }

    /// A bad reading: the last good state stays in use. `gone` is for [`Feed`].
    pub fn feed_failed(
        &self,
        person: PersonId,
        problem: &str,
        gone: u32,
        now: Timestamp,
        wait: SignedDuration,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE feed SET tried_at = :now, problem = :problem, failures = failures + 1,
                    gone = :gone, next_at = :next
                 WHERE person_id = :person",
            )?
            .execute(named_params! {
                ":now": seconds(now), ":problem": problem, ":gone": gone,
                ":next": seconds(now + wait), ":person": person.0,
            })
            .context("store a failed reading")?;
        Ok(())
    }

    /// Whether the last reading was put aside because it had lost too much; sets the mark anew.
    pub fn swap_suspicion(&self, person: PersonId, suspect: bool) -> anyhow::Result<bool> {
        let before: bool = self
            .0
            .prepare_cached("SELECT is_suspect FROM feed WHERE person_id = ?1")?
            .query_row([person.0], |row| row.get(0))
            .optional()?
            .unwrap_or(false);
        self.0
            .prepare_cached("UPDATE feed SET is_suspect = ?2 WHERE person_id = ?1")?
            .execute((person.0, suspect))
            .context("mark a suspicious reading")?;
        Ok(before)
    }

    pub fn feeds_health(&self) -> anyhow::Result<Vec<FeedHealth>> {
        let mut statement = self.0.prepare_cached(
            "SELECT email, good_at, problem, gone FROM feed JOIN person ON person.id = person_id
             ORDER BY email",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(FeedHealth {
                email: row.get(0)?,
                good_at: row.get::<_, Option<i64>>(1)?.map(moment),
                problem: row.get(2)?,
                gone: row.get(3)?,
            })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("read how calendars are doing")
    }
}
