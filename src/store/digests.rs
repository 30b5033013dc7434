//! What a manager's week is made of, and which digests exist.

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{OptionalExtension, named_params};

use super::history::HistoryEntry;
use super::{Tx, moment, seconds};
use crate::domain::debrief::Outcome;
use crate::domain::person::PersonId;
use crate::domain::privacy::Viewer;

impl Tx<'_> {
    /// Creates the digest of a local date, unless it exists. Says whether it is new.
    pub fn claim_digest(
        &self,
        manager: PersonId,
        local_date: Date,
        slot_at: Timestamp,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        let made = self
            .0
            .prepare_cached(
                "INSERT INTO digest (manager_id, local_date, slot_at, created_at)
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?
            .execute((manager.0, local_date.to_string(), seconds(slot_at), seconds(now)))
            .context("claim a digest")?;
        Ok(made == 1)
    }

    pub fn has_digest(&self, manager: PersonId, local_date: Date) -> anyhow::Result<bool> {
        Ok(self.digest_slot(manager, &local_date.to_string())?.is_some())
    }

    /// The slot of a digest that was claimed.
    pub fn digest_slot(
        &self,
        manager: PersonId,
        local_date: &str,
    ) -> anyhow::Result<Option<Timestamp>> {
        let at: Option<i64> = self
            .0
            .prepare_cached("SELECT slot_at FROM digest WHERE manager_id = ?1 AND local_date = ?2")?
            .query_row((manager.0, local_date), |row| row.get(0))
            .optional()
            .context("look for a digest")?;
        Ok(at.map(moment))
    }

    /// When this installation was made: nothing older is owed.
    pub fn installed_at(&self) -> anyhow::Result<Timestamp> {
        let at: i64 = self
            .0
            .query_row("SELECT created_at FROM installation", [], |row| row.get(0))
            .context("read the installation")?;
        Ok(moment(at))
    }

    /// What a rep answered in the window, as their manager may see it, oldest first.
    pub fn answered_between(
        &self,
        rep: PersonId,
        window: (Timestamp, Timestamp),
        open_taps: &[String],
    ) -> anyhow::Result<Vec<HistoryEntry>> {
        let since = self.manager_of(rep)?.map_or(Timestamp::MAX, |(_, since)| since);
        let debriefs = self.debriefs(
            "WHERE debrief.rep_id = :rep AND answered_at >= :from AND answered_at < :to
               AND answered_at >= :since
             ORDER BY answered_at, debrief.id",
            named_params! {
                ":rep": rep.0, ":from": seconds(window.0), ":to": seconds(window.1),
                ":since": seconds(since),
            },
        )?;
        debriefs
            .into_iter()
            .map(|debrief| self.as_seen_by(Viewer::DirectManager, debrief, open_taps))
            .collect()
    }

    /// How many customer meetings of a rep ended in the window, those that did not happen left out.
    pub fn meetings_between(
        &self,
        rep: PersonId,
        window: (Timestamp, Timestamp),
    ) -> anyhow::Result<u32> {
        self.0
            .prepare_cached(
                "SELECT count(*) FROM meeting LEFT JOIN debrief ON meeting_id = meeting.id
                 WHERE meeting.rep_id = ?1 AND ends_at >= ?2 AND ends_at < ?3 AND is_customer = 1
                   AND coalesce(state, 'planned') NOT IN ('withdrawn', 'not_held')",
            )?
            .query_row((rep.0, seconds(window.0), seconds(window.1)), |row| row.get(0))
            .context("count meetings")
    }

    /// How a rep's meetings ended, of those answered in the window.
    pub fn endings_between(
        &self,
        rep: PersonId,
        window: (Timestamp, Timestamp),
    ) -> anyhow::Result<Vec<(Outcome, u32)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT outcome, count(*) FROM debrief
             WHERE rep_id = ?1 AND answered_at >= ?2 AND answered_at < ?3 AND outcome IS NOT NULL
             GROUP BY outcome",
        )?;
        let rows = statement.query_map((rep.0, seconds(window.0), seconds(window.1)), |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })?;
        let rows: Vec<(String, u32)> =
            rows.collect::<rusqlite::Result<_>>().context("count endings")?;
        Ok(rows
            .into_iter()
            .filter_map(|(outcome, count)| Outcome::parse(&outcome).map(|known| (known, count)))
            .collect())
    }
}
