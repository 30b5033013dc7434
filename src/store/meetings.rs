//! Meetings as the calendars had them, the plan that follows, and what reps corrected.

use std::collections::HashMap;

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, named_params};

use super::{Tx, moment, seconds};
use crate::domain::debrief::DebriefId;
use crate::domain::meeting::{Account, Guess, Kind};
use crate::domain::person::PersonId;

/// A meeting that was judged, ready to be stored.
#[derive(Debug, Clone, Hash)]
pub struct JudgedMeeting {
    pub uid: String,
    pub original_start: Timestamp,
    /// Empty for meetings we have no business with.
    pub title: String,
    pub start: Timestamp,
    pub end: Timestamp,
    pub busy: bool,
    /// `None`: not a customer meeting.
    pub customer: Option<Guess>,
    /// Names of external guests.
    pub guests: Vec<String>,
}

/// A meeting that no calendar shows.
#[derive(Debug, Clone)]
pub struct OrphanedMeeting {
    pub id: i64,
    /// Its uid and original start.
    pub identity: (String, Timestamp),
    pub end: Timestamp,
}

/// A debrief whose moment may still move.
#[derive(Debug, Clone)]
pub struct OpenPlan {
    pub debrief: DebriefId,
    pub meeting_id: i64,
    pub end: Timestamp,
    pub not_before: Timestamp,
}

impl Tx<'_> {
    /// The row of a meeting.
    pub fn meeting(
        &self,
        rep: PersonId,
        (uid, original_start): &(String, Timestamp),
    ) -> anyhow::Result<Option<i64>> {
        self.0
            .prepare_cached(
                "SELECT id FROM meeting
                 WHERE rep_id = ?1 AND uid = ?2 AND original_start = ?3",
            )?
            .query_row((rep.0, uid, seconds(*original_start)), |row| row.get(0))
            .optional()
            .context("look for a meeting")
    }

    /// When a meeting ends as far as we know.
    pub fn meeting_end(&self, meeting: i64) -> anyhow::Result<Timestamp> {
        self.0
            .prepare_cached("SELECT ends_at FROM meeting WHERE id = ?1")?
            .query_row([meeting], |row| row.get(0).map(moment))
            .context("read when a meeting ends")
    }

    /// Stores a meeting, known or not; returns its row.
    pub fn upsert_meeting(&self, rep: PersonId, meeting: &JudgedMeeting) -> anyhow::Result<i64> {
        match self.meeting(rep, &(meeting.uid.clone(), meeting.original_start))? {
            Some(id) => self.update_meeting(id, meeting).map(|()| id),
            None => self.insert_meeting(rep, meeting),
        }
    }

    /// Stores a meeting that was not known; returns its row.
    pub fn insert_meeting(&self, rep: PersonId, meeting: &JudgedMeeting) -> anyhow::Result<i64> {
        self.0
            .prepare_cached(
                "INSERT INTO meeting (rep_id, uid, original_start, title, starts_at, ends_at,
                    is_busy, is_customer, kind, account_key, account_name, guests)
                 VALUES (?1, ?2, ?3, '', ?4, ?5, 0, 0, '', '', '', '')
                 RETURNING id",
            )?
            .query_row(
                (
                    rep.0,
                    &meeting.uid,
                    seconds(meeting.original_start),
                    seconds(meeting.start),
                    seconds(meeting.end),
                ),
                |row| row.get(0),
            )
            .context("store a meeting")
            .and_then(|id| self.update_meeting(id, meeting).map(|()| id))
    }

    /// Brings what is known of a meeting up to date.
    pub fn update_meeting(&self, id: i64, meeting: &JudgedMeeting) -> anyhow::Result<()> {
        let corrected = self.correction(id)?;
        let guess = corrected.as_ref().or(meeting.customer.as_ref());
        self.0
            .prepare_cached(
                "UPDATE meeting SET title = :title, starts_at = :start, ends_at = :end,
                    is_busy = :busy, is_customer = :customer, kind = :kind, account_key = :key,
                    account_name = :name, guests = :guests
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":id": id, ":title": meeting.title,
                ":start": seconds(meeting.start), ":end": seconds(meeting.end),
                ":busy": meeting.busy, ":customer": meeting.customer.is_some(),
                ":kind": guess.map_or("", |guess| guess.kind.as_str()),
                ":key": guess.map_or("", |guess| &guess.account.key),
                ":name": guess.map_or("", |guess| &guess.account.name),
                ":guests": meeting.guests.join("\n"),
            })
            .context("update a meeting")?;
        Ok(())
    }

    /// Meetings that matter and end in the window, and that no calendar ever showed that is still
    /// read: their calendar was changed in the roster.
    pub fn orphaned_meetings(
        &self,
        rep: PersonId,
        window: (Timestamp, Timestamp),
    ) -> anyhow::Result<Vec<OrphanedMeeting>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, uid, original_start, ends_at FROM meeting
             WHERE rep_id = ?1 AND ends_at > ?2 AND starts_at < ?3
               AND (is_busy = 1 OR is_customer = 1)
               AND uid NOT LIKE 'by-hand:%'
               AND NOT EXISTS (SELECT 1 FROM sighting WHERE meeting_id = meeting.id)
             ORDER BY id",
        )?;
        let rows = statement.query_map((rep.0, seconds(window.0), seconds(window.1)), |row| {
            Ok(OrphanedMeeting {
                id: row.get(0)?,
                identity: (row.get(1)?, moment(row.get(2)?)),
                end: moment(row.get(3)?),
            })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("list meetings without a calendar")
    }

    /// A meeting that is no longer in the calendar takes nobody's time.
    pub fn meeting_is_gone(&self, meeting: i64) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE meeting SET is_busy = 0, is_customer = 0 WHERE id = ?1")?
            .execute([meeting])
            .context("retire a meeting")?;
        Ok(())
    }

    /// When a rep is in a meeting of any kind, from `since` on, as (meeting, start, end).
    pub fn busy_times(
        &self,
        rep: PersonId,
        since: Timestamp,
    ) -> anyhow::Result<Vec<(i64, Timestamp, Timestamp)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, starts_at, ends_at FROM meeting
             WHERE rep_id = ?1 AND ends_at > ?2 AND is_busy = 1 ORDER BY starts_at",
        )?;
        let rows = statement.query_map((rep.0, seconds(since)), |row| {
            Ok((row.get(0)?, moment(row.get(1)?), moment(row.get(2)?)))
        })?;
        rows.collect::<rusqlite::Result<_>>().context("read busy times")
    }

    /// All of a rep's debriefs that were not asked about yet.
    pub fn open_plans(&self, rep: PersonId) -> anyhow::Result<Vec<OpenPlan>> {
        let mut statement = self.0.prepare_cached(
            "SELECT debrief.id, meeting.id, meeting.ends_at, not_before
             FROM debrief JOIN meeting ON meeting.id = meeting_id
             WHERE debrief.rep_id = ?1 AND state = 'planned'",
        )?;
        let rows = statement.query_map([rep.0], |row| {
            Ok(OpenPlan {
                debrief: DebriefId(row.get(0)?),
                meeting_id: row.get(1)?,
                end: moment(row.get(2)?),
                not_before: moment(row.get(3)?),
            })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("list plans")
    }

    /// What a rep said the series of a meeting is about.
    fn correction(&self, meeting: i64) -> anyhow::Result<Option<Guess>> {
        self.0
            .prepare_cached(
                "SELECT correction.kind, correction.account_key, correction.account_name
                 FROM meeting JOIN correction
                    ON correction.rep_id = meeting.rep_id AND correction.uid = meeting.uid
                 WHERE meeting.id = ?1",
            )?
            .query_row([meeting], |row| {
                Ok(Guess {
                    kind: Kind::parse(&row.get::<_, String>(0)?).unwrap_or(Kind::Other),
                    account: Account { key: row.get(1)?, name: row.get(2)? },
                })
            })
            .optional()
            .context("read a correction")
    }

    /// All corrections of a rep by series, for `explain`.
    pub fn corrections(&self, rep: PersonId) -> anyhow::Result<HashMap<String, Guess>> {
        let mut statement = self.0.prepare_cached(
            "SELECT uid, kind, account_key, account_name FROM correction WHERE rep_id = ?1",
        )?;
        let rows = statement.query_map([rep.0], |row| {
            let kind = Kind::parse(&row.get::<_, String>(1)?).unwrap_or(Kind::Other);
            let account = Account { key: row.get(2)?, name: row.get(3)? };
            Ok((row.get(0)?, Guess { kind, account }))
        })?;
        rows.collect::<rusqlite::Result<_>>().context("read corrections")
    }

    /// Corrects one meeting and every other one of its series that is known.
    pub fn correct(&self, debrief: DebriefId, guess: &Guess) -> anyhow::Result<()> {
        let (rep, uid): (i64, String) = self
            .0
            .prepare_cached(
                "SELECT meeting.rep_id, uid FROM debrief JOIN meeting ON meeting.id = meeting_id
                 WHERE debrief.id = ?1",
            )?
            .query_row([debrief.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .context("find the meeting to correct")?;
        let values = named_params! {
            ":rep": rep, ":uid": uid, ":kind": guess.kind.as_str(),
            ":key": guess.account.key, ":name": guess.account.name,
        };
        self.0
            .prepare_cached(
                "INSERT INTO correction (rep_id, uid, kind, account_key, account_name)
                 VALUES (:rep, :uid, :kind, :key, :name)
                 ON CONFLICT (rep_id, uid) DO UPDATE SET kind = excluded.kind,
                    account_key = excluded.account_key, account_name = excluded.account_name",
            )?
            .execute(values)
            .context("store a correction")?;
        self.0
            .prepare_cached(
                "UPDATE meeting SET kind = :kind, account_key = :key, account_name = :name
                 WHERE rep_id = :rep AND uid = :uid",
            )?
            .execute(values)
            .context("apply a correction")?;
        Ok(())
    }

    /// Whether the rep met this account before.
    pub fn met_before(
        &self,
        rep: PersonId,
        account_key: &str,
        before: Timestamp,
    ) -> anyhow::Result<bool> {
        self.0
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM meeting
                   WHERE rep_id = ?1 AND account_key = ?2 AND ends_at < ?3 AND is_customer = 1)",
            )?
            .query_row((rep.0, account_key, seconds(before)), |row| row.get(0))
            .context("look for earlier meetings")
    }
}
