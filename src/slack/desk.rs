//! Where both doors hand in what they have read: the handler's time, and what Slack is answered.
//!
//! The handler runs in a task of its own, so that a panic leaves neither a socket deaf nor a request
//! hanging, and a connection that breaks does not break off what it brought.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::inbound::{Delivery, Us};
use super::text;
use crate::ports::inbound::{Ack, Inbound};

/// What is done with what came in. Without an [`Ack`], Slack sends an event again.
pub type Handler = Arc<dyn Fn(Inbound) -> BoxFuture<'static, Option<Ack>> + Send + Sync>;

/// Slack waits three seconds for an acknowledgement.
pub(super) const HANDLING: Duration = Duration::from_millis(2800);
/// Of the line under a field.
const LONGEST_ERROR: usize = 500;

pub(super) struct Desk {
    pub(super) us: Us,
    handler: Handler,
    limit: Duration,
    handling: TaskTracker,
}

/// It was kept. The answer may have something to show.
#[derive(Debug, PartialEq)]
pub(super) struct Kept(pub(super) Option<Value>);

impl Desk {
    pub(super) fn new(us: Us, handler: Handler, limit: Duration) -> Self {
        Self { us, handler, limit, handling: TaskTracker::new() }
    }

    /// `None` if it was not kept, and must not be acknowledged.
    pub(super) async fn take(&self, delivery: Delivery) -> Option<Kept> {
        let Delivery { fields, inbound } = delivery;
        let work = self.handling.spawn((self.handler)(inbound));
        match tokio::time::timeout(self.limit, work).await {
            Ok(Ok(ack)) => ack.map(|ack| Kept(answer(ack, &fields))),
            Ok(Err(_)) => {
                tracing::error!("what came in from Slack could not be handled: a panic");
                None
            }
            Err(_) => {
                tracing::warn!("what came in from Slack took too long to handle");
                None
            }
        }
    }

    /// Waits for what was handed in.
    pub(super) async fn finished(&self) {
        self.handling.close();
        if tokio::time::timeout(self.limit, self.handling.wait()).await.is_err() {
            tracing::warn!("stopped while something that came in was still being handled");
        }
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.handling.is_empty()
    }
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

    fn shown(ack: Ack, fields: &[&str]) -> String {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        answer(ack, &fields).map(|answer| answer.to_string()).unwrap_or_default()
    }

    #[test]
    fn errors_stand_under_fields_that_are_there() {
        assert_eq!(shown(Ack::Plain, &["due"]), "");
        assert_eq!(
            shown(errors(&[("due", "Pick a day from today on")]), &["note", "due"]),
            r#"{"errors":{"due":"Pick a day from today on"},"response_action":"errors"}"#
        );
        assert_eq!(
            shown(errors(&[("gone", "Something is wrong")]), &["note", "due"]),
            r#"{"errors":{"note":"Something is wrong"},"response_action":"errors"}"#
        );
        assert_eq!(shown(errors(&[("due", "x")]), &[]), "");
        assert_eq!(shown(errors(&[]), &["due"]), "");
    }
}
