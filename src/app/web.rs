//! `GET /livez`, `/readyz`, `/healthz`, `/metrics` and `/version`, on a port of this machine only.
//!
//! *Alive*: the loops go on; if not, only a restart helps. *Ready*: what people do now is stored and
//! answered; if not, the answer says why, and a restart usually does not help.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::beat::Beat;
use super::metrics::{self, Metrics, Parts};
use super::pulse::Pulse;
use super::readiness::{self, Readiness};
use crate::slack::serve::{Limits, serve};

/// The small server.
pub struct Web {
    address: SocketAddr,
    watched: Arc<Watched>,
    stopping: CancellationToken,
    serving: JoinHandle<()>,
}

/// What the server looks at; the parts come once they are up.
struct Watched {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    up: OnceLock<(Parts, Arc<Pulse>)>,
}

impl Watched {
    fn parts(&self) -> Option<&Parts> {
        self.up.get().map(|(parts, _)| parts)
    }
}

impl Web {
    /// # Errors
    /// If the port is taken.
    pub async fn start(address: SocketAddr, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("listen on {address}; choose another http.listen, or \"off\"")
        })?;
        let address = listener.local_addr().context("find our own port")?;
        let readiness = Readiness::default();
        let watched = Arc::new(Watched { metrics, readiness, up: OnceLock::new() });
        let stopping = CancellationToken::new();
        let router = Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics_page))
            .route("/version", get(version))
            .with_state(Arc::clone(&watched));
        let until = stopping.clone();
        let serving = tokio::spawn(serve(listener, router, Limits::default(), until));
        Ok(Self { address, watched, stopping, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From here on the answers depend on the parts.
    pub fn is_up(&self, parts: Parts, pulse: Arc<Pulse>) {
        // Called once; a second call would change nothing.
        let _ = self.watched.up.set((parts, pulse));
    }

    pub async fn stop(self) {
        self.stopping.cancel();
        // A client that keeps its connection open does not keep us.
        let mut serving = self.serving;
        if tokio::time::timeout(Duration::from_secs(1), &mut serving).await.is_err() {
            serving.abort();
        }
    }
}

fn answer(well: bool, body: Value) -> Response {
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// 503 if a loop has stalled. While Slack has not answered our greeting there are no loops yet.
async fn livez(State(watched): State<Arc<Watched>>) -> Response {
    let Some((_, pulse)) = watched.up.get() else {
        return answer(true, json!({ "status": "starting" }));
    };
    let now = Instant::now();
    let still = Beat::ALL.map(|which| (which.name(), json!(pulse.still(which, now).as_secs())));
    let still: serde_json::Map<String, Value> =
        still.into_iter().map(|(name, seconds)| (name.to_owned(), seconds)).collect();
    let stalled = pulse.stalled(now).map(Beat::name);
    let status = if stalled.is_none() { "alive" } else { "stalled" };
    let body = json!({ "status": status, "stalled": stalled, "seconds_since_progress": still });
    answer(stalled.is_none(), body)
}

/// 503 with the reasons while something that people do would not be stored and answered.
async fn readyz(State(watched): State<Arc<Watched>>) -> Response {
    let reasons = match watched.parts() {
        Some(parts) => watched.readiness.reasons(parts).await,
        None => vec![readiness::STARTING.to_owned()],
    };
    let status = if reasons.is_empty() { "ready" } else { "not ready" };
    answer(reasons.is_empty(), json!({ "status": status, "reasons": reasons }))
}

/// 200 while the store answers, Slack can reach us and our token is taken, else 503; the body says which.
async fn healthz(State(watched): State<Arc<Watched>>) -> Response {
    let Some(parts) = watched.parts() else {
        return answer(false, json!({ "status": "starting" }));
    };
    let slack = parts.door.health();
    let queue = parts.store.read(|tx| tx.outbox_health()).await;
    let refused = slack.refused.clone().or_else(|| parts.circuit.refusal());
    let well = slack.is_open() && queue.is_ok() && refused.is_none();
    let queue = queue.unwrap_or_default();
    let body = json!({
        "status": if well { "ok" } else { "degraded" },
        "slack": { "sockets": slack.up, "wanted": slack.wanted, "refused": refused },
        "outbox": {
            "queued": queue.queued, "uncertain": queue.uncertain, "failed": queue.failed,
        },
    });
    answer(well, body)
}

async fn metrics_page(State(watched): State<Arc<Watched>>) -> Response {
    let text = match metrics::exposition(&watched.metrics, watched.parts()).await {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "could not gather metrics");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn version() -> Json<Value> {
    Json(json!({ "version": super::VERSION, "commit": super::COMMIT }))
}
