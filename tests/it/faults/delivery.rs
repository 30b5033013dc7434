//! Slack fails while we send: what people see of it.
