//! What is counted while the bot works, and how it is shown to Prometheus. Nothing names a person.
//!
//! [`Metrics`] holds what `app` counts itself. Other rooms may not name `app`: they keep plain
//! figures, which are read at each scrape, and so is what the store and the system know. `page`
//! writes them down, `rooms` says what each room's figures become.

mod page;
mod process;
mod rooms;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::page::Figures;
use super::beat::Beat;
use crate::config::BackupConfig;
use crate::flows::deliver::circuit::Circuit;
use crate::flows::respond::Taken;
use crate::flows::tally::Tally;
use crate::ports::Clock;
use crate::ports::inbound::What;
use crate::slack::client::SlackMessenger;
use crate::slack::door::Door;
use crate::store::Store;

/// Slack gives up on an acknowledgement after three seconds; so do we, a little before.
const DEADLINE: Duration = Duration::from_secs(2);

/// Label name and value.
type Label = [(&'static str, &'static str); 1];

/// What `app` counts.
#[derive(Debug)]
pub struct Metrics {
    acknowledged: Family<Label, Histogram, fn() -> Histogram>,
    too_late: Counter,
    submissions: Family<Label, Counter>,
    duplicates: Counter,
    runs: Family<[(&'static str, &'static str); 2], Counter>,
    last_success: Family<Label, Gauge>,
    pub(super) lag: Histogram,
    pub(super) roster_read: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            acknowledged: Family::new_with_constructor(|| {
                let fast = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05];
                Histogram::new(fast.into_iter().chain([0.1, 0.25, 0.5, 1.0, 2.0, 3.0]))
            }),
            too_late: Counter::default(),
            submissions: Family::default(),
            duplicates: Counter::default(),
            runs: Family::default(),
            last_success: Family::default(),
            lag: Histogram::new([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]),
            roster_read: Gauge::default(),
        };
        metrics.start_at_zero();
        metrics
    }
}

impl Metrics {
    /// A counter that appears only when it first counts hides its first step.
    fn start_at_zero(&self) {
        for kind in KINDS {
            drop(self.acknowledged.get_or_create(&[("kind", kind)]));
        }
        for result in [Taken::Stored, Taken::Duplicate, Taken::Refused, Taken::DeadLetter] {
            drop(self.submissions.get_or_create(&[("result", result_of(result))]));
        }
        for job in Beat::ALL.map(Beat::name).into_iter().chain([RECOUNT]) {
            for result in ["ok", "failed"] {
                drop(self.runs.get_or_create(&[("job", job), ("result", result)]));
            }
        }
    }

    /// A delivery was acknowledged.
    pub(super) fn acknowledged(&self, kind: &'static str, taken: Taken, after: Duration) {
        self.acknowledged.get_or_create(&[("kind", kind)]).observe(after.as_secs_f64());
        if after > DEADLINE {
            self.too_late.inc();
        }
        if kind == SUBMISSION || taken == Taken::DeadLetter {
            self.submissions.get_or_create(&[("result", result_of(taken))]).inc();
        }
    }

    /// A job that comes back again and again has run.
    pub(super) fn ran(&self, job: &'static str, fine: bool, now: Timestamp) {
        let result = if fine { "ok" } else { "failed" };
        self.runs.get_or_create(&[("job", job), ("result", result)]).inc();
        if fine {
            self.last_success.get_or_create(&[("job", job)]).set(now.as_second());
        }
    }

    /// Somebody may see a question more than once; `None`: it was not time to look.
    pub(super) fn recounted(&self, doubled: Option<u64>, now: Timestamp) {
        if let Some(doubled) = doubled {
            self.duplicates.inc_by(doubled);
            self.ran(RECOUNT, true, now);
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "interaction_ack_seconds",
            "From a delivery to its acknowledgement",
            self.acknowledged.clone(),
        );
        registry.register(
            "interaction_deadline_exceeded",
            "Deliveries that took longer than two seconds to acknowledge",
            self.too_late.clone(),
        );
        registry.register(
            "submissions",
            "Forms that people sent, and frames that nobody understands",
            self.submissions.clone(),
        );
        registry.register(
            "prompt_duplicates",
            "Questions visible twice, by the daily recount; must stay 0",
            self.duplicates.clone(),
        );
        registry.register("job_runs", "Turns of each recurring job", self.runs.clone());
        registry.register(
            "job_last_success_timestamp_seconds",
            "When each recurring job last went well",
            self.last_success.clone(),
        );
        registry.register(
            "event_loop_lag_seconds",
            "How much later than planned a timer of one second fires",
            self.lag.clone(),
        );
        registry.register(
            "config_reload_success",
            "1 if the roster was read well when it last changed",
            self.roster_read.clone(),
        );
    }
}

const SUBMISSION: &str = "submission";
const KINDS: [&str; 6] = ["tap", SUBMISSION, "command", "message", "home", "other"];
const RECOUNT: &str = "recount";

/// How a delivery is called in the metrics.
pub(super) fn kind_of(what: &What) -> &'static str {
    match what {
        What::Tap(_) => "tap",
        What::Submitted { .. } => SUBMISSION,
        What::Command { .. } | What::LogShortcut { .. } => "command",
        What::Wrote { .. } | What::Rewrote { .. } => "message",
        What::HomeOpened => "home",
        What::ProfileChanged | What::Uninstalled | What::Nothing | What::Unreadable { .. } => {
            "other"
        }
    }
}

fn result_of(taken: Taken) -> &'static str {
    match taken {
        Taken::Stored => "stored",
        Taken::Duplicate => "duplicate",
        Taken::Refused => "refused",
        Taken::DeadLetter => "dead_letter",
    }
}

/// What is looked at when somebody asks.
#[derive(Clone)]
pub struct Parts {
    pub store: Arc<Store>,
    pub store_path: PathBuf,
    pub door: Arc<Door>,
    pub messenger: Arc<SlackMessenger>,
    pub tally: Arc<Tally>,
    pub circuit: Arc<Circuit>,
    pub backup: BackupConfig,
    pub clock: Arc<dyn Clock>,
}

impl Parts {
    /// Whether Slack refuses our tokens, as far as we know.
    pub(super) fn is_refused(&self) -> bool {
        self.door.health().refused.is_some()
            || self.circuit.refusal().is_some()
            || self.messenger.is_refused()
    }
}

/// Everything, as `OpenMetrics` text; `parts` are there once the bot is up.
pub(super) async fn exposition(metrics: &Metrics, parts: Option<&Parts>) -> anyhow::Result<String> {
    let mut ours = Registry::with_prefix("debrief");
    metrics.register(&mut ours);
    ours.register_collector(Box::new(Figures::new(rooms::about_us())));
    if let Some(parts) = parts {
        ours.register_collector(Box::new(Figures::new(rooms::gather(parts).await?)));
    }
    // These have the names that every program uses.
    let mut everybodys = Registry::default();
    everybodys.register_collector(Box::new(Figures::new(process::gather())));
    let mut text = String::new();
    encode_registry(&mut text, &ours).context("write metrics")?;
    encode_registry(&mut text, &everybodys).context("write metrics")?;
    encode_eof(&mut text).context("write metrics")?;
    Ok(text)
}
