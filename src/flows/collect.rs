//! Calendars → meetings → plans.
//!
//! A plan follows its meeting for as long as nobody was asked: cancelled, moved, extended or
//! shortened, the question moves along. A failed reading changes nothing; a reading that lost most
//! of what was still to come is believed only when the next one says the same.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Bot;
use super::tally::Tally;
use crate::domain::debrief::{PromptRules, State, ask_at};
use crate::domain::meeting::{Occurrence, Verdict, guests, judge};
use crate::domain::person::Person;
use crate::domain::roster::source::CalendarSource;
use crate::ports::{CalendarError, CalendarRead, CalendarRequest, FeedState, Trouble};
use crate::store::Tx;
use crate::store::feeds::Feed;
use crate::store::meetings::{JudgedMeeting, KnownMeeting};
use crate::store::outbox::OutKind;

/// How many calendars are read at the same time.
const AT_ONCE: usize = 8;
/// A calendar that its server does not know so many times in a row is not coming back by itself.
pub const BROKEN_AFTER: u32 = 3;
/// Between two readings of a calendar that fails, at most.
const LONGEST_WAIT: i64 = 30 * 60;

/// Reads the calendars that are due. Says how many there were.
///
/// # Errors
/// If the store fails; a calendar that fails is recorded and costs nobody else anything.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
    let due = bot.store.read(move |tx| tx.due_feeds(now, 64)).await?;
    let count = due.len();
    let mut waiting = due.into_iter();
    let mut reading = tokio::task::JoinSet::new();
    loop {
        while reading.len() < AT_ONCE {
            let Some(person) = waiting.next() else { break };
            let bot = bot.clone();
            reading.spawn(async move { refresh(&bot, person, now).await });
        }
        let Some(done) = reading.join_next().await else {
            return Ok(count);
        };
        done??;
    }
}

/// Reads one person's calendar now.
///
/// # Errors
/// If the store fails.
pub async fn refresh(
    bot: &Bot,
    person: crate::domain::person::PersonId,
    now: Timestamp,
) -> anyhow::Result<()> {
    let found = bot.store.read(move |tx| Ok(tx.person(person)?.zip(tx.feed(person)?))).await?;
    let Some((rep, feed)) = found else {
        return Ok(());
    };
    let Some(source) = CalendarSource::parse(&feed.source) else {
        let problem = "the calendar column of the roster is not understood";
        let wait = SignedDuration::from_hours(1);
        return bot
            .store
            .transact_behind(move |tx| tx.feed_failed(person, problem, 0, now, wait))
            .await;
    };
    let window = window(now);
    let known = known_state(&feed);
    let request =
        CalendarRequest { source, email: rep.email.clone(), zone: rep.zone.clone(), window, known };
    let began = Instant::now();
    let reading = bot.calendar.read(&request).await;
    let counted = &bot.tally.calendars;
    counted.took.note(began.elapsed());
    match reading {
        Ok(reading) => {
            let kind = if reading.state.is_some() { &counted.changed } else { &counted.unchanged };
            kind.add(1);
            store_reading(bot, rep, reading, window, now).await
        }
        Err(error) => {
            counted.failed.add(1);
            // The last good state stays in use: a series in it goes on.
            let known = bot.calendar.read_known(&request).await;
            store_failure(bot, feed, rep, error, known, now).await
        }
    }
}

/// What is read: far enough back for a late question, far enough ahead for tomorrow's gaps.
fn window(now: Timestamp) -> (Timestamp, Timestamp) {
    (now - SignedDuration::from_hours(72), now + SignedDuration::from_hours(72))
}

pub(super) fn known_state(feed: &Feed) -> Option<FeedState> {
    feed.body.clone().map(|body| FeedState {
        etag: feed.etag.clone(),
        last_modified: feed.last_modified.clone(),
        body,
    })
}

async fn store_failure(
    bot: &Bot,
    feed: Feed,
    rep: Person,
    error: CalendarError,
    known: Option<CalendarRead>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let person = feed.person;
    // Back off by doubling; where the server's own wish is longer, it wins.
    let doubled = bot.rules.refresh.as_secs().saturating_mul(1 << feed.failures.min(6));
    let wished = error.retry_after.and_then(|wish| i64::try_from(wish).ok()).unwrap_or(0);
    let wait = SignedDuration::from_secs(doubled.max(wished).clamp(30, LONGEST_WAIT));
    let gone = if error.trouble == Trouble::Gone { feed.gone.saturating_add(1) } else { 0 };
    tracing::warn!(person.id = person.0, problem = %error.reason, "a calendar could not be read");
    let rules = std::sync::Arc::clone(&bot.rules);
    let tally = std::sync::Arc::clone(&bot.tally);
    bot.store
        .transact_behind(move |tx| {
            if !tx.has_feed(person)? {
                return Ok(());
            }
            for meeting in known.iter().flat_map(|known| &known.occurrences) {
                follow(tx, &tally, &rep, &judged(meeting, &rep, &rules.meetings), now)?;
            }
            replan(tx, &rep, &rules.prompt, now)?;
            if gone >= BROKEN_AFTER {
                tell_that_it_is_gone(tx, &rules.prompt, &rep, feed.good_at, now)?;
            }
            tx.feed_failed(person, &error.reason, gone, now, wait)
        })
        .await
}

/// Once, at a good time, and again only if it came back in between.
fn tell_that_it_is_gone(
    tx: &Tx<'_>,
    rules: &PromptRules,
    rep: &Person,
    good_at: Option<Timestamp>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let paused = rep.paused_until.is_some_and(|until| until > now);
    if paused || !rep.is_rep || rules.hours.next_open(now, &rep.zone, Timestamp::MIN) > now {
        return Ok(());
    }
    let text = "I can no longer read your calendar: its address is not known any more. Please ask \
                your administrator for a new one. Until then I go by what I know, and \
                `/debrief now` works as ever.";
    let seq = format!("calendar gone {}", good_at.map_or(0, Timestamp::as_second));
    tx.enqueue(OutKind::Note, rep.id.0, &seq, rep.id, text, now)
}

async fn store_reading(
    bot: &Bot,
    rep: Person,
    reading: CalendarRead,
    window: (Timestamp, Timestamp),
    now: Timestamp,
) -> anyhow::Result<()> {
    let bot_rules = std::sync::Arc::clone(&bot.rules);
    let tally = std::sync::Arc::clone(&bot.tally);
    bot.store
        .transact_behind(move |tx| {
            if !tx.has_feed(rep.id)? {
                return Ok(());
            }
            let meetings: Vec<JudgedMeeting> = reading
                .occurrences
                .iter()
                .map(|meeting| judged(meeting, &rep, &bot_rules.meetings))
                .collect();
            let state = reading.state.as_ref().map(|state| {
                (state.etag.as_deref(), state.last_modified.as_deref(), state.body.as_slice())
            });
            let next = now + bot_rules.refresh;
            let known = tx.known_meetings(rep.id, window)?;
            let gone = missing(&known, &meetings);
            let to_come = |meeting: &&KnownMeeting| meeting.end > now;
            let lost = gone.iter().filter(to_come).count();
            let doubtful = lost * 2 > known.values().filter(to_come).count();
            if !tx.swap_suspicion(rep.id, doubtful)? && doubtful {
                let note = "most known meetings were missing; waiting for the next reading";
                return tx.feed_was_good(rep.id, state, Some(note), now, next);
            }
            let note = match reading.warnings.as_slice() {
                [] => None,
                [first, rest @ ..] => Some(format!("{first} (and {} more)", rest.len())),
            };
            tx.feed_was_good(rep.id, state, note.as_deref(), now, next)?;
            for meeting in &meetings {
                follow(tx, &tally, &rep, meeting, now)?;
            }
            for meeting in gone {
                tx.meeting_is_gone(meeting.id)?;
                withdraw(tx, &tally, meeting.id, now)?;
            }
            replan(tx, &rep, &bot_rules.prompt, now)
        })
        .await
}

fn judged(
    meeting: &Occurrence,
    rep: &Person,
    rules: &crate::domain::meeting::MeetingRules,
) -> JudgedMeeting {
    let customer = match judge(meeting, &rep.email, rules) {
        Verdict::Customer(guess) => Some(guess),
        Verdict::Skip(_) => None,
    };
    let names = guests(meeting, &rep.email, rules)
        .into_iter()
        .map(|guest| if guest.name.is_empty() { guest.email.clone() } else { guest.name.clone() });
    let declined = meeting.attendees.iter().any(|guest| {
        guest.email == rep.email && guest.response == crate::domain::meeting::Response::Declined
    });
    let ours = customer.is_some();
    JudgedMeeting {
        uid: meeting.uid.clone(),
        original_start: meeting.original_start,
        // What we have no business with is kept as a time only.
        title: if ours { meeting.title.clone() } else { String::new() },
        start: meeting.start,
        end: meeting.end,
        busy: !(meeting.all_day || meeting.free || meeting.cancelled || declined),
        customer,
        guests: if ours { names.collect() } else { Vec::new() },
    }
}

/// Known meetings that the reading no longer has.
fn missing(
    known: &HashMap<(String, Timestamp), KnownMeeting>,
    meetings: &[JudgedMeeting],
) -> Vec<KnownMeeting> {
    let present: std::collections::HashSet<(&str, Timestamp)> =
        meetings.iter().map(|meeting| (meeting.uid.as_str(), meeting.original_start)).collect();
    let mut gone: Vec<KnownMeeting> = known
        .iter()
        .filter(|((uid, start), _)| !present.contains(&(uid.as_str(), *start)))
        .map(|(_, meeting)| *meeting)
        .collect();
    gone.sort_unstable_by_key(|meeting| meeting.id);
    gone
}

/// Brings one debrief in line with its meeting.
fn follow(
    tx: &Tx<'_>,
    tally: &Tally,
    rep: &Person,
    meeting: &JudgedMeeting,
    now: Timestamp,
) -> anyhow::Result<()> {
    let known_end = tx.known_end(rep.id, meeting)?;
    let id = tx.upsert_meeting(rep.id, meeting)?;
    if meeting.customer.is_none() || !rep.is_rep {
        return withdraw(tx, tally, id, now);
    }
    match tx.debrief_of(id)? {
        Some(debrief) if debrief.state == State::Asked && meeting.end > now => {
            // It goes on, or was moved, after we asked: that question was too early. A meeting that
            // only seems to lie ahead because the clock was set back is not asked about again.
            if known_end.is_some_and(|known| known != meeting.end)
                && debrief.outcome.is_none()
                && tx.answers(debrief.id)?.is_empty()
            {
                tx.change_state(debrief.id, &[State::Asked], State::Planned)?;
                tally.calendars.reopened.add(1);
                tx.enqueue_again(OutKind::Refresh, debrief.id.0, "", rep.id, now)?;
            }
            Ok(())
        }
        Some(debrief) if debrief.state == State::Withdrawn => {
            // Brought back; one that ended long ago stays withdrawn.
            if meeting.end + SignedDuration::from_hours(12) > now {
                tx.plan(id, rep.id, meeting.end)?;
            }
            Ok(())
        }
        Some(_) => Ok(()),
        None => {
            tally.calendars.planned.add(1);
            tx.plan(id, rep.id, meeting.end)
        }
    }
}

/// A meeting that no longer counts: not asked yet, nobody will be; asked, the question closes.
fn withdraw(tx: &Tx<'_>, tally: &Tally, meeting: i64, now: Timestamp) -> anyhow::Result<()> {
    let Some(debrief) = tx.debrief_of(meeting)? else {
        return Ok(());
    };
    let unanswered = debrief.outcome.is_none() && tx.answers(debrief.id)?.is_empty();
    let from: &[State] = if unanswered {
        &[State::Planned, State::Held, State::Asked]
    } else {
        &[State::Planned, State::Held]
    };
    if tx.change_state(debrief.id, from, State::Withdrawn)? {
        tally.calendars.withdrawn.add(1);
        if debrief.message.is_some() {
            tx.enqueue_again(OutKind::Refresh, debrief.id.0, "", debrief.rep, now)?;
        }
    }
    Ok(())
}

/// Works out anew when to ask about everything that is planned.
fn replan(tx: &Tx<'_>, rep: &Person, rules: &PromptRules, now: Timestamp) -> anyhow::Result<()> {
    let busy = tx.busy_times(rep.id, now - SignedDuration::from_hours(72))?;
    for plan in tx.open_plans(rep.id)? {
        let others: Vec<(Timestamp, Timestamp)> = busy
            .iter()
            .filter(|(meeting, ..)| *meeting != plan.meeting_id)
            .map(|(_, start, end)| (*start, *end))
            .collect();
        let due = ask_at(plan.end, &others, rules, &rep.zone).max(plan.not_before);
        tx.set_due(plan.debrief, due)?;
    }
    Ok(())
}
