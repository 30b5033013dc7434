//! A delivery: open what must be opened, store, acknowledge; the rest follows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::task::TaskTracker;

use super::beat::Waker;
use super::metrics::{self, Metrics};
use crate::domain::allowance::{Allowance, Verdict};
use crate::flows::respond::Then;
#[cfg(feature = "seeded-bugs")]
use crate::flows::sabotage::{self, Bug};
use crate::flows::{Bot, follow_up, respond};
#[cfg(feature = "seeded-bugs")]
use crate::ports::inbound::Ack;
use crate::ports::{Clock, Messenger};
use crate::slack::desk::Handler;

/// What the listener calls for every delivery; it acknowledges what comes back.
pub(super) fn handler(
    bot: Bot,
    clock: Arc<dyn Clock>,
    follow_ups: TaskTracker,
    waker: Waker,
    metrics: Arc<Metrics>,
) -> Handler {
    let allowance = Arc::new(Mutex::new(Allowance::default()));
    Arc::new(move |inbound| {
        let allowance = Arc::clone(&allowance);
        let (bot, clock, follow_ups) = (bot.clone(), Arc::clone(&clock), follow_ups.clone());
        let (waker, metrics) = (waker.clone(), Arc::clone(&metrics));
        Box::pin(async move {
            let (began, now) = (Instant::now(), clock.now());
            let verdict = if respond::costs(&inbound.what) {
                allowance.lock().unwrap_or_else(PoisonError::into_inner).ask(&inbound.who, now)
            } else {
                Verdict::Fine
            };
            // The trigger lives three seconds, so the modal comes before everything else. Nothing
            // is opened in another workspace.
            let opens = respond::opens(&inbound.what)
                .filter(|_| verdict == Verdict::Fine && inbound.team_id == bot.team_id);
            let opening = opens.map(|(trigger, modal)| {
                let messenger = Arc::clone(&bot.messenger);
                follow_ups
                    .spawn(async move { Messenger::open(&*messenger, &trigger, &modal).await })
            });
            #[cfg(feature = "seeded-bugs")]
            if sabotage::is(Bug::AckFirst) {
                follow_ups.spawn(async move { respond::receive(&bot, inbound, now).await });
                return Some(Ack::Plain);
            }
            let kind = metrics::kind_of(&inbound.what);
            let response = match verdict {
                Verdict::Fine => respond::receive(&bot, inbound, now).await,
                Verdict::TooMuch => respond::too_much(&inbound.what),
                Verdict::Silence => respond::nothing(),
            };
            metrics.acknowledged(kind, response.taken, began.elapsed());
            if matches!(response.then, Then::Nothing) && opening.is_none() {
                waker.deliver();
                return response.ack;
            }
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
