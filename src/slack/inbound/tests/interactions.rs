//! What people press, submit and start.

use super::*;
use crate::domain::debrief::DebriefId;
use crate::ports::inbound::Control;
use crate::ports::outbound::{Choice, Field, Form, FormId, Input, Modal, Reaction};
use crate::slack::{controls, views};

fn button(control: &Control) -> Value {
    json!({"action_id": controls::action_id(control), "block_id": "d7.0.2", "type": "button",
        "text": {"type": "plain_text", "text": "Answer", "emoji": true},
        "value": controls::value(control), "action_ts": "1795446010.123456"})
}

pub(super) fn press(action: &Value) -> Value {
    json!({"type": "block_actions", "user": {"id": "U1", "username": "dana", "team_id": "T1"},
        "api_app_id": "A1", "token": "x", "trigger_id": "t1",
        "container": {"type": "message", "message_ts": "1795446000.000100", "channel_id": "D1",
            "is_ephemeral": false},
        "team": {"id": "T1", "domain": "acme"}, "enterprise": null, "is_enterprise_install": false,
        "channel": {"id": "D1", "name": "directmessage"},
        "message": {"type": "message", "bot_id": "B1", "ts": "1795446000.000100",
            "metadata": {"event_type": "debrief_message", "event_payload": {"k": 1}}},
        "state": {"values": {}}, "response_url": "https://hooks.slack.com/actions/T1/2/x",
        "actions": [action]})
}

/// The answer form, as Slack sends it back.
fn open_form(state: &Value) -> Value {
    let form = Modal::Form(Form {
        id: FormId::Answer(DebriefId(7)),
        title: "Acme".into(),
        submit: "Save".into(),
        intro: vec!["Acme".into()],
        fields: vec![Field {
            id: "outcome".into(),
            label: "How did it end?".into(),
            hint: None,
            optional: false,
            input: Input::Radio {
                options: vec![Choice { id: "no".into(), label: "No".into() }],
                chosen: None,
                reaction: Reaction::Rewords(DebriefId(7)),
            },
        }],
        outro: None,
    });
    let mut view = views::modal(&form);
    let more = json!({"id": "V1", "team_id": "T1", "hash": "1795446000.aBcD",
        "state": {"values": state}, "root_view_id": "V1", "external_id": ""});
    view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    view
}

#[test]
fn a_pressed_button() {
    let control = Control::Answer { debrief: DebriefId(7) };
    insta::assert_snapshot!(seen(&interaction(&press(&button(&control)))), @r#"
    act:U1:1795446010.123456:answer:1795446000.000100
    T1 U1
    Tap(Tap { control: Answer { debrief: DebriefId(7) }, message: Some(MessageRef { channel: "D1", ts: "1795446000.000100" }), view: None, trigger: Some(Trigger("t1")), reply_to: Some(ReplyTo("https://hooks.slack.com/actions/T1/2/x")), values: {} })
    "#);
}

#[test]
fn every_control_comes_back_from_a_button_and_from_a_menu() {
    for control in controls::tests::all() {
        let value = controls::value(&control);
        let menu = json!({"type": "overflow", "action_id": "more", "action_ts": "1",
            "selected_option": {"text": {"type": "plain_text", "text": "x"}, "value": value}});
        for action in [button(&control), menu] {
            match envelope(&interaction(&press(&action))).delivery.inbound.what {
                What::Tap(tap) => assert_eq!(tap.control, control),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_button_on_the_home_tab() {
    let mut payload = press(&button(&Control::Log));
    let whole = payload.as_object_mut().unwrap();
    for gone in ["channel", "message", "response_url", "state"] {
        whole.remove(gone);
    }
    whole.insert("container".into(), json!({"type": "view", "view_id": "V1"}));
    let home = json!({"id": "V1", "type": "home", "private_metadata": "", "callback_id": "home",
        "state": {"values": {}}, "hash": "1795446000.aBcD"});
    whole.insert("view".into(), home);
    insta::assert_snapshot!(seen(&interaction(&payload)), @r#"
    act:U1:1795446010.123456:log:V1
    T1 U1
    Tap(Tap { control: Log, message: None, view: Some("V1"), trigger: Some(Trigger("t1")), reply_to: None, values: {} })
    "#);
}

#[test]
fn what_only_one_person_sees_stands_nowhere() {
    let control = Control::Answer { debrief: DebriefId(7) };
    let mut payload = press(&button(&control));
    let at = |payload: &Value| match envelope(&interaction(payload)).delivery.inbound.what {
        What::Tap(tap) => tap.message,
        other => panic!("{other:?}"),
    };
    assert!(at(&payload).is_some());
    payload["container"]["is_ephemeral"] = json!(true);
    assert_eq!(at(&payload), None, "a click there proves nothing about a prompt");
}

#[test]
fn a_choice_that_rewords_the_form() {
    let action = json!({"type": "radio_buttons", "action_id": "v", "block_id": "outcome",
        "selected_option": {"value": "no"}, "action_ts": "1795446010.123456"});
    let mut payload = press(&action);
    payload["view"] = open_form(&json!({"outcome": {"v": {"type": "radio_buttons",
        "selected_option": {"text": {"type": "plain_text", "text": "No"}, "value": "no"}}}}));
    for gone in ["channel", "message", "response_url", "state", "container"] {
        payload.as_object_mut().unwrap().remove(gone);
    }
    insta::assert_snapshot!(seen(&interaction(&payload)), @r#"
    act:U1:1795446010.123456:v:V1
    T1 U1
    Tap(Tap { control: Reworded { debrief: DebriefId(7) }, message: None, view: Some("V1"), trigger: Some(Trigger("t1")), reply_to: None, values: {"outcome": Choice("no")} })
    "#);
    payload["actions"][0]["block_id"] = json!("other");
    assert_eq!(envelope(&interaction(&payload)).delivery.inbound.what, What::Nothing);
}

#[test]
fn a_submitted_form() {
    let payload = json!({"type": "view_submission", "team": {"id": "T1"}, "user": {"id": "U1"},
    "trigger_id": "t1", "response_urls": [], "view": open_form(&json!({
        "outcome": {"v": {"type": "radio_buttons", "selected_option": {"value": "no"}}},
        "note": {"v": {"type": "plain_text_input", "value": "a < b & c"}},
        "due": {"v": {"type": "datepicker", "selected_date": "2026-11-30"}},
        "boxes": {"v": {"type": "checkboxes", "selected_options": [{"value": "a"}, {"value": "b"}]}},
        "empty": {"v": {"type": "plain_text_input", "value": null}},
        "blank": {"v": {"type": "plain_text_input", "value": "  "}},
        "unset": {"v": {"type": "static_select", "selected_option": null}},
        "none": {"v": {"type": "checkboxes", "selected_options": []}},
        "odd": {"v": {"type": "datepicker", "selected_date": "soon"}},
    }))});
    let frame = interaction(&payload);
    insta::assert_snapshot!(seen(&frame), @r#"
    sub:V1:1795446000.aBcD:t1
    T1 U1
    Submitted { form: Answer(DebriefId(7)), values: {"boxes": Ticks(["a", "b"]), "due": Date(2026-11-30), "note": Text("a < b & c"), "outcome": Choice("no")} }
    "#);
    assert_eq!(envelope(&frame).delivery.fields, ["outcome"]);
    let mut again = payload.clone();
    again["trigger_id"] = json!("t2");
    let key = |payload: &Value| envelope(&interaction(payload)).delivery.inbound.keys;
    assert_ne!(key(&again), key(&payload), "after an error");
    again["trigger_id"] = json!(null);
    assert_eq!(key(&again), ["sub:V1:1795446000.aBcD:ff2e679c9fdc58d0"]);
    let mut foreign = payload;
    foreign["view"]["private_metadata"] = json!("{}");
    assert!(seen(&interaction(&foreign)).ends_with("Unreadable view_submission"));
}

#[test]
fn shortcuts_and_what_is_left_alone() {
    let payload = |kind: &str, callback: &str| {
        interaction(&json!({"type": kind, "token": "x", "action_ts": "1", "team": {"id": "T1"},
            "user": {"id": "U1"}, "callback_id": callback, "trigger_id": "t1"}))
    };
    insta::assert_snapshot!(seen(&payload("shortcut", "debrief_log")), @r#"
    cut:t1
    T1 U1
    LogShortcut { trigger: Trigger("t1") }
    "#);
    for (kind, callback) in [
        ("shortcut", "other"),
        ("view_closed", ""),
        ("message_action", "other"),
        ("block_suggestion", ""),
    ] {
        assert_eq!(
            envelope(&payload(kind, callback)).delivery.inbound.what,
            What::Nothing,
            "{kind}"
        );
    }
    assert!(seen(&payload("new_kind", "")).ends_with("Unreadable new_kind"));
}

#[test]
fn without_a_team_the_persons_own_counts() {
    let mut payload = press(&button(&Control::Log));
    payload["team"] = json!(null);
    assert_eq!(envelope(&interaction(&payload)).delivery.inbound.team_id, "T1");
}
