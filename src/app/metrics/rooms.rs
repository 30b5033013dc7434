//! What each room's own figures are called.
//!
//! The one place to touch when a room begins to count something.

use std::path::Path;

use super::super::keep::{self, BackupStatus};
use super::Parts;
use super::page::{Buckets, Figure, Labels, age, moment, number};
use crate::domain::roster::source::Provider;
use crate::flows::tally::Tally;
use crate::slack::figures::{BOUNDS, MethodFigures};
use crate::store::counts::Counts;
use crate::store::figures::{self, Histogram};

/// Which program this is.
pub(super) fn about_us() -> Vec<Figure> {
    let labels: Labels = vec![
        ("version", super::super::VERSION.to_owned()),
        ("commit", super::super::COMMIT.to_owned()),
    ];
    vec![Figure::gauges_by("build_info", "Which program this is", [(labels, 1.0)])]
}

pub(super) async fn gather(parts: &Parts) -> anyhow::Result<Vec<Figure>> {
    let now = parts.clock.now();
    let counts = parts.store.read(move |tx| tx.counts(now)).await?;
    let mut figures = promises(&counts, &parts.tally, now);
    figures.extend(queues(&counts, &parts.tally, now));
    figures.extend(calendars(&counts, &parts.tally, now));
    figures.extend(slack(parts));
    figures.extend(store(&parts.store.figures()));
    figures.extend(disk(&parts.store_path));
    let backup = parts.backup.clone();
    let kept = parts.store.read(move |tx| keep::backup_status(tx, &backup, now)).await?;
    figures.extend(keeping(&kept));
    Ok(figures)
}

fn promises(counts: &Counts, tally: &Tally, now: jiff::Timestamp) -> Vec<Figure> {
    let latency = [(Labels::new(), Buckets::from(&tally.prompt_latency))];
    vec![
        Figure::gauge(
            "prompts_due",
            "Questions that are due and not visible yet",
            number(counts.prompts_due),
        ),
        Figure::gauge(
            "prompt_oldest_due_age_seconds",
            "How long the oldest of them has been due",
            age(counts.oldest_due_at, now),
        ),
        Figure::counters(
            "prompts",
            "What became of questions",
            "result",
            tally.prompts.by_name().map(|(name, count)| (name, number(count))),
        ),
        Figure::histograms(
            "prompt_latency_seconds",
            "From the moment a question was due to the moment it was visible",
            latency,
        ),
        Figure::gauge(
            "prompts_unknown",
            "Messages of unknown fate, looked for before they are sent again",
            number(counts.unknown),
        ),
        Figure::counter("answers_stored", "Answers stored", number(counts.answers)),
        Figure::gauge(
            "dead_letters",
            "Frames that could not be understood",
            number(counts.dead_letters),
        ),
    ]
}

fn queues(counts: &Counts, tally: &Tally, now: jiff::Timestamp) -> Vec<Figure> {
    /// Every kind is always there, so that a chart has no holes.
    const KINDS: [&str; 6] = ["prompt", "reminder", "refresh", "digest", "note", "home"];
    let of = |kind: &str| counts.outbox.iter().find(|waiting| waiting.kind == kind);
    let ready = |kind: &str| of(kind).map_or(0.0, |waiting| number(waiting.ready));
    let oldest = |kind: &str| age(of(kind).and_then(|waiting| waiting.oldest_at), now);
    vec![
        Figure::gauges(
            "outbox_ready",
            "Messages that may be sent now",
            "kind",
            KINDS.map(|kind| (kind, ready(kind))),
        ),
        Figure::gauges(
            "outbox_oldest_age_seconds",
            "How long the oldest message has waited",
            "kind",
            KINDS.map(|kind| (kind, oldest(kind))),
        ),
        Figure::gauge("outbox_failed", "Messages given up", number(counts.failed)),
        Figure::counters(
            "digest_sent",
            "What became of digests",
            "result",
            tally.digests.by_name().map(|(name, count)| (name, number(count))),
        ),
    ]
}

fn calendars(counts: &Counts, tally: &Tally, now: jiff::Timestamp) -> Vec<Figure> {
    let (feeds, read) = (&counts.feeds, &tally.calendars);
    let of_each = Provider::ALL.map(|provider| (provider.as_str(), read.of(provider)));
    let synced = of_each.iter().flat_map(|(provider, readings)| {
        readings.by_name().map(|(result, count)| {
            let provider = ("provider", (*provider).to_owned());
            (vec![provider, ("result", result.to_owned())], number(count))
        })
    });
    let took = of_each.iter().map(|(provider, readings)| {
        (vec![("provider", (*provider).to_owned())], Buckets::from(&readings.took))
    });
    let states = [
        ("ok", feeds.fine().saturating_sub(feeds.unread)),
        ("unread", feeds.unread),
        ("partly", feeds.noted),
        ("failing", feeds.failing.saturating_sub(feeds.broken)),
        ("broken", feeds.broken),
    ];
    let changes =
        [("planned", &read.planned), ("reopened", &read.reopened), ("withdrawn", &read.withdrawn)];
    vec![
        Figure::counters_by("calendar_sync", "Readings of calendars", synced),
        Figure::histograms("calendar_sync_seconds", "How long one reading takes", took),
        Figure::gauge(
            "calendar_sync_age_seconds",
            "Since the last good reading of the calendar that has waited longest",
            age(feeds.oldest_good_at, now),
        ),
        Figure::gauges(
            "calendar_feeds",
            "Calendars by how their last reading went",
            "state",
            states.map(|(state, count)| (state, number(count))),
        ),
        Figure::gauge(
            "calendar_feeds_stale",
            "Calendars without a good reading for half an hour",
            number(feeds.stale),
        ),
        Figure::counters(
            "calendar_events_changed",
            "Questions planned, put off or withdrawn because a calendar changed",
            "kind",
            changes.map(|(kind, count)| (kind, number(count.so_far()))),
        ),
    ]
}

fn slack(parts: &Parts) -> Vec<Figure> {
    let health = parts.door.health();
    let skew = parts.messenger.time_there().map(|there| {
        let ahead = parts.clock.now().duration_since(there);
        ahead.as_secs_f64()
    });
    let mut figures = vec![
        Figure::gauge(
            "slack_socket_connected",
            "Sockets to Slack that are open",
            number(health.up as u64),
        ),
        Figure::gauge(
            "slack_socket_wanted",
            "Sockets to Slack that should be open; none if Slack posts to us",
            number(health.wanted as u64),
        ),
        Figure::counters(
            "slack_socket_reconnects",
            "Sockets that ended and were opened again, by reason",
            "reason",
            health.ended.iter().map(|(reason, count)| (*reason, number(*count))),
        ),
        Figure::gauge(
            "slack_auth_ok",
            "1 unless Slack refuses our tokens",
            if parts.is_refused() { 0.0 } else { 1.0 },
        ),
        Figure::gauge("clock_skew_seconds", "How far our clock is ahead of Slack's", skew),
        Figure::counters(
            "signature_failures",
            "Requests turned away because Slack did not sign them",
            "reason",
            health.forged.by_reason().map(|(reason, count)| (reason, number(count))),
        ),
    ];
    figures.push(Figure::counter(
        "duplicates_removed",
        "Messages that stood twice in a conversation, and of which one was removed",
        number(parts.messenger.doubles()),
    ));
    figures.extend(calls(&parts.messenger.figures()));
    figures
}

/// Calls to Slack, by method.
fn calls(methods: &[MethodFigures]) -> [Figure; 4] {
    let method = |figures: &MethodFigures| ("method", figures.method.clone());
    let requests = methods.iter().flat_map(|figures| {
        let by_code = |(code, count): (&String, &u64)| {
            (vec![method(figures), ("code", code.clone())], number(*count))
        };
        figures.requests.iter().map(by_code)
    });
    let durations = methods.iter().map(|figures| {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let counts = bounds.zip(figures.durations).collect();
        let sum = figures.duration_sum.as_secs_f64();
        (vec![method(figures)], Buckets { counts, sum })
    });
    let limited = methods.iter().map(|figures| (figures.method.clone(), figures.rate_limited));
    let learnt =
        methods.iter().filter_map(|figures| Some((&figures.method, figures.learnt_per_minute?)));
    [
        Figure::counters_by("slack_requests", "Calls to Slack", requests),
        Figure::histograms("slack_request_seconds", "How long calls to Slack take", durations),
        Figure::counters(
            "slack_rate_limited",
            "Calls refused as too many",
            "method",
            limited.map(|(method, count)| (method, number(count))),
        ),
        Figure::gauges(
            "slack_rate_learned_per_minute",
            "Calls a minute that Slack takes, as learnt",
            "method",
            learnt.map(|(method, rate)| (method.clone(), rate)),
        ),
    ]
}

fn store(figures: &figures::Figures) -> Vec<Figure> {
    let spread = |name, help, spread: &Histogram| {
        let buckets = Buckets { counts: spread.buckets.clone(), sum: spread.sum };
        Figure::histograms(name, help, [(Labels::new(), buckets)])
    };
    let waiting = [("people", figures.people_waiting), ("background", figures.behind_waiting)];
    let errors = [
        ("busy", figures.busy),
        ("full", figures.full),
        ("overloaded", figures.overloaded),
        ("other", figures.errors.saturating_sub(figures.busy + figures.full + figures.overloaded)),
    ];
    vec![
        spread("db_commit_seconds", "How long a commit takes, flush included", &figures.commits),
        spread("db_batch_size", "Units of work that shared a commit", &figures.batches),
        spread("db_checkpoint_seconds", "How long a checkpoint takes", &figures.checkpoints),
        Figure::gauges(
            "db_writer_queue",
            "Units of work that wait to be written",
            "lane",
            waiting.map(|(lane, count)| (lane, number(count as u64))),
        ),
        Figure::counter(
            "db_busy",
            "Commits refused because another program held the file",
            number(figures.busy),
        ),
        Figure::counters(
            "db_errors",
            "Work that the database refused",
            "code",
            errors.map(|(code, count)| (code, number(count))),
        ),
    ]
}

fn disk(path: &Path) -> Vec<Figure> {
    let size = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        std::fs::metadata(name).map_or(0, |about| about.len())
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let space = rustix::fs::statvfs(folder.unwrap_or(Path::new("."))).ok();
    let bytes = |blocks: fn(&rustix::fs::StatVfs) -> u64| {
        space.as_ref().map(|space| number(blocks(space).saturating_mul(space.f_frsize)))
    };
    vec![
        Figure::gauge("db_size_bytes", "The store", number(size(""))),
        Figure::gauge("db_wal_bytes", "Its write-ahead log", number(size("-wal"))),
        Figure::gauge("db_disk_free_bytes", "Room left for us", bytes(|space| space.f_bavail)),
        Figure::gauge("db_disk_size_bytes", "The disk it is on", bytes(|space| space.f_blocks)),
    ]
}

fn keeping(kept: &BackupStatus) -> Vec<Figure> {
    vec![
        Figure::gauge(
            "backup_last_success_timestamp_seconds",
            "When the last backup was made; 0 if there is none",
            moment(kept.last_success_at),
        ),
        Figure::gauge(
            "backup_verified_timestamp_seconds",
            "When a backup was last verified; 0 if none was",
            moment(kept.verified_at),
        ),
        Figure::gauge(
            "integrity_ok",
            "1 if the last check found the store whole",
            whole(kept).map(f64::from),
        ),
    ]
}

/// A backup is checked page by page, and with it the store that it is a copy of.
fn whole(kept: &BackupStatus) -> Option<bool> {
    let is_damaged = kept.problem.as_ref().is_some_and(|problem| problem.contains("is damaged"));
    if is_damaged { Some(false) } else { kept.verified_at.map(|_| true) }
}
