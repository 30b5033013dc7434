//! What each calendar says of each meeting, what organisers said last, and who is away.

use std::collections::HashMap;

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, named_params};

use super::feeds::FeedId;
use super::{Tx, moment, seconds};
use crate::domain::debrief::DebriefId;
use crate::domain::latest::Said;
use crate::domain::person::PersonId;

/// What a meeting is called in a calendar: its uid and original start.
pub type Identity = (String, Timestamp);

/// One meeting as one calendar showed it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub struct Sighting {
    pub meeting: i64,
    pub said: Said,
    pub is_customer: bool,
    /// The same while nothing of it changes; 0 to have it looked at again.
    pub seal: i64,
    /// It takes the person's time, or is a customer meeting.
    pub matters: bool,
    /// Another calendar of the same person shows it too.
    pub is_shared: bool,
    /// The calendar is that of whoever called the meeting.
    pub is_organisers: bool,
}

/// The same as another calendar of the person shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherSighting {
    pub feed: FeedId,
    pub said: Said,
    pub is_customer: bool,
    /// That calendar could not be read lately.
    pub is_failing: bool,
}

fn said(row: &Row<'_>, from: usize) -> rusqlite::Result<Said> {
    Ok(Said {
        start: moment(row.get(from)?),
        end: moment(row.get(from + 1)?),
        cancelled: row.get(from + 2)?,
        sequence: row.get(from + 3)?,
        news_at: moment(row.get(from + 4)?),
    })
}

impl Tx<'_> {
    /// What a calendar showed in the window when it was read last, cancelled meetings included.
    pub fn sightings(
        &self,
        feed: FeedId,
        window: (Timestamp, Timestamp),
    ) -> anyhow::Result<HashMap<Identity, Sighting>> {
        let mut statement = self.0.prepare_cached(
            "SELECT sighting.starts_at, sighting.ends_at, is_cancelled, sequence, news_at,
                sighting.uid, sighting.original_start, meeting_id, sighting.is_customer, seal,
                is_busy = 1 OR meeting.is_customer = 1,
                EXISTS (SELECT 1 FROM sighting AS other
                  WHERE other.meeting_id = sighting.meeting_id
                    AND other.feed_id <> sighting.feed_id AND other.is_gone = 0),
                is_organisers
             FROM sighting JOIN meeting ON meeting.id = meeting_id
             WHERE feed_id = ?1 AND is_gone = 0
               AND sighting.ends_at > ?2 AND sighting.starts_at < ?3",
        )?;
        let rows = statement.query_map((feed.0, seconds(window.0), seconds(window.1)), |row| {
            let sighting = Sighting {
                said: said(row, 0)?,
                meeting: row.get(7)?,
                is_customer: row.get(8)?,
                seal: row.get(9)?,
                matters: row.get(10)?,
                is_shared: row.get(11)?,
                is_organisers: row.get(12)?,
            };
            Ok(((row.get(5)?, moment(row.get(6)?)), sighting))
        })?;
        rows.collect::<rusqlite::Result<_>>().context("list what a calendar showed")
    }

    /// What a calendar said last of a meeting, even if that is no longer in it, and which it is.
    pub fn last_said(
        &self,
        feed: FeedId,
        identity: &Identity,
    ) -> anyhow::Result<Option<(Said, i64)>> {
        self.0
            .prepare_cached(
                "SELECT starts_at, ends_at, is_cancelled, sequence, news_at, meeting_id
                 FROM sighting WHERE feed_id = ?1 AND uid = ?2 AND original_start = ?3",
            )?
            .query_row((feed.0, &identity.0, seconds(identity.1)), |row| {
                Ok((said(row, 0)?, row.get(5)?))
            })
            .optional()
            .context("look for what a calendar showed")
    }

    /// What the person's other calendars say of a meeting.
    pub fn other_sightings(
        &self,
        meeting: i64,
        feed: FeedId,
    ) -> anyhow::Result<Vec<OtherSighting>> {
        let mut statement = self.0.prepare_cached(
            "SELECT starts_at, ends_at, is_cancelled, sequence, news_at, feed_id, is_customer,
                failures > 0
             FROM sighting JOIN feed ON feed.id = feed_id
             WHERE meeting_id = ?1 AND feed_id <> ?2 AND is_gone = 0 ORDER BY feed_id",
        )?;
        let rows = statement.query_map((meeting, feed.0), |row| {
            let (feed, is_customer) = (FeedId(row.get(5)?), row.get(6)?);
            let is_failing = row.get(7)?;
            Ok(OtherSighting { feed, said: said(row, 0)?, is_customer, is_failing })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("compare calendars")
    }

    pub fn note_sighting(
        &self,
        feed: FeedId,
        identity: &Identity,
        sighting: &Sighting,
    ) -> anyhow::Result<()> {
        let Sighting { meeting, said, is_customer, seal, is_organisers, .. } = sighting;
        self.0
            .prepare_cached(
                "INSERT INTO sighting (feed_id, uid, original_start, meeting_id, starts_at, ends_at,
                    is_cancelled, sequence, is_customer, news_at, seal, is_organisers)
                 VALUES (:feed, :uid, :original, :meeting, :start, :end, :cancelled, :sequence,
                    :customer, :news, :seal, :organisers)
                 ON CONFLICT (feed_id, uid, original_start) DO UPDATE SET
                    meeting_id = excluded.meeting_id, starts_at = excluded.starts_at,
                    ends_at = excluded.ends_at, is_cancelled = excluded.is_cancelled,
                    sequence = excluded.sequence, is_customer = excluded.is_customer,
                    news_at = excluded.news_at, seal = excluded.seal, is_organisers = excluded.is_organisers,
                    is_gone = 0",
            )?
            .execute(named_params! {
                ":feed": feed.0, ":uid": identity.0, ":original": seconds(identity.1),
                ":meeting": meeting, ":start": seconds(said.start), ":end": seconds(said.end),
                ":cancelled": said.cancelled, ":sequence": said.sequence,
                ":customer": is_customer, ":news": seconds(said.news_at), ":seal": seal,
                ":organisers": is_organisers,
            })
            .context("store what a calendar shows")?;
        Ok(())
    }

    /// Has a person's other calendars say anew what they have in common with this one.
    pub fn look_again_beside(&self, feed: FeedId) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE sighting SET seal = 0
                 WHERE meeting_id IN (SELECT meeting_id FROM sighting WHERE feed_id = ?1)",
            )?
            .execute([feed.0])
            .context("have meetings looked at again")?;
        Ok(())
    }

    /// A calendar shows a meeting no longer. Those that do are looked at again.
    pub fn lose_sighting(&self, feed: FeedId, identity: &Identity) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE sighting SET seal = 0 WHERE meeting_id IN
                   (SELECT meeting_id FROM sighting
                    WHERE feed_id = ?1 AND uid = ?2 AND original_start = ?3)",
            )?
            .execute((feed.0, &identity.0, seconds(identity.1)))
            .context("have a meeting looked at again")?;
        self.0
            .prepare_cached(
                "UPDATE sighting SET is_gone = 1
                 WHERE feed_id = ?1 AND uid = ?2 AND original_start = ?3",
            )?
            .execute((feed.0, &identity.0, seconds(identity.1)))
            .context("note that a calendar lost a meeting")?;
        Ok(())
    }

    /// A customer meeting of the same person that another calendar shows under another uid: the same
    /// account, title and times.
    pub fn twin_of(
        &self,
        rep: PersonId,
        feed: FeedId,
        (account_key, title): (&str, &str),
        (start, end): (Timestamp, Timestamp),
    ) -> anyhow::Result<Option<i64>> {
        self.0
            .prepare_cached(
                "SELECT id FROM meeting
                 WHERE rep_id = :rep AND ends_at = :end AND starts_at = :start
                   AND title = :title AND title <> ''
                   AND (account_key = :account OR EXISTS (SELECT 1 FROM correction
                     WHERE correction.rep_id = meeting.rep_id AND correction.uid = meeting.uid))
                   AND is_customer = 1
                   AND EXISTS (SELECT 1 FROM sighting
                     WHERE meeting_id = id AND feed_id <> :feed AND is_gone = 0)
                   AND NOT EXISTS (SELECT 1 FROM sighting WHERE meeting_id = id AND feed_id = :feed)
                 ORDER BY id LIMIT 1",
            )?
            .query_row(
                named_params! {
                    ":rep": rep.0, ":start": seconds(start), ":end": seconds(end),
                    ":account": account_key, ":title": title, ":feed": feed.0,
                },
                |row| row.get(0),
            )
            .optional()
            .context("look for the same meeting in another calendar")
    }

    /// What the organiser said last of a meeting, whoever's calendar told, and which organiser it is:
    /// meetings of two organisers under one uid are two.
    pub fn organisers_word(&self, identity: &Identity) -> anyhow::Result<Option<(Said, i64)>> {
        self.0
            .prepare_cached(
                "SELECT starts_at, ends_at, is_cancelled, sequence, news_at, organiser
                 FROM gathering WHERE uid = ?1 AND original_start = ?2",
            )?
            .query_row((&identity.0, seconds(identity.1)), |row| Ok((said(row, 0)?, row.get(5)?)))
            .optional()
            .context("read an organiser's last word")
    }

    pub fn note_organisers_word(
        &self,
        identity: &Identity,
        word: &Said,
        organiser: i64,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO gathering (uid, original_start, starts_at, ends_at, is_cancelled,
                    sequence, news_at, organiser)
                 VALUES (:uid, :original, :start, :end, :cancelled, :sequence, :news, :organiser)
                 ON CONFLICT (uid, original_start) DO UPDATE SET
                    starts_at = excluded.starts_at, ends_at = excluded.ends_at,
                    is_cancelled = excluded.is_cancelled, sequence = excluded.sequence,
                    news_at = excluded.news_at",
            )?
            .execute(named_params! {
                ":uid": identity.0, ":original": seconds(identity.1),
                ":start": seconds(word.start), ":end": seconds(word.end),
                ":cancelled": word.cancelled, ":sequence": word.sequence,
                ":news": seconds(word.news_at), ":organiser": organiser,
            })
            .context("store an organiser's last word")?;
        // Whoever else is in the meeting is to hear of it at their calendar's next reading.
        self.0
            .prepare_cached(
                "UPDATE sighting SET seal = 0 WHERE meeting_id IN
                   (SELECT id FROM meeting WHERE uid = ?1 AND original_start = ?2)",
            )?
            .execute((&identity.0, seconds(identity.1)))
            .context("have a meeting looked at again")?;
        Ok(())
    }

    /// When a calendar says that its person is away, in order.
    pub fn absences(&self, feed: FeedId) -> anyhow::Result<Vec<(Timestamp, Timestamp)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT starts_at, ends_at FROM absence WHERE feed_id = ?1 ORDER BY starts_at, ends_at",
        )?;
        let rows =
            statement.query_map([feed.0], |row| Ok((moment(row.get(0)?), moment(row.get(1)?))))?;
        rows.collect::<rusqlite::Result<_>>().context("read absences")
    }

    /// When a calendar says that its person is away: exactly these times, from now on.
    pub fn note_absences(
        &self,
        feed: FeedId,
        times: &[(Timestamp, Timestamp)],
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached("DELETE FROM absence WHERE feed_id = ?1")?
            .execute([feed.0])
            .context("forget absences")?;
        let mut statement = self.0.prepare_cached(
            "INSERT INTO absence (feed_id, starts_at, ends_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?;
        for (start, end) in times {
            statement
                .execute((feed.0, seconds(*start), seconds(*end)))
                .context("store an absence")?;
        }
        Ok(())
    }

    /// Until when somebody is away who is away now; absences that touch are one.
    pub fn absent_until(
        &self,
        person: PersonId,
        now: Timestamp,
    ) -> anyhow::Result<Option<Timestamp>> {
        let mut statement = self.0.prepare_cached(
            "SELECT absence.starts_at, absence.ends_at FROM feed JOIN absence ON feed_id = feed.id
             WHERE person_id = ?1 AND absence.ends_at > ?2 ORDER BY absence.starts_at",
        )?;
        let times: Vec<(i64, i64)> = statement
            .query_map((person.0, seconds(now)), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()
            .context("read absences")?;
        let end =
            times.into_iter().fold(
                seconds(now),
                |end, (from, until)| {
                    if from <= end { end.max(until) } else { end }
                },
            );
        Ok((end > seconds(now)).then(|| moment(end)))
    }

    /// When a calendar that shows a debrief's meeting was last read; `None` if no calendar does.
    pub fn seen_at(&self, debrief: DebriefId) -> anyhow::Result<Option<Timestamp>> {
        let seen: Option<i64> = self
            .0
            .prepare_cached(
                "SELECT max(coalesce(good_at, 0))
                 FROM debrief JOIN sighting ON sighting.meeting_id = debrief.meeting_id
                    JOIN feed ON feed.id = feed_id
                 WHERE debrief.id = ?1 AND is_gone = 0",
            )?
            .query_row([debrief.0], |row| row.get(0))
            .context("read how fresh a meeting is")?;
        Ok(seen.map(moment))
    }
}
