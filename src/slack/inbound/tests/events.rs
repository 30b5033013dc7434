//! What Slack tells unasked.

use super::*;
use crate::slack::manifest::EVENTS;

fn event(event: &Value) -> Value {
    json!({"envelope_id": "e1", "type": "events_api", "accepts_response_payload": false,
        "retry_attempt": 0, "retry_reason": "", "payload": {
            "token": "x", "team_id": "T1", "context_team_id": "T1", "context_enterprise_id": null,
            "api_app_id": "A1", "type": "event_callback", "event_id": "Ev1", "event_time": 1_795_446_000,
            "is_ext_shared_channel": false, "authorizations": [], "event": event}})
}

/// A message of Dana's, with more in it.
fn message(more: &Value) -> Value {
    let mut message = json!({"type": "message", "channel_type": "im", "channel": "D1", "user": "U1",
        "text": "it went well &amp; fast", "ts": "1795446100.000200",
        "event_ts": "1795446100.000200", "team": "T1"});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event(&message)
}

#[test]
fn a_message() {
    insta::assert_snapshot!(seen(&message(&json!({"client_msg_id": "3f2c"}))), @r#"
    ev:Ev1 msg:D1:1795446100.000200 cmid:3f2c
    T1 U1
    Wrote { message: MessageRef { channel: "D1", ts: "1795446100.000200" }, thread: None, text: "it went well & fast" }
    "#);
    insta::assert_snapshot!(
        seen(&message(&json!({"thread_ts": "1795446000.000100", "parent_user_id": "UBOT"}))), @r#"
    ev:Ev1 msg:D1:1795446100.000200
    T1 U1
    Wrote { message: MessageRef { channel: "D1", ts: "1795446100.000200" }, thread: Some("1795446000.000100"), text: "it went well & fast" }
    "#);
}

#[test]
fn messages_that_are_none_of_our_business() {
    for more in [
        json!({"user": "UBOT", "bot_id": "B1", "app_id": "A1"}),
        json!({"user": "UBOT"}),
        json!({"subtype": "bot_message", "bot_id": "B9", "user": null}),
        json!({"subtype": "message_deleted", "hidden": true, "deleted_ts": "1", "previous_message": {}}),
        json!({"subtype": "channel_join"}),
        json!({"channel": "C1", "channel_type": "channel"}),
        json!({"hidden": true}),
        json!({"subtype": "file_share", "text": "", "files": [{"id": "F1"}]}),
        json!({"subtype": "message_changed", "hidden": true,
            "message": {"user": "UBOT", "bot_id": "B1", "text": "new", "ts": "1"},
            "previous_message": {"text": "old"}}),
        json!({"subtype": "message_changed", "hidden": true,
            "message": {"user": "U1", "text": "same", "ts": "1"}, "previous_message": {"text": "same"}}),
    ] {
        assert_eq!(envelope(&message(&more)).delivery.inbound.what, What::Nothing, "{more}");
    }
    let shared = message(&json!({"subtype": "file_share", "files": [{"id": "F1"}]}));
    assert!(matches!(envelope(&shared).delivery.inbound.what, What::Wrote { .. }));
}

#[test]
fn a_corrected_message() {
    let changed = message(&json!({"subtype": "message_changed", "hidden": true, "user": null,
        "message": {"type": "message", "user": "U1", "text": "it went &lt;ok&gt;",
            "ts": "1795446100.000200", "edited": {"user": "U1", "ts": "1795446200.000000"}},
        "previous_message": {"type": "message", "user": "U1", "text": "it went well",
            "ts": "1795446100.000200"}}));
    insta::assert_snapshot!(seen(&changed), @r#"
    ev:Ev1 edit:D1:1795446100.000200:1795446200.000000
    T1 U1
    Rewrote { message: MessageRef { channel: "D1", ts: "1795446100.000200" }, text: "it went <ok>" }
    "#);
}

#[test]
fn what_else_slack_tells() {
    let told = [
        json!({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home", "event_ts": "1"}),
        json!({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "messages"}),
        json!({"type": "user_change", "user": {"id": "U1", "deleted": true, "profile": {"fields": []}}}),
        json!({"type": "team_join", "user": {"id": "U2"}, "cache_ts": 1}),
        json!({"type": "team_join", "user": "U2"}),
        json!({"type": "app_uninstalled"}),
        json!({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["UBOT"]}}),
        json!({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}}),
        json!({"type": "reaction_added", "user": "U1"}),
    ];
    let all: Vec<String> = told
        .iter()
        .map(|told| {
            let inbound = envelope(&event(told)).delivery.inbound;
            let kind = told["type"].as_str().unwrap();
            format!("{kind}: {} {:?} {:?}", inbound.who.0, inbound.what, inbound.keys)
        })
        .collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    app_home_opened: U1 HomeOpened ["ev:Ev1"]
    app_home_opened: U1 Nothing ["ev:Ev1"]
    user_change: U1 ProfileChanged ["ev:Ev1"]
    team_join: U2 ProfileChanged ["ev:Ev1"]
    team_join: U2 ProfileChanged ["ev:Ev1"]
    app_uninstalled:  Uninstalled ["ev:Ev1"]
    tokens_revoked:  Uninstalled ["ev:Ev1"]
    tokens_revoked:  Nothing ["ev:Ev1"]
    reaction_added:  Nothing ["ev:Ev1"]
    "#);
}

#[test]
fn every_event_that_the_manifest_asks_for_is_read() {
    for name in EVENTS {
        let kind = name.strip_suffix(".im").unwrap_or(name);
        let frame = event(&json!({"type": kind, "user": "U1", "channel": "D1", "tab": "home",
            "text": "hi", "ts": "1795446100.000200"}));
        let what = envelope(&frame).delivery.inbound.what;
        assert!(!matches!(what, What::Nothing | What::Unreadable { .. }), "{name}: {what:?}");
    }
}

#[test]
fn strangers_keep_their_own_team() {
    let mut frame = message(&json!({"user_team": "T9"}));
    frame["payload"]["is_ext_shared_channel"] = json!(true);
    assert_eq!(envelope(&frame).delivery.inbound.team_id, "T9");
}
