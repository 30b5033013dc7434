//! A manager's week, once a slot.
//!
//! The schedule looks back: the latest slot is owed unless its row exists, so a bot that slept
//! through Monday 08:00 sends at 11:00, once. Nothing older than the installation is owed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Bot, Rules, words};
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::digest::{self, Digest, ENDINGS, Week, WeekDebrief};
use crate::domain::person::{Person, PersonId};
use crate::domain::schedule::{Schedule, Slot as DueSlot};
use crate::ports::outbound::{Card, Chart, DigestCard, DigestSection, Quote};
use crate::store::Tx;
use crate::store::answers::Slot;
use crate::store::history::HistoryEntry;
use crate::store::outbox::{OutKind, OutRow};

/// How many weeks the chart goes back.
const WEEKS: i64 = 8;

/// The latest slot of each zone, so that the schedule is not searched at every turn.
#[derive(Debug, Default)]
pub struct Slots(Mutex<Vec<Known>>);

#[derive(Debug)]
struct Known {
    zone: TimeZone,
    latest: DueSlot,
    /// From then on there is a later one.
    until: Timestamp,
}

impl Slots {
    /// As [`Schedule::latest`] of the one `schedule` that these are slots of.
    fn latest(&self, schedule: &Schedule, now: Timestamp, zone: &TimeZone) -> Option<DueSlot> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back leaves the slot, too.
        known.retain(|known| known.latest.at <= now && now < known.until);
        if let Some(known) = known.iter().find(|known| known.zone == *zone) {
            return Some(known.latest);
        }
        let latest = schedule.latest(now, zone)?;
        let until = schedule.next(now, zone).map_or(Timestamp::MAX, |next| next.at);
        known.push(Known { zone: zone.clone(), latest, until });
        Some(latest)
    }
}

/// Queues the digests that are owed.
///
/// # Errors
/// If the store fails.
pub async fn run(bot: &Bot, slots: &Arc<Slots>, now: Timestamp) -> anyhow::Result<()> {
    let (rules, slots) = (Arc::clone(&bot.rules), Arc::clone(slots));
    let owed = bot
        .store
        .read(move |tx| {
            let installed = tx.installed_at()?;
            let mut owed = Vec::new();
            for manager in tx.managers()? {
                let Some(slot) = slots.latest(&rules.digest, now, &manager.zone) else {
                    continue;
                };
                if slot.at >= installed && !tx.has_digest(manager.id, slot.date)? {
                    owed.push((manager.id, slot));
                }
            }
            Ok(owed)
        })
        .await?;
    if owed.is_empty() {
        return Ok(());
    }
    bot.store
        .transact_behind(move |tx| {
            for (manager, slot) in &owed {
                if tx.claim_digest(*manager, slot.date, slot.at, now)? {
                    let seq = slot.date.to_string();
                    tx.enqueue(OutKind::Digest, manager.0, &seq, *manager, "", now)?;
                }
            }
            Ok(())
        })
        .await
}

/// What a digest shows of whom, and the reporting lines under which it was put together.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Those whose words or endings are in it.
    pub reps: Vec<PersonId>,
    /// Who reported to the manager then, and since when.
    lines: Vec<(PersonId, Timestamp)>,
}

/// The digest of a slot that was claimed under its local date; `None` if nobody reports to the
/// manager any more.
pub(super) fn card_for_date(
    tx: &Tx<'_>,
    rules: &Rules,
    manager: &Person,
    date: &str,
) -> anyhow::Result<Option<(Card, Shown)>> {
    let Some(slot_at) = tx.digest_slot(manager.id, date)? else {
        return Ok(None);
    };
    let before = rules.digest.latest(slot_at - SignedDuration::from_secs(1), &manager.zone);
    let from = before.map_or_else(|| a_week_before(slot_at, &manager.zone), |slot| slot.at);
    let (card, shown) = card(tx, rules, manager, (from, slot_at))?;
    Ok((!shown.lines.is_empty()).then_some((Card::Digest(card), shown)))
}

/// Asked right before a digest is posted: writes down whom it shows, unless a reporting line or the
/// manager has changed since it was put together. Says whether it may go.
pub(super) async fn may_go(bot: &Bot, row: &OutRow, shown: &Shown, now: Timestamp) -> bool {
    let (row, shown) = (row.clone(), shown.clone());
    let asked = bot.store.transact(move |tx| {
        let manager = tx.person(row.person)?.and_then(|manager| manager.chat_id);
        let is_here = match manager {
            Some(id) => tx.person_by_chat(&id)?.is_some(),
            None => false,
        };
        if !is_here || lines(tx, &tx.team_of(row.person)?)? != shown.lines {
            return Ok(false);
        }
        for &rep in &shown.reps {
            let entry = Entry::of(Actor::Person(row.person), Action::Digest).about(rep);
            tx.audit_once(&entry.within(&row.seq).for_request(&row.delivery_key), now)?;
        }
        Ok(true)
    });
    asked.await.unwrap_or_else(|error| {
        let error = format!("{error:#}");
        tracing::error!(error, "a digest waits: it could not be written down who sees whom");
        false
    })
}

/// Since when each of a team reports to their manager.
fn lines(tx: &Tx<'_>, team: &[Person]) -> anyhow::Result<Vec<(PersonId, Timestamp)>> {
    team.iter()
        .map(|rep| {
            let since = tx.manager_of(rep.id)?.map_or(Timestamp::MAX, |(_, since)| since);
            Ok((rep.id, since))
        })
        .collect()
}

/// The digest of the seven days until now.
///
/// # Errors
/// If the store fails.
pub fn preview(
    tx: &Tx<'_>,
    rules: &Rules,
    manager: &Person,
    now: Timestamp,
) -> anyhow::Result<(DigestCard, Shown)> {
    // Up to and including this second.
    let to = now + SignedDuration::from_secs(1);
    card(tx, rules, manager, (a_week_before(to, &manager.zone), to))
}

fn a_week_before(at: Timestamp, zone: &TimeZone) -> Timestamp {
    at.to_zoned(zone.clone()).saturating_sub(1.week()).timestamp()
}

fn card(
    tx: &Tx<'_>,
    rules: &Rules,
    manager: &Person,
    window: (Timestamp, Timestamp),
) -> anyhow::Result<(DigestCard, Shown)> {
    let team = tx.team_of(manager.id)?;
    let mut shown = Shown { reps: vec![], lines: lines(tx, &team)? };
    let (week, reps) = week(tx, rules, &team, &shown.lines, window, &manager.zone)?;
    let title = format!("Your team, {}", days_of(window, &manager.zone));
    if week.debriefs.is_empty() {
        let summary = quiet(&week);
        let text = format!("{title}. {summary}");
        return Ok((DigestCard { title, summary, text, sections: vec![] }, shown));
    }
    shown.reps = reps;
    let digest = digest::digest(&week);
    let sections = sections(&digest, &week);
    let text = as_text(&title, &digest.summary, &sections);
    Ok((DigestCard { title, summary: digest.summary, text, sections }, shown))
}

/// "9–15 March": the days that were mostly covered, so that a Monday morning is not among them.
fn days_of(window: (Timestamp, Timestamp), zone: &TimeZone) -> String {
    let date = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let from = date(window.0);
    words::date_range(from, date(window.1 - SignedDuration::from_hours(12)).max(from))
}

fn quiet(week: &Week) -> String {
    match week.meetings {
        0 => "A quiet week, no customer meetings.".to_owned(),
        1 => "One customer meeting and no debrief yet. Late ones are welcome.".to_owned(),
        meetings => {
            format!("{meetings} customer meetings and no debrief yet. Late ones are welcome.")
        }
    }
}

/// The week's facts, and those of the team who are in them.
fn week(
    tx: &Tx<'_>,
    rules: &Rules,
    team: &[Person],
    lines: &[(PersonId, Timestamp)],
    window: (Timestamp, Timestamp),
    zone: &TimeZone,
) -> anyhow::Result<(Week, Vec<PersonId>)> {
    let open_taps = rules.questions.open_taps();
    let mut heard = BTreeSet::new();
    let mut week = Week { reps: u32::try_from(team.len())?, ..Week::default() };
    for rep in team {
        week.meetings += tx.meetings_between(rep.id, window)?;
        let answered = tx.answered_between(rep.id, window, &open_taps)?;
        week.reps_heard += u32::from(!answered.is_empty());
        heard.extend((!answered.is_empty()).then_some(rep.id));
        week.debriefs.extend(answered.iter().map(|entry| week_debrief(rules, rep, entry)));
    }
    week.endings = endings(tx, lines, window.1, zone, &mut heard)?;
    Ok((week, heard.into_iter().collect()))
}

fn week_debrief(rules: &Rules, rep: &Person, entry: &HistoryEntry) -> WeekDebrief {
    let body = |slot: Slot| entry.answers.get(&slot).map(|answer| answer.body.clone());
    let turn = entry.answers.get(&Slot::Turn).and_then(|answer| {
        rules.questions.tap_words(&answer.question, &answer.body).map(|(_, words)| words)
    });
    WeekDebrief {
        rep: rep.first_name().to_owned(),
        account: entry.debrief.account.clone(),
        outcome: entry.debrief.outcome,
        words: body(Slot::Reflect),
        cue: body(Slot::Cue)
            .and_then(|cue| rules.questions.cue_text(&cue).map(|cue| format!("when {cue}"))),
        turn,
    }
}

/// How meetings ended in the last weeks, oldest first; weeks before the first debrief left out.
fn endings(
    tx: &Tx<'_>,
    team: &[(PersonId, Timestamp)],
    until: Timestamp,
    zone: &TimeZone,
    heard: &mut BTreeSet<PersonId>,
) -> anyhow::Result<Vec<(String, [u32; 4])>> {
    let end = until.to_zoned(zone.clone());
    let mut weeks = Vec::new();
    for ago in (0..WEEKS).rev() {
        let from = end.saturating_sub((ago + 1).weeks());
        let to = end.saturating_sub(ago.weeks()).timestamp();
        let mut counts = [0; 4];
        for (rep, since) in team {
            let seen = (from.timestamp().max(*since), to);
            for (outcome, count) in tx.endings_between(*rep, seen)? {
                if let Some(place) = ENDINGS.iter().position(|known| *known == outcome) {
                    counts[place] += count;
                    heard.insert(*rep);
                }
            }
        }
        weeks.push((from.strftime("%-d %b").to_string(), counts));
    }
    let first = weeks.iter().position(|(_, counts)| counts.iter().any(|count| *count > 0));
    Ok(weeks.split_off(first.unwrap_or(weeks.len())))
}

fn sections(digest: &Digest, week: &Week) -> Vec<DigestSection> {
    let mut sections = Vec::new();
    let lines = |heading: &str, lines: Vec<String>| {
        (!lines.is_empty()).then(|| DigestSection::Lines { heading: heading.into(), lines })
    };
    let questions = digest.questions.iter();
    let questions = questions
        .map(|question| format!("{}: {} → {}", question.rep, question.because, question.ask))
        .collect();
    sections.extend(lines("Worth asking", questions));
    if !week.endings.is_empty() {
        sections.push(DigestSection::Chart(chart(week)));
    }
    sections.extend(lines("No next step", digest.no_next_step.clone().into_iter().collect()));
    let themes: Vec<String> =
        digest.themes.iter().map(|(theme, count)| format!("{theme} ({count})")).collect();
    let themes = if themes.is_empty() { vec![] } else { vec![themes.join(" · ")] };
    sections.extend(lines("What they work on", themes));
    if !digest.quotes.is_empty() {
        let quote = |(who, account, words): &(String, String, String)| Quote {
            who: format!("{who}, {account}"),
            words: words.clone(),
        };
        sections.push(DigestSection::Quotes {
            heading: "What they would do differently".into(),
            quotes: digest.quotes.iter().map(quote).collect(),
        });
    }
    sections
}

fn chart(week: &Week) -> Chart {
    let series = ["Firm yes", "Dated step", "Nice chat", "No"].into_iter().enumerate();
    Chart {
        title: "How meetings ended, by week".into(),
        categories: week.endings.iter().map(|(label, _)| label.clone()).collect(),
        series: series
            .map(|(place, name)| {
                let values = week.endings.iter().map(|(_, counts)| counts[place]).collect();
                (name.to_owned(), values)
            })
            .collect(),
    }
}

/// The whole digest as text, for screen readers, notifications and the command line.
fn as_text(title: &str, summary: &str, sections: &[DigestSection]) -> String {
    let mut text = format!("{title}\n{summary}\n");
    for section in sections {
        // Writing into a String cannot fail.
        let _ = match section {
            DigestSection::Lines { heading, lines } => {
                write!(text, "\n{heading}\n- {}\n", lines.join("\n- "))
            }
            DigestSection::Quotes { heading, quotes } => {
                let quotes: Vec<String> = quotes
                    .iter()
                    .map(|quote| format!("- {}: “{}”", quote.who, quote.words))
                    .collect();
                write!(text, "\n{heading}\n{}\n", quotes.join("\n"))
            }
            DigestSection::Chart(chart) => {
                write!(text, "\n{}\n{}\n", chart.title, chart_lines(chart).join("\n"))
            }
        };
    }
    text.trim_end().to_owned()
}

/// "9 Mar: Firm yes 1, Nice chat 3"
fn chart_lines(chart: &Chart) -> Vec<String> {
    let week = |(place, label): (usize, &String)| {
        let counts: Vec<String> = chart
            .series
            .iter()
            .filter_map(|(name, values)| {
                let count = values.get(place).copied().filter(|count| *count > 0)?;
                Some(format!("{name} {count}"))
            })
            .collect();
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        format!("- {label}: {counts}")
    };
    chart.categories.iter().enumerate().map(week).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_slot_is_the_one_that_would_be_found() {
        let zones = ["Europe/Berlin", "America/New_York", "Pacific/Auckland"];
        let zones = zones.map(|zone| TimeZone::get(zone).unwrap());
        for text in ["0 8 * * MON", "30 2 * * *", "0 0 1 * *"] {
            let (schedule, slots) = (Schedule::parse(text).unwrap(), Slots::default());
            let begin: Timestamp = "2026-03-20T00:00:00Z".parse().unwrap();
            // Forwards through a change of the clocks, and now and then back.
            for step in 0..900_i64 {
                let minutes = if step % 7 == 6 { step * 20 - 3000 } else { step * 20 };
                let now = begin + SignedDuration::from_mins(minutes);
                for zone in &zones {
                    let found = slots.latest(&schedule, now, zone);
                    assert_eq!(found, schedule.latest(now, zone), "{text} at {now}");
                }
            }
            assert!(slots.0.lock().unwrap().len() <= zones.len());
        }
    }
}
