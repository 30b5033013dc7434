//! Forgetting what is old, a little at a time.
//!
//! Each step removes a few hundred rows in a transaction of its own, so that nobody waits for it,
//! and what a stop leaves undone the next turn finds. A debrief goes whole: its answers with their
//! earlier versions, the words in the search index, its messages and its meeting.

use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Tx, seconds};
use crate::domain::person::PersonId;
use crate::domain::retention::Retention;

/// Rows that one step removes at most, of what stands alone.
const ROWS: i64 = 500;
/// Debriefs that one step removes at most; each has a handful of answers and messages.
const DEBRIEFS: i64 = 100;

/// Everything before these moments is old.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    debriefs: i64,
    times: i64,
    messages: i64,
    dead_letters: i64,
}

impl Limits {
    pub fn at(ages: &Retention, now: Timestamp) -> Self {
        let before = |age: crate::domain::retention::Age| seconds(age.before(now));
        Self {
            debriefs: before(ages.debriefs),
            times: before(ages.times),
            messages: before(ages.messages),
            dead_letters: before(ages.dead_letters),
        }
    }
}

/// One kind of what may be old, in the order in which they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Debriefs,
    /// Meetings that nobody was to be asked about.
    Meetings,
    Times,
    /// What calendars said of meetings that are over.
    Sightings,
    /// What organisers said of meetings that are over.
    Gatherings,
    Corrections,
    /// The text of what was sent.
    Words,
    /// Messages that belong to no debrief.
    Messages,
    Texts,
    DeadLetters,
    Digests,
    ReportingLines,
    /// Who left: their row stays for the audit log, without a name.
    People,
}

impl Step {
    pub const ALL: [Self; 13] = [
        Self::Debriefs,
        Self::Meetings,
        Self::Times,
        Self::Sightings,
        Self::Gatherings,
        Self::Corrections,
        Self::Words,
        Self::Messages,
        Self::Texts,
        Self::DeadLetters,
        Self::Digests,
        Self::ReportingLines,
        Self::People,
    ];

    /// What to do with what is before which moment. Each statement touches at most [`ROWS`] rows,
    /// and none that it has touched before.
    fn statement(self, limits: &Limits) -> (i64, &'static str) {
        match self {
            // These two are more than one statement.
            Self::Debriefs | Self::People => (limits.debriefs, ""),
            Self::Meetings => (limits.debriefs, MEETINGS),
            Self::Times => (limits.times, TIMES),
            Self::Sightings => (limits.times, SIGHTINGS),
            Self::Gatherings => (limits.times, GATHERINGS),
            Self::Corrections => (limits.debriefs, CORRECTIONS),
            Self::Words => (limits.messages, WORDS),
            Self::Messages => (limits.messages, MESSAGES),
            Self::Texts => (limits.messages, TEXTS),
            Self::DeadLetters => (limits.dead_letters, DEAD_LETTERS),
            Self::Digests => (limits.debriefs, DIGESTS),
            Self::ReportingLines => (limits.debriefs, REPORTING_LINES),
        }
    }
}

const MEETINGS: &str = "DELETE FROM meeting WHERE id IN (
    SELECT id FROM meeting WHERE ends_at < ?1
      AND NOT EXISTS (SELECT 1 FROM debrief WHERE meeting_id = meeting.id)
    ORDER BY ends_at LIMIT ?2)";

const TIMES: &str = "DELETE FROM meeting WHERE id IN (
    SELECT id FROM meeting WHERE ends_at < ?1 AND is_customer = 0
      AND NOT EXISTS (SELECT 1 FROM debrief WHERE meeting_id = meeting.id)
    ORDER BY ends_at LIMIT ?2)";

const SIGHTINGS: &str = "DELETE FROM sighting WHERE (feed_id, uid, original_start) IN (
    SELECT feed_id, uid, original_start FROM sighting WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2)";

const GATHERINGS: &str = "DELETE FROM gathering WHERE (uid, original_start) IN (
    SELECT uid, original_start FROM gathering WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2)";

/// A correction serves as long as a meeting of its series is known. `?1` is not needed.
const CORRECTIONS: &str = "DELETE FROM correction WHERE (rep_id, uid) IN (
    SELECT rep_id, uid FROM correction
    WHERE ?1 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM meeting
      WHERE meeting.rep_id = correction.rep_id AND meeting.uid = correction.uid)
    LIMIT ?2)";

const WORDS: &str = "UPDATE outbox SET body = '' WHERE id IN (
    SELECT id FROM outbox WHERE created_at < ?1 AND body <> ''
      AND state IN ('sent', 'failed', 'dropped')
    ORDER BY created_at LIMIT ?2)";

const MESSAGES: &str = "DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE created_at < ?1 AND kind IN ('note', 'home', 'digest')
      AND state IN ('sent', 'failed', 'dropped')
    ORDER BY created_at LIMIT ?2)";

const TEXTS: &str = "DELETE FROM pending_text WHERE id IN (
    SELECT id FROM pending_text WHERE written_at < ?1 AND claimed_by IS NULL
    ORDER BY written_at LIMIT ?2)";

/// Rows come in the order of time, so the first ones tell whether there is anything to do.
const DEAD_LETTERS: &str = "DELETE FROM dead_letter WHERE id IN (
    SELECT id FROM (SELECT id, received_at FROM dead_letter ORDER BY id LIMIT ?2)
    WHERE received_at < ?1)";

/// The latest slot of a manager is owed again if its row is missing, so it stays.
const DIGESTS: &str = "DELETE FROM digest WHERE (manager_id, local_date) IN (
    SELECT manager_id, local_date FROM digest WHERE slot_at < ?1
      AND EXISTS (SELECT 1 FROM digest AS later
        WHERE later.manager_id = digest.manager_id AND later.slot_at > digest.slot_at)
    LIMIT ?2)";

const REPORTING_LINES: &str = "DELETE FROM reporting_line WHERE id IN (
    SELECT id FROM reporting_line WHERE valid_to < ?1 LIMIT ?2)";

/// Old, untouched since, and with nothing on its way to Slack.
const OLD_DEBRIEFS: &str = "
    SELECT debrief.id, meeting_id FROM meeting JOIN debrief ON meeting_id = meeting.id
    WHERE ends_at < ?1
      AND NOT EXISTS (SELECT 1 FROM answer
        WHERE debrief_id = debrief.id AND written_at >= ?1)
      AND NOT EXISTS (SELECT 1 FROM outbox
        WHERE kind IN ('prompt', 'reminder', 'refresh') AND subject = debrief.id
          AND state IN ('queued', 'sending', 'uncertain') AND created_at >= ?1)
    ORDER BY ends_at LIMIT ?2";

/// Whoever left, and of whom only the name is known any more.
const GONE_PEOPLE: &str = "
    SELECT id FROM person WHERE is_active = 0 AND created_at < ?1
      AND email NOT LIKE 'former:%' AND email NOT LIKE 'erased:%'
      AND NOT EXISTS (SELECT 1 FROM meeting WHERE rep_id = person.id)
      AND NOT EXISTS (SELECT 1 FROM reporting_line
        WHERE rep_id = person.id OR manager_id = person.id)
    ORDER BY id";

impl Tx<'_> {
    /// Takes one step. Says how many rows it removed or emptied; at none there is nothing left.
    pub fn forget(&self, step: Step, limits: &Limits) -> anyhow::Result<usize> {
        match step {
            Step::Debriefs => self.forget_debriefs(limits.debriefs),
            Step::People => self.forget_people(limits.debriefs),
            _ => {
                let (before, statement) = step.statement(limits);
                self.0
                    .prepare_cached(statement)?
                    .execute((before, ROWS))
                    .with_context(|| format!("forget old rows ({step:?})"))
            }
        }
    }

    fn forget_debriefs(&self, before: i64) -> anyhow::Result<usize> {
        let old: Vec<(i64, i64)> = self
            .0
            .prepare_cached(OLD_DEBRIEFS)?
            .query_map((before, DEBRIEFS), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()
            .context("find old debriefs")?;
        // Leaves before branches. The index loses the words of an answer with its row.
        let parts = [
            "DELETE FROM answer_version WHERE answer_id IN
               (SELECT id FROM answer WHERE debrief_id = ?1)",
            "DELETE FROM answer WHERE debrief_id = ?1",
            "DELETE FROM outbox
             WHERE kind IN ('prompt', 'reminder', 'refresh') AND subject = ?1",
            "DELETE FROM pending_text WHERE claimed_by = ?1",
            "DELETE FROM debrief WHERE id = ?1",
        ];
        for (debrief, meeting) in &old {
            for part in parts {
                self.0.prepare_cached(part)?.execute([debrief]).context("forget a debrief")?;
            }
            self.0
                .prepare_cached("DELETE FROM meeting WHERE id = ?1")?
                .execute([meeting])
                .context("forget a meeting")?;
        }
        Ok(old.len())
    }

    fn forget_people(&self, before: i64) -> anyhow::Result<usize> {
        let gone: Vec<i64> = self
            .0
            .prepare_cached(GONE_PEOPLE)?
            .query_map([before], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()
            .context("find people who left")?;
        for person in &gone {
            self.unname(PersonId(*person), "former")?;
        }
        Ok(gone.len())
    }
}

/// Moves what was removed out of the write-ahead log, where the old words still stand. Waits for
/// nobody: says whether it could, or somebody was reading.
///
/// # Errors
/// If the store cannot be opened.
pub fn fold(path: &Path) -> anyhow::Result<bool> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).context("open the store")?;
    connection.busy_timeout(std::time::Duration::ZERO).context("apply settings")?;
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
        .or_else(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => Ok(false),
            _ => Err(error),
        })
        .context("fold the write-ahead log into the store")
}
