//! Socket Mode: open sockets, envelopes, acknowledgements, redelivery.
//!
//! Events that nobody acknowledges come again, three times; interactions and commands do not, and
//! the person sees that the app did not respond.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::server::Inner;
use super::state::{APP, BOT_USER, TEAM};

const MOST_SOCKETS: usize = 10;
/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(3);
const MOST_ATTEMPTS: u32 = 4;

/// All sockets of the app.
pub(super) struct Sockets {
    open: Mutex<Vec<Socket>>,
    tickets: Mutex<HashSet<String>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    counter: AtomicU64,
    turn: AtomicUsize,
    /// Deliveries whose end is not known yet.
    outstanding: watch::Sender<u64>,
    connected: watch::Sender<usize>,
    troubles: Mutex<Troubles>,
}

struct Socket {
    id: u64,
    frames: mpsc::UnboundedSender<Frame>,
}

/// What goes wrong with deliveries, on purpose.
#[derive(Debug, Default)]
struct Troubles {
    refuses_sockets: bool,
    /// This many next deliveries come twice.
    twice: u32,
    /// Deliveries are kept until they are let go in reverse order.
    held: Option<Vec<Value>>,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Acknowledged {
    /// With its payload, `null` if it had none.
    Yes(Value),
    No,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            tickets: Mutex::default(),
            waiting: Mutex::default(),
            counter: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            outstanding: watch::Sender::new(0),
            connected: watch::Sender::new(0),
            troubles: Mutex::default(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sockets {
    /// An address that works once.
    pub(super) fn ticket(&self, base: &str) -> String {
        let ticket = format!("t{}", self.number());
        locked(&self.tickets).insert(ticket.clone());
        format!("{base}/{ticket}")
    }

    pub(super) fn connected(&self) -> watch::Receiver<usize> {
        self.connected.subscribe()
    }

    pub(super) fn outstanding(&self) -> watch::Receiver<u64> {
        self.outstanding.subscribe()
    }

    /// Cuts every connection without a word.
    pub(super) fn drop_all(&self) {
        locked(&self.open).clear();
    }

    /// Asks for new connections, as Slack does now and then.
    pub(super) fn ask_to_renew(&self) {
        let frame = json!({
            "type": "disconnect", "reason": "refresh_requested",
            "debug_info": { "host": "wss-play" },
        });
        for socket in locked(&self.open).iter() {
            // A socket that just closed needs no request.
            let _ = socket.frames.send(Frame::text(frame.to_string()));
        }
    }

    pub(super) fn refuse(&self, refuses: bool) {
        locked(&self.troubles).refuses_sockets = refuses;
    }

    pub(super) fn deliver_twice(&self, next: u32) {
        locked(&self.troubles).twice = next;
    }

    pub(super) fn hold(&self) {
        locked(&self.troubles).held = Some(Vec::new());
    }

    /// Lets what was held go, the newest first.
    pub(super) fn release_reversed(&self) {
        let held = locked(&self.troubles).held.take().unwrap_or_default();
        for envelope in held.into_iter().rev() {
            self.send(&envelope);
        }
    }

    fn number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sends to one of the open sockets. Says whether there was one.
    fn send(&self, envelope: &Value) -> bool {
        if let Some(held) = &mut locked(&self.troubles).held {
            held.push(envelope.clone());
            return true;
        }
        let mut open = locked(&self.open);
        open.retain(|socket| !socket.frames.is_closed());
        if open.is_empty() {
            return false;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % open.len();
        open[turn].frames.send(Frame::text(envelope.to_string())).is_ok()
    }

    fn take_twice(&self) -> bool {
        let mut troubles = locked(&self.troubles);
        let twice = troubles.twice > 0;
        troubles.twice = troubles.twice.saturating_sub(1);
        twice
    }

    /// One attempt: sends and waits for the acknowledgement.
    async fn attempt(&self, mut envelope: Value, patience: Duration) -> Acknowledged {
        let id = format!("e{}", self.number());
        envelope["envelope_id"] = json!(id);
        let (sender, receiver) = oneshot::channel();
        locked(&self.waiting).insert(id.clone(), sender);
        let acknowledged = if self.send(&envelope) {
            tokio::time::timeout(patience, receiver).await.ok().and_then(Result::ok)
        } else {
            None
        };
        locked(&self.waiting).remove(&id);
        acknowledged.map_or(Acknowledged::No, Acknowledged::Yes)
    }

    fn acknowledge(&self, frame: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(frame) else {
            return;
        };
        let Some(id) = frame["envelope_id"].as_str() else {
            return;
        };
        if let Some(waiting) = locked(&self.waiting).remove(id) {
            // Whoever waited may have given up.
            let _ = waiting.send(frame["payload"].clone());
        }
    }
}

/// Something that a person did: delivered once.
pub(super) async fn deliver(inner: &Arc<Inner>, kind: &str, payload: Value) -> Acknowledged {
    let sockets = &inner.sockets;
    sockets.outstanding.send_modify(|count| *count += 1);
    let envelope = json!({ "type": kind, "accepts_response_payload": true, "payload": payload });
    let again = sockets.take_twice().then(|| envelope.clone());
    let acknowledged = sockets.attempt(envelope, PATIENCE).await;
    if let Some(again) = again {
        sockets.attempt(again, PATIENCE).await;
    }
    sockets.outstanding.send_modify(|count| *count -= 1);
    acknowledged
}

/// An event: delivered until it is acknowledged, four times at most.
pub(super) fn deliver_event(inner: &Arc<Inner>, event: Value) {
    let inner = Arc::clone(inner);
    inner.sockets.outstanding.send_modify(|count| *count += 1);
    tokio::spawn(async move {
        let sockets = &inner.sockets;
        let number = sockets.number();
        let now = inner.now().as_second();
        let mut envelope = json!({
            "type": "events_api", "accepts_response_payload": false, "retry_attempt": 0,
            "retry_reason": "",
            "payload": {
                "token": "x", "team_id": TEAM, "context_team_id": TEAM,
                "context_enterprise_id": null, "api_app_id": APP, "type": "event_callback",
                "event_id": format!("Ev{number}"), "event_time": now,
                "event_context": format!("4-{number}"), "is_ext_shared_channel": false,
                "authorizations": [{
                    "enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
                    "is_enterprise_install": false,
                }],
                "event": event,
            },
        });
        let patience = PATIENCE / inner.haste();
        for attempt in 0..MOST_ATTEMPTS {
            if attempt > 0 {
                envelope["retry_attempt"] = json!(attempt);
                envelope["retry_reason"] = json!("timeout");
            }
            let mut connected = sockets.connected();
            // Nobody is there: wait for a socket as long as for an acknowledgement.
            let _ = tokio::time::timeout(patience, connected.wait_for(|count| *count > 0)).await;
            if sockets.attempt(envelope.clone(), patience).await != Acknowledged::No {
                break;
            }
        }
        if sockets.take_twice() {
            sockets.attempt(envelope, patience).await;
        }
        sockets.outstanding.send_modify(|count| *count -= 1);
    });
}

/// `GET /socket/TICKET`.
pub(super) async fn connect(
    State(inner): State<Arc<Inner>>,
    Path(ticket): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let refuses = locked(&inner.sockets.troubles).refuses_sockets;
    if refuses || !locked(&inner.sockets.tickets).remove(&ticket) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(move |socket| serve(inner, socket))
}

async fn serve(inner: Arc<Inner>, socket: WebSocket) {
    let sockets = &inner.sockets;
    let (mut write, mut read) = socket.split();
    let (frames, mut outgoing) = mpsc::unbounded_channel();
    let id = sockets.number();
    let count = locked(&sockets.open).len() + 1;
    let hello = if count > MOST_SOCKETS {
        json!({
            "type": "disconnect", "reason": "too_many_websockets",
            "debug_info": { "host": "wss-play" },
        })
    } else {
        json!({
            "type": "hello", "num_connections": count, "connection_info": { "app_id": APP },
            "debug_info": {
                "host": "applink-play", "started": "2026-01-01 00:00:00.000", "build_number": 1,
                "approximate_connection_time": 18060,
            },
        })
    };
    if write.send(Frame::text(hello.to_string())).await.is_err() || count > MOST_SOCKETS {
        return;
    }
    locked(&sockets.open).push(Socket { id, frames });
    sockets.connected.send_modify(|count| *count += 1);
    loop {
        tokio::select! {
            () = inner.stopping.cancelled() => break,
            frame = outgoing.recv() => match frame {
                Some(frame) => {
                    if write.send(frame).await.is_err() {
                        break;
                    }
                }
                None => break,
            },
            frame = read.next() => match frame {
                Some(Ok(Frame::Text(text))) => sockets.acknowledge(&text),
                Some(Ok(Frame::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    locked(&sockets.open).retain(|socket| socket.id != id);
    sockets.connected.send_modify(|count| *count -= 1);
}
