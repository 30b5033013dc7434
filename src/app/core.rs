//! The bot without a wire: its loops and the handler of what comes in.
//!
//! [`super::Running`] puts a door and a web server around it; the simulation puts it into a world of
//! its own, with the same loops and the same handler.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::beat::{Beats, Waker};
use super::metrics::Metrics;
use super::pulse::Pulse;
use super::roster::RosterFile;
use super::rounds::{self, Kit};
use super::{ear, listen};
use crate::flows::{Bot, deliver};
use crate::ports::Clock;
use crate::slack::desk::Handler;
use crate::slack::door::Door;
use crate::slack::inbound::Us;

/// Loops at work. Dropped, they end after the turn they are in.
pub struct Core {
    beats: Beats,
    handler: Handler,
    /// What follows acknowledgements.
    follow_ups: TaskTracker,
    pulse: Arc<Pulse>,
    stopping: CancellationToken,
}

impl Core {
    /// A core by itself: nothing is backed up or forgotten, and no pace remembered.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn start(
        bot: &Bot,
        clock: &Arc<dyn Clock>,
        roster: RosterFile,
    ) -> anyhow::Result<Self> {
        let kit = Kit { roster, metrics: Arc::default(), keeper: None, rates: None };
        Self::start_with(bot, clock, kit, CancellationToken::new()).await
    }

    /// Looks at what a process before us left behind and starts the loops.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn start_with(
        bot: &Bot,
        clock: &Arc<dyn Clock>,
        kit: Kit,
        stopping: CancellationToken,
    ) -> anyhow::Result<Self> {
        deliver::doubt_orphans(&bot.store, clock.now()).await?;
        let follow_ups = TaskTracker::new();
        let pulse = Arc::new(Pulse::new(Arc::clone(&bot.tally)));
        let metrics: Arc<Metrics> = Arc::clone(&kit.metrics);
        let beats = rounds::start(bot, clock, kit, &pulse, &stopping);
        let handler = listen::handler(
            bot.clone(),
            Arc::clone(clock),
            follow_ups.clone(),
            beats.waker(),
            metrics,
        );
        Ok(Self { beats, handler, follow_ups, pulse, stopping })
    }

    /// Reads again what was missed while nothing came through `door`.
    pub(super) fn listen_again(&mut self, bot: &Bot, us: Us, door: &Arc<Door>) {
        ear::start(&mut self.beats, bot, us, door);
    }

    /// What is to be called for everything that comes in.
    pub fn handler(&self) -> Handler {
        Arc::clone(&self.handler)
    }

    pub fn waker(&self) -> Waker {
        self.beats.waker()
    }

    /// Whether the loops go on.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Waits until a loop has ended by a panic, and says which.
    pub async fn died(&self) -> &'static str {
        self.beats.died().await
    }

    /// Cancelled as soon as the loops are to end.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Does everything that is due now, to the end, and waits for it.
    pub async fn catch_up(&self) {
        self.beats.catch_up(&self.follow_ups).await;
    }

    /// Finishes the work in hand: what follows from deliveries that were taken, then the loops.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.follow_ups.close();
        self.follow_ups.wait().await;
        self.beats.finished().await;
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
