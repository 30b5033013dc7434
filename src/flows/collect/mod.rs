//! Calendars → meetings → plans.
//!
//! Here is when calendars are read; `apply` stores what came of it, `agree` settles what is said
//! of one meeting by several calendars, and `follow` brings its debrief in line.

mod agree;
pub mod apply;
mod follow;
pub mod turns;

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Bot;
use crate::domain::person::{Person, PersonId};
use crate::domain::roster::source::CalendarSource;
use crate::ports::{CalendarRequest, FeedState};
use crate::store::feeds::{DueFeed, FailedReading, Feed, FeedId};

/// How many calendars are read at the same time …
const AT_ONCE: usize = 64;
/// … and how many of those may be ones that failed last time: a server that hangs costs the others
/// nothing.
const FAILING_AT_ONCE: usize = 16;
/// So many are read in one go, and so many more for each second since the last time: after a long
/// stop, or when a company begins, providers are not asked for everything at once.
const IN_ONE_GO: u32 = 200;
const A_SECOND: u32 = 50;
/// While some are slow, how often others are looked for …
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// … and for how long; then the slow ones come to their end, and a new turn begins.
const LONGEST_TURN: Duration = Duration::from_mins(1);

/// Reads the calendars that are due. Says how many there were.
///
/// # Errors
/// If the store fails; a calendar that fails is recorded and costs nobody else anything.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
    let most = IN_ONE_GO + A_SECOND * bot.turns.seconds_since_last(now);
    let mut due = bot.store.read(move |tx| tx.due_feeds(now, most + 1)).await?;
    if due.len() > most as usize {
        due.truncate(most as usize);
        let late = move |tx: &crate::store::Tx<'_>| tx.spread_due_feeds(now, most, A_SECOND);
        let late = bot.store.transact_behind(late).await?;
        tracing::info!(calendars = late, "many calendars are due, the others follow one by one");
    }
    let count = due.len();
    // The longest waiting is taken from the end.
    let mut waiting: Vec<DueFeed> = due.into_iter().rev().collect();
    let began = Instant::now();
    let (mut looked, mut under_way) = (began, HashSet::new());
    let mut reading = tokio::task::JoinSet::new();
    let mut failing = 0;
    loop {
        while reading.len() < AT_ONCE
            && let Some(next) = next(&mut waiting, failing)
        {
            failing += usize::from(next.is_failing);
            under_way.insert(next.id);
            let (bot, at) = (bot.clone(), by_now(now, began));
            reading.spawn(async move { (next, refresh(&bot, next, at).await) });
        }
        let Some(done) = reading.join_next().await else {
            return Ok(count);
        };
        let (feed, done) = done?;
        under_way.remove(&feed.id);
        failing -= usize::from(feed.is_failing);
        done?;
        // Servers that hang must not keep those waiting whose time came meanwhile.
        if looked.elapsed() >= LOOK_AGAIN && began.elapsed() < LONGEST_TURN {
            looked = Instant::now();
            let at = by_now(now, began);
            let due = bot.store.read(move |tx| tx.due_feeds(at, IN_ONE_GO)).await?;
            let known: HashSet<FeedId> = waiting.iter().map(|feed| feed.id).collect();
            let new = due.into_iter().rev();
            let new = new.filter(|due| !known.contains(&due.id) && !under_way.contains(&due.id));
            waiting.splice(0..0, new);
        }
    }
}

/// What time it is in a turn that began `now`; a short turn takes no time.
fn by_now(now: Timestamp, began: Instant) -> Timestamp {
    let passed = began.elapsed();
    if passed < LOOK_AGAIN {
        now
    } else {
        now + SignedDuration::try_from(passed).unwrap_or_default()
    }
}

/// Who is read next; those that fail wait while enough of them are under way.
fn next(waiting: &mut Vec<DueFeed>, failing: usize) -> Option<DueFeed> {
    let may_begin = |feed: &DueFeed| !feed.is_failing || failing < FAILING_AT_ONCE;
    let place = waiting.iter().rposition(may_begin)?;
    Some(waiting.remove(place))
}

/// Reads one calendar now; at most one of a person's at a time.
///
/// # Errors
/// If the store fails.
pub async fn refresh(bot: &Bot, due: DueFeed, now: Timestamp) -> anyhow::Result<()> {
    let turn = bot.turns.take(due.person).await;
    let found = bot
        .store
        .read(move |tx| {
            let feed = tx.feed(due.id)?;
            Ok(tx.person(due.person)?.zip(feed))
        })
        .await?;
    let Some((rep, feed)) = found else {
        return Ok(());
    };
    // Somebody else did it while we waited.
    if turn.had_to_wait && feed.tried_at >= Some(now) {
        return Ok(());
    }
    let Some(source) = CalendarSource::parse(&feed.source) else {
        let failed = FailedReading {
            problem: "the calendar column of the roster is not understood",
            gone: 0,
            next_at: now + SignedDuration::from_hours(1),
            patience_until: Timestamp::UNIX_EPOCH,
        };
        return bot.store.transact_behind(move |tx| tx.feed_failed(feed.id, failed, now)).await;
    };
    let provider = source.provider();
    let known = known_state(&feed);
    let email = rep.email.clone();
    let zone = rep.zone.clone();
    let request = CalendarRequest { source, email, zone, window: window(now), known };
    let began = Instant::now();
    let reading = bot.calendar.read(&request).await;
    let counted = bot.tally.calendars.of(provider);
    counted.took.note(began.elapsed());
    match reading {
        Ok(reading) => {
            let kind = if reading.state.is_some() { &counted.changed } else { &counted.unchanged };
            kind.add(1);
            apply::reading(bot, rep, feed.id, reading, &request, now).await
        }
        Err(error) => {
            counted.failed(error.trouble).add(1);
            // The last good state stays in use: a series in it goes on.
            let known = bot.calendar.read_known(&request).await;
            apply::failure(bot, feed, rep, error, known, &request, now).await
        }
    }
}

/// Which calendars of these people were not read since `since`, and may be.
///
/// # Errors
/// If the store fails.
pub(super) async fn stale_feeds(
    bot: &Bot,
    reps: HashSet<PersonId>,
    since: Timestamp,
    now: Timestamp,
) -> anyhow::Result<Vec<DueFeed>> {
    bot.store
        .read(move |tx| {
            let mut reps: Vec<_> = reps.into_iter().collect();
            reps.sort_unstable();
            let mut stale = Vec::new();
            for rep in reps {
                stale.extend(tx.stale_feeds(rep, since, now)?);
            }
            // Those that fail take long: they keep the others waiting last.
            stale.sort_by_key(|feed| feed.is_failing);
            Ok(stale)
        })
        .await
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

/// Who a reading is about.
struct Reader<'r> {
    rep: &'r Person,
    feed: FeedId,
    /// What it says is what it said when it could be read.
    is_failing: bool,
    now: Timestamp,
}
