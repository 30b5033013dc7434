//! What people do: press, fill in, type. The page and the tests both come here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::delivery::{Acknowledged, deliver, deliver_event};
use super::server::Inner;
use super::state::{APP, Message, Slack, TEAM};
use super::views::{self, Whole};
use super::{messages, people};

/// What a submitted form led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    Accepted,
    /// A line under each field, by block id; the form stays open.
    Errors(BTreeMap<String, String>),
    /// The app did not respond; the form stays open.
    Timeout,
}

/// Where a control is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A message, by its timestamp.
    Message(String),
    /// A view, by its id.
    View(String),
}

fn interaction(slack: &mut Slack, kind: &str, person: &str) -> Value {
    let name = slack.member(person).map(|member| member.name.clone()).unwrap_or_default();
    let trigger = slack.trigger(person);
    json!({
        "type": kind, "token": "x", "api_app_id": APP, "team": slack.team(),
        "user": { "id": person, "username": name, "name": name, "team_id": TEAM },
        "trigger_id": trigger, "enterprise": null, "is_enterprise_install": false,
    })
}

/// Uses a control. `action` is the element with what was chosen, `values` what stands in the other
/// fields. Says whether the app responded; `None` if there is no such place.
pub(super) async fn act(
    inner: &Arc<Inner>,
    person: &str,
    place: &Place,
    mut action: Value,
    values: &Value,
) -> Option<bool> {
    let now = inner.now();
    let payload = {
        let slack = &mut *inner.slack();
        action["action_ts"] = json!(slack.ts(now));
        let mut payload = interaction(slack, "block_actions", person);
        payload["actions"] = json!([action]);
        match place {
            Place::Message(ts) => {
                let channel = Slack::channel_of(person);
                let message = slack.message(&channel, ts)?.clone();
                let answer = slack.answer_place(person, Some(ts));
                payload["container"] = json!({
                    "type": "message", "message_ts": ts, "channel_id": channel,
                    "is_ephemeral": message.is_ephemeral,
                });
                payload["channel"] = json!({ "id": channel, "name": "directmessage" });
                if !message.is_ephemeral {
                    payload["message"] = messages::as_json(&message);
                }
                payload["state"] = json!({ "values": values });
                payload["response_url"] =
                    json!(format!("http://{}/response/{answer}", inner.address));
            }
            Place::View(id) => {
                let view = slack.views.get(id).filter(|view| view.person == person)?;
                payload["container"] = json!({ "type": "view", "view_id": id });
                payload["view"] = views::as_json(view, values);
            }
        }
        payload
    };
    Some(deliver(inner, "interactive", payload).await.is_yes())
}

/// Sends the topmost form off.
pub(super) async fn submit(
    inner: &Arc<Inner>,
    person: &str,
    view_id: &str,
    values: &Value,
) -> Option<Submitted> {
    let payload = {
        let slack = &mut *inner.slack();
        let view = slack.views.get(view_id).filter(|view| view.person == person)?.clone();
        let mut payload = interaction(slack, "view_submission", person);
        payload["view"] = views::as_json(&view, values);
        payload["response_urls"] = json!([]);
        payload
    };
    let acknowledged = deliver(inner, "interactive", payload).await;
    let submitted = match acknowledged {
        Acknowledged::No(_) => Submitted::Timeout,
        Acknowledged::Yes(answer) if answer["response_action"] == "errors" => {
            let errors = answer["errors"].as_object().cloned().unwrap_or_default();
            let lines = errors
                .into_iter()
                .map(|(block, line)| (block, line.as_str().unwrap_or_default().to_owned()));
            Submitted::Errors(lines.collect())
        }
        Acknowledged::Yes(answer) => {
            let slack = &mut *inner.slack();
            let whole =
                if answer["response_action"] == "clear" { Whole::Stack } else { Whole::Top };
            views::close(slack, person, whole);
            Submitted::Accepted
        }
    };
    inner.changed();
    Some(submitted)
}

/// Closes the topmost form without sending it.
pub(super) async fn close(inner: &Arc<Inner>, person: &str, view_id: &str) {
    let payload = {
        let slack = &mut *inner.slack();
        let Some(view) = slack.views.get(view_id).cloned() else {
            return;
        };
        views::close(slack, person, Whole::Top);
        (view.body["notify_on_close"] == true).then(|| {
            let mut payload = interaction(slack, "view_closed", person);
            payload["view"] = views::as_json(&view, &json!({}));
            payload["is_cleared"] = json!(false);
            payload
        })
    };
    inner.changed();
    if let Some(payload) = payload {
        deliver(inner, "interactive", payload).await;
    }
}

/// `/command text`, typed in the conversation with the bot.
pub(super) async fn command(inner: &Arc<Inner>, person: &str, typed: &str) -> bool {
    command_in(inner, person, &Slack::channel_of(person), typed).await
}

/// The same in any channel.
pub(super) async fn command_in(
    inner: &Arc<Inner>,
    person: &str,
    channel: &str,
    typed: &str,
) -> bool {
    let (name, text) = typed.trim().split_once(char::is_whitespace).unwrap_or((typed.trim(), ""));
    let now = inner.now();
    let (payload, answer) = {
        let slack = &mut *inner.slack();
        let answer = slack.answer_place(person, None);
        let member = slack.member(person).cloned().unwrap_or_default();
        let payload = json!({
            "token": "x", "team_id": TEAM, "team_domain": slack.team()["domain"],
            "channel_id": channel, "channel_name": "directmessage",
            "user_id": person, "user_name": member.name, "command": name,
            "text": with_mentions(slack, text), "api_app_id": APP,
            "is_enterprise_install": "false", "trigger_id": slack.trigger(person),
            "response_url": format!("http://{}/response/{answer}", inner.address),
        });
        (payload, answer)
    };
    match deliver(inner, "slash_commands", payload).await {
        Acknowledged::No(_) => false,
        Acknowledged::Yes(message) => {
            if message.is_object() {
                // A message in the acknowledgement is shown like one sent afterwards.
                let _ = messages::respond(&mut inner.slack(), &answer, &message, now);
                inner.changed();
            }
            true
        }
    }
}

/// What Slack makes of `@maya` in a command: `<@U0MAYA|maya>`.
fn with_mentions(slack: &Slack, text: &str) -> String {
    let mention = |word: &str| {
        let name = word.strip_prefix('@')?.to_lowercase();
        let mut people = slack.settings.people.iter();
        let member = people.find(|member| {
            let full = member.name.to_lowercase();
            full == name || full.split(' ').next() == Some(&name)
        })?;
        Some(format!("<@{}|{name}>", member.id))
    };
    let words = text.split(' ').map(|word| mention(word).unwrap_or_else(|| word.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

/// A plain message, perhaps in a thread. Returns its timestamp.
pub(super) fn say(inner: &Arc<Inner>, person: &str, text: &str, thread: Option<&str>) -> String {
    let (ts, event) = written(inner, person, text, thread);
    deliver_event(inner, event);
    ts
}

/// The message alone: its timestamp, and the event that tells of it.
pub(super) fn written(
    inner: &Arc<Inner>,
    person: &str,
    text: &str,
    thread: Option<&str>,
) -> (String, Value) {
    let now = inner.now();
    let (ts, event) = {
        let slack = &mut *inner.slack();
        let message = Message {
            ts: slack.ts(now),
            channel: Slack::channel_of(person),
            author: person.to_owned(),
            text: escaped(text),
            blocks: Value::Null,
            metadata: Value::Null,
            thread_ts: thread.map(str::to_owned),
            is_ephemeral: false,
            is_edited: false,
            edited_ts: None,
            is_deleted: false,
        };
        slack.messages.push(message.clone());
        let mut event = messages::as_json(&message);
        event["channel"] = json!(message.channel);
        event["channel_type"] = json!("im");
        event["event_ts"] = json!(message.ts);
        event["client_msg_id"] = json!(format!("m{}", slack.number()));
        (message.ts, event)
    };
    inner.changed();
    (ts, event)
}

/// Corrects a message of one's own.
pub(super) fn edit(inner: &Arc<Inner>, person: &str, ts: &str, text: &str) {
    let now = inner.now();
    let event = {
        let slack = &mut *inner.slack();
        let channel = Slack::channel_of(person);
        let event_ts = slack.ts(now);
        let Some(message) = slack.message(&channel, ts).filter(|message| message.author == person)
        else {
            return;
        };
        let previous = messages::as_json(message);
        message.text = escaped(text);
        message.is_edited = true;
        message.edited_ts = Some(event_ts.clone());
        json!({
            "type": "message", "subtype": "message_changed", "hidden": true, "channel": channel,
            "channel_type": "im", "ts": event_ts, "event_ts": event_ts,
            "message": messages::as_json(message), "previous_message": previous,
        })
    };
    inner.changed();
    deliver_event(inner, event);
}

/// Takes a message of one's own away.
pub(super) fn delete(inner: &Arc<Inner>, person: &str, ts: &str) {
    let now = inner.now();
    let event = {
        let slack = &mut *inner.slack();
        let channel = Slack::channel_of(person);
        let event_ts = slack.ts(now);
        let Some(message) = slack.message(&channel, ts).filter(|message| message.author == person)
        else {
            return;
        };
        message.is_deleted = true;
        json!({
            "type": "message", "subtype": "message_deleted", "hidden": true, "channel": channel,
            "channel_type": "im", "ts": event_ts, "event_ts": event_ts, "deleted_ts": ts,
            "previous_message": messages::as_json(message),
        })
    };
    inner.changed();
    deliver_event(inner, event);
}

/// Text as Slack carries it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn open_home(inner: &Arc<Inner>, person: &str) {
    let now = inner.now();
    let event = {
        let slack = &mut *inner.slack();
        let mut event = json!({
            "type": "app_home_opened", "user": person, "channel": Slack::channel_of(person),
            "tab": "home", "event_ts": slack.ts(now),
        });
        let home = slack.homes.get(person).and_then(|id| slack.views.get(id));
        if let Some(view) = home {
            event["view"] = views::as_json(view, &json!({}));
        }
        event
    };
    deliver_event(inner, event);
}

/// A global shortcut. Says whether the app responded.
pub(super) async fn shortcut(inner: &Arc<Inner>, person: &str, callback_id: &str) -> bool {
    let now = inner.now();
    let payload = {
        let slack = &mut *inner.slack();
        let mut payload = interaction(slack, "shortcut", person);
        payload["callback_id"] = json!(callback_id);
        payload["action_ts"] = json!(slack.ts(now));
        payload
    };
    deliver(inner, "interactive", payload).await.is_yes()
}

/// Somebody's profile changed.
pub(super) fn profile_changed(inner: &Arc<Inner>, person: &str) {
    let now = inner.now();
    let event = {
        let slack = &mut *inner.slack();
        let Some(member) = slack.member(person).cloned() else {
            return;
        };
        let ts = slack.ts(now);
        json!({
            "type": "user_change", "user": people::as_json(&member, now),
            "cache_ts": now.as_second(), "event_ts": ts,
        })
    };
    deliver_event(inner, event);
}
