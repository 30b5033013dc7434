//! Answers: the current text of each slot, and what it said before.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::{Tx, moment, seconds};
use crate::domain::debrief::{DebriefId, MessageRef};
use crate::domain::person::PersonId;

/// A place in a debrief that one answer fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// How it ended: an outcome.
    Ended,
    /// The one text.
    Reflect,
    /// When the rule applies: the id of a cue.
    Cue,
    /// What the rep will do then.
    Action,
    /// The tap that takes turns: the id of an option; the question says which tap.
    Tap,
    /// The tap that belongs to a set: where it turned.
    Turn,
}

impl Slot {
    const ALL: [Self; 6] =
        [Self::Ended, Self::Reflect, Self::Cue, Self::Action, Self::Tap, Self::Turn];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Reflect => "reflect",
            Self::Cue => "cue",
            Self::Action => "action",
            Self::Tap => "tap",
            Self::Turn => "turn",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.as_str() == text)
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Reflect | Self::Action)
    }
}

/// What stands in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Under which question it was given.
    pub question: String,
    pub body: String,
}

/// What stands in a slot now.
struct Standing {
    id: i64,
    version: i64,
    slot: Slot,
    answer: Answer,
}

/// The answers of one debrief.
pub type Answers = BTreeMap<Slot, Answer>;

/// Text that somebody wrote without saying which meeting it is about.
#[derive(Debug, Clone)]
pub struct PendingText {
    pub id: i64,
    pub person: PersonId,
    pub body: String,
    pub claimed_by: Option<DebriefId>,
}

impl Tx<'_> {
    /// Fills a slot, as [`Tx::write_answers`] does.
    pub fn write_answer(
        &self,
        debrief: DebriefId,
        rep: PersonId,
        slot: Slot,
        answer: &Answer,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.write_answers(debrief, rep, &[(slot, &answer.question, &answer.body)], now)
    }

    /// Fills slots, each with what was answered to which question; what stood there before is kept
    /// as a version. No words empty a slot.
    pub fn write_answers(
        &self,
        debrief: DebriefId,
        rep: PersonId,
        answers: &[(Slot, &str, &str)],
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let standing = self.standing_answers(debrief)?;
        for &(slot, question, body) in answers {
            match standing.iter().find(|standing| standing.slot == slot) {
                None if body.is_empty() => {}
                None => self.insert_answer(debrief, rep, slot, (question, body), now)?,
                Some(standing) if standing.answer.body == body => {
                    if standing.answer.question != question && !body.is_empty() {
                        self.change_answer(standing, (question, body), now)?;
                    }
                }
                Some(standing) => self.change_answer(standing, (question, body), now)?,
            }
        }
        Ok(())
    }

    fn standing_answers(&self, debrief: DebriefId) -> anyhow::Result<Vec<Standing>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, version, slot, question, body FROM answer WHERE debrief_id = ?1",
        )?;
        let mut rows = statement.query([debrief.0])?;
        let mut standing = Vec::new();
        while let Some(row) = rows.next().context("read the current answers")? {
            let Some(slot) = Slot::parse(row.get_ref(2)?.as_str()?) else {
                continue;
            };
            let answer = Answer { question: row.get(3)?, body: row.get(4)? };
            standing.push(Standing { id: row.get(0)?, version: row.get(1)?, slot, answer });
        }
        Ok(standing)
    }

    fn change_answer(
        &self,
        standing: &Standing,
        (question, body): (&str, &str),
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO answer_version (answer_id, version, question, body, written_at)
                 SELECT id, version, question, body, written_at FROM answer WHERE id = ?1",
            )?
            .execute([standing.id])
            .context("keep an earlier version")?;
        self.0
            .prepare_cached(
                "UPDATE answer SET question = ?2, body = ?3, version = ?4, written_at = ?5,
                    is_unindexed = is_text
                 WHERE id = ?1",
            )?
            .execute((standing.id, question, body, standing.version + 1, seconds(now)))
            .context("change an answer")?;
        Ok(())
    }

    fn insert_answer(
        &self,
        debrief: DebriefId,
        rep: PersonId,
        slot: Slot,
        (question, body): (&str, &str),
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO answer (debrief_id, rep_id, slot, question, body, is_text, version,
                    written_at, is_unindexed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?6)",
            )?
            .execute((
                debrief.0,
                rep.0,
                slot.as_str(),
                question,
                body,
                slot.is_text(),
                seconds(now),
            ))
            .context("store an answer")?;
        Ok(())
    }

    /// The current answers of a debrief; emptied ones are left out.
    pub fn answers(&self, debrief: DebriefId) -> anyhow::Result<Answers> {
        let mut statement = self.0.prepare_cached(
            "SELECT slot, question, body FROM answer WHERE debrief_id = ?1 AND body <> ''",
        )?;
        let rows = statement.query_map([debrief.0], |row| {
            let slot = Slot::parse(row.get_ref(0)?.as_str()?);
            Ok((slot, Answer { question: row.get(1)?, body: row.get(2)? }))
        })?;
        let mut answers = Answers::new();
        for row in rows {
            let (slot, answer) = row.context("read answers")?;
            if let Some(slot) = slot {
                answers.insert(slot, answer);
            }
        }
        Ok(answers)
    }

    /// How many versions a slot has had, the current one included.
    pub fn versions(&self, debrief: DebriefId, slot: Slot) -> anyhow::Result<Vec<String>> {
        let mut statement = self.0.prepare_cached(
            "SELECT body FROM (
                SELECT answer_version.version, answer_version.body FROM answer_version
                JOIN answer ON answer.id = answer_id WHERE debrief_id = ?1 AND slot = ?2
                UNION ALL
                SELECT version, body FROM answer WHERE debrief_id = ?1 AND slot = ?2)
             ORDER BY version",
        )?;
        let rows = statement.query_map((debrief.0, slot.as_str()), |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>().context("read versions")
    }

    /// Keeps text whose meeting is not known yet.
    pub fn keep_text(
        &self,
        person: PersonId,
        body: &str,
        message: &MessageRef,
        now: Timestamp,
    ) -> anyhow::Result<i64> {
        self.0
            .prepare_cached(
                "INSERT INTO pending_text (id, person_id, body, channel, ts, written_at)
                 SELECT 1 + max(id_floor, coalesce((SELECT max(id) FROM pending_text), 0)), ?1, ?2,
                    ?3, ?4, ?5
                 FROM installation RETURNING id",
            )?
            .query_row((person.0, body, &message.channel, &message.ts, seconds(now)), |row| {
                row.get(0)
            })
            .context("keep a text")
    }

    /// Remembers which debrief a text message answered, so that editing the message edits it.
    pub fn text_belongs_to(
        &self,
        person: PersonId,
        body: &str,
        message: &MessageRef,
        debrief: DebriefId,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let id = self.keep_text(person, body, message, now)?;
        self.claim_text(id, debrief)
    }

    pub fn claim_text(&self, id: i64, debrief: DebriefId) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE pending_text SET claimed_by = ?2 WHERE id = ?1")?
            .execute((id, debrief.0))
            .context("claim a text")?;
        Ok(())
    }

    /// The author corrected the message before it was placed, or after.
    pub fn rewrite_text(&self, id: i64, body: &str) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE pending_text SET body = ?2 WHERE id = ?1")?
            .execute((id, body))
            .context("correct a kept text")?;
        Ok(())
    }

    pub fn pending_text(&self, id: i64) -> anyhow::Result<Option<PendingText>> {
        self.texts("WHERE id = ?1", [id])
    }

    /// The kept text that stands at `message`.
    pub fn text_at(&self, message: &MessageRef) -> anyhow::Result<Option<PendingText>> {
        self.texts("WHERE channel = ?1 AND ts = ?2", (&message.channel, &message.ts))
    }

    pub fn discard_text(&self, id: i64) -> anyhow::Result<()> {
        self.0
            .prepare_cached("DELETE FROM pending_text WHERE id = ?1 AND claimed_by IS NULL")?
            .execute([id])
            .context("discard a text")?;
        Ok(())
    }

    /// The oldest text of a person that they were not asked about yet.
    pub fn text_to_ask_about(&self, person: PersonId, seq: &str) -> anyhow::Result<Option<i64>> {
        self.0
            .prepare_cached(
                "SELECT id FROM pending_text
                 WHERE person_id = ?1 AND claimed_by IS NULL
                   AND NOT EXISTS (SELECT 1 FROM outbox
                     WHERE kind = 'note' AND subject = pending_text.id AND seq = ?2)
                 ORDER BY id LIMIT 1",
            )?
            .query_row((person.0, seq), |row| row.get(0))
            .optional()
            .context("find a text to ask about")
    }

    /// Whether a person was asked about a text since then and has not said yet.
    pub fn is_being_asked(
        &self,
        person: PersonId,
        seq: &str,
        since: Timestamp,
    ) -> anyhow::Result<bool> {
        self.0
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM pending_text
                   JOIN outbox ON kind = 'note' AND subject = pending_text.id AND seq = ?2
                   WHERE pending_text.person_id = ?1 AND claimed_by IS NULL AND created_at > ?3
                     AND state IN ('queued', 'sending', 'uncertain', 'sent'))",
            )?
            .query_row((person.0, seq, seconds(since)), |row| row.get(0))
            .context("look for an open question about a text")
    }

    /// When a person last wrote something that we could not place.
    pub fn last_note_at(&self, person: PersonId) -> anyhow::Result<Option<Timestamp>> {
        let at: Option<i64> = self
            .0
            .prepare_cached(
                "SELECT max(created_at) FROM outbox WHERE person_id = ?1 AND kind = 'note'",
            )?
            .query_row([person.0], |row| row.get(0))
            .context("find the last note")?;
        Ok(at.map(moment))
    }

    fn texts(
        &self,
        rest: &str,
        parameters: impl rusqlite::Params,
    ) -> anyhow::Result<Option<PendingText>> {
        self.0
            .prepare_cached(&format!(
                "SELECT id, person_id, body, claimed_by FROM pending_text {rest}"
            ))?
            .query_row(parameters, |row| {
                Ok(PendingText {
                    id: row.get(0)?,
                    person: PersonId(row.get(1)?),
                    body: row.get(2)?,
                    claimed_by: row.get::<_, Option<i64>>(3)?.map(DebriefId),
                })
            })
            .optional()
            .context("read a kept text")
    }
}
