//! The last good state of each calendar, and how reading it goes.

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, named_params};

use super::{Tx, moment, seconds};
use crate::domain::person::PersonId;
use crate::domain::roster::source::CalendarSource;

/// The row of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId(pub i64);

/// A calendar of somebody.
#[derive(Debug, Clone)]
pub struct Feed {
    pub id: FeedId,
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

/// A calendar that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueFeed {
    pub id: FeedId,
    pub person: PersonId,
    /// Whether the last reading failed.
    pub is_failing: bool,
}

/// How a calendar is doing, for `check` and the metrics.
#[derive(Debug, Clone)]
pub struct FeedHealth {
    pub email: String,
    /// As in [`Feed`].
    pub source: String,
    pub good_at: Option<Timestamp>,
    pub problem: Option<String>,
    /// As in [`Feed`].
    pub gone: u32,
}

/// How a reading failed.
#[derive(Debug, Clone, Copy)]
pub struct FailedReading<'r> {
    /// One line without an address or a title.
    pub problem: &'r str,
    /// For [`Feed::gone`].
    pub gone: u32,
    pub next_at: Timestamp,
    /// Nobody may ask before, however much there is to know; the past if anybody may.
    pub patience_until: Timestamp,
}

const COLUMNS: &str =
    "id, person_id, source, etag, last_modified, body, tried_at, failures, gone, good_at";

fn feed(row: &Row<'_>) -> rusqlite::Result<Feed> {
    Ok(Feed {
        id: FeedId(row.get(0)?),
        person: PersonId(row.get(1)?),
        source: row.get(2)?,
        etag: row.get(3)?,
        last_modified: row.get(4)?,
        body: row.get(5)?,
        tried_at: row.get::<_, Option<i64>>(6)?.map(moment),
        failures: row.get(7)?,
        gone: row.get(8)?,
        good_at: row.get::<_, Option<i64>>(9)?.map(moment),
    })
}

fn due(row: &Row<'_>) -> rusqlite::Result<DueFeed> {
    let failures: u32 = row.get(2)?;
    Ok(DueFeed { id: FeedId(row.get(0)?), person: PersonId(row.get(1)?), is_failing: failures > 0 })
}

impl Tx<'_> {
    /// Gives a person these calendars and no others; what is known of one that stays, stays.
    pub(super) fn keep_feeds(
        &self,
        person: PersonId,
        sources: &[CalendarSource],
    ) -> anyhow::Result<()> {
        let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
        for (id, source) in self.feed_sources(person)? {
            if !sources.contains(&source) {
                self.look_again_beside(id)?;
                self.0
                    .prepare_cached("DELETE FROM feed WHERE id = ?1")?
                    .execute([id.0])
                    .context("forget a calendar")?;
            }
        }
        for source in sources {
            self.0
                .prepare_cached(
                    "INSERT INTO feed (person_id, source) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute((person.0, source))
                .context("store a calendar")?;
        }
        Ok(())
    }

    /// Without what they hold, which may be much.
    fn feed_sources(&self, person: PersonId) -> anyhow::Result<Vec<(FeedId, String)>> {
        let mut statement = self
            .0
            .prepare_cached("SELECT id, source FROM feed WHERE person_id = ?1 ORDER BY id")?;
        let rows = statement.query_map([person.0], |row| Ok((FeedId(row.get(0)?), row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>().context("list somebody's calendars")
    }

    /// Whether somebody has another calendar that was never read yet.
    pub fn has_unread_feed_beside(&self, person: PersonId, feed: FeedId) -> anyhow::Result<bool> {
        self.0
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM feed
                   WHERE person_id = ?1 AND id <> ?2 AND good_at IS NULL)",
            )?
            .query_row((person.0, feed.0), |row| row.get(0))
            .context("look for calendars that were never read")
    }

    /// Which calendars are to be read now, the longest waiting first.
    pub fn due_feeds(&self, now: Timestamp, most: u32) -> anyhow::Result<Vec<DueFeed>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, person_id, failures FROM feed WHERE next_at <= ?1 ORDER BY next_at, id
             LIMIT ?2",
        )?;
        let rows = statement.query_map((seconds(now), most), due)?;
        rows.collect::<rusqlite::Result<_>>().context("list due calendars")
    }

    /// Puts calendars that are due off, so many a second, all but the first of them: after a long
    /// stop, or when a company begins, they are not all asked for at once.
    pub fn spread_due_feeds(
        &self,
        now: Timestamp,
        first: u32,
        a_second: u32,
    ) -> anyhow::Result<usize> {
        self.0
            .prepare_cached(
                "UPDATE feed SET next_at = :now + 1 + place / :pace
                 FROM (SELECT id AS late, row_number() OVER (ORDER BY next_at, id) - 1 - :first
                         AS place
                       FROM feed WHERE next_at <= :now)
                 WHERE id = late AND place >= 0",
            )?
            .execute(
                named_params! { ":now": seconds(now), ":first": first, ":pace": a_second.max(1) },
            )
            .context("spread due calendars")
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

    /// Whether a calendar is still to be read: its person may have left while it was.
    pub fn has_feed(&self, id: FeedId) -> anyhow::Result<bool> {
        self.0
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM feed WHERE id = ?1)")?
            .query_row([id.0], |row| row.get(0))
            .context("look for a calendar")
    }

    pub fn feed(&self, id: FeedId) -> anyhow::Result<Option<Feed>> {
        self.0
            .prepare_cached(&format!("SELECT {COLUMNS} FROM feed WHERE id = ?1"))?
            .query_row([id.0], feed)
            .optional()
            .context("read a calendar's state")
    }

    /// A person's calendars.
    pub fn feeds(&self, person: PersonId) -> anyhow::Result<Vec<Feed>> {
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM feed WHERE person_id = ?1 ORDER BY id"
        ))?;
        let rows = statement.query_map([person.0], feed)?;
        rows.collect::<rusqlite::Result<_>>().context("read somebody's calendars")
    }

    /// Somebody's calendars that were not tried since then, and whose servers may be asked.
    pub fn stale_feeds(
        &self,
        person: PersonId,
        since: Timestamp,
        now: Timestamp,
    ) -> anyhow::Result<Vec<DueFeed>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, person_id, failures FROM feed
             WHERE person_id = ?1 AND tried_at <= ?2 AND patience_until <= ?3 ORDER BY id",
        )?;
        let rows = statement.query_map((person.0, seconds(since), seconds(now)), due)?;
        rows.collect::<rusqlite::Result<_>>().context("list stale calendars")
    }

    /// A good reading; `state` is (etag, last-modified, body) where it changed.
    pub fn feed_was_good(
        &self,
        id: FeedId,
        state: Option<(Option<&str>, Option<&str>, &[u8])>,
        note: Option<&str>,
        now: Timestamp,
        next_at: Timestamp,
    ) -> anyhow::Result<()> {
        if let Some((etag, last_modified, body)) = state {
            self.0
                .prepare_cached(
                    "UPDATE feed SET etag = ?2, last_modified = ?3, body = ?4 WHERE id = ?1",
                )?
                .execute((id.0, etag, last_modified, body))
                .context("store a calendar's state")?;
        }
        self.0
            .prepare_cached(
                "UPDATE feed SET good_at = :now, tried_at = :now, problem = :note, failures = 0,
                    gone = 0, patience_until = 0, next_at = :next
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":now": seconds(now), ":note": note, ":next": seconds(next_at), ":id": id.0,
            })
            .context("store a good reading")?;
        Ok(())
    }

    /// A bad reading: the last good state stays in use.
    pub fn feed_failed(
        &self,
        id: FeedId,
        failed: FailedReading<'_>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE feed SET tried_at = :now, problem = :problem, failures = failures + 1,
                    gone = :gone, next_at = :next, patience_until = :patience
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":now": seconds(now), ":problem": failed.problem, ":gone": failed.gone,
                ":next": seconds(failed.next_at), ":patience": seconds(failed.patience_until),
                ":id": id.0,
            })
            .context("store a failed reading")?;
        Ok(())
    }

    /// Whether the last reading was put aside because it had lost too much; sets the mark anew.
    pub fn swap_suspicion(&self, id: FeedId, suspect: bool) -> anyhow::Result<bool> {
        let before: bool = self
            .0
            .prepare_cached("SELECT is_suspect FROM feed WHERE id = ?1")?
            .query_row([id.0], |row| row.get(0))
            .optional()?
            .unwrap_or(false);
        if before != suspect {
            self.0
                .prepare_cached("UPDATE feed SET is_suspect = ?2 WHERE id = ?1")?
                .execute((id.0, suspect))
                .context("mark a suspicious reading")?;
        }
        Ok(before)
    }

    pub fn feeds_health(&self) -> anyhow::Result<Vec<FeedHealth>> {
        let mut statement = self.0.prepare_cached(
            "SELECT email, source, good_at, problem, gone
             FROM feed JOIN person ON person.id = person_id ORDER BY email, feed.id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(FeedHealth {
                email: row.get(0)?,
                source: row.get(1)?,
                good_at: row.get::<_, Option<i64>>(2)?.map(moment),
                problem: row.get(3)?,
                gone: row.get(4)?,
            })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("read how calendars are doing")
    }
}
