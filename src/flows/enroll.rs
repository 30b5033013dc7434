//! The roster file → people in the store → who they are in Slack.

use jiff::{SignedDuration, Timestamp};

use super::Bot;
use crate::domain::person::Person;
use crate::domain::roster::RosterEntry;
use crate::ports::{Profile, SendError, Standing};
use crate::store::people::ChatStanding;

/// How many people are looked up in one go; Slack allows about 50 a minute.
pub const AT_ONCE: u32 = 40;

/// Makes the store's people equal to the roster.
///
/// # Errors
/// If the store fails.
pub async fn apply(bot: &Bot, entries: Vec<RosterEntry>, now: Timestamp) -> anyhow::Result<()> {
    let people = entries.len();
    let left_out = bot.store.transact_behind(move |tx| tx.apply_roster(&entries, now)).await?;
    for (line, erased) in left_out {
        let on = erased.at.strftime("%Y-%m-%d").to_string();
        tracing::error!(
            line,
            on,
            "a row of the roster is left out: this person was erased; remove the row"
        );
    }
    tracing::info!(people, "the roster was applied");
    Ok(())
}

/// Looks up people whom we do not know in Slack yet, or did not look at since yesterday. Says how
/// many: the calendars of those who turn out to live elsewhere are to be read anew. With
/// [`AT_ONCE`], there may be more.
///
/// # Errors
/// If the store fails.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
    let people = bot.store.read(move |tx| tx.people_to_look_up(now, AT_ONCE)).await?;
    let mut count = 0;
    for person in people {
        let found = match &person.chat_id {
            // The id is surer than the address, which people change.
            Some(id) => bot.messenger.profile(id).await,
            None => bot.messenger.person_by_email(&person.email).await,
        };
        match found {
            Ok(profile) => {
                record(bot, &person, profile, now).await?;
                count += 1;
            }
            Err(error) => {
                let wait = match error {
                    SendError::Later { after } => SignedDuration::from_secs(after.cast_signed()),
                    _ => SignedDuration::from_mins(1),
                };
                tracing::warn!(person.id = person.id.0, %error, "could not look somebody up");
                bot.store
                    .transact_behind(move |tx| tx.look_up_later(person.id, now + wait))
                    .await?;
                if matches!(error, SendError::Later { .. } | SendError::Halt { .. }) {
                    return Ok(count);
                }
            }
        }
    }
    Ok(count)
}

/// Opens conversations with people who have none yet, ahead of time, so that a rush of questions
/// needs no such call. Says whether there may be more to open.
///
/// # Errors
/// If the store fails.
pub async fn open_ahead(bot: &Bot, now: Timestamp) -> anyhow::Result<bool> {
    let people = bot.store.read(move |tx| tx.people_to_open(now, AT_ONCE)).await?;
    let are_more = people.len() == AT_ONCE as usize;
    for person in people {
        let Some(chat_id) = &person.chat_id else { continue };
        let id = person.id;
        let error = match bot.messenger.conversation(chat_id).await {
            Ok(channel) => {
                bot.store.transact_behind(move |tx| tx.set_channel(id, &channel)).await?;
                continue;
            }
            Err(error) => error,
        };
        tracing::warn!(person.id = id.0, %error, "could not open a conversation");
        let again = match error {
            // Neither is about this person.
            SendError::Later { .. } | SendError::Halt { .. } => return Ok(false),
            SendError::Gone { .. } => {
                bot.store.transact_behind(move |tx| tx.mark_unreachable(id, now)).await?;
                continue;
            }
            SendError::Unknown => now + SignedDuration::from_mins(1),
            SendError::Never { .. } => now + SignedDuration::from_hours(6),
        };
        bot.store.transact_behind(move |tx| tx.open_later(id, again)).await?;
    }
    Ok(are_more)
}

async fn record(
    bot: &Bot,
    person: &Person,
    profile: Option<Profile>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let id = person.id;
    let (standing, hours) = match profile.as_ref().map(|profile| profile.standing) {
        Some(Standing::Member) => (ChatStanding::Member, 24),
        Some(Standing::Gone) => (ChatStanding::Gone, 6),
        Some(Standing::Outsider) => (ChatStanding::Outsider, 6),
        None => (ChatStanding::Missing, 1),
    };
    if standing != ChatStanding::Member {
        tracing::warn!(person.id = id.0, ?standing, "somebody on the roster cannot be written to");
    }
    let again = now + SignedDuration::from_hours(hours);
    bot.store
        .transact_behind(move |tx| {
            let found = profile.as_ref().map(|found| (&found.id, found.zone.as_deref()));
            tx.record_standing(id, found, standing, again)
        })
        .await
}
