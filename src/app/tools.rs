//! The commands that look at things without disturbing a running bot: `explain`, `digest`,
//! `migrate`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::SystemClock;
use super::operator::operator;
use crate::config::Config;
use crate::domain::audit::{Action, Entry};
use crate::domain::roster::{self, RosterEntry};
use crate::flows::explain::{self, Known, Subject};
use crate::flows::{Rules, digest};
use crate::ports::Clock;
use crate::store::{self, Store, schema};

/// How many meetings a look at a calendar shows.
const NEXT: usize = 5;

/// Explains one rep's day. `date` is in the rep's zone; without it, today.
///
/// # Errors
/// If the rep is not on the roster or has no calendar, or if it cannot be read.
pub async fn explain(
    config: &Config,
    rep: &str,
    date: Option<Date>,
    form: Form,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let subject = subject(config, rep)?;
    let date = date.unwrap_or_else(|| now.to_zoned(subject.zone.clone()).date());
    let rules: Rules = super::rules(config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let day = explain::day(&super::calendar(config, &clock)?, &rules, &subject, date)
        .await
        .with_context(|| format!("read the calendar of {rep}"))?;
    match form {
        Form::Text => write!(out, "{day}")?,
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, &day)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// Somebody on the roster who has a calendar.
fn subject(config: &Config, rep: &str) -> anyhow::Result<Subject> {
    let entry = on_roster(config, rep)?;
    if entry.calendars.is_empty() {
        bail!("{rep} has no calendar in {}", config.roster_file.display());
    }
    let (known, chat_zone) = known(&config.store_path, &entry.email)?;
    let zone = zone_of(&entry, chat_zone);
    Ok(Subject { email: entry.email, sources: entry.calendars, zone, known })
}

/// Connects to somebody's calendars and prints their next meetings, each with what is decided about
/// it. Says whether every calendar could be read.
///
/// # Errors
/// If the rep is not on the roster or has no calendar, or if nothing can be printed.
pub async fn check_calendar(
    config: &Config,
    rep: &str,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut subject = subject(config, rep)?;
    // What was known before is no proof.
    subject.known.feeds.clear();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let calendar = super::calendar(config, &clock)?;
    let mut is_fine = true;
    let mut readable = Vec::new();
    for source in std::mem::take(&mut subject.sources) {
        let provider = source.provider();
        let email = subject.email.clone();
        match super::check::read(&calendar, source.clone(), &email, now).await {
            Ok(found) => {
                writeln!(out, "ok    {provider}: {found}")?;
                readable.push(source);
            }
            Err(problem) => {
                writeln!(out, "WRONG {provider}: {problem}")?;
                is_fine = false;
            }
        }
    }
    subject.sources = readable;
    if subject.sources.is_empty() {
        return Ok(is_fine);
    }
    let rules: Rules = super::rules(config);
    let meetings = explain::coming(&calendar, &rules, &subject, now, NEXT).await?;
    if meetings.is_empty() {
        writeln!(out, "no meetings in the next two weeks")?;
    }
    write!(out, "{}", explain::Coming { meetings: &meetings, zone: &subject.zone })?;
    Ok(is_fine)
}

/// How a command prints its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// Prints a manager's digest of the seven days until now, without sending it.
///
/// # Errors
/// If there is no store yet, or nobody of that address manages anybody.
pub fn digest(
    config: &Config,
    manager: &str,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let rules = super::rules(config);
    let address = manager.to_lowercase();
    let (manager, card, shown) = peek(&config.store_path, |tx| {
        let Some(manager) = tx.person_by_email(&address)? else {
            bail!("nobody on the roster has the address {manager}");
        };
        if tx.team_of(manager.id)?.is_empty() {
            bail!("the roster names nobody who reports to {}", manager.email);
        }
        let (card, shown) = digest::preview(tx, &rules, &manager, now)?;
        Ok((manager, card, shown))
    })?;
    // Before anything is shown.
    store::visit(&config.store_path, |tx| {
        for rep in &shown.reps {
            let entry = Entry::of(operator(), Action::DigestPrinted).about(*rep);
            tx.audit(&entry.within(format!("for person:{}", manager.id.0)), now)?;
        }
        Ok(())
    })?;
    writeln!(out, "{}", card.text)?;
    Ok(())
}

/// Creates the store or brings it up to date.
///
/// # Errors
/// If another process uses it, or it is not ours.
pub fn migrate(config: &Config, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = &config.store_path;
    drop(Store::open(path, now)?);
    writeln!(out, "{}: schema {}, up to date", path.display(), schema::MIGRATIONS.len())?;
    Ok(())
}

/// Looks into a store that must exist.
pub(super) fn peek<T>(
    path: &Path,
    look: impl FnOnce(&store::Tx<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if !path.exists() {
        bail!("there is no store {} yet; `debrief run` makes it", path.display());
    }
    store::peek(path, look)
}

/// The row of `email` in the roster file.
pub(super) fn on_roster(config: &Config, email: &str) -> anyhow::Result<RosterEntry> {
    let file = &config.roster_file;
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("read the roster {}", file.display()))?;
    let email = email.to_lowercase();
    let mut people = roster::parse(&text).people.into_iter();
    people.find(|entry| entry.email == email).with_context(|| {
        format!("{email} is not in {}; `debrief check` tells more", file.display())
    })
}

fn known(store: &Path, email: &str) -> anyhow::Result<(Known, Option<TimeZone>)> {
    if !store.exists() {
        return Ok((Known::default(), None));
    }
    store::peek(store, |tx| explain::known(tx, email))
}

/// The roster's zone, else Slack's as the store remembers it, else UTC.
fn zone_of(entry: &RosterEntry, chat_zone: Option<TimeZone>) -> TimeZone {
    let own = entry.zone.as_deref().and_then(|zone| TimeZone::get(zone).ok());
    own.or(chat_zone).unwrap_or(TimeZone::UTC)
}
