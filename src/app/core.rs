//! The bot without a wire: its loops and the handler of what comes in.
//!
//! [`super::Running`] puts a socket and a web server around it; the simulation puts it into a world
//! of its own, with the same loops and the same handler.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::beat::{Beats, Waker};
use super::listen;
use super::roster::RosterFile;
use super::web::Metrics;
use crate::flows::{Bot, deliver};
use crate::ports::Clock;
use crate::slack::socket::Handler;

/// Loops at work. Dropped, they end after the turn they are in.
pub struct Core {
    beats: Beats,
    handler: Handler,
    /// What follows acknowledgements.
    follow_ups: TaskTracker,
    stopping: CancellationToken,
}

impl Core {
    /// Looks at what a process before us left behind and starts the loops.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn start(
        bot: &Bot,
        clock: &Arc<dyn Clock>,
        roster: RosterFile,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        deliver::doubt_orphans(&bot.store, clock.now()).await?;
        let (follow_ups, stopping) = (TaskTracker::new(), CancellationToken::new());
        let beats = Beats::start(bot, clock, roster, metrics, &stopping);
        let handler = listen::handler(
            bot.clone(),
            Arc::clone(clock),
            follow_ups.clone(),
            beats.waker(),
            Arc::clone(metrics),
        );
        Ok(Self { beats, handler, follow_ups, stopping })
    }

    /// What is to be called for everything that comes in.
    pub fn handler(&self) -> Handler {
        Arc::clone(&self.handler)
    }

    pub fn waker(&self) -> Waker {
        self.beats.waker()
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
