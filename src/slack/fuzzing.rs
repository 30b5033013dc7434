//! Doors for the fuzz targets of `fuzz/`, to what comes from Slack and how people's words go there.

use jiff::Timestamp;
use serde_json::Value;

use super::inbound::{Frame, Us, read};
use super::{http, text, views};
use crate::domain::roster::ChatId;
use crate::ports::Identity;
use crate::ports::inbound::Inbound;
use crate::ports::outbound::Whisper;

/// What a frame of the socket says; `None` for those about the connection.
pub fn frame(raw: &str) -> Option<Inbound> {
    let us = Us::new(&Identity {
        team_id: "T1".into(),
        team_name: String::new(),
        bot_user: ChatId("UBOT".into()),
        bot_id: "B1".into(),
        missing_scopes: Vec::new(),
    });
    match read(raw, &us) {
        Frame::Envelope(envelope) => Some(envelope.delivery.inbound),
        Frame::Hello | Frame::Disconnect { .. } => None,
    }
}

/// Message text within `max` units.
pub fn escaped(words: &str, max: usize) -> String {
    text::escape(words, max)
}

/// What a person typed, out of message text.
pub fn typed(words: &str) -> String {
    text::typed(words)
}

/// A reply as it is sent.
pub fn whisper(whisper: &Whisper) -> Value {
    views::whisper(whisper)
}

/// Whether a signed request would be let in.
pub fn is_genuine(
    secret: &str,
    signed_at: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> bool {
    http::is_genuine(secret, signed_at, signature, body, now)
}
