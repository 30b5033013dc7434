//! Outbox to messenger: claim, send, confirm.
//!
//! What is sent is put together right before, from the store, so an old row never shows old facts.
//! A post whose fate is unknown is looked up in the conversation before it is sent again, so a
//! crash here costs a look, never a second message.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::tally::{Fates, Tally};
use super::{Bot, card, digest, home, prompt, write};
use crate::domain::debrief::{DebriefId, MessageRef, State};
use crate::domain::person::Person;
use crate::ports::SendError;
use crate::ports::outbound::{Card, Home, Note};
use crate::store::outbox::{OutKind, OutRow};
use crate::store::{Store, Tx};

/// How many rows are sent in one go, and how many of them at the same time.
const AT_ONCE: u32 = 32;
const SIDE_BY_SIDE: usize = 8;
/// A post of unknown fate is looked for at these ages, and sent again after the last.
const LOOKS: [SignedDuration; 3] =
    [SignedDuration::from_secs(10), SignedDuration::from_secs(30), SignedDuration::from_secs(60)];
/// How long nothing is sent after our token was refused.
const REFUSED_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// The seq of the refresh of a reminder begins with this.
pub(super) const REMINDER: &str = "reminder:";

/// What a row turns into when it is about to be sent.
enum Parcel {
    /// A new message.
    Post(Card),
    /// A message of ours looks different now.
    Edit(MessageRef, Card),
    Home(Home),
    /// Not wanted any more.
    Drop,
}

/// Rows that a process before us was sending are of unknown fate. Called once at start.
///
/// # Errors
/// If the store fails.
pub async fn doubt_orphans(store: &Store, now: Timestamp) -> anyhow::Result<()> {
    let orphans = store.transact(move |tx| tx.doubt_orphans(now)).await?;
    if orphans > 0 {
        tracing::info!(messages = orphans, "looking up what was being sent when we stopped");
    }
    Ok(())
}

/// Sends what is due. Says how many rows were handled.
///
/// # Errors
/// If the store fails.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
    let rows = bot.store.transact(move |tx| tx.claim_due(now, AT_ONCE)).await?;
    let count = rows.len();
    let mut rows = rows.into_iter();
    let mut sending = tokio::task::JoinSet::new();
    loop {
        while sending.len() < SIDE_BY_SIDE {
            let Some(row) = rows.next() else { break };
            let bot = bot.clone();
            sending.spawn(async move { send(&bot, row, now).await });
        }
        match sending.join_next().await {
            None => return Ok(count),
            Some(done) => done??,
        }
        bot.tally.handled.add(1);
    }
}

async fn send(bot: &Bot, row: OutRow, now: Timestamp) -> anyhow::Result<()> {
    let Some((person, parcel, revision)) = pack(bot, &row, now).await? else {
        return drop_row(bot, &row).await;
    };
    let sent = match parcel {
        Parcel::Drop => return drop_row(bot, &row).await,
        Parcel::Edit(at, card) => bot.messenger.edit(&at, &card).await.map(|()| Some(at)),
        Parcel::Home(home) => match &person.chat_id {
            Some(id) => bot.messenger.publish_home(id, &home).await.map(|()| None),
            None => return drop_row(bot, &row).await,
        },
        Parcel::Post(card) => post(bot, &row, &person, &card, now).await,
    };
    match sent {
        Ok(at) => was_sent(bot, row, at, revision, now).await,
        Err(error) => was_not_sent(bot, row, &person, error, now).await,
    }
}

/// Posts once: a row that may have arrived already is looked up first.
async fn post(
    bot: &Bot,
    row: &OutRow,
    person: &Person,
    card: &Card,
    now: Timestamp,
) -> Result<Option<MessageRef>, SendError> {
    let channel = match (&row.at, &person.channel, &person.chat_id) {
        (_, Some(channel), _) => channel.clone(),
        (_, None, Some(id)) => {
            let channel = bot.messenger.conversation(id).await?;
            remember_channel(bot, person, &channel).await;
            channel
        }
        (_, None, None) => {
            return Err(SendError::Gone { code: "not_in_workspace".into() });
        }
    };
    if row.uncertain {
        let key = &row.delivery_key;
        let found = bot.messenger.find(&channel, key, row.first_started_at).await?;
        let last_look = LOOKS.last().is_none_or(|last| row.first_started_at + *last <= now);
        if let Some(at) = found {
            count(&bot.tally, row.kind, |fates| fates.reconciled.add(1));
            return Ok(Some(at));
        }
        if !last_look {
            return Err(SendError::Unknown);
        }
        tracing::warn!(row.id, "a message never arrived; sending it again");
    }
    let posted = bot.messenger.post(&channel, card, &row.delivery_key).await?;
    count(&bot.tally, row.kind, |fates| fates.sent.add(1));
    Ok(Some(posted))
}

/// Only what people wait for is counted apart.
fn count(tally: &Tally, kind: OutKind, how: impl FnOnce(&Fates)) {
    match kind {
        OutKind::Prompt => how(&tally.prompts),
        OutKind::Digest => how(&tally.digests),
        OutKind::Reminder | OutKind::Refresh | OutKind::Note | OutKind::Home => {}
    }
}

async fn remember_channel(bot: &Bot, person: &Person, channel: &str) {
    let (id, channel) = (person.id, channel.to_owned());
    let stored = bot.store.transact(move |tx| tx.set_channel(id, &channel)).await;
    if let Err(error) = stored {
        tracing::warn!(error = format!("{error:#}"), "could not remember a conversation");
    }
}

/// Puts together what is to be sent, as of now. `None` if the person is gone.
async fn pack(
    bot: &Bot,
    row: &OutRow,
    now: Timestamp,
) -> anyhow::Result<Option<(Person, Parcel, i64)>> {
    let (rules, row) = (Arc::clone(&bot.rules), row.clone());
    bot.store
        .read(move |tx| {
            let Some(person) = tx.person(row.person)? else {
                return Ok(None);
            };
            let debrief = match row.kind {
                OutKind::Prompt | OutKind::Reminder | OutKind::Refresh => {
                    tx.debrief(DebriefId(row.subject))?
                }
                _ => None,
            };
            let revision = debrief.as_ref().map_or(0, |debrief| debrief.revision);
            let parcel = match (row.kind, &debrief) {
                (OutKind::Prompt, Some(debrief)) => {
                    let wanted =
                        prompt::still_wanted(debrief) && row.seq == debrief.asks.to_string();
                    // One that may stand there already is only looked for.
                    if wanted || row.uncertain {
                        Parcel::Post(card::prompt(tx, &rules, debrief, &person, now)?)
                    } else {
                        Parcel::Drop
                    }
                }
                (OutKind::Reminder, Some(debrief)) => {
                    if prompt::still_wanted(debrief) || row.uncertain {
                        Parcel::Post(card::reminder(debrief, &person))
                    } else {
                        Parcel::Drop
                    }
                }
                (OutKind::Refresh, Some(debrief)) => match row.seq.strip_prefix(REMINDER) {
                    Some(seq) => standing(tx, OutKind::Reminder, &row, seq)?
                        .map_or(Parcel::Drop, |at| {
                            Parcel::Edit(at, card::reminder(debrief, &person))
                        }),
                    None => match &debrief.message {
                        Some(at) => Parcel::Edit(
                            at.clone(),
                            card::prompt(tx, &rules, debrief, &person, now)?,
                        ),
                        None => Parcel::Drop,
                    },
                },
                (OutKind::Digest, _) => digest::card_for_date(tx, &rules, &person, &row.seq)?
                    .map_or(Parcel::Drop, Parcel::Post),
                (OutKind::Note, _) if row.seq == write::WHICH => {
                    write::which_card(tx, &person, row.subject)?.map_or(Parcel::Drop, Parcel::Post)
                }
                (OutKind::Note, _) => {
                    Parcel::Post(Card::Note(Note { text: row.body.clone(), controls: vec![] }))
                }
                (OutKind::Home, _) => Parcel::Home(home::home(tx, &rules, &person, now)?),
                (_, None) => Parcel::Drop,
            };
            Ok(Some((person, parcel, revision)))
        })
        .await
}

fn standing(
    tx: &Tx<'_>,
    kind: OutKind,
    row: &OutRow,
    seq: &str,
) -> anyhow::Result<Option<MessageRef>> {
    let places = tx.standing_at(kind, row.subject)?;
    Ok(places.into_iter().find(|(known, _)| known == seq).map(|(_, at)| at))
}

async fn drop_row(bot: &Bot, row: &OutRow) -> anyhow::Result<()> {
    let id = row.id;
    bot.store.transact(move |tx| tx.drop_message(id)).await?;
    count(&bot.tally, row.kind, |fates| fates.cancelled.add(1));
    Ok(())
}

async fn was_sent(
    bot: &Bot,
    row: OutRow,
    at: Option<MessageRef>,
    shown: i64,
    now: Timestamp,
) -> anyhow::Result<()> {
    let prompt = bot.rules.prompt.clone();
    tracing::info!(row.id, kind = ?row.kind, person.id = row.person.0, "sent");
    let was_due = bot
        .store
        .transact(move |tx| {
            tx.was_sent(row.id, at.as_ref())?;
            let (OutKind::Prompt, Some(at)) = (row.kind, &at) else {
                return Ok(None);
            };
            let id = DebriefId(row.subject);
            let (remind, expire) = (now + prompt.remind_after, now + prompt.expire_after);
            tx.was_asked(id, at, now, remind, expire)?;
            // It changed while it was on its way, or it is an older text that a look has found.
            let debrief = tx.debrief(id)?;
            let changed = debrief.as_ref().is_some_and(|debrief| debrief.revision != shown);
            if changed || row.uncertain {
                tx.enqueue_again(OutKind::Refresh, row.subject, "", row.person, now)?;
            }
            Ok(debrief.map(|debrief| debrief.due_at))
        })
        .await?;
    if let Some(due_at) = was_due {
        let late = Duration::try_from(now.duration_since(due_at)).unwrap_or_default();
        bot.tally.prompt_latency.note(late);
    }
    Ok(())
}

async fn was_not_sent(
    bot: &Bot,
    row: OutRow,
    person: &Person,
    error: SendError,
    now: Timestamp,
) -> anyhow::Result<()> {
    let person = person.id;
    tracing::warn!(row.id, kind = ?row.kind, %error, "not sent");
    if matches!(error, SendError::Gone { .. } | SendError::Never { .. }) {
        count(&bot.tally, row.kind, |fates| fates.failed.add(1));
    }
    bot.store
        .transact(move |tx| match error {
            SendError::Later { after } => {
                let after = SignedDuration::from_secs(after.clamp(1, 3600).cast_signed());
                // A look that was put off is still a look.
                if row.uncertain {
                    tx.doubt(row.id, now + after)
                } else {
                    tx.send_later(row.id, now + after)
                }
            }
            SendError::Unknown if row.kind.is_post() => tx.doubt(row.id, next_look(&row, now)),
            SendError::Unknown => tx.send_later(row.id, now + backoff(row.attempts)),
            SendError::Halt { .. } if row.uncertain => tx.doubt(row.id, now + REFUSED_WAIT),
            SendError::Halt { .. } => tx.send_later(row.id, now + REFUSED_WAIT),
            SendError::Gone { code } => {
                keep_waiting(tx, &row)?;
                tx.give_up(row.id, &code)?;
                tx.mark_unreachable(person, now)
            }
            // The rep deleted the message, or it is too old to change.
            SendError::Never { .. } if row.kind == OutKind::Refresh => tx.drop_message(row.id),
            SendError::Never { code } => {
                keep_waiting(tx, &row)?;
                tx.give_up(row.id, &code)
            }
        })
        .await
}

/// A question that cannot be posted still waits in `/debrief` and on the Home tab.
fn keep_waiting(tx: &Tx<'_>, row: &OutRow) -> anyhow::Result<()> {
    if row.kind == OutKind::Prompt {
        tx.change_state(DebriefId(row.subject), &[State::Asked], State::Held)?;
    }
    Ok(())
}

/// When to look for a post of unknown fate.
fn next_look(row: &OutRow, now: Timestamp) -> Timestamp {
    let planned = LOOKS.into_iter().map(|age| row.first_started_at + age).find(|at| *at > now);
    planned.unwrap_or(now + SignedDuration::from_secs(60))
}

/// Doubles from 2 s to 5 minutes.
fn backoff(attempts: u32) -> SignedDuration {
    SignedDuration::from_secs((1_i64 << attempts.clamp(1, 9)).min(300))
}
