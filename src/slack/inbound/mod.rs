//! Frames of the socket to [`Inbound`].
//!
//! Read from loose JSON and never refused: Slack adds fields and kinds at will, and one frame that
//! we do not understand must neither hurt nor get lost. What we understand and do not need becomes
//! [`What::Nothing`]; what we cannot read, [`What::Unreadable`].

mod event;
mod form;
mod interaction;

use serde_json::Value;

use crate::domain::roster::ChatId;
use crate::ports::inbound::{Inbound, ReplyTo, Trigger, What};

use super::manifest::COMMANDS;
use super::text;

/// Whose frames we ignore: our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Us {
    pub(super) bot_id: String,
    pub(super) bot_user: ChatId,
}

/// A frame of the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// The connection is up.
    Hello,
    /// Slack is about to close the connection.
    Disconnect {
        reason: String,
    },
    Envelope(Box<Envelope>),
}

/// Something that wants an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    /// `None` if there was none to be read, and so nothing to acknowledge.
    pub(super) id: Option<String>,
    /// The acknowledgement may carry an answer.
    pub(super) takes_payload: bool,
    /// The fields of the submitted form, which errors may be shown under.
    pub(super) fields: Vec<String>,
    pub(super) inbound: Inbound,
}

/// What was read from a payload.
struct Deed {
    keys: Vec<String>,
    team_id: String,
    who: String,
    what: What,
}

impl Deed {
    fn nothing() -> Self {
        Self { keys: Vec::new(), team_id: String::new(), who: String::new(), what: What::Nothing }
    }
}

/// Reads one frame.
pub(super) fn read(raw: &str, us: &Us) -> Frame {
    let Ok(frame) = serde_json::from_str::<Value>(raw) else {
        return Frame::Envelope(Box::new(unreadable(&Value::Null, "frame", raw)));
    };
    let payload = &frame["payload"];
    let (kind, deed) = match word(&frame, "type") {
        Some("hello") => return Frame::Hello,
        Some("disconnect") => {
            return Frame::Disconnect {
                reason: word(&frame, "reason").unwrap_or_default().to_owned(),
            };
        }
        Some("events_api") => (event::kind(payload), event::read(payload, us)),
        Some("interactive") => (interaction::kind(payload), interaction::read(payload)),
        Some("slash_commands") => ("slash_command".to_owned(), command(payload)),
        other => (other.unwrap_or("frame").to_owned(), None),
    };
    let Some(deed) = deed else {
        return Frame::Envelope(Box::new(unreadable(&frame, &kind, raw)));
    };
    Frame::Envelope(Box::new(Envelope {
        id: word(&frame, "envelope_id").map(str::to_owned),
        takes_payload: frame["accepts_response_payload"] == true,
        fields: form::fields(&payload["view"]),
        inbound: Inbound {
            keys: deed.keys,
            team_id: deed.team_id,
            who: ChatId(deed.who),
            what: deed.what,
        },
    }))
}

fn unreadable(frame: &Value, kind: &str, raw: &str) -> Envelope {
    let payload = &frame["payload"];
    let id = word(frame, "envelope_id").map(str::to_owned);
    let key = match (word(payload, "event_id"), &id) {
        (Some(event), _) => format!("ev:{event}"),
        (None, Some(id)) => format!("env:{id}"),
        (None, None) => format!("raw:{:016x}", digest(raw)),
    };
    let who = [&payload["user"]["id"], &payload["user_id"], &payload["event"]["user"]];
    Envelope {
        id,
        takes_payload: false,
        fields: Vec::new(),
        inbound: Inbound {
            keys: vec![key],
            team_id: interaction::team(payload),
            who: ChatId(who.iter().find_map(|who| who.as_str()).unwrap_or_default().to_owned()),
            what: What::Unreadable { kind: kind.to_owned(), raw: raw.to_owned() },
        },
    }
}

/// Smart quotes and `<@U1>` are the command's to understand.
fn command(payload: &Value) -> Option<Deed> {
    let trigger = word(payload, "trigger_id")?;
    let name = word(payload, "command")?;
    let what = if COMMANDS.contains(&name) {
        What::Command {
            text: text::typed(word(payload, "text").unwrap_or_default().trim()),
            trigger: Trigger(trigger.to_owned()),
            reply_to: ReplyTo(word(payload, "response_url")?.to_owned()),
        }
    } else {
        What::Nothing
    };
    Some(Deed {
        keys: vec![format!("cmd:{trigger}")],
        team_id: word(payload, "team_id").unwrap_or_default().to_owned(),
        who: word(payload, "user_id")?.to_owned(),
        what,
    })
}

/// A text field that is there and not empty.
fn word<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str().filter(|word| !word.is_empty())
}

/// FNV-1a: the same for the same text, today and after a restart.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
