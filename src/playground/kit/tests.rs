//! One good and one bad of each.

use serde_json::{Value, json};

use super::{Surface, check_blocks, check_message_size, check_view};

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text })
}

fn option(text: &str) -> Value {
    json!({ "text": plain(text), "value": text })
}

fn problems(surface: Surface, block: &Value) -> Vec<String> {
    check_blocks(surface, &json!([block]))
}

#[test]
fn what_slack_takes_is_taken() {
    let button = json!({ "type": "button", "action_id": "a", "text": plain("Go"), "value": "1" });
    let chart = json!({ "type": "bar", "axis_config": { "categories": ["Mon"] },
        "series": [{ "name": "Yes", "data": [{ "label": "Mon", "value": 1 }] }] });
    let good = [
        (Surface::Message, json!({ "type": "header", "text": plain("Title") })),
        (Surface::Message, json!({ "type": "divider" })),
        (
            Surface::Message,
            json!({ "type": "section", "accessory": button.clone(),
            "text": { "type": "mrkdwn", "text": "*x*", "verbatim": true } }),
        ),
        (Surface::Message, json!({ "type": "actions", "elements": [button] })),
        (Surface::Message, json!({ "type": "context", "elements": [plain("small")] })),
        (
            Surface::Home,
            json!({ "type": "rich_text", "elements": [{ "type": "rich_text_section",
            "elements": [{ "type": "text", "text": "x", "style": { "bold": true } }] }] }),
        ),
        (Surface::Message, json!({ "type": "data_visualization", "title": "T", "chart": chart })),
        (
            Surface::Modal,
            json!({ "type": "input", "block_id": "q", "label": plain("Q"), "element": {
            "type": "radio_buttons", "action_id": "v", "options": [option("a"), option("b")],
            "initial_option": option("b") } }),
        ),
        (Surface::Modal, json!({ "type": "alert", "text": plain("Oh"), "level": "error" })),
    ];
    for (surface, block) in good {
        assert_eq!(problems(surface, &block), Vec::<String>::new(), "{block}");
    }
}

#[test]
fn what_slack_refuses_is_refused_with_its_place() {
    let long = "x".repeat(3001);
    let button = |text: &str| json!({ "type": "button", "action_id": "a", "text": plain(text) });
    let bad = [
        (json!({ "type": "header", "text": plain(&"x".repeat(151)) }), "/blocks/0/text/text"),
        (json!({ "type": "section", "text": plain(&long) }), "less than 3001"),
        (json!({ "type": "section", "text": plain("") }), "more than 0"),
        (json!({ "type": "section" }), "text or fields"),
        (json!({ "type": "section", "text": plain("x"), "colour": 1 }), "colour"),
        (json!({ "type": "actions", "elements": [button("a"), button("b")] }), "already exists"),
        (json!({ "type": "actions", "elements": [button(&"x".repeat(76))] }), "less than 76"),
        (json!({ "type": "actions", "elements": [] }), "at least 1"),
        (
            json!({ "type": "actions", "elements": [{ "type": "overflow",
            "options": (0..6).map(|n| option(&n.to_string())).collect::<Vec<_>>() }] }),
            "than 5",
        ),
        (json!({ "type": "alert", "text": plain("modals only") }), "unsupported type: alert"),
        (json!({ "type": "nonsense" }), "unsupported type: nonsense"),
        (json!({ "type": "context", "elements": [{ "type": "text", "text": "x" }] }), "plain_text"),
        (
            json!({ "type": "data_visualization", "title": "T", "chart": { "type": "bar",
            "axis_config": { "categories": ["Mon", "Tue"] },
            "series": [{ "name": "Y", "data": [{ "label": "Mon", "value": 1 }] }] } }),
            "every category",
        ),
        (
            json!({ "type": "rich_text", "elements": [{ "type": "rich_text_section",
            "elements": [{ "type": "text", "text": "" }] }] }),
            "more than 0",
        ),
    ];
    for (block, said) in bad {
        let found = problems(Surface::Message, &block).join("\n");
        assert!(found.contains(said), "{block}: {found}");
    }
    let twice =
        json!([{ "type": "divider", "block_id": "a" }, { "type": "divider", "block_id": "a" }]);
    assert!(check_blocks(Surface::Message, &twice)[0].contains("already exists"));
    let many: Vec<Value> = (0..51).map(|_| json!({ "type": "divider" })).collect();
    assert!(check_blocks(Surface::Message, &json!(many))[0].contains("no more than 50"));
}

#[test]
fn views_have_limits_of_their_own() {
    let field = json!({ "type": "input", "label": plain("Q"),
        "element": { "type": "plain_text_input", "action_id": "v", "max_length": 280 } });
    let good = json!({ "type": "modal", "title": plain("T"), "submit": plain("Save"),
        "blocks": [field.clone()] });
    assert_eq!(check_view(&good), Vec::<String>::new());
    let no_submit = json!({ "type": "modal", "title": plain("T"), "blocks": [field] });
    assert!(check_view(&no_submit)[0].contains("submit"));
    let title = json!({ "type": "modal", "title": plain(&"x".repeat(25)), "blocks": [] });
    assert!(check_view(&title)[0].contains("/view/title/text"));
    assert!(!check_view(&json!({ "type": "page" })).is_empty());
}

#[test]
fn messages_have_a_size() {
    assert_eq!(check_message_size(None, None), Some("no_text"));
    assert_eq!(check_message_size(Some("x"), None), None);
    assert_eq!(check_message_size(Some(&"x".repeat(40_001)), None), Some("msg_too_long"));
    let long = json!(vec![json!({ "type": "section", "text": plain(&"x".repeat(3000)) }); 5]);
    assert_eq!(check_message_size(Some("x"), Some(&long)), Some("msg_blocks_too_long"));
}
