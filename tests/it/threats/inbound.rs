//! What comes from outside over Slack: forged, replayed, too much, from the wrong people.
