//! The loops: calendars, questions, deliveries.
//!
//! Three, so that a slow calendar delays no question and a rush of messages delays no plan. Each
//! reads the clock once a turn and sleeps until it is woken, until something is due, or for half a
//! minute.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::roster::RosterFile;
use super::web::Metrics;
use crate::flows::{Bot, collect, deliver, digest, enroll, prompt, remind};
use crate::ports::Clock;

const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Whatever is overdue and cannot be done, a turn is not taken more often than this.
const SHORTEST_SLEEP: Duration = Duration::from_millis(500);

/// Wakes the loops.
#[derive(Clone)]
pub struct Waker(Arc<[Arc<Notify>; 3]>);

impl Waker {
    /// There may be something to send.
    pub fn deliver(&self) {
        let [_, _, delivering] = &*self.0;
        delivering.notify_one();
    }

    /// The clock was turned, or who knows what has changed.
    pub fn wake(&self) {
        for wake in self.0.iter() {
            wake.notify_one();
        }
    }
}

/// The three loops.
pub struct Beats {
    waker: Waker,
    /// Asks for one turn of: questions (they know the roster), calendars, questions, deliveries.
    turns: [mpsc::Sender<oneshot::Sender<()>>; 4],
    tasks: TaskTracker,
}

/// What one loop needs to go on.
struct Loop {
    name: &'static str,
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    stopping: CancellationToken,
}

impl Beats {
    pub(super) fn start(
        bot: &Bot,
        clock: &Arc<dyn Clock>,
        roster: RosterFile,
        metrics: &Arc<Metrics>,
        stopping: &CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        let new = |name: &'static str| {
            let (ask, asked) = mpsc::channel(1);
            let wake = Arc::new(Notify::new());
            let (clock, stopping) = (Arc::clone(clock), stopping.clone());
            (Loop { name, clock, wake: Arc::clone(&wake), asked, stopping }, wake, ask)
        };
        let (collecting, collector, collect) = new("calendars");
        let (planning, planner, plan) = new("questions");
        let (delivering, deliverer, deliver) = new("deliveries");
        let waker =
            Waker(Arc::new([Arc::clone(&collector), Arc::clone(&planner), Arc::clone(&deliverer)]));

        let this = bot.clone();
        tasks
            .spawn(collecting.run(move |now| collect_all(this.clone(), Arc::clone(&planner), now)));
        let (this, roster) = (bot.clone(), Arc::new(Mutex::new(roster)));
        tasks.spawn(planning.run(move |now| {
            let (bot, roster) = (this.clone(), Arc::clone(&roster));
            let (collector, deliverer) = (Arc::clone(&collector), Arc::clone(&deliverer));
            async move {
                let is_new = roster.lock().await.reload(&bot, now).await?;
                let looked_up = enroll::run(&bot, now).await?;
                if is_new || looked_up > 0 {
                    collector.notify_one();
                }
                let next = plan_all(&bot, now).await;
                deliverer.notify_one();
                next
            }
        }));
        let (this, metrics, clock) = (bot.clone(), Arc::clone(metrics), Arc::clone(clock));
        tasks.spawn(
            delivering
                .run(move |_| deliver_all(this.clone(), Arc::clone(&metrics), Arc::clone(&clock))),
        );
        tasks.close();
        Self { waker, turns: [plan.clone(), collect, plan, deliver], tasks }
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

    pub(super) async fn finished(&self) {
        self.tasks.wait().await;
    }
}

/// Reads every calendar that is due; says when the next one is.
async fn collect_all(
    bot: Bot,
    planner: Arc<Notify>,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    while collect::run(&bot, now).await? > 0 {
        planner.notify_one();
    }
    bot.store.read(|tx| tx.next_feed_at()).await
}

async fn plan_all(bot: &Bot, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
    prompt::run(bot, now).await?;
    remind::run(bot, now).await?;
    digest::run(bot, now).await?;
    bot.store.transact(move |tx| tx.forget_deliveries(now)).await?;
    bot.store.read(|tx| tx.next_due_at()).await
}

/// A rush takes minutes, so every batch has a time of its own.
async fn deliver_all(
    bot: Bot,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Option<Timestamp>> {
    loop {
        let handled = deliver::run(&bot, clock.now()).await?;
        if handled == 0 {
            return bot.store.read(|tx| tx.next_delivery_at()).await;
        }
        metrics.handled(handled);
    }
}

impl Loop {
    /// Turns until told to stop. A turn answers when it is next needed.
    async fn run<F, T>(mut self, turn: F)
    where
        F: Fn(Timestamp) -> T,
        T: Future<Output = anyhow::Result<Option<Timestamp>>>,
    {
        let mut waiting: Option<oneshot::Sender<()>> = None;
        while !self.stopping.is_cancelled() {
            let now = self.clock.now();
            let sleep = match turn(now).await {
                Ok(next) => next.map_or(LONGEST_SLEEP, |next| {
                    let left = next.duration_since(self.clock.now());
                    Duration::try_from(left).unwrap_or_default()
                }),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, during = self.name, "trying again soon");
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
                () = self.wake.notified() => {}
                () = tokio::time::sleep(sleep.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)) => {}
            }
        }
    }
}
