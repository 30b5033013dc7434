//! Unanswered questions: one reminder, then silence, then the end.

use std::sync::Arc;

use jiff::Timestamp;

use super::Bot;
use crate::domain::debrief::{State, first_gap};
use crate::store::outbox::OutKind;

const AT_ONCE: u32 = 200;

/// Queues reminders that are due and closes what was left unanswered.
///
/// # Errors
/// If the store fails.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<()> {
    let rules = Arc::clone(&bot.rules);
    bot.store
        .transact_behind(move |tx| {
            for debrief in tx.due_reminders(now, AT_ONCE)? {
                let Some(rep) = tx.person(debrief.rep)? else {
                    continue;
                };
                let busy: Vec<(Timestamp, Timestamp)> = tx
                    .busy_times(rep.id, now)?
                    .into_iter()
                    .map(|(_, start, end)| (start, end))
                    .collect();
                let free = first_gap(now, &busy, rules.prompt.min_gap);
                let good = rules.prompt.hours.next_open(free, &rep.zone, debrief.end);
                let away = rep.paused_until.max(tx.absent_until(rep.id, now)?);
                let good = good.max(away.unwrap_or(good));
                if good > now {
                    tx.remind_at(debrief.id, good)?;
                    continue;
                }
                let which = tx.begin_reminding(debrief.id)?;
                let seq = which.to_string();
                tx.enqueue(OutKind::Reminder, debrief.id.0, &seq, rep.id, "", now)?;
            }
            for debrief in tx.expired(now)? {
                close(tx, debrief, now)?;
            }
            Ok(())
        })
        .await
}

/// What was tapped counts as an answer; nothing at all ends in silence.
fn close(
    tx: &crate::store::Tx<'_>,
    debrief: crate::domain::debrief::DebriefId,
    now: Timestamp,
) -> anyhow::Result<()> {
    let Some(found) = tx.debrief(debrief)? else {
        return Ok(());
    };
    let to = if found.outcome.is_some() { State::Answered } else { State::Expired };
    if tx.change_state(debrief, &[State::Asked], to)? {
        super::tap::refresh_everywhere(tx, &found, now)?;
    }
    Ok(())
}
