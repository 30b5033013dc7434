//! `chat.*`, `conversations.*` and `response_url`.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::{Arguments, Done, Refused};
use super::kit::{self, Surface};
use super::state::{APP, BOT, BOT_NAME, BOT_USER, Message, Slack, TEAM};

/// Slack lets short bursts pass; this many posts to one channel within a second are too many.
const BURST: usize = 5;
const MOST_HISTORY: usize = 100;

pub(super) fn open(slack: &mut Slack, arguments: &Arguments) -> Result<Done, Refused> {
    let users = arguments.text("users").unwrap_or_default();
    let member = slack.member(users).ok_or_else(|| Refused::code("user_not_found"))?;
    if member.is_deleted {
        return Err(Refused::code("user_disabled"));
    }
    if member.is_bot {
        return Err(Refused::code("cannot_dm_bot"));
    }
    let channel = Slack::channel_of(&member.id);
    Ok(Done::answer(json!({ "no_op": true, "already_open": true, "channel": { "id": channel } })))
}

pub(super) fn post(
    slack: &mut Slack,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Done, Refused> {
    let channel = channel(slack, arguments)?;
    check_pace(slack, &channel)?;
    let content = content(arguments)?;
    let thread_ts = arguments.text("thread_ts").map(str::to_owned);
    if let Some(root) = &thread_ts
        && slack.message(&channel, root).is_none()
    {
        return Err(Refused::code("thread_not_found"));
    }
    let message = Message {
        ts: slack.ts(now),
        channel: channel.clone(),
        author: BOT_USER.to_owned(),
        text: content.text,
        blocks: content.blocks,
        metadata: content.metadata,
        thread_ts,
        is_ephemeral: false,
        is_edited: false,
        edited_ts: None,
        is_deleted: false,
    };
    let shown = as_json(&message);
    slack.messages.push(message.clone());
    let mut event = shown.clone();
    event["channel"] = json!(channel);
    event["channel_type"] = json!("im");
    event["event_ts"] = json!(message.ts);
    let answer = json!({ "channel": channel, "ts": message.ts, "message": shown });
    Ok(Done { answer, events: vec![event] })
}

pub(super) fn update(
    slack: &mut Slack,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Done, Refused> {
    let channel = channel(slack, arguments)?;
    let ts = arguments.text("ts").unwrap_or_default().to_owned();
    let content = content(arguments)?;
    let event_ts = slack.ts(now);
    let message = slack.message(&channel, &ts).ok_or_else(|| Refused::code("message_not_found"))?;
    if !message.is_from_bot() {
        return Err(Refused::code("cant_update_message"));
    }
    let previous = as_json(message);
    message.text = content.text;
    message.blocks = content.blocks;
    if !content.metadata.is_null() {
        message.metadata = content.metadata;
    }
    message.is_edited = true;
    let shown = as_json(message);
    let event = json!({
        "type": "message", "subtype": "message_changed", "hidden": true, "channel": channel,
        "channel_type": "im", "ts": event_ts, "event_ts": event_ts, "message": shown,
        "previous_message": previous,
    });
    let answer = json!({ "channel": channel, "ts": ts, "text": shown["text"], "message": shown });
    Ok(Done { answer, events: vec![event] })
}

pub(super) fn delete(slack: &mut Slack, arguments: &Arguments) -> Result<Done, Refused> {
    let channel = channel(slack, arguments)?;
    let ts = arguments.text("ts").unwrap_or_default().to_owned();
    let message = slack.message(&channel, &ts).ok_or_else(|| Refused::code("message_not_found"))?;
    message.is_deleted = true;
    Ok(Done::answer(json!({ "channel": channel, "ts": ts })))
}

/// Newest first, `limit` at a time; metadata only where it is asked for.
pub(super) fn history(slack: &mut Slack, arguments: &Arguments) -> Result<Done, Refused> {
    let channel = channel(slack, arguments)?;
    let root = arguments.text("ts");
    let (oldest, latest) = (arguments.text("oldest"), arguments.text("latest"));
    let inclusive = arguments.flag("inclusive");
    let with_metadata = arguments.flag("include_all_metadata");
    let limit = arguments.number("limit").unwrap_or(MOST_HISTORY).clamp(1, MOST_HISTORY);
    let skip: usize = arguments
        .text("cursor")
        .filter(|cursor| !cursor.is_empty())
        .map(|cursor| cursor.parse().map_err(|_| Refused::code("invalid_cursor")))
        .transpose()?
        .unwrap_or(0);
    let within = |ts: &str| {
        let above = oldest.is_none_or(|oldest| after(ts, oldest) || (inclusive && ts == oldest));
        let below = latest.is_none_or(|latest| after(latest, ts) || (inclusive && ts == latest));
        above && below
    };
    let in_place = |message: &Message| match root {
        Some(root) => message.ts == root || message.thread_ts.as_deref() == Some(root),
        None => message.thread_ts.is_none(),
    };
    let found: Vec<&Message> = slack
        .messages
        .iter()
        .rev()
        .filter(|message| message.channel == channel && !message.is_deleted)
        .filter(|message| !message.is_ephemeral && in_place(message) && within(&message.ts))
        .collect();
    let page = found.iter().skip(skip).take(limit).map(|message| {
        let mut shown = as_json(message);
        if !with_metadata && let Some(fields) = shown.as_object_mut() {
            fields.remove("metadata");
        }
        shown
    });
    let has_more = found.len() > skip + limit;
    let next = if has_more { (skip + limit).to_string() } else { String::new() };
    Ok(Done::answer(json!({
        "messages": page.collect::<Vec<_>>(), "has_more": has_more,
        "response_metadata": { "next_cursor": next },
    })))
}

/// Compares timestamps as numbers: the part before the dot may differ in length.
fn after(a: &str, b: &str) -> bool {
    let parts = |ts: &str| {
        let (seconds, micros) = ts.split_once('.').unwrap_or((ts, "0"));
        let micros = format!("{micros:0<6}");
        (seconds.parse::<i64>().unwrap_or(0), micros.parse::<i64>().unwrap_or(0))
    };
    parts(a) > parts(b)
}

/// What comes to a `response_url`: an ephemeral line, or another look for the message itself.
pub(super) fn respond(
    slack: &mut Slack,
    place: &str,
    body: &Value,
    now: Timestamp,
) -> Result<(), Refused> {
    let arguments = Arguments::new(body.clone());
    let (person, original) =
        slack.use_answer_place(place).ok_or_else(|| Refused::code("used_url"))?;
    let channel = Slack::channel_of(&person);
    if arguments.flag("delete_original") {
        if let Some(message) = original.and_then(|ts| slack.message(&channel, &ts)) {
            message.is_deleted = true;
        }
        return Ok(());
    }
    let content = content(&arguments)?;
    if arguments.flag("replace_original")
        && let Some(message) = original.and_then(|ts| slack.message(&channel, &ts))
    {
        message.text = content.text;
        message.blocks = content.blocks;
        message.is_edited = !message.is_ephemeral;
        return Ok(());
    }
    let ephemeral = arguments.text("response_type") != Some("in_channel");
    let message = Message {
        ts: slack.ts(now),
        channel,
        author: BOT_USER.to_owned(),
        text: content.text,
        blocks: content.blocks,
        metadata: Value::Null,
        thread_ts: None,
        is_ephemeral: ephemeral,
        is_edited: false,
        edited_ts: None,
        is_deleted: false,
    };
    slack.messages.push(message);
    Ok(())
}

struct Content {
    text: String,
    blocks: Value,
    metadata: Value,
}

fn content(arguments: &Arguments) -> Result<Content, Refused> {
    let text = arguments.text("text");
    let blocks = arguments.get("blocks");
    if let Some(code) = kit::check_message_size(text, blocks) {
        return Err(Refused::code(code));
    }
    if let Some(blocks) = blocks {
        let problems = kit::check_blocks(Surface::Message, blocks);
        if !problems.is_empty() {
            return Err(Refused::with_messages("invalid_blocks", &problems));
        }
    }
    let metadata = arguments.get("metadata").cloned().unwrap_or_default();
    if !metadata.is_null() {
        let fits = metadata["event_type"].as_str().is_some_and(|kind| !kind.is_empty())
            && metadata["event_payload"].is_object();
        if !fits {
            return Err(Refused::code("invalid_metadata_format"));
        }
    }
    Ok(Content {
        text: text.unwrap_or_default().to_owned(),
        blocks: blocks.cloned().unwrap_or_default(),
        metadata,
    })
}

/// A conversation of ours, by its id or by the person's.
fn channel(slack: &Slack, arguments: &Arguments) -> Result<String, Refused> {
    let channel = arguments.text("channel").unwrap_or_default();
    let person = slack.member(channel).or_else(|| slack.person_of(channel));
    match person {
        Some(member) if member.is_deleted => Err(Refused::code("channel_not_found")),
        Some(member) if !member.is_bot => Ok(Slack::channel_of(&member.id)),
        _ => Err(Refused::code("channel_not_found")),
    }
}

fn check_pace(slack: &mut Slack, channel: &str) -> Result<(), Refused> {
    let posts = slack.posts.entry(channel.to_owned()).or_default();
    while posts.front().is_some_and(|post| post.elapsed() > Duration::from_secs(1)) {
        posts.pop_front();
    }
    if posts.len() >= BURST {
        return Err(Refused::rate_limited(1));
    }
    posts.push_back(Instant::now());
    Ok(())
}

/// A message as events and answers show it.
pub(super) fn as_json(message: &Message) -> Value {
    let mut shown = json!({
        "type": "message", "user": message.author, "text": message.text, "ts": message.ts,
        "team": TEAM,
    });
    if message.is_from_bot() {
        shown["bot_id"] = json!(BOT);
        shown["app_id"] = json!(APP);
        shown["bot_profile"] = json!({
            "id": BOT, "app_id": APP, "name": BOT_NAME, "deleted": false, "updated": 1,
            "team_id": TEAM,
        });
    }
    for (key, value) in [("blocks", &message.blocks), ("metadata", &message.metadata)] {
        if !value.is_null() {
            shown[key] = value.clone();
        }
    }
    if let Some(root) = &message.thread_ts {
        shown["thread_ts"] = json!(root);
    }
    if message.is_edited {
        let ts = message.edited_ts.as_ref().unwrap_or(&message.ts);
        shown["edited"] = json!({ "user": message.author, "ts": ts });
    }
    shown
}
