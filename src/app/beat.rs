//! The loops, and how they turn.
//!
//! Apart, so that looking people up (Slack allows fifty a minute), a slow calendar or a backup delays
//! no question, and a rush of messages delays no plan. Each reads the clock once a unit of work and
//! sleeps until it is woken, until something is due, or for half a minute. What is done in a turn
//! stands in `rounds`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::metrics::Metrics;
use super::pulse::Pulse;
use crate::ports::Clock;

pub(super) const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Whatever is overdue and cannot be done, a turn is not taken more often than this.
const SHORTEST_SLEEP: Duration = Duration::from_millis(500);

/// The loops that others may wake, in the order in which they need each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    People,
    Calendars,
    Questions,
    Deliveries,
    Keeping,
    /// What was not heard the first time.
    Missed,
    /// A look after the store.
    Store,
}

impl Beat {
    pub const ALL: [Self; 7] = [
        Self::People,
        Self::Calendars,
        Self::Questions,
        Self::Deliveries,
        Self::Keeping,
        Self::Missed,
        Self::Store,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Calendars => "calendars",
            Self::Questions => "questions",
            Self::Deliveries => "deliveries",
            Self::Keeping => "keeping",
            Self::Missed => "what was missed",
            Self::Store => "the store",
        }
    }
}

/// Wakes the loops.
#[derive(Clone)]
pub struct Waker(Arc<[Notify; 7]>);

impl Waker {
    fn new() -> Self {
        Self(Arc::new(Beat::ALL.map(|_| Notify::new())))
    }

    /// There may be something to send.
    pub fn deliver(&self) {
        self.beat(Beat::Deliveries);
    }

    /// The clock was turned, or who knows what has changed.
    pub fn wake(&self) {
        for beat in Beat::ALL {
            self.beat(beat);
        }
    }

    pub(super) fn beat(&self, beat: Beat) {
        self.0[beat as usize].notify_one();
    }

    pub(super) async fn woken(&self, beat: Beat) {
        self.0[beat as usize].notified().await;
    }
}

/// The loops at work.
pub struct Beats {
    waker: Waker,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    pulse: Arc<Pulse>,
    stopping: CancellationToken,
    /// Asks for one turn of each.
    turns: Vec<mpsc::Sender<oneshot::Sender<()>>>,
    tasks: TaskTracker,
    died: watch::Sender<Option<&'static str>>,
}

/// What one loop needs to go on.
struct Loop {
    beat: Beat,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    pulse: Arc<Pulse>,
    waker: Waker,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    stopping: CancellationToken,
}

impl Beats {
    /// None yet: see [`Beats::start`].
    pub(super) fn new(
        clock: &Arc<dyn Clock>,
        metrics: &Arc<Metrics>,
        pulse: &Arc<Pulse>,
        stopping: &CancellationToken,
    ) -> Self {
        Self {
            waker: Waker::new(),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
            pulse: Arc::clone(pulse),
            stopping: stopping.clone(),
            turns: Vec::new(),
            tasks: TaskTracker::new(),
            died: watch::Sender::new(None),
        }
    }

    /// Takes turns from now on. A turn answers when it is next needed.
    pub(super) fn start<F, T>(&mut self, beat: Beat, turn: F)
    where
        F: Fn(Timestamp) -> T + Send + 'static,
        T: Future<Output = anyhow::Result<Option<Timestamp>>> + Send + 'static,
    {
        let (ask, asked) = mpsc::channel(1);
        let this = Loop {
            beat,
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            pulse: Arc::clone(&self.pulse),
            waker: self.waker.clone(),
            asked,
            stopping: self.stopping.clone(),
        };
        self.turns.push(ask);
        watched(&self.tasks, &self.died, beat.name(), this.run(turn));
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// One whole turn of each loop, one after the other, when nothing else is going on.
    pub(super) async fn catch_up(&self, follow_ups: &TaskTracker) {
        // What a first round sends may be followed by an update in the second.
        for _ in 0..2 {
            follow_ups.close();
            follow_ups.wait().await;
            follow_ups.reopen();
            for turn in &self.turns {
                let (done, finished) = oneshot::channel();
                if turn.send(done).await.is_ok() {
                    // An error means that the loop is gone: nothing is left to wait for.
                    let _ = finished.await;
                }
            }
        }
    }

    /// Waits until a loop has ended by a panic, and says which.
    pub(super) async fn died(&self) -> &'static str {
        let mut died = self.died.subscribe();
        let name = died.wait_for(Option::is_some).await.ok().and_then(|name| *name);
        name.unwrap_or("somebody")
    }

    pub(super) async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Spawns a loop. A bot without it would only look alive, so its panic is told.
fn watched(
    tasks: &TaskTracker,
    died: &watch::Sender<Option<&'static str>>,
    name: &'static str,
    turning: impl Future<Output = ()> + Send + 'static,
) {
    let (turning, died) = (tasks.spawn(turning), died.clone());
    tasks.spawn(async move {
        if turning.await.is_err_and(|error| error.is_panic()) {
            died.send_replace(Some(name));
        }
    });
}

impl Loop {
    /// Turns until told to stop.
    async fn run<F, T>(mut self, turn: F)
    where
        F: Fn(Timestamp) -> T,
        T: Future<Output = anyhow::Result<Option<Timestamp>>>,
    {
        let mut waiting: Option<oneshot::Sender<()>> = None;
        while !self.stopping.is_cancelled() {
            let now = self.clock.now();
            self.pulse.wakes(self.beat);
            let turned = turn(now).await;
            self.pulse.sleeps(self.beat);
            self.metrics.ran(self.beat.name(), turned.is_ok(), now);
            let sleep = match turned {
                Ok(next) => next.map_or(LONGEST_SLEEP, |next| {
                    let left = next.duration_since(self.clock.now());
                    Duration::try_from(left).unwrap_or_default()
                }),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, during = self.beat.name(), "trying again soon");
                    Duration::from_secs(5)
                }
            };
            if let Some(done) = waiting.take() {
                // Whoever asked may be gone.
                let _ = done.send(());
            }
            // In this order, so that the same events always lead to the same turns.
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                Some(done) = self.asked.recv() => waiting = Some(done),
                () = self.waker.woken(self.beat) => {}
                () = tokio::time::sleep(sleep.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f42_a_loop_that_panics_is_told_of_one_that_ends_is_not() {
        let (tasks, died) = (TaskTracker::new(), watch::Sender::new(None));
        watched(&tasks, &died, "good", async {});
        watched(&tasks, &died, "bad", async { panic!("on purpose") });
        tasks.close();
        tasks.wait().await;
        assert_eq!(*died.borrow(), Some("bad"));
    }
}
