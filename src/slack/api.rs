//! Calls to Slack's Web API: one connection pool, our pace, our time-outs, our errors.
//!
//! Every answer is read into a structure that asks for `ok`, so an answer without it (Slack behind a
//! broken proxy, say) is an unknown fate and not a success. Answers, texts and addresses never reach
//! a log: a call is logged as its method, its code and how long it took.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use hyper_timeout::TimeoutConnector;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use slack_morphism::errors::SlackClientError;
use slack_morphism::hyper_tokio::{SlackClientHyperConnector, SlackHyperHttpsConnector};
use slack_morphism::{
    SlackApiToken, SlackApiTokenValue, SlackClient, SlackClientApiCallContext,
    SlackClientHttpConnector,
};
use tokio::time::Instant;

use super::client::Token;
use super::errors::{self, Limited};
use super::figures::{Figures, MethodFigures};
use super::pace::{Lane, Pace};
use crate::ports::SendError;

pub(super) const CALL: Duration = Duration::from_secs(10);
/// A trigger lives three seconds.
pub(super) const TRIGGERED: Duration = Duration::from_millis(2500);

pub(super) type Connector = SlackClientHyperConnector<TimeoutConnector<SlackHyperHttpsConnector>>;

/// One workspace's Web API.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) client: Arc<SlackClient<Connector>>,
    /// Opens sockets; not there if Slack reaches us over signed HTTP.
    pub(super) app_token: Option<SlackApiToken>,
    bot_token: SlackApiToken,
    raw: RawApi,
    pace: Arc<Pace>,
    figures: Figures,
}

/// For the one answer whose headers we need.
#[derive(Debug)]
struct RawApi {
    http: reqwest::Client,
    url: String,
    token: Token,
    /// Slack's time as it last told, and when that was.
    told: Mutex<Option<(Timestamp, Instant)>>,
    /// Slack refused our token when we last asked who we are.
    is_refused: AtomicBool,
}

/// Which request a method wants, and who waits for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) channel: Option<&'a str>,
    pub(super) lane: Lane,
    pub(super) limit: Duration,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: &'static str) -> Self {
        Self { method, channel: None, lane: Lane::Background, limit: CALL }
    }

    pub(super) fn to(channel: &'a str, method: &'static str) -> Self {
        Self { channel: Some(channel), ..Self::new(method) }
    }

    /// A person waits for it.
    pub(super) fn urgent(method: &'static str, limit: Duration) -> Self {
        Self { lane: Lane::People, limit, ..Self::new(method) }
    }

    pub(super) fn in_lane(self, lane: Lane) -> Self {
        Self { lane, ..self }
    }
}

/// An answer of which only success matters.
#[derive(Debug, Deserialize)]
pub(super) struct Done {}

/// Any answer that Slack calls a success.
#[derive(Debug, Deserialize)]
struct Answer<T> {
    ok: bool,
    #[serde(flatten)]
    rest: T,
}

impl Api {
    pub(super) fn new(
        api_url: &str,
        bot_token: &Token,
        app_token: Option<&Token>,
        pace: Arc<Pace>,
    ) -> anyhow::Result<Self> {
        // The process-wide provider is main's to install; this makes the adapter work without.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = api_url.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder()
            .timeout(CALL)
            // As the library, which knows no proxies: half a connection would be worse than none.
            .no_proxy()
            .build()
            .context("build the HTTP client")?;
        Ok(Self {
            client: Arc::new(SlackClient::new(connector(&url)?)),
            app_token: app_token.map(api_token),
            bot_token: api_token(bot_token),
            raw: RawApi {
                http,
                url,
                token: bot_token.clone(),
                told: Mutex::new(None),
                is_refused: AtomicBool::new(false),
            },
            pace,
            figures: Figures::default(),
        })
    }

    /// Calls a method that takes JSON.
    pub(super) async fn post<T: DeserializeOwned + Send>(
        &self,
        call: Call<'_>,
        body: &Value,
    ) -> Result<T, SendError> {
        self.paced(call, async {
            let session = self.client.open_session(&self.bot_token);
            session.http_session_api.http_post(call.method, body, None).await
        })
        .await
    }

    /// Calls a method that reads, and takes its arguments from the address.
    pub(super) async fn get<T: DeserializeOwned + Send>(
        &self,
        call: Call<'_>,
        arguments: &[(&'static str, String)],
    ) -> Result<T, SendError> {
        let arguments: Vec<(&str, Option<&String>)> =
            arguments.iter().map(|(name, value)| (*name, Some(value))).collect();
        self.paced(call, async {
            let session = self.client.open_session(&self.bot_token);
            session.http_session_api.http_get(call.method, &arguments, None).await
        })
        .await
    }

    /// Whether Slack would open a socket for our app token, if we have one.
    pub(super) async fn try_socket(&self) -> Result<(), SendError> {
        let Some(token) = &self.app_token else {
            return Ok(());
        };
        let call = Call::new("apps.connections.open");
        let answer: Result<Done, SendError> = self
            .paced(call, async {
                let session = self.client.open_session(token);
                session.http_session_api.http_post(call.method, &serde_json::json!({}), None).await
            })
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(
                SendError::Halt { code } | SendError::Never { code } | SendError::Gone { code },
            ) => Err(SendError::Halt { code: format!("app token: {code}") }),
            Err(other) => Err(other),
        }
    }

    /// Posts to an address that Slack gave us; it carries its own secret, so no token goes there.
    pub(super) async fn respond(&self, url: &str, body: &Value) -> Result<(), SendError> {
        let url =
            url.parse().map_err(|_| SendError::Never { code: "invalid_response_url".into() })?;
        let span = tracing::Span::none();
        let context = SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let started = Instant::now();
        let connector = &self.client.http_api.connector;
        let sent = connector.http_post_uri::<_, Value>(url, body, context);
        let result = match tokio::time::timeout(CALL, sent).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(errors::from_response_url(&error)),
            Err(_) => Err(SendError::Unknown),
        };
        self.figures.called("response_url", started, result.as_ref().err(), Limited::No);
        result
    }

    /// `auth.test`, with the token's scopes if Slack tells them.
    pub(super) async fn who_am_i(&self) -> Result<(Value, Option<String>), SendError> {
        let started = Instant::now();
        let result = self.raw.auth_test().await;
        self.figures.called("auth.test", started, result.as_ref().err(), Limited::No);
        match &result {
            Ok(_) => self.raw.is_refused.store(false, Ordering::Relaxed),
            Err(SendError::Halt { .. }) => self.raw.is_refused.store(true, Ordering::Relaxed),
            // Slack said nothing about our token.
            Err(_) => {}
        }
        result
    }

    /// Whether Slack refused our token when we last asked who we are.
    pub(super) fn is_refused(&self) -> bool {
        self.raw.is_refused.load(Ordering::Relaxed)
    }

    /// What Slack's clock shows, to the second; `None` if it never told.
    pub(super) fn time_there(&self) -> Option<Timestamp> {
        let told = *self.raw.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.and_then(|(at, since)| at.checked_add(since.elapsed()).ok())
    }

    async fn paced<T: DeserializeOwned + Send>(
        &self,
        call: Call<'_>,
        answer: impl Future<Output = Result<Answer<T>, SlackClientError>>,
    ) -> Result<T, SendError> {
        let pass = self.pace.wait(call.method, call.channel, call.lane).await?;
        let started = Instant::now();
        let mut limited = Limited::No;
        // The crate has no time-outs of its own.
        let result = match tokio::time::timeout(call.limit, answer).await {
            Ok(Ok(Answer { ok: true, rest })) => Ok(rest),
            Ok(Err(error)) => {
                limited = errors::limit(&error);
                Err(errors::from_client(&error))
            }
            Ok(Ok(_)) | Err(_) => Err(SendError::Unknown),
        };
        match (&result, limited) {
            (Err(SendError::Later { after }), Limited::No) => self.pace.close(call.method, *after),
            (Err(SendError::Later { after }), _) => self.pace.refused(pass, *after),
            _ => self.pace.went(pass),
        }
        if result.is_ok() && call.method != "apps.connections.open" {
            self.raw.is_refused.store(false, Ordering::Relaxed);
        }
        self.figures.called(call.method, started, result.as_ref().err(), limited);
        result
    }

    pub(super) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    pub(super) fn figures(&self) -> Vec<MethodFigures> {
        self.figures.snapshot(&self.pace)
    }
}

impl RawApi {
    async fn auth_test(&self) -> Result<(Value, Option<String>), SendError> {
        let answer = self
            .http
            .post(format!("{}/auth.test", self.url))
            .bearer_auth(self.token.secret())
            .send()
            .await
            .map_err(|error| {
                if error.is_connect() { SendError::Later { after: 5 } } else { SendError::Unknown }
            })?;
        let header = |name: &str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        if let Some(at) = header("date").and_then(|date| rfc2822::parse(&date).ok()) {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            *told = Some((at.timestamp(), Instant::now()));
        }
        let scopes = header("x-oauth-scopes");
        let wait = header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
        if answer.status() == reqwest::StatusCode::TOO_MANY_REQUESTS {
            return Err(errors::limited(wait));
        }
        let body = answer.text().await.map_err(|_| SendError::Unknown)?;
        let body: Value = serde_json::from_str(&body).map_err(|_| SendError::Unknown)?;
        match body["error"].as_str() {
            Some(code) => Err(errors::from_code(code)),
            None if body["ok"] == true => Ok((body, scopes)),
            None => Err(SendError::Unknown),
        }
    }
}

/// The connection's own time-outs are for calls that the crate makes itself.
fn connector(url: &str) -> anyhow::Result<Connector> {
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .context("load the system's certificates")?
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .build();
    let mut timed = TimeoutConnector::new(https);
    timed.set_connect_timeout(Some(Duration::from_secs(5)));
    timed.set_read_timeout(Some(Duration::from_secs(30)));
    timed.set_write_timeout(Some(Duration::from_secs(30)));
    Ok(SlackClientHyperConnector::with_connector(timed).with_slack_api_url(url))
}

fn api_token(token: &Token) -> SlackApiToken {
    SlackApiToken::new(SlackApiTokenValue(token.secret().to_owned()))
}
