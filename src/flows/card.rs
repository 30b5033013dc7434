//! A debrief as it stands in the rep's conversation.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Rules, words};
use crate::domain::debrief::{Outcome, Snooze, State};
use crate::domain::digest::shortened;
use crate::domain::person::Person;
use crate::ports::inbound::Control;
use crate::ports::outbound::{Button, Card, Ending, Note, PromptCard, PromptStage};
use crate::store::Tx;
use crate::store::answers::Slot;
use crate::store::debriefs::Debrief;

/// The prompt, as it should look now.
///
/// # Errors
/// If the store fails.
pub fn prompt(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    now: Timestamp,
) -> anyhow::Result<Card> {
    let stage = match debrief.state {
        State::Asked => open(tx, rules, debrief, rep, now)?,
        _ => closed(tx, rules, debrief, rep, now)?,
    };
    Ok(Card::Prompt(PromptCard {
        debrief: debrief.id,
        revision: debrief.revision,
        account: debrief.account.clone(),
        facts: facts(debrief, &rep.zone),
        stage,
    }))
}

/// The one reminder.
pub fn reminder(debrief: &Debrief, rep: &Person) -> Card {
    let account = &debrief.account;
    if debrief.state != State::Asked {
        let said = match debrief.state {
            State::Expired => "closed for now.",
            State::Skipped => "skipped.",
            _ => "taken care of.",
        };
        return Card::Note(Note { text: format!("{account}: {said}"), controls: vec![] });
    }
    let when = words::clock(debrief.end, &rep.zone);
    Card::Note(Note {
        text: format!("{account}, ended {when}: one sentence while it is fresh?"),
        controls: vec![
            button("Answer", Control::Answer { debrief: debrief.id }, true),
            button("Skip", Control::Skip { debrief: debrief.id }, false),
        ],
    })
}

/// Who reads what is written, said before anything is typed.
///
/// # Errors
/// If the store fails.
pub fn readers(tx: &Tx<'_>, rep: &Person) -> anyhow::Result<String> {
    Ok(match tx.manager_of(rep.id)? {
        Some((manager, _)) => format!(
            "{} reads how it ended and what you write, unless you tick “Only me”. \
             Self-ratings are only for you.",
            manager.name
        ),
        None => "Only you read this: the roster names no manager for you.".to_owned(),
    })
}

/// "Acme demo · demo · Tue 10 Mar 14:00–14:45 · with Kim Lee and 2 more"
pub fn facts(debrief: &Debrief, zone: &TimeZone) -> String {
    let mut parts = Vec::new();
    if !debrief.title.is_empty() && debrief.title != debrief.account {
        parts.push(debrief.title.clone());
    }
    parts.push(debrief.kind.as_str().to_owned());
    parts.push(format!(
        "{} {}–{}",
        words::day(debrief.start, zone),
        words::clock(debrief.start, zone),
        words::clock(debrief.end, zone)
    ));
    match debrief.guests.as_slice() {
        [] => {}
        [one] => parts.push(format!("with {one}")),
        [one, two] => parts.push(format!("with {one} and {two}")),
        [one, rest @ ..] => parts.push(format!("with {one} and {} more", rest.len())),
    }
    parts.join(" · ")
}

/// The buttons of "How did it end?".
pub fn endings(rules: &Rules, chosen: Option<Outcome>) -> Vec<Ending> {
    Outcome::ALL
        .into_iter()
        .map(|outcome| Ending {
            outcome,
            label: rules.questions.ending.label(outcome).to_owned(),
            chosen: chosen == Some(outcome),
        })
        .collect()
}

fn open(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    now: Timestamp,
) -> anyhow::Result<PromptStage> {
    let asked = rules.questions.asked(debrief.id, debrief.outcome, debrief.rough);
    let hours = &rules.prompt.hours;
    let snoozes = Snooze::ALL
        .into_iter()
        .map(|snooze| {
            let label = match snooze {
                Snooze::OneHour => "Ask in 1 hour".to_owned(),
                Snooze::AfterLunch | Snooze::EndOfDay => {
                    let until = snooze.until(now, hours, &rep.zone);
                    let name =
                        if snooze == Snooze::AfterLunch { "After lunch" } else { "End of day" };
                    format!("{name} ({})", words::soon(until, now, &rep.zone))
                }
            };
            (snooze, label)
        })
        .collect();
    let lost = matches!(debrief.outcome, Some(Outcome::NiceChat | Outcome::No));
    Ok(PromptStage::Open {
        question: rules.questions.ending.text.clone(),
        endings: endings(rules, debrief.outcome),
        reflect: asked.map(|asked| asked.reflect.text.clone()).unwrap_or_default(),
        readers: readers(tx, rep)?,
        snoozes,
        extra: if lost && !debrief.rough {
            vec![button("Rough one", Control::Rough { debrief: debrief.id }, false)]
        } else {
            vec![]
        },
    })
}

fn closed(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    now: Timestamp,
) -> anyhow::Result<PromptStage> {
    let account = &debrief.account;
    let answer = |label: &str| button(label, Control::Answer { debrief: debrief.id }, false);
    let (line, controls) = match debrief.state {
        State::Answered => return answered(tx, rules, debrief),
        State::Skipped => (format!("{account}: skipped. Nobody is told."), vec![answer("Answer")]),
        State::NotHeld => {
            (format!("{account}: did not happen. Noted."), vec![answer("It did happen")])
        }
        State::Expired => {
            (format!("{account}: closed for now. Late is fine."), vec![answer("Answer")])
        }
        State::Withdrawn => (format!("{account}: cancelled or moved. Nothing to do."), vec![]),
        State::Planned | State::Held | State::Asked => {
            let when = words::soon(debrief.end, now, &rep.zone);
            (format!("{account}: moved, it now ends {when}. I'll ask after that."), vec![])
        }
    };
    Ok(PromptStage::Closed { line, controls, endings: vec![] })
}

fn answered(tx: &Tx<'_>, rules: &Rules, debrief: &Debrief) -> anyhow::Result<PromptStage> {
    let mut parts = vec![format!("✓ {}", debrief.account)];
    parts.extend(
        debrief.outcome.map(|outcome| rules.questions.ending.label(outcome).to_lowercase()),
    );
    let answers = tx.answers(debrief.id)?;
    if let Some(reflect) = answers.get(&Slot::Reflect) {
        parts.push(format!("“{}”", shortened(&reflect.body, 120)));
    }
    if debrief.locked {
        parts.push("only you".to_owned());
    }
    let lock = if debrief.locked {
        button("Unlock", Control::Unlock { debrief: debrief.id }, false)
    } else {
        button("Only me", Control::Lock { debrief: debrief.id }, false)
    };
    let edit = button("Edit", Control::Answer { debrief: debrief.id }, false);
    Ok(PromptStage::Closed {
        line: parts.join(" · "),
        controls: vec![edit, lock],
        endings: if debrief.outcome.is_none() { endings(rules, None) } else { vec![] },
    })
}

pub fn button(label: &str, control: Control, primary: bool) -> Button {
    Button { label: label.to_owned(), control, primary }
}
