//! The frames that Slack sends, one of every kind.

mod events;
mod interactions;

use std::fmt::Write as _;

use serde_json::json;

use super::*;

fn us() -> Us {
    Us { bot_id: "B1".into(), bot_user: ChatId("UBOT".into()) }
}

fn envelope(frame: &Value) -> Envelope {
    match read(&frame.to_string(), &us()) {
        Frame::Envelope(envelope) => *envelope,
        other => panic!("no envelope: {other:?}"),
    }
}

/// Keys, team, person and deed, a line each.
fn seen(frame: &Value) -> String {
    let inbound = envelope(frame).delivery.inbound;
    let mut out = String::new();
    let _ = writeln!(out, "{}", inbound.keys.join(" "));
    let _ = writeln!(out, "{} {}", inbound.team_id, inbound.who.0);
    match inbound.what {
        What::Unreadable { kind, .. } => {
            let _ = write!(out, "Unreadable {kind}");
        }
        what => {
            let _ = write!(out, "{what:?}");
        }
    }
    out
}

fn interaction(payload: &Value) -> Value {
    json!({"envelope_id": "e1", "type": "interactive", "accepts_response_payload": true,
        "payload": payload})
}

#[test]
fn hello_and_disconnect() {
    let hello = r#"{"type":"hello","num_connections":1,"connection_info":{"app_id":"A1"},
        "debug_info":{"host":"applink-7","approximate_connection_time":18060}}"#;
    assert_eq!(read(hello, &us()), Frame::Hello);
    for (raw, reason) in [
        (
            r#"{"type":"disconnect","reason":"refresh_requested","debug_info":{"host":"wss"}}"#,
            "refresh_requested",
        ),
        (r#"{"type":"disconnect","reason":"link_disabled"}"#, "link_disabled"),
        (r#"{"type":"disconnect"}"#, ""),
    ] {
        let reason = reason.to_owned();
        assert_eq!(read(raw, &us()), Frame::Disconnect { reason });
    }
}

#[test]
fn a_command() {
    let frame = |command: &str| {
        json!({"envelope_id": "e1", "type": "slash_commands", "accepts_response_payload": true,
            "payload": {"token": "x", "team_id": "T1", "team_domain": "acme", "channel_id": "C1",
                "user_id": "U1", "user_name": "dana", "command": command,
                "text": " history <@U2|eli> A&amp;B ", "is_enterprise_install": "false",
                "response_url": "https://hooks.slack.com/commands/T1/1/x", "trigger_id": "13.73.80"}})
    };
    insta::assert_snapshot!(seen(&frame("/debrief")), @r#"
    cmd:13.73.80
    T1 U1
    Command { text: "history <@U2> A&B", trigger: Trigger("13.73.80"), reply_to: ReplyTo("https://hooks.slack.com/commands/T1/1/x") }
    "#);
    insta::assert_snapshot!(seen(&frame("/other")), @"
    cmd:13.73.80
    T1 U1
    Nothing
    ");
    let read = envelope(&frame("/debrief"));
    assert_eq!((read.id.as_deref(), read.takes_payload), (Some("e1"), true));
}

#[test]
fn what_cannot_be_read_is_kept_and_answered() {
    let limited = json!({"envelope_id": "e1", "type": "events_api", "payload": {"token": "x",
        "type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1, "api_app_id": "A1"}});
    assert_eq!(envelope(&limited).delivery.inbound.what, What::Nothing);
    for frame in [
        json!({"envelope_id": "e1", "type": "brand_new", "payload": {"team_id": "T1"}}),
        json!({"envelope_id": "e1", "type": "interactive", "payload": {"type": "block_actions"}}),
        json!({"envelope_id": "e1", "type": "slash_commands", "payload": null}),
        json!({"envelope_id": "e1", "type": "events_api", "payload": {"event": {"type": "message"}}}),
    ] {
        let read = envelope(&frame);
        assert_eq!(read.id.as_deref(), Some("e1"));
        let inbound = read.delivery.inbound;
        assert!(inbound.keys[0].starts_with("raw:"), "{:?}", inbound.keys);
        let What::Unreadable { raw, .. } = inbound.what else {
            panic!("{frame}");
        };
        assert_eq!(raw, frame.to_string());
    }
    let strange = interactions::press(
        &json!({"type": "button", "action_id": "x", "value": "x:1", "action_ts": "1"}),
    );
    assert!(seen(&interaction(&strange)).ends_with("Unreadable block_actions"));
    for raw in ["", "null", "[]", "{", "{\"type\":7}"] {
        let Frame::Envelope(read) = read(raw, &us()) else {
            panic!("{raw}");
        };
        assert_eq!(read.id, None);
        assert!(read.delivery.inbound.keys[0].starts_with("raw:"));
    }
}

#[test]
fn a_payload_alone_is_decoded_as_any_form_is() {
    for raw in [
        "payload=%7B%22a%22%3A+%22b%2Bc%22%7D",
        "payload=",
        "payload=plain+text",
        "payload=%c3%A4%F0%9F%8E%89",
        "payload={\"a\":\"\u{e4}\"}",
    ] {
        let fields: Vec<_> = form_urlencoded::parse(raw.as_bytes()).collect();
        assert_eq!(only_payload(raw.as_bytes()).unwrap(), fields[0].1, "{raw}");
    }
    for odd in ["payload=%7", "payload=%zz", "payload=%ff", "payload=a&ssl_check=1", "a=payload=b"]
    {
        assert_eq!(only_payload(odd.as_bytes()), None, "{odd}");
    }
}
