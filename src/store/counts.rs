//! How much there is to do and how long it has waited, for metrics and health.
//!
//! Asked for again and again while the bot works, so everything is counted in indices that hold
//! open rows only; what is done, however much it is, costs nothing here.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::{Tx, moment, seconds};

/// A calendar whose last good reading is older than this is out of date.
const STALE: SignedDuration = SignedDuration::from_mins(30);

/// What there is to do, and what went wrong.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Questions that are due and not visible yet.
    pub prompts_due: u64,
    /// Since when the oldest of them is due.
    pub oldest_due_at: Option<Timestamp>,
    /// Messages of unknown fate.
    pub unknown: u64,
    /// Messages given up, as long as the outbox keeps them.
    pub failed: u64,
    pub dead_letters: u64,
    /// Answers ever stored, earlier versions left out.
    pub answers: u64,
    /// What waits in the outbox, by kind.
    pub outbox: Vec<Waiting>,
    pub feeds: FeedCounts,
}

/// What waits in the outbox of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    pub kind: String,
    /// Rows that may be sent now.
    pub ready: u64,
    /// When the oldest of all that wait was queued.
    pub oldest_at: Option<Timestamp>,
}

/// How the calendars are, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedCounts {
    pub total: u64,
    /// Never read well.
    pub unread: u64,
    /// The last attempt failed.
    pub failing: u64,
    /// Of those, three times in a row because there is no such calendar.
    pub broken: u64,
    /// Read, but parts were not understood.
    pub noted: u64,
    /// Nothing good for half an hour, or never.
    pub stale: u64,
    /// The oldest last good reading.
    pub oldest_good_at: Option<Timestamp>,
}

impl FeedCounts {
    pub fn fine(&self) -> u64 {
        self.total.saturating_sub(self.failing + self.noted)
    }
}

impl Tx<'_> {
    /// Everything that is counted in the store, as of `now`.
    pub fn counts(&self, now: Timestamp) -> anyhow::Result<Counts> {
        let (planned, planned_at) = self.planned_due(now)?;
        let (asked, asked_at) = self.prompts_under_way(now)?;
        let outbox = self.outbox_health()?;
        Ok(Counts {
            prompts_due: planned + asked,
            oldest_due_at: planned_at.into_iter().chain(asked_at).min(),
            unknown: outbox.uncertain,
            failed: outbox.failed,
            dead_letters: self.dead_letters()?,
            answers: self.answers_ever()?,
            outbox: self.waiting_to_be_sent(now)?,
            feeds: self.feed_counts(now)?,
        })
    }

    fn planned_due(&self, now: Timestamp) -> anyhow::Result<(u64, Option<Timestamp>)> {
        self.0
            .prepare_cached(
                "SELECT count(*), min(due_at) FROM debrief
                 WHERE state = 'planned' AND due_at <= ?1
                   AND EXISTS (SELECT 1 FROM person WHERE person.id = debrief.rep_id
                       AND is_active = 1 AND standing = 'member')",
            )?
            .query_row([seconds(now)], |row| {
                Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(moment)))
            })
            .context("count due questions")
    }

    /// Questions that are on their way, and since when the oldest was due. One that waits for the
    /// morning is not, and one of unknown fate is counted apart.
    fn prompts_under_way(&self, now: Timestamp) -> anyhow::Result<(u64, Option<Timestamp>)> {
        self.0
            .prepare_cached(
                "SELECT count(*), min(at) FROM (
                    SELECT max(created_at, not_before) AS at FROM outbox
                    WHERE state IN ('queued', 'uncertain') AND state = 'queued'
                      AND kind = 'prompt' AND not_before <= ?1
                    UNION ALL
                    SELECT created_at FROM outbox WHERE state = 'sending' AND kind = 'prompt')",
            )?
            .query_row([seconds(now)], |row| {
                Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(moment)))
            })
            .context("count questions on their way")
    }

    fn waiting_to_be_sent(&self, now: Timestamp) -> anyhow::Result<Vec<Waiting>> {
        let mut statement = self.0.prepare_cached(
            "SELECT kind, sum(not_before <= ?1), min(created_at) FROM outbox
             WHERE state IN ('queued', 'uncertain') GROUP BY +kind ORDER BY +kind",
        )?;
        let rows = statement.query_map([seconds(now)], |row| {
            Ok(Waiting {
                kind: row.get(0)?,
                ready: row.get(1)?,
                oldest_at: row.get::<_, Option<i64>>(2)?.map(moment),
            })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("count what waits in the outbox")
    }

    /// Ids are handed out in order, so the newest one counts all.
    fn answers_ever(&self) -> anyhow::Result<u64> {
        self.0
            .prepare_cached("SELECT coalesce(max(id), 0) FROM answer")?
            .query_row([], |row| row.get(0))
            .context("count answers")
    }

    /// How the calendars are, from an index alone: their rows carry whole calendars.
    pub fn feed_counts(&self, now: Timestamp) -> anyhow::Result<FeedCounts> {
        self.0
            .prepare_cached(
                "SELECT count(*), coalesce(sum(good_at IS NULL), 0),
                    coalesce(sum(failures > 0), 0), coalesce(sum(gone >= 3), 0),
                    coalesce(sum(failures = 0 AND problem IS NOT NULL), 0),
                    coalesce(sum(coalesce(good_at, 0) < ?1), 0), min(good_at)
                 FROM feed INDEXED BY feed_health",
            )?
            .query_row([seconds(now - STALE)], |row| {
                Ok(FeedCounts {
                    total: row.get(0)?,
                    unread: row.get(1)?,
                    failing: row.get(2)?,
                    broken: row.get(3)?,
                    noted: row.get(4)?,
                    stale: row.get(5)?,
                    oldest_good_at: row.get::<_, Option<i64>>(6)?.map(moment),
                })
            })
            .context("count calendars")
    }

    /// Debriefs with more visible questions than they were asked about, among those numbered from
    /// `after` (exclusive) to `until`: there must be none.
    pub fn doubled_prompts(&self, after: i64, until: i64) -> anyhow::Result<u64> {
        self.0
            .prepare_cached(
                "SELECT count(*) FROM (
                    SELECT subject FROM outbox
                    WHERE kind = 'prompt' AND subject > ?1 AND subject <= ?2 AND ts IS NOT NULL
                    GROUP BY subject
                    HAVING count(*) > (SELECT asks FROM debrief WHERE debrief.id = subject))",
            )?
            .query_row((after, until), |row| row.get(0))
            .context("look for doubled questions")
    }

    /// The highest number that a debrief has.
    pub fn last_debrief(&self) -> anyhow::Result<i64> {
        self.0
            .prepare_cached("SELECT coalesce(max(id), 0) FROM debrief")?
            .query_row([], |row| row.get(0))
            .context("find the last debrief")
    }

    /// Writes one page and changes nothing: whether a commit reaches the disk.
    pub fn prove_writable(&self) -> anyhow::Result<()> {
        let version = super::schema::version(self.0)?;
        self.0.pragma_update(None, "user_version", version).context("write to the store")
    }
}
