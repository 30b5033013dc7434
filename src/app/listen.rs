//! A delivery: open what must be opened, store, acknowledge; the rest follows.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::task::TaskTracker;

use super::beat::Waker;
use super::web::Metrics;
#[cfg(feature = "seeded-bugs")]
use crate::flows::sabotage::{self, Bug};
use crate::flows::{Bot, follow_up, respond};
#[cfg(feature = "seeded-bugs")]
use crate::ports::inbound::Ack;
use crate::ports::{Clock, Messenger};
use crate::slack::socket::Handler;

/// What the listener calls for every delivery; it acknowledges what comes back.
pub(super) fn handler(
    bot: Bot,
    clock: Arc<dyn Clock>,
    follow_ups: TaskTracker,
    waker: Waker,
    metrics: Arc<Metrics>,
) -> Handler {
    Arc::new(move |inbound| {
        let (bot, clock, follow_ups) = (bot.clone(), Arc::clone(&clock), follow_ups.clone());
        let (waker, metrics) = (waker.clone(), Arc::clone(&metrics));
        Box::pin(async move {
            let (began, now) = (Instant::now(), clock.now());
            // The trigger lives three seconds, so the modal comes before everything else.
            let opening = respond::opens(&inbound.what).map(|(trigger, modal)| {
                let messenger = Arc::clone(&bot.messenger);
                follow_ups
                    .spawn(async move { Messenger::open(&*messenger, &trigger, &modal).await })
            });
            #[cfg(feature = "seeded-bugs")]
            if sabotage::is(Bug::AckFirst) {
                follow_ups.spawn(async move { respond::receive(&bot, inbound, now).await });
                return Some(Ack::Plain);
            }
            let response = respond::receive(&bot, inbound, now).await;
            metrics.acknowledged(began.elapsed());
            follow_ups.spawn(async move {
                if let Err(error) = follow_up::run(&bot, response.then, opening, now).await {
                    tracing::error!(error = format!("{error:#}"), "could not follow up");
                }
                waker.deliver();
            });
            response.ack
        })
    })
}
