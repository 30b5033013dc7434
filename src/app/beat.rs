//! The loops: people, calendars, questions, deliveries.
//!
//! Four, so that looking people up (Slack allows fifty a minute) or a slow calendar delays no
//! question, and a rush of messages delays no plan. Each reads the clock once a unit of work and
//! sleeps until it is woken, until something is due, or for half a minute.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::rates::Rates;
use super::roster::RosterFile;
use super::web::Metrics;
use crate::flows::deliver::{self, UnderWay};
use crate::flows::{Bot, collect, digest, enroll, notice, prompt, remind};
use crate::ports::Clock;

const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Whatever is overdue and cannot be done, a turn is not taken more often than this.
const SHORTEST_SLEEP: Duration = Duration::from_millis(500);
/// While messages are under way, how often we look for others that have become due.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Wakes the loops.
#[derive(Clone)]
pub struct Waker(Arc<[Arc<Notify>; 4]>);

impl Waker {
    /// There may be something to send.
    pub fn deliver(&self) {
        let [.., delivering] = &*self.0;
        delivering.notify_one();
    }

    /// The clock was turned, or who knows what has changed.
    pub fn wake(&self) {
        for wake in self.0.iter() {
            wake.notify_one();
        }
    }
}

/// The four loops.
pub struct Beats {
    waker: Waker,
    /// Asks for one turn of each, in the order in which they need each other.
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

/// Where messages leave from.
struct Sender {
    bot: Bot,
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
    metrics: Arc<Metrics>,
    rates: Arc<Rates>,
    stopping: CancellationToken,
    /// A row could not be recorded: once nothing is under way, what is left is looked up.
    has_lost: AtomicBool,
}

impl Beats {
    pub(super) fn start(
        bot: &Bot,
        clock: &Arc<dyn Clock>,
        roster: RosterFile,
        (metrics, rates): (&Arc<Metrics>, &Arc<Rates>),
        stopping: &CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        let new = |name: &'static str| {
            let (ask, asked) = mpsc::channel(1);
            let wake = Arc::new(Notify::new());
            let (clock, stopping) = (Arc::clone(clock), stopping.clone());
            (Loop { name, clock, wake: Arc::clone(&wake), asked, stopping }, wake, ask)
        };
        let (greeting, greeter, greet) = new("people");
        let (collecting, collector, collect) = new("calendars");
        let (planning, planner, plan) = new("questions");
        let (delivering, deliverer, deliver) = new("deliveries");
        let wakers = [greeter, collector, planner, deliverer];
        let waker = Waker(Arc::new(wakers.clone()));
        let [_, collector, planner, deliverer] = wakers;

        let (this, roster) = (bot.clone(), Arc::new(Mutex::new(roster)));
        let (wake_collector, wake_planner) = (collector, Arc::clone(&planner));
        tasks.spawn(greeting.run(move |now| {
            let wakes = [Arc::clone(&wake_collector), Arc::clone(&wake_planner)];
            greet_all(this.clone(), Arc::clone(&roster), wakes, now)
        }));
        let this = bot.clone();
        tasks
            .spawn(collecting.run(move |now| collect_all(this.clone(), Arc::clone(&planner), now)));
        let (this, wake_deliverer) = (bot.clone(), Arc::clone(&deliverer));
        tasks.spawn(
            planning.run(move |now| plan_all(this.clone(), Arc::clone(&wake_deliverer), now)),
        );
        let sender = Arc::new(Sender {
            bot: bot.clone(),
            clock: Arc::clone(clock),
            wake: deliverer,
            metrics: Arc::clone(metrics),
            rates: Arc::clone(rates),
            stopping: stopping.clone(),
            has_lost: AtomicBool::new(false),
        });
        tasks.spawn(delivering.run(move |_| {
            let sender = Arc::clone(&sender);
            async move { sender.send_all().await }
        }));
        tasks.close();
        Self { waker, turns: [greet, collect, plan, deliver], tasks }
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

/// Applies the roster, looks people up and opens conversations with them; there may be more.
async fn greet_all(
    bot: Bot,
    roster: Arc<Mutex<RosterFile>>,
    wakes: [Arc<Notify>; 2],
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    let is_new = roster.lock().await.reload(&bot, now).await?;
    // Slack counts the two apart, so neither has to wait for the other.
    let (looked_up, opened) = tokio::join!(enroll::run(&bot, now), enroll::open_ahead(&bot, now));
    let looked_up = looked_up?;
    if is_new || looked_up > 0 {
        // They may live elsewhere, or be there at all.
        for wake in &wakes {
            wake.notify_one();
        }
    }
    let are_more = opened? || looked_up == enroll::AT_ONCE as usize;
    Ok(are_more.then_some(now))
}

/// Asks about what is due; says when something is due next.
async fn plan_all(
    bot: Bot,
    deliverer: Arc<Notify>,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    let asked = prompt::run(&bot, now).await?;
    deliverer.notify_one();
    remind::run(&bot, now).await?;
    digest::run(&bot, now).await?;
    notice::run(&bot, now).await?;
    bot.store.transact(move |tx| tx.forget_deliveries(now)).await?;
    deliverer.notify_one();
    if asked == prompt::AT_ONCE as usize {
        // There may be more, and the clock has gone on meanwhile.
        return Ok(Some(now));
    }
    bot.store.read(move |tx| tx.next_due_at(now)).await
}

impl Sender {
    /// Sends until nothing is left that is due; says when something is due next.
    async fn send_all(&self) -> anyhow::Result<Option<Timestamp>> {
        if self.has_lost.load(Ordering::Relaxed) {
            deliver::doubt_orphans(&self.bot.store, self.clock.now()).await?;
            self.has_lost.store(false, Ordering::Relaxed);
        }
        let mut under_way = UnderWay::default();
        let sent = self.send_while_due(&mut under_way).await;
        if sent.is_err() {
            self.has_lost.store(true, Ordering::Relaxed);
            // The others are on their way all the same.
            while under_way.next().await.is_some() {}
        }
        self.rates.keep(&self.bot.store, self.clock.now()).await?;
        sent?;
        deliver::next_at(&self.bot).await
    }

    async fn send_while_due(&self, under_way: &mut UnderWay) -> anyhow::Result<()> {
        loop {
            let is_over = self.stopping.is_cancelled();
            if !is_over {
                let now = self.clock.now();
                self.metrics.handled(under_way.fill(&self.bot, now).await?);
                self.rates.keep(&self.bot.store, now).await?;
            }
            if under_way.is_empty() {
                return Ok(());
            }
            tokio::select! {
                done = under_way.next() => done.transpose()?.unwrap_or_default(),
                () = self.wake.notified() => {}
                () = self.stopping.cancelled(), if !is_over => {}
                () = tokio::time::sleep(LOOK_AROUND) => {}
            }
        }
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
