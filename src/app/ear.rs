//! What was not heard, or not understood, the first time.
//!
//! One more loop beside the beats: messages that nobody could deliver are read from their
//! conversations, and dead letters that somebody wants are read again.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::beat::{self, Loop, Turn, Waker};
use crate::flows::{Bot, follow_up, missed, respond};
use crate::ports::Clock;
use crate::ports::inbound::{Ack, What};
use crate::slack::door::Door;
use crate::slack::inbound::{self, Us};
use crate::store::letters::Fate;

/// How many letters are read in one go.
const AT_ONCE: u32 = 100;

/// The loop.
pub(super) struct Ear {
    turn: Turn,
    listening: JoinHandle<()>,
}

impl Ear {
    pub(super) fn start(
        bot: &Bot,
        us: Us,
        door: &Arc<Door>,
        clock: &Arc<dyn Clock>,
        waker: Waker,
        stopping: &CancellationToken,
    ) -> Self {
        let (looping, _, turn) = Loop::new("what was missed", clock, stopping);
        let parts = Arc::new((bot.clone(), us, Arc::clone(door), waker));
        let listening = tokio::spawn(looping.run(move |now| {
            let parts = Arc::clone(&parts);
            async move {
                let (bot, us, door, waker) = &*parts;
                let mut taken = read_letters(bot, us, now).await?;
                if door.health().is_open() {
                    taken += missed::run(bot, now).await?;
                }
                if taken > 0 {
                    waker.wake();
                }
                forget_letters(bot, now).await?;
                Ok(None)
            }
        }));
        Self { turn, listening }
    }

    /// One whole turn.
    pub(super) async fn catch_up(&self) {
        beat::take(&self.turn).await;
    }

    pub(super) async fn finished(self) {
        if self.listening.await.is_err() {
            tracing::error!("reading what was missed has ended in a panic");
        }
    }
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
        bot.store.transact(move |tx| tx.letter_was_read(id, fate, now)).await?;
    }
    Ok(understood)
}

async fn forget_letters(bot: &Bot, now: Timestamp) -> anyhow::Result<()> {
    if bot.store.read(move |tx| tx.has_old_letters(now)).await? {
        bot.store.transact(move |tx| tx.forget_letters(now)).await?;
    }
    Ok(())
}
