//! What must become visible in the messenger, exactly once.
//!
//! `queued → sending → sent | failed | dropped`, and `uncertain` where Slack fell silent after we
//! wrote: such a row is looked up in the conversation before it is sent again. A row in `sending`
//! at start-up belongs to a process that died, so it is uncertain too.
//!
//! A row's *lane* says who goes first; a [`Queue`] is the lanes that wait for the same thing, so
//! that what Slack makes wait holds up nothing else. Every claim is a walk down one index.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, named_params};

use super::{Tx, moment, seconds};
use crate::domain::debrief::{DebriefId, MessageRef};
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

    fn lane(self) -> i64 {
        match self {
            Self::Note => FIRST,
            Self::Prompt => 1,
            Self::Reminder => 2,
            Self::Digest => DIGESTS,
            Self::Refresh => EDITS,
            Self::Home => HOMES,
        }
    }
}

/// Somebody has just done something and looks at the screen.
const FIRST: i64 = 0;
const DIGESTS: i64 = 3;
const EDITS: i64 = 10;
const HOMES: i64 = 20;
const ASIDE: i64 = 30;
/// A digest that questions kept waiting this long goes first, so that it is there within six hours.
const DIGESTS_WAIT: SignedDuration = SignedDuration::from_hours(5);

/// Rows that wait for the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// New messages: answers to somebody, questions as they fell due, reminders, digests.
    Posts,
    /// Messages that are to look different.
    Edits,
    Homes,
    /// Posts that need another call first: a look, or a conversation that is not open yet.
    Aside,
}

impl Queue {
    pub const ALL: [Self; 4] = [Self::Posts, Self::Edits, Self::Homes, Self::Aside];

    fn lanes(self) -> &'static [i64] {
        match self {
            Self::Posts => &[FIRST, 1, 2, DIGESTS],
            Self::Edits => &[EDITS],
            Self::Homes => &[HOMES],
            Self::Aside => &[ASIDE],
        }
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
    /// When it was first tried: it cannot stand there from before.
    pub first_started_at: Timestamp,
    /// When its fate became unknown, the last time: it may still arrive for a while after that.
    pub doubted_at: Option<Timestamp>,
    /// Its fate is unknown: look before sending.
    pub uncertain: bool,
    pub attempts: u32,
    pub at: Option<MessageRef>,
}

/// Where somebody sees a debrief.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// In front of its question.
    pub prompt: bool,
    /// In front of these reminders, by seq.
    pub reminders: Vec<String>,
    /// On the rep's Home tab.
    pub home: bool,
}

/// Messages given up for one reason.
#[derive(Debug, Clone)]
pub struct GivenUp {
    /// Slack's code, or ours.
    pub code: String,
    pub count: u64,
    pub first_at: Timestamp,
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
        self.put("ON CONFLICT DO NOTHING", (kind, subject, seq), person, body, now)
    }

    /// `otherwise` says what happens to a row that is there already.
    fn put(
        &self,
        otherwise: &str,
        (kind, subject, seq): (OutKind, i64, &str),
        person: PersonId,
        body: &str,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(&format!(
                "INSERT INTO outbox (delivery_key, kind, subject, seq, person_id, body, state,
                    created_at, not_before, lane)
                 VALUES ((SELECT key FROM installation) || '-' || :kind || '-' || :subject || '-'
                    || :seq, :kind, :subject, :seq, :person, :body, 'queued', :now, :now, :lane)
                 {otherwise}"
            ))?
            .execute(named_params! {
                ":kind": kind.as_str(), ":subject": subject, ":seq": seq, ":person": person.0,
                ":body": body, ":now": seconds(now), ":lane": kind.lane(),
            })
            .context("queue a message")?;
        Ok(())
    }

    /// Somebody asked for this one just now: it goes before what only fell due.
    pub fn send_first(&self, kind: OutKind, subject: i64, seq: &str) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE outbox SET lane = ?4
                 WHERE kind = ?1 AND subject = ?2 AND seq = ?3 AND state = 'queued'",
            )?
            .execute((kind.as_str(), subject, seq, FIRST))
            .context("hurry a message")?;
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
        self.put(
            "ON CONFLICT DO UPDATE SET state = 'queued', not_before = :now, attempts = 0,
                created_at = :now
             WHERE state NOT IN ('queued', 'uncertain')",
            (kind, subject, seq),
            person,
            "",
            now,
        )
    }

    /// Claims up to `most` rows of a queue that are due, in the order in which they go.
    pub fn claim_due(
        &self,
        queue: Queue,
        now: Timestamp,
        most: usize,
    ) -> anyhow::Result<Vec<OutRow>> {
        let mut select = self.0.prepare_cached(
            "SELECT id, delivery_key, kind, subject, seq, person_id, body, created_at,
                first_started_at, doubted_at, state, attempts, channel, ts
             FROM outbox
             WHERE state IN ('queued', 'uncertain') AND lane = ?1 AND not_before <= ?2
             ORDER BY not_before, id
             LIMIT ?3",
        )?;
        if queue == Queue::Posts {
            self.hurry_old_digests(now)?;
        }
        let mut rows: Vec<OutRow> = Vec::new();
        for lane in queue.lanes() {
            let left = most - rows.len();
            let found = select.query_map((lane, seconds(now), left), |row| row_from(row, now))?;
            for row in found {
                rows.push(row.context("claim messages")?);
            }
        }
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

    fn hurry_old_digests(&self, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE outbox SET lane = ?3
                 WHERE state IN ('queued', 'uncertain') AND lane = ?1 AND not_before <= ?2",
            )?
            .execute((DIGESTS, seconds(now - DIGESTS_WAIT), FIRST))
            .context("hurry old digests")?;
        Ok(())
    }

    /// When a row of a queue is to be sent next.
    pub fn next_delivery_at(&self, queue: Queue) -> anyhow::Result<Option<Timestamp>> {
        let mut select = self.0.prepare_cached(
            "SELECT min(not_before) FROM outbox
             WHERE state IN ('queued', 'uncertain') AND lane = ?1",
        )?;
        let mut next: Option<i64> = None;
        for lane in queue.lanes() {
            let at: Option<i64> =
                select.query_row([lane], |row| row.get(0)).context("find the next message")?;
            next = next.into_iter().chain(at).min();
        }
        Ok(next.map(moment))
    }

    /// Rows that a dead process was sending: nobody knows their fate. What it wrote last may still
    /// be on its way.
    pub fn doubt_orphans(&self, now: Timestamp) -> anyhow::Result<usize> {
        self.0
            .execute(
                "UPDATE outbox SET state = 'uncertain', not_before = ?1, doubted_at = ?1,
                    lane = CASE WHEN kind IN ('refresh', 'home') THEN lane ELSE ?2 END
                 WHERE state = 'sending'",
                (seconds(now), ASIDE),
            )
            .context("find orphaned messages")
    }

    /// Everything that waits in a backup may have been sent since it was made; nobody knows when.
    pub fn doubt_all(&self, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .execute(
                "UPDATE outbox SET state = 'uncertain', lane = ?2, doubted_at = ?1,
                    first_started_at = coalesce(first_started_at, created_at)
                 WHERE state IN ('queued', 'sending', 'uncertain')
                   AND kind NOT IN ('refresh', 'home')",
                (seconds(now), ASIDE),
            )
            .context("doubt what was waiting")?;
        Ok(())
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
                 WHERE id = ?1 AND state <> 'dropped'",
            )?
            .execute((id, at.map(|at| &at.channel), at.map(|at| &at.ts)))
            .context("record a sent message")?;
        Ok(())
    }

    /// It was certainly not sent; try again then.
    pub fn send_later(&self, id: i64, at: Timestamp) -> anyhow::Result<()> {
        self.finish(id, "queued", Some(at), None)
    }

    /// It was not tried: it keeps its place, and the attempt does not count.
    pub fn put_back(&self, row: &OutRow) -> anyhow::Result<()> {
        let state = if row.uncertain { "uncertain" } else { "queued" };
        self.0
            .prepare_cached(
                "UPDATE outbox SET state = ?2, attempts = ?3
                 WHERE id = ?1 AND state = 'sending'",
            )?
            .execute((row.id, state, row.attempts))
            .context("put a message back")?;
        Ok(())
    }

    /// It needs another call first, so it must not hold up those that do not.
    pub fn set_aside(&self, row: &OutRow) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE outbox SET lane = ?2 WHERE id = ?1")?
            .execute((row.id, ASIDE))
            .context("set a message aside")?;
        self.put_back(row)
    }

    /// Nobody knows whether it was sent since `doubted_at`; look then. `problem` is why a look was
    /// refused.
    pub fn doubt(
        &self,
        id: i64,
        doubted_at: Timestamp,
        look_at: Timestamp,
        problem: Option<&str>,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE outbox SET lane = ?2, doubted_at = ?3 WHERE id = ?1 AND state = 'sending'",
            )?
            .execute((id, ASIDE, seconds(doubted_at)))
            .context("doubt a message")?;
        self.finish(id, "uncertain", Some(look_at), problem)
    }

    /// It will never be sent.
    pub fn give_up(&self, id: i64, code: &str, now: Timestamp) -> anyhow::Result<()> {
        self.finish(id, "failed", Some(now), Some(code))
    }

    /// It is no longer wanted.
    pub fn drop_message(&self, id: i64) -> anyhow::Result<()> {
        self.finish(id, "dropped", None, None)
    }

    /// Why messages were given up since then, the most frequent reason first.
    pub fn given_up_since(&self, since: Timestamp) -> anyhow::Result<Vec<GivenUp>> {
        let mut statement = self.0.prepare_cached(
            "SELECT coalesce(problem, 'unknown'), count(*), min(not_before) FROM outbox
             WHERE state = 'failed' AND not_before > ?1 GROUP BY 1 ORDER BY 2 DESC, 1",
        )?;
        let rows = statement.query_map([seconds(since)], |row| {
            Ok(GivenUp { code: row.get(0)?, count: row.get(1)?, first_at: moment(row.get(2)?) })
        })?;
        rows.collect::<rusqlite::Result<_>>().context("count messages given up")
    }

    /// Whether there is such a row, whatever became of it.
    pub fn was_queued(&self, kind: OutKind, subject: i64, seq: &str) -> anyhow::Result<bool> {
        self.0
            .prepare_cached("SELECT 1 FROM outbox WHERE kind = ?1 AND subject = ?2 AND seq = ?3")?
            .exists((kind.as_str(), subject, seq))
            .context("look for a message")
    }

    /// Messages whose fate cannot be found out, and since when the oldest of them waits.
    pub fn unknowable(&self) -> anyhow::Result<Option<(u64, Timestamp)>> {
        let (count, since): (u64, Option<i64>) = self
            .0
            .prepare_cached(
                "SELECT count(*), min(doubted_at) FROM outbox
                 WHERE state = 'uncertain' AND problem IS NOT NULL",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .context("count messages of unknown fate")?;
        Ok(since.map(|since| (count, moment(since))))
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

    /// Where a debrief is to be seen.
    pub fn shown(&self, debrief: DebriefId, rep: PersonId) -> anyhow::Result<Shown> {
        let mut statement = self.0.prepare_cached(
            "SELECT 'home', '' FROM person WHERE id = ?2 AND has_home = 1
             UNION ALL
             SELECT kind, seq FROM outbox
             WHERE kind IN ('prompt', 'reminder') AND subject = ?1 AND ts IS NOT NULL",
        )?;
        let mut rows = statement.query((debrief.0, rep.0))?;
        let mut shown = Shown::default();
        while let Some(row) = rows.next().context("find where a debrief is shown")? {
            match row.get_ref(0)?.as_str()? {
                "home" => shown.home = true,
                "prompt" => shown.prompt = true,
                _ => shown.reminders.push(row.get(1)?),
            }
        }
        Ok(shown)
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
        // One count an index; together they would be a walk over everything ever sent.
        self.0
            .prepare_cached(
                "SELECT
                    (SELECT count(*) FROM outbox WHERE state = 'sending'),
                    (SELECT count(*) FROM outbox
                     WHERE state IN ('queued', 'uncertain') AND state = 'queued'),
                    (SELECT count(*) FROM outbox
                     WHERE state IN ('queued', 'uncertain') AND state = 'uncertain'),
                    (SELECT count(*) FROM outbox WHERE state = 'failed')",
            )?
            .query_row([], |row| {
                Ok(OutboxHealth {
                    queued: row.get::<_, u64>(0)? + row.get::<_, u64>(1)?,
                    uncertain: row.get(2)?,
                    failed: row.get(3)?,
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
    let kind: String = row.get(2)?;
    let state: String = row.get(10)?;
    let channel: Option<String> = row.get(12)?;
    let ts: Option<String> = row.get(13)?;
    Ok(OutRow {
        id: row.get(0)?,
        delivery_key: row.get(1)?,
        kind: OutKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            .unwrap_or(OutKind::Note),
        subject: row.get(3)?,
        seq: row.get(4)?,
        person: PersonId(row.get(5)?),
        body: row.get(6)?,
        created_at: moment(row.get(7)?),
        first_started_at: row.get::<_, Option<i64>>(8)?.map_or(now, moment),
        doubted_at: row.get::<_, Option<i64>>(9)?.map(moment),
        uncertain: state == "uncertain",
        attempts: row.get(11)?,
        at: channel.zip(ts).map(|(channel, ts)| MessageRef { channel, ts }),
    })
}
