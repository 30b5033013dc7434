//! What people press, submit and start.

use serde_json::Value;

use super::{Deed, digest, form, word};
use crate::domain::debrief::MessageRef;
use crate::ports::inbound::{Control, FormValues, ReplyTo, Tap, Trigger, What};
use crate::slack::controls;
use crate::slack::manifest::LOG_SHORTCUT;
use crate::slack::views;

pub(super) fn kind(payload: &Value) -> String {
    word(payload, "type").unwrap_or("interactive").to_owned()
}

pub(super) fn read(payload: &Value) -> Option<Deed> {
    let (keys, what) = match word(payload, "type")? {
        "block_actions" => tapped(payload)?,
        "view_submission" => submitted(payload)?,
        "shortcut" => shortcut(payload)?,
        "view_closed" | "message_action" | "block_suggestion" => (Vec::new(), What::Nothing),
        _ => return None,
    };
    Some(Deed { keys, team_id: team(payload), who: word(&payload["user"], "id")?.to_owned(), what })
}

/// Installed for a whole organisation, Slack leaves `team` empty.
pub(super) fn team(payload: &Value) -> String {
    word(&payload["team"], "id")
        .or_else(|| word(payload, "team_id"))
        .or_else(|| word(&payload["user"], "team_id"))
        .unwrap_or_default()
        .to_owned()
}

fn trigger(payload: &Value) -> Option<Trigger> {
    word(payload, "trigger_id").map(|id| Trigger(id.to_owned()))
}

fn tapped(payload: &Value) -> Option<(Vec<String>, What)> {
    let action = payload["actions"].get(0)?;
    let view = &payload["view"];
    let message = message(payload);
    let place = message
        .as_ref()
        .map(|message| message.ts.as_str())
        .or_else(|| word(view, "id"))
        .unwrap_or_default();
    let key = format!(
        "act:{}:{}:{}:{place}",
        word(&payload["user"], "id")?,
        word(action, "action_ts").unwrap_or_default(),
        word(action, "action_id")?,
    );
    let values: FormValues = form::values(&view["state"]["values"]);
    let what = match control(action, view) {
        Read::Control(control) => What::Tap(Tap {
            control,
            message,
            view: word(view, "id").map(str::to_owned),
            trigger: trigger(payload),
            reply_to: word(payload, "response_url").map(|url| ReplyTo(url.to_owned())),
            values,
        }),
        Read::Irrelevant => What::Nothing,
        Read::Unknown => return None,
    };
    Some((vec![key], what))
}

/// Where a lasting message stands; what only one person sees stands nowhere.
fn message(payload: &Value) -> Option<MessageRef> {
    let container = &payload["container"];
    if container["is_ephemeral"] == true {
        return None;
    }
    let channel = word(container, "channel_id").or_else(|| word(&payload["channel"], "id"))?;
    let ts = word(container, "message_ts").or_else(|| word(&payload["message"], "ts"))?;
    Some(MessageRef { channel: channel.to_owned(), ts: ts.to_owned() })
}

enum Read {
    Control(Control),
    /// A field of a form whose changes we do not follow.
    Irrelevant,
    Unknown,
}

fn control(action: &Value, view: &Value) -> Read {
    let chosen = word(&action["selected_option"], "value");
    if let Some(mark) = word(view, "private_metadata").and_then(views::mark) {
        let block = word(action, "block_id").unwrap_or_default();
        if let Some(debrief) = mark.rewords(block) {
            return Read::Control(Control::Reworded { debrief });
        }
        if word(action, "type") != Some("button") && word(action, "type") != Some("overflow") {
            return Read::Irrelevant;
        }
    }
    match word(action, "value").or(chosen).map(controls::parse) {
        Some(Some(control)) => Read::Control(control),
        Some(None) | None => Read::Unknown,
    }
}

/// A form that came back with errors and is submitted again has the same id and hash, but a trigger
/// of its own.
fn submitted(payload: &Value) -> Option<(Vec<String>, What)> {
    let view = &payload["view"];
    let form = views::mark(word(view, "private_metadata")?)?.form()?;
    let state = &view["state"]["values"];
    let once = match word(payload, "trigger_id") {
        Some(trigger) => trigger.to_owned(),
        None => format!("{:016x}", digest(&state.to_string())),
    };
    let key =
        format!("sub:{}:{}:{once}", word(view, "id")?, word(view, "hash").unwrap_or_default());
    let what = What::Submitted { form, values: form::values(state) };
    Some((vec![key], what))
}

fn shortcut(payload: &Value) -> Option<(Vec<String>, What)> {
    let trigger = trigger(payload)?;
    let key = format!("cut:{}", trigger.0);
    let what = if word(payload, "callback_id") == Some(LOG_SHORTCUT) {
        What::LogShortcut { trigger }
    } else {
        What::Nothing
    };
    Some((vec![key], what))
}
