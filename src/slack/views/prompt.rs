//! The question about one meeting, open or closed.
//!
//! Block ids carry the revision, so that Slack redraws what changed.

use serde_json::Value;

use super::Look;
use super::blocks::{
    MESSAGE, Primary, Style, button, fit, line, named, overflow, plain_button, row, small, top_text,
};
use crate::domain::debrief::{DebriefId, Snooze};
use crate::ports::inbound::Control;
use crate::ports::outbound::{Button, Ending, PromptCard, PromptStage};

pub(super) fn look(card: &PromptCard) -> Look {
    let (text, parts) = match &card.stage {
        PromptStage::Open { question, endings, reflect, readers, snoozes, extra } => {
            let mut said: Vec<&str> = vec![&card.account, &card.facts, question];
            said.extend(endings.iter().map(|ending| ending.label.as_str()));
            said.extend([reflect.as_str(), readers]);
            let parts = [
                Some(head(card)),
                Some(line(&[(question, Style::Bold)])),
                row(endings_row(card.debrief, question, endings)),
                Some(line(&[(reflect, Style::Bold)])),
                row(doors(card, snoozes, extra)),
                Some(small(readers)),
            ];
            (top_text(said), parts.into_iter().flatten().collect())
        }
        PromptStage::Closed { line: said, controls, endings } => {
            (top_text([said.as_str()]), closed(card, said, controls, endings))
        }
    };
    Look { text, blocks: with_ids(card, fit(parts, MESSAGE)) }
}

/// Account and facts: what the question is about.
fn head(card: &PromptCard) -> Value {
    line(&[(&card.account, Style::Bold), ("\n", Style::None), (&card.facts, Style::None)])
}

fn endings_row(debrief: DebriefId, question: &str, endings: &[Ending]) -> Vec<Value> {
    endings
        .iter()
        .map(|ending| {
            let control = Control::Ended { debrief, outcome: ending.outcome };
            let label = &ending.label;
            let (shown, chosen) = if ending.chosen {
                (format!("✓ {label}"), ", chosen")
            } else {
                (label.clone(), "")
            };
            let spoken = format!("{question} {label}{chosen}");
            button(&shown, &control, Primary::No, &spoken)
        })
        .collect()
}

/// *Answer* and what stands beside it, the first snooze, *Skip*, and the rest behind `…`.
fn doors(card: &PromptCard, snoozes: &[(Snooze, String)], extra: &[Button]) -> Vec<Value> {
    let debrief = card.debrief;
    let account = &card.account;
    let mut later = snoozes
        .iter()
        .map(|(until, label)| (label.clone(), Control::Snooze { debrief, until: *until }));
    let answer = format!("Answer the debrief for {account}");
    let mut doors = vec![button("Answer", &Control::Answer { debrief }, Primary::Yes, &answer)];
    doors.extend(extra.iter().map(plain_button));
    if let Some((label, control)) = later.next() {
        let spoken = format!("{label}: ask about {account} again");
        doors.push(button(&label, &control, Primary::No, &spoken));
    }
    let skip = format!("Skip the debrief for {account}");
    doors.push(button("Skip", &Control::Skip { debrief }, Primary::No, &skip));
    let mut rest: Vec<(String, Control)> = later.take(4).collect();
    rest.push(("Wrong account or kind".into(), Control::Correct { debrief }));
    doors.extend(overflow(&rest));
    doors
}

/// One line, with what can still be pressed.
fn closed(card: &PromptCard, said: &str, controls: &[Button], endings: &[Ending]) -> Vec<Value> {
    let parts = [
        Some(line(&[(said, Style::None)])),
        row(endings_row(card.debrief, "How did it end?", endings)),
        row(controls.iter().map(plain_button).collect()),
    ];
    parts.into_iter().flatten().collect()
}

fn with_ids(card: &PromptCard, blocks: Vec<Value>) -> Vec<Value> {
    blocks
        .into_iter()
        .enumerate()
        .map(|(at, block)| named(block, &format!("d{}.{}.{at}", card.debrief.0, card.revision)))
        .collect()
}
