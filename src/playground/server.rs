//! The server: starts, stops, and what everything in it shares.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clock::TurnableClock;
use super::delivery::Deliveries;
use super::post::Post;
use super::socket::{self, Sockets};
use super::state::Slack;
use super::{Settings, api, assets, play};
use crate::ports::Clock;

/// A running pretend workspace. Cheap to clone; all clones are the same workspace.
#[derive(Clone)]
pub struct Playground {
    pub(super) inner: Arc<Inner>,
    serving: Arc<Mutex<Option<JoinHandle<std::io::Result<()>>>>>,
}

/// What all parts share.
pub(super) struct Inner {
    slack: Mutex<Slack>,
    pub(super) sockets: Sockets,
    pub(super) deliveries: Deliveries,
    pub(super) clock: Arc<TurnableClock>,
    pub(super) address: SocketAddr,
    pub(super) bot_token: String,
    pub(super) app_token: String,
    pub(super) stopping: CancellationToken,
    /// Grows with every change that somebody could see.
    revision: watch::Sender<u64>,
}

impl Inner {
    pub(super) fn slack(&self) -> MutexGuard<'_, Slack> {
        self.slack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn haste(&self) -> u32 {
        self.slack().settings.haste.max(1)
    }

    pub(super) fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    pub(super) fn revision(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(super) fn page_url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn socket_url(&self) -> String {
        format!("ws://{}/socket", self.address)
    }
}

impl Playground {
    /// Starts the workspace.
    ///
    /// # Errors
    /// If the port cannot be had.
    pub async fn start(settings: Settings, clock: Arc<TurnableClock>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("listen on {}", settings.listen))?;
        let address = listener.local_addr().context("find our own port")?;
        let inner = Arc::new(Inner {
            slack: Mutex::new(Slack::new(settings)),
            sockets: Sockets::default(),
            deliveries: Deliveries::default(),
            clock,
            address,
            bot_token: "xoxb-0-play-bot".into(),
            app_token: "xapp-1-play-app".into(),
            stopping: CancellationToken::new(),
            revision: watch::Sender::new(1),
        });
        let router = Router::new()
            .route("/api/{method}", any(api::call))
            .route("/response/{id}", post(api::respond))
            .route("/socket/{ticket}", get(socket::connect))
            .route("/calendars/{name}", get(calendar))
            .nest("/play", play::router(Arc::clone(&inner)))
            .merge(assets::router(Arc::clone(&inner)))
            .with_state(Arc::clone(&inner));
        let until = inner.stopping.clone();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { until.cancelled().await })
                .await
        });
        Ok(Self { inner, serving: Arc::new(Mutex::new(Some(serving))) })
    }

    /// For the bot's `slack.api_url`.
    pub fn api_url(&self) -> String {
        format!("http://{}/api", self.inner.address)
    }

    /// The page for people.
    pub fn page_url(&self) -> String {
        self.inner.page_url()
    }

    pub fn bot_token(&self) -> &str {
        &self.inner.bot_token
    }

    pub fn app_token(&self) -> &str {
        &self.inner.app_token
    }

    /// From here on the app hears of everything through signed requests to `base`.
    pub fn post_to(&self, base: &str, signing_secret: &str) {
        self.inner.deliveries.post_to(Post::new(base, signing_secret));
    }

    pub fn clock(&self) -> &Arc<TurnableClock> {
        &self.inner.clock
    }

    /// Puts a calendar at `{page}/calendars/NAME`, or changes it.
    pub fn set_calendar(&self, name: &str, text: &str) {
        let mut slack = self.inner.slack();
        let version = slack.number();
        slack.calendars.insert(name.to_owned(), (version, text.to_owned()));
        slack.calendar_faults.remove(name);
    }

    /// Takes a calendar off the server: 404 from then on.
    pub fn forget_calendar(&self, name: &str) {
        self.inner.slack().calendars.remove(name);
    }

    /// Lets the server fail whenever it is asked for a calendar, until that is set anew.
    pub fn break_calendar(&self, name: &str) {
        self.inner.slack().calendar_faults.insert(name.to_owned(), 500);
    }

    /// How often a calendar was asked for.
    pub fn calendar_asked(&self, name: &str) -> usize {
        self.inner.slack().calendar_calls.get(name).copied().unwrap_or(0)
    }

    pub fn calendar_url(&self, name: &str) -> String {
        format!("{}calendars/{name}", self.page_url())
    }

    /// Closes every connection and ends.
    pub async fn stop(&self) {
        self.inner.stopping.cancel();
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            serving.abort();
            // It was told to end; how it did so does not matter.
            let _ = serving.await;
        }
    }
}

/// `GET /calendars/NAME`, with an entity tag.
async fn calendar(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (found, fault) = {
        let mut slack = inner.slack();
        *slack.calendar_calls.entry(name.clone()).or_default() += 1;
        (slack.calendars.get(&name).cloned(), slack.calendar_faults.get(&name).copied())
    };
    if let Some(status) = fault.and_then(|status| StatusCode::from_u16(status).ok()) {
        return status.into_response();
    }
    let Some((version, text)) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{version}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    if known == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let kind = "text/calendar; charset=utf-8".to_owned();
    ([(header::ETAG, tag), (header::CONTENT_TYPE, kind)], text).into_response()
}
