//! Modals.
//!
//! Block ids are field ids and the same in every version of a form, so that Slack keeps what was
//! typed when the form is replaced. Which form it is travels in `private_metadata`.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::blocks::{Style, VIEW, fit, line, named, paragraph, plain, rich, runs, small};
use crate::domain::debrief::DebriefId;
use crate::ports::outbound::{Choice, Field, Form, FormId, Input, Modal, Reaction};
use crate::slack::text;

/// The `action_id` of every field.
const FIELD: &str = "v";
/// Of this file's `private_metadata`.
const VERSION: u32 = 1;
/// Radio buttons and boxes; more become a menu.
const MOST_RADIOS: usize = 10;
const MOST_OPTIONS: usize = 100;

/// What a view of ours says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::slack) struct FormMark {
    v: u32,
    form: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    /// The fields whose choice is reported while the form is open, and for which debrief.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rewords: BTreeMap<String, i64>,
}

impl FormMark {
    fn new(form: &Form) -> Self {
        let (name, id) = match form.id {
            FormId::Answer(id) => ("answer", Some(id.0)),
            FormId::Correct(id) => ("correct", Some(id.0)),
            FormId::Log => ("log", None),
        };
        let rewords = form.fields.iter().filter_map(|field| match field.input {
            Input::Radio { reaction: Reaction::Rewords(debrief), .. } => {
                Some((block_id(field), debrief.0))
            }
            _ => None,
        });
        Self { v: VERSION, form: name.into(), id, rewords: rewords.collect() }
    }

    pub(in crate::slack) fn form(&self) -> Option<FormId> {
        let id = self.id.map(DebriefId);
        match self.form.as_str() {
            "answer" => id.map(FormId::Answer),
            "correct" => id.map(FormId::Correct),
            "log" => Some(FormId::Log),
            _ => None,
        }
    }

    /// The debrief that a choice in `block` is reported for.
    pub(in crate::slack) fn rewords(&self, block: &str) -> Option<DebriefId> {
        self.rewords.get(block).copied().map(DebriefId)
    }
}

/// What the `private_metadata` of a view says; `None` if we did not write it.
pub(in crate::slack) fn mark(private_metadata: &str) -> Option<FormMark> {
    serde_json::from_str(private_metadata).ok().filter(|mark: &FormMark| mark.v == VERSION)
}

pub(super) fn view(modal: &Modal) -> Value {
    match modal {
        Modal::Loading { title } => {
            let body = line(&[("One moment…", Style::None)]);
            frame("loading", title, "Close", &[body])
        }
        Modal::Sorry { title, text } => {
            let body = json!({"type": "section", "text": paragraph(text, 2900)});
            frame("sorry", title, "Close", &[body])
        }
        Modal::Form(form) => filled(form),
    }
}

fn frame(name: &str, title: &str, close: &str, blocks: &[Value]) -> Value {
    json!({
        "type": "modal",
        "callback_id": name,
        "title": plain(title, 24),
        "close": plain(close, 24),
        "notify_on_close": false,
        "blocks": blocks,
    })
}

fn filled(form: &Form) -> Value {
    let mark = FormMark::new(form);
    let mut blocks = Vec::new();
    if !form.intro.is_empty() {
        blocks.push(named(intro(&form.intro), "_intro"));
    }
    let mut used = HashSet::new();
    blocks
        .extend(form.fields.iter().filter(|field| used.insert(block_id(field))).filter_map(input));
    blocks.extend(form.outro.iter().map(|words| named(small(words), "_outro")));
    blocks = fit(blocks, VIEW);
    let mut view = frame(&mark.form, &form.title, "Cancel", &blocks);
    view["submit"] = plain(&form.submit, 24);
    // Plain words and numbers: this cannot fail.
    view["private_metadata"] = json!(serde_json::to_string(&mark).unwrap_or_default());
    view
}

/// What it is about, in bold, and the facts.
fn intro(lines: &[String]) -> Value {
    let mut parts: Vec<(&str, Style)> = Vec::new();
    for (at, words) in lines.iter().enumerate() {
        if at == 0 {
            parts.push((words, Style::Bold));
        } else {
            parts.extend([("\n", Style::None), (words, Style::None)]);
        }
    }
    rich(&[runs(&parts)])
}

fn block_id(field: &Field) -> String {
    text::label(&field.id, 255)
}

/// `None` for a choice without options, which Slack refuses.
fn input(field: &Field) -> Option<Value> {
    let mut block = json!({
        "type": "input",
        "block_id": block_id(field),
        "label": plain(&field.label, 1900),
        "optional": field.optional,
        "element": element(&field.input)?,
    });
    if let Some(hint) = field.hint.as_deref().filter(|hint| !hint.is_empty()) {
        block["hint"] = plain(hint, 1900);
    }
    if matches!(&field.input, Input::Radio { reaction: Reaction::Rewords(_), .. }) {
        block["dispatch_action"] = json!(true);
    }
    Some(block)
}

fn element(input: &Input) -> Option<Value> {
    match input {
        Input::Text { value, max_length, multiline, placeholder } => {
            let longest = usize::from(*max_length).clamp(1, 3000);
            let mut element = json!({
                "type": "plain_text_input",
                "action_id": FIELD,
                "multiline": multiline,
                "max_length": longest,
            });
            if !value.is_empty() {
                element["initial_value"] = json!(text::literal(value, longest));
            }
            add_placeholder(&mut element, placeholder);
            Some(element)
        }
        Input::Radio { options, chosen, .. } if distinct(options).len() <= MOST_RADIOS => {
            choice("radio_buttons", options, MOST_RADIOS, chosen.as_deref())
        }
        Input::Radio { options, chosen, .. } => {
            choice("static_select", options, MOST_OPTIONS, chosen.as_deref())
        }
        Input::Menu { options, chosen, placeholder } => {
            let mut menu = choice("static_select", options, MOST_OPTIONS, chosen.as_deref())?;
            add_placeholder(&mut menu, placeholder);
            Some(menu)
        }
        Input::Date { value } => {
            let mut element = json!({"type": "datepicker", "action_id": FIELD});
            if let Some(date) = value {
                element["initial_date"] = json!(date.to_string());
            }
            Some(element)
        }
        Input::Ticks { options, ticked } => {
            let options = shown(options, MOST_RADIOS);
            let initial: Vec<&Value> = options
                .iter()
                .filter(|option| ticked.iter().any(|id| option["value"] == id.as_str()))
                .collect();
            let mut element = json!({"type": "checkboxes", "action_id": FIELD, "options": options});
            if !initial.is_empty() {
                element["initial_options"] = json!(initial);
            }
            (!options.is_empty()).then_some(element)
        }
    }
}

fn add_placeholder(element: &mut Value, words: &str) {
    if !words.trim().is_empty() {
        element["placeholder"] = plain(words, 150);
    }
}

fn choice(kind: &str, options: &[Choice], most: usize, chosen: Option<&str>) -> Option<Value> {
    let options = shown(options, most);
    let mut element = json!({"type": kind, "action_id": FIELD, "options": options});
    let initial = options.iter().find(|option| chosen.is_some_and(|id| option["value"] == id));
    if let Some(option) = initial {
        element["initial_option"] = option.clone();
    }
    (!options.is_empty()).then_some(element)
}

fn shown(options: &[Choice], most: usize) -> Vec<Value> {
    distinct(options)
        .into_iter()
        .take(most)
        .map(|choice| json!({"text": plain(&choice.label, 75), "value": choice.id}))
        .collect()
}

/// Without ids that Slack refuses: empty, too long, or there already.
fn distinct(options: &[Choice]) -> Vec<&Choice> {
    let mut seen = HashSet::new();
    options
        .iter()
        .filter(|choice| (1..=75).contains(&text::units(&choice.id)))
        .filter(|choice| seen.insert(choice.id.as_str()))
        .collect()
}
