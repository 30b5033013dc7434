//! What became of a row that was being sent, and what happens to it next.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::pack::Terms;
use crate::domain::debrief::{DebriefId, MessageRef, State};
use crate::domain::person::PersonId;
use crate::flows::Bot;
use crate::flows::tally::Fates;
use crate::ports::SendError;
use crate::store::Tx;
use crate::store::outbox::{OutKind, OutRow, Queue};

/// A post of unknown fate is looked for at these ages, and sent again after the last: Slack may
/// still deliver what it took in for as long as that.
const LOOKS: [SignedDuration; 4] = [
    SignedDuration::from_secs(10),
    SignedDuration::from_secs(30),
    SignedDuration::from_secs(60),
    SignedDuration::from_secs(120),
];
/// How long until a look is tried again that Slack does not let us take.
const REFUSED_LOOK: SignedDuration = SignedDuration::from_hours(1);
const LONGEST_BACKOFF: i64 = 300;

/// Why a row was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// Its conversation has to be opened first, where that holds up nobody.
    Aside,
    /// That conversation could not be opened.
    Before(SendError),
    /// It may stand there, and could not be looked for.
    Looking(SendError, Terms),
    /// It does not stand there yet.
    NotFound,
    /// What it shows is not true any more, or could not be written down: put together anew.
    Stale,
    /// It never arrived, and nobody wants it any more.
    Unwanted,
    /// It never arrived, and this is no hour to send it again.
    Closed(Timestamp),
    /// It never arrived, and it is too late to send it again.
    TooLate,
    Sending(SendError),
}

impl Unsent {
    pub(super) fn nobody() -> Self {
        Self::Before(SendError::Gone { code: "not_in_workspace".into() })
    }
}

/// Whether a look now is the last one before the row is sent again.
pub(super) fn was_last_look(row: &OutRow, now: Timestamp) -> bool {
    let [.., last] = LOOKS;
    doubted(row) + last <= now
}

fn doubted(row: &OutRow) -> Timestamp {
    row.doubted_at.unwrap_or(row.first_started_at)
}

/// Only what people wait for is counted apart.
pub(super) fn count(bot: &Bot, kind: OutKind, how: impl FnOnce(&Fates)) {
    match kind {
        OutKind::Prompt => how(&bot.tally.prompts),
        OutKind::Digest => how(&bot.tally.digests),
        OutKind::Reminder | OutKind::Refresh | OutKind::Note | OutKind::Home => {}
    }
}

pub(super) async fn is_unwanted(bot: &Bot, row: &OutRow) -> anyhow::Result<()> {
    let id = row.id;
    bot.store.transact_behind(move |tx| tx.drop_message(id)).await?;
    count(bot, row.kind, |fates| fates.cancelled.add(1));
    Ok(())
}

/// The person is gone. Should they come back, the question waits for them.
pub(super) async fn is_for_nobody(bot: &Bot, row: OutRow) -> anyhow::Result<()> {
    count(bot, row.kind, |fates| fates.cancelled.add(1));
    bot.store
        .transact_behind(move |tx| {
            keep_waiting(tx, &row)?;
            tx.drop_message(row.id)
        })
        .await
}

/// A question that cannot be posted still waits in `/debrief` and on the Home tab.
fn keep_waiting(tx: &Tx<'_>, row: &OutRow) -> anyhow::Result<()> {
    if row.kind == OutKind::Prompt {
        tx.change_state(DebriefId(row.subject), &[State::Asked], State::Held)?;
    }
    Ok(())
}

pub(super) async fn is_too_early(bot: &Bot, row: OutRow, until: Timestamp) -> anyhow::Result<()> {
    bot.store.transact_behind(move |tx| tx.send_later(row.id, until)).await
}

pub(super) async fn is_too_late(bot: &Bot, row: OutRow, now: Timestamp) -> anyhow::Result<()> {
    tracing::info!(row.id, debrief.id = row.subject, "too late to ask about a meeting");
    let kind = row.kind;
    bot.store.transact_behind(move |tx| expire(tx, &row, "deadline", now)).await?;
    count(bot, kind, |fates| fates.expired.add(1));
    Ok(())
}

/// A question that was tried and never arrived is a failure; one that never had its turn is not.
fn expire(tx: &Tx<'_>, row: &OutRow, code: &str, now: Timestamp) -> anyhow::Result<()> {
    if row.kind == OutKind::Prompt {
        tx.change_state(DebriefId(row.subject), &[State::Asked], State::Expired)?;
    }
    if row.uncertain || row.doubted_at.is_some() {
        tx.give_up(row.id, code, now)
    } else {
        tx.drop_message(row.id)
    }
}

pub(super) async fn was_sent(
    bot: &Bot,
    row: OutRow,
    at: Option<MessageRef>,
    shown: i64,
    now: Timestamp,
) -> anyhow::Result<()> {
    let prompt = bot.rules.prompt.clone();
    tracing::info!(row.id, kind = ?row.kind, person.id = row.person.0, "sent");
    let was_due = bot
        .store
        .transact_behind(move |tx| {
            tx.was_sent(row.id, at.as_ref())?;
            let (OutKind::Prompt, Some(at)) = (row.kind, &at) else {
                return Ok(None);
            };
            let id = DebriefId(row.subject);
            let (remind, expire) = (now + prompt.remind_after, now + prompt.expire_after);
            tx.was_asked(id, at, now, remind, expire)?;
            // It changed while it was on its way, or it is an older text that a look has found.
            let debrief = tx.debrief(id)?;
            let changed = debrief.as_ref().is_some_and(|debrief| debrief.revision != shown);
            if changed || row.uncertain {
                tx.enqueue_again(OutKind::Refresh, row.subject, "", row.person, now)?;
            }
            Ok(debrief.map(|debrief| debrief.due_at))
        })
        .await?;
    if let Some(due_at) = was_due {
        let late = Duration::try_from(now.duration_since(due_at)).unwrap_or_default();
        bot.tally.prompt_latency.note(late);
    }
    Ok(())
}

/// `began` is when the row was claimed, `ended` when the last call for it had ended.
pub(super) async fn was_not_sent(
    bot: &Bot,
    queue: Queue,
    row: OutRow,
    person: PersonId,
    unsent: Unsent,
    (began, ended): (Timestamp, Timestamp),
) -> anyhow::Result<()> {
    if let Some(error) = unsent.error() {
        tracing::warn!(row.id, kind = ?row.kind, %error, "not sent");
    }
    if matches!(unsent, Unsent::Aside) {
        bot.circuit.asked_nothing(began);
    }
    tell_circuit(bot, queue, &row, &unsent, ended);
    if unsent.is_final() {
        count(bot, row.kind, |fates| fates.failed.add(1));
    }
    bot.store.transact_behind(move |tx| decide(tx, &row, person, unsent, (began, ended))).await
}

impl Unsent {
    fn error(&self) -> Option<&SendError> {
        match self {
            Self::Before(error) | Self::Looking(error, _) | Self::Sending(error) => Some(error),
            Self::Aside
            | Self::NotFound
            | Self::Unwanted
            | Self::Stale
            | Self::Closed(_)
            | Self::TooLate => None,
        }
    }

    /// Whether the row is given up.
    fn is_final(&self) -> bool {
        matches!(self, Self::TooLate)
            || matches!(self.error(), Some(SendError::Gone { .. } | SendError::Never { .. }))
    }

    /// Whether it says something about this row alone.
    fn is_about_the_row(&self) -> bool {
        match self {
            // We may send, though we may not look.
            Self::Looking(SendError::Halt { code }, _) => !is_about_the_token(code),
            _ => !matches!(self.error(), Some(SendError::Later { .. } | SendError::Halt { .. })),
        }
    }
}

fn is_about_the_token(code: &str) -> bool {
    !matches!(code, "missing_scope" | "no_permission" | "not_allowed_token_type" | "access_denied")
}

fn tell_circuit(bot: &Bot, queue: Queue, row: &OutRow, unsent: &Unsent, now: Timestamp) {
    match unsent.error() {
        Some(SendError::Later { after }) => {
            let after = SignedDuration::from_secs(after.clamp(&1, &3600).cast_signed());
            bot.circuit.waits(queue, now + after);
        }
        Some(SendError::Halt { code }) if !unsent.is_about_the_row() => {
            bot.circuit.refused(code, now);
        }
        Some(SendError::Unknown) if matches!(unsent, Unsent::Sending(_)) && row.kind.is_post() => {
            bot.circuit.is_silent(now);
        }
        None | Some(SendError::Unknown) => {}
        Some(SendError::Gone { .. } | SendError::Never { .. } | SendError::Halt { .. }) => {
            bot.circuit.answered();
        }
    }
}

fn decide(
    tx: &Tx<'_>,
    row: &OutRow,
    person: PersonId,
    unsent: Unsent,
    (now, ended): (Timestamp, Timestamp),
) -> anyhow::Result<()> {
    if !unsent.is_about_the_row() {
        return tx.put_back(row);
    }
    match unsent {
        Unsent::Aside => tx.set_aside(row),
        Unsent::NotFound | Unsent::Looking(SendError::Unknown, _) => {
            tx.doubt(row.id, doubted(row), next_look(row, now), None)
        }
        // One that may stand there has been looked for just now.
        Unsent::Stale if row.uncertain => {
            tx.doubt(row.id, doubted(row), now + SignedDuration::from_secs(1), None)
        }
        Unsent::Stale => tx.send_later(row.id, now + SignedDuration::from_secs(1)),
        Unsent::Unwanted => tx.drop_message(row.id),
        Unsent::Closed(until) => tx.doubt(row.id, doubted(row), until, None),
        Unsent::TooLate => expire(tx, row, "deadline", now),
        Unsent::Looking(error, terms) => {
            let code = code(error);
            if terms.too_late {
                expire(tx, row, &code, now)
            } else {
                tx.doubt(row.id, doubted(row), now + REFUSED_LOOK, Some(&code))
            }
        }
        Unsent::Sending(SendError::Unknown) if row.kind.is_post() => {
            let [first, ..] = LOOKS;
            tx.doubt(row.id, ended, ended + first, None)
        }
        Unsent::Before(SendError::Unknown) if row.uncertain => {
            tx.doubt(row.id, doubted(row), now + backoff(row), None)
        }
        Unsent::Before(SendError::Unknown) | Unsent::Sending(SendError::Unknown) => {
            tx.send_later(row.id, now + backoff(row))
        }
        // The rep deleted the message, or it is too old to change.
        Unsent::Sending(SendError::Never { .. }) if row.kind == OutKind::Refresh => {
            tx.drop_message(row.id)
        }
        Unsent::Before(error) | Unsent::Sending(error) => {
            keep_waiting(tx, row)?;
            if let SendError::Gone { .. } = error {
                tx.mark_unreachable(person, now)?;
            }
            tx.give_up(row.id, &code(error), now)
        }
    }
}

fn code(error: SendError) -> String {
    match error {
        SendError::Gone { code } | SendError::Halt { code } | SendError::Never { code } => code,
        SendError::Later { .. } | SendError::Unknown => "unknown".to_owned(),
    }
}

/// When to look for a post of unknown fate.
fn next_look(row: &OutRow, now: Timestamp) -> Timestamp {
    let planned = LOOKS.into_iter().map(|age| doubted(row) + age).find(|at| *at > now);
    planned.unwrap_or(now + backoff(row))
}

/// Doubles from a second to five minutes, a little more for some rows than for others.
fn backoff(row: &OutRow) -> SignedDuration {
    let doubled = (1_i64 << row.attempts.min(9)).min(LONGEST_BACKOFF);
    SignedDuration::from_secs(doubled) + SignedDuration::from_millis(row.id % 10 * doubled * 10)
}
