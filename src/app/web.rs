//! `GET /healthz` and `GET /metrics`, on a port of this machine only.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::flows::deliver::circuit::Circuit;
use crate::slack::door::Door;
use crate::store::Store;

/// What is counted while the bot works. Nothing here names a person.
#[derive(Debug)]
pub struct Metrics {
    deliveries_in: Counter,
    messages_handled: Counter,
    acknowledged: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0];
        Self {
            deliveries_in: Counter::default(),
            messages_handled: Counter::default(),
            acknowledged: Histogram::new(buckets),
        }
    }
}

impl Metrics {
    pub(super) fn acknowledged(&self, after: Duration) {
        self.deliveries_in.inc();
        self.acknowledged.observe(after.as_secs_f64());
    }

    pub(super) fn handled(&self, rows: usize) {
        self.messages_handled.inc_by(rows as u64);
    }
}

/// The small server.
pub struct Web {
    address: SocketAddr,
    watched: Arc<Watched>,
    stopping: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

/// What the server looks at; the store and the door come once they are up.
struct Watched {
    metrics: Arc<Metrics>,
    parts: OnceLock<(Arc<Store>, Arc<Door>, Arc<Circuit>)>,
}

impl Web {
    /// # Errors
    /// If the port is taken.
    pub async fn start(address: SocketAddr, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("listen on {address}; choose another http.listen, or \"off\"")
        })?;
        let address = listener.local_addr().context("find our own port")?;
        let watched = Arc::new(Watched { metrics, parts: OnceLock::new() });
        let stopping = CancellationToken::new();
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics_page))
            .with_state(Arc::clone(&watched));
        let until = stopping.clone();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { until.cancelled().await })
                .await
        });
        Ok(Self { address, watched, stopping, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From here on the answer depends on the store and the door.
    pub fn is_up(&self, store: Arc<Store>, door: Arc<Door>, circuit: Arc<Circuit>) {
        // Called once; a second call would change nothing.
        let _ = self.watched.parts.set((store, door, circuit));
    }

    pub async fn stop(self) {
        self.stopping.cancel();
        // A client that keeps its connection open does not keep us.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.serving).await;
    }
}

/// 200 while the store answers, Slack can reach us and our token is taken, else 503; the body says which.
async fn healthz(State(watched): State<Arc<Watched>>) -> impl IntoResponse {
    let Some((store, door, circuit)) = watched.parts.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "starting" })));
    };
    let slack = door.health();
    let queue = store.read(|tx| tx.outbox_health()).await;
    let refused = slack.refused.clone().or_else(|| circuit.refusal());
    let well = slack.is_open() && queue.is_ok() && refused.is_none();
    let queue = queue.unwrap_or_default();
    let body = json!({
        "status": if well { "ok" } else { "degraded" },
        "slack": { "sockets": slack.up, "wanted": slack.wanted, "refused": refused },
        "outbox": {
            "queued": queue.queued, "uncertain": queue.uncertain, "failed": queue.failed,
        },
    });
    (if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

async fn metrics_page(State(watched): State<Arc<Watched>>) -> impl IntoResponse {
    let text = match exposition(&watched).await {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "could not gather metrics");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn exposition(watched: &Watched) -> anyhow::Result<String> {
    let mut registry = Registry::with_prefix("debrief");
    let metrics = &watched.metrics;
    registry.register("inbound", "Deliveries from Slack", metrics.deliveries_in.clone());
    registry.register("outbox_handled", "Outbox rows handled", metrics.messages_handled.clone());
    registry.register_with_unit(
        "acknowledge",
        "From a delivery to its acknowledgement",
        Unit::Seconds,
        metrics.acknowledged.clone(),
    );
    if let Some((store, door, _)) = watched.parts.get() {
        let (queue, feeds) = store.read(|tx| Ok((tx.outbox_health()?, tx.feeds_health()?))).await?;
        let failing = feeds.iter().filter(|feed| feed.problem.is_some()).count();
        let now = [
            ("slack_sockets", "Open sockets to Slack", door.health().up as u64),
            ("outbox_queued", "Messages waiting to be sent", queue.queued),
            ("outbox_uncertain", "Messages of unknown fate", queue.uncertain),
            ("outbox_failed", "Messages given up", queue.failed),
            ("calendars", "Calendars on the roster", feeds.len() as u64),
            ("calendars_failing", "Calendars with a problem", failing as u64),
        ];
        for (name, help, value) in now {
            let gauge: Gauge = Gauge::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(name, help, gauge);
        }
    }
    let mut text = String::new();
    encode(&mut text, &registry).context("write metrics")?;
    Ok(text)
}
