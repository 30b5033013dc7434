//! `debrief check`: is everything in order? One line each, with the remedy.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::SystemClock;
use super::keep::backup_status;
use crate::config::secrets::{self, Secrets};
use crate::config::{Config, ConfigError};
use crate::domain::roster::source::CalendarSource;
use crate::domain::roster::{self, Roster, RosterEntry};
use crate::flows::collect::apply::BROKEN_AFTER;
use crate::ports::{Calendar, CalendarRequest, Clock, Messenger, SendError};
use crate::slack::pace::Pace;
use crate::store;
use crate::store::feeds::FeedHealth;

/// How many calendars are read at the same time.
const AT_ONCE: usize = 8;

/// What was found, line by line.
struct Report<'o> {
    out: &'o mut dyn Write,
    wrong: bool,
}

impl Report<'_> {
    fn good(&mut self, what: &str, found: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "ok    {what:9} {found}")?)
    }

    /// Worth knowing, and no reason to fail.
    fn note(&mut self, what: &str, found: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "note  {what:9} {found}")?)
    }

    fn bad(&mut self, what: &str, found: &str) -> anyhow::Result<()> {
        self.wrong = true;
        Ok(writeln!(self.out, "WRONG {what:9} {found}")?)
    }
}

/// Checks everything. Says whether all is well.
///
/// # Errors
/// Only if the report cannot be written.
pub async fn run(
    path: &Path,
    config: &Config,
    secrets: Result<Secrets, ConfigError>,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut report = Report { out, wrong: false };
    report.good("config", &path.display().to_string())?;
    let roster = check_roster(config, &mut report)?;
    let stored = check_store(config, &roster, &mut report)?;
    check_backup(config, now, &mut report)?;
    check_slack(config, secrets, &mut report).await?;
    let config = &check_google(config, &mut report)?;
    let config = &check_microsoft(config, &mut report)?;
    check_calendars(config, &roster, &stored, now, &mut report).await?;
    digest_times(config, &roster, &stored, now, &mut report)?;
    Ok(!report.wrong)
}

fn check_roster(config: &Config, report: &mut Report<'_>) -> anyhow::Result<Roster> {
    let file = config.roster_file.display();
    let text = match std::fs::read_to_string(&config.roster_file) {
        Ok(text) => text,
        Err(error) => {
            let found = format!("{file}: {error}; copy config/roster.example.csv and fill it in");
            report.bad("roster", &found)?;
            return Ok(Roster::default());
        }
    };
    let roster = roster::parse(&text);
    for problem in &roster.problems {
        report.bad("roster", &format!("{file}: {problem}"))?;
    }
    let count = |is: fn(&RosterEntry) -> bool| roster.people.iter().filter(|row| is(row)).count();
    let found = format!(
        "{file}: {} people, {} reps, {} calendars",
        roster.people.len(),
        count(|row| row.roles.rep),
        count(|row| !row.calendars.is_empty()),
    );
    report.good("roster", &found)?;
    Ok(roster)
}

/// What an earlier run knows.
#[derive(Default)]
struct Stored {
    feeds: Vec<FeedHealth>,
    zones: Vec<(String, TimeZone)>,
}

fn check_store(
    config: &Config,
    roster: &Roster,
    report: &mut Report<'_>,
) -> anyhow::Result<Stored> {
    let path = &config.store_path;
    if !path.exists() {
        let made = format!("{}: made at the first run", path.display());
        match store::place::expect_present(path, super::missing_store(config)) {
            Ok(()) => report.good("store", &made)?,
            Err(refused) => report.bad("store", &refused.to_string())?,
        }
        return Ok(Stored::default());
    }
    let looked = store::expect_startable(path).and_then(|()| {
        store::peek(path, |tx| {
            let people = tx.everybody()?;
            let zones = people.into_iter().map(|person| (person.email, person.zone)).collect();
            let stored = Stored { feeds: tx.feeds_health()?, zones };
            let erased = roster.people.iter().filter_map(|row| {
                let erased = tx.erased(&row.email).transpose()?;
                Some(erased.map(|erased| (row.line, erased.at)))
            });
            let erased: Vec<(usize, Timestamp)> = erased.collect::<anyhow::Result<_>>()?;
            Ok((stored, tx.unmatched()?, tx.outbox_health()?, erased))
        })
    });
    let (stored, unmatched, queue, erased) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            report.bad("store", &format!("{error:#}"))?;
            return Ok(Stored::default());
        }
    };
    let found = format!(
        "{}: {} messages waiting, {} given up",
        path.display(),
        queue.queued + queue.uncertain,
        queue.failed
    );
    report.good("store", &found)?;
    for (line, at) in erased {
        let found = format!(
            "{}: line {line} is left out: this person was erased on {}; remove the row",
            config.roster_file.display(),
            at.strftime("%F")
        );
        report.bad("roster", &found)?;
    }
    for (email, standing) in unmatched {
        let why = match standing.as_str() {
            "missing" => "nobody in Slack has this address; correct the roster",
            "gone" => "deactivated in Slack, or cannot be written to",
            _ => "a guest or a bot in Slack; only members are asked",
        };
        report.bad("person", &format!("{email}: {why}"))?;
    }
    Ok(stored)
}

/// Says nothing of a store that is not there, or that was found bad already.
fn check_backup(config: &Config, now: Timestamp, report: &mut Report<'_>) -> anyhow::Result<()> {
    let looked = store::peek(&config.store_path, |tx| backup_status(tx, &config.backup, now));
    let Ok(status) = looked else {
        return Ok(());
    };
    let folder = config.backup.folder.display();
    let last = match status.last_success_at {
        Some(at) => format!("{folder}: the last one of {at}"),
        None => format!("{folder}: none yet"),
    };
    if let Some(problem) = status.problem {
        return report.bad("backup", &format!("{last}; the last try failed: {problem}"));
    }
    if status.is_overdue {
        return report.bad("backup", &format!("{last}; is the bot running?"));
    }
    let next =
        config.backup.schedule.as_ref().and_then(|schedule| schedule.next(now, &TimeZone::UTC));
    match next {
        Some(next) => report.good("backup", &format!("{last}, the next one at {}", next.at)),
        None => report.note("backup", &format!("{last}; none is made by itself")),
    }
}

async fn check_slack(
    config: &Config,
    secrets: Result<Secrets, ConfigError>,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let secrets = match secrets {
        Ok(secrets) => secrets,
        Err(error) => return report.bad("slack", &error.to_string()),
    };
    let greeted = super::messenger(config, &secrets, Pace::slack())?.preflight().await;
    match greeted {
        Ok(who) if who.missing_scopes.is_empty() => {
            report.good("slack", &format!("workspace {}, scopes complete", who.team_name))
        }
        Ok(who) => {
            let missing = who.missing_scopes.join(", ");
            let found = format!(
                "the bot token lacks {missing}; add them under “OAuth & Permissions” and install \
                 the app again"
            );
            report.bad("slack", &found)
        }
        Err(SendError::Later { .. } | SendError::Unknown) => {
            let found =
                format!("{} does not answer; is this machine online?", config.slack_api_url);
            report.bad("slack", &found)
        }
        Err(error) => {
            report.bad("slack", &format!("{error}: {}", super::refusal_help(config.slack_mode)))
        }
    }
}

/// Who reads Google Calendar. What remains to be checked if the key is of no use goes on without it.
fn check_google(config: &Config, report: &mut Report<'_>) -> anyhow::Result<Config> {
    let Some(google) = &config.google else {
        return Ok(config.clone());
    };
    match super::google::look(google) {
        Ok(found) => {
            report.good("google", &found.account)?;
            if let Some(warning) = found.warning {
                report.note("google", &warning)?;
            }
            Ok(config.clone())
        }
        Err(error) => {
            report.bad("google", &error.to_string())?;
            Ok(Config { google: None, ..config.clone() })
        }
    }
}

/// Who reads Microsoft 365. What remains to be checked if there is no secret goes on without it.
fn check_microsoft(config: &Config, report: &mut Report<'_>) -> anyhow::Result<Config> {
    let Some(microsoft) = &config.microsoft else {
        return Ok(config.clone());
    };
    match secrets::microsoft_from_env() {
        Ok(_) => {
            let (app, tenant) = (&microsoft.client_id, &microsoft.tenant);
            report.good("microsoft", &format!("app {app} of the tenant {tenant}"))?;
            Ok(config.clone())
        }
        Err(error) => {
            report.bad("microsoft", &error.to_string())?;
            Ok(Config { microsoft: None, ..config.clone() })
        }
    }
}

async fn check_calendars(
    config: &Config,
    roster: &Roster,
    stored: &Stored,
    now: Timestamp,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let calendar: Arc<dyn Calendar> = match super::calendar(config, &clock) {
        Ok(calendar) => Arc::new(calendar),
        Err(error) => return report.bad("calendar", &format!("{error:#}")),
    };
    let mut waiting = roster
        .people
        .iter()
        .flat_map(|row| row.calendars.iter().map(|calendar| (row.email.clone(), calendar.clone())))
        .collect::<Vec<_>>()
        .into_iter();
    let mut reading = JoinSet::new();
    let mut found: Vec<(String, CalendarSource, Result<String, String>)> = Vec::new();
    loop {
        while reading.len() < AT_ONCE {
            let Some((email, source)) = waiting.next() else {
                break;
            };
            let calendar = Arc::clone(&calendar);
            reading.spawn(async move {
                let found = read(&*calendar, source.clone(), &email, now).await;
                (email, source, found)
            });
        }
        match reading.join_next().await {
            None => break,
            Some(one) => found.push(one?),
        }
    }
    found.sort_by_cached_key(|(email, source, _)| (email.clone(), source.to_string()));
    for (email, source, result) in found {
        let several = roster.people.iter().any(|row| row.email == email && row.calendars.len() > 1);
        let which = if several { format!("{}: ", source.provider()) } else { String::new() };
        match result {
            Ok(line) => report.good("calendar", &format!("{email}: {which}{line}"))?,
            Err(problem) => {
                let spelling = source.to_string();
                let mut known = stored.feeds.iter();
                let known = known.find(|feed| feed.email == email && feed.source == spelling);
                let last = known.map(remembered).unwrap_or_default();
                report.bad("calendar", &format!("{email}: {which}{problem}{last}"))?;
            }
        }
    }
    Ok(())
}

/// What a running bot makes of a calendar that cannot be read.
fn remembered(feed: &FeedHealth) -> String {
    let broken = feed.gone >= BROKEN_AFTER;
    let broken =
        if broken { "; broken: the rep was told, the roster needs a new address" } else { "" };
    match feed.good_at {
        Some(at) => format!("{broken}; in use is the state of {at}"),
        None => broken.to_owned(),
    }
}

pub(super) async fn read(
    calendar: &dyn Calendar,
    source: CalendarSource,
    email: &str,
    now: Timestamp,
) -> Result<String, String> {
    let window = (now, now + SignedDuration::from_hours(7 * 24));
    let (email, zone) = (email.to_owned(), TimeZone::UTC);
    let request = CalendarRequest { source, email, zone, window, known: None };
    let reading = calendar.read(&request).await.map_err(|error| error.reason)?;
    let meetings = reading.occurrences.len();
    let warnings = match reading.warnings.as_slice() {
        [] => String::new(),
        [first, rest @ ..] => format!("; {first} ({} more)", rest.len()),
    };
    Ok(format!("{meetings} meetings in the next 7 days{warnings}"))
}

/// The next three digests, once for each zone that a manager lives in.
fn digest_times(
    config: &Config,
    roster: &Roster,
    stored: &Stored,
    now: Timestamp,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let zone_of = |row: &RosterEntry| {
        let own = row.zone.as_deref().and_then(|zone| TimeZone::get(zone).ok());
        let known = || stored.zones.iter().find(|(email, _)| *email == row.email);
        own.or_else(|| known().map(|(_, zone)| zone.clone())).unwrap_or(TimeZone::UTC)
    };
    let mut zones: Vec<TimeZone> = Vec::new();
    for manager in roster.people.iter().filter(|row| row.roles.manager) {
        let zone = zone_of(manager);
        if !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    if zones.is_empty() {
        return report.note("digest", "the roster has no manager, so no digest is sent");
    }
    for zone in zones {
        let times: Vec<String> = config
            .digest_schedule
            .upcoming(now, &zone, 3)
            .into_iter()
            .map(|slot| slot.at.to_zoned(zone.clone()).strftime("%a %-d %b %H:%M").to_string())
            .collect();
        let name = zone.iana_name().unwrap_or("UTC");
        report.good("digest", &format!("{} ({name})", times.join(", ")))?;
    }
    Ok(())
}
