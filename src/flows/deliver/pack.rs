//! A row of the outbox → what is to be sent, as of now.

use std::sync::Arc;

use jiff::Timestamp;

use super::REMINDER;
use crate::domain::debrief::{DebriefId, MessageRef};
use crate::domain::person::Person;
use crate::flows::{Bot, Rules, card, digest, home, log, notice, prompt, write};
use crate::ports::outbound::{Card, Home, Note};
use crate::store::Tx;
use crate::store::debriefs::Debrief;
use crate::store::outbox::{OutKind, OutRow};

/// What a row turns into when it is about to be sent.
pub(super) enum Parcel {
    /// A new message.
    Post(Card, Terms),
    /// A new message that shows somebody's words to somebody else.
    Digest(Card, digest::Shown),
    /// A message of ours looks different now.
    Edit(MessageRef, Card),
    Home(Home),
    /// Not at this hour.
    Wait(Timestamp),
    /// Too long after the meeting.
    Expire,
    /// Not wanted any more.
    Drop,
}

impl Parcel {
    /// Whether it is settled without a call to Slack.
    pub(super) fn asks_nothing(&self, person: &Person) -> bool {
        match self {
            Self::Wait(_) | Self::Expire | Self::Drop => true,
            Self::Home(_) => person.chat_id.is_none(),
            Self::Post(..) | Self::Digest(..) | Self::Edit(..) => false,
        }
    }
}

/// Whether a message of unknown fate is worth sending a second time, until when, and from when on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) is_wanted: bool,
    pub(super) too_late: bool,
    pub(super) opens: Timestamp,
}

impl Terms {
    pub(super) const ANY_TIME: Self =
        Self { is_wanted: true, too_late: false, opens: Timestamp::MIN };
}

/// `None` if the person is gone.
pub(super) async fn pack(
    bot: &Bot,
    row: &OutRow,
    now: Timestamp,
) -> anyhow::Result<Option<(Person, Parcel, i64)>> {
    let (rules, row) = (Arc::clone(&bot.rules), row.clone());
    bot.store
        .read(move |tx| {
            // Whoever left the roster or the workspace since is not written to any more.
            let is_gone = tx.is_gone(row.person)?;
            let Some(person) = tx.person(row.person)?.filter(|_| !is_gone) else {
                return Ok(None);
            };
            let debrief = match row.kind {
                OutKind::Prompt | OutKind::Reminder | OutKind::Refresh => {
                    tx.debrief(DebriefId(row.subject))?
                }
                _ => None,
            };
            let revision = debrief.as_ref().map_or(0, |debrief| debrief.revision);
            let any_time = |card| Parcel::Post(card, Terms::ANY_TIME);
            let parcel = match (row.kind, &debrief) {
                (OutKind::Prompt, Some(debrief)) => {
                    question(tx, &rules, &row, debrief, &person, now)?
                }
                (OutKind::Reminder, Some(debrief)) => {
                    let is_wanted = prompt::still_wanted(debrief);
                    if is_wanted || row.uncertain {
                        let terms = Terms { is_wanted, ..Terms::ANY_TIME };
                        Parcel::Post(card::reminder(debrief, &person), terms)
                    } else {
                        Parcel::Drop
                    }
                }
                (OutKind::Refresh, Some(debrief)) => {
                    refresh(tx, &rules, &row, debrief, &person, now)?
                }
                (OutKind::Digest, _) => digest::card_for_date(tx, &rules, &person, &row.seq)?
                    .map_or(Parcel::Drop, |(card, shown)| Parcel::Digest(card, shown)),
                (OutKind::Note, _) if row.seq == write::WHICH => {
                    write::which_card(tx, &person, row.subject)?.map_or(Parcel::Drop, any_time)
                }
                (OutKind::Note, _) => match notice::text(tx, &row.seq, now)? {
                    Some(text) => any_time(note(text)),
                    None => any_time(note(row.body.clone())),
                },
                (OutKind::Home, _) => Parcel::Home(home::home(tx, &rules, &person, now)?),
                (_, None) => Parcel::Drop,
            };
            Ok(Some((person, parcel, revision)))
        })
        .await
}

fn note(text: String) -> Card {
    Card::Note(Note { text, controls: vec![] })
}

/// A question is worth asking on its day and in working hours, unless somebody asked for it.
fn question(
    tx: &Tx<'_>,
    rules: &Rules,
    row: &OutRow,
    debrief: &Debrief,
    person: &Person,
    now: Timestamp,
) -> anyhow::Result<Parcel> {
    let too_late = debrief.due_at + rules.prompt.expire_after <= now;
    let opens = if log::is_by_hand(debrief) {
        now
    } else {
        // Not before the end either, though it was queued after it by a clock that was ahead.
        rules.prompt.hours.next_open(now.max(debrief.end), &person.zone, debrief.end)
    };
    let is_wanted = prompt::still_wanted(debrief) && row.seq == debrief.asks.to_string();
    // One that may stand there already is looked for in any case.
    if !row.uncertain {
        if !is_wanted {
            return Ok(Parcel::Drop);
        }
        if too_late {
            return Ok(Parcel::Expire);
        }
        if opens > now {
            return Ok(Parcel::Wait(opens));
        }
    }
    let card = card::prompt(tx, rules, debrief, person, now)?;
    Ok(Parcel::Post(card, Terms { is_wanted, too_late, opens }))
}

fn refresh(
    tx: &Tx<'_>,
    rules: &Rules,
    row: &OutRow,
    debrief: &Debrief,
    person: &Person,
    now: Timestamp,
) -> anyhow::Result<Parcel> {
    if let Some(seq) = row.seq.strip_prefix(REMINDER) {
        let mut places = tx.standing_at(OutKind::Reminder, row.subject)?.into_iter();
        let at = places.find(|(known, _)| known == seq).map(|(_, at)| at);
        return Ok(at.map_or(Parcel::Drop, |at| Parcel::Edit(at, card::reminder(debrief, person))));
    }
    Ok(match &debrief.message {
        Some(at) => Parcel::Edit(at.clone(), card::prompt(tx, rules, debrief, person, now)?),
        None => Parcel::Drop,
    })
}
