//! Blocks: which belong where, and what they must hold.

use serde_json::Value;

use super::elements::{self, Place};
use super::{Kind, Report, Surface, data};

/// Blocks that only some surfaces take.
const ONLY: [(&str, &[Surface]); 11] = [
    ("alert", &[Surface::Modal]),
    ("container", &[Surface::Message]),
    ("markdown", &[Surface::Message]),
    ("context_actions", &[Surface::Message]),
    ("plan", &[Surface::Message]),
    ("task_card", &[Surface::Message]),
    ("card", &[Surface::Message, Surface::Home]),
    ("carousel", &[Surface::Message, Surface::Home]),
    ("table", &[Surface::Message, Surface::Home]),
    ("data_table", &[Surface::Message, Surface::Home]),
    ("data_visualization", &[Surface::Message, Surface::Home]),
];

pub(super) fn check(report: &mut Report, place: &str, block: &Value) {
    let Some(kind) = block["type"].as_str() else {
        return report.wrong(place, "missing required field: type");
    };
    let only = ONLY.iter().find(|(known, _)| *known == kind);
    if only.is_some_and(|(_, surfaces)| !surfaces.contains(&report.surface)) {
        return report.wrong(place, &format!("unsupported type: {kind}"));
    }
    report.optional_text(&format!("{place}/block_id"), &block["block_id"], 255);
    let known: &[&str] = match kind {
        "header" => {
            report.text_object(&format!("{place}/text"), &block["text"], 150, Kind::Plain);
            &["text", "level"]
        }
        "divider" => &[],
        "section" => section(report, place, block),
        "context" => context(report, place, block),
        "actions" => actions(report, place, block),
        "input" => input(report, place, block),
        "rich_text" => rich_text(report, place, block),
        "image" => {
            report.text(&format!("{place}/alt_text"), &block["alt_text"], 2000);
            &["alt_text", "image_url", "slack_file", "title"]
        }
        "alert" => {
            report.text_object(&format!("{place}/text"), &block["text"], 3000, Kind::Any);
            &["text", "level"]
        }
        "markdown" => {
            report.text(&format!("{place}/text"), &block["text"], 12_000);
            &["text"]
        }
        "data_visualization" => data::chart(report, place, block),
        "data_table" | "table" => data::table(report, place, block),
        // Known to Slack, not used by anybody here.
        "card" | "carousel" | "container" | "context_actions" | "plan" | "task_card" | "video" => {
            return;
        }
        _ => return report.wrong(place, &format!("unsupported type: {kind}")),
    };
    let mut fields = vec!["type", "block_id"];
    fields.extend(known);
    report.known(place, block, &fields);
}

fn section(report: &mut Report, place: &str, block: &Value) -> &'static [&'static str] {
    if block["text"].is_null() && block["fields"].is_null() {
        report.wrong(place, "must have text or fields");
    }
    if !block["text"].is_null() {
        report.text_object(&format!("{place}/text"), &block["text"], 3000, Kind::Any);
    }
    if !block["fields"].is_null() {
        let fields = report.list(&format!("{place}/fields"), &block["fields"], 1, 10);
        for (at, field) in fields.iter().enumerate() {
            report.text_object(&format!("{place}/fields/{at}"), field, 2000, Kind::Any);
        }
    }
    if !block["accessory"].is_null() {
        elements::check(report, &format!("{place}/accessory"), &block["accessory"], Place::Beside);
    }
    &["text", "fields", "accessory", "expand"]
}

fn context(report: &mut Report, place: &str, block: &Value) -> &'static [&'static str] {
    let parts = report.list(&format!("{place}/elements"), &block["elements"], 1, 10);
    for (at, part) in parts.iter().enumerate() {
        let place = format!("{place}/elements/{at}");
        if part["type"] == "image" {
            report.text(&format!("{place}/alt_text"), &part["alt_text"], 2000);
        } else {
            report.text_object(&place, part, 2000, Kind::Any);
        }
    }
    &["elements"]
}

fn actions(report: &mut Report, place: &str, block: &Value) -> &'static [&'static str] {
    let all = report.list(&format!("{place}/elements"), &block["elements"], 1, 25);
    let mut ids = std::collections::HashSet::new();
    for (at, one) in all.iter().enumerate() {
        let place = format!("{place}/elements/{at}");
        elements::check(report, &place, one, Place::Row);
        if let Some(id) = one["action_id"].as_str()
            && !ids.insert(id)
        {
            report.wrong(&place, &format!("`action_id` {id} already exists"));
        }
    }
    &["elements"]
}

fn input(report: &mut Report, place: &str, block: &Value) -> &'static [&'static str] {
    report.text_object(&format!("{place}/label"), &block["label"], 2000, Kind::Plain);
    if !block["hint"].is_null() {
        report.text_object(&format!("{place}/hint"), &block["hint"], 2000, Kind::Plain);
    }
    for flag in ["optional", "dispatch_action"] {
        if !block[flag].is_null() && !block[flag].is_boolean() {
            report.wrong(&format!("{place}/{flag}"), "must be a boolean");
        }
    }
    elements::check(report, &format!("{place}/element"), &block["element"], Place::Field);
    &["label", "hint", "element", "optional", "dispatch_action"]
}

fn rich_text(report: &mut Report, place: &str, block: &Value) -> &'static [&'static str] {
    let parts = report.list(&format!("{place}/elements"), &block["elements"], 1, 1000);
    for (at, part) in parts.iter().enumerate() {
        rich_part(report, &format!("{place}/elements/{at}"), part);
    }
    &["elements"]
}

fn rich_part(report: &mut Report, place: &str, part: &Value) {
    let items = report.list(&format!("{place}/elements"), &part["elements"], 1, 1000);
    match part["type"].as_str() {
        Some("rich_text_list") => {
            if !["bullet", "ordered"].iter().any(|style| part["style"] == *style) {
                report.wrong(&format!("{place}/style"), "must be bullet or ordered");
            }
            for (at, item) in items.iter().enumerate() {
                rich_part(report, &format!("{place}/elements/{at}"), item);
            }
        }
        Some("rich_text_section" | "rich_text_quote" | "rich_text_preformatted") => {
            for (at, run) in items.iter().enumerate() {
                rich_run(report, &format!("{place}/elements/{at}"), run);
            }
        }
        _ => report.wrong(&format!("{place}/type"), "unsupported type"),
    }
}

fn rich_run(report: &mut Report, place: &str, run: &Value) {
    match run["type"].as_str() {
        Some("text") => {
            if run["text"].as_str().is_none_or(str::is_empty) {
                report.wrong(&format!("{place}/text"), "must be more than 0 characters");
            }
        }
        Some("link") => report.text(&format!("{place}/url"), &run["url"], 3000),
        Some("user") => report.text(&format!("{place}/user_id"), &run["user_id"], 255),
        Some("emoji") => report.text(&format!("{place}/name"), &run["name"], 255),
        Some("date" | "channel" | "usergroup" | "broadcast" | "color") => {}
        _ => report.wrong(&format!("{place}/type"), "unsupported type"),
    }
    if let Some(styles) = run["style"].as_object() {
        for (style, value) in styles {
            let known = ["bold", "italic", "strike", "code", "underline", "highlight"];
            if !known.contains(&style.as_str()) || !value.is_boolean() {
                report.wrong(&format!("{place}/style/{style}"), "unsupported style");
            }
        }
    }
}
