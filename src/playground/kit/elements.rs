//! Interactive elements: which belong where, and what they must hold.

use serde_json::Value;

use super::{Kind, Report, Surface};

/// Where an element stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In an `actions` block.
    Row,
    /// Beside a `section`.
    Beside,
    /// In an `input` block.
    Field,
}

/// Elements that may stand in a row or beside a section, and those that may be fields.
const BUTTONS: [&str; 2] = ["button", "overflow"];
const CHOICES: [&str; 12] = [
    "static_select",
    "radio_buttons",
    "checkboxes",
    "datepicker",
    "timepicker",
    "multi_static_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "external_select",
    "datetimepicker",
    "multi_users_select",
];
const FIELDS: [&str; 6] = [
    "plain_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
    "rich_text_input",
    "file_input",
];

pub(super) fn check(report: &mut Report, place: &str, element: &Value, at: Place) {
    let Some(kind) = element["type"].as_str() else {
        return report.wrong(place, "missing required field: type");
    };
    let fits = match at {
        Place::Row | Place::Beside if kind == "image" => at == Place::Beside,
        Place::Row | Place::Beside => BUTTONS.contains(&kind) || CHOICES.contains(&kind),
        Place::Field => CHOICES.contains(&kind) || FIELDS.contains(&kind),
    };
    if !fits {
        return report.wrong(place, &format!("unsupported type: {kind}"));
    }
    report.optional_text(&format!("{place}/action_id"), &element["action_id"], 255);
    if element["focus_on_load"] == true {
        report.focused += 1;
        if report.surface == Surface::Message {
            report.wrong(place, "focus_on_load is not allowed in messages");
        }
    }
    let known: &[&str] = match kind {
        "button" => button(report, place, element),
        "overflow" => {
            options(report, place, element, 5);
            &["options", "confirm"]
        }
        "static_select" => select(report, place, element),
        "radio_buttons" | "checkboxes" => {
            options(report, place, element, 10);
            chosen(report, place, element);
            &["options", "initial_option", "initial_options", "confirm", "focus_on_load"]
        }
        "datepicker" => {
            date(report, &format!("{place}/initial_date"), &element["initial_date"]);
            &["initial_date", "placeholder", "confirm", "focus_on_load"]
        }
        "plain_text_input" => text_input(report, place, element),
        // Known to Slack, not looked at closely.
        _ => return,
    };
    if !element["confirm"].is_null() {
        confirm(report, &format!("{place}/confirm"), &element["confirm"]);
    }
    if !element["placeholder"].is_null() {
        let place = format!("{place}/placeholder");
        report.text_object(&place, &element["placeholder"], 150, Kind::Plain);
    }
    let mut fields = vec!["type", "action_id"];
    fields.extend(known);
    report.known(place, element, &fields);
}

fn button(report: &mut Report, place: &str, element: &Value) -> &'static [&'static str] {
    report.text_object(&format!("{place}/text"), &element["text"], 75, Kind::Plain);
    report.optional_text(&format!("{place}/value"), &element["value"], 2000);
    report.optional_text(&format!("{place}/url"), &element["url"], 3000);
    let label = &element["accessibility_label"];
    report.optional_text(&format!("{place}/accessibility_label"), label, 75);
    let style = &element["style"];
    if !style.is_null() && style != "primary" && style != "danger" {
        report.wrong(&format!("{place}/style"), "must be primary or danger");
    }
    &["text", "value", "url", "style", "confirm", "accessibility_label"]
}

fn select(report: &mut Report, place: &str, element: &Value) -> &'static [&'static str] {
    match (element["options"].is_null(), element["option_groups"].is_null()) {
        (false, true) => options(report, place, element, 100),
        (true, false) => {
            let place = format!("{place}/option_groups");
            let groups = report.list(&place, &element["option_groups"], 1, 100);
            for (at, group) in groups.iter().enumerate() {
                let place = format!("{place}/{at}");
                report.text_object(&format!("{place}/label"), &group["label"], 75, Kind::Plain);
                options(report, &place, group, 100);
            }
        }
        _ => report.wrong(place, "must have options or option_groups"),
    }
    chosen(report, place, element);
    &["options", "option_groups", "initial_option", "placeholder", "confirm", "focus_on_load"]
}

fn options(report: &mut Report, place: &str, element: &Value, most: usize) {
    let place = format!("{place}/options");
    for (at, option) in report.list(&place, &element["options"], 1, most).iter().enumerate() {
        let place = format!("{place}/{at}");
        report.text_object(&format!("{place}/text"), &option["text"], 75, Kind::Any);
        report.text(&format!("{place}/value"), &option["value"], 150);
        if !option["description"].is_null() {
            let place = format!("{place}/description");
            report.text_object(&place, &option["description"], 75, Kind::Any);
        }
        report.known(&place, option, &["text", "value", "description", "url"]);
    }
}

/// What is chosen at first is one of the options.
fn chosen(report: &mut Report, place: &str, element: &Value) {
    let mut all: Vec<&Value> = element["options"].as_array().into_iter().flatten().collect();
    let groups = element["option_groups"].as_array().into_iter().flatten();
    all.extend(groups.flat_map(|group| group["options"].as_array().into_iter().flatten()));
    let mut first: Vec<&Value> =
        element["initial_options"].as_array().into_iter().flatten().collect();
    if !element["initial_option"].is_null() {
        first.push(&element["initial_option"]);
    }
    for one in first {
        if !all.contains(&one) {
            report.wrong(&format!("{place}/initial_option"), "must be one of the options");
        }
    }
    if element["initial_options"].as_array().is_some_and(Vec::is_empty) {
        report.wrong(&format!("{place}/initial_options"), "must have at least 1 items");
    }
}

fn text_input(report: &mut Report, place: &str, element: &Value) -> &'static [&'static str] {
    let within = |value: &Value| value.as_u64().is_some_and(|length| length <= 3000);
    for key in ["min_length", "max_length"] {
        if !element[key].is_null() && !within(&element[key]) {
            report.wrong(&format!("{place}/{key}"), "must be between 0 and 3000");
        }
    }
    let first = element["initial_value"].as_str().unwrap_or_default().chars().count() as u64;
    if element["max_length"].as_u64().is_some_and(|most| first > most) {
        report.wrong(&format!("{place}/initial_value"), "is longer than max_length");
    }
    &[
        "initial_value",
        "multiline",
        "min_length",
        "max_length",
        "placeholder",
        "dispatch_action_config",
        "focus_on_load",
    ]
}

fn date(report: &mut Report, place: &str, value: &Value) {
    let well = value.as_str().is_none_or(|date| date.parse::<jiff::civil::Date>().is_ok());
    if !(value.is_null() || value.is_string() && well) {
        report.wrong(place, "must be a date, YYYY-MM-DD");
    }
}

fn confirm(report: &mut Report, place: &str, dialog: &Value) {
    report.text_object(&format!("{place}/title"), &dialog["title"], 100, Kind::Plain);
    report.text_object(&format!("{place}/text"), &dialog["text"], 300, Kind::Any);
    for button in ["confirm", "deny"] {
        if !dialog[button].is_null() {
            report.text_object(&format!("{place}/{button}"), &dialog[button], 30, Kind::Plain);
        }
    }
}
