//! The answer form: what it asks, and what a filled one means.
//!
//! Four items at most: how it ended, one text, one rule, one tap. Fields keep their ids when the
//! wording changes, so what was typed survives.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Rules, card, tap};
use crate::domain::debrief::{Outcome, State};
use crate::domain::digest::shortened;
use crate::domain::person::Person;
use crate::domain::privacy::Lock;
use crate::domain::question::{Asked, AskedTap, says_rough};
use crate::ports::inbound::{FormValue, FormValues};
use crate::ports::outbound::{Choice, Field, Form, FormId, Input, Modal, Reaction};
use crate::store::Tx;
use crate::store::answers::{Answer, Answers, Slot};
use crate::store::debriefs::Debrief;

const ENDED: &str = "ended";
const BY: &str = "by";
const REFLECT: &str = "reflect";
const CUE: &str = "cue";
const ACTION: &str = "action";
const ONLY_ME: &str = "only_me";

/// A filled form that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub outcome: Outcome,
    pub by: Option<Date>,
    /// `None` only where the meeting did not happen.
    pub reflect: Option<Answer>,
    /// Cue id and action.
    pub rule: Option<(String, String)>,
    pub tap: Option<(Slot, Answer)>,
    pub lock: Lock,
}

/// What a text field of Slack's can hold.
const LONGEST: u16 = 3000;

/// What to write under which field.
pub type FormErrors = BTreeMap<String, String>;

/// Shown at once, before anything is looked up.
pub fn loading() -> Modal {
    Modal::Loading { title: "Debrief".into() }
}

/// The form as it should look, given what is stored and what stands in it already.
///
/// # Errors
/// If the store fails.
pub fn answer_form(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    typed: &FormValues,
) -> anyhow::Result<Modal> {
    let answers = tx.answers(debrief.id)?;
    let outcome = choice(typed, ENDED).and_then(Outcome::parse).or(debrief.outcome);
    let intro = vec![card::facts(debrief, &rep.zone), card::readers(tx, rep)?];
    let mut fields = vec![ended_field(rules, debrief, outcome)];
    let asked = rules.questions.asked(debrief.id, outcome, debrief.rough);
    if outcome != Some(Outcome::DidntHappen)
        && let Some(asked) = asked
    {
        if outcome == Some(Outcome::Dated) {
            fields.push(by_field(debrief, typed));
        }
        fields.push(reflect_field(&asked, &answers, typed));
        fields.extend(rule_fields(rules, &answers, typed));
        fields.push(tap_field(&asked.tap, debrief, outcome, &answers, typed));
        fields.push(only_me_field(debrief, typed));
    }
    Ok(Modal::Form(Form {
        id: FormId::Answer(debrief.id),
        title: shortened(&debrief.account, 24),
        submit: "Save".into(),
        intro,
        fields,
        outro: None,
    }))
}

fn ended_field(rules: &Rules, debrief: &Debrief, outcome: Option<Outcome>) -> Field {
    let options = Outcome::ALL.into_iter().map(|outcome| Choice {
        id: outcome.as_str().into(),
        label: rules.questions.ending.label(outcome).into(),
    });
    Field {
        id: ENDED.into(),
        label: rules.questions.ending.text.clone(),
        hint: None,
        optional: false,
        input: Input::Radio {
            options: options.collect(),
            chosen: outcome.map(|outcome| outcome.as_str().into()),
            reaction: Reaction::Rewords(debrief.id),
        },
    }
}

fn by_field(debrief: &Debrief, typed: &FormValues) -> Field {
    let value = match typed.get(BY) {
        Some(FormValue::Date(date)) => Some(*date),
        _ => debrief.next_step_on,
    };
    Field {
        id: BY.into(),
        label: "By when do they act?".into(),
        hint: None,
        optional: false,
        input: Input::Date { value },
    }
}

fn reflect_field(asked: &Asked<'_>, answers: &Answers, typed: &FormValues) -> Field {
    let value = text(typed, REFLECT).map_or_else(|| stored(answers, Slot::Reflect), str::to_owned);
    // A plain reply may be longer than the form asks for; editing it must not cut it.
    let length = u16::try_from(value.chars().count()).unwrap_or(u16::MAX);
    Field {
        id: REFLECT.into(),
        label: asked.reflect.text.clone(),
        hint: None,
        optional: false,
        input: Input::Text {
            value,
            max_length: asked.reflect.max_length.max(length).min(LONGEST),
            multiline: true,
            placeholder: "One sentence is plenty".into(),
        },
    }
}

fn rule_fields(rules: &Rules, answers: &Answers, typed: &FormValues) -> [Field; 2] {
    let texts = &rules.questions.rule;
    let options =
        texts.cue.iter().map(|cue| Choice { id: cue.id.clone(), label: cue.text.clone() });
    let chosen = choice(typed, CUE).map_or_else(|| stored(answers, Slot::Cue), str::to_owned);
    let known = texts.cue.iter().any(|cue| cue.id == chosen);
    let cue = Field {
        id: CUE.into(),
        label: texts.cue_text.clone(),
        hint: None,
        optional: true,
        input: Input::Menu {
            options: options.collect(),
            chosen: known.then_some(chosen),
            placeholder: "Not this time".into(),
        },
    };
    let action = Field {
        id: ACTION.into(),
        label: texts.action_text.clone(),
        hint: None,
        optional: true,
        input: Input::Text {
            value: text(typed, ACTION).map_or_else(|| stored(answers, Slot::Action), str::to_owned),
            max_length: texts.max_length,
            multiline: false,
            placeholder: "ask what they compare it with".into(),
        },
    };
    [cue, action]
}

fn tap_field(
    tap: &AskedTap<'_>,
    debrief: &Debrief,
    outcome: Option<Outcome>,
    answers: &Answers,
    typed: &FormValues,
) -> Field {
    let id = tap_field_id(&tap.id);
    let stored = answers
        .get(&tap_slot(tap))
        .filter(|answer| answer.question == tap.id)
        .map(|answer| answer.body.clone());
    let chosen = choice(typed, &id).map(str::to_owned).or(stored);
    let lost = matches!(outcome, Some(Outcome::NiceChat | Outcome::No));
    let turns = lost && !tap.fixed && tap.id.starts_with("skill:");
    let options = tap
        .options
        .iter()
        .map(|option| Choice { id: option.id.clone(), label: option.text.clone() });
    Field {
        id,
        label: tap.text.clone(),
        hint: None,
        optional: true,
        input: Input::Radio {
            options: options.collect(),
            chosen,
            reaction: if turns { Reaction::Rewords(debrief.id) } else { Reaction::None },
        },
    }
}

fn only_me_field(debrief: &Debrief, typed: &FormValues) -> Field {
    let ticked = match typed.get(ONLY_ME) {
        Some(FormValue::Ticks(ticks)) => ticks.clone(),
        _ if debrief.locked => vec![ONLY_ME.to_owned()],
        _ => vec![],
    };
    Field {
        id: ONLY_ME.into(),
        label: "Who reads it".into(),
        hint: None,
        optional: true,
        input: Input::Ticks {
            options: vec![Choice { id: ONLY_ME.into(), label: "Only me".into() }],
            ticked,
        },
    }
}

/// Reads a submitted form.
///
/// # Errors
/// What is missing or wrong, by field.
pub fn read(
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    values: &FormValues,
) -> Result<Draft, FormErrors> {
    let Some(outcome) = choice(values, ENDED).and_then(Outcome::parse).or(debrief.outcome) else {
        return Err(FormErrors::from([(ENDED.into(), "Pick how it ended.".into())]));
    };
    let lock = match values.get(ONLY_ME) {
        Some(FormValue::Ticks(ticks)) if !ticks.is_empty() => Lock::OnlyMe,
        _ => Lock::Open,
    };
    let mut draft = Draft { outcome, by: None, reflect: None, rule: None, tap: None, lock };
    let Some(asked) = rules.questions.asked(debrief.id, Some(outcome), debrief.rough) else {
        return Ok(draft);
    };
    if outcome == Outcome::DidntHappen {
        return Ok(draft);
    }
    let mut errors = FormErrors::new();
    if outcome == Outcome::Dated {
        let first = debrief.end.to_zoned(rep.zone.clone()).date();
        match values.get(BY) {
            Some(FormValue::Date(date)) if *date >= first => draft.by = Some(*date),
            Some(_) => {
                errors.insert(BY.into(), format!("Pick a date from {first} on."));
            }
            // The field appears once the ending is chosen; a form without it asks for it.
            None => {
                errors.insert(BY.into(), "Pick the date they act by.".into());
            }
        }
    }
    draft.reflect = Some(read_reflect(&asked, values, &mut errors));
    draft.rule = read_rule(rules, values, &mut errors);
    draft.tap = choice(values, &tap_field_id(&asked.tap.id))
        .filter(|id| asked.tap.options.iter().any(|option| option.id == *id))
        .map(|id| {
            let answer = Answer { question: asked.tap.id.clone(), body: id.to_owned() };
            (tap_slot(&asked.tap), answer)
        });
    if errors.is_empty() { Ok(draft) } else { Err(errors) }
}

fn read_reflect(asked: &Asked<'_>, values: &FormValues, errors: &mut FormErrors) -> Answer {
    let body = text(values, REFLECT).unwrap_or_default().trim().to_owned();
    // How long it may be is the field's own rule; a long reply is not refused when it is edited.
    if body.is_empty() {
        errors.insert(REFLECT.into(), "One sentence is enough, but one is needed.".into());
    }
    Answer { question: asked.reflect.id.clone(), body }
}

fn read_rule(
    rules: &Rules,
    values: &FormValues,
    errors: &mut FormErrors,
) -> Option<(String, String)> {
    let cue = choice(values, CUE).filter(|id| rules.questions.cue_text(id).is_some());
    let action = text(values, ACTION).map(str::trim).filter(|action| !action.is_empty());
    match (cue, action) {
        (None, None) => None,
        (Some(_), None) => {
            errors.insert(ACTION.into(), "What will you do then?".into());
            None
        }
        (None, Some(_)) => {
            errors.insert(CUE.into(), "When does it apply?".into());
            None
        }
        (Some(cue), Some(action)) => {
            let most = usize::from(rules.questions.rule.max_length);
            if action.chars().count() > most {
                errors.insert(ACTION.into(), format!("At most {most} characters."));
            }
            Some((cue.to_owned(), action.to_owned()))
        }
    }
}

/// Stores a draft.
///
/// # Errors
/// If the store fails.
pub fn save(tx: &Tx<'_>, debrief: &Debrief, draft: &Draft, now: Timestamp) -> anyhow::Result<()> {
    let Some(reflect) = &draft.reflect else {
        if (draft.lock == Lock::OnlyMe) != debrief.locked {
            tx.set_lock(debrief.id, draft.lock == Lock::OnlyMe)?;
        }
        return tap::ended(tx, debrief, draft.outcome, now);
    };
    // Without a rule, what stood there is cleared.
    let (cue, action) = match &draft.rule {
        Some((cue, action)) => {
            ((Slot::Cue, "cue", cue.as_str()), (Slot::Action, "action", action.as_str()))
        }
        None => ((Slot::Cue, "", ""), (Slot::Action, "", "")),
    };
    let ended = (Slot::Ended, tap::ENDED, draft.outcome.as_str());
    let reflect = (Slot::Reflect, reflect.question.as_str(), reflect.body.as_str());
    let mut answers = vec![ended, reflect, cue, action];
    if let Some((slot, tap)) = &draft.tap {
        answers.push((*slot, &tap.question, &tap.body));
    }
    tx.write_answers(debrief.id, debrief.rep, &answers, now)?;
    tx.was_filled_in(debrief.id, draft.outcome, draft.by, draft.lock, now)?;
    tap::refresh_everywhere(tx, debrief, now)
}

/// A low self-rating of a meeting that went nowhere makes it a rough one; saved at once.
///
/// # Errors
/// If the store fails.
pub fn note_rough(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    values: &FormValues,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let outcome = choice(values, ENDED).and_then(Outcome::parse).or(debrief.outcome);
    let Some(asked) = rules.questions.asked(debrief.id, outcome, false) else {
        return Ok(false);
    };
    let lost = matches!(outcome, Some(Outcome::NiceChat | Outcome::No));
    let Some(rating) = choice(values, &tap_field_id(&asked.tap.id)) else {
        return Ok(false);
    };
    if !lost || debrief.rough || !says_rough(&asked.tap.id, rating) {
        return Ok(false);
    }
    let answer = Answer { question: asked.tap.id.clone(), body: rating.to_owned() };
    tx.write_answer(debrief.id, debrief.rep, Slot::Tap, &answer, now)?;
    tx.set_rough(debrief.id, true)?;
    Ok(true)
}

/// Whether a debrief can be answered at all.
pub fn can_answer(debrief: &Debrief) -> bool {
    !matches!(debrief.state, State::Planned | State::Withdrawn)
}

fn tap_slot(tap: &AskedTap<'_>) -> Slot {
    if tap.fixed { Slot::Turn } else { Slot::Tap }
}

/// Field ids are ASCII words; another question is another field, so no tick is carried over.
fn tap_field_id(tap: &str) -> String {
    format!("tap_{}", tap.replace(':', "_"))
}

fn stored(answers: &Answers, slot: Slot) -> String {
    answers.get(&slot).map(|answer| answer.body.clone()).unwrap_or_default()
}

fn choice<'v>(values: &'v FormValues, field: &str) -> Option<&'v str> {
    match values.get(field) {
        Some(FormValue::Choice(id)) => Some(id),
        _ => None,
    }
}

pub(super) fn text<'v>(values: &'v FormValues, field: &str) -> Option<&'v str> {
    match values.get(field) {
        Some(FormValue::Text(text)) => Some(text),
        _ => None,
    }
}
