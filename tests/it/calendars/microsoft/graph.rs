//! A Microsoft 365 of our own: the sign-in and Graph on one port of this machine.
//!
//! It answers in the forms that Microsoft documents, errors included, and writes down what it was
//! asked. [`Graph::answer`] puts anything else in the way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde_json::{Value, json};

pub(super) const TENANT: &str = "own.onmicrosoft.example";
pub(super) const CLIENT: &str = "2f6c7b1e-0000-4000-8000-7d1f6c7b1e2f";
pub(super) const SECRET: &str = "a1B~the.clients_secret-8Q";

/// One answer instead of the usual one.
pub(super) type Canned = Box<dyn Fn() -> Response + Send>;

/// What was asked of Graph.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) mailbox: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
}

#[derive(Default)]
struct Desk {
    url: String,
    /// How long a token lives, as the sign-in says.
    life: u64,
    sign_ins: Vec<HashMap<String, String>>,
    /// The one token that Graph takes.
    token: String,
    asked: Vec<Asked>,
    pages: Vec<Vec<Value>>,
    answers: VecDeque<Canned>,
    refusals: VecDeque<Canned>,
}

/// The server.
pub(super) struct Graph {
    pub(super) url: String,
    desk: Arc<Mutex<Desk>>,
}

impl Graph {
    /// With Maya's calendar, in pages.
    pub(super) async fn with(pages: Vec<Vec<Value>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let desk = Desk { url: url.clone(), life: 3599, pages, ..Desk::default() };
        let desk = Arc::new(Mutex::new(desk));
        let routes = Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(sign_in))
            .route("/v1.0/users/{mailbox}/calendarView", get(view))
            .with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, desk }
    }

    pub(super) fn set_pages(&self, pages: Vec<Vec<Value>>) {
        self.desk.lock().unwrap().pages = pages;
    }

    pub(super) fn tokens_live(&self, seconds: u64) {
        self.desk.lock().unwrap().life = seconds;
    }

    /// Graph takes no token any more that was given out.
    pub(super) fn withdraw_tokens(&self) {
        self.desk.lock().unwrap().token = "none".into();
    }

    /// What Graph answers next, in place of the calendar.
    pub(super) fn answer(&self, canned: impl Fn() -> Response + Send + 'static) {
        self.desk.lock().unwrap().answers.push_back(Box::new(canned));
    }

    /// What the sign-in answers next.
    pub(super) fn refuse(&self, canned: impl Fn() -> Response + Send + 'static) {
        self.desk.lock().unwrap().refusals.push_back(Box::new(canned));
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.desk.lock().unwrap().asked.clone()
    }

    pub(super) fn sign_ins(&self) -> Vec<HashMap<String, String>> {
        self.desk.lock().unwrap().sign_ins.clone()
    }
}

async fn sign_in(
    State(desk): State<Arc<Mutex<Desk>>>,
    Path(tenant): Path<String>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut desk = desk.lock().unwrap();
    desk.sign_ins.push(form.clone());
    if let Some(canned) = desk.refusals.pop_front() {
        return canned();
    }
    if tenant != TENANT {
        return aadsts(400, "invalid_request", 90_002);
    }
    if form.get("client_id").is_none_or(|id| id != CLIENT) {
        return aadsts(400, "unauthorized_client", 700_016);
    }
    if form.get("client_secret").is_none_or(|secret| secret != SECRET) {
        return aadsts(401, "invalid_client", 7_000_215);
    }
    desk.token = format!("ey.{}", desk.sign_ins.len());
    let life = desk.life;
    let answer = json!({
        "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": desk.token,
    });
    Json(answer).into_response()
}

async fn view(
    State(desk): State<Arc<Mutex<Desk>>>,
    Path(mailbox): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut desk = desk.lock().unwrap();
    let query = query.unwrap_or_default();
    let (of, all) = (mailbox.clone(), query.clone());
    desk.asked.push(Asked { mailbox: of, query: all, headers: headers.clone() });
    let bearer = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if bearer != Some(format!("Bearer {}", desk.token)) {
        return odata(401, "InvalidAuthenticationToken", "Access token validation failure.");
    }
    if let Some(canned) = desk.answers.pop_front() {
        return canned();
    }
    if !mailbox.starts_with("maya@") {
        return odata(
            404,
            "ErrorInvalidUser",
            &format!("The requested user '{mailbox}' is invalid."),
        );
    }
    let skipped = query.split_once("$skip=").map_or(0, |(_, number)| number.parse().unwrap());
    let mut answer = json!({
        "@odata.context": format!("{}/v1.0/$metadata#users('1')/calendarView", desk.url),
        "value": desk.pages.get(skipped).cloned().unwrap_or_default(),
    });
    if skipped + 1 < desk.pages.len() {
        let next = format!("{}/v1.0/users/{mailbox}/calendarView?$skip={}", desk.url, skipped + 1);
        answer["@odata.nextLink"] = json!(next);
    }
    Json(answer).into_response()
}

/// How the sign-in refuses.
pub(super) fn aadsts(status: u16, error: &str, number: u32) -> Response {
    let body = json!({
        "error": error,
        "error_description": format!(
            "AADSTS{number}: Something about maya@own.example.\r\nTrace ID: 1\r\nTimestamp: now"
        ),
        "error_codes": [number],
        "timestamp": "2026-03-10 10:00:00Z",
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    });
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

/// How Graph refuses.
pub(super) fn odata(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"error": {
        "code": code,
        "message": message,
        "innerError": {"date": "2026-03-10T10:00:00", "request-id": "1", "client-request-id": "2"},
    }});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

/// The same with a request for patience.
pub(super) fn patience(status: u16, code: &str, message: &str) -> Response {
    let mut response = odata(status, code, message);
    response.headers_mut().insert("retry-after", "17".parse().unwrap());
    response
}

/// Anything at all.
pub(super) fn raw(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// An entry as Graph shows it; `more` replaces what it names.
pub(super) fn entry(uid: &str, start: &str, end: &str, more: &Value) -> Value {
    let at = |time: &str| json!({"dateTime": format!("{time}:00.0000000"), "timeZone": "UTC"});
    let mail = |address: &str, name: &str| json!({"name": name, "address": address});
    let mut entry = json!({
        "@odata.etag": "W/\"1\"",
        "id": format!("AAk{uid}"),
        "iCalUId": uid,
        "type": "singleInstance",
        "subject": "Acme demo",
        "start": at(start),
        "end": at(end),
        "originalStart": null,
        "isAllDay": false,
        "isCancelled": false,
        "showAs": "busy",
        "sensitivity": "normal",
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "attendees": [{
            "type": "required",
            "status": {"response": "accepted", "time": "2026-03-01T10:00:00Z"},
            "emailAddress": mail("Kim.Lee@acme.example", "Kim Lee"),
        }],
        "organizer": {"emailAddress": mail("maya@own.example", "Maya Brandt")},
        "isOnlineMeeting": true,
        "onlineMeeting": {"joinUrl": "https://teams.example/l/meetup-join/1"},
        "onlineMeetingUrl": null,
        "webLink": "https://outlook.example/owa/?itemid=1",
    });
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    entry
}
