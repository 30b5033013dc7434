//! Socket Mode: open sockets, envelopes, acknowledgements.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::delivery::{Acknowledged, Failure, Parcel, locked};
use super::server::Inner;
use super::state::APP;

const MOST_SOCKETS: usize = 10;

/// All sockets of the app.
pub(super) struct Sockets {
    open: Mutex<Vec<Socket>>,
    tickets: Mutex<HashSet<String>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    counter: AtomicU64,
    turn: AtomicUsize,
    connected: watch::Sender<usize>,
    refuses: AtomicBool,
}

struct Socket {
    id: u64,
    frames: mpsc::UnboundedSender<Frame>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            tickets: Mutex::default(),
            waiting: Mutex::default(),
            counter: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            connected: watch::Sender::new(0),
            refuses: AtomicBool::new(false),
        }
    }
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

    /// Cuts one connection without a word.
    pub(super) fn drop_one(&self) {
        locked(&self.open).pop();
    }

    /// Cuts every connection without a word.
    pub(super) fn drop_all(&self) {
        locked(&self.open).clear();
    }

    /// Asks for new connections, as Slack does now and then.
    pub(super) fn ask_to_renew(&self, reason: &str) {
        let frame = json!({
            "type": "disconnect", "reason": reason,
            "debug_info": { "host": "wss-play" },
        });
        for socket in locked(&self.open).iter() {
            // A socket that just closed needs no request.
            let _ = socket.frames.send(Frame::text(frame.to_string()));
        }
    }

    pub(super) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    fn number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sends to one of the open sockets. Says whether there was one.
    fn send(&self, envelope: &Value) -> bool {
        let mut open = locked(&self.open);
        open.retain(|socket| !socket.frames.is_closed());
        if open.is_empty() {
            return false;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % open.len();
        open[turn].frames.send(Frame::text(envelope.to_string())).is_ok()
    }

    /// One attempt: sends and waits for the acknowledgement.
    pub(super) async fn attempt(&self, parcel: &Parcel, patience: Duration) -> Acknowledged {
        let mut envelope = parcel.envelope();
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
        acknowledged.map_or(Acknowledged::No(Failure::Timeout), Acknowledged::Yes)
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

/// `GET /socket/TICKET`.
pub(super) async fn connect(
    State(inner): State<Arc<Inner>>,
    Path(ticket): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let refuses = inner.sockets.refuses.load(Ordering::Relaxed);
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
