//! Sends messages, and finds them again.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::SlackMessenger;
use crate::domain::debrief::MessageRef;
use crate::ports::SendError;
use crate::slack::api::Call;
use crate::slack::errors;
use crate::slack::pace::Lane;
use crate::slack::views::Look;

/// How far behind ours Slack's clock may be when we look for a message.
const CLOCK_MARGIN: i64 = 120;
/// Pages of 15 messages that a look goes through.
const MOST_PAGES: usize = 20;

/// Where a message goes: a new one, or one that is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Destination<'a> {
    New { channel: &'a str, key: &'a str, lane: Lane },
    Existing(&'a MessageRef),
}

impl<'a> Destination<'a> {
    fn call(self) -> Call<'a> {
        match self {
            Self::New { channel, lane, .. } => Call::to(channel, "chat.postMessage").in_lane(lane),
            Self::Existing(at) => Call::to(&at.channel, "chat.update"),
        }
    }

    /// Metadata values are strings: other kinds break readers of ours and of others. Left out of an
    /// edit, they stay as they are.
    fn body(self, look: &Look) -> Value {
        match self {
            Self::New { channel, key, .. } => json!({
                "channel": channel,
                "text": look.text,
                "blocks": look.blocks,
                "unfurl_links": false,
                "unfurl_media": false,
                "metadata": {"event_type": "debrief_message", "event_payload": {"k": key}},
            }),
            Self::Existing(at) => json!({
                "channel": at.channel,
                "ts": at.ts,
                "text": look.text,
                "blocks": look.blocks,
            }),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Posted {
    pub(super) channel: String,
    pub(super) ts: String,
}

/// Messages as they come: one that we cannot read must not hide the others.
#[derive(Debug, Deserialize)]
struct History {
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    response_metadata: Value,
}

impl SlackMessenger {
    /// Tries the looks of a message, best first, until Slack takes one.
    pub(super) async fn show(
        &self,
        looks: &[Look],
        to: Destination<'_>,
    ) -> Result<Posted, SendError> {
        let first = match looks {
            [_, _] => 0,
            looks => self.rung.load(Ordering::Relaxed).min(looks.len().saturating_sub(1)),
        };
        let mut refused = SendError::Never { code: "no_text".into() };
        for (rung, look) in looks.iter().enumerate().skip(first) {
            match self.api.post(to.call(), &to.body(look)).await {
                Ok(posted) => {
                    // Text alone says that something else than the chart was wrong.
                    if rung > first && rung + 1 < looks.len() {
                        self.rung.store(rung, Ordering::Relaxed);
                    }
                    return Ok(posted);
                }
                Err(error) if errors::is_about_blocks(&error) => {
                    let code = errors::code(&error);
                    let blocks = look.blocks.len();
                    tracing::warn!(rung, code, blocks, "Slack refused a message's looks");
                    refused = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// Our messages in `channel` with `key`, oldest first.
    pub(super) async fn matches(
        &self,
        channel: &str,
        key: &str,
        since: Timestamp,
    ) -> Result<Vec<String>, SendError> {
        let me = self.me().await?;
        let oldest = since.as_second().saturating_sub(CLOCK_MARGIN);
        let mut found = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MOST_PAGES {
            let mut arguments = vec![
                ("channel", channel.to_owned()),
                ("oldest", oldest.to_string()),
                ("inclusive", "true".to_owned()),
                ("limit", "15".to_owned()),
                ("include_all_metadata", "true".to_owned()),
            ];
            if !cursor.is_empty() {
                arguments.push(("cursor", cursor));
            }
            let call = Call::to(channel, "conversations.history");
            let page: History = self.api.get(call, &arguments).await?;
            found.extend(page.messages.iter().filter_map(|message| {
                let ours = message["bot_id"] == me.bot_id.as_str();
                let same = message["metadata"]["event_payload"]["k"] == key;
                (ours && same).then(|| message["ts"].as_str().map(str::to_owned)).flatten()
            }));
            cursor = match page.response_metadata["next_cursor"].as_str() {
                Some(next) => next.to_owned(),
                None => break,
            };
            if cursor.is_empty() {
                break;
            }
        }
        // Seconds have ten digits until the year 2286, so text order is time order.
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}
