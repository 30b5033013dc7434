//! A debrief by hand, for phone calls and hallway meetings: `/debrief now Acme`.

use jiff::{SignedDuration, Timestamp};

use super::form::text;
use crate::domain::debrief::DebriefId;
use crate::domain::meeting::{Account, Guess, Kind, account_from_text};
use crate::domain::person::Person;
use crate::ports::inbound::{FormValue, FormValues};
use crate::ports::outbound::{Choice, Field, Form, FormId, Input, Modal};
use crate::store::Tx;
use crate::store::debriefs::Debrief;
use crate::store::meetings::JudgedMeeting;
use crate::store::outbox::OutKind;

/// The uid of a meeting by hand begins with this.
const BY_HAND: &str = "by-hand:";
const ACCOUNT: &str = "account";
const KIND: &str = "kind";

/// Asks who the customer was.
pub fn log_form() -> Modal {
    Modal::Form(Form {
        id: FormId::Log,
        title: "Log a debrief".into(),
        submit: "Next".into(),
        intro: vec!["For a call or a meeting that is in no calendar.".into()],
        fields: vec![account_field(""), kind_field(Kind::Other)],
        outro: Some("The questions come as a message right after.".into()),
    })
}

/// Corrects what we guessed; remembered for the whole series.
pub fn correct_form(debrief: DebriefId, account: &str, kind: Kind) -> Modal {
    Modal::Form(Form {
        id: FormId::Correct(debrief),
        title: "Account and kind".into(),
        submit: "Save".into(),
        intro: vec!["I'll remember it for every meeting of this series.".into()],
        fields: vec![account_field(account), kind_field(kind)],
        outro: None,
    })
}

fn account_field(value: &str) -> Field {
    Field {
        id: ACCOUNT.into(),
        label: "Account".into(),
        hint: None,
        optional: false,
        input: Input::Text {
            value: value.to_owned(),
            max_length: 80,
            multiline: false,
            placeholder: "Acme, or acme.com".into(),
        },
    }
}

fn kind_field(kind: Kind) -> Field {
    let options = Kind::ALL
        .into_iter()
        .map(|kind| Choice { id: kind.as_str().into(), label: kind.as_str().into() });
    Field {
        id: KIND.into(),
        label: "What kind of meeting?".into(),
        hint: None,
        optional: false,
        input: Input::Menu {
            options: options.collect(),
            chosen: Some(kind.as_str().into()),
            placeholder: "Kind".into(),
        },
    }
}

/// Reads either form. An account that is not renamed keeps its identity.
///
/// # Errors
/// What is missing, by field.
pub fn read(
    values: &FormValues,
    current: Option<&Account>,
) -> Result<Guess, super::form::FormErrors> {
    let missing =
        || super::form::FormErrors::from([(ACCOUNT.to_owned(), "Which customer?".to_owned())]);
    let typed = text(values, ACCOUNT).map(str::trim).unwrap_or_default();
    let unchanged = current.filter(|account| account.name == typed).cloned();
    let account = unchanged.or_else(|| account_from_text(typed)).ok_or_else(missing)?;
    let kind = match values.get(KIND) {
        Some(FormValue::Choice(id)) => Kind::parse(id).unwrap_or(Kind::Other),
        _ => Kind::Other,
    };
    Ok(Guess { kind, account })
}

/// Whether somebody asked to be asked about it.
pub(super) fn is_by_hand(debrief: &Debrief) -> bool {
    debrief.uid.starts_with(BY_HAND)
}

/// Makes a meeting that just ended and asks about it at once. `key` tells deliveries apart.
///
/// # Errors
/// If the store fails.
pub fn start(
    tx: &Tx<'_>,
    rep: &Person,
    guess: Guess,
    key: &str,
    now: Timestamp,
) -> anyhow::Result<DebriefId> {
    let start = now - SignedDuration::from_mins(30);
    let meeting = JudgedMeeting {
        uid: format!("{BY_HAND}{key}"),
        original_start: start,
        title: String::new(),
        start,
        end: now,
        busy: false,
        customer: Some(guess),
        guests: vec![],
    };
    let id = tx.upsert_meeting(rep.id, &meeting)?;
    tx.plan(id, rep.id, now)?;
    let debrief = tx.debrief_of(id)?.map(|debrief| debrief.id);
    let debrief = debrief.ok_or_else(|| anyhow::anyhow!("a planned debrief is missing"))?;
    if let Some(asking) = tx.begin_asking(debrief)? {
        let seq = asking.to_string();
        tx.enqueue(OutKind::Prompt, debrief.0, &seq, rep.id, "", now)?;
        tx.send_first(OutKind::Prompt, debrief.0, &seq)?;
    }
    Ok(debrief)
}
