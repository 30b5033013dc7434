//! What Slack tells us unasked: messages, people, the app itself.

use serde_json::Value;

use super::{Deed, Us, word};
use crate::domain::debrief::MessageRef;
use crate::ports::inbound::{What, message_key};
use crate::slack::text;

/// For logs: "event message", or the wrapper's own type.
pub(super) fn kind(payload: &Value) -> String {
    match word(&payload["event"], "type") {
        Some(kind) => format!("event {kind}"),
        None => word(payload, "type").unwrap_or("event").to_owned(),
    }
}

pub(super) fn read(payload: &Value, us: &Us) -> Option<Deed> {
    if word(payload, "type") == Some("app_rate_limited") {
        tracing::warn!("Slack holds events back: there were too many in an hour");
        return Some(Deed::nothing());
    }
    let event = &payload["event"];
    let mut deed = match word(event, "type")? {
        "message" => message(event, us)?,
        "user_change" | "team_join" => person(event)?,
        "app_home_opened" => {
            let home = word(event, "tab").is_none_or(|tab| tab == "home");
            Deed {
                who: word(event, "user")?.to_owned(),
                what: if home { What::HomeOpened } else { What::Nothing },
                ..Deed::nothing()
            }
        }
        "app_uninstalled" => Deed { what: What::Uninstalled, ..Deed::nothing() },
        "tokens_revoked" => Deed { what: revoked(event), ..Deed::nothing() },
        _ => Deed::nothing(),
    };
    if let Some(id) = word(payload, "event_id") {
        deed.keys.insert(0, format!("ev:{id}"));
    }
    deed.team_id = team(payload);
    Some(deed)
}

/// The workspace of whoever acted: in a shared conversation, not ours perhaps.
fn team(payload: &Value) -> String {
    let event = &payload["event"];
    let theirs = ["user_team", "source_team", "team"]
        .iter()
        .find_map(|name| word(event, name))
        .filter(|_| payload["is_ext_shared_channel"] == true);
    theirs.or_else(|| word(payload, "team_id")).unwrap_or_default().to_owned()
}

/// A person's token is not ours; ours is listed under `bot`.
fn revoked(event: &Value) -> What {
    let of_bot = &event["tokens"]["bot"];
    match of_bot.as_array() {
        Some(bots) if bots.is_empty() => What::Nothing,
        _ => What::Uninstalled,
    }
}

/// Whole profile, or the id alone.
fn person(event: &Value) -> Option<Deed> {
    let user = &event["user"];
    Some(Deed {
        who: user.as_str().or_else(|| word(user, "id"))?.to_owned(),
        what: What::ProfileChanged,
        ..Deed::nothing()
    })
}

fn message(event: &Value, us: &Us) -> Option<Deed> {
    let channel = word(event, "channel")?;
    let ts = word(event, "ts")?;
    let direct = match word(event, "channel_type") {
        Some(kind) => kind == "im",
        None => channel.starts_with('D'),
    };
    if !direct || is_ours(event, us) {
        return Some(Deed::nothing());
    }
    match word(event, "subtype") {
        None | Some("file_share" | "thread_broadcast") if event["hidden"] != true => {
            wrote(event, channel, ts)
        }
        Some("message_changed") => rewrote(event, channel, us),
        _ => Some(Deed::nothing()),
    }
}

/// A message from a conversation's history: written, and perhaps corrected since.
pub(super) fn found(message: &Value, channel: &str, us: &Us) -> Vec<Deed> {
    let Some(ts) = word(message, "ts").filter(|_| !is_ours(message, us)) else {
        return Vec::new();
    };
    if !matches!(word(message, "subtype"), None | Some("file_share" | "thread_broadcast")) {
        return Vec::new();
    }
    let changed = word(&message["edited"], "ts").and_then(|edited| {
        let text = text::typed(message["text"].as_str().unwrap_or_default());
        let message_ref = MessageRef { channel: channel.to_owned(), ts: ts.to_owned() };
        Some(Deed {
            keys: vec![format!("edit:{channel}:{ts}:{edited}")],
            who: word(message, "user")?.to_owned(),
            what: What::Rewrote { message: message_ref, text },
            ..Deed::nothing()
        })
    });
    wrote(message, channel, ts).into_iter().chain(changed).collect()
}

fn wrote(event: &Value, channel: &str, ts: &str) -> Option<Deed> {
    let text = text::typed(event["text"].as_str().unwrap_or_default());
    let message = MessageRef { channel: channel.to_owned(), ts: ts.to_owned() };
    let mut keys = vec![message_key(&message)];
    keys.extend(word(event, "client_msg_id").map(|id| format!("cmid:{id}")));
    let what = if text.trim().is_empty() {
        // A picture, say.
        What::Nothing
    } else {
        What::Wrote {
            message,
            thread: word(event, "thread_ts").filter(|thread| *thread != ts).map(str::to_owned),
            text,
        }
    };
    Some(Deed { keys, who: word(event, "user")?.to_owned(), what, ..Deed::nothing() })
}

/// Unfolding a link changes a message too, but not its text.
fn rewrote(event: &Value, channel: &str, us: &Us) -> Option<Deed> {
    let message = &event["message"];
    let text = message["text"].as_str().unwrap_or_default();
    let same = event["previous_message"]["text"] == text;
    let gone = word(message, "subtype").is_some_and(|subtype| subtype == "tombstone");
    if is_ours(message, us) || same || gone || text.trim().is_empty() {
        return Some(Deed::nothing());
    }
    let ts = word(message, "ts")?;
    let edited = word(&message["edited"], "ts").or_else(|| word(event, "ts"))?;
    Some(Deed {
        keys: vec![format!("edit:{channel}:{ts}:{edited}")],
        who: word(message, "user")?.to_owned(),
        what: What::Rewrote {
            message: MessageRef { channel: channel.to_owned(), ts: ts.to_owned() },
            text: text::typed(text),
        },
        ..Deed::nothing()
    })
}

/// By us, or by some other bot, whom we do not answer either.
fn is_ours(message: &Value, us: &Us) -> bool {
    word(message, "bot_id").is_some() || word(message, "user") == Some(us.bot_user.0.as_str())
}
