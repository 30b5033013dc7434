//! Slack's limits, as far as it documents them: a view that breaks one is refused as a whole.

use std::collections::HashSet;

use serde_json::Value;

/// The longest text by where it stands.
const LONGEST: [(&str, usize); 11] = [
    ("header.text", 150),
    ("button.text", 75),
    ("option.text", 75),
    ("modal.title", 24),
    ("modal.submit", 24),
    ("modal.close", 24),
    ("section.text", 3000),
    ("context.text", 2000),
    ("input.label", 2000),
    ("input.hint", 2000),
    ("element.placeholder", 150),
];

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn text_within(text: &Value, place: &str) {
    let words = text["text"].as_str().unwrap_or_else(|| panic!("{place}: {text}"));
    let (_, longest) = LONGEST.iter().find(|(name, _)| *name == place).unwrap();
    assert!((1..=*longest).contains(&units(words)), "{place}: {words}");
    assert!(!words.trim().is_empty(), "{place} is blank");
}

fn id_within(id: &Value, longest: usize, seen: &mut HashSet<String>) {
    let id = id.as_str().unwrap();
    assert!((1..=longest).contains(&units(id)), "{id}");
    assert!(seen.insert(id.to_owned()), "{id} occurs twice");
}

/// A modal or the Home tab.
pub(super) fn hold_view(view: &Value) {
    if view["type"] == "modal" {
        text_within(&view["title"], "modal.title");
        text_within(&view["close"], "modal.close");
        if !view["submit"].is_null() {
            text_within(&view["submit"], "modal.submit");
        }
    }
    let mark = view["private_metadata"].as_str().unwrap_or_default();
    assert!(units(mark) <= 3000 && view.to_string().len() <= 250_000);
    hold(view["blocks"].as_array().unwrap(), 100);
}

/// A message.
pub(super) fn hold_message(text: &str, blocks: &[Value]) {
    assert!((1..=4000).contains(&units(text)), "{text}");
    hold(blocks, 50);
    let all: usize = blocks.iter().map(words).sum();
    assert!(all <= 9_000, "{all} characters");
}

fn words(value: &Value) -> usize {
    match value {
        Value::Array(all) => all.iter().map(words).sum(),
        Value::Object(all) => {
            all.values().map(words).sum::<usize>()
                + all.get("text").and_then(Value::as_str).map_or(0, units)
        }
        _ => 0,
    }
}

fn hold(blocks: &[Value], most: usize) {
    assert!(blocks.len() <= most, "{} blocks", blocks.len());
    let mut ids = HashSet::new();
    for block in blocks {
        if !block["block_id"].is_null() {
            id_within(&block["block_id"], 255, &mut ids);
        }
        hold_block(block);
    }
}

fn hold_block(block: &Value) {
    match block["type"].as_str().unwrap() {
        "header" => text_within(&block["text"], "header.text"),
        "section" => text_within(&block["text"], "section.text"),
        "context" => {
            let elements = block["elements"].as_array().unwrap();
            assert!((1..=10).contains(&elements.len()));
            for element in elements {
                text_within(element, "context.text");
            }
        }
        "actions" => {
            let elements = block["elements"].as_array().unwrap();
            assert!((1..=25).contains(&elements.len()));
            let mut ids = HashSet::new();
            for element in elements {
                id_within(&element["action_id"], 255, &mut ids);
                hold_element(element);
            }
        }
        "input" => {
            text_within(&block["label"], "input.label");
            if !block["hint"].is_null() {
                text_within(&block["hint"], "input.hint");
            }
            hold_element(&block["element"]);
        }
        "rich_text" => hold_rich(block),
        "divider" => {}
        "data_visualization" => hold_chart(block),
        "data_table" | "table" => hold_table(block),
        other => panic!("a block that we do not use: {other}"),
    }
}

fn hold_element(element: &Value) {
    if !element["placeholder"].is_null() {
        text_within(&element["placeholder"], "element.placeholder");
    }
    let most = match element["type"].as_str().unwrap() {
        "button" => {
            text_within(&element["text"], "button.text");
            assert!(units(element["value"].as_str().unwrap()) <= 2000);
            assert!(units(element["accessibility_label"].as_str().unwrap()) <= 75);
            return;
        }
        "plain_text_input" => {
            let longest = element["max_length"].as_u64().unwrap();
            assert!((1..=3000).contains(&longest));
            let initial = element["initial_value"].as_str().unwrap_or_default();
            assert!(u64::try_from(units(initial)).unwrap() <= longest);
            return;
        }
        "datepicker" => return,
        "overflow" => 5,
        "radio_buttons" | "checkboxes" => 10,
        "static_select" => 100,
        other => panic!("an element that we do not use: {other}"),
    };
    let options = element["options"].as_array().unwrap();
    assert!((1..=most).contains(&options.len()), "{} options", options.len());
    let mut values = HashSet::new();
    for option in options {
        text_within(&option["text"], "option.text");
        id_within(&option["value"], 75, &mut values);
    }
    let chosen = element["initial_options"].as_array().into_iter().flatten();
    for initial in chosen.chain(element.get("initial_option")) {
        assert!(options.contains(initial), "{initial} is no option");
    }
}

fn hold_rich(block: &Value) {
    match block["elements"].as_array() {
        Some(elements) => {
            assert!(!elements.is_empty());
            elements.iter().for_each(hold_rich);
        }
        None => assert!((1..=3000).contains(&units(block["text"].as_str().unwrap()))),
    }
}

fn hold_chart(block: &Value) {
    assert!((1..=50).contains(&units(block["title"].as_str().unwrap())));
    let chart = &block["chart"];
    let categories = chart["axis_config"]["categories"].as_array().unwrap();
    assert!((1..=20).contains(&categories.len()));
    let series = chart["series"].as_array().unwrap();
    assert!((1..=6).contains(&series.len()));
    let (mut names, mut labels) = (HashSet::new(), HashSet::new());
    for category in categories {
        id_within(category, 20, &mut labels);
    }
    for one in series {
        id_within(&one["name"], 20, &mut names);
        let data = one["data"].as_array().unwrap().iter();
        assert!(data.map(|point| &point["label"]).eq(categories));
    }
}

fn hold_table(block: &Value) {
    let rows = block["rows"].as_array().unwrap();
    assert!((2..=100).contains(&rows.len()));
    let wide = rows[0].as_array().unwrap().len();
    assert!((1..=20).contains(&wide));
    assert!(rows.iter().all(|row| row.as_array().unwrap().len() == wide));
}
