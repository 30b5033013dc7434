//! Keeps one socket open: connect, live, connect again.
//!
//! The next socket is opened while the last one still hands over its acknowledgements. A socket that
//! does not say hello in time is given up, which is the only cure for a handshake that nobody
//! answers; failures in a row wait longer and longer.

use std::sync::Arc;
use std::time::Duration;

use slack_morphism::clients_manager::{
    SlackSocketModeClientsManager, SlackSocketModeClientsManagerFactory as _,
};
use slack_morphism::listener::SlackClientEventsListenerEnvironment;
use slack_morphism::{SlackClientSocketModeConfig, SlackSocketModeClientListener};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::Shared;
use super::listener::{Listener, News};
use crate::ports::SendError;
use crate::slack::errors;

/// A year: the library's own second attempt at a refused connection, which is not to happen.
const NEVER: u64 = 365 * 24 * 3600;
/// A silent socket is noticed after this many pings without a pong.
pub(super) const MOST_PINGS_LOST: u64 = 3;

/// Runs until it is over.
pub(super) async fn keep_open(shared: Arc<Shared>, slot: usize) {
    let over = shared.over.clone();
    let retiring = TaskTracker::new();
    let stagger = shared.tempo.stagger * u32::try_from(slot).unwrap_or(0);
    let mut failures = 0;
    let mut wait = stagger;
    loop {
        tokio::select! {
            () = over.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let end = tokio::select! {
            () = over.cancelled() => break,
            end = attempt(&shared, slot, &retiring) => end,
        };
        failures = match end {
            End::LivedWell => 0,
            End::Failed { .. } => failures + 1,
        };
        wait = backoff(&shared, slot, failures);
        if let End::Failed { not_before } = end {
            wait = wait.max(not_before);
        }
    }
    shared.seen().up[slot] = false;
    retiring.close();
    retiring.wait().await;
}

enum End {
    LivedWell,
    Failed { not_before: Duration },
}

const FAILED: End = End::Failed { not_before: Duration::ZERO };

/// One socket from its opening to its end.
async fn attempt(shared: &Arc<Shared>, slot: usize, retiring: &TaskTracker) -> End {
    // The library would hide why it was refused, so we ask once ourselves.
    match shared.api.try_socket().await {
        Ok(()) => {}
        Err(SendError::Halt { code }) => {
            shared.give_up(code);
            return FAILED;
        }
        Err(error) => {
            let code = errors::code(&error);
            tracing::warn!(slot, code, "Slack does not open a socket");
            let not_before = match error {
                SendError::Later { after } => Duration::from_secs(after),
                _ => Duration::ZERO,
            };
            return End::Failed { not_before };
        }
    }
    let Some(mut connection) = Connection::open(shared, slot, retiring).await else {
        return FAILED;
    };
    connection.live().await
}

/// Without back-off at first: most sockets end because Slack renews them. Each installation and
/// slot waits a little differently, so that an outage of Slack does not end in a stampede.
pub(super) fn backoff(shared: &Shared, slot: usize, failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(2) else {
        return Duration::ZERO;
    };
    let tempo = &shared.tempo;
    let wait = tempo.first_wait.saturating_mul(1 << doublings.min(16)).min(tempo.longest_wait);
    let spread = shared.desk.us.bot_id().bytes().map(u32::from).sum::<u32>() % 50;
    let spread = (spread + u32::try_from(slot).unwrap_or(0) * 25) % 50;
    wait * (75 + spread) / 100
}

type Manager = Arc<dyn SlackSocketModeClientsManager + Send + Sync>;

/// One client of the library's. Dropped, it hands over its acknowledgements and closes.
struct Connection<'a> {
    shared: &'a Arc<Shared>,
    slot: usize,
    manager: Manager,
    news: UnboundedReceiver<News>,
    busy: TaskTracker,
    retiring: &'a TaskTracker,
}

impl<'a> Connection<'a> {
    async fn open(shared: &'a Arc<Shared>, slot: usize, retiring: &'a TaskTracker) -> Option<Self> {
        let client = Arc::clone(&shared.api.client);
        let environment = Arc::new(SlackClientEventsListenerEnvironment::new(client));
        let connector = &shared.api.client.http_api.connector;
        let manager = connector.new_clients_manager(environment);
        let (tell, news) = mpsc::unbounded_channel();
        let busy = TaskTracker::new();
        let listener: Arc<dyn SlackSocketModeClientListener + Send + Sync> =
            Arc::new(Listener { shared: Arc::clone(shared), news: tell, busy: busy.clone() });
        let config = SlackClientSocketModeConfig::new()
            .with_max_connections_count(1)
            .with_reconnect_timeout_in_seconds(NEVER)
            .with_ping_interval_in_seconds(shared.tempo.ping_seconds)
            .with_ping_failure_threshold_times(MOST_PINGS_LOST);
        let token = shared.token.clone();
        if manager.register_new_token(&config, token, listener).await.is_err() {
            tracing::warn!(slot, "a socket to Slack could not be set up");
            return None;
        }
        manager.start().await;
        Some(Self { shared, slot, manager, news, busy, retiring })
    }

    async fn live(&mut self) -> End {
        let slot = self.slot;
        match tokio::time::timeout(self.shared.tempo.hello, self.news.recv()).await {
            Ok(Some(News::Hello)) => {}
            Ok(Some(News::Leaving { reason })) => return self.told_to_leave(&reason),
            Ok(_) | Err(_) => {
                tracing::warn!(slot, "a socket to Slack did not come up");
                return FAILED;
            }
        }
        let born = Instant::now();
        self.seen_up(born);
        tracing::debug!(slot, "a socket to Slack is open");
        let end = loop {
            match self.news.recv().await {
                Some(News::Hello) => {}
                Some(News::Leaving { reason }) => break self.told_to_leave(&reason),
                Some(News::Lost) | None => {
                    self.seen_end("lost");
                    tracing::info!(slot, "a socket to Slack was lost");
                    break End::LivedWell;
                }
            }
        };
        match end {
            End::LivedWell if born.elapsed() < self.shared.tempo.short_life => FAILED,
            end => end,
        }
    }

    fn seen_up(&self, at: Instant) {
        let mut seen = self.shared.seen();
        seen.up[self.slot] = true;
        seen.hello = Some(at);
    }

    /// Reasons that we do not know are one: a label must not grow without bounds.
    fn seen_end(&self, reason: &str) {
        const REASONS: [&str; 5] =
            ["lost", "warning", "refresh_requested", "link_disabled", "too_many_websockets"];
        let known = REASONS.into_iter().find(|known| *known == reason).unwrap_or("other");
        *self.shared.seen().ended.entry(known).or_default() += 1;
    }

    fn told_to_leave(&self, reason: &str) -> End {
        let slot = self.slot;
        self.seen_end(reason);
        match reason {
            // Socket Mode was switched off in the app's settings.
            "link_disabled" => {
                self.shared.give_up(reason.to_owned());
                FAILED
            }
            "too_many_websockets" => {
                tracing::warn!(slot, "this app has too many sockets open");
                End::Failed { not_before: self.shared.tempo.longest_wait / 4 }
            }
            _ => {
                tracing::debug!(slot, "Slack renews a socket");
                End::LivedWell
            }
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.shared.seen().up[self.slot] = false;
        let manager = Arc::clone(&self.manager);
        let busy = self.busy.clone();
        let tempo = self.shared.tempo;
        // Without one, the program ends, and its sockets with it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let retire = async move {
            busy.close();
            // What takes longer is not acknowledged anyway.
            let _ = tokio::time::timeout(tempo.handling, busy.wait()).await;
            tokio::time::sleep(tempo.grace).await;
            manager.shutdown().await;
        };
        self.retiring.spawn_on(retire, &runtime);
    }
}
