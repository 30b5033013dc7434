//! The door for signed HTTP: Slack, or a proxy before us, posts to one port.
//!
//! Nothing of a request is understood before its signature holds: its size is limited, its raw bytes
//! are read, its timestamp and its signature are checked, and only then is anything parsed. Whoever
//! fails hears 401 and nothing else. All paths take all kinds, as what it is stands in the body.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use ring::hmac;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::{SlackMessenger, Token};
use super::desk::{self, Desk, Handler, Kept};
use super::door::{Forged, Health};
use super::inbound::{self, Request, Us};
use crate::ports::Clock;

/// Where the manifest tells Slack to post.
pub const EVENTS: &str = "/slack/events";
pub const INTERACTIVITY: &str = "/slack/interactivity";
pub const COMMANDS: &str = "/slack/commands";

/// Slack's own bodies are far smaller.
const MOST_BYTES: usize = 256 * 1024;
/// For the whole body to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How far a timestamp may be from our clock, in seconds.
const WINDOW: i64 = 300;
/// Slack's requests do not come unsigned, except this one.
const SSL_CHECK: &[u8] = b"ssl_check=1";

/// An open port.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    stopping: CancellationToken,
    serving: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
}

struct Shared {
    desk: Desk,
    /// Each is accepted: two while the secret is being changed.
    keys: RwLock<Vec<hmac::Key>>,
    /// The signature's window is part of understanding a request.
    clock: Arc<dyn Clock>,
    forged: Mutex<Forged>,
    /// When we last complained about clocks that differ.
    complained_at: AtomicI64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("forged", &self.forged).finish_non_exhaustive()
    }
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgery {
    /// No signature, or not exactly one of the form that Slack writes.
    Unsigned,
    Wrong,
    /// Signed by Slack, but too long ago or in the future, by so many seconds.
    OutOfTime(i64),
}

impl Listener {
    /// Listens on `address` for what is signed with one of `secrets`.
    ///
    /// # Errors
    /// If the port is taken, there is no secret, or Slack does not tell us who we are.
    pub async fn start(
        address: SocketAddr,
        messenger: &SlackMessenger,
        secrets: &[Token],
        handler: Handler,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let us = Us::new(messenger.me().await.context("ask Slack who we are")?);
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address}; choose another slack.listen"))?;
        let address = listener.local_addr().context("find our own port")?;
        let shared = Arc::new(Shared {
            desk: Desk::new(us, handler, desk::HANDLING),
            keys: RwLock::new(keys(secrets)?),
            clock,
            forged: Mutex::default(),
            complained_at: AtomicI64::new(0),
        });
        let router = Router::new()
            .route(EVENTS, post(receive))
            .route(INTERACTIVITY, post(receive))
            .route(COMMANDS, post(receive))
            .with_state(Arc::clone(&shared));
        let stopping = CancellationToken::new();
        let until = stopping.clone();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { until.cancelled().await })
                .await
        });
        Ok(Self { address, shared, stopping, serving: Mutex::new(Some(serving)) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these secrets are accepted, and no others.
    ///
    /// # Errors
    /// If there is none.
    pub fn accept(&self, secrets: &[Token]) -> anyhow::Result<()> {
        let new = keys(secrets)?;
        *self.shared.keys.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub fn health(&self) -> Health {
        Health { forged: *self.shared.forged(), ..Health::default() }
    }

    /// Takes no new connection, answers what was asked, and closes.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.shared.desk.finished().await;
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut serving) = serving
            && tokio::time::timeout(Duration::from_secs(1), &mut serving).await.is_err()
        {
            // Somebody keeps a request open; what it brought was not complete, so it was not taken.
            serving.abort();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

fn keys(secrets: &[Token]) -> anyhow::Result<Vec<hmac::Key>> {
    let secrets = secrets.iter().map(Token::secret).filter(|secret| !secret.is_empty());
    let keys: Vec<hmac::Key> =
        secrets.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect();
    ensure!(!keys.is_empty(), "no signing secret");
    Ok(keys)
}

async fn receive(State(door): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    let body = match whole(&headers, body).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    if is_ssl_check(&headers, &body) {
        return StatusCode::OK.into_response();
    }
    if let Err(forgery) = door.verify(&headers, &body) {
        door.turn_away(forgery);
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let delivery = match inbound::read_body(&body, &door.desk.us) {
        Request::Challenge(challenge) => return challenge.into_response(),
        Request::Knock => return StatusCode::OK.into_response(),
        Request::Delivery(delivery) => delivery,
    };
    match door.desk.take(*delivery).await {
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Kept(None)) => StatusCode::OK.into_response(),
        Some(Kept(Some(answer))) => {
            ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
    }
}

/// The raw body, or why it is not wanted.
async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, StatusCode> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if declared
        .and_then(|length| length.parse().ok())
        .is_some_and(|bytes: u64| bytes > MOST_BYTES as u64)
    {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match tokio::time::timeout(ARRIVAL, axum::body::to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Slack looks at our certificate with a request that it does not sign; it has no effect.
fn is_ssl_check(headers: &HeaderMap, body: &[u8]) -> bool {
    !headers.contains_key("x-slack-signature")
        && body.split(|byte| *byte == b'&').take(8).any(|field| field == SSL_CHECK)
}

/// The header, if it is there once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// 32 bytes from lower-case hexadecimal digits.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Whether the owner of one of `keys` signed `body` just now.
fn verify(
    keys: &[hmac::Key],
    signed_at: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Forgery> {
    let signature = signature.strip_prefix("v0=").and_then(from_hex).ok_or(Forgery::Unsigned)?;
    let is_plain = signed_at.bytes().all(|byte| byte.is_ascii_digit());
    let at = signed_at.parse().ok().filter(|_| is_plain).ok_or(Forgery::Unsigned)?;
    let signed = [b"v0:", signed_at.as_bytes(), b":", body].concat();
    // Constant time for each key.
    if !keys.iter().any(|key| hmac::verify(key, &signed, &signature).is_ok()) {
        return Err(Forgery::Wrong);
    }
    let off = now.as_second().saturating_sub(at);
    if (-WINDOW..=WINDOW).contains(&off) { Ok(()) } else { Err(Forgery::OutOfTime(off)) }
}

/// For the fuzz targets: whether a request would be let in.
pub(super) fn is_genuine(
    secret: &str,
    signed_at: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    verify(&[key], signed_at, signature, body, now).is_ok()
}

impl Shared {
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Forgery> {
        let signed_at = only(headers, "x-slack-request-timestamp").ok_or(Forgery::Unsigned)?;
        let signature = only(headers, "x-slack-signature").ok_or(Forgery::Unsigned)?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        verify(&keys, signed_at, signature, body, self.clock.now())
    }

    fn forged(&self) -> MutexGuard<'_, Forged> {
        self.forged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, forgery: Forgery) {
        let mut forged = self.forged();
        let count = match forgery {
            Forgery::Unsigned => &mut forged.unsigned,
            Forgery::Wrong => &mut forged.wrong,
            Forgery::OutOfTime(_) => &mut forged.out_of_time,
        };
        *count = count.saturating_add(1);
    }

    /// Counted, and logged once a minute if it may be our own clock that is wrong.
    fn turn_away(&self, forgery: Forgery) {
        self.count(forgery);
        let Forgery::OutOfTime(seconds) = forgery else {
            tracing::debug!(?forgery, "a request was not Slack's");
            return;
        };
        let now: Timestamp = self.clock.now();
        let last = self.complained_at.load(Ordering::Relaxed);
        if now.as_second().abs_diff(last) >= 60 {
            self.complained_at.store(now.as_second(), Ordering::Relaxed);
            tracing::warn!(
                seconds,
                "a request of Slack's is out of time: a replay, or this machine's clock is wrong"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_read_strictly() {
        assert_eq!(from_hex(&"0f".repeat(32)), Some([15; 32]));
        for wrong in ["", "0f", &"0F".repeat(32), &"0g".repeat(32), &"0f".repeat(33)] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }

    /// The example of Slack's documentation.
    #[test]
    fn slacks_own_example_holds() {
        let secret = Token::new("8f742231b10e8888abcd99yyyzzz85a5");
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
                    &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA\
                    &user_name=roadrunner&command=%2Fwebhook-collect&text=\
                    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J\
                    %2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
                    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let tag = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let signed = format!("v0:1531420618:{body}");
        let key = keys(&[secret]).unwrap().remove(0);
        assert!(hmac::verify(&key, signed.as_bytes(), &from_hex(tag).unwrap()).is_ok());
        assert!(keys(&[Token::new("")]).is_err());
    }
}
