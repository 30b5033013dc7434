//! What each room's own figures are called.
//!
//! The one place to touch when a room begins to count something.

use std::path::Path;

use super::Parts;
use super::page::{Buckets, Figure, Labels, age, moment, number};
use crate::flows::tally::Tally;
use crate::store::counts::Counts;

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
    figures.extend(store(&StoreFigures::default()));
    figures.extend(disk(&parts.store_path));
    figures.extend(keeping(&KeepingFigures::default()));
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
    // There is one provider so far.
    let synced =
        [("changed", &read.changed), ("unchanged", &read.unchanged), ("failed", &read.failed)];
    let synced = synced.map(|(result, count)| {
        let labels = vec![("provider", "ics".to_owned()), ("result", result.to_owned())];
        (labels, number(count.so_far()))
    });
    let states = [
        ("ok", feeds.fine().saturating_sub(feeds.unread)),
        ("unread", feeds.unread),
        ("partly", feeds.noted),
        ("failing", feeds.failing),
    ];
    let changes =
        [("planned", &read.planned), ("reopened", &read.reopened), ("withdrawn", &read.withdrawn)];
    vec![
        Figure::counters_by("calendar_sync", "Readings of calendars", synced),
        Figure::histograms(
            "calendar_sync_seconds",
            "How long one reading takes",
            [(Labels::new(), Buckets::from(&read.took))],
        ),
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

/// Requests by method, and refused signatures, are still counted nowhere: names without values.
fn slack(parts: &Parts) -> Vec<Figure> {
    let health = parts.socket.health();
    let refused = health.refused.is_some() || parts.messenger.is_refused();
    let skew = parts.messenger.time_there().map(|there| {
        let ahead = parts.clock.now().duration_since(there);
        ahead.as_secs_f64()
    });
    let none: [(Labels, f64); 0] = [];
    vec![
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
        Figure::counters_by(
            "slack_socket_reconnects",
            "Sockets opened again, by reason",
            none.clone(),
        ),
        Figure::gauge(
            "slack_auth_ok",
            "1 unless Slack refuses our tokens",
            if refused { 0.0 } else { 1.0 },
        ),
        Figure::gauge("clock_skew_seconds", "How far our clock is ahead of Slack's", skew),
        Figure::counters_by("slack_requests", "Calls to Slack", none.clone()),
        Figure::histograms("slack_request_seconds", "How long calls to Slack take", []),
        Figure::counters_by("slack_rate_limited", "Calls refused as too many", none.clone()),
        Figure::gauges(
            "slack_rate_learned_per_minute",
            "Calls a minute that Slack takes, as learnt",
            "method",
            [("", 0.0); 0],
        ),
        Figure::counters_by("signature_failures", "Requests that Slack did not sign", none),
    ]
}

/// What the store counts about its own work, as soon as it does.
#[derive(Debug, Default)]
struct StoreFigures {
    /// Jobs that wait, by lane.
    queue: Vec<(&'static str, u64)>,
    commits: Option<Buckets>,
    batches: Option<Buckets>,
    checkpoints: Option<Buckets>,
    busy: Option<u64>,
    errors: Vec<(&'static str, u64)>,
}

fn store(figures: &StoreFigures) -> Vec<Figure> {
    let spread = |name, help, buckets: &Option<Buckets>| {
        Figure::histograms(name, help, buckets.clone().map(|buckets| (Labels::new(), buckets)))
    };
    vec![
        spread("db_commit_seconds", "How long a commit takes, flush included", &figures.commits),
        spread("db_batch_size", "Units of work that shared a commit", &figures.batches),
        spread("db_checkpoint_seconds", "How long a checkpoint takes", &figures.checkpoints),
        Figure::gauges(
            "db_writer_queue",
            "Units of work that wait to be written",
            "lane",
            figures.queue.iter().map(|(lane, count)| (*lane, number(*count))),
        ),
        Figure::counter(
            "db_busy",
            "Commits refused because another program held the file",
            figures.busy.map(number),
        ),
        Figure::counters(
            "db_errors",
            "Work that the database refused",
            "code",
            figures.errors.iter().map(|(code, count)| (*code, number(*count))),
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

/// What is known of backups, as soon as there are some.
#[derive(Debug, Default)]
struct KeepingFigures {
    backed_up_at: Option<jiff::Timestamp>,
    verified_at: Option<jiff::Timestamp>,
    /// Whether the last check of a backup found the store whole.
    whole: Option<bool>,
}

fn keeping(figures: &KeepingFigures) -> Vec<Figure> {
    vec![
        Figure::gauge(
            "backup_last_success_timestamp_seconds",
            "When the last backup was made; 0 if there is none",
            moment(figures.backed_up_at),
        ),
        Figure::gauge(
            "backup_verified_timestamp_seconds",
            "When a backup was last verified; 0 if none was",
            moment(figures.verified_at),
        ),
        Figure::gauge(
            "integrity_ok",
            "1 if the last check found the store whole",
            figures.whole.map(f64::from),
        ),
    ]
}
