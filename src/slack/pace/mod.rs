//! How fast we may call Slack.
//!
//! Slack allows a message a second per conversation and several hundred a minute per workspace;
//! other methods have a tier, counted per minute. What it really allows nobody knows, so each method
//! has a gate that goes a little faster while calls wait and all is well, and a good deal
//! slower after a refusal. Callers wait in line: who looks at a screen first, then questions, then
//! the rest, though nobody for ever. A caller who would wait too long is told to come back instead.

mod gate;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::gate::{Gate, Turn, Waiter};
use crate::ports::SendError;

const PER_CHANNEL: Duration = Duration::from_millis(1100);
/// Conversations remembered before idle ones are dropped.
const CHANNELS_KEPT: usize = 1000;
/// Where messages go: the one method that counts per conversation, too.
const POST: &str = "chat.postMessage";

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A person looks at the screen.
    People,
    /// Somebody is asked or answered.
    Questions,
    /// Everything else.
    Background,
}

impl Lane {
    /// How long a caller waits at most.
    fn patience(self) -> Duration {
        match self {
            Self::People => Duration::from_secs(1),
            Self::Questions | Self::Background => Duration::from_mins(1),
        }
    }

    /// By how much whoever came later may go first. It is what keeps the last lane from starving.
    fn courtesy(self) -> Duration {
        match self {
            Self::People => Duration::ZERO,
            Self::Questions => Duration::from_secs(10),
            Self::Background => Duration::from_secs(20),
        }
    }
}

/// Our own rate limits.
#[derive(Debug)]
pub struct Pace {
    /// `None`: as fast as asked.
    gates: Option<Mutex<Gates>>,
}

#[derive(Debug, Default)]
struct Gates {
    by_method: HashMap<&'static str, Gate>,
    /// When each conversation may get its next message.
    channels: HashMap<String, Instant>,
    /// Calls a minute of methods, as learnt before we were started.
    recalled: HashMap<String, f64>,
    /// Most messages a minute, if somebody has set it.
    most_posts: Option<f64>,
    waiters: u64,
    is_over: bool,
}

/// Leave to make one call; what became of it is told with [`Pace::went`] or [`Pace::refused`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    method: &'static str,
    left: Instant,
    /// It had to wait for the gate, so the gate's rate was put to the test.
    was_held: bool,
}

/// A place in the line of a gate, given up when dropped.
struct Place<'p> {
    gates: &'p Mutex<Gates>,
    method: &'static str,
    id: u64,
}

impl Pace {
    /// Begins with the limits that Slack documents, and learns the rest.
    pub fn slack() -> Self {
        Self { gates: Some(Mutex::default()) }
    }

    /// No limits, for a workspace of our own.
    pub fn unlimited() -> Self {
        Self { gates: None }
    }

    /// The same, with never more than so many new messages a minute, if there is such a number.
    #[must_use]
    pub fn at_most(self, per_minute: Option<u32>) -> Self {
        if let Some(mut gates) = self.gates() {
            gates.most_posts = per_minute.map(f64::from);
        }
        self
    }

    /// Calls a minute of every method that was put to the test.
    pub fn learnt(&self) -> Vec<(String, f64)> {
        let Some(gates) = self.gates() else { return Vec::new() };
        let tested = gates.by_method.iter().filter(|(_, gate)| gate.is_tested());
        let mut learnt: Vec<(String, f64)> =
            tested.map(|(method, gate)| ((*method).to_owned(), gate.per_minute())).collect();
        learnt.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        learnt
    }

    /// Goes on with what was learnt before.
    pub fn recall(&self, rates: impl IntoIterator<Item = (String, f64)>) {
        if let Some(mut gates) = self.gates() {
            for (method, per_minute) in rates {
                let mut known = gates.by_method.iter_mut();
                if let Some((_, gate)) = known.find(|(known, _)| **known == method) {
                    gate.recall(per_minute);
                }
                gates.recalled.insert(method, per_minute);
            }
        }
    }

    /// Sends everybody who waits in the background away, because the program ends.
    pub fn stop(&self) {
        if let Some(mut gates) = self.gates() {
            gates.is_over = true;
            gates.by_method.values().for_each(Gate::ring_all);
        }
    }

    /// Waits until `method` may be called.
    pub(super) async fn wait(
        &self,
        method: &'static str,
        channel: Option<&str>,
        lane: Lane,
    ) -> Result<Pass, SendError> {
        let Some(gates) = &self.gates else {
            return Ok(Pass { method, left: Instant::now(), was_held: false });
        };
        let bell = Arc::new(Notify::new());
        let place = Place::take(gates, method, channel, lane, &bell);
        loop {
            let turn = locked(gates).turn(method, place.id, Instant::now());
            match turn {
                Turn::Go { was_held } => {
                    return Ok(Pass { method, left: Instant::now(), was_held });
                }
                Turn::Never { wait } => {
                    return Err(SendError::Later { after: wait.as_secs() + 1 });
                }
                Turn::At(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = bell.notified() => {}
                },
                Turn::NotYet => bell.notified().await,
            }
        }
    }

    /// The call went through, whatever else Slack said.
    pub(super) fn went(&self, pass: Pass) {
        self.at_gate(pass.method, |gate| gate.went(pass.left, pass.was_held));
    }

    /// Slack asked us to slow down.
    pub(super) fn refused(&self, pass: Pass, after: u64) {
        self.at_gate(pass.method, |gate| {
            gate.refused(pass.left, Duration::from_secs(after), Instant::now());
        });
    }

    /// Something else than our speed stands in the way of `method` for so many seconds.
    pub(super) fn close(&self, method: &'static str, after: u64) {
        self.at_gate(method, |gate| gate.close(Instant::now() + Duration::from_secs(after)));
    }

    fn at_gate(&self, method: &'static str, work: impl FnOnce(&mut Gate)) {
        if let Some(mut gates) = self.gates() {
            work(gates.gate(method));
        }
    }

    fn gates(&self) -> Option<MutexGuard<'_, Gates>> {
        self.gates.as_ref().map(locked)
    }
}

fn locked(gates: &Mutex<Gates>) -> MutexGuard<'_, Gates> {
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gates {
    fn gate(&mut self, method: &'static str) -> &mut Gate {
        let (recalled, most) = (&self.recalled, self.most_posts.filter(|_| method == POST));
        self.by_method.entry(method).or_insert_with(|| {
            let mut gate = Gate::of(method, most, Instant::now());
            if let Some(per_minute) = recalled.get(method) {
                gate.recall(*per_minute);
            }
            gate
        })
    }

    /// Whether it is the turn of a waiter, who then is out of the line.
    fn turn(&mut self, method: &'static str, id: u64, now: Instant) -> Turn {
        let Some(gate) = self.by_method.get_mut(method) else {
            return Turn::Never { wait: Duration::ZERO };
        };
        let (turn, channel) = gate.turn(id, &self.channels, self.is_over, now);
        if let (Turn::Go { .. }, Some(channel)) = (&turn, channel) {
            if self.channels.len() >= CHANNELS_KEPT {
                self.channels.retain(|_, free| *free > now);
            }
            self.channels.insert(channel, now + PER_CHANNEL);
        }
        turn
    }
}

impl<'p> Place<'p> {
    fn take(
        gates: &'p Mutex<Gates>,
        method: &'static str,
        channel: Option<&str>,
        lane: Lane,
        bell: &Arc<Notify>,
    ) -> Self {
        let now = Instant::now();
        let mut all = locked(gates);
        all.waiters += 1;
        let id = all.waiters;
        all.gate(method).enter(Waiter {
            id,
            rank: (now + lane.courtesy(), id),
            leaves_at: now + lane.patience(),
            is_person: lane == Lane::People,
            channel: channel.filter(|_| method == POST).map(str::to_owned),
            bell: Arc::clone(bell),
        });
        Self { gates, method, id }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut gates = locked(self.gates);
        let Gates { by_method, channels, .. } = &mut *gates;
        if let Some(gate) = by_method.get_mut(self.method) {
            gate.leave(self.id, channels, Instant::now());
        }
    }
}
