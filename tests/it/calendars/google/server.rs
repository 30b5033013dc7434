//! A pretend Google: its token endpoint and its calendar, in its dialect, errors included.
//!
//! Written from Google's reference, not from our adapter: it checks the signature, knows scopes,
//! leaves out every field that was not asked for, and gives pages of the size asked for.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

pub(super) const KEY: &str = include_str!("key.json");
const SCOPE: &str = "https://www.googleapis.com/auth/calendar.events.readonly";

/// An answer in place of the usual one.
pub(super) type Answer = Box<dyn Fn() -> Response + Send + Sync>;

/// A request to the calendar, as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) person: String,
    pub(super) calendar: String,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HeaderMap,
}

pub(super) struct Google {
    pub(super) address: SocketAddr,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    address: String,
    calendars: Mutex<HashMap<String, Vec<Value>>>,
    /// Whose each token is.
    tokens: Mutex<HashMap<String, String>>,
    /// Who a token was asked for, every time.
    granted: Mutex<Vec<String>>,
    asked: Mutex<Vec<Asked>>,
    settings: Mutex<Settings>,
    for_tokens: Mutex<VecDeque<Answer>>,
    for_calendars: Mutex<VecDeque<Answer>>,
}

struct Settings {
    is_delegated: bool,
    expires_in: u64,
    page: usize,
    /// Where time is checked.
    now: Option<Box<dyn Fn() -> Timestamp + Send>>,
    always: Option<Answer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { is_delegated: true, expires_in: 3599, page: 2500, now: None, always: None }
    }
}

impl Google {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk { address: format!("http://{address}"), ..Desk::default() });
        let app = Router::new()
            .route("/token", post(token))
            .route("/calendar/v3/calendars/{calendar}/events", get(events))
            .with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, desk }
    }

    pub(super) fn api_url(&self) -> String {
        format!("http://{}/calendar/v3", self.address)
    }

    pub(super) fn token_url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub(super) fn set(&self, person: &str, events: Vec<Value>) {
        self.desk.calendars.lock().unwrap().insert(person.to_owned(), events);
    }

    pub(super) fn forget(&self, person: &str) {
        self.desk.calendars.lock().unwrap().remove(person);
    }

    pub(super) fn check_times(&self, now: impl Fn() -> Timestamp + Send + 'static) {
        self.desk.settings.lock().unwrap().now = Some(Box::new(now));
    }

    pub(super) fn end_delegation(&self) {
        self.desk.settings.lock().unwrap().is_delegated = false;
    }

    pub(super) fn tokens_live(&self, seconds: u64) {
        self.desk.settings.lock().unwrap().expires_in = seconds;
    }

    /// No token that was handed out is good any more.
    pub(super) fn withdraw_tokens(&self) {
        self.desk.tokens.lock().unwrap().clear();
    }

    pub(super) fn pages_of(&self, size: usize) {
        self.desk.settings.lock().unwrap().page = size;
    }

    /// The next answers of the token endpoint, then of the calendar.
    pub(super) fn next_token(&self, answer: Answer) {
        self.desk.for_tokens.lock().unwrap().push_back(answer);
    }

    pub(super) fn next(&self, answer: Answer) {
        self.desk.for_calendars.lock().unwrap().push_back(answer);
    }

    pub(super) fn always(&self, answer: Option<Answer>) {
        self.desk.settings.lock().unwrap().always = answer;
    }

    pub(super) fn granted(&self) -> Vec<String> {
        self.desk.granted.lock().unwrap().clone()
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().unwrap().clone()
    }
}

/// A refusal in the calendar's dialect.
pub(super) fn refusal(code: u16, domain: &str, reason: &str, message: &str) -> Answer {
    let body = json!({ "error": {
        "errors": [{ "domain": domain, "reason": reason, "message": message }],
        "code": code, "message": message,
    }});
    answer(code, &[], body.to_string())
}

/// Any answer at all.
pub(super) fn answer(
    code: u16,
    headers: &[(&'static str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let headers: Vec<(&'static str, String)> =
        headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let body = body.into();
    Box::new(move || {
        let mut response = Response::builder().status(code);
        for (name, value) in &headers {
            response = response.header(*name, value);
        }
        response.body(Body::from(body.clone())).unwrap()
    })
}

fn oauth_error(status: u16, error: &str, words: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(json!({ "error": error, "error_description": words }))).into_response()
}

async fn token(
    State(desk): State<Arc<Desk>>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if let Some(answer) = desk.for_tokens.lock().unwrap().pop_front() {
        return answer();
    }
    if form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
        return oauth_error(400, "unsupported_grant_type", "Invalid grant_type");
    }
    let Some(claims) = genuine(&form["assertion"]) else {
        return oauth_error(400, "invalid_grant", "Invalid JWT Signature.");
    };
    let settings = desk.settings.lock().unwrap();
    if claims["aud"] != format!("{}/token", desk.address) {
        return oauth_error(400, "invalid_grant", "Invalid JWT: Failed audience check.");
    }
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    let off = settings.now.as_ref().map_or(0, |now| now().as_second() - iat);
    if exp - iat > 3600 || off.abs() > 300 {
        return oauth_error(
            400,
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
             timeframe. Check your iat and exp values in the JWT claim.",
        );
    }
    if !settings.is_delegated || claims["scope"] != SCOPE {
        return oauth_error(
            401,
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, or client not \
             authorized for any of the scopes requested.",
        );
    }
    let person = claims["sub"].as_str().unwrap().to_owned();
    if !desk.calendars.lock().unwrap().contains_key(&person) {
        return oauth_error(400, "invalid_grant", "Invalid email or User ID");
    }
    let mut granted = desk.granted.lock().unwrap();
    granted.push(person.clone());
    let token = format!("ya29.{}", granted.len());
    desk.tokens.lock().unwrap().insert(token.clone(), person);
    let life = settings.expires_in;
    Json(json!({ "access_token": token, "expires_in": life, "token_type": "Bearer" }))
        .into_response()
}

/// The claims of an assertion that our key signed.
fn genuine(assertion: &str) -> Option<Value> {
    let key: Value = serde_json::from_str(KEY).unwrap();
    let pem = key["private_key"].as_str().unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let public =
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec());
    let (signed, signature) = assertion.rsplit_once('.')?;
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let (header, claims) = signed.split_once('.')?;
    let parsed = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let header: Value = parsed(header)?;
    let claims: Value = parsed(claims)?;
    let is_ours = header["alg"] == "RS256"
        && header["kid"] == key["private_key_id"]
        && claims["iss"] == key["client_email"];
    is_ours.then_some(claims)
}

async fn events(
    State(desk): State<Arc<Desk>>,
    Path(calendar): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
    let token = bearer.trim_start_matches("Bearer ");
    let person = desk.tokens.lock().unwrap().get(token).cloned();
    desk.asked.lock().unwrap().push(Asked {
        person: person.clone().unwrap_or_default(),
        calendar: calendar.clone(),
        query: query.clone(),
        headers,
    });
    let settings = desk.settings.lock().unwrap();
    if let Some(answer) = desk.for_calendars.lock().unwrap().pop_front() {
        return answer();
    }
    if let Some(answer) = &settings.always {
        return answer();
    }
    let Some(person) = person else {
        return refusal(401, "global", "authError", "Invalid Credentials")();
    };
    if query.get("quotaUser").is_none_or(|user| user.len() > 40) {
        return refusal(403, "usageLimits", "userRateLimitExceeded", "User Rate Limit Exceeded")();
    }
    let owner = if calendar == "primary" { person } else { calendar };
    let calendars = desk.calendars.lock().unwrap();
    let Some(all) = calendars.get(&owner) else {
        return refusal(404, "global", "notFound", "Not Found")();
    };
    let shown: Vec<&Value> = all.iter().filter(|event| is_shown(event, &query)).collect();
    let most: usize = query["maxResults"].parse().unwrap();
    let size = most.min(settings.page);
    let from: usize = query.get("pageToken").map_or(0, |token| token[1..].parse().unwrap());
    let to = (from + size).min(shown.len());
    let mut page = json!({
        "kind": "calendar#events", "etag": "\"p\"", "summary": owner, "accessRole": "owner",
        "timeZone": "Europe/Berlin", "items": shown[from..to].to_vec(),
    });
    let more = if to < shown.len() {
        ("nextPageToken", format!("p{to}"))
    } else {
        ("nextSyncToken", "s".into())
    };
    page[more.0] = more.1.into();
    Json(masked(&page, &query["fields"])).into_response()
}

/// Events end after `timeMin` and start before `timeMax`; what has no times is always there.
fn is_shown(event: &Value, query: &HashMap<String, String>) -> bool {
    assert_eq!(query["singleEvents"], "true", "this server holds single events only");
    if event["status"] == "cancelled" && query["showDeleted"] != "true" {
        return false;
    }
    let edge = |key: &str| query[key].parse::<Timestamp>().unwrap();
    let time = |key: &str| event[key]["dateTime"].as_str()?.parse::<Timestamp>().ok();
    time("end").is_none_or(|end| end > edge("timeMin"))
        && time("start").is_none_or(|start| start < edge("timeMax"))
}

/// What a partial response holds: `a,b(c,d/e)`.
fn masked(value: &Value, mask: &str) -> Value {
    match value {
        Value::Array(all) => all.iter().map(|one| masked(one, mask)).collect(),
        Value::Object(fields) => {
            let mut kept = serde_json::Map::new();
            for part in parts(mask) {
                let end = part.find(['(', '/']).unwrap_or(part.len());
                let (name, rest) = part.split_at(end);
                let Some(field) = fields.get(name) else { continue };
                let inner = match rest.strip_prefix('(') {
                    Some(inner) => inner.strip_suffix(')').expect("a closed bracket"),
                    None => rest.trim_start_matches('/'),
                };
                let field = if inner.is_empty() { field.clone() } else { masked(field, inner) };
                kept.insert(name.to_owned(), field);
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

/// Split at the commas that no bracket encloses.
fn parts(mask: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, letter) in mask.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&mask[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&mask[from..]);
    found
}
