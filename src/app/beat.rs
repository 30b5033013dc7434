//! The loops: calendars, questions, deliveries, keeping, and a look after the store.
//!
//! Apart, so that a slow calendar delays no question, a rush of messages delays no plan and a backup
//! delays nothing. Each
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
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keep::Keeper;
use super::roster::RosterFile;
use super::web::Metrics;
use crate::flows::{Bot, collect, deliver, digest, enroll, prompt, remind};
use crate::ports::Clock;

const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Whatever is overdue and cannot be done, a turn is not taken more often than this.
const SHORTEST_SLEEP: Duration = Duration::from_millis(500);

/// Wakes the loops.
#[derive(Clone)]
pub struct Waker(Arc<[Arc<Notify>; 4]>);

impl Waker {
    /// There may be something to send.
    pub fn deliver(&self) {
        let [_, _, delivering, _] = &*self.0;
        delivering.notify_one();
    }

    /// The clock was turned, or who knows what has changed.
    pub fn wake(&self) {
        for wake in self.0.iter() {
            wake.notify_one();
        }
    }
}

/// The loops.
pub struct Beats {
    waker: Waker,
    /// Asks for one turn of: questions (they know the roster), calendars, questions, deliveries,
    /// keeping, the store.
    turns: [mpsc::Sender<oneshot::Sender<()>>; 6],
    tasks: TaskTracker,
    died: watch::Sender<Option<&'static str>>,
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
        keeper: Keeper,
        metrics: &Arc<Metrics>,
        stopping: &CancellationToken,
    ) -> Self {
        let (tasks, died) = (TaskTracker::new(), watch::Sender::new(None));
        let new = |name: &'static str| {
            let (ask, asked) = mpsc::channel(1);
            let wake = Arc::new(Notify::new());
            let (clock, stopping) = (Arc::clone(clock), stopping.clone());
            (Loop { name, clock, wake: Arc::clone(&wake), asked, stopping }, wake, ask)
        };
        let (collecting, collector, collect) = new("calendars");
        let (planning, planner, plan) = new("questions");
        let (delivering, deliverer, deliver) = new("deliveries");
        let (keeping, wakes_keeper, keep) = new("keeping");
        let wakers =
            [Arc::clone(&collector), Arc::clone(&planner), Arc::clone(&deliverer), wakes_keeper];
        let waker = Waker(Arc::new(wakers));
        let (watching, _, watch) = new("the store");

        let this = bot.clone();
        let collecting =
            collecting.run(move |now| collect_all(this.clone(), Arc::clone(&planner), now));
        watched(&tasks, &died, "calendars", collecting);
        let (this, roster) = (bot.clone(), Arc::new(Mutex::new(roster)));
        let planning = planning.run(move |now| {
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
        });
        watched(&tasks, &died, "questions", planning);
        let (this, metrics) = (bot.clone(), Arc::clone(metrics));
        let delivering =
            delivering.run(move |now| deliver_all(this.clone(), Arc::clone(&metrics), now));
        watched(&tasks, &died, "deliveries", delivering);
        let (store, keeper) = (Arc::clone(&bot.store), Arc::new(keeper));
        let keeping = keeping.run(move |now| {
            let (store, keeper) = (Arc::clone(&store), Arc::clone(&keeper));
            async move { keeper.turn(&store, now).await }
        });
        watched(&tasks, &died, "keeping", keeping);
        let this = bot.clone();
        watched(&tasks, &died, "the store", watching.run(move |_| look_after(this.clone())));
        tasks.close();
        Self { waker, turns: [plan.clone(), collect, plan, deliver, keep, watch], tasks, died }
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

/// Half a minute is soon enough to see that somebody took the store away.
async fn look_after(bot: Bot) -> anyhow::Result<Option<Timestamp>> {
    tokio::task::spawn_blocking(move || bot.store.look_after()).await?;
    Ok(None)
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
    bot.store.transact_behind(move |tx| tx.forget_deliveries(now)).await?;
    bot.store.read(|tx| tx.next_due_at()).await
}

async fn deliver_all(
    bot: Bot,
    metrics: Arc<Metrics>,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    loop {
        let handled = deliver::run(&bot, now).await?;
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
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.wake.notified() => {}
                Some(done) = self.asked.recv() => waiting = Some(done),
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
