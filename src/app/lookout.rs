//! Looks after the program itself: timers that fire late, and whether Slack still knows us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use crate::slack::client::SlackMessenger;

const TICK: Duration = Duration::from_secs(1);
/// From one question to Slack who we are to the next: its answer tells its time, too.
const GREET: Duration = Duration::from_mins(15);

/// Runs until told to stop.
pub(super) async fn run(
    metrics: Arc<Metrics>,
    messenger: Arc<SlackMessenger>,
    stopping: CancellationToken,
) {
    tokio::join!(measure_lag(&metrics, &stopping), greet(&messenger, &stopping));
}

/// How late a timer fires is how long everything else waits for a free thread.
async fn measure_lag(metrics: &Metrics, stopping: &CancellationToken) {
    loop {
        let began = Instant::now();
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        metrics.lag.observe(began.elapsed().saturating_sub(TICK).as_secs_f64());
    }
}

async fn greet(messenger: &SlackMessenger, stopping: &CancellationToken) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(GREET) => {}
        }
        // The outcome is remembered by the messenger, which also logs it.
        let _ = messenger.greet().await;
    }
}
