//! What the app is told: deeds once, events until they are acknowledged.
//!
//! Over a socket or as signed requests, whichever the app has. Events that nobody acknowledges come
//! again, three times; interactions and commands do not, and the person sees that the app did not
//! respond.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::post::Post;
use super::server::Inner;
use super::state::{APP, BOT_USER, TEAM};

/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(3);
const MOST_ATTEMPTS: u32 = 4;

/// Everything on its way to the app.
pub(super) struct Deliveries {
    /// Where to post; without it, sockets are used.
    post: Mutex<Option<Arc<Post>>>,
    /// Deliveries whose end is not known yet.
    outstanding: watch::Sender<u64>,
    troubles: Mutex<Troubles>,
}

/// What goes wrong with deliveries, on purpose.
#[derive(Debug, Default)]
struct Troubles {
    /// This many next deliveries come twice.
    twice: u32,
    /// Deliveries are kept until they are let go in reverse order.
    held: Option<Vec<Held>>,
}

/// A delivery that is kept back.
#[derive(Debug)]
struct Held {
    go: oneshot::Sender<()>,
    over: oneshot::Receiver<()>,
}

/// The delivery's own end of that.
struct Leash {
    go: oneshot::Receiver<()>,
    /// Dropped when the delivery is over.
    _over: oneshot::Sender<()>,
}

/// One thing to tell.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// `events_api`, `interactive` or `slash_commands`.
    pub(super) kind: &'static str,
    pub(super) payload: Value,
    /// How many attempts there were, and how the last one failed.
    pub(super) retry: (u32, Failure),
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Timeout,
    Connection,
    Status,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Acknowledged {
    /// With its payload, `null` if it had none.
    Yes(Value),
    No(Failure),
}

impl Acknowledged {
    pub(super) fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

impl Default for Deliveries {
    fn default() -> Self {
        Self {
            post: Mutex::default(),
            outstanding: watch::Sender::new(0),
            troubles: Mutex::default(),
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parcel {
    fn new(kind: &'static str, payload: Value) -> Self {
        Self { kind, payload, retry: (0, Failure::Timeout) }
    }

    /// As it travels over a socket, without its id.
    pub(super) fn envelope(&self) -> Value {
        let (attempts, failure) = self.retry;
        let mut envelope = json!({
            "type": self.kind, "accepts_response_payload": self.kind != "events_api",
            "payload": self.payload,
        });
        if self.kind == "events_api" {
            envelope["retry_attempt"] = json!(attempts);
            envelope["retry_reason"] = json!(if attempts > 0 { failure.word() } else { "" });
        }
        envelope
    }
}

impl Failure {
    /// As Slack's headers word it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection => "connection_failed",
            Self::Status => "http_error",
        }
    }
}

impl Deliveries {
    pub(super) fn post_to(&self, post: Post) {
        *locked(&self.post) = Some(Arc::new(post));
    }

    pub(super) fn is_posting(&self) -> bool {
        locked(&self.post).is_some()
    }

    pub(super) fn outstanding(&self) -> watch::Receiver<u64> {
        self.outstanding.subscribe()
    }

    pub(super) fn deliver_twice(&self, next: u32) {
        locked(&self.troubles).twice = next;
    }

    pub(super) fn hold(&self) {
        locked(&self.troubles).held = Some(Vec::new());
    }

    /// Lets what was held go, the newest first, each when the one before it is over.
    pub(super) fn release_reversed(&self) {
        let held = locked(&self.troubles).held.take().unwrap_or_default();
        tokio::spawn(async move {
            for Held { go, over } in held.into_iter().rev() {
                // Whoever was held may be gone.
                let _ = go.send(());
                let _ = over.await;
            }
        });
    }

    fn leash(&self) -> Option<Leash> {
        let mut troubles = locked(&self.troubles);
        let held = troubles.held.as_mut()?;
        let ((go, wait), (end, over)) = (oneshot::channel(), oneshot::channel());
        held.push(Held { go, over });
        Some(Leash { go: wait, _over: end })
    }

    fn take_twice(&self) -> bool {
        let mut troubles = locked(&self.troubles);
        let twice = troubles.twice > 0;
        troubles.twice = troubles.twice.saturating_sub(1);
        twice
    }
}

impl Leash {
    async fn wait(leash: &mut Option<Self>) {
        if let Some(leash) = leash {
            // Let go, or forgotten.
            let _ = (&mut leash.go).await;
        }
    }
}

/// One attempt: tells, and waits for the acknowledgement.
async fn attempt(inner: &Arc<Inner>, parcel: &Parcel, patience: Duration) -> Acknowledged {
    let post = locked(&inner.deliveries.post).clone();
    match post {
        Some(post) => post.attempt(parcel, inner.now(), patience).await,
        None => inner.sockets.attempt(parcel, patience).await,
    }
}

/// Something that a person did: delivered once.
pub(super) async fn deliver(
    inner: &Arc<Inner>,
    kind: &'static str,
    payload: Value,
) -> Acknowledged {
    let deliveries = &inner.deliveries;
    deliveries.outstanding.send_modify(|count| *count += 1);
    let mut leash = deliveries.leash();
    Leash::wait(&mut leash).await;
    let parcel = Parcel::new(kind, payload);
    let twice = deliveries.take_twice();
    let acknowledged = attempt(inner, &parcel, PATIENCE).await;
    if twice {
        attempt(inner, &parcel, PATIENCE).await;
    }
    deliveries.outstanding.send_modify(|count| *count -= 1);
    acknowledged
}

/// An event: delivered until it is acknowledged, four times at most.
pub(super) fn deliver_event(inner: &Arc<Inner>, event: Value) {
    let inner = Arc::clone(inner);
    inner.deliveries.outstanding.send_modify(|count| *count += 1);
    let mut leash = inner.deliveries.leash();
    tokio::spawn(async move {
        Leash::wait(&mut leash).await;
        let mut parcel = Parcel::new("events_api", wrapped(&inner, &event));
        let patience = PATIENCE / inner.haste();
        for attempts in 0..MOST_ATTEMPTS {
            if !inner.deliveries.is_posting() {
                // Nobody is there: wait for a socket as long as for an acknowledgement.
                let mut connected = inner.sockets.connected();
                let someone = connected.wait_for(|count| *count > 0);
                let _ = tokio::time::timeout(patience, someone).await;
            }
            match attempt(&inner, &parcel, patience).await {
                Acknowledged::Yes(_) => break,
                Acknowledged::No(failure) => parcel.retry = (attempts + 1, failure),
            }
            if parcel.retry.1 != Failure::Timeout {
                tokio::time::sleep(patience).await;
            }
        }
        if inner.deliveries.take_twice() {
            attempt(&inner, &parcel, patience).await;
        }
        inner.deliveries.outstanding.send_modify(|count| *count -= 1);
    });
}

fn wrapped(inner: &Inner, event: &Value) -> Value {
    let number = inner.slack().number();
    json!({
        "token": "x", "team_id": TEAM, "context_team_id": TEAM,
        "context_enterprise_id": null, "api_app_id": APP, "type": "event_callback",
        "event_id": format!("Ev{number}"), "event_time": inner.now().as_second(),
        "event_context": format!("4-{number}"), "is_ext_shared_channel": false,
        "authorizations": [{
            "enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
            "is_enterprise_install": false,
        }],
        "event": event,
    })
}
