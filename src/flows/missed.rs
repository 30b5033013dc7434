//! What people wrote while Slack could not reach us.
//!
//! Slack repeats an event three times within about six minutes and then gives up, so a longer gap
//! may hold answers that nobody will deliver. Once we hear again, the conversations with an open
//! question are read from before the gap on; what was delivered after all is recognised by its key.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use jiff::{SignedDuration, Timestamp};

use super::{Bot, respond};
use crate::domain::debrief::MessageRef;
use crate::ports::SendError;

/// A shorter gap is bridged by Slack's own repetitions.
const GAP: SignedDuration = SignedDuration::from_mins(4);
/// How often we note that we still hear.
const NOTE: SignedDuration = SignedDuration::from_mins(1);
/// What was on its way when the gap began.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);

/// Called while Slack can reach us. Says how many messages were taken in.
///
/// # Errors
/// If the store fails; then, as when Slack does not answer, the gap is looked at again.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
    let until = bot.store.read(|tx| tx.heard_until()).await?.unwrap_or(now);
    let gap = now.duration_since(until);
    let mut taken = 0;
    if gap >= GAP {
        let Some(found) = read(bot, until - OVERLAP, now).await? else {
            return Ok(0);
        };
        taken = found;
        if taken > 0 {
            let seconds = gap.as_secs();
            tracing::info!(seconds, messages = taken, "read what was written while we were away");
        }
    }
    if gap >= NOTE || gap.is_zero() || gap.is_negative() {
        bot.store.transact(move |tx| tx.set_heard_until(now)).await?;
    }
    Ok(taken)
}

/// `None` if Slack does not let us look now.
async fn read(bot: &Bot, since: Timestamp, now: Timestamp) -> anyhow::Result<Option<usize>> {
    let open = bot.store.read(|tx| tx.open_prompts()).await?;
    let mut taken = 0;
    for prompts in open.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((person, MessageRef { channel, .. })) = prompts.first() else { continue };
        let threads: Vec<&str> = prompts.iter().map(|(_, at)| at.ts.as_str()).collect();
        match bot.messenger.missed(channel, &threads, since).await {
            Ok(missed) => {
                for inbound in missed.into_iter().filter(|inbound| inbound.who == *person) {
                    if respond::receive(bot, inbound, now).await.ack.is_none() {
                        return Ok(None);
                    }
                    taken += 1;
                }
            }
            Err(SendError::Gone { .. } | SendError::Never { .. }) => {}
            Err(error) => {
                tracing::warn!(%error, "what was written meanwhile cannot be read yet");
                return Ok(None);
            }
        }
    }
    Ok(Some(taken))
}
