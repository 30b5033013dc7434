//! What the page in the browser asks for, under `/play`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::assets::only_from_here;
use super::deeds::{self, Place, Submitted};
use super::server::Inner;
use super::state::{BOT_NAME, BOT_USER, Message, Slack};
use super::views;

const MOST_STOPS: usize = 6;

pub(super) fn router(inner: Arc<Inner>) -> Router<Arc<Inner>> {
    Router::new()
        .route("/people", get(people))
        .route("/clock", get(clock).post(turn))
        .route("/state", get(state))
        .route("/events", get(events))
        .route("/action", post(action))
        .route("/submit", post(submit))
        .route("/close", post(close))
        .route("/command", post(command))
        .route("/message", post(message))
        .route("/home", post(home))
        .route("/shortcut", post(shortcut))
        .layer(from_fn_with_state(inner, only_from_here))
}

type Shared = State<Arc<Inner>>;

async fn people(State(inner): Shared) -> Json<Value> {
    let slack = inner.slack();
    let settings = &slack.settings;
    let people = settings.people.iter().filter(|member| !member.is_bot && !member.is_deleted);
    let people: Vec<Value> = people
        .map(|member| json!({ "id": member.id, "name": member.name, "title": member.title }))
        .collect();
    let commands = settings.commands.iter();
    let shortcuts = settings.shortcuts.iter();
    Json(json!({
        "team": settings.workspace, "bot": { "id": BOT_USER, "name": BOT_NAME }, "people": people,
        "commands": commands
            .map(|(name, hint)| json!({ "name": name, "hint": hint })).collect::<Vec<_>>(),
        "shortcuts": shortcuts
            .map(|(id, name)| json!({ "callback_id": id, "name": name })).collect::<Vec<_>>(),
    }))
}

async fn clock(State(inner): Shared) -> Json<Value> {
    let now = inner.now();
    let slack = inner.slack();
    let stops = slack.settings.stops.iter().filter(|(at, _)| *at > now).take(MOST_STOPS);
    let stops: Vec<Value> =
        stops.map(|(at, label)| json!({ "at": at.to_string(), "label": label })).collect();
    Json(json!({ "now": now.to_string(), "zone": slack.settings.zone, "stops": stops }))
}

#[derive(Deserialize)]
struct Turn {
    to: Timestamp,
}

async fn turn(State(inner): Shared, Json(turn): Json<Turn>) -> Response {
    if !inner.clock.set(turn.to) {
        return refused("the clock only goes forward");
    }
    inner.changed();
    fine()
}

#[derive(Deserialize)]
struct As {
    #[serde(rename = "as")]
    person: String,
}

async fn state(State(inner): Shared, Query(who): Query<As>) -> Json<Value> {
    let revision = *inner.revision().borrow();
    let slack = inner.slack();
    let channel = Slack::channel_of(&who.person);
    let messages = slack.messages.iter().filter(|message| message.channel == channel);
    let messages: Vec<Value> = messages
        .filter(|message| !message.is_deleted)
        .map(|message| shown(&slack, message))
        .collect();
    let view = |id: &String| slack.views.get(id).map(|view| views::as_json(view, &json!({})));
    let home = slack.homes.get(&who.person).and_then(view);
    let modals: Vec<Value> =
        slack.modals.get(&who.person).into_iter().flatten().filter_map(view).collect();
    let names = slack.settings.people.iter();
    let names: Map<String, Value> =
        names.map(|member| (member.id.clone(), json!(member.name))).collect();
    Json(json!({
        "revision": revision, "channel": channel, "messages": messages, "home": home,
        "modals": modals, "names": names,
    }))
}

fn shown(slack: &Slack, message: &Message) -> Value {
    let author = slack.member(&message.author).map_or(BOT_NAME, |member| &member.name);
    let second = message.ts.split('.').next().and_then(|second| second.parse().ok());
    let time = second.and_then(|second| Timestamp::from_second(second).ok());
    json!({
        "ts": message.ts, "from_bot": message.is_from_bot(), "author": author,
        "time": time.unwrap_or_default().to_string(), "text": message.text,
        "blocks": message.blocks, "thread_ts": message.thread_ts,
        "ephemeral": message.is_ephemeral, "edited": message.is_edited && !message.is_from_bot(),
    })
}

/// Says whenever anything has changed, the clock included.
async fn events(State(inner): Shared) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stopping = inner.stopping.clone();
    let parts = (inner.revision(), inner.clock.turned(), true);
    let changes = stream::unfold(parts, |(mut revision, mut turned, is_first)| async move {
        if !is_first {
            tokio::select! {
                changed = revision.changed() => changed.ok()?,
                changed = turned.changed() => changed.ok()?,
            }
        }
        turned.borrow_and_update();
        let now = *revision.borrow_and_update();
        let event = Event::default().data(json!({ "revision": now }).to_string());
        Some((Ok(event), (revision, turned, false)))
    });
    Sse::new(changes.take_until(async move { stopping.cancelled().await }))
}

#[derive(Deserialize)]
struct Deed {
    #[serde(rename = "as")]
    person: String,
    container: Container,
    action: Value,
    #[serde(default)]
    values: Value,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Container {
    Message { ts: String },
    View { view_id: String },
}

async fn action(State(inner): Shared, Json(deed): Json<Deed>) -> Response {
    let place = match deed.container {
        Container::Message { ts } => Place::Message(ts),
        Container::View { view_id } => Place::View(view_id),
    };
    let values = if deed.values.is_null() { json!({}) } else { deed.values };
    match deeds::act(&inner, &deed.person, &place, deed.action, &values).await {
        Some(acked) => Json(json!({ "ok": true, "acked": acked })).into_response(),
        None => refused("that is gone"),
    }
}

#[derive(Deserialize)]
struct Form {
    #[serde(rename = "as")]
    person: String,
    view_id: String,
    #[serde(default)]
    values: Value,
}

async fn submit(State(inner): Shared, Json(form): Json<Form>) -> Response {
    let body = match deeds::submit(&inner, &form.person, &form.view_id, &form.values).await {
        None => return refused("that form is gone"),
        Some(Submitted::Accepted) => json!({ "ok": true }),
        Some(Submitted::Errors(errors)) => json!({ "ok": false, "errors": errors }),
        Some(Submitted::Timeout) => json!({ "ok": false, "timeout": true }),
    };
    Json(body).into_response()
}

async fn close(State(inner): Shared, Json(form): Json<Form>) -> Response {
    deeds::close(&inner, &form.person, &form.view_id).await;
    fine()
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "as")]
    person: String,
    #[serde(default)]
    text: String,
    thread_ts: Option<String>,
    #[serde(default)]
    callback_id: String,
}

async fn command(State(inner): Shared, Json(typed): Json<Typed>) -> Response {
    let name = typed.text.split_whitespace().next().unwrap_or_default();
    let known = inner.slack().settings.commands.iter().any(|(command, _)| command == name);
    if !known {
        return refused(&format!("{name} is not a command here"));
    }
    let acked = deeds::command(&inner, &typed.person, &typed.text).await;
    Json(json!({ "ok": true, "acked": acked })).into_response()
}

async fn message(State(inner): Shared, Json(typed): Json<Typed>) -> Response {
    deeds::say(&inner, &typed.person, &typed.text, typed.thread_ts.as_deref());
    fine()
}

async fn home(State(inner): Shared, Json(typed): Json<Typed>) -> Response {
    deeds::open_home(&inner, &typed.person);
    fine()
}

async fn shortcut(State(inner): Shared, Json(typed): Json<Typed>) -> Response {
    let acked = deeds::shortcut(&inner, &typed.person, &typed.callback_id).await;
    Json(json!({ "ok": true, "acked": acked })).into_response()
}

fn fine() -> Response {
    Json(json!({ "ok": true })).into_response()
}

fn refused(why: &str) -> Response {
    (StatusCode::OK, Json(json!({ "ok": false, "error": why }))).into_response()
}
