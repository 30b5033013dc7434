//! Saving a whole form, as `respond` does it: its key, the answers, the debrief, the refreshes; with
//! a few and with many people at the same time. The refreshes stay queued, as if Slack were slow: a
//! queue that grows must not slow saving down.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use debrief::domain::debrief::{DebriefId, Outcome};
use debrief::domain::privacy::Lock;
use debrief::flows::form::{self, Draft};
use debrief::store::Store;
use debrief::store::answers::{Answer, Slot};
use jiff::Timestamp;
use rusqlite::Connection;

use crate::disk::Raw;
use crate::report::{Report, ms, number, quantile};

const FOR: Duration = Duration::from_millis(1500);
/// More than are saved, so that nothing is saved twice before we mean it.
const DEBRIEFS: usize = 100_000;
const PEOPLE: usize = 1000;
/// Of what an overwritten page reaches, with one person and with 64 at once.
const SHARE_ALONE: f64 = 0.25;
const SHARE_TOGETHER: f64 = 0.8;

pub(crate) async fn measure(folder: &Path, raw: Raw, now: Timestamp, report: &mut Report) {
    report.part("Saving a form: key, five answers, debrief, refreshes; on disk before it returns");
    let path = folder.join("saving.db");
    Store::open(&path, now).unwrap().close();
    fill(&path, now);
    let store = Arc::new(Store::open(&path, now).unwrap());
    let next = Arc::new(AtomicUsize::new(0));
    for clients in [1, 16, 64, 256] {
        let began = Instant::now();
        let mut times = save(&store, &next, clients, now).await;
        let rate = number(times.len()) / began.elapsed().as_secs_f64();
        report.fact(&format!("{clients} at once"), rate, "/s");
        report.fact("  median", ms(quantile(&mut times, 0.5)), "ms");
        report.fact("  99th percentile", ms(quantile(&mut times, 0.99)), "ms");
        report.fact("  of appended pages flushed", rate / raw.append, "times");
        let share = rate / raw.overwrite;
        match clients {
            1 => report.at_least("  of overwritten pages flushed", share, "times", SHARE_ALONE),
            64 => report.at_least("  of overwritten pages flushed", share, "times", SHARE_TOGETHER),
            _ => report.fact("  of overwritten pages flushed", share, "times"),
        }
    }
    let changed = next.swap(0, Ordering::Relaxed);
    report.fact("forms saved, each with its messages still to be edited", number(changed), "");
    let mut times = save(&store, &next, 64, now).await;
    assert!(next.load(Ordering::Relaxed) < changed, "all of these were saved before");
    let rate = number(times.len()) / FOR.as_secs_f64();
    report.fact("64 at once, changing what was saved", rate, "/s");
    report.fact("  99th percentile", ms(quantile(&mut times, 0.99)), "ms");
    store.close();
}

fn fill(path: &Path, now: Timestamp) {
    let connection = Connection::open(path).unwrap();
    let now = now.as_second();
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {PEOPLE})
             INSERT INTO person (id, email, name, is_rep, is_manager, is_admin, standing, has_home,
                created_at)
             SELECT i, 'rep' || i || '@own.example', 'Rep', 1, 0, 0, 'member', 1, 0 FROM n;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {DEBRIEFS})
             INSERT INTO meeting (id, rep_id, uid, original_start, title, starts_at, ends_at,
                is_busy, is_customer, kind, account_key, account_name, guests)
             SELECT i, i % {PEOPLE} + 1, i, {now}, 'Call', {now}, {now}, 1, 1, 'demo', 'a', 'A', ''
             FROM n;
             INSERT INTO debrief (id, meeting_id, rep_id, state, due_at, asked_at, expires_at,
                channel, ts)
             SELECT id, id, rep_id, 'asked', {now}, {now}, {now} + 172800, 'D' || rep_id, id
             FROM meeting;
             INSERT INTO outbox (delivery_key, kind, subject, seq, person_id, state, attempts,
                created_at, not_before, first_started_at, channel, ts)
             SELECT 'key-prompt-' || id || '-1', 'prompt', id, '1', rep_id, 'sent', 1, {now}, {now},
                {now}, channel, ts
             FROM debrief;
             COMMIT;"
        ))
        .unwrap();
}

async fn save(
    store: &Arc<Store>,
    next: &Arc<AtomicUsize>,
    clients: usize,
    now: Timestamp,
) -> Vec<Duration> {
    let mut tasks = tokio::task::JoinSet::new();
    let until = Instant::now() + FOR;
    for _ in 0..clients {
        let (store, next) = (Arc::clone(store), Arc::clone(next));
        tasks.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let began = Instant::now();
                let number = next.fetch_add(1, Ordering::Relaxed);
                store.transact(move |tx| one(tx, number, now)).await.unwrap();
                times.push(began.elapsed());
            }
            times
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

fn one(tx: &debrief::store::Tx<'_>, number: usize, now: Timestamp) -> anyhow::Result<()> {
    let id = DebriefId(i64::try_from(number % DEBRIEFS)? + 1);
    tx.first_delivery(&[format!("view:V{number}")], now)?;
    let debrief = tx.debrief(id)?.unwrap();
    // Changed or not, it differs from what stands there.
    let text = format!(
        "{number} {}: {}",
        debrief.revision,
        "Ask about the budget before showing anything. ".repeat(5)
    );
    let answer =
        |question: &str, body: &str| Answer { question: question.into(), body: body.into() };
    let draft = Draft {
        outcome: Outcome::No,
        reflect: Some(answer("differently", &text)),
        by: None,
        rule: Some(("price".into(), text.clone())),
        tap: Some((Slot::Tap, answer("listening", "3"))),
        lock: Lock::Open,
    };
    form::save(tx, &debrief, &draft, now)
}
