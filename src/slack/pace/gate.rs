//! The line before one method.
//!
//! Calls leave at the gate's rate, a few at once after a quiet time. The rate grows by a little with
//! every call that had to wait for it and went well, so that it is only raised where it is used; it
//! falls to seven tenths after a refusal, once for all calls that were under way together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::POST;

/// What is left of a rate after a refusal.
const AFTER_REFUSAL: f64 = 0.7;
/// A refusal does not push a rate below this share of what Slack documents.
const LEAST: f64 = 0.1;
/// No workspace lets us do more than this in a second.
const MOST: f64 = 200.0;

/// One method's line and rate.
#[derive(Debug)]
pub(super) struct Gate {
    /// `None` for what cannot wait: a trigger is dead before its turn would come.
    tempo: Option<Tempo>,
    closed_until: Instant,
    reduced_at: Option<Instant>,
    refusals: u32,
    line: Vec<Waiter>,
}

/// Calls a second, and where they are in time.
#[derive(Debug)]
struct Tempo {
    rate: f64,
    /// What every good call adds.
    step: f64,
    least: f64,
    most: f64,
    /// How many may leave at once after a quiet time.
    burst: u32,
    /// When everything that left would have left at the rate alone.
    even: Instant,
    is_tested: bool,
}

/// Somebody in line.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: u64,
    /// The smallest goes first.
    pub(super) rank: (Instant, u64),
    pub(super) leaves_at: Instant,
    pub(super) is_person: bool,
    pub(super) channel: Option<String>,
    pub(super) bell: Arc<Notify>,
}

/// What somebody in line is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Go {
        was_held: bool,
    },
    /// First in line, at that moment.
    At(Instant),
    /// The bell will ring.
    NotYet,
    /// It would take this long, which is too long.
    Never {
        wait: Duration,
    },
}

impl Gate {
    pub(super) fn of(method: &str, most_per_minute: Option<f64>, now: Instant) -> Self {
        let tempo = documented(method).map(|(per_minute, burst, step)| {
            let rate = per_minute / 60.0;
            let most = most_per_minute.map_or(MOST, |most| most / 60.0);
            let least = (rate * LEAST).min(most);
            Tempo { rate: rate.min(most), step, least, most, burst, even: now, is_tested: false }
        });
        Self { tempo, closed_until: now, reduced_at: None, refusals: 0, line: Vec::new() }
    }

    pub(super) fn per_minute(&self) -> f64 {
        self.tempo.as_ref().map_or(f64::INFINITY, |tempo| tempo.rate * 60.0)
    }

    pub(super) fn is_tested(&self) -> bool {
        self.tempo.as_ref().is_some_and(|tempo| tempo.is_tested)
    }

    pub(super) fn recall(&mut self, per_minute: f64) {
        if let Some(tempo) = &mut self.tempo
            && per_minute.is_finite()
        {
            tempo.rate = (per_minute / 60.0).clamp(tempo.least, tempo.most);
            tempo.is_tested = true;
        }
    }

    pub(super) fn enter(&mut self, waiter: Waiter) {
        // Whoever was first may not be so any more: they find out when they wake.
        self.line.push(waiter);
    }

    /// Whoever is first now has to know.
    pub(super) fn leave(&mut self, id: u64, channels: &HashMap<String, Instant>, now: Instant) {
        self.line.retain(|waiter| waiter.id != id);
        if let Some((first, _)) = self.first(channels, now) {
            first.bell.notify_one();
        }
    }

    pub(super) fn ring_all(&self) {
        for waiter in &self.line {
            waiter.bell.notify_one();
        }
    }

    /// What the waiter `id` is to do, and to which conversation they go.
    pub(super) fn turn(
        &mut self,
        id: u64,
        channels: &HashMap<String, Instant>,
        is_over: bool,
        now: Instant,
    ) -> (Turn, Option<String>) {
        let Some(waiter) = self.line.iter().find(|waiter| waiter.id == id) else {
            return (Turn::Never { wait: Duration::ZERO }, None);
        };
        if is_over && !waiter.is_person {
            return (Turn::Never { wait: Duration::ZERO }, None);
        }
        let expected = self.expected(waiter, channels, now);
        if expected > waiter.leaves_at {
            return (Turn::Never { wait: expected - now }, None);
        }
        let Some((first, at)) = self.first(channels, now) else {
            return (Turn::NotYet, None);
        };
        if first.id != id {
            // Time alone may have put somebody else first, who does not know it yet.
            first.bell.notify_one();
            return (Turn::NotYet, None);
        }
        if at > now {
            return (Turn::At(at), None);
        }
        let channel = first.channel.clone();
        self.line.retain(|waiter| waiter.id != id);
        let was_held = self.tempo.as_mut().is_some_and(|tempo| tempo.leave(now));
        (Turn::Go { was_held }, channel)
    }

    /// A call that left then went well.
    pub(super) fn went(&mut self, left: Instant, was_held: bool) {
        let since = self.reduced_at.is_none_or(|reduced| left > reduced);
        if let Some(tempo) = self.tempo.as_mut().filter(|_| was_held && since) {
            tempo.rate = (tempo.rate + tempo.step).min(tempo.most);
            tempo.is_tested = true;
        }
    }

    /// A call that left then was refused, with a wait.
    pub(super) fn refused(&mut self, left: Instant, wait: Duration, now: Instant) {
        self.refusals = self.refusals.wrapping_add(1);
        // A little later than asked, differently each time, so that we meet nobody at the door.
        let spread = f64::from(self.refusals.wrapping_mul(0x9e37_79b9) >> 22) / 1024.0;
        let jitter = wait.min(Duration::from_secs(5)).mul_f64(0.1 + 0.2 * spread);
        let first = self.reduced_at.is_none_or(|reduced| left > reduced);
        if let Some(tempo) = self.tempo.as_mut().filter(|_| first) {
            tempo.rate = (tempo.rate * AFTER_REFUSAL).max(tempo.least);
            tempo.is_tested = true;
            self.reduced_at = Some(now);
        }
        self.close(now + wait + jitter);
    }

    /// Nobody goes before `until`; then at an even pace.
    pub(super) fn close(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(until);
        if let Some(tempo) = &mut self.tempo {
            tempo.even = tempo.even.max(until + tempo.interval() * (tempo.burst - 1));
        }
        self.ring_all();
    }

    /// Who goes next, and when.
    fn first(
        &self,
        channels: &HashMap<String, Instant>,
        now: Instant,
    ) -> Option<(&Waiter, Instant)> {
        let open = self.opens(now);
        let at = |waiter: &Waiter| open.max(free(waiter, channels, now));
        let first = self.line.iter().min_by_key(|waiter| (at(waiter), waiter.rank))?;
        Some((first, at(first)))
    }

    /// When `waiter` will be let through if nobody else comes.
    fn expected(
        &self,
        waiter: &Waiter,
        channels: &HashMap<String, Instant>,
        now: Instant,
    ) -> Instant {
        let ahead = self.line.iter().filter(|other| other.rank < waiter.rank).count();
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let interval = self.tempo.as_ref().map_or(Duration::ZERO, Tempo::interval);
        self.opens(now).max(free(waiter, channels, now)) + interval.saturating_mul(ahead)
    }

    fn opens(&self, now: Instant) -> Instant {
        let even = self.tempo.as_ref().map_or(now, |tempo| tempo.next(now));
        self.closed_until.max(even).max(now)
    }
}

fn free(waiter: &Waiter, channels: &HashMap<String, Instant>, now: Instant) -> Instant {
    waiter.channel.as_ref().and_then(|channel| channels.get(channel)).copied().unwrap_or(now)
}

impl Tempo {
    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    /// When the next call may leave.
    fn next(&self, now: Instant) -> Instant {
        self.even.checked_sub(self.interval() * (self.burst - 1)).unwrap_or(now)
    }

    /// One call leaves. Says whether it had to wait for the rate, or the next one will.
    fn leave(&mut self, now: Instant) -> bool {
        let interval = self.interval();
        self.even = self.even.max(now) + interval;
        self.even > now + interval.mul_f64(f64::from(self.burst) - 0.5)
    }
}

/// Calls a minute that Slack documents, how many may leave at once, and what a good call adds to
/// the calls a second. Half of a minute's calls may leave at once: even in the worst minute that is
/// half more than the tier.
fn documented(method: &str) -> Option<(f64, u32, f64)> {
    let per_minute: u32 = match method {
        "views.open" | "views.update" => return None,
        POST => return Some((300.0, 4, 0.02)),
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
    Some((f64::from(per_minute), per_minute / 2, f64::from(per_minute) / 60.0 * 0.004))
}
