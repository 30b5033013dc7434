//! What one tap or one text does to a debrief. Everything happens in the caller's transaction, so
//! it is saved before it is acknowledged.

use jiff::{SignedDuration, Timestamp};

use super::Rules;
use crate::domain::debrief::{Outcome, Snooze, State};
use crate::domain::person::Person;
use crate::store::Tx;
use crate::store::answers::{Answer, Slot};
use crate::store::debriefs::Debrief;
use crate::store::outbox::OutKind;

/// The question that the first tap answers.
pub(super) const ENDED: &str = "ended";

/// "How did it end?"
///
/// # Errors
/// If the store fails.
pub fn ended(
    tx: &Tx<'_>,
    debrief: &Debrief,
    outcome: Outcome,
    now: Timestamp,
) -> anyhow::Result<()> {
    let answer = Answer { question: ENDED.into(), body: outcome.as_str().into() };
    tx.write_answer(debrief.id, debrief.rep, Slot::Ended, &answer, now)?;
    tx.set_outcome(debrief.id, outcome, now)?;
    refresh_everywhere(tx, debrief, now)
}

/// The one text, from a modal or a plain reply.
///
/// # Errors
/// If the store fails.
pub fn wrote(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    text: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    let question = rules
        .questions
        .asked(debrief.id, debrief.outcome, debrief.rough)
        .map(|asked| asked.reflect.id.clone())
        .unwrap_or_default();
    let answer = Answer { question, body: text.trim().to_owned() };
    tx.write_answer(debrief.id, debrief.rep, Slot::Reflect, &answer, now)?;
    tx.was_answered(debrief.id, now)?;
    refresh_everywhere(tx, debrief, now)
}

/// Skipping is free, and nobody is told.
///
/// # Errors
/// If the store fails.
pub fn skipped(tx: &Tx<'_>, debrief: &Debrief, now: Timestamp) -> anyhow::Result<()> {
    let from = [State::Asked, State::Held, State::Expired, State::Planned];
    // A tap that was made before stays an answer.
    let to = if debrief.outcome.is_some() { State::Answered } else { State::Skipped };
    if tx.change_state(debrief.id, &from, to)? {
        refresh_everywhere(tx, debrief, now)?;
    }
    Ok(())
}

/// Says when we will come back.
///
/// # Errors
/// If the store fails.
pub fn snoozed(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    snooze: Snooze,
    now: Timestamp,
) -> anyhow::Result<Timestamp> {
    let until = snooze.until(now, &rules.prompt.hours, &rep.zone);
    let patience = rules.prompt.remind_after.max(SignedDuration::from_hours(4));
    tx.snooze(debrief.id, until, until + patience)?;
    Ok(until)
}

/// # Errors
/// If the store fails.
pub fn locked(
    tx: &Tx<'_>,
    debrief: &Debrief,
    lock: crate::domain::privacy::Lock,
    now: Timestamp,
) -> anyhow::Result<()> {
    tx.set_lock(debrief.id, lock == crate::domain::privacy::Lock::OnlyMe)?;
    refresh_everywhere(tx, debrief, now)
}

/// Brings every message about a debrief, and the rep's Home tab, up to date.
///
/// # Errors
/// If the store fails.
pub fn refresh_everywhere(tx: &Tx<'_>, debrief: &Debrief, now: Timestamp) -> anyhow::Result<()> {
    let id = debrief.id.0;
    let shown = tx.shown(debrief.id, debrief.rep)?;
    if shown.prompt || debrief.message.is_some() {
        tx.enqueue_again(OutKind::Refresh, id, "", debrief.rep, now)?;
    }
    for seq in shown.reminders {
        let seq = format!("{}{seq}", super::deliver::REMINDER);
        tx.enqueue_again(OutKind::Refresh, id, &seq, debrief.rep, now)?;
    }
    if shown.home {
        tx.enqueue_again(OutKind::Home, debrief.rep.0, "", debrief.rep, now)?;
    }
    Ok(())
}
