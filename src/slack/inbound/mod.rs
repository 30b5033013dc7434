//! What Slack delivers to [`Inbound`], whichever door it came through.
//!
//! Read from loose JSON and never refused: Slack adds fields and kinds at will, and one delivery
//! that we do not understand must neither hurt nor get lost. What we understand and do not need
//! becomes [`What::Nothing`]; what we cannot read, [`What::Unreadable`]. `read` takes a frame of
//! the socket, `read_body` the body of a signed request; both end in `understand`, so the doors
//! differ in their wrapping alone.

mod event;
mod form;
mod interaction;
mod lean;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::domain::roster::ChatId;
use crate::ports::Identity;
use crate::ports::inbound::{Inbound, ReplyTo, Trigger, What};

use super::manifest::COMMANDS;
use super::text;

/// Whose deliveries we ignore: our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Us {
    bot_id: String,
    bot_user: ChatId,
}

impl Us {
    pub fn new(me: &Identity) -> Self {
        Self { bot_id: me.bot_id.clone(), bot_user: me.bot_user.clone() }
    }

    /// Differs between installations.
    pub(super) fn bot_id(&self) -> &str {
        &self.bot_id
    }
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
    pub(super) delivery: Delivery,
}

/// The body of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Slack wants to see this again before it sends anything.
    Challenge(String),
    /// Slack looks whether we are there.
    Knock,
    Delivery(Box<Delivery>),
}

/// One deed, without its wrapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The fields of the submitted form, which errors may be shown under.
    pub(super) fields: Vec<String>,
    pub(super) inbound: Inbound,
}

/// What a payload is about.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Event,
    Interaction,
    Command,
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
    let frame = serde_json::from_str::<Value>(raw).unwrap_or_default();
    let payload = &frame["payload"];
    let id = word(&frame, "envelope_id").map(str::to_owned);
    let delivery = match word(&frame, "type") {
        Some("hello") => return Frame::Hello,
        Some("disconnect") => {
            return Frame::Disconnect {
                reason: word(&frame, "reason").unwrap_or_default().to_owned(),
            };
        }
        Some("events_api") => understand(Kind::Event, payload, raw, us),
        Some("interactive") => understand(Kind::Interaction, payload, raw, us),
        Some("slash_commands") => understand(Kind::Command, payload, raw, us),
        other => unreadable(payload, other.unwrap_or("frame"), raw),
    };
    let takes_payload = frame["accepts_response_payload"] == true;
    Frame::Envelope(Box::new(Envelope { id, takes_payload, delivery }))
}

/// Reads the body of a request whose signature holds: JSON for events, a form for everything else.
pub(super) fn read_body(raw: &[u8], us: &Us) -> Request {
    // Nearly always it is text, which is seen much faster than what is not text is mended.
    let text =
        std::str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed);
    if text.trim_start().starts_with('{') {
        let payload = serde_json::from_str::<Value>(&text).unwrap_or_default();
        if word(&payload, "type") == Some("url_verification") {
            return Request::Challenge(word(&payload, "challenge").unwrap_or_default().to_owned());
        }
        let delivery = match word(&payload, "type") {
            Some("event_callback" | "app_rate_limited") => {
                understand(Kind::Event, &payload, &text, us)
            }
            other => unreadable(&payload, other.unwrap_or("body"), &text),
        };
        return Request::Delivery(Box::new(delivery));
    }
    if let Some(value) = only_payload(raw) {
        let delivery = understand(Kind::Interaction, &lean::read(&value), &text, us);
        if !matches!(delivery.inbound.what, What::Unreadable { .. }) {
            return Request::Delivery(Box::new(delivery));
        }
        // That one is told from others by all of it: below.
    }
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(raw) {
        if name == "payload" {
            let payload = serde_json::from_str::<Value>(&value).unwrap_or_default();
            let delivery = understand(Kind::Interaction, &payload, &text, us);
            return Request::Delivery(Box::new(delivery));
        }
        fields.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    if fields.contains_key("ssl_check") {
        return Request::Knock;
    }
    let payload = Value::Object(fields);
    Request::Delivery(Box::new(match word(&payload, "command") {
        Some(_) => understand(Kind::Command, &payload, &text, us),
        None => unreadable(&payload, "body", &text),
    }))
}

/// The payload of a form that consists of nothing else, as Slack sends every tap and every submission;
/// `None` if it is anything out of the ordinary. The same as [`form_urlencoded::parse`], which mends
/// whatever comes, in a fraction of the time.
fn only_payload(raw: &[u8]) -> Option<String> {
    let encoded = raw.strip_prefix(b"payload=")?;
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'&' => return None,
            b'+' => b' ',
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Reads once more what could not be understood, from whichever door it came.
pub fn read_again(raw: &str, us: &Us) -> Inbound {
    if let Ok(frame) = serde_json::from_str::<Value>(raw)
        && !frame["payload"].is_null()
        && let Frame::Envelope(envelope) = read(raw, us)
    {
        return envelope.delivery.inbound;
    }
    match read_body(raw.as_bytes(), us) {
        Request::Delivery(delivery) => delivery.inbound,
        Request::Challenge(_) | Request::Knock => unreadable(&Value::Null, "body", raw).inbound,
    }
}

/// A message found in a conversation's history, as if it were delivered now.
pub(super) fn found(message: &Value, channel: &str, team: &str, us: &Us) -> Vec<Inbound> {
    let deeds = event::found(message, channel, us).into_iter();
    let inbound = |deed: Deed| Inbound {
        keys: deed.keys,
        team_id: team.to_owned(),
        who: ChatId(deed.who),
        what: deed.what,
    };
    deeds.map(inbound).collect()
}

fn understand(kind: Kind, payload: &Value, raw: &str, us: &Us) -> Delivery {
    let deed = match kind {
        Kind::Event => event::read(payload, us),
        Kind::Interaction => interaction::read(payload),
        Kind::Command => command(payload),
    };
    let Some(Deed { keys, team_id, who, what }) = deed else {
        let named = match kind {
            Kind::Event => event::kind(payload),
            Kind::Interaction => interaction::kind(payload),
            Kind::Command => "slash_command".to_owned(),
        };
        return unreadable(payload, &named, raw);
    };
    Delivery {
        fields: form::fields(&payload["view"]),
        inbound: Inbound { keys, team_id, who: ChatId(who), what },
    }
}

/// Kept as it came; its key is the same when Slack sends it again.
fn unreadable(payload: &Value, kind: &str, raw: &str) -> Delivery {
    let key = match word(payload, "event_id").or_else(|| word(payload, "trigger_id")) {
        Some(id) => format!("ev:{id}"),
        None if payload.is_null() => format!("raw:{:016x}", digest(raw)),
        None => format!("raw:{:016x}", digest(&payload.to_string())),
    };
    let who = [&payload["user"]["id"], &payload["user_id"], &payload["event"]["user"]];
    Delivery {
        fields: form::fields(&payload["view"]),
        inbound: Inbound {
            keys: vec![key],
            team_id: interaction::team(payload),
            who: ChatId(who.iter().find_map(|who| who.as_str()).unwrap_or_default().to_owned()),
            what: What::Unreadable { kind: plain(kind).to_owned(), raw: raw.to_owned() },
        },
    }
}

/// Kinds are logged, so they must not be able to hold what somebody wrote.
fn plain(kind: &str) -> &str {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b" _.".contains(&byte);
    if kind.len() <= 40 && kind.bytes().all(is_name) { kind } else { "unrecognised" }
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
