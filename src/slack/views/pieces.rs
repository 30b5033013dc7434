//! Whispers and the Home tab, built of the same pieces.

use serde_json::{Value, json};

use super::blocks::{
    MESSAGE, Style, VIEW, divider, fit, header, line, plain_button, row, small, top_text,
};
use crate::ports::outbound::{Entry, Home, Piece, Span, Whisper};

pub(super) fn whisper(whisper: &Whisper) -> Value {
    let said: Vec<String> = whisper.body.iter().map(said).collect();
    json!({
        "response_type": "ephemeral",
        "replace_original": whisper.replaces,
        "text": top_text(said.iter().map(String::as_str)),
        "blocks": fit(blocks(&whisper.body), MESSAGE),
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

pub(super) fn home(home: &Home) -> Value {
    json!({
        "type": "home",
        "callback_id": "home",
        "blocks": fit(blocks(&home.body), VIEW),
    })
}

fn blocks(body: &[Piece]) -> Vec<Value> {
    body.iter().flat_map(piece).collect()
}

fn piece(piece: &Piece) -> Vec<Value> {
    match piece {
        Piece::Heading(words) => vec![header(words)],
        Piece::Text(spans) => {
            let runs: Vec<(&str, Style)> = spans.iter().map(styled).collect();
            vec![line(&runs)]
        }
        Piece::Small(words) => vec![small(words)],
        Piece::Buttons(buttons) => {
            row(buttons.iter().map(plain_button).collect()).into_iter().collect()
        }
        Piece::Entry(entry) => self::entry(entry),
        Piece::Divider => vec![divider()],
    }
}

fn styled(span: &Span) -> (&str, Style) {
    match span {
        Span::Plain(words) => (words, Style::None),
        Span::Bold(words) => (words, Style::Bold),
        Span::Code(words) => (words, Style::Code),
    }
}

/// In one block, and its button in a second: a list of them must fit a message.
fn entry(entry: &Entry) -> Vec<Value> {
    let mut runs = vec![
        (entry.title.as_str(), Style::Bold),
        ("\n", Style::None),
        (&entry.facts, Style::Italic),
    ];
    for (question, answer) in &entry.answers {
        runs.push(("\n", Style::None));
        if !question.is_empty() {
            runs.extend([(question.as_str(), Style::None), (" ", Style::None)]);
        }
        runs.push((answer, Style::None));
    }
    let mut blocks = vec![line(&runs)];
    blocks.extend(entry.control.as_ref().and_then(|button| row(vec![plain_button(button)])));
    blocks
}

/// The same in plain words, for the top-level text.
fn said(piece: &Piece) -> String {
    match piece {
        Piece::Heading(words) | Piece::Small(words) => words.clone(),
        Piece::Text(spans) => spans.iter().map(|span| styled(span).0).collect(),
        Piece::Entry(entry) => {
            let mut said = format!("{}\n{}", entry.title, entry.facts);
            for (question, answer) in &entry.answers {
                let line = format!("{question} {answer}");
                said.push('\n');
                said.push_str(line.trim());
            }
            said
        }
        Piece::Buttons(_) | Piece::Divider => String::new(),
    }
}
