//! Block Kit's limits, as Slack states them: what it would refuse is refused here.
//!
//! Problems are worded as Slack words them, each with a JSON pointer to its place. Lengths count
//! Unicode scalar values.

mod blocks;
mod data;
mod elements;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde_json::Value;

const MOST_TEXT: usize = 40_000;
const MOST_BLOCK_TEXT: usize = 13_200;
const LARGEST_VIEW: usize = 250_000;

/// Where blocks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Message,
    Modal,
    Home,
}

/// What is wrong so far.
struct Report {
    surface: Surface,
    problems: Vec<String>,
    focused: usize,
}

impl Report {
    fn new(surface: Surface) -> Self {
        Self { surface, problems: Vec::new(), focused: 0 }
    }

    fn wrong(&mut self, place: &str, what: &str) {
        self.problems.push(format!("[ERROR] {what} [json-pointer:{place}]"));
    }

    /// A string of 1 to `most` characters.
    fn text(&mut self, place: &str, value: &Value, most: usize) {
        match value.as_str().map(|text| text.chars().count()) {
            None => self.wrong(place, "must be a string"),
            Some(0) => self.wrong(place, "must be more than 0 characters"),
            Some(length) if length > most => {
                self.wrong(place, &format!("must be less than {} characters", most + 1));
            }
            Some(_) => {}
        }
    }

    /// The same, where it may be missing.
    fn optional_text(&mut self, place: &str, value: &Value, most: usize) {
        if !value.is_null() {
            self.text(place, value, most);
        }
    }

    /// A text object.
    fn text_object(&mut self, place: &str, object: &Value, most: usize, kind: Kind) {
        let plain = object["type"] == "plain_text";
        match object["type"].as_str() {
            Some("plain_text") => {}
            Some("mrkdwn") if kind == Kind::Any => {}
            _ => return self.wrong(&format!("{place}/type"), "must be plain_text"),
        }
        self.text(&format!("{place}/text"), &object["text"], most);
        if !plain && !object["emoji"].is_null() {
            self.wrong(&format!("{place}/emoji"), "not allowed");
        }
        if plain && !object["verbatim"].is_null() {
            self.wrong(&format!("{place}/verbatim"), "not allowed");
        }
        self.known(place, object, &["type", "text", "emoji", "verbatim"]);
    }

    /// Refuses fields that Slack does not know.
    fn known(&mut self, place: &str, object: &Value, fields: &[&str]) {
        for key in object.as_object().into_iter().flat_map(serde_json::Map::keys) {
            if !fields.contains(&key.as_str()) {
                self.wrong(place, &format!("no more than the known fields allowed: {key}"));
            }
        }
    }

    /// A list of `least` to `most` items.
    fn list<'v>(
        &mut self,
        place: &str,
        value: &'v Value,
        least: usize,
        most: usize,
    ) -> &'v [Value] {
        let Some(items) = value.as_array() else {
            self.wrong(place, "must be an array");
            return &[];
        };
        if items.len() < least {
            self.wrong(place, &format!("must have at least {least} items"));
        }
        if items.len() > most {
            self.wrong(place, &format!("no more than {most} items allowed"));
        }
        items
    }
}

/// Which text objects fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Any,
}

/// What Slack would say about `blocks`; nothing if they are fine.
pub fn check_blocks(surface: Surface, blocks: &Value) -> Vec<String> {
    let mut report = Report::new(surface);
    let most = if surface == Surface::Message { 50 } else { 100 };
    let list = report.list("/blocks", blocks, 0, most);
    let mut ids = HashSet::new();
    for (at, block) in list.iter().enumerate() {
        let place = format!("/blocks/{at}");
        blocks::check(&mut report, &place, block);
        if let Some(id) = block["block_id"].as_str()
            && !ids.insert(id)
        {
            report.wrong(&place, &format!("`block_id` {id} already exists"));
        }
    }
    if report.focused > 1 {
        report.wrong("/blocks", "only one element may have focus_on_load");
    }
    data::check_totals(&mut report, list);
    report.problems
}

/// The same for a whole view.
pub fn check_view(view: &Value) -> Vec<String> {
    let surface = match view["type"].as_str() {
        Some("modal") => Surface::Modal,
        Some("home") => Surface::Home,
        _ => return vec!["[ERROR] must be modal or home [json-pointer:/view/type]".into()],
    };
    let mut report = Report::new(surface);
    let common = ["type", "blocks", "private_metadata", "callback_id", "external_id"];
    let own = ["title", "submit", "close", "clear_on_close", "notify_on_close", "submit_disabled"];
    let mut fields = common.to_vec();
    if surface == Surface::Modal {
        fields.extend(own);
        report.text_object("/view/title", &view["title"], 24, Kind::Plain);
        for button in ["submit", "close"] {
            if !view[button].is_null() {
                report.text_object(&format!("/view/{button}"), &view[button], 24, Kind::Plain);
            }
        }
        let mut blocks = view["blocks"].as_array().into_iter().flatten();
        if blocks.any(|block| block["type"] == "input") && view["submit"].is_null() {
            report.wrong("/view/submit", "missing required field: submit");
        }
    }
    report.known("/view", view, &fields);
    report.optional_text("/view/callback_id", &view["callback_id"], 255);
    report.optional_text("/view/external_id", &view["external_id"], 255);
    if view["private_metadata"].as_str().is_some_and(|data| data.chars().count() > 3000) {
        report.wrong("/view/private_metadata", "must be less than 3001 characters");
    }
    if view.to_string().len() > LARGEST_VIEW {
        report.wrong("/view", "view_too_large");
    }
    report.problems.extend(check_blocks(surface, &view["blocks"]));
    report.problems
}

/// Slack's error code for a message without content, or with too much.
pub fn check_message_size(text: Option<&str>, blocks: Option<&Value>) -> Option<&'static str> {
    let no_blocks = blocks.is_none_or(|blocks| blocks.as_array().is_none_or(Vec::is_empty));
    if no_blocks && text.is_none_or(str::is_empty) {
        return Some("no_text");
    }
    if text.is_some_and(|text| text.chars().count() > MOST_TEXT) {
        return Some("msg_too_long");
    }
    if blocks.is_some_and(|blocks| words(blocks) > MOST_BLOCK_TEXT) {
        return Some("msg_blocks_too_long");
    }
    None
}

/// All text in a value, in characters.
fn words(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) if key == "text" => text.chars().count(),
                other => words(other),
            })
            .sum(),
        Value::Array(items) => items.iter().map(words).sum(),
        _ => 0,
    }
}
