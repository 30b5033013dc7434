//! Modals, and what they say about themselves.

use super::limits::hold_view;
use super::*;

fn options() -> Vec<Choice> {
    vec![
        Choice { id: "yes".into(), label: "A firm yes".into() },
        Choice { id: "no".into(), label: "No".into() },
    ]
}

fn fields() -> Vec<Field> {
    let field = |id: &str, label: &str, input| Field {
        id: id.into(),
        label: label.into(),
        hint: None,
        optional: id == "note",
        input,
    };
    let options = options();
    vec![
        field(
            "outcome",
            "How did it end?",
            Input::Radio {
                options: options.clone(),
                chosen: Some("no".into()),
                reaction: Reaction::Rewords(DebriefId(7)),
            },
        ),
        field(
            "note",
            "What would you change?",
            Input::Text {
                value: "a <b>".into(),
                max_length: 600,
                multiline: true,
                placeholder: String::new(),
            },
        ),
        field(
            "turn",
            "Where did it turn?",
            Input::Menu { options: options.clone(), chosen: None, placeholder: "Choose".into() },
        ),
        field("due", "By when?", Input::Date { value: Some(jiff::civil::date(2026, 3, 9)) }),
        field("more", "Also", Input::Ticks { options, ticked: vec!["no".into(), "gone".into()] }),
    ]
}

fn form(id: FormId) -> Form {
    Form {
        id,
        title: "Debrief".into(),
        submit: "Save".into(),
        intro: vec!["Acme".into(), "Pricing · 15:00".into()],
        fields: fields(),
        outro: Some("Kim reads this.".into()),
    }
}

#[test]
fn a_form() {
    let view = modal(&Modal::Form(form(FormId::Answer(DebriefId(7)))));
    insta::assert_snapshot!(drawn(view["blocks"].as_array().unwrap()), @r#"
    rich_text _intro: *Acme* ⏎ Pricing · 15:00
    input outcome: How did it end? = radio_buttons A firm yes / No ("no")
    input note: What would you change?? = text "a <b>"
    input turn: Where did it turn? = static_select A firm yes / No (null)
    input due: By when? = date "2026-03-09"
    input more: Also = checkboxes A firm yes / No (null)
    context _outro: Kim reads this.
    "#);
    insta::assert_snapshot!(view["private_metadata"].as_str().unwrap(), @r#"{"v":1,"form":"answer","id":7,"rewords":{"outcome":7}}"#);
    assert_eq!(view["callback_id"], "answer");
    for block in view["blocks"].as_array().unwrap() {
        assert!(block["type"] != "input" || block["element"]["action_id"] == "v");
        let reports = block["block_id"] == "outcome";
        assert_eq!(block["dispatch_action"] == true, reports, "{block}");
    }
    assert_eq!(view["blocks"][5]["element"]["initial_options"][0]["value"], "no");
}

#[test]
fn every_form_says_which_it_is() {
    for id in [FormId::Answer(DebriefId(1)), FormId::Correct(DebriefId(i64::MAX)), FormId::Log] {
        let view = modal(&Modal::Form(form(id)));
        let mark = mark(view["private_metadata"].as_str().unwrap()).unwrap();
        assert_eq!(mark.form(), Some(id));
        assert_eq!(mark.rewords("outcome"), Some(DebriefId(7)));
        assert_eq!(mark.rewords("note"), None);
    }
    for foreign in ["", "{}", r#"{"v":2,"form":"log"}"#, "7"] {
        assert_eq!(mark(foreign), None, "{foreign}");
    }
    let unknown = mark(r#"{"v":1,"form":"other"}"#).unwrap();
    assert_eq!(unknown.form(), None);
}

#[test]
fn modals_without_fields() {
    let sorry = modal(&Modal::Sorry { title: "Too late".into(), text: "It is gone.".into() });
    hold_view(&sorry);
    assert!(sorry["submit"].is_null());
    let loading = modal(&Modal::Loading { title: String::new() });
    hold_view(&loading);
}
