//! Plan to question: puts debriefs that are due into the outbox.
//!
//! Right before asking the calendar is read once more, so that a meeting cancelled or extended at
//! the last minute is noticed. Do Not Disturb and pauses are honoured here; the day's budget too.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Bot, Rules, collect};
use crate::domain::debrief::{Outcome, State, within_budget};
use crate::domain::person::{Person, PersonId};
use crate::domain::roster::ChatId;
use crate::store::Tx;
use crate::store::debriefs::Debrief;
use crate::store::outbox::OutKind;

/// How many debriefs are handled in one go.
pub const AT_ONCE: u32 = 200;
/// Calendars that are read at the same time.
const READ_SIDE_BY_SIDE: usize = 32;
/// How long calendars and Slack may take to tell what we would like to know: whoever is not heard of
/// by then is asked upon what was known, so that a rush is never held up by slow answers.
const FIND_OUT_WITHIN: Duration = Duration::from_secs(10);
/// When a calendar that was not read for long is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// A reading younger than this is fresh enough to ask upon.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Asks about what is due. Says how many there were; with [`AT_ONCE`], there may be more.
///
/// # Errors
/// If the store fails.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
    give_up_late_plans(bot, now).await?;
    let due = bot.store.read(move |tx| tx.due_debriefs(now, AT_ONCE)).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let count = due.len();
    let (read, quiet) = tokio::join!(reread_calendars(bot, &due, now), quiet_times(bot, &due));
    read?;
    let quiet = quiet?;
    // The plan may have moved meanwhile: only what is still due counts.
    let reps: HashSet<PersonId> = due.iter().map(|debrief| debrief.rep).collect();
    let mut due = bot.store.read(move |tx| tx.due_debriefs(now, AT_ONCE)).await?;
    due.retain(|debrief| reps.contains(&debrief.rep));
    let rules = Arc::clone(&bot.rules);
    bot.store
        .transact_behind(move |tx| {
            for debrief in &due {
                ask(tx, &rules, debrief, &quiet, now)?;
            }
            Ok(())
        })
        .await?;
    Ok(count)
}

/// A plan that nobody could be asked about in time is over.
async fn give_up_late_plans(bot: &Bot, now: Timestamp) -> anyhow::Result<()> {
    let before = now - bot.rules.prompt.expire_after;
    let late = bot.store.read(move |tx| tx.overdue_plans(before)).await?;
    if late.is_empty() {
        return Ok(());
    }
    tracing::info!(debriefs = late.len(), "too late to ask about some meetings");
    let count = late.len() as u64;
    bot.store
        .transact_behind(move |tx| {
            for debrief in late {
                tx.change_state(debrief, &[State::Planned], State::Expired)?;
            }
            Ok(())
        })
        .await?;
    bot.tally.prompts.expired.add(count);
    Ok(())
}

async fn reread_calendars(bot: &Bot, due: &[Debrief], now: Timestamp) -> anyhow::Result<()> {
    let reps = due.iter().map(|debrief| debrief.rep).collect();
    let stale = collect::stale_feeds(bot, reps, now - FRESH, now).await?;
    let mut reading = tokio::task::JoinSet::new();
    let all = async {
        for feed in stale {
            if reading.len() >= READ_SIDE_BY_SIDE {
                reading.join_next().await.transpose()?.transpose()?;
            }
            let bot = bot.clone();
            reading.spawn(async move { collect::refresh(&bot, feed, now).await });
        }
        while let Some(done) = reading.join_next().await {
            done??;
        }
        anyhow::Ok(())
    };
    let Ok(read) = tokio::time::timeout(FIND_OUT_WITHIN, all).await else {
        tracing::warn!("some calendars are slow; asking upon what was known");
        return Ok(());
    };
    read
}

/// Do Not Disturb of everybody who is about to be asked. If Slack does not say in time, nobody is in
/// it: then Slack itself keeps quiet about the message.
async fn quiet_times(
    bot: &Bot,
    due: &[Debrief],
) -> anyhow::Result<HashMap<PersonId, (Timestamp, Timestamp)>> {
    let mut reps: Vec<PersonId> = due.iter().map(|debrief| debrief.rep).collect();
    reps.sort_unstable();
    reps.dedup();
    let people: HashMap<ChatId, PersonId> = bot
        .store
        .read(move |tx| {
            let mut people = HashMap::new();
            for rep in reps {
                if let Some(chat_id) = tx.person(rep)?.and_then(|person| person.chat_id) {
                    people.insert(chat_id, rep);
                }
            }
            Ok(people)
        })
        .await?;
    let mut ids: Vec<ChatId> = people.keys().cloned().collect();
    ids.sort_unstable();
    let mut quiet = HashMap::new();
    let all = async {
        for some in ids.chunks(50) {
            match bot.messenger.quiet_times(some).await {
                Ok(times) => quiet.extend(
                    times
                        .into_iter()
                        .filter_map(|(id, time)| people.get(&id).map(|rep| (*rep, time))),
                ),
                Err(error) => tracing::warn!(%error, "could not ask for Do Not Disturb times"),
            }
        }
    };
    if tokio::time::timeout(FIND_OUT_WITHIN, all).await.is_err() {
        tracing::info!("Slack takes long to say who is in Do Not Disturb; it mutes itself");
    }
    Ok(quiet)
}

/// Decides about one debrief that is due.
fn ask(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    quiet: &HashMap<PersonId, (Timestamp, Timestamp)>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let Some(rep) = tx.person(debrief.rep)? else {
        return Ok(());
    };
    if rep.paused_until.is_some_and(|until| until > now) {
        // Coming back from a holiday must not mean a flood.
        tx.change_state(debrief.id, &[State::Planned], State::Held)?;
        return Ok(());
    }
    if let Some((from, until)) = quiet.get(&rep.id)
        && (*from..*until).contains(&now)
    {
        let open = rules.prompt.hours.next_open(*until, &rep.zone, debrief.end);
        return tx.hold_off(debrief.id, open);
    }
    if let Some(until) = tx.absent_until(rep.id, now)? {
        return wait_for_return(tx, rules, debrief, &rep, until);
    }
    let seen_at = tx.seen_at(debrief.id)?;
    if seen_at.is_some_and(|seen_at| seen_at + rules.max_calendar_age < now) {
        // It may have been moved or cancelled, for all we know.
        if debrief.end + rules.prompt.expire_after < now {
            tx.change_state(debrief.id, &[State::Planned], State::Expired)?;
            return Ok(());
        }
        tracing::info!(debrief.id = debrief.id.0, "not asked: its calendar was not read for long");
        return tx.hold_off(debrief.id, now + AGAIN);
    }
    let open = rules.prompt.hours.next_open(now, &rep.zone, debrief.end);
    if open > now {
        return tx.hold_off(debrief.id, open);
    }
    if !fits_the_budget(tx, rules, debrief, &rep, now)? {
        tx.change_state(debrief.id, &[State::Planned], State::Held)?;
        tracing::info!(debrief.id = debrief.id.0, "kept for later, today's budget is used up");
        return Ok(());
    }
    if let Some(asking) = tx.begin_asking(debrief.id)? {
        tx.enqueue(OutKind::Prompt, debrief.id.0, &asking.to_string(), rep.id, "", now)?;
    }
    Ok(())
}

/// Nobody is asked while they are out of office. After an afternoon off, the question comes; after a
/// holiday it waits to be taken up, since coming back must not mean a flood.
fn wait_for_return(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    until: Timestamp,
) -> anyhow::Result<()> {
    let open = rules.prompt.hours.next_open(until, &rep.zone, debrief.end);
    if until < debrief.end + rules.prompt.expire_after {
        return tx.hold_off(debrief.id, open);
    }
    tx.change_state(debrief.id, &[State::Planned], State::Held)?;
    Ok(())
}

fn fits_the_budget(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    rep: &Person,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let today = now.to_zoned(rep.zone.clone());
    let midnight = today.start_of_day().map_or(now, |zoned| zoned.timestamp());
    let tomorrow = today.tomorrow().and_then(|day| day.start_of_day());
    let tomorrow = tomorrow.map_or(now, |zoned| zoned.timestamp());
    let asked = tx.asked_since(rep.id, midnight, debrief.id)?;
    let left = rules.prompt.max_per_day.saturating_sub(asked);
    let mut rivals = Vec::new();
    for rival in tx.rival_plans(rep.id, debrief.id, tomorrow)? {
        rivals.push(tx.worth(&rival, asked)?);
    }
    Ok(within_budget(tx.worth(debrief, asked)?, &rivals, left))
}

/// Whether a question still makes sense when it is about to be sent.
pub(super) fn still_wanted(debrief: &Debrief) -> bool {
    debrief.state == State::Asked && debrief.outcome != Some(Outcome::DidntHappen)
}
