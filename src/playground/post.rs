//! Signed HTTP: what the app is told, as requests to its own address.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use ring::hmac;
use serde_json::Value;

use super::delivery::{Acknowledged, Failure, Parcel};

/// The app's address, and what we sign with.
pub(super) struct Post {
    http: reqwest::Client,
    base: String,
    key: hmac::Key,
}

impl Post {
    pub(super) fn new(base: &str, secret: &str) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap_or_default(),
            base: base.trim_end_matches('/').to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        }
    }

    pub(super) async fn attempt(
        &self,
        parcel: &Parcel,
        now: Timestamp,
        patience: Duration,
    ) -> Acknowledged {
        let (path, kind, body) = request(parcel);
        let at = now.as_second().to_string();
        let mut request = self
            .http
            .post(format!("{}/{path}", self.base))
            .timeout(patience)
            .header("Content-Type", kind)
            .header("X-Slack-Request-Timestamp", &at)
            .header("X-Slack-Signature", self.sign(&at, &body));
        if let (attempts @ 1.., failure) = parcel.retry {
            let reason = match failure {
                Failure::Timeout => "http_timeout",
                other => other.word(),
            };
            request = request
                .header("X-Slack-Retry-Num", attempts.to_string())
                .header("X-Slack-Retry-Reason", reason);
        }
        match request.body(body).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => match answer.text().await {
                Ok(text) => Acknowledged::Yes(serde_json::from_str(&text).unwrap_or(Value::Null)),
                Err(_) => Acknowledged::No(Failure::Connection),
            },
            Ok(_) => Acknowledged::No(Failure::Status),
            Err(error) if error.is_timeout() => Acknowledged::No(Failure::Timeout),
            Err(_) => Acknowledged::No(Failure::Connection),
        }
    }

    fn sign(&self, at: &str, body: &str) -> String {
        let tag = hmac::sign(&self.key, format!("v0:{at}:{body}").as_bytes());
        let hex: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("v0={}", hex.concat())
    }
}

/// Path, content type and body.
fn request(parcel: &Parcel) -> (&'static str, &'static str, String) {
    const FORM: &str = "application/x-www-form-urlencoded";
    let mut form = form_urlencoded::Serializer::new(String::new());
    match parcel.kind {
        "events_api" => ("events", "application/json", parcel.payload.to_string()),
        "interactive" => {
            form.append_pair("payload", &parcel.payload.to_string());
            ("interactivity", FORM, form.finish())
        }
        _ => {
            for (name, value) in parcel.payload.as_object().into_iter().flatten() {
                form.append_pair(name, value.as_str().unwrap_or_default());
            }
            ("commands", FORM, form.finish())
        }
    }
}
