//! The Web API: who may call what, and the answers.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::faults::{Fault, Limit};
use super::server::Inner;
use super::state::{BOT, BOT_NAME, BOT_USER, Call, Slack, TEAM};
use super::{delivery, messages, people, views};

/// Methods, and the scope that the bot token needs for each.
const SCOPES: [(&str, &str); 18] = [
    ("auth.test", ""),
    ("chat.delete", "chat:write"),
    ("chat.postMessage", "chat:write"),
    ("chat.update", "chat:write"),
    ("conversations.history", "im:history"),
    ("conversations.open", "im:write"),
    ("conversations.replies", "im:history"),
    ("dnd.info", "dnd:read"),
    ("dnd.teamInfo", "dnd:read"),
    ("users.info", "users:read"),
    ("users.list", "users:read"),
    ("users.lookupByEmail", "users:read.email"),
    ("views.open", ""),
    ("views.publish", ""),
    ("views.push", ""),
    ("views.update", ""),
    ("apps.connections.open", ""),
    ("api.test", ""),
];

/// The arguments of a call, from JSON, a form or the query.
#[derive(Debug)]
pub(super) struct Arguments(Value);

impl Arguments {
    pub(super) fn new(arguments: Value) -> Self {
        Self(arguments)
    }

    /// `None` where it is missing or `null`.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == true || value == "true" || value == "1")
    }

    pub(super) fn number(&self, key: &str) -> Option<usize> {
        let value = self.get(key)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        usize::try_from(number).ok()
    }

    /// Form fields are text; those that hold JSON are read.
    fn from_form(form: &str) -> Self {
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        let decode = |text: &str| percent_decoded(&text.replace('+', " "));
        let fields = pairs.map(|(key, value)| {
            let value = decode(value);
            let is_json = ["blocks", "view", "metadata", "attachments"].contains(&key);
            let read = if is_json { serde_json::from_str(&value).ok() } else { None };
            (decode(key), read.unwrap_or(Value::String(value)))
        });
        Self(Value::Object(fields.collect()))
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        let decoded = match byte {
            b'%' => hex(rest.next()).zip(hex(rest.next())).map(|(high, low)| high * 16 + low),
            plain => Some(u32::from(plain)),
        };
        bytes.extend(decoded.and_then(|code| u8::try_from(code).ok()));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A call that was carried out.
pub(super) struct Done {
    pub(super) answer: Value,
    /// Events that the bot hears of afterwards.
    pub(super) events: Vec<Value>,
}

impl Done {
    pub(super) fn answer(answer: Value) -> Self {
        Self { answer, events: Vec::new() }
    }
}

/// A call that was refused with one of Slack's codes.
#[derive(Debug)]
pub(super) struct Refused {
    code: String,
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Refused {
    pub(super) fn code(code: &str) -> Self {
        Self { code: code.to_owned(), more: Map::new(), retry_after: None }
    }

    pub(super) fn rate_limited(seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::code("ratelimited") }
    }

    pub(super) fn with_messages(code: &str, messages: &[String]) -> Self {
        let more = json!({ "errors": messages, "response_metadata": { "messages": messages } });
        let more = more.as_object().cloned().unwrap_or_default();
        Self { more, ..Self::code(code) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut body = self.more;
        body.insert("ok".into(), json!(false));
        body.insert("error".into(), json!(self.code));
        let body = axum::Json(Value::Object(body));
        match self.retry_after {
            Some(seconds) => {
                let after = [(header::RETRY_AFTER, seconds.to_string())];
                (StatusCode::TOO_MANY_REQUESTS, after, body).into_response()
            }
            None => body.into_response(),
        }
    }
}

/// `POST /api/METHOD`.
pub(super) async fn call(
    State(inner): State<Arc<Inner>>,
    Path(method): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let arguments = arguments(&headers, query.as_deref(), &body);
    let fault = {
        let mut slack = inner.slack();
        let call = Call { method: method.clone(), arguments: arguments.0.clone() };
        slack.calls.push(call.clone());
        if let Some(Err(seconds)) = slack.limits.get_mut(&method).map(Limit::pass) {
            return Refused::rate_limited(seconds).into_response();
        }
        let fault = slack.faults.next(&method);
        if fault == Some(Fault::Late) {
            slack.late.push(call);
        }
        fault
    };
    if let Some(fault) = fault.as_ref().filter(|fault| fault.comes_first()) {
        return broken(fault);
    }
    let token = token(&headers, &arguments);
    let now = inner.now();
    let done = {
        let mut slack = inner.slack();
        permitted(&slack, &inner, &method, &token)
            .and_then(|()| perform(&mut slack, &inner, &method, &arguments, now))
    };
    inner.changed();
    let done = match done {
        Ok(done) => done,
        Err(refused) => return refused.into_response(),
    };
    for event in done.events {
        delivery::deliver_event(&inner, event);
    }
    match &fault {
        Some(Fault::Slow(wait)) => tokio::time::sleep(*wait).await,
        Some(after) => return broken(after),
        None => {}
    }
    answer(done.answer, &method, &inner)
}

fn answer(mut body: Value, method: &str, inner: &Inner) -> Response {
    body["ok"] = json!(true);
    let mut response = axum::Json(body).into_response();
    if method == "auth.test" {
        let scopes = inner.slack().settings.scopes.join(",");
        if let Ok(scopes) = scopes.parse() {
            response.headers_mut().insert("x-oauth-scopes", scopes);
        }
    }
    response
}

fn arguments(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Arguments {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let text = String::from_utf8_lossy(body);
    let mut arguments = if kind.is_some_and(|kind| kind.starts_with("application/json")) {
        Arguments(serde_json::from_str(&text).unwrap_or_default())
    } else {
        Arguments::from_form(&text)
    };
    if let (Some(query), Some(fields)) = (query, arguments.0.as_object_mut()) {
        let Arguments(more) = Arguments::from_form(query);
        fields.extend(more.as_object().cloned().unwrap_or_default());
    }
    arguments
}

fn token(headers: &HeaderMap, arguments: &Arguments) -> String {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| value.strip_prefix("Bearer "));
    bearer.or_else(|| arguments.text("token")).unwrap_or_default().to_owned()
}

/// The right kind of token, not revoked, with the scope.
fn permitted(slack: &Slack, inner: &Inner, method: &str, token: &str) -> Result<(), Refused> {
    let known = SCOPES.iter().find(|(known, _)| *known == method);
    let (_, scope) = known.ok_or_else(|| Refused::code("unknown_method"))?;
    if token.is_empty() {
        return Err(Refused::code("not_authed"));
    }
    let (right, wrong) = if method == "apps.connections.open" {
        (&inner.app_token, &inner.bot_token)
    } else {
        (&inner.bot_token, &inner.app_token)
    };
    if token == wrong {
        return Err(Refused::code("not_allowed_token_type"));
    }
    if token != right || slack.is_revoked {
        return Err(Refused::code("invalid_auth"));
    }
    let scopes = &slack.settings.scopes;
    if !scope.is_empty() && !scopes.iter().any(|granted| granted == scope) {
        let mut refused = Refused::code("missing_scope");
        refused.more.insert("needed".into(), json!(scope));
        refused.more.insert("provided".into(), json!(scopes.join(",")));
        return Err(refused);
    }
    Ok(())
}

/// What was on its way arrives.
pub(super) fn arrive(inner: &Arc<Inner>) {
    let now = inner.now();
    let done: Vec<Done> = {
        let mut slack = inner.slack();
        let late = std::mem::take(&mut slack.late);
        let mut perform = |call: Call| {
            perform(&mut slack, inner, &call.method, &Arguments(call.arguments), now).ok()
        };
        late.into_iter().filter_map(&mut perform).collect()
    };
    inner.changed();
    for event in done.into_iter().flat_map(|done| done.events) {
        delivery::deliver_event(inner, event);
    }
}

fn perform(
    slack: &mut Slack,
    inner: &Arc<Inner>,
    method: &str,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Done, Refused> {
    match method {
        "api.test" => Ok(Done::answer(json!({}))),
        "auth.test" => Ok(Done::answer(json!({
            "url": inner.page_url(), "team": slack.settings.workspace, "user": BOT_NAME,
            "team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT, "is_enterprise_install": false,
        }))),
        "apps.connections.open" => {
            Ok(Done::answer(json!({ "url": inner.sockets.ticket(&inner.socket_url()) })))
        }
        "chat.delete" => messages::delete(slack, arguments),
        "chat.postMessage" => messages::post(slack, arguments, now),
        "chat.update" => messages::update(slack, arguments, now),
        "conversations.history" | "conversations.replies" => messages::history(slack, arguments),
        "conversations.open" => messages::open(slack, arguments),
        "dnd.info" => people::quiet(slack, arguments, now),
        "dnd.teamInfo" => people::team_quiet(slack, arguments, now),
        "users.info" => people::info(slack, arguments, now),
        "users.list" => Ok(people::list(slack, now)),
        "users.lookupByEmail" => people::lookup_by_email(slack, arguments, now),
        "views.open" => views::open(slack, arguments),
        "views.publish" => views::publish(slack, arguments),
        "views.push" => views::push(slack, arguments),
        "views.update" => views::update(slack, arguments),
        _ => Err(Refused::code("unknown_method")),
    }
}

/// What a fault looks like from outside.
fn broken(fault: &Fault) -> Response {
    match fault {
        Fault::RateLimited(seconds) => Refused::rate_limited(*seconds).into_response(),
        Fault::Broken(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, axum::response::Html("<h1>Something went wrong</h1>")).into_response()
        }
        Fault::Refused(code) | Fault::RefusedAfter(code) => Refused::code(code).into_response(),
        Fault::CutBefore | Fault::CutAfter | Fault::Slow(_) | Fault::Late => {
            let cut = std::io::Error::other("the connection was cut on purpose");
            let body = futures_util::stream::iter([Ok(Bytes::from_static(b"{\"ok\":")), Err(cut)]);
            ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
        }
    }
}

/// `POST /response/ID`: where a `response_url` leads.
pub(super) async fn respond(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    let now = inner.now();
    let done = messages::respond(&mut inner.slack(), &id, &body, now);
    inner.changed();
    match done {
        Ok(()) => "ok".into_response(),
        Err(refused) => (StatusCode::NOT_FOUND, refused.code).into_response(),
    }
}
