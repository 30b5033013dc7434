//! Somebody wrote to the bot: usually an answer, in their own words.

use jiff::{SignedDuration, Timestamp};

use super::{Rules, card, tap, words};
use crate::domain::debrief::MessageRef;
use crate::domain::digest::shortened;
use crate::domain::person::Person;
use crate::ports::inbound::{self, Control};
use crate::ports::outbound::Button;
use crate::store::Tx;
use crate::store::debriefs::Debrief;
use crate::store::outbox::OutKind;

/// The seq of a note that asks which meeting a kept text is about.
pub(super) const WHICH: &str = "which";
/// A question about a text that was left alone for so long does not keep the next one back.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// Somebody who writes at random gets help at most this often, so that two bots cannot loop.
const HELP_AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Of an older message we cannot tell any more whether it was delivered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

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
    let text = text.trim();
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
            tx.keep_text(person.id, text, message, now)?;
            ask_which(tx, person, now)
        }
    }
}

/// "Which meeting is this about?", about one text at a time: whoever writes ten lines gets one
/// question, and the next when they have answered it.
///
/// # Errors
/// If the store fails.
pub(super) fn ask_which(tx: &Tx<'_>, person: &Person, now: Timestamp) -> anyhow::Result<()> {
    if tx.is_being_asked(person.id, WHICH, now - PATIENCE)? {
        return Ok(());
    }
    match tx.text_to_ask_about(person.id, WHICH)? {
        Some(text) => tx.enqueue(OutKind::Note, text, WHICH, person.id, "", now),
        None => Ok(()),
    }
}

/// A corrected message corrects the answer that it became. If we never heard of it before, because
/// its correction came first, it is taken now, as it reads now.
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
        let is_recent = sent_at(message).is_some_and(|at| at + REMEMBERED > now);
        if is_recent && tx.first_delivery(&[inbound::message_key(message)], now)? {
            return wrote(tx, rules, person, message, None, text, now);
        }
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

/// Slack's timestamps begin with the second.
fn sent_at(message: &MessageRef) -> Option<Timestamp> {
    let second = message.ts.split('.').next()?.parse().ok()?;
    Timestamp::from_second(second).ok()
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
