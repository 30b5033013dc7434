//! What must become visible in the messenger, exactly once.
//!
//! `queued → sending → sent | failed | dropped`, and `uncertain` where Slack fell silent after we
//! wrote: such a row is looked up in the conversation before it is sent again. A row in `sending`
//! at start-up belongs to a process that died, so it is uncertain too.

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{Row, named_params};

use super::{Tx, moment, seconds};
use crate::domain::debrief::MessageRef;
use crate::domain::person::PersonId;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutKind {
    /// The question about a debrief.
    Prompt,
    /// The one reminder.
    Reminder,
    /// Brings a prompt or reminder up to date.
    Refresh,
    Digest,
    /// A line to somebody; the text is in the row.
    Note,
    Home,
}

impl OutKind {
    const ALL: [Self; 6] =
        [Self::Prompt, Self::Reminder, Self::Refresh, Self::Digest, Self::Note, Self::Home];

    fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Reminder => "reminder",
            Self::Refresh => "refresh",
            Self::Digest => "digest",
            Self::Note => "note",
            Self::Home => "home",
        }
    }

    /// Whether sending twice would be seen: such rows need a look before any second try.
    pub fn is_post(self) -> bool {
        !matches!(self, Self::Refresh | Self::Home)
    }
}

/// A claimed row.
#[derive(Debug, Clone)]
pub struct OutRow {
    pub id: i64,
    pub delivery_key: String,
    pub kind: OutKind,
    pub subject: i64,
    pub seq: String,
    pub person: PersonId,
    pub body: String,
    pub created_at: Timestamp,
    pub first_started_at: Timestamp,
    /// Its fate is unknown: look before sending.
    pub uncertain: bool,
    pub attempts: u32,
    pub at: Option<MessageRef>,
}

/// How the queue is doing.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutboxHealth {
    pub queued: u64,
    pub uncertain: u64,
    pub failed: u64,
}

impl Tx<'_> {
    /// Queues something once: the same kind, subject and seq again changes nothing.
    pub fn enqueue(
        &self,
        kind: OutKind,
        subject: i64,
        seq: &str,
        person: PersonId,
        body: &str,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO outbox (delivery_key, kind, subject, seq, person_id, body, state,
                    created_at, not_before)
                 SELECT key || '-' || :kind || '-' || :subject || '-' || :seq, :kind, :subject,
                    :seq, :person, :body, 'queued', :now, :now
                 FROM installation
                 WHERE true
                 ON CONFLICT DO NOTHING",
            )?
            .execute(named_params! {
                ":kind": kind.as_str(), ":subject": subject, ":seq": seq, ":person": person.0,
                ":body": body, ":now": seconds(now),
            })
            .context("queue a message")?;
        Ok(())
    }

    /// Queues an update that may be repeated; one row serves all of them.
    pub fn enqueue_again(
        &self,
        kind: OutKind,
        subject: i64,
        seq: &str,
        person: PersonId,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.enqueue(kind, subject, seq, person, "", now)?;
        self.0
            .prepare_cached(
                "UPDATE outbox SET state = 'queued', not_before = ?4, attempts = 0, created_at = ?4
                 WHERE kind = ?1 AND subject = ?2 AND seq = ?3
                   AND state NOT IN ('queued', 'uncertain')",
            )?
            .execute((kind.as_str(), subject, seq, seconds(now)))
            .context("queue an update")?;
        Ok(())
    }

    /// Claims what is due: people waiting for an update first, digests last.
    pub fn claim_due(&self, now: Timestamp, most: u32) -> anyhow::Result<Vec<OutRow>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, delivery_key, kind, subject, seq, person_id, body, created_at,
                first_started_at, state, attempts, channel, ts
             FROM outbox
             WHERE state IN ('queued', 'uncertain') AND not_before <= ?1
             ORDER BY CASE kind WHEN 'refresh' THEN 0 WHEN 'note' THEN 0 WHEN 'prompt' THEN 1
                WHEN 'reminder' THEN 2 WHEN 'home' THEN 3 ELSE 4 END, not_before, id
             LIMIT ?2",
        )?;
        let rows = statement.query_map((seconds(now), most), |row| row_from(row, now))?;
        let rows: Vec<OutRow> = rows.collect::<rusqlite::Result<_>>().context("claim messages")?;
        let mut claim = self.0.prepare_cached(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1,
                first_started_at = coalesce(first_started_at, ?2)
             WHERE id = ?1",
        )?;
        for row in &rows {
            claim.execute((row.id, seconds(now))).context("claim a message")?;
        }
        Ok(rows)
    }

    /// When a row is to be sent next.
    pub fn next_delivery_at(&self) -> anyhow::Result<Option<Timestamp>> {
        let next: Option<i64> = self
            .0
            .prepare_cached(
                "SELECT min(not_before) FROM outbox WHERE state IN ('queued', 'uncertain')",
            )?
            .query_row([], |row| row.get(0))
            .context("find the next message")?;
        Ok(next.map(moment))
    }

    /// Rows that a dead process was sending: nobody knows their fate.
    pub fn doubt_orphans(&self, now: Timestamp) -> anyhow::Result<usize> {
        self.0
            .execute(
                "UPDATE outbox SET state = 'uncertain', not_before = ?1 WHERE state = 'sending'",
                [seconds(now)],
            )
            .context("find orphaned messages")
    }

    /// A bug on purpose: what a dead process was sending counts as not sent.
    #[cfg(feature = "seeded-bugs")]
    pub fn trust_orphans(&self, now: Timestamp) -> anyhow::Result<()> {
        self.0.execute(
            "UPDATE outbox SET state = 'queued', not_before = ?1 WHERE state = 'sending'",
            [seconds(now)],
        )?;
        Ok(())
    }

    /// It is visible. A row that was queued again meanwhile stays queued.
    pub fn was_sent(&self, id: i64, at: Option<&MessageRef>) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE outbox SET state = CASE WHEN state = 'queued' THEN state ELSE 'sent' END,
                    channel = coalesce(?2, channel), ts = coalesce(?3, ts), problem = NULL
                 WHERE id = ?1",
            )?
            .execute((id, at.map(|at| &at.channel), at.map(|at| &at.ts)))
            .context("record a sent message")?;
        Ok(())
    }

    /// It was certainly not sent; try again then.
    pub fn send_later(&self, id: i64, at: Timestamp) -> anyhow::Result<()> {
        self.finish(id, "queued", Some(at), None)?;
        self.0
            .prepare_cached(
                "UPDATE outbox SET first_started_at = NULL WHERE id = ?1 AND state = 'queued'",
            )?
            .execute([id])
            .context("forget a try")?;
        Ok(())
    }

    /// It never arrived and is about to be sent once more.
    pub fn begin_again(&self, id: i64, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE outbox SET first_started_at = ?2 WHERE id = ?1 AND state = 'sending'",
            )?
            .execute((id, seconds(now)))
            .context("send a message again")?;
        Ok(())
    }

    /// Nobody knows whether it was sent; look then.
    pub fn doubt(&self, id: i64, at: Timestamp) -> anyhow::Result<()> {
        self.finish(id, "uncertain", Some(at), None)
    }

    /// It will never be sent.
    pub fn give_up(&self, id: i64, code: &str) -> anyhow::Result<()> {
        self.finish(id, "failed", None, Some(code))
    }

    /// It is no longer wanted.
    pub fn drop_message(&self, id: i64) -> anyhow::Result<()> {
        self.finish(id, "dropped", None, None)
    }

    /// A click proves that an uncertain post exists: adopts where it stands.
    pub fn adopt(
        &self,
        kind: OutKind,
        subject: i64,
        message: &MessageRef,
    ) -> anyhow::Result<Option<i64>> {
        let mut statement = self.0.prepare_cached(
            "UPDATE outbox SET state = 'sent', channel = ?3, ts = ?4
             WHERE kind = ?1 AND subject = ?2 AND state IN ('uncertain', 'sending') AND ts IS NULL
             RETURNING id",
        )?;
        let mut rows = statement
            .query_map((kind.as_str(), subject, &message.channel, &message.ts), |row| row.get(0))?;
        rows.next().transpose().context("adopt a message")
    }

    /// Where messages about a subject stand, newest last: (seq, place).
    pub fn standing_at(
        &self,
        kind: OutKind,
        subject: i64,
    ) -> anyhow::Result<Vec<(String, MessageRef)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT seq, channel, ts FROM outbox
             WHERE kind = ?1 AND subject = ?2 AND ts IS NOT NULL ORDER BY id",
        )?;
        let rows = statement.query_map((kind.as_str(), subject), |row| {
            Ok((row.get(0)?, MessageRef { channel: row.get(1)?, ts: row.get(2)? }))
        })?;
        rows.collect::<rusqlite::Result<_>>().context("find messages")
    }

    pub fn outbox_health(&self) -> anyhow::Result<OutboxHealth> {
        self.0
            .prepare_cached(
                "SELECT coalesce(sum(state IN ('queued', 'sending')), 0),
                    coalesce(sum(state = 'uncertain'), 0),
                    (SELECT count(*) FROM outbox WHERE state = 'failed')
                 FROM outbox WHERE state IN ('queued', 'sending', 'uncertain')",
            )?
            .query_row([], |row| {
                Ok(OutboxHealth {
                    queued: row.get(0)?,
                    uncertain: row.get(1)?,
                    failed: row.get(2)?,
                })
            })
            .context("count messages")
    }

    fn finish(
        &self,
        id: i64,
        state: &str,
        not_before: Option<Timestamp>,
        problem: Option<&str>,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE outbox SET state = ?2, not_before = coalesce(?3, not_before), problem = ?4
                 WHERE id = ?1 AND state = 'sending'",
            )?
            .execute((id, state, not_before.map(seconds), problem))
            .context("record a message's fate")?;
        Ok(())
    }
}

fn row_from(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<OutRow> {
    let kind: String = row.get("kind")?;
    let state: String = row.get("state")?;
    let channel: Option<String> = row.get("channel")?;
    let ts: Option<String> = row.get("ts")?;
    Ok(OutRow {
        id: row.get("id")?,
        delivery_key: row.get("delivery_key")?,
        kind: OutKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            .unwrap_or(OutKind::Note),
        subject: row.get("subject")?,
        seq: row.get("seq")?,
        person: PersonId(row.get("person_id")?),
        body: row.get("body")?,
        created_at: moment(row.get("created_at")?),
        first_started_at: row.get::<_, Option<i64>>("first_started_at")?.map_or(now, moment),
        uncertain: state == "uncertain",
        attempts: row.get("attempts")?,
        at: channel.zip(ts).map(|(channel, ts)| MessageRef { channel, ts }),
    })
}
