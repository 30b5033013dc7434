//! What a reading, or its failure, means for the store.
//!
//! A failed reading changes nothing; a reading that lost most of what was still to come is believed
//! only when the next one says the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Reader, agree, follow};
use crate::domain::debrief::PromptRules;
use crate::domain::meeting::{Occurrence, is_absence};
use crate::domain::person::Person;
use crate::flows::{Bot, Rules};
use crate::ports::{CalendarError, CalendarRead, CalendarRequest, Trouble};
use crate::store::Tx;
use crate::store::feeds::{FailedReading, Feed, FeedId};
use crate::store::meetings::OrphanedMeeting;
use crate::store::outbox::OutKind;
use crate::store::sightings::{Identity, Sighting};

/// A calendar that its server does not know so many times in a row is not coming back by itself.
pub const BROKEN_AFTER: u32 = 3;
/// Between two readings of a calendar that fails, at most …
const LONGEST_WAIT: i64 = 30 * 60;
/// … unless its server asked for more.
const LONGEST_PATIENCE: i64 = 24 * 60 * 60;

pub(super) async fn failure(
    bot: &Bot,
    feed: Feed,
    rep: Person,
    error: CalendarError,
    known: Option<CalendarRead>,
    request: &CalendarRequest,
    now: Timestamp,
) -> anyhow::Result<()> {
    let provider = request.source.provider();
    // Back off by doubling; where the server's own wish is longer, it wins.
    let interval = bot.rules.refresh.of(provider).as_secs();
    let doubled = interval.saturating_mul(1 << feed.failures.min(6)).clamp(30, LONGEST_WAIT);
    // Never more often than one that is well, and not all of them at the same second.
    let doubled = (doubled - feed.id.0.rem_euclid(30)).max(interval).max(30);
    let wish = error.retry_after.and_then(|wish| i64::try_from(wish).ok()).unwrap_or(0);
    let wish = SignedDuration::from_secs(wish.min(LONGEST_PATIENCE));
    let wait = SignedDuration::from_secs(doubled).max(wish);
    let gone = if error.trouble == Trouble::Gone { feed.gone.saturating_add(1) } else { 0 };
    tracing::warn!(
        person.id = feed.person.0,
        %provider,
        problem = %error.reason,
        "a calendar could not be read"
    );
    let rules = Arc::clone(&bot.rules);
    let tally = Arc::clone(&bot.tally);
    let window = request.window;
    bot.store
        .transact_behind(move |tx| {
            if !tx.has_feed(feed.id)? {
                return Ok(());
            }
            let reader = Reader { rep: &rep, feed: feed.id, is_failing: true, now };
            if let Some(known) = &known {
                let before = tx.sightings(feed.id, window)?;
                for meeting in &known.occurrences {
                    let before = before.get(&identity(meeting));
                    agree::look_at(tx, &tally, &reader, meeting, before, &rules.meetings)?;
                }
                note_absences(tx, &reader, &known.occurrences)?;
            }
            if feed.failures == 0 {
                // What it said last no longer goes before what others say.
                tx.look_again_beside(feed.id)?;
            }
            follow::replan(tx, &rep, &rules.prompt, now)?;
            if gone >= BROKEN_AFTER {
                tell_that_it_is_gone(tx, &rules.prompt, &rep, feed.good_at, now)?;
            }
            let failed = FailedReading {
                problem: &error.reason,
                gone,
                next_at: now + wait,
                patience_until: now + wish,
            };
            tx.feed_failed(feed.id, failed, now)
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

pub(super) async fn reading(
    bot: &Bot,
    rep: Person,
    feed: FeedId,
    reading: CalendarRead,
    request: &CalendarRequest,
    now: Timestamp,
) -> anyhow::Result<()> {
    let rules = Arc::clone(&bot.rules);
    let tally = Arc::clone(&bot.tally);
    let next = rules.refresh.next(feed.0, request.source.provider(), now);
    let window = request.window;
    bot.store
        .transact_behind(move |tx| {
            if !tx.has_feed(feed)? {
                return Ok(());
            }
            let state = reading.state.as_ref().map(|state| {
                (state.etag.as_deref(), state.last_modified.as_deref(), state.body.as_slice())
            });
            // A calendar that was not read yet may hold what no other one shows.
            let orphans = if tx.has_unread_feed_beside(rep.id, feed)? {
                Vec::new()
            } else {
                tx.orphaned_meetings(rep.id, window)?
            };
            let known = Known { shown: tx.sightings(feed, window)?, orphans };
            let lost = known.without(&reading.occurrences);
            let doubtful = 2 * lost.to_come(now) > known.to_come(now);
            if !tx.swap_suspicion(feed, doubtful)? && doubtful {
                let note = "most known meetings were missing; waiting for the next reading";
                return tx.feed_was_good(feed, state, Some(note), now, next);
            }
            let note = match reading.warnings.as_slice() {
                [] => None,
                [first] => Some(first.clone()),
                [first, rest @ ..] => Some(format!("{first} (and {} more)", rest.len())),
            };
            tx.feed_was_good(feed, state, note.as_deref(), now, next)?;
            let reader = Reader { rep: &rep, feed, is_failing: false, now };
            take_over(tx, &tally, &reader, &reading.occurrences, &known, &rules)?;
            lost.withdraw(tx, &tally, &reader)?;
            follow::replan(tx, &rep, &rules.prompt, now)
        })
        .await
}

fn take_over(
    tx: &Tx<'_>,
    tally: &crate::flows::tally::Tally,
    reader: &Reader<'_>,
    occurrences: &[Occurrence],
    known: &Known,
    rules: &Rules,
) -> anyhow::Result<()> {
    for meeting in occurrences {
        let before = known.shown.get(&identity(meeting));
        agree::look_at(tx, tally, reader, meeting, before, &rules.meetings)?;
    }
    note_absences(tx, reader, occurrences)
}

fn note_absences(
    tx: &Tx<'_>,
    reader: &Reader<'_>,
    occurrences: &[Occurrence],
) -> anyhow::Result<()> {
    let mut absences: Vec<(Timestamp, Timestamp)> = occurrences
        .iter()
        .filter(|meeting| is_absence(meeting, &reader.rep.email))
        .map(|meeting| (meeting.start, meeting.end))
        .collect();
    absences.sort_unstable();
    absences.dedup();
    if tx.absences(reader.feed)? != absences {
        tx.note_absences(reader.feed, &absences)?;
    }
    Ok(())
}

fn identity(meeting: &Occurrence) -> Identity {
    (meeting.uid.clone(), meeting.original_start)
}

/// What was known of the window before a reading.
struct Known {
    shown: HashMap<Identity, Sighting>,
    orphans: Vec<OrphanedMeeting>,
}

impl Known {
    /// What the reading no longer has.
    fn without(&self, occurrences: &[Occurrence]) -> Self {
        let present: HashSet<(&str, Timestamp)> = occurrences
            .iter()
            .map(|meeting| (meeting.uid.as_str(), meeting.original_start))
            .collect();
        let is_lost = |(uid, start): &Identity| !present.contains(&(uid.as_str(), *start));
        let shown = self.shown.iter().filter(|(identity, _)| is_lost(identity));
        let orphans = self.orphans.iter().filter(|orphan| is_lost(&orphan.identity));
        Self {
            shown: shown.map(|(identity, sighting)| (identity.clone(), *sighting)).collect(),
            orphans: orphans.cloned().collect(),
        }
    }

    /// How many of them matter and are not over.
    fn to_come(&self, now: Timestamp) -> usize {
        let shown = self.shown.values();
        shown.filter(|sighting| sighting.matters && sighting.said.end > now).count()
            + self.orphans.iter().filter(|orphan| orphan.end > now).count()
    }

    /// Takes them out; one that another calendar of the same person shows stays.
    fn withdraw(
        self,
        tx: &Tx<'_>,
        tally: &crate::flows::tally::Tally,
        reader: &Reader<'_>,
    ) -> anyhow::Result<()> {
        let mut gone: Vec<i64> = self.orphans.into_iter().map(|orphan| orphan.id).collect();
        let mut shown: Vec<(Identity, Sighting)> = self.shown.into_iter().collect();
        shown.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (identity, sighting) in shown {
            tx.lose_sighting(reader.feed, &identity)?;
            agree::organiser_dropped(tx, reader, &identity, &sighting)?;
            if !sighting.is_shared {
                gone.push(sighting.meeting);
            }
        }
        gone.sort_unstable();
        for meeting in gone {
            tx.meeting_is_gone(meeting)?;
            follow::withdraw(tx, tally, meeting, reader.now)?;
        }
        Ok(())
    }
}
