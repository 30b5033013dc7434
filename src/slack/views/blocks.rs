//! The few blocks that everything is built of, within Slack's limits.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::ports::inbound::Control;
use crate::ports::outbound::Button;
use crate::slack::{controls, text};

/// Top-level text: an edit refuses more than 4,000.
const LONGEST_TEXT: usize = 3900;
const LONGEST_RUN: usize = 2800;

/// Top-level text out of lines, empty ones left out.
pub(super) fn top_text<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.trim().is_empty()).collect();
    let text = text::escape(&lines.join("\n"), LONGEST_TEXT);
    // Slack refuses a message without text.
    if text.trim().is_empty() { "–".into() } else { text }
}

pub(super) fn plain(words: &str, max: usize) -> Value {
    json!({"type": "plain_text", "text": text::label(words, max)})
}

pub(super) fn header(words: &str) -> Value {
    json!({"type": "header", "text": plain(words, 150)})
}

/// Small grey print.
pub(super) fn small(words: &str) -> Value {
    json!({"type": "context", "elements": [paragraph(words, 1900)]})
}

/// Literal text that keeps its line breaks.
pub(super) fn paragraph(words: &str, max: usize) -> Value {
    let words = text::literal(words, max);
    let words = if words.trim().is_empty() { "–" } else { &words };
    json!({"type": "plain_text", "text": words})
}

pub(super) fn divider() -> Value {
    json!({"type": "divider"})
}

/// How a run of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    None,
    Bold,
    Italic,
    Code,
}

/// A literal run; `None` if nothing is left of it, as Slack refuses empty ones.
pub(super) fn run(words: &str, style: Style) -> Option<Value> {
    let words = text::literal(words, LONGEST_RUN);
    if words.is_empty() {
        return None;
    }
    let mut run = json!({"type": "text", "text": words});
    let style = match style {
        Style::None => return Some(run),
        Style::Bold => "bold",
        Style::Italic => "italic",
        Style::Code => "code",
    };
    run["style"] = json!({style: true});
    Some(run)
}

/// A `rich_text_section` out of runs.
pub(super) fn runs(parts: &[(&str, Style)]) -> Value {
    container("rich_text_section", parts)
}

/// A `rich_text_quote` out of runs.
pub(super) fn quote(parts: &[(&str, Style)]) -> Value {
    container("rich_text_quote", parts)
}

fn container(kind: &str, parts: &[(&str, Style)]) -> Value {
    let mut elements: Vec<Value> =
        parts.iter().filter_map(|(words, style)| run(words, *style)).collect();
    if elements.is_empty() {
        elements.push(json!({"type": "text", "text": "–"}));
    }
    json!({"type": kind, "elements": elements})
}

pub(super) fn bullets(lines: &[String]) -> Value {
    let lines: Vec<Value> = lines.iter().map(|line| runs(&[(line, Style::None)])).collect();
    json!({"type": "rich_text_list", "style": "bullet", "elements": lines})
}

pub(super) fn rich(elements: &[Value]) -> Value {
    json!({"type": "rich_text", "elements": elements})
}

/// A block of one line.
pub(super) fn line(parts: &[(&str, Style)]) -> Value {
    rich(&[runs(parts)])
}

/// Names the block. Slack redraws a message's block when its id changes, and keeps what was typed
/// in a view's when it does not.
pub(super) fn named(mut block: Value, id: &str) -> Value {
    block["block_id"] = json!(text::label(id, 255));
    block
}

/// A button; `spoken` is what a screen reader says.
pub(super) fn button(label: &str, control: &Control, primary: Primary, spoken: &str) -> Value {
    let mut button = json!({
        "type": "button",
        "action_id": controls::action_id(control),
        "text": plain(label, 75),
        "value": controls::value(control),
        "accessibility_label": text::label(spoken, 75),
    });
    if primary == Primary::Yes {
        button["style"] = json!("primary");
    }
    button
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primary {
    Yes,
    No,
}

impl Primary {
    pub(super) fn when(primary: bool) -> Self {
        if primary { Self::Yes } else { Self::No }
    }
}

/// As the port describes it.
pub(super) fn plain_button(button: &Button) -> Value {
    self::button(&button.label, &button.control, Primary::when(button.primary), &button.label)
}

/// Rarely used controls behind `…`; Slack takes one to five.
pub(super) fn overflow(options: &[(String, Control)]) -> Option<Value> {
    let options: Vec<Value> = options
        .iter()
        .take(5)
        .map(
            |(label, control)| json!({"text": plain(label, 75), "value": controls::value(control)}),
        )
        .collect();
    (!options.is_empty())
        .then(|| json!({"type": "overflow", "action_id": "more", "options": options}))
}

/// A row of controls; `None` without any. Ids that occur twice in the row are numbered.
pub(super) fn row(elements: Vec<Value>) -> Option<Value> {
    let mut seen = HashSet::new();
    let elements: Vec<Value> = elements
        .into_iter()
        .take(25)
        .map(|mut element| {
            let id = element["action_id"].as_str().unwrap_or_default().to_owned();
            let mut unique = id.clone();
            let mut number = 1;
            while !seen.insert(unique.clone()) {
                number += 1;
                unique = format!("{id}.{number}");
            }
            element["action_id"] = json!(unique);
            element
        })
        .collect();
    (!elements.is_empty()).then(|| json!({"type": "actions", "elements": elements}))
}

/// How much fits where: blocks, and text in all of them together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    blocks: usize,
    text: usize,
}

/// Slack splits longer messages, and we could not edit the rest.
pub(super) const MESSAGE: Frame = Frame { blocks: 50, text: 9000 };
/// Of 250 KB with everything around it.
pub(super) const VIEW: Frame = Frame { blocks: 100, text: 40_000 };

/// Texts give way first, the longest most, then blocks: what is left out is said to be missing, and
/// the last row of controls stays, which is where one turns the page.
pub(super) fn fit(mut blocks: Vec<Value>, frame: Frame) -> Vec<Value> {
    for longest in [1000, 400, 150, 60] {
        if blocks.iter().map(spoken).sum::<usize>() <= frame.text {
            break;
        }
        for block in &mut blocks {
            shorten(block, longest);
        }
    }
    let mut most = frame.blocks;
    loop {
        let fitted = cut_to(blocks.clone(), most);
        if most <= 3 || fitted.iter().map(spoken).sum::<usize>() <= frame.text {
            return fitted;
        }
        most = fitted.len() - 1;
    }
}

fn cut_to(mut blocks: Vec<Value>, most: usize) -> Vec<Value> {
    if blocks.len() <= most {
        return blocks;
    }
    let last = blocks.pop().filter(|block| block["type"] == "actions");
    blocks.truncate(most - 1 - usize::from(last.is_some()));
    blocks.push(small("There is more than fits here."));
    blocks.extend(last);
    blocks
}

/// The length of all text in a block, but for what stands in fields.
fn spoken(value: &Value) -> usize {
    match value {
        Value::Array(all) => all.iter().map(spoken).sum(),
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| match value {
                Value::String(words) if name == "text" => text::units(words),
                value => spoken(value),
            })
            .sum(),
        _ => 0,
    }
}

fn shorten(value: &mut Value, longest: usize) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|value| shorten(value, longest)),
        Value::Object(all) => {
            for (name, value) in all {
                match value {
                    Value::String(words) if name == "text" => {
                        *words = text::literal(words, longest);
                    }
                    value => shorten(value, longest),
                }
            }
        }
        _ => {}
    }
}
