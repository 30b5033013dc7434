//! Somebody wrote to the bot: usually an answer, in their own words.

use jiff::{SignedDuration, Timestamp};

use super::{Rules, card, tap, words};
use crate::domain::debrief::MessageRef;
use crate::domain::digest::shortened;
use crate::domain::person::Person;
use crate::ports::inbound::Control;
use crate::ports::outbound::Button;
use crate::store::Tx;
use crate::store::debriefs::Debrief;
use crate::store::outbox::OutKind;

/// The seq of a note that asks which meeting a kept text is about.
pub(super) const WHICH: &str = "which";
/// Somebody who writes at random gets help at most this often, so that two bots cannot loop.
const HELP_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// A message: in a prompt's thread it answers that prompt; else the one open question; else we ask
/// which one is meant.
///
/// # Errors
/// If the store fails.
pub fn wrote(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    message: &MessageRef,
    thread: Option<&str>,
    text: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    // Its correction was delivered first: what was meant in the end is what counts.
    let corrected = tx.text_at(message)?.filter(|kept| kept.person == person.id);
    if let Some(kept) = &corrected {
        tx.discard_text(kept.id)?;
    }
    let text = corrected.as_ref().map_or(text, |kept| &kept.body).trim();
    if text.is_empty() {
        return Ok(());
    }
    let threaded = match thread {
        Some(ts) => {
            let root = MessageRef { channel: message.channel.clone(), ts: ts.to_owned() };
            tx.debrief_at(&root)?.filter(|debrief| debrief.rep == person.id)
        }
        None => None,
    };
    if let Some(debrief) = threaded {
        return answer(tx, rules, person, &debrief, message, text, now);
    }
    if is_a_plea(text) {
        return help(tx, person, message, now);
    }
    let open = tx.asked_now(person.id)?;
    match open.as_slice() {
        [] => help(tx, person, message, now),
        [only] => answer(tx, rules, person, only, message, text, now),
        _ => {
            // "Which meeting is this about?"
            let pending = tx.keep_text(person.id, text, message, now)?;
            tx.enqueue(OutKind::Note, pending, WHICH, person.id, "", now)
        }
    }
}

/// A corrected message corrects the answer that it became.
///
/// # Errors
/// If the store fails.
pub fn rewrote(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    message: &MessageRef,
    text: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    let kept = tx.text_at(message)?.filter(|kept| kept.person == person.id);
    let Some(kept) = kept else {
        // The message itself may still be on its way.
        tx.keep_text(person.id, text.trim(), message, now)?;
        return Ok(());
    };
    tx.rewrite_text(kept.id, text.trim())?;
    let Some(debrief) = kept.claimed_by.map(|id| tx.debrief(id)).transpose()?.flatten() else {
        return Ok(());
    };
    if text.trim().is_empty() {
        return Ok(());
    }
    tap::wrote(tx, rules, &debrief, text, now)
}

fn answer(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    debrief: &Debrief,
    message: &MessageRef,
    text: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    tx.text_belongs_to(person.id, text, message, debrief.id, now)?;
    tap::wrote(tx, rules, debrief, text, now)
}

fn is_a_plea(text: &str) -> bool {
    ["help", "stop", "pause", "settings", "hi", "hello", "?"]
        .contains(&text.to_lowercase().trim_end_matches(['!', '.']))
}

fn help(tx: &Tx<'_>, person: &Person, message: &MessageRef, now: Timestamp) -> anyhow::Result<()> {
    if tx.last_note_at(person.id)?.is_some_and(|last| last + HELP_AGAIN > now) {
        return Ok(());
    }
    let text = "Nothing is waiting for you. After a customer meeting I ask what you would do \
                differently. `/debrief help` shows what else there is, `/debrief pause until Mon` \
                gives you quiet.";
    let seq = format!("help {}", message.ts);
    tx.enqueue(OutKind::Note, person.id.0, &seq, person.id, text, now)
}

/// The buttons of "Which meeting is this about?", as they should look now.
///
/// # Errors
/// If the store fails.
pub fn which_card(
    tx: &Tx<'_>,
    person: &Person,
    pending: i64,
) -> anyhow::Result<Option<crate::ports::outbound::Card>> {
    let Some(text) = tx.pending_text(pending)?.filter(|text| text.claimed_by.is_none()) else {
        return Ok(None);
    };
    let mut controls: Vec<Button> = tx
        .asked_now(person.id)?
        .into_iter()
        .take(4)
        .map(|debrief| {
            let when = words::clock(debrief.end, &person.zone);
            let label = format!("{} {when}", shortened(&debrief.account, 17));
            let claim = Control::Claim { pending, debrief: debrief.id };
            card::button(&label, claim, false)
        })
        .collect();
    if controls.is_empty() {
        return Ok(None);
    }
    controls.push(card::button("None of them", Control::Discard { pending }, false));
    let text = format!("“{}”: which meeting is this about?", shortened(&text.body, 80));
    Ok(Some(crate::ports::outbound::Card::Note(crate::ports::outbound::Note { text, controls })))
}
