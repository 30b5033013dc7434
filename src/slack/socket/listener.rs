//! Reads the frames of one connection and acknowledges them.
//!
//! The library reads the next frame when this one's acknowledgement is ready, so the handler's time
//! is limited; it runs in a task of its own, because a panic here would leave the socket deaf.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use slack_morphism::{SlackSocketModeClientListener, SlackSocketModeWssClientId};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::Shared;
use crate::ports::inbound::Ack;
use crate::slack::inbound::{self, Envelope, Frame};
use crate::slack::text;

/// Of the line under a field.
const LONGEST_ERROR: usize = 500;

/// What happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    Hello,
    /// Slack is about to close it.
    Leaving {
        reason: String,
    },
    Lost,
}

pub(super) struct Listener {
    pub(super) shared: Arc<Shared>,
    pub(super) news: UnboundedSender<News>,
    /// Frames whose acknowledgement is not ready yet.
    pub(super) busy: TaskTracker,
}

#[async_trait]
impl SlackSocketModeClientListener for Listener {
    async fn on_message(&self, _: &SlackSocketModeWssClientId, raw: String) -> Option<String> {
        let _busy = self.busy.token();
        self.shared.seen().frame = Some(Instant::now());
        match inbound::read(&raw, &self.shared.us) {
            Frame::Hello => {
                self.tell(News::Hello);
                None
            }
            Frame::Disconnect { reason } => {
                self.tell(News::Leaving { reason });
                None
            }
            Frame::Envelope(envelope) => self.handle(*envelope).await,
        }
    }

    /// The error carries the frame, so nothing of it is repeated.
    async fn on_error(&self, _: Box<dyn Error + Send + Sync>) {
        tracing::warn!("a socket to Slack failed");
    }

    async fn on_disconnect(&self, _: &SlackSocketModeWssClientId) {
        self.tell(News::Lost);
    }
}

impl Listener {
    /// Nobody listens any more if the connection was given up, and then it does not matter.
    fn tell(&self, news: News) {
        let _ = self.news.send(news);
    }

    async fn handle(&self, envelope: Envelope) -> Option<String> {
        let Envelope { id, takes_payload, fields, inbound } = envelope;
        // Another process, or we once we are back, gets what we do not acknowledge.
        if self.shared.over.is_cancelled() {
            return None;
        }
        let work = (self.shared.handler)(inbound);
        let work = self.shared.handling.spawn(work);
        let ack = match tokio::time::timeout(self.shared.tempo.handling, work).await {
            Ok(Ok(ack)) => ack?,
            Ok(Err(_)) => {
                tracing::error!("what came in from Slack could not be handled: a panic");
                return None;
            }
            Err(_) => {
                tracing::warn!("what came in from Slack took too long to handle");
                return None;
            }
        };
        let shown = takes_payload.then(|| answer(ack, &fields)).flatten();
        Some(frame(&id?, shown))
    }
}

fn frame(id: &str, answer: Option<Value>) -> String {
    match answer {
        Some(answer) => json!({"envelope_id": id, "payload": answer}),
        None => json!({"envelope_id": id}),
    }
    .to_string()
}

/// Slack refuses an answer that names a block which is not there: such errors stand under the first
/// field.
fn answer(ack: Ack, fields: &[String]) -> Option<Value> {
    let Ack::FormErrors(errors) = ack else {
        return None;
    };
    let mut shown: BTreeMap<&str, String> = BTreeMap::new();
    for (field, error) in &errors {
        let block = fields.iter().find(|block| *block == field);
        let block = block.or(fields.first())?;
        shown.entry(block).or_insert_with(|| text::label(error, LONGEST_ERROR));
    }
    (!shown.is_empty()).then(|| json!({"response_action": "errors", "errors": shown}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(of: &[(&str, &str)]) -> Ack {
        let entry = |(field, error): &(&str, &str)| ((*field).to_owned(), (*error).to_owned());
        Ack::FormErrors(of.iter().map(entry).collect())
    }

    fn ack(ack: Ack, fields: &[&str]) -> String {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        frame("e1", answer(ack, &fields))
    }

    #[test]
    fn errors_stand_under_fields_that_are_there() {
        assert_eq!(ack(Ack::Plain, &["due"]), r#"{"envelope_id":"e1"}"#);
        assert_eq!(
            ack(errors(&[("due", "Pick a day from today on")]), &["note", "due"]),
            r#"{"envelope_id":"e1","payload":{"errors":{"due":"Pick a day from today on"},"response_action":"errors"}}"#
        );
        assert_eq!(
            ack(errors(&[("gone", "Something is wrong")]), &["note", "due"]),
            r#"{"envelope_id":"e1","payload":{"errors":{"note":"Something is wrong"},"response_action":"errors"}}"#
        );
        assert_eq!(ack(errors(&[("due", "x")]), &[]), r#"{"envelope_id":"e1"}"#);
        assert_eq!(ack(errors(&[]), &["due"]), r#"{"envelope_id":"e1"}"#);
    }
}
