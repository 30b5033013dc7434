//! Why a meeting is asked about, or is not: every meeting of one rep's day, with the reason.
//!
//! The calendar is read anew; if that fails, its last good state is used and the failure is said.

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use super::{Rules, words};
use crate::domain::debrief::{State, ask_at};
use crate::domain::meeting::{Guess, Occurrence, Verdict, is_absence, is_busy, judge};
use crate::domain::roster::source::CalendarSource;
use crate::ports::{Calendar, CalendarRequest, FeedState};
use crate::store::Tx;
use crate::store::feeds::Feed;

/// Whose day it is, and what the store knows of them; a store is not needed.
pub struct Subject {
    pub email: String,
    /// At least one.
    pub sources: Vec<CalendarSource>,
    pub zone: TimeZone,
    pub known: Known,
}

/// What an earlier run left in the store.
#[derive(Default)]
pub struct Known {
    /// The last good state of each calendar, by the roster's spelling.
    pub feeds: HashMap<String, FeedState>,
    pub corrections: HashMap<String, Guess>,
    /// What became of each meeting's debrief.
    pub debriefs: HashMap<(String, Timestamp), State>,
}

/// A day, explained.
#[derive(Debug, Serialize)]
pub struct Explained {
    pub date: Date,
    pub zone: String,
    /// Why the calendar could not be read, where the last good state had to do.
    pub problem: Option<String>,
    pub warnings: Vec<String>,
    pub meetings: Vec<ExplainedMeeting>,
}

/// One meeting and what is decided about it.
#[derive(Debug, Serialize)]
pub struct ExplainedMeeting {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Local, "14:00–14:45".
    pub time: String,
    /// Empty for private ones.
    pub title: String,
    pub is_customer: bool,
    pub kind: Option<&'static str>,
    pub account: Option<String>,
    pub domain: Option<String>,
    /// When it is asked about.
    pub ask_at: Option<Timestamp>,
    /// What the store says became of it.
    pub state: Option<&'static str>,
    pub reason: String,
}

/// What the store knows about a rep, for [`Subject::known`].
///
/// # Errors
/// If the store fails.
pub fn known(tx: &Tx<'_>, email: &str) -> anyhow::Result<(Known, Option<TimeZone>)> {
    let Some(rep) = tx.person_by_email(email)? else {
        return Ok((Known::default(), None));
    };
    let feeds = tx.feeds(rep.id)?;
    let state = |feed: Feed| Some((feed.source.clone(), super::collect::known_state(&feed)?));
    Ok((
        Known {
            feeds: feeds.into_iter().filter_map(state).collect(),
            corrections: tx.corrections(rep.id)?,
            debriefs: tx.debrief_states(rep.id)?,
        },
        Some(rep.zone),
    ))
}

/// Explains one day.
///
/// # Errors
/// If neither the calendar nor a last good state of it can be read.
pub async fn day(
    calendar: &dyn Calendar,
    rules: &Rules,
    subject: &Subject,
    date: Date,
) -> anyhow::Result<Explained> {
    let midnight = |date: Date| {
        date.to_zoned(subject.zone.clone()).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
    };
    // The neighbouring days show what else keeps the rep busy.
    let (from, to) = (midnight(date), midnight(date.saturating_add(1.day())));
    let window = (midnight(date.saturating_sub(1.day())), midnight(date.saturating_add(3.days())));
    let reading = read(calendar, subject, window).await?;
    let meetings = reading.occurrences.iter();
    // One that ends at midnight was yesterday's.
    let today = meetings
        .filter(|meeting| meeting.start < to && (meeting.end > from || meeting.start >= from));
    Ok(Explained {
        date,
        zone: subject.zone.iana_name().unwrap_or("UTC").to_owned(),
        problem: reading.problem,
        warnings: reading.warnings.clone(),
        meetings: today
            .map(|meeting| explain(meeting, &reading.occurrences, rules, subject))
            .collect(),
    })
}

/// Explains the next meetings from `now` on, at most so many, of the next two weeks.
///
/// # Errors
/// As [`day`].
pub async fn coming(
    calendar: &dyn Calendar,
    rules: &Rules,
    subject: &Subject,
    now: Timestamp,
    most: usize,
) -> anyhow::Result<Vec<ExplainedMeeting>> {
    let window = (now - SignedDuration::from_hours(24), now + SignedDuration::from_hours(14 * 24));
    let reading = read(calendar, subject, window).await?;
    let coming = reading.occurrences.iter().filter(|meeting| meeting.start >= now).take(most);
    Ok(coming.map(|meeting| explain(meeting, &reading.occurrences, rules, subject)).collect())
}

/// What all of somebody's calendars show.
struct Reading {
    /// Each meeting once, sorted by start.
    occurrences: Vec<Occurrence>,
    problem: Option<String>,
    warnings: Vec<String>,
}

/// Reads them all; one that cannot be read is shown as it was known.
async fn read(
    calendar: &dyn Calendar,
    subject: &Subject,
    window: (Timestamp, Timestamp),
) -> anyhow::Result<Reading> {
    let mut found = Reading { occurrences: Vec::new(), problem: None, warnings: Vec::new() };
    for source in &subject.sources {
        let request = CalendarRequest {
            known: subject.known.feeds.get(&source.to_string()).cloned(),
            source: source.clone(),
            email: subject.email.clone(),
            zone: subject.zone.clone(),
            window,
        };
        let reading = match calendar.read(&request).await {
            Ok(reading) => reading,
            Err(error) => {
                let known = calendar.read_known(&request).await;
                if known.is_none() && subject.sources.len() == 1 {
                    return Err(error.into());
                }
                let before = found.problem.take().map(|problem| problem + "; ").unwrap_or_default();
                found.problem = Some(before + &error.reason);
                let Some(known) = known else { continue };
                known
            }
        };
        found.warnings.extend(reading.warnings);
        found.occurrences.extend(reading.occurrences);
    }
    let mut seen = HashSet::new();
    found.occurrences.retain(|meeting| seen.insert((meeting.uid.clone(), meeting.original_start)));
    found.occurrences.sort_by_key(|meeting| (meeting.start, meeting.end));
    Ok(found)
}

fn explain(
    meeting: &Occurrence,
    all: &[Occurrence],
    rules: &Rules,
    subject: &Subject,
) -> ExplainedMeeting {
    let zone = &subject.zone;
    let time = if meeting.all_day {
        "all day".to_owned()
    } else {
        format!("{}–{}", words::clock(meeting.start, zone), words::clock(meeting.end, zone))
    };
    let identity = (meeting.uid.clone(), meeting.original_start);
    let state = subject.known.debriefs.get(&identity).map(|state| state.as_str());
    let mut explained = ExplainedMeeting {
        start: meeting.start,
        end: meeting.end,
        time,
        title: if meeting.private { String::new() } else { meeting.title.clone() },
        is_customer: false,
        kind: None,
        account: None,
        domain: None,
        ask_at: None,
        state,
        reason: String::new(),
    };
    match judge(meeting, &subject.email, &rules.meetings) {
        Verdict::Skip(reason) => explained.reason = reason.to_string(),
        Verdict::Customer(guess) => {
            let guess = subject.known.corrections.get(&meeting.uid).cloned().unwrap_or(guess);
            let at = ask_at(meeting.end, &busy(all, meeting, subject), &rules.prompt, zone);
            let back = all
                .iter()
                .filter(|other| is_absence(other, &subject.email))
                .filter(|away| (away.start..away.end).contains(&at))
                .map(|away| away.end)
                .max();
            let at = back.map_or(at, |back| rules.prompt.hours.next_open(back, zone, meeting.end));
            explained.is_customer = true;
            explained.kind = Some(guess.kind.as_str());
            let away = if back.is_some() { ", out of office until then" } else { "" };
            explained.reason = format!("external guest at {}{away}", guess.account.key);
            explained.account = Some(guess.account.name);
            explained.domain = Some(guess.account.key);
            explained.ask_at = Some(at);
        }
    }
    explained
}

/// When the rep is in other meetings.
fn busy(all: &[Occurrence], this: &Occurrence, subject: &Subject) -> Vec<(Timestamp, Timestamp)> {
    all.iter()
        .filter(|meeting| *meeting != this && is_busy(meeting, &subject.email))
        .map(|meeting| (meeting.start, meeting.end))
        .collect()
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC);
        writeln!(f, "{} ({})", self.date.strftime("%A %-d %B %Y"), self.zone)?;
        if let Some(problem) = &self.problem {
            writeln!(f, "! the last good state is shown: {problem}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "! {warning}")?;
        }
        if self.meetings.is_empty() {
            writeln!(f, "no meetings")?;
        }
        for meeting in &self.meetings {
            meeting.write(f, "", &zone)?;
        }
        Ok(())
    }
}

impl ExplainedMeeting {
    /// Two lines, the first of which begins with `day`.
    fn write(&self, f: &mut fmt::Formatter<'_>, day: &str, zone: &TimeZone) -> fmt::Result {
        let title = if self.title.is_empty() { "(no title)" } else { &self.title };
        let indent = " ".repeat(day.chars().count());
        write!(f, "{day}{:11}  {title}\n{indent}             ", self.time)?;
        match (self.kind, &self.account, self.ask_at) {
            (Some(kind), Some(account), Some(at)) => {
                let when = words::soon(at, self.end, zone);
                write!(f, "ask {when}: {kind} with {account} ({})", self.reason)?;
            }
            _ => write!(f, "skip: {}", self.reason)?,
        }
        match self.state {
            Some(state) => writeln!(f, "; now {state}"),
            None => writeln!(f),
        }
    }
}

/// Meetings of several days, each with its own.
pub struct Coming<'m> {
    pub meetings: &'m [ExplainedMeeting],
    pub zone: &'m TimeZone,
}

impl fmt::Display for Coming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for meeting in self.meetings {
            let day = meeting.start.to_zoned(self.zone.clone()).strftime("%a %-d %b");
            meeting.write(f, &format!("{day:10}  "), self.zone)?;
        }
        Ok(())
    }
}
