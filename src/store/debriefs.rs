//! Debriefs: planning, asking, waiting, closing.

use std::collections::HashMap;

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};

use super::{Tx, moment, seconds};
use crate::domain::debrief::{DebriefId, MessageRef, Outcome, State, Worth};
use crate::domain::meeting::Kind;
use crate::domain::person::PersonId;
use crate::domain::privacy::Lock;
use crate::domain::roster::ChatId;

/// A debrief with the meeting it is about.
#[derive(Debug, Clone)]
pub struct Debrief {
    pub id: DebriefId,
    pub rep: PersonId,
    pub state: State,
    pub due_at: Timestamp,
    /// How often it was asked about; a moved meeting is asked about again.
    pub asks: i64,
    pub asked_at: Option<Timestamp>,
    pub remind_at: Option<Timestamp>,
    pub answered_at: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    pub next_step_on: Option<Date>,
    pub rough: bool,
    pub locked: bool,
    pub message: Option<MessageRef>,
    pub revision: i64,
    pub uid: String,
    pub title: String,
    pub start: Timestamp,
    pub end: Timestamp,
    pub kind: Kind,
    pub account_key: String,
    pub account: String,
    pub guests: Vec<String>,
}

/// As [`debrief_from`] reads them, by number: names would be compared one by one, for every row.
const DEBRIEF: &str = "SELECT debrief.id, debrief.rep_id, state, due_at, asks, asked_at, remind_at,
    answered_at, outcome, next_step_on, is_rough, is_locked, channel, ts, revision, uid, title,
    starts_at, ends_at, kind, account_key, account_name, guests
    FROM debrief JOIN meeting ON meeting.id = meeting_id ";

impl Tx<'_> {
    /// Plans a debrief of `meeting`, or brings a withdrawn plan back.
    pub fn plan(&self, meeting: i64, rep: PersonId, due_at: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "INSERT INTO debrief (id, meeting_id, rep_id, state, due_at)
                 SELECT 1 + max(id_floor, coalesce((SELECT max(id) FROM debrief), 0)), ?1, ?2,
                    'planned', ?3
                 FROM installation WHERE true
                 ON CONFLICT (meeting_id) DO UPDATE SET state = 'planned', due_at = excluded.due_at
                 WHERE state = 'withdrawn'",
            )?
            .execute((meeting, rep.0, seconds(due_at)))
            .context("plan a debrief")?;
        Ok(())
    }

    pub fn set_due(&self, debrief: DebriefId, due_at: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE debrief SET due_at = ?2 WHERE id = ?1 AND due_at <> ?2")?
            .execute((debrief.0, seconds(due_at)))
            .context("move a plan")?;
        Ok(())
    }

    /// Not before then: Do Not Disturb and the like.
    pub fn hold_off(&self, debrief: DebriefId, until: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET not_before = ?2, due_at = max(due_at, ?2) WHERE id = ?1",
            )?
            .execute((debrief.0, seconds(until)))
            .context("hold a plan off")?;
        Ok(())
    }

    /// The debrief of a meeting, if there is one.
    pub fn debrief_of(&self, meeting: i64) -> anyhow::Result<Option<Debrief>> {
        self.one_debrief("WHERE meeting_id = ?1", [meeting])
    }

    pub fn debrief(&self, id: DebriefId) -> anyhow::Result<Option<Debrief>> {
        self.one_debrief("WHERE debrief.id = ?1", [id.0])
    }

    /// The debrief whose prompt or reminder stands at `message`.
    pub fn debrief_at(&self, message: &MessageRef) -> anyhow::Result<Option<Debrief>> {
        let found =
            self.one_debrief("WHERE channel = ?1 AND ts = ?2", (&message.channel, &message.ts))?;
        if found.is_some() {
            return Ok(found);
        }
        let reminded: Option<i64> = self
            .0
            .prepare_cached(
                "SELECT subject FROM outbox
                 WHERE kind IN ('prompt', 'reminder') AND channel = ?1 AND ts = ?2",
            )?
            .query_row((&message.channel, &message.ts), |row| row.get(0))
            .optional()
            .context("find a reminder")?;
        reminded.map_or(Ok(None), |id| self.debrief(DebriefId(id)))
    }

    /// What became of every meeting of a rep, by identity, for `explain`.
    pub fn debrief_states(
        &self,
        rep: PersonId,
    ) -> anyhow::Result<HashMap<(String, Timestamp), State>> {
        let mut statement = self.0.prepare_cached(
            "SELECT uid, original_start, state FROM debrief
             JOIN meeting ON meeting.id = meeting_id WHERE debrief.rep_id = ?1",
        )?;
        let rows = statement.query_map([rep.0], |row| {
            let state: String = row.get(2)?;
            let identity = (row.get(0)?, moment(row.get(1)?));
            Ok((identity, State::parse(&state).unwrap_or(State::Withdrawn)))
        })?;
        rows.collect::<rusqlite::Result<_>>().context("read what became of meetings")
    }

    /// Plans that are due, of people who can be asked, oldest first.
    pub fn due_debriefs(&self, now: Timestamp, most: u32) -> anyhow::Result<Vec<Debrief>> {
        self.debriefs(
            "WHERE state = 'planned' AND due_at <= ?1
               AND EXISTS (SELECT 1 FROM person WHERE person.id = debrief.rep_id
                   AND is_active = 1 AND standing = 'member')
             ORDER BY due_at, debrief.id LIMIT ?2",
            (seconds(now), most),
        )
    }

    /// Plans nobody can be asked about any more.
    pub fn overdue_plans(&self, before: Timestamp) -> anyhow::Result<Vec<DebriefId>> {
        self.ids(
            "SELECT id FROM debrief WHERE state = 'planned' AND due_at < ?1",
            [seconds(before)],
        )
    }

    /// A rep's other plans that fall due before `until`, for sharing out the day's budget.
    pub fn rival_plans(
        &self,
        rep: PersonId,
        this: DebriefId,
        until: Timestamp,
    ) -> anyhow::Result<Vec<Debrief>> {
        self.debriefs(
            "WHERE debrief.rep_id = ?1 AND state = 'planned' AND debrief.id <> ?2 AND due_at < ?3",
            (rep.0, this.0, seconds(until)),
        )
    }

    /// About how many debriefs a rep was asked since then, other than this one: a moved meeting that
    /// is asked about again is no further one.
    pub fn asked_since(
        &self,
        rep: PersonId,
        since: Timestamp,
        this: DebriefId,
    ) -> anyhow::Result<u32> {
        self.0
            .prepare_cached(
                "SELECT count(DISTINCT subject) FROM outbox
                 WHERE person_id = ?1 AND kind = 'prompt' AND created_at >= ?2
                   AND state <> 'dropped' AND subject <> ?3",
            )?
            .query_row((rep.0, seconds(since), this.0), |row| row.get(0))
            .context("count today's prompts")
    }

    /// What a debrief is worth when the budget is short.
    pub fn worth(&self, debrief: &Debrief, asked_today: u32) -> anyhow::Result<Worth> {
        let last: Option<i64> = self
            .0
            .prepare_cached(
                "SELECT max(answered_at) FROM debrief
                 WHERE rep_id = ?1 AND answered_at IS NOT NULL",
            )?
            .query_row([debrief.rep.0], |row| row.get(0))
            .context("find the last debrief")?;
        let two_days = 2 * 24 * 3600;
        Ok(Worth {
            first_meeting: !self.met_before(debrief.rep, &debrief.account_key, debrief.end)?,
            long_silence: last.is_none_or(|last| seconds(debrief.end) - last >= two_days),
            asked_today: asked_today > 0,
            end: debrief.end,
        })
    }

    /// Changes a state, if it is still one of `from`. Says whether it was.
    pub fn change_state(
        &self,
        debrief: DebriefId,
        from: &[State],
        to: State,
    ) -> anyhow::Result<bool> {
        let allowed: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
        let changed = self
            .0
            .prepare_cached(
                "UPDATE debrief SET state = ?2, revision = revision + 1,
                    remind_at = CASE WHEN ?2 IN ('asked', 'planned') THEN remind_at END
                 WHERE id = ?1 AND instr(?3, ',' || state || ',') > 0",
            )?
            .execute((debrief.0, to.as_str(), format!(",{},", allowed.join(","))))
            .context("change a debrief's state")?;
        Ok(changed == 1)
    }

    /// From *planned* to *asked*: the question is in the outbox from here on. Returns which asking
    /// this is, counted from 1; `None` if somebody was faster.
    pub fn begin_asking(&self, debrief: DebriefId) -> anyhow::Result<Option<i64>> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET state = 'asked', asks = asks + 1, asked_at = NULL,
                    remind_at = NULL, expires_at = NULL, revision = revision + 1
                 WHERE id = ?1 AND state = 'planned' RETURNING asks",
            )?
            .query_row([debrief.0], |row| row.get(0))
            .optional()
            .context("begin asking")
    }

    /// The question is in front of the rep.
    pub fn was_asked(
        &self,
        debrief: DebriefId,
        message: &MessageRef,
        now: Timestamp,
        remind_at: Timestamp,
        expires_at: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET channel = :channel, ts = :ts,
                    asked_at = coalesce(asked_at, :now),
                    remind_at = CASE WHEN state = 'asked' THEN coalesce(remind_at, :remind) END,
                    expires_at = CASE WHEN state = 'asked' THEN coalesce(expires_at, :expires) END
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":channel": message.channel, ":ts": message.ts, ":now": seconds(now),
                ":remind": seconds(remind_at), ":expires": seconds(expires_at),
                ":id": debrief.0,
            })
            .context("record a question")?;
        Ok(())
    }

    /// Asked about, unanswered, and a reminder is due.
    pub fn due_reminders(&self, now: Timestamp, most: u32) -> anyhow::Result<Vec<Debrief>> {
        self.debriefs(
            "WHERE state = 'asked' AND remind_at <= ?1 ORDER BY remind_at LIMIT ?2",
            (seconds(now), most),
        )
    }

    /// Takes the reminder off the list; returns which one it is, counted from 1.
    pub fn begin_reminding(&self, debrief: DebriefId) -> anyhow::Result<i64> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET remind_at = NULL, reminders = reminders + 1
                 WHERE id = ?1 RETURNING reminders",
            )?
            .query_row([debrief.0], |row| row.get(0))
            .context("begin reminding")
    }

    pub fn remind_at(&self, debrief: DebriefId, at: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE debrief SET remind_at = ?2 WHERE id = ?1")?
            .execute((debrief.0, seconds(at)))
            .context("move a reminder")?;
        Ok(())
    }

    /// Leaves the rep alone about this one until `at`; the time to answer moves along.
    pub fn snooze(
        &self,
        debrief: DebriefId,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET remind_at = ?2, revision = revision + 1,
                    expires_at = max(coalesce(expires_at, 0), ?3)
                 WHERE id = ?1 AND state = 'asked'",
            )?
            .execute((debrief.0, seconds(at), seconds(expires_at)))
            .context("snooze a debrief")?;
        Ok(())
    }

    /// Asked about, and the time to answer is over.
    pub fn expired(&self, now: Timestamp) -> anyhow::Result<Vec<DebriefId>> {
        self.ids(
            "SELECT id FROM debrief WHERE state = 'asked' AND expires_at <= ?1",
            [seconds(now)],
        )
    }

    /// What waits for a rep: asked first, then what the budget held back, newest first.
    pub fn waiting(&self, rep: PersonId, since: Timestamp) -> anyhow::Result<Vec<Debrief>> {
        self.debriefs(
            "WHERE debrief.rep_id = ?1 AND state IN ('asked', 'held', 'expired') AND ends_at > ?2
             ORDER BY state = 'asked' DESC, state = 'held' DESC, ends_at DESC LIMIT 10",
            (rep.0, seconds(since)),
        )
    }

    /// Questions in front of a rep right now.
    pub fn asked_now(&self, rep: PersonId) -> anyhow::Result<Vec<Debrief>> {
        self.debriefs(
            "WHERE debrief.rep_id = ?1 AND state = 'asked' ORDER BY ends_at DESC LIMIT 10",
            [rep.0],
        )
    }

    /// Every question in front of anybody who can be written to, a person's together.
    pub fn open_prompts(&self) -> anyhow::Result<Vec<(ChatId, MessageRef)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT chat_id, debrief.channel, ts FROM debrief
             JOIN person ON person.id = rep_id
             WHERE state = 'asked' AND ts IS NOT NULL AND is_active = 1 AND standing = 'member'
             ORDER BY person.id, ts",
        )?;
        let rows = statement.query_map([], |row| {
            let message = MessageRef { channel: row.get(1)?, ts: row.get(2)? };
            Ok((ChatId(row.get(0)?), message))
        })?;
        rows.collect::<rusqlite::Result<_>>().context("list open questions")
    }

    /// Records how a meeting ended; the answer itself is in the `ended` slot. From the first tap on,
    /// a debrief is part of the rep's history, unless the meeting did not happen.
    pub fn set_outcome(
        &self,
        debrief: DebriefId,
        outcome: Outcome,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET outcome = ?2, revision = revision + 1, remind_at = NULL,
                    next_step_on = CASE WHEN ?2 = 'dated' THEN next_step_on END,
                    state = CASE
                        WHEN ?2 = 'didnt_happen' THEN 'not_held'
                        WHEN state IN ('asked', 'answered') THEN state
                        ELSE 'answered'
                    END,
                    answered_at = CASE
                        WHEN ?2 = 'didnt_happen' THEN answered_at
                        ELSE coalesce(answered_at, ?3)
                    END
                 WHERE id = ?1",
            )?
            .execute((debrief.0, outcome.as_str(), seconds(now)))
            .context("store how it ended")?;
        Ok(())
    }

    /// A whole form is in; its answers are in their slots. Another ending than *dated* without a date
    /// clears the one that was there.
    pub fn was_filled_in(
        &self,
        debrief: DebriefId,
        outcome: Outcome,
        next_step_on: Option<Date>,
        lock: Lock,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET state = 'answered', outcome = ?2, is_locked = ?4,
                    next_step_on = coalesce(?3, CASE WHEN ?2 = 'dated' THEN next_step_on END),
                    remind_at = NULL, answered_at = coalesce(answered_at, ?5),
                    revision = revision + 1
                 WHERE id = ?1",
            )?
            .execute((
                debrief.0,
                outcome.as_str(),
                next_step_on.map(|date| date.to_string()),
                lock == Lock::OnlyMe,
                seconds(now),
            ))
            .context("store a form")?;
        Ok(())
    }

    pub fn set_rough(&self, debrief: DebriefId, rough: bool) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET is_rough = ?2, revision = revision + 1
                 WHERE id = ?1 AND is_rough <> ?2",
            )?
            .execute((debrief.0, rough))
            .context("store that it was rough")?;
        Ok(())
    }

    pub fn set_lock(&self, debrief: DebriefId, locked: bool) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET is_locked = ?2, revision = revision + 1 WHERE id = ?1",
            )?
            .execute((debrief.0, locked))
            .context("store a lock")?;
        Ok(())
    }

    /// Something that its message shows has changed.
    pub fn touch(&self, debrief: DebriefId) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE debrief SET revision = revision + 1 WHERE id = ?1")?
            .execute([debrief.0])
            .context("mark a debrief as changed")?;
        Ok(())
    }

    /// An answer is in, whatever the state was.
    pub fn was_answered(&self, debrief: DebriefId, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE debrief SET state = 'answered', remind_at = NULL,
                    answered_at = coalesce(answered_at, ?2), revision = revision + 1
                 WHERE id = ?1",
            )?
            .execute((debrief.0, seconds(now)))
            .context("record an answer")?;
        Ok(())
    }

    /// When something planned, reminded or expiring next needs us, of people who can be reached.
    pub fn next_due_at(&self, after: Timestamp) -> anyhow::Result<Option<Timestamp>> {
        let next: Option<i64> = self
            .0
            .prepare_cached(
                "SELECT min(at) FROM (
                    SELECT min(due_at) AS at FROM debrief
                    WHERE state = 'planned' AND due_at > ?1
                    UNION ALL SELECT min(remind_at) FROM debrief WHERE state = 'asked'
                    UNION ALL SELECT min(expires_at) FROM debrief WHERE state = 'asked')",
            )?
            .query_row([seconds(after)], |row| row.get(0))
            .context("find what is due next")?;
        Ok(next.map(moment))
    }

    pub(super) fn debriefs(
        &self,
        rest: &str,
        parameters: impl rusqlite::Params,
    ) -> anyhow::Result<Vec<Debrief>> {
        let mut statement = self.0.prepare_cached(&format!("{DEBRIEF}{rest}"))?;
        let rows = statement.query_map(parameters, debrief_from)?;
        rows.collect::<rusqlite::Result<_>>().context("read debriefs")
    }

    fn one_debrief(
        &self,
        rest: &str,
        parameters: impl rusqlite::Params,
    ) -> anyhow::Result<Option<Debrief>> {
        Ok(self.debriefs(rest, parameters)?.pop())
    }

    fn ids(&self, sql: &str, parameters: impl rusqlite::Params) -> anyhow::Result<Vec<DebriefId>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, |row| row.get(0).map(DebriefId))?;
        rows.collect::<rusqlite::Result<_>>().context("list debriefs")
    }
}

fn debrief_from(row: &Row<'_>) -> rusqlite::Result<Debrief> {
    let at = |column: usize| row.get::<_, Option<i64>>(column).map(|at| at.map(moment));
    let channel: Option<String> = row.get(12)?;
    let ts: Option<String> = row.get(13)?;
    let guests: String = row.get(22)?;
    let state = State::parse(row.get_ref(2)?.as_str()?);
    let outcome = row.get_ref(8)?.as_str_or_null()?.and_then(Outcome::parse);
    let kind = Kind::parse(row.get_ref(19)?.as_str()?);
    let next_step_on: Option<String> = row.get(9)?;
    Ok(Debrief {
        id: DebriefId(row.get(0)?),
        rep: PersonId(row.get(1)?),
        state: state.unwrap_or(State::Withdrawn),
        due_at: moment(row.get(3)?),
        asks: row.get(4)?,
        asked_at: at(5)?,
        remind_at: at(6)?,
        answered_at: at(7)?,
        outcome,
        next_step_on: next_step_on.and_then(|date| date.parse().ok()),
        rough: row.get(10)?,
        locked: row.get(11)?,
        message: channel.zip(ts).map(|(channel, ts)| MessageRef { channel, ts }),
        revision: row.get(14)?,
        uid: row.get(15)?,
        title: row.get(16)?,
        start: moment(row.get(17)?),
        end: moment(row.get(18)?),
        kind: kind.unwrap_or(Kind::Other),
        account_key: row.get(20)?,
        account: row.get(21)?,
        guests: guests.lines().map(str::to_owned).collect(),
    })
}
