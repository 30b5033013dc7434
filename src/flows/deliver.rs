//! Outbox to messenger: claim, send, confirm.
//!
//! What is sent is put together right before, from the store, so an old row never shows old facts.
//! A post whose fate is unknown is looked up in the conversation before it is sent again, so a
//! crash here costs a look, never a second message.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::sabotage::{self, Bug};
use super::{Bot, card, digest, home, prompt, write};
use crate::domain::debrief::{DebriefId, MessageRef, State};
use crate::domain::person::Person;
use crate::ports::SendError;
use crate::ports::outbound::{Card, Home, Note};
use crate::store::outbox::{OutKind, OutRow};
use crate::store::{Store, Tx};

/// How many rows are claimed, and sent at the same time: a row's age counts from its claim.
const AT_ONCE: u32 = 8;
/// A post of unknown fate is looked for so long after it was tried, and sent again after the last:
/// Slack may still deliver what it took in for as long as that.
const LOOKS: [SignedDuration; 4] = [
    SignedDuration::from_secs(10),
    SignedDuration::from_secs(30),
    SignedDuration::from_secs(60),
    SignedDuration::from_secs(120),
];
/// How wrong our clock may have been when a message was queued: it is told by its key, and the time
/// only keeps the search short.
const CLOCK_MAY_BE_OFF: SignedDuration = SignedDuration::from_hours(24);
/// How long nothing is sent after our token was refused.
const REFUSED_WAIT: SignedDuration = SignedDuration::from_secs(60);
/// The seq of the refresh of a reminder begins with this.
pub(super) const REMINDER: &str = "reminder:";

/// What a row turns into when it is about to be sent.
enum Parcel {
    /// A new message.
    Post(Card),
    /// Not wanted any more, but it may stand there already.
    Look,
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
    #[cfg(feature = "seeded-bugs")]
    if sabotage::is(Bug::PostThenMark) {
        return store.transact(move |tx| tx.trust_orphans(now)).await;
    }
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
    let mut sending = tokio::task::JoinSet::new();
    for row in rows {
        let bot = bot.clone();
        sending.spawn(async move { send(&bot, row, now).await });
    }
    while let Some(done) = sending.join_next().await {
        done??;
    }
    Ok(count)
}

async fn send(bot: &Bot, mut row: OutRow, now: Timestamp) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    let Some((person, parcel, revision)) = pack(bot, &row, now).await? else {
        return drop_row(bot, row.id).await;
    };
    let sent = match parcel {
        Parcel::Drop => return drop_row(bot, row.id).await,
        Parcel::Edit(at, card) => bot.messenger.edit(&at, &card).await.map(|()| Some(at)),
        Parcel::Home(home) => match &person.chat_id {
            Some(id) => bot.messenger.publish_home(id, &home).await.map(|()| None),
            None => return drop_row(bot, row.id).await,
        },
        Parcel::Post(card) => post(bot, &mut row, &person, Some(&card), now).await,
        Parcel::Look => match post(bot, &mut row, &person, None, now).await {
            Ok(None) => return drop_row(bot, row.id).await,
            looked => looked,
        },
    };
    match sent {
        Ok(at) => was_sent(bot, row, at, revision, now).await,
        Err(error) => {
            let passed = SignedDuration::try_from(began.elapsed()).unwrap_or_default();
            was_not_sent(bot, row, &person, error, now + passed).await
        }
    }
}

/// Posts once: a row that may have arrived already is looked up first. `None` if it never arrived
/// and there is no card any more.
async fn post(
    bot: &Bot,
    row: &mut OutRow,
    person: &Person,
    card: Option<&Card>,
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
    if row.uncertain && !sabotage::is(Bug::NoReconcile) {
        let key = &row.delivery_key;
        let since = row.created_at - CLOCK_MAY_BE_OFF;
        let found = bot.messenger.find(&channel, key, since).await?;
        let last_look = LOOKS.last().is_none_or(|last| row.first_started_at + *last <= now);
        if found.is_some() || !last_look {
            return found.map_or(Err(SendError::Unknown), |at| Ok(Some(at)));
        }
    }
    let Some(card) = card else { return Ok(None) };
    if row.uncertain {
        tracing::warn!(row.id, "a message never arrived; sending it again");
        // From here on it may be on its way once more.
        row.first_started_at = now;
        let id = row.id;
        let noted = bot.store.transact(move |tx| tx.begin_again(id, now)).await;
        noted.map_err(|_| SendError::Unknown)?;
    }
    bot.messenger.post(&channel, card, &row.delivery_key).await.map(Some)
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
                    if wanted {
                        Parcel::Post(card::prompt(tx, &rules, debrief, &person, now)?)
                    } else {
                        unwanted(&row)
                    }
                }
                (OutKind::Reminder, Some(debrief)) => {
                    if prompt::still_wanted(debrief) {
                        Parcel::Post(card::reminder(debrief, &person))
                    } else {
                        unwanted(&row)
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

/// One that may stand there already is looked for, and not sent again.
fn unwanted(row: &OutRow) -> Parcel {
    if row.uncertain { Parcel::Look } else { Parcel::Drop }
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

async fn drop_row(bot: &Bot, id: i64) -> anyhow::Result<()> {
    bot.store.transact(move |tx| tx.drop_message(id)).await
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
    bot.store
        .transact(move |tx| {
            tx.was_sent(row.id, at.as_ref())?;
            let (OutKind::Prompt, Some(at)) = (row.kind, &at) else {
                return Ok(());
            };
            let id = DebriefId(row.subject);
            let (remind, expire) = (now + prompt.remind_after, now + prompt.expire_after);
            tx.was_asked(id, at, now, remind, expire)?;
            // It changed while it was on its way, or it is an older text that a look has found.
            let changed = tx.debrief(id)?.is_some_and(|debrief| debrief.revision != shown);
            if changed || row.uncertain {
                tx.enqueue_again(OutKind::Refresh, row.subject, "", row.person, now)?;
            }
            Ok(())
        })
        .await
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
