//! Reads the frames of one connection and acknowledges them.
//!
//! The library reads the next frame when this one's acknowledgement is ready, so the handler's time
//! is limited: the desk sees to that.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use slack_morphism::{SlackSocketModeClientListener, SlackSocketModeWssClientId};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::Shared;
use crate::slack::desk::Kept;
use crate::slack::inbound::{self, Envelope, Frame};

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
        match inbound::read(&raw, &self.shared.desk.us) {
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
        let Envelope { id, takes_payload, delivery } = envelope;
        // Another process, or we once we are back, gets what we do not acknowledge.
        if self.shared.over.is_cancelled() {
            return None;
        }
        let Kept(answer) = self.shared.desk.take(delivery).await?;
        Some(frame(&id?, answer.filter(|_| takes_payload)))
    }
}

fn frame(id: &str, answer: Option<Value>) -> String {
    match answer {
        Some(answer) => json!({"envelope_id": id, "payload": answer}),
        None => json!({"envelope_id": id}),
    }
    .to_string()
}
