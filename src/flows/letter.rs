//! What could not be understood: kept as it came, and whoever sent it is told.
//!
//! Nothing of it is logged but its kind. `debrief dead-letters` shows what there is and has it read
//! again, by a version that knows better or after a repair.

use jiff::{SignedDuration, Timestamp};

use super::respond::{Response, Taken, Then};
use crate::ports::inbound::{Ack, Inbound};
use crate::store::Tx;
use crate::store::outbox::OutKind;

/// Somebody whose every press fails is told this often.
const TELL_AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// What people do themselves, and wait for.
const DEEDS: [&str; 4] = ["view_submission", "block_actions", "shortcut", "slash_command"];

/// Keeps it, once however often it is delivered.
///
/// # Errors
/// If the store fails.
pub(super) fn keep(
    tx: &Tx<'_>,
    team: &str,
    inbound: &Inbound,
    kind: &str,
    raw: &str,
    now: Timestamp,
) -> anyhow::Result<Response> {
    // Keys of their own: read again, the same deed must not look like one that was taken.
    let keys: Vec<String> = inbound.keys.iter().map(|key| format!("dead:{key}")).collect();
    if tx.first_delivery(&keys, now)? {
        let letter = tx.keep_dead_letter(kind, raw, now)?;
        tracing::error!(
            kind,
            letter.id = letter,
            "something from Slack could not be understood; it is kept, see debrief dead-letters"
        );
        if inbound.team_id == team && DEEDS.contains(&kind) {
            tell(tx, inbound, letter, now)?;
        }
    }
    let ack = if kind == "view_submission" {
        // The form stays open, with everything typed in place.
        let sorry = "I could not read this form. Please send me your answer as a message instead.";
        Ack::FormErrors([(String::new(), sorry.to_owned())].into())
    } else {
        Ack::Plain
    };
    Ok(Response { ack: Some(ack), then: Then::Nothing, taken: Taken::DeadLetter })
}

fn tell(tx: &Tx<'_>, inbound: &Inbound, letter: i64, now: Timestamp) -> anyhow::Result<()> {
    let Some(person) = tx.person_by_chat(&inbound.who)? else {
        return Ok(());
    };
    if tx.last_note_at(person.id)?.is_some_and(|last| last + TELL_AGAIN > now) {
        return Ok(());
    }
    let text = "I could not read what you just sent me. It is kept for whoever runs me. If it was \
                an answer, please write it here as a message.";
    tx.enqueue(OutKind::Note, letter, &format!("letter {letter}"), person.id, text, now)
}
