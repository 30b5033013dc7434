//! Once a day: does anybody see a question twice?
//!
//! Everything is built so that nobody does; this looks at the outcome and not at the reasons.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use jiff::{SignedDuration, Timestamp};

use super::Bot;

/// From one look to the next.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Debriefs looked at in one go, so that nobody waits behind it.
const AT_ONCE: i64 = 2000;

/// When the next look is due.
#[derive(Debug, Default)]
pub struct Recount {
    next_at: Option<Timestamp>,
}

impl Recount {
    /// Looks, if it is time to. Says how many debriefs have more visible questions than askings;
    /// `None` if it was not time.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn run(&mut self, bot: &Bot, now: Timestamp) -> anyhow::Result<Option<u64>> {
        if self.next_at.is_some_and(|next| next > now) {
            return Ok(None);
        }
        let last = bot.store.read(|tx| tx.last_debrief()).await?;
        let (mut after, mut doubled) = (0, 0);
        while after < last {
            doubled += bot.store.read(move |tx| tx.doubled_prompts(after, after + AT_ONCE)).await?;
            after += AT_ONCE;
        }
        if doubled > 0 {
            tracing::error!(debriefs = doubled, "somebody sees a question twice; this is a bug");
        }
        self.next_at = Some(now + EVERY);
        Ok(Some(doubled))
    }
}
