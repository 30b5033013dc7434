//! What was not heard, or not understood, the first time.
//!
//! A loop of its own: messages that nobody could deliver are read from their
//! conversations, and dead letters that somebody wants are read again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::beat::{Beat, Beats};
use crate::flows::missed::{self, Reading};
use crate::flows::{Bot, follow_up, respond};
use crate::ports::inbound::{Ack, What};
use crate::slack::door::Door;
use crate::slack::inbound::{self, Us};
use crate::store::letters::Fate;

/// From one part of a long gap to the next.
const AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// How many letters are read in one go.
const AT_ONCE: u32 = 100;

/// Starts the loop.
pub(super) fn start(beats: &mut Beats, bot: &Bot, us: Us, door: &Arc<Door>) {
    let parts = Arc::new((bot.clone(), us, Arc::clone(door), beats.waker()));
    let reading = Arc::new(Mutex::new(Reading::default()));
    beats.start(Beat::Missed, move |now| {
        let (parts, reading) = (Arc::clone(&parts), Arc::clone(&reading));
        async move {
            let (bot, us, door, waker) = &*parts;
            let mut taken = read_letters(bot, us, now).await?;
            let mut is_unfinished = false;
            if door.health().is_open() {
                let turn = missed::run(bot, &mut *reading.lock().await, now).await?;
                taken += turn.taken;
                is_unfinished = turn.is_unfinished;
            }
            if taken > 0 {
                waker.deliver();
            }
            Ok(is_unfinished.then_some(now + AGAIN))
        }
    });
}

/// Reads what `debrief dead-letters replay` asked for, by the rules of today. Says how many were
/// understood.
async fn read_letters(bot: &Bot, us: &Us, now: Timestamp) -> anyhow::Result<usize> {
    let wanted = bot.store.read(|tx| tx.wanted_letters(AT_ONCE)).await?;
    let mut understood = 0;
    for (id, raw) in wanted {
        let inbound = inbound::read_again(&raw, us);
        let fate = if matches!(inbound.what, What::Unreadable { .. }) {
            Fate::Unreadable
        } else {
            let response = respond::receive(bot, inbound, now).await;
            let Some(ack) = response.ack else {
                // The store failed; it stays wanted.
                return Ok(understood);
            };
            follow_up::run(bot, response.then, None, now).await?;
            match ack {
                Ack::Plain => Fate::Replayed,
                Ack::FormErrors(_) => Fate::Unreadable,
            }
        };
        understood += usize::from(fate == Fate::Replayed);
        tracing::info!(letter.id = id, ?fate, "a dead letter was read again");
        bot.store.transact_behind(move |tx| tx.letter_was_read(id, fate, now)).await?;
    }
    Ok(understood)
}
