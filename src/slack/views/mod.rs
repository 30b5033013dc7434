//! How things look in Slack: what is shown, as Block Kit.
//!
//! What people wrote goes into `plain_text` and `rich_text`, which take it literally; the only
//! markup in the house is a message's top-level `text`, and that is escaped. That text always says
//! everything, because screen readers and phones read nothing else. A message begins with
//! `rich_text` in each of its states, as Slack does not let one without replace one with; only a
//! digest begins with its heading, and that is never replaced.

mod blocks;
mod digest;
mod form;
mod note;
mod pieces;
mod prompt;

use serde_json::Value;

use crate::ports::outbound::{Card, Home, Modal, Whisper};

pub(super) use form::mark;

/// One way to show a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    /// Escaped, complete, and short enough for an edit.
    pub(super) text: String,
    pub(super) blocks: Vec<Value>,
}

/// The looks of a message, best first; the last one is text alone. A digest has the same number
/// whatever is in it, so that a rung means the same for each.
pub(super) fn card(card: &Card) -> Vec<Look> {
    match card {
        Card::Prompt(prompt) => with_plain(prompt::look(prompt)),
        Card::Note(note) => with_plain(note::look(note)),
        Card::Digest(digest) => digest::looks(digest),
    }
}

/// A view for `views.open` and `views.update`.
pub(super) fn modal(modal: &Modal) -> Value {
    form::view(modal)
}

/// A view for `views.publish`.
pub(super) fn home(home: &Home) -> Value {
    pieces::home(home)
}

/// A body for a `response_url`.
pub(super) fn whisper(whisper: &Whisper) -> Value {
    pieces::whisper(whisper)
}

fn with_plain(look: Look) -> Vec<Look> {
    let plain = Look { text: look.text.clone(), blocks: Vec::new() };
    vec![look, plain]
}

#[cfg(test)]
mod tests;
