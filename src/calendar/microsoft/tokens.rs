//! The app's access token: one for all calendars, kept until shortly before its end.
//!
//! Who asks while it is being fetched waits for that one. A refusal is remembered for a while too, so
//! that a wrong secret is not tried once for every person. Microsoft may withdraw a token at any
//! time; whoever was refused with one says so and gets another, but not over and over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{MicrosoftSettings, refusals};
use crate::calendar::fetch::{failed, limited};
use crate::calendar::guard::{Guard, Request, SLOW};
use crate::ports::{CalendarError, Clock};

/// Before its end a token is not used any more, since a reading takes its time; of one that lives
/// briefly a fifth is enough.
const MARGIN: i64 = 300;
/// What is believed of a token's length of life, and what if nothing is said of it.
const LONGEST_LIFE: i64 = 24 * 3600;
const UNSAID_LIFE: i64 = 300;
/// How long a refusal is believed, and how long that the server cannot be reached.
const REFUSED_FOR: SignedDuration = SignedDuration::from_secs(60);
const UNREACHED_FOR: SignedDuration = SignedDuration::from_secs(5);
/// Whatever the server asks for.
const LONGEST_PATIENCE: i64 = 600;
/// From one withdrawn token to the next one that we take for withdrawn.
const BETWEEN_WITHDRAWALS: SignedDuration = SignedDuration::from_secs(60);
/// Of the endpoint's answer.
const MOST_BYTES: u64 = 64 << 10;
const TOO_LARGE: &str = "Microsoft's sign-in answers at too great length; see microsoft.login_url";
const NO_TOKEN: &str = "Microsoft's sign-in answers without a token; see microsoft.login_url";

/// The token of one app.
#[derive(Debug)]
pub(super) struct Tokens {
    app: MicrosoftSettings,
    clock: Shared,
    /// For one fetch: less than a reading, so that what went wrong can be remembered.
    time: Duration,
    /// Locked while a token is fetched.
    kept: Mutex<Kept>,
}

struct Shared(Arc<dyn Clock>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[derive(Debug, Default)]
struct Kept {
    token: Option<Token>,
    trouble: Option<RememberedTrouble>,
    withdrawn_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Token {
    /// `Bearer …`; shows nothing in `Debug`.
    header: HeaderValue,
    life: Span,
}

#[derive(Debug)]
struct RememberedTrouble {
    error: CalendarError,
    life: Span,
}

/// From then on for so long. A clock that is set back does not prolong it.
#[derive(Debug)]
struct Span {
    from: Timestamp,
    length: SignedDuration,
}

impl Span {
    fn covers(&self, now: Timestamp) -> bool {
        now.duration_since(self.from).abs() < self.length
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// A number, on some old servers as text.
    expires_in: Option<Value>,
}

impl Tokens {
    pub(super) fn new(app: MicrosoftSettings, clock: Arc<dyn Clock>, reading: Duration) -> Self {
        Self { app, clock: Shared(clock), time: reading / 2, kept: Mutex::default() }
    }

    /// What to send as `Authorization`.
    pub(super) async fn header(&self, guard: &Guard) -> Result<HeaderValue, CalendarError> {
        let mut kept = self.kept.lock().await;
        self.current(&mut kept, guard).await
    }

    /// Another one in place of a `refused` one; `None` if there is no better one to be had.
    pub(super) async fn another(
        &self,
        guard: &Guard,
        refused: &HeaderValue,
    ) -> Result<Option<HeaderValue>, CalendarError> {
        let mut kept = self.kept.lock().await;
        if kept.token.as_ref().is_some_and(|token| token.header == *refused) {
            let now = self.clock.0.now();
            let since = |at: Timestamp| now.duration_since(at).abs();
            if kept.withdrawn_at.is_some_and(|at| since(at) < BETWEEN_WITHDRAWALS) {
                return Ok(None);
            }
            kept.withdrawn_at = Some(now);
            kept.token = None;
        }
        self.current(&mut kept, guard).await.map(Some)
    }

    async fn current(&self, kept: &mut Kept, guard: &Guard) -> Result<HeaderValue, CalendarError> {
        let now = self.clock.0.now();
        if let Some(token) = kept.token.as_ref().filter(|token| token.life.covers(now)) {
            return Ok(token.header.clone());
        }
        if let Some(trouble) = kept.trouble.as_ref().filter(|trouble| trouble.life.covers(now)) {
            return Err(trouble.error.clone());
        }
        kept.token = None;
        let fetching = tokio::time::timeout(self.time, self.fetch(guard));
        let fetched = fetching.await.unwrap_or_else(|_| Err((failed(SLOW), UNREACHED_FOR)));
        match fetched {
            Ok((header, length)) => {
                kept.trouble = None;
                let token = Token { header, life: Span { from: now, length } };
                Ok(kept.token.insert(token).header.clone())
            }
            Err((error, length)) => {
                let life = Span { from: now, length };
                kept.trouble = Some(RememberedTrouble { error: error.clone(), life });
                Err(error)
            }
        }
    }

    /// A token with how long it is good for, or what is wrong and how long to believe it.
    async fn fetch(
        &self,
        guard: &Guard,
    ) -> Result<(HeaderValue, SignedDuration), (CalendarError, SignedDuration)> {
        let passing = |error| (error, UNREACHED_FOR);
        let address = format!("{}/{}/oauth2/v2.0/token", self.app.login_url, self.app.tenant);
        let response = guard.send(&address, &self.request()).await.map_err(passing)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = limited(response, MOST_BYTES, TOO_LARGE, |_| Ok(())).await.map_err(passing)?;
        if status != StatusCode::OK {
            let error = refusals::of_sign_in(status, &headers, &body);
            let asked = error.retry_after.and_then(|after| i64::try_from(after).ok());
            let patience = asked.map(|after| after.min(LONGEST_PATIENCE));
            return Err((error, patience.map_or(REFUSED_FOR, SignedDuration::from_secs)));
        }
        token(&body).ok_or_else(|| passing(failed(NO_TOKEN)))
    }

    fn request(&self) -> Request {
        let scope = format!("{}/.default", self.app.graph_url);
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.app.client_id)
            .append_pair("client_secret", &self.app.client_secret)
            .append_pair("scope", &scope);
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        Request {
            method: Method::POST,
            headers: HeaderMap::from_iter([
                (CONTENT_TYPE, form_type),
                (ACCEPT, HeaderValue::from_static("application/json")),
            ]),
            body: form.finish().into_bytes(),
        }
    }
}

fn token(body: &[u8]) -> Option<(HeaderValue, SignedDuration)> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    if answer.access_token.is_empty() {
        return None;
    }
    let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token)).ok()?;
    header.set_sensitive(true);
    let life = match &answer.expires_in {
        Some(Value::Number(seconds)) => seconds.as_i64(),
        Some(Value::String(seconds)) => seconds.parse().ok(),
        _ => None,
    };
    let life = life.unwrap_or(UNSAID_LIFE).clamp(0, LONGEST_LIFE);
    Some((header, SignedDuration::from_secs(life - MARGIN.min(life / 5))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_given_up_shortly_before_its_end() {
        let life = |text: &str| {
            let body = format!(r#"{{"token_type":"Bearer","access_token":"ey.x"{text}}}"#);
            token(body.as_bytes()).map(|(_, life)| life.as_secs())
        };
        for (text, seconds) in [
            (r#","expires_in":3599"#, 3299),
            (r#","expires_in":"3599""#, 3299),
            (r#","expires_in":100"#, 80),
            (r#","expires_in":0"#, 0),
            (r#","expires_in":-5"#, 0),
            (r#","expires_in":9e99"#, 240),
            (r#","expires_in":99999999999"#, 86_100),
            ("", 240),
        ] {
            assert_eq!(life(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        for body in
            ["", "<html>", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a\nb"}"#, "[1]"]
        {
            assert!(token(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        struct Never;
        impl Clock for Never {
            fn now(&self) -> Timestamp {
                Timestamp::UNIX_EPOCH
            }
        }
        let app = MicrosoftSettings {
            tenant: "own.example".into(),
            client_id: "4711".into(),
            client_secret: "hush-hush".into(),
            graph_url: "https://graph.example".into(),
            login_url: "https://login.example".into(),
        };
        let tokens = Tokens::new(app, Arc::new(Never), Duration::from_secs(20));
        let (header, length) = token(br#"{"access_token":"ey.x"}"#).unwrap();
        let life = Span { from: Timestamp::UNIX_EPOCH, length };
        tokens.kept.try_lock().unwrap().token = Some(Token { header, life });
        let shown = format!("{tokens:?}");
        assert!(shown.contains("own.example"), "{shown}");
        assert!(!shown.contains("hush") && !shown.contains("ey.x"), "{shown}");
    }
}
