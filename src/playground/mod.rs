//! A pretend Slack workspace.
