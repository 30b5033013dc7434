//! What people wrote while Slack could not reach us.
//!
//! Slack repeats an event three times within about six minutes and then gives up, so a longer gap
//! may hold answers that nobody will deliver. Once we hear again, the conversations with an open
//! question are read from before the gap on; what was delivered after all is recognised by its key.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Bot, respond};
use crate::domain::debrief::MessageRef;
use crate::domain::roster::ChatId;
use crate::ports::SendError;

/// A shorter gap is bridged by Slack's own repetitions.
const GAP: SignedDuration = SignedDuration::from_mins(4);
/// How often we note that we still hear.
const NOTE: SignedDuration = SignedDuration::from_mins(1);
/// What was on its way when the gap began.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);

/// Conversations that are read in one go: Slack allows about fifty calls a minute.
const AT_ONCE: usize = 20;

/// Whose conversations were read since the gap was noticed.
#[derive(Debug, Default)]
pub struct Reading {
    read: BTreeSet<ChatId>,
    taken: usize,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Messages taken in.
    pub taken: usize,
    /// There are more conversations to read.
    pub is_unfinished: bool,
}

/// Called while Slack can reach us. A long gap is read in several turns; `reading` remembers between
/// them who was read already.
///
/// # Errors
/// If the store fails; then, as when Slack does not answer, the rest is looked at again.
pub async fn run(bot: &Bot, reading: &mut Reading, now: Timestamp) -> anyhow::Result<Turn> {
    let until = bot.store.read(|tx| tx.heard_until()).await?.unwrap_or(now);
    let gap = now.duration_since(until);
    let mut taken = 0;
    if gap >= GAP {
        let before = reading.taken;
        let is_done = read_some(bot, reading, until - OVERLAP, now).await?;
        taken = reading.taken - before;
        if !is_done {
            return Ok(Turn { taken, is_unfinished: true });
        }
        let Reading { taken: messages, .. } = std::mem::take(reading);
        if messages > 0 {
            let seconds = gap.as_secs();
            tracing::info!(seconds, messages, "read what was written while we were away");
        }
    }
    if gap >= NOTE || gap.is_zero() || gap.is_negative() {
        bot.store.transact_behind(move |tx| tx.set_heard_until(now)).await?;
    }
    Ok(Turn { taken, is_unfinished: false })
}

/// Whether everybody was read; what Slack does not let us read now is left for the next turn.
async fn read_some(
    bot: &Bot,
    reading: &mut Reading,
    since: Timestamp,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let open = bot.store.read(|tx| tx.open_prompts()).await?;
    let mut left = open
        .chunk_by(|(one, _), (other, _)| one == other)
        .filter(|prompts| prompts.first().is_some_and(|(who, _)| !reading.read.contains(who)))
        .collect::<Vec<_>>();
    let are_more = left.len() > AT_ONCE;
    left.truncate(AT_ONCE);
    for prompts in left {
        let Some((person, MessageRef { channel, .. })) = prompts.first() else { continue };
        let threads: Vec<&str> = prompts.iter().map(|(_, at)| at.ts.as_str()).collect();
        match bot.messenger.missed(channel, &threads, since).await {
            Ok(missed) => {
                for inbound in missed.into_iter().filter(|inbound| inbound.who == *person) {
                    if respond::receive(bot, inbound, now).await.ack.is_none() {
                        return Ok(false);
                    }
                    reading.taken += 1;
                }
            }
            Err(SendError::Gone { .. } | SendError::Never { .. }) => {}
            Err(error) => {
                tracing::warn!(%error, "what was written meanwhile cannot be read yet");
                return Ok(false);
            }
        }
        reading.read.insert(person.clone());
    }
    Ok(!are_more)
}
