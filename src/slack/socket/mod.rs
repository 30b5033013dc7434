//! Keeps sockets to Slack open and hands what comes over them to a handler.
//!
//! The library reconnects in ways that lose acknowledgements, loop on a revoked token and hang on a
//! handshake that nobody answers. So each of our connections is a manager of the library's with one
//! client that never retries, and `slot` decides when there is a next one. `listener` reads the
//! frames.

mod listener;
mod slot;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use slack_morphism::SlackApiToken;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::Api;
use super::client::SlackMessenger;
use super::desk::{self, Desk, Handler};
use super::door::{Forged, Health};
use super::inbound::Us;

/// Two, so that one is there while the other is renewed. Slack delivers to either.
const SLOTS: usize = 2;

/// Open sockets; dropped, they close without waiting for anything.
#[derive(Debug)]
pub struct Socket {
    shared: Arc<Shared>,
    slots: TaskTracker,
}

impl Socket {
    /// Opens the sockets in the background; it fails only if Slack does not tell us who we are.
    pub async fn start(messenger: &SlackMessenger, handler: Handler) -> anyhow::Result<Self> {
        Self::start_at(messenger, handler, Tempo::SLACK).await
    }

    async fn start_at(
        messenger: &SlackMessenger,
        handler: Handler,
        tempo: Tempo,
    ) -> anyhow::Result<Self> {
        let us = Us::new(messenger.me().await.context("ask Slack who we are")?);
        let api = Arc::clone(&messenger.api);
        let token = api.app_token.clone().context("sockets need an app token")?;
        let shared = Arc::new(Shared {
            api,
            token,
            desk: Desk::new(us, handler, tempo.handling),
            tempo,
            seen: Mutex::default(),
            refused: watch::Sender::new(None),
            over: CancellationToken::new(),
        });
        let slots = TaskTracker::new();
        for slot in 0..SLOTS {
            slots.spawn(slot::keep_open(Arc::clone(&shared), slot));
        }
        Ok(Self { shared, slots })
    }

    pub fn health(&self) -> Health {
        let seen = self.shared.seen();
        let since = |moment: Option<Instant>| moment.map(|moment| moment.elapsed());
        Health {
            up: seen.up.iter().filter(|up| **up).count(),
            wanted: SLOTS,
            since_frame: since(seen.frame),
            since_hello: since(seen.hello),
            refused: self.shared.refused.borrow().clone(),
            ended: seen.ended.clone(),
            forged: Forged::default(),
        }
    }

    /// Waits until Slack refuses us for good, and says with which code.
    pub async fn refused(&self) -> String {
        let mut refused = self.shared.refused.subscribe();
        match refused.wait_for(Option::is_some).await {
            Ok(code) => code.clone().unwrap_or_default(),
            // We hold the sender, so this does not happen.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes nothing more in, lets the handler finish and its acknowledgements leave, and closes.
    pub async fn stop(&self) {
        self.shared.over.cancel();
        self.slots.close();
        self.slots.wait().await;
        self.shared.desk.finished().await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.over.cancel();
    }
}

/// What all slots and their listeners use.
struct Shared {
    api: Arc<Api>,
    token: SlackApiToken,
    desk: Desk,
    tempo: Tempo,
    seen: Mutex<Seen>,
    refused: watch::Sender<Option<String>>,
    /// Stopped, or refused: nothing is taken in and nothing opened.
    over: CancellationToken,
}

#[derive(Debug, Default)]
struct Seen {
    up: [bool; SLOTS],
    frame: Option<Instant>,
    hello: Option<Instant>,
    /// Sockets that ended, by reason.
    ended: BTreeMap<&'static str, u64>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
struct Tempo {
    /// From opening a socket to its hello.
    hello: Duration,
    /// From a delivery to its acknowledgement.
    handling: Duration,
    /// For acknowledgements to leave before a socket closes: the library drops what it has not sent.
    grace: Duration,
    /// Between the slots' first attempts.
    stagger: Duration,
    /// After the second failure in a row; doubled after each further one.
    first_wait: Duration,
    longest_wait: Duration,
    /// A socket that lived shorter counts as a failure.
    short_life: Duration,
    /// A silent socket is noticed after three of these many seconds.
    ping_seconds: u64,
}

impl Tempo {
    const SLACK: Self = Self {
        hello: Duration::from_secs(15),
        handling: desk::HANDLING,
        grace: Duration::from_millis(250),
        stagger: Duration::from_secs(1),
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_mins(1),
        short_life: Duration::from_secs(1),
        ping_seconds: 10,
    };
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing that we could do would help: the program's business now.
    fn give_up(&self, code: String) {
        tracing::error!(code, "Slack refuses us, and trying again would not help");
        self.refused.send_replace(Some(code));
        self.over.cancel();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("us", &self.desk.us)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
