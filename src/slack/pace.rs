//! How fast we may call Slack.
//!
//! Slack allows a message a second per conversation and a few per second per workspace; other
//! methods have a tier, counted per minute. Slots are handed out in order and a caller sleeps until
//! its own; a caller who would wait too long is told to come back instead. A 429 closes its method.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::SendError;

const PER_CHANNEL: Duration = Duration::from_millis(1100);
const PER_WORKSPACE: Duration = Duration::from_millis(250);
/// Messages that may leave at once after a quiet time.
const WORKSPACE_BURST: u32 = 4;
/// Conversations remembered before idle ones are dropped.
const CHANNELS_KEPT: usize = 1000;

/// Who waits, and for how long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// A person looks at the screen.
    Short,
    /// Work in the background.
    Long,
}

impl Patience {
    fn limit(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(1),
            Self::Long => Duration::from_mins(1),
        }
    }
}

/// Our own rate limits.
#[derive(Debug)]
pub struct Pace {
    /// `None`: as fast as asked.
    slots: Option<Mutex<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    channels: HashMap<String, Instant>,
    /// The next free slot of each bucket; `""` is the workspace's message bucket.
    buckets: HashMap<&'static str, Instant>,
    closed: HashMap<&'static str, Instant>,
}

impl Pace {
    /// The limits that Slack documents.
    pub fn slack() -> Self {
        Self { slots: Some(Mutex::default()) }
    }

    /// No limits, for a workspace of our own.
    pub fn unlimited() -> Self {
        Self { slots: None }
    }

    /// Waits until `method` may be called.
    pub(super) async fn wait(
        &self,
        method: &'static str,
        channel: Option<&str>,
        patience: Patience,
    ) -> Result<(), SendError> {
        let Some(slots) = &self.slots else {
            return Ok(());
        };
        let now = Instant::now();
        let at = slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(method, channel, now, patience.limit())
            .map_err(|wait| SendError::Later { after: wait.as_secs() + 1 })?;
        tokio::time::sleep_until(at).await;
        Ok(())
    }

    /// Slack asked us to leave `method` alone for so many seconds.
    pub(super) fn close(&self, method: &'static str, after: u64) {
        if let Some(slots) = &self.slots {
            slots
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .closed
                .insert(method, Instant::now() + Duration::from_secs(after));
        }
    }
}

impl Slots {
    /// The moment at which the caller may go, or the wait if it is longer than `limit`.
    fn take(
        &mut self,
        method: &'static str,
        channel: Option<&str>,
        now: Instant,
        limit: Duration,
    ) -> Result<Instant, Duration> {
        let mut at = self.closed.get(method).copied().unwrap_or(now).max(now);
        let Some((bucket, interval, burst)) = bucket(method) else {
            return if at > now { Err(at - now) } else { Ok(now) };
        };
        let next = self.buckets.get(bucket).copied().unwrap_or(now);
        // A bucket that is `burst` intervals ahead of the clock is empty.
        at = at.max(next.checked_sub(interval * (burst - 1)).unwrap_or(now));
        let channel = channel.filter(|_| method == "chat.postMessage");
        if let Some(free) = channel.and_then(|channel| self.channels.get(channel)) {
            at = at.max(*free);
        }
        if at - now > limit {
            return Err(at - now);
        }
        self.buckets.insert(bucket, next.max(at) + interval);
        if let Some(channel) = channel {
            if self.channels.len() >= CHANNELS_KEPT {
                self.channels.retain(|_, free| *free > now);
            }
            self.channels.insert(channel.to_owned(), at + PER_CHANNEL);
        }
        Ok(at)
    }
}

/// The bucket of a method, the time that one call takes out of it, and how many it holds. Half of a
/// minute's calls may come at once: even in the worst minute that is half more than the tier.
/// `None` for what cannot wait: a trigger is dead before its turn would come.
fn bucket(method: &'static str) -> Option<(&'static str, Duration, u32)> {
    let per_minute = match method {
        "views.open" => return None,
        "chat.postMessage" => return Some(("", PER_WORKSPACE, WORKSPACE_BURST)),
        "chat.update"
        | "chat.delete"
        | "conversations.open"
        | "conversations.history"
        | "users.lookupByEmail"
        | "apps.connections.open"
        | "dnd.info" => 50,
        "dnd.teamInfo" => 20,
        _ => 100,
    };
    Some((method, Duration::from_millis(60_000 / u64::from(per_minute)), per_minute / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(calls: &[(&'static str, &str)]) -> Vec<u128> {
        let start = Instant::now();
        let mut slots = Slots::default();
        calls
            .iter()
            .map(|(method, channel)| {
                let at = slots.take(method, Some(channel), start, Duration::from_mins(10));
                (at.unwrap() - start).as_millis()
            })
            .collect()
    }

    #[test]
    fn a_conversation_gets_a_message_a_second() {
        let post = ("chat.postMessage", "D1");
        assert_eq!(moments(&[post, post, post]), [0, 1100, 2200]);
    }

    #[test]
    fn a_workspace_gets_four_messages_a_second() {
        let names: Vec<String> = (0..12).map(|n| format!("D{n}")).collect();
        let calls: Vec<_> = names.iter().map(|d| ("chat.postMessage", &**d)).collect();
        assert_eq!(moments(&calls), [0, 0, 0, 0, 250, 500, 750, 1000, 1250, 1500, 1750, 2000]);
    }

    #[test]
    fn a_method_gets_half_its_minute_at_once() {
        let at = moments(&[("chat.update", "D1"); 27]);
        assert_eq!((at[24], at[25], at[26]), (0, 1200, 2400));
    }

    #[test]
    fn a_closed_method_opens_in_time() {
        let start = Instant::now();
        let mut slots = Slots::default();
        let until = start + Duration::from_secs(30);
        slots.closed.insert("chat.update", until);
        let limit = Duration::from_mins(1);
        assert_eq!(slots.take("chat.update", None, start, limit), Ok(until));
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_closes_its_method_only() {
        let pace = Pace::slack();
        pace.close("chat.update", 90);
        let closed = pace.wait("chat.update", None, Patience::Long).await;
        assert_eq!(closed, Err(SendError::Later { after: 91 }));
        let open = pace.wait("chat.delete", None, Patience::Short).await;
        assert_eq!(open, Ok(()));
        tokio::time::advance(Duration::from_secs(45)).await;
        assert_eq!(pace.wait("chat.update", None, Patience::Long).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_wait_for_their_turn() {
        let pace = Pace::slack();
        let started = Instant::now();
        let mut left = Vec::new();
        for channel in ["D1", "D1", "D2", "D3", "D4", "D5", "D6"] {
            let turn = pace.wait("chat.postMessage", Some(channel), Patience::Long);
            assert_eq!(turn.await, Ok(()));
            left.push(started.elapsed().as_millis());
        }
        assert_eq!(left, [0, 1100, 1100, 1100, 1100, 1350, 1600]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_is_told_to_come_back() {
        let pace = Pace::slack();
        let turn = || pace.wait("chat.postMessage", Some("D1"), Patience::Short);
        assert_eq!(turn().await, Ok(()));
        assert_eq!(turn().await, Err(SendError::Later { after: 2 }));
        assert_eq!(turn().await, Err(SendError::Later { after: 2 }), "no slot was used up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_modal_never_waits() {
        let pace = Pace::slack();
        let started = Instant::now();
        for _ in 0..500 {
            let turn = pace.wait("views.open", None, Patience::Short);
            assert_eq!(turn.await, Ok(()));
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        pace.close("views.open", 30);
        let turn = pace.wait("views.open", None, Patience::Short).await;
        assert_eq!(turn, Err(SendError::Later { after: 31 }));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_who_need_not() {
        let pace = Pace::unlimited();
        pace.close("chat.postMessage", 600);
        for _ in 0..100 {
            let went = pace.wait("chat.postMessage", Some("D1"), Patience::Short);
            assert_eq!(went.await, Ok(()));
        }
    }
}
