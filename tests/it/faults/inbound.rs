//! Slack, the network or people misbehave while we listen.
