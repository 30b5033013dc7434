//! The bot under test, process by process: the real loops, handler, flows and store.
//!
//! A crash is a store that is closed without ceremony and a wire that never answers again. What is
//! left of a dead process gets no further than its next step; the next one opens the same file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use debrief::app::core::Core;
use debrief::app::roster::RosterFile;
use debrief::config::Config;
use debrief::flows::{Bot, Rules};
use debrief::ports::inbound::{Ack, Inbound};
use debrief::ports::{Calendar, Clock, Messenger};
use debrief::store::Store;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{sleep, timeout};

use super::calendars::Reader;
use super::slack::{Line, TEAM};
use super::trace;
use super::world::World;

/// How long Slack waits for an acknowledgement.
const ACK_WITHIN: Duration = Duration::from_secs(3);

/// Where a process dies, other than at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slip {
    BeforePost,
    /// Slack has answered, and it is not noted yet.
    AfterPost,
    /// The look has found something or nothing, and it is not noted yet.
    AfterLook,
    BeforeCommit,
    AfterCommit,
    /// The acknowledgement has left, and nothing else was done.
    AfterAck,
}

/// What stands for a process in the wires it uses.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) world: Arc<World>,
    pub(super) number: u32,
    alive: Arc<AtomicBool>,
}

/// A process at work.
pub(super) struct Life {
    pub(super) process: Process,
    pub(super) store: Arc<Store>,
    core: Core,
}

impl Process {
    fn is_dead(&self) -> bool {
        !self.alive.load(Ordering::SeqCst)
    }

    /// Hands an answer to a process that is still there; a dead one hears nothing, ever.
    pub(super) async fn survived<T>(&self, answer: T) -> T {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        answer
    }

    pub(super) async fn may_die(&self, slip: Slip) {
        if !self.is_dead() && self.world.slips(slip) {
            self.world.crash(&format!("{slip:?}"));
        }
        self.survived(()).await;
    }
}

struct BotClock(Arc<World>);

impl Clock for BotClock {
    fn now(&self) -> Timestamp {
        self.0.wall()
    }
}

impl World {
    /// Starts the bot on whatever the last one left behind.
    pub(super) async fn start(self: &Arc<Self>) {
        let number = self.next_process();
        trace::bot_is_dead(false);
        self.note(format!("start {number}"));
        let store = Arc::new(Store::open_inline(&self.path("debrief.db"), self.wall()).unwrap());
        let alive = Arc::new(AtomicBool::new(true));
        let process = Process { world: Arc::clone(self), number, alive };
        let bot = Bot {
            store: Arc::clone(&store),
            calendar: Arc::new(Reader(process.clone())) as Arc<dyn Calendar>,
            messenger: Arc::new(Line(process.clone())) as Arc<dyn Messenger>,
            rules: Arc::new(rules(&self.config)),
            team_id: TEAM.into(),
            circuit: Arc::default(),
            turns: Arc::default(),
            tally: Arc::default(),
        };
        let clock = Arc::new(BotClock(Arc::clone(self))) as Arc<dyn Clock>;
        let roster = RosterFile::new(self.path("roster.csv"));
        let core = Core::start(&bot, &clock, roster).await.unwrap();
        self.put(Life { process, store, core });
    }

    /// kill -9.
    pub(super) fn crash(&self, when: &str) {
        let Some(Life { process, store, core }) = self.take_life() else { return };
        process.alive.store(false, Ordering::SeqCst);
        self.note(format!("crash {}: {when}", process.number));
        trace::bot_is_dead(true);
        store.close();
        drop(core);
        self.has_died(process.number);
    }

    /// Hands something that somebody did to the bot, as Slack does; what Slack hears of it.
    pub(super) async fn deliver(self: &Arc<Self>, inbound: Inbound) -> Option<Ack> {
        let (process, handler) =
            self.with_life(|life| (life.process.clone(), life.core.handler()))?;
        if self.slips(Slip::BeforeCommit) {
            self.crash("BeforeCommit");
            return None;
        }
        let ack = timeout(ACK_WITHIN, handler(inbound)).await.ok().flatten();
        if process.is_dead() {
            return None;
        }
        if self.slips(Slip::AfterCommit) {
            self.crash("AfterCommit");
            return None;
        }
        if self.slips(Slip::AfterAck) {
            self.crash("AfterAck");
            return ack;
        }
        let lost = self.has_faults() && self.chance.percent(3);
        if lost { None } else { ack }
    }
}

/// Starts the bot again some time after each crash, and as soon as there are no more faults.
pub(super) async fn supervise(world: Arc<World>) {
    loop {
        world.died().await;
        let down = match world.chance.between(0, 99) {
            _ if !world.has_faults() => Duration::from_secs(2),
            0..=79 => world.chance.seconds(1, 20),
            80..=97 => world.chance.seconds(60, 900),
            _ => world.chance.seconds(3600, 4 * 3600),
        };
        // Whatever kept it down is over when the faults are.
        tokio::select! {
            biased;
            () = sleep(down) => {}
            () = world.calmed() => {}
        }
        world.start().await;
    }
}

/// Kills the bot now and then: half of the times shortly after a full or half hour, when it is
/// busiest.
pub(super) async fn murder(world: Arc<World>) {
    loop {
        let mut at =
            world.now() + SignedDuration::try_from(world.chance.seconds(600, 4 * 3600)).unwrap();
        if world.chance.percent(50) {
            let half_hour = at.as_second() - at.as_second().rem_euclid(1800);
            let after = i64::try_from(world.chance.between(0, 90_000)).unwrap();
            at = Timestamp::from_millisecond(half_hour * 1000 + after).unwrap();
        }
        world.sleep_until(at).await;
        sleep(Duration::from_secs(1)).await;
        if !world.has_faults() {
            return;
        }
        world.crash("at random");
    }
}

fn rules(config: &Config) -> Rules {
    Rules {
        prompt: config.prompt.clone(),
        meetings: config.meetings.clone(),
        digest: config.digest_schedule.clone(),
        questions: config.questions.clone(),
        refresh: debrief::domain::refresh::Refresh::every(config.calendar.refresh),
        max_calendar_age: config.calendar.max_age,
    }
}
