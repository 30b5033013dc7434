//! What keeps us from sending: told by one row, it holds for all of them.
//!
//! Three things do. A queue waits because Slack asked for it. New messages wait, longer each time,
//! after several in a row were met with silence. Everything waits once our token is refused; then,
//! as after silence, one row a time tries whether things are better. It lives in memory: a new
//! process asks Slack who it is before it sends anything.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::store::outbox::Queue;

/// How long nothing is sent after our token was refused.
const REFUSED_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// So many new messages in a row without an answer, and we stop.
const SILENCE: u32 = 3;
const LONGEST_SILENCE: i64 = 300;

/// Shared by everything that sends.
#[derive(Debug, Default)]
pub struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    refusal: Option<Refusal>,
    unanswered: u32,
    silence: Option<Silence>,
    waits: HashMap<Queue, Timestamp>,
}

#[derive(Debug)]
struct Refusal {
    code: String,
    again_at: Timestamp,
    /// A row is trying; until it knows, no other does.
    is_tried: bool,
}

#[derive(Debug)]
struct Silence {
    /// How often it was tried in vain.
    tries: u32,
    again_at: Timestamp,
}

impl Circuit {
    /// Slack's code for why nothing is sent at all, while it is so. A health figure.
    pub fn refusal(&self) -> Option<String> {
        self.state().refusal.as_ref().map(|refusal| refusal.code.clone())
    }

    /// Until when nothing of a queue is sent; a moment in the past means that it is open.
    pub fn closed_until(&self, queue: Queue) -> Option<Timestamp> {
        let state = self.state();
        let refusal = state.refusal.as_ref().map(|refusal| refusal.again_at);
        let silence = state.silence.as_ref().map(|silence| silence.again_at);
        let silence = silence.filter(|_| queue == Queue::Posts);
        [refusal, silence, state.waits.get(&queue).copied()].into_iter().flatten().max()
    }

    /// How many rows of a queue may go now, beside `busy` ones that are under way; `most` in all.
    pub(super) fn room(&self, queue: Queue, busy: usize, most: usize, now: Timestamp) -> usize {
        if self.closed_until(queue).is_some_and(|until| until > now) {
            return 0;
        }
        let state = self.state();
        let is_trying =
            state.refusal.is_some() || (queue == Queue::Posts && state.silence.is_some());
        if is_trying { usize::from(busy == 0) } else { most.saturating_sub(busy) }
    }

    /// So many rows go now. If they try whether things are better, no others do until they know.
    pub(super) fn sends(&self, rows: usize, now: Timestamp) {
        if let Some(refusal) = self.state().refusal.as_mut().filter(|_| rows > 0) {
            refusal.again_at = now + REFUSED_WAIT;
            refusal.is_tried = true;
        }
    }

    /// A row was settled without asking Slack anything: if it was to try, the next one may.
    pub(super) fn asked_nothing(&self, now: Timestamp) {
        let mut state = self.state();
        if let Some(refusal) = state.refusal.as_mut().filter(|refusal| refusal.is_tried) {
            refusal.again_at = now;
            refusal.is_tried = false;
        }
    }

    /// Slack took something.
    pub(super) fn went(&self, queue: Queue) {
        self.answered();
        if matches!(queue, Queue::Posts | Queue::Aside) {
            let mut state = self.state();
            state.unanswered = 0;
            if state.silence.take().is_some() {
                tracing::info!("Slack answers again");
            }
        }
    }

    /// Slack gave an answer that was not about us.
    pub(super) fn answered(&self) {
        if self.state().refusal.take().is_some() {
            tracing::info!("Slack takes our token again; sending what has waited");
        }
    }

    /// Slack wants nothing of a queue before `until`.
    pub(super) fn waits(&self, queue: Queue, until: Timestamp) {
        let mut state = self.state();
        let known = state.waits.entry(queue).or_insert(until);
        *known = until.max(*known);
    }

    /// Slack refuses our token.
    pub(super) fn refused(&self, code: &str, now: Timestamp) {
        let mut state = self.state();
        if state.refusal.is_none() {
            tracing::error!(
                code,
                "Slack refuses our token: nothing is sent until it works again; install the app \
                 again, or give it back what it may do"
            );
        }
        let again_at = now + REFUSED_WAIT;
        state.refusal = Some(Refusal { code: code.to_owned(), again_at, is_tried: false });
    }

    /// A new message was met with silence.
    pub(super) fn is_silent(&self, now: Timestamp) {
        let mut state = self.state();
        state.unanswered = state.unanswered.saturating_add(1);
        if state.unanswered < SILENCE {
            return;
        }
        let tries = match &state.silence {
            // Those that were under way together count once.
            Some(silence) if now < silence.again_at => return,
            Some(silence) => silence.tries.saturating_add(1),
            None => {
                tracing::warn!("Slack does not answer; new messages wait");
                0
            }
        };
        let wait = (1_i64 << tries.min(9)).min(LONGEST_SILENCE);
        let jitter = SignedDuration::from_millis(i64::from(state.unanswered % 10) * wait * 10);
        let again_at = now + SignedDuration::from_secs(wait) + jitter;
        state.silence = Some(Silence { tries, again_at });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_773_000_000 + seconds).unwrap()
    }

    #[test]
    fn f15_a_refused_token_stops_everything_but_one_try_a_minute() {
        let circuit = Circuit::default();
        assert_eq!(circuit.room(Queue::Posts, 0, 32, at(0)), 32);
        circuit.refused("invalid_auth", at(0));
        assert_eq!(circuit.refusal().as_deref(), Some("invalid_auth"));
        for queue in Queue::ALL {
            assert_eq!(circuit.room(queue, 0, 32, at(59)), 0);
            assert_eq!(circuit.room(queue, 0, 32, at(60)), 1);
        }
        circuit.sends(1, at(60));
        assert_eq!(circuit.room(Queue::Edits, 0, 4, at(60)), 0, "one try is under way");
        circuit.went(Queue::Posts);
        assert_eq!((circuit.room(Queue::Edits, 0, 4, at(61)), circuit.refusal()), (4, None));
    }

    #[test]
    fn f15_a_row_that_asks_slack_nothing_uses_up_no_try() {
        let circuit = Circuit::default();
        circuit.refused("invalid_auth", at(0));
        circuit.asked_nothing(at(1));
        assert_eq!(circuit.room(Queue::Posts, 0, 32, at(2)), 0, "it was not trying");
        circuit.sends(1, at(60));
        circuit.asked_nothing(at(60));
        assert_eq!(circuit.room(Queue::Posts, 0, 32, at(60)), 1);
        circuit.sends(1, at(60));
        circuit.refused("invalid_auth", at(61));
        assert_eq!(circuit.room(Queue::Posts, 0, 32, at(120)), 0, "this one asked");
    }

    #[test]
    fn f10_new_messages_wait_longer_the_longer_slack_is_silent() {
        let circuit = Circuit::default();
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..3 {
            circuit.is_silent(at(0));
        }
        for _ in 0..11 {
            let until = circuit.closed_until(Queue::Posts).unwrap();
            waits.push(until.as_second() - at(now).as_second());
            now = until.as_second() - at(0).as_second() + 1;
            assert_eq!(circuit.room(Queue::Posts, 0, 32, at(now)), 1);
            assert_eq!(circuit.room(Queue::Posts, 1, 32, at(now)), 0, "one try at a time");
            assert_eq!(circuit.room(Queue::Edits, 1, 4, at(now)), 3, "others go on");
            circuit.is_silent(at(now));
            circuit.is_silent(at(now));
        }
        let least = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        for (wait, least) in waits.iter().zip(least) {
            assert!((least..=least + least / 10 + 1).contains(wait), "{waits:?}");
        }
        circuit.went(Queue::Posts);
        assert_eq!(circuit.room(Queue::Posts, 0, 32, at(now)), 32);
    }

    #[test]
    fn f08_a_wait_holds_for_its_queue_alone() {
        let circuit = Circuit::default();
        circuit.waits(Queue::Posts, at(30));
        circuit.waits(Queue::Posts, at(7));
        assert_eq!(circuit.room(Queue::Posts, 0, 32, at(29)), 0);
        assert_eq!(circuit.room(Queue::Edits, 0, 4, at(29)), 4);
        assert_eq!(circuit.room(Queue::Posts, 0, 32, at(30)), 32);
    }
}
