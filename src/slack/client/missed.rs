//! Reads what people wrote while nothing could be delivered to us.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::SlackMessenger;
use crate::ports::SendError;
use crate::ports::inbound::Inbound;
use crate::slack::api::Call;
use crate::slack::inbound::{self, Us};

/// Nobody writes more than this while we are away.
const MOST_PAGES: usize = 10;

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    response_metadata: Value,
}

impl SlackMessenger {
    pub(super) async fn written(
        &self,
        channel: &str,
        threads: &[&str],
        since: Timestamp,
    ) -> Result<Vec<Inbound>, SendError> {
        let me = self.me().await?;
        let us = Us::new(me);
        let mut messages = self.pages(channel, "conversations.history", None, since).await?;
        for thread in threads {
            let method = "conversations.replies";
            messages.extend(self.pages(channel, method, Some(thread), since).await?);
        }
        // Seconds have ten digits until the year 2286, so text order is time order.
        messages.sort_by(|one, other| one["ts"].as_str().cmp(&other["ts"].as_str()));
        let heard = messages.iter();
        Ok(heard.flat_map(|message| inbound::found(message, channel, &me.team_id, &us)).collect())
    }

    async fn pages(
        &self,
        channel: &str,
        method: &'static str,
        thread: Option<&str>,
        since: Timestamp,
    ) -> Result<Vec<Value>, SendError> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MOST_PAGES {
            let mut arguments = vec![
                ("channel", channel.to_owned()),
                ("oldest", since.as_second().to_string()),
                ("limit", "100".to_owned()),
            ];
            arguments.extend(thread.map(|ts| ("ts", ts.to_owned())));
            if !cursor.is_empty() {
                arguments.push(("cursor", cursor.clone()));
            }
            let page: Page = self.api.get(Call::to(channel, method), &arguments).await?;
            found.extend(page.messages);
            match page.response_metadata["next_cursor"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
                _ => break,
            }
        }
        Ok(found)
    }
}
