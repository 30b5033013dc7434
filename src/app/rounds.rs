//! What each loop does in a turn.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::beat::{Beat, Beats, Waker};
use super::keep::Keeper;
use super::metrics::Metrics;
use super::pulse::Pulse;
use super::rates::Rates;
use super::roster::RosterFile;
use crate::flows::deliver::{self, UnderWay};
use crate::flows::digest::{self, Slots};
use crate::flows::recount::Recount;
use crate::flows::{Bot, collect, enroll, notice, prompt, remind};
use crate::ports::Clock;

/// While messages are under way, how often we look for others that have become due.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// The same when something was queued: many answers in a moment cause one look, not one each.
const BREATH: Duration = Duration::from_millis(20);

/// How many answers' words are indexed in one go, some milliseconds, and how many goes a turn has.
const INDEX_AT_ONCE: u32 = 100;
const INDEX_ROUNDS: usize = 10;

/// What the rounds need besides the bot.
pub(super) struct Kit {
    pub(super) roster: RosterFile,
    pub(super) metrics: Arc<Metrics>,
    /// Where nothing is kept, nothing is backed up or forgotten.
    pub(super) keeper: Option<Keeper>,
    /// Where there is a pace to remember.
    pub(super) rates: Option<Arc<Rates>>,
}

/// Starts the loops.
pub(super) fn start(
    bot: &Bot,
    clock: &Arc<dyn Clock>,
    kit: Kit,
    pulse: &Arc<Pulse>,
    stopping: &CancellationToken,
) -> Beats {
    let Kit { roster, metrics, keeper, rates } = kit;
    let mut beats = Beats::new(clock, &metrics, pulse, stopping);
    let (this, waker, roster) = (bot.clone(), beats.waker(), Arc::new(Mutex::new(roster)));
    let counted = Arc::clone(&metrics);
    beats.start(Beat::People, move |now| {
        greet_all(this.clone(), Arc::clone(&roster), Arc::clone(&counted), waker.clone(), now)
    });
    let (this, waker) = (bot.clone(), beats.waker());
    beats.start(Beat::Calendars, move |now| collect_all(this.clone(), waker.clone(), now));
    let (this, waker) = (bot.clone(), beats.waker());
    let recount = Arc::new(Mutex::new(Recount::default()));
    let slots = Arc::new(Slots::default());
    beats.start(Beat::Questions, move |now| {
        let (bot, waker, slots) = (this.clone(), waker.clone(), Arc::clone(&slots));
        let (recount, metrics) = (Arc::clone(&recount), Arc::clone(&metrics));
        async move {
            let next = plan_all(&bot, waker, &slots, now).await?;
            metrics.recounted(recount.lock().await.run(&bot, now).await?, now);
            Ok(next)
        }
    });
    let sender = Arc::new(Sender {
        bot: bot.clone(),
        clock: Arc::clone(clock),
        waker: beats.waker(),
        rates,
        stopping: stopping.clone(),
        has_lost: AtomicBool::new(false),
    });
    beats.start(Beat::Deliveries, move |_| {
        let sender = Arc::clone(&sender);
        async move { sender.send_all().await }
    });
    if let Some(keeper) = keeper {
        let (store, keeper) = (Arc::clone(&bot.store), Arc::new(keeper));
        beats.start(Beat::Keeping, move |now| {
            let (store, keeper) = (Arc::clone(&store), Arc::clone(&keeper));
            async move { keeper.turn(&store, now).await }
        });
    }
    let this = bot.clone();
    beats.start(Beat::Store, move |now| {
        // Half a minute is soon enough to see that somebody took the store away.
        this.store.look_after();
        index_all(this.clone(), now)
    });
    beats
}

/// Applies the roster, looks people up and opens conversations with them; there may be more.
async fn greet_all(
    bot: Bot,
    roster: Arc<Mutex<RosterFile>>,
    metrics: Arc<Metrics>,
    waker: Waker,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    let is_new = {
        let mut roster = roster.lock().await;
        let is_new = roster.reload(&bot, now).await?;
        metrics.roster_read.set(i64::from(roster.is_well()));
        is_new
    };
    // Slack counts the two apart, so neither has to wait for the other.
    let (looked_up, opened) = tokio::join!(enroll::run(&bot, now), enroll::open_ahead(&bot, now));
    let looked_up = looked_up?;
    if is_new || looked_up > 0 {
        // They may live elsewhere, or be there at all.
        waker.beat(Beat::Calendars);
        waker.beat(Beat::Questions);
    }
    let are_more = opened? || looked_up == enroll::AT_ONCE as usize;
    Ok(are_more.then_some(now))
}

/// Reads every calendar that is due; says when the next one is.
async fn collect_all(bot: Bot, waker: Waker, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
    while collect::run(&bot, now).await? > 0 {
        waker.beat(Beat::Questions);
    }
    bot.store.read(|tx| tx.next_feed_at()).await
}

/// Asks about what is due; says when something is due next.
async fn plan_all(
    bot: &Bot,
    waker: Waker,
    slots: &Arc<Slots>,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    let asked = prompt::run(bot, now).await?;
    waker.deliver();
    remind::run(bot, now).await?;
    digest::run(bot, slots, now).await?;
    notice::run(bot, now).await?;
    bot.store.transact_behind(move |tx| tx.forget_deliveries(now)).await?;
    waker.deliver();
    if asked == prompt::AT_ONCE as usize {
        // There may be more, and the clock has gone on meanwhile.
        return Ok(Some(now));
    }
    bot.store.read(move |tx| tx.next_due_at(now)).await
}

/// Indexes words; if there are more, soon again. Whoever searches before that has theirs indexed first.
async fn index_all(bot: Bot, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
    for _ in 0..INDEX_ROUNDS {
        if !bot.store.transact_behind(|tx| tx.index_words(INDEX_AT_ONCE)).await? {
            return Ok(None);
        }
    }
    Ok(Some(now))
}

/// Where messages leave from.
struct Sender {
    bot: Bot,
    clock: Arc<dyn Clock>,
    waker: Waker,
    rates: Option<Arc<Rates>>,
    stopping: CancellationToken,
    /// A row could not be recorded: once nothing is under way, what is left is looked up.
    has_lost: AtomicBool,
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
        self.keep_rates().await?;
        sent?;
        Ok(under_way.next_at(&self.bot))
    }

    async fn send_while_due(&self, under_way: &mut UnderWay) -> anyhow::Result<()> {
        loop {
            let is_over = self.stopping.is_cancelled();
            if !is_over {
                under_way.fill(&self.bot, self.clock.now()).await?;
                self.keep_rates().await?;
            }
            if under_way.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                done = under_way.next() => done.transpose()?.unwrap_or_default(),
                () = self.stopping.cancelled(), if !is_over => {}
                () = self.woken() => {}
                () = tokio::time::sleep(LOOK_AROUND) => {}
            }
        }
    }

    async fn woken(&self) {
        self.waker.woken(Beat::Deliveries).await;
        tokio::time::sleep(BREATH).await;
    }

    async fn keep_rates(&self) -> anyhow::Result<()> {
        match &self.rates {
            Some(rates) => rates.keep(&self.bot.store, self.clock.now()).await,
            None => Ok(()),
        }
    }
}
