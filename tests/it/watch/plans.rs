//! Nobody waits for a table to be read from end to end, however much the store holds.

use debrief::domain::debrief::DebriefId;
use debrief::domain::latest::Said;
use debrief::domain::person::PersonId;
use debrief::domain::privacy::Viewer;
use debrief::flows::{digest, home};
use debrief::store::feeds::FeedId;
use debrief::store::history::{HistoryFilter, HistoryScope};
use debrief::store::outbox::Queue;
use debrief::store::plans::plans;
use debrief::store::{Store, Tx};
use jiff::{SignedDuration, Timestamp};

use crate::world::World;

/// Steps that look like scans and read next to nothing: the one installation, the full-text index
/// (which seeks words) and its few settings, lists that a statement made itself, calendars in an index of a few bytes each.
const HARMLESS: [&str; 7] = [
    "SCAN installation",
    "SCAN CONSTANT ROW",
    "SCAN answer_fts VIRTUAL TABLE INDEX",
    "SCAN main.answer_fts_config",
    "SCAN (subquery",
    "SCAN subquery",
    "SCAN feed USING COVERING INDEX feed_health",
];

/// The statements of `work` that read a whole table.
fn scans(path: &std::path::Path, work: impl FnOnce(&Tx<'_>) -> anyhow::Result<()>) -> Vec<String> {
    let plans = plans(path, work).unwrap();
    assert!(!plans.is_empty(), "nothing was asked");
    let scans = plans.into_iter().filter(|plan| {
        let bad = |step: &&String| {
            step.starts_with("SCAN") && !HARMLESS.iter().any(|fine| step.starts_with(fine))
        };
        // Partial indices hold open rows only; reading one to its end is what is wanted.
        let open = |step: &&String| {
            [
                "outbox_due",
                "outbox_next",
                "outbox_sending",
                "outbox_failed",
                "debrief_due",
                "answer_unindexed",
                "person_unmatched",
            ]
            .iter()
            .any(|index| step.ends_with(&format!("INDEX {index}")))
        };
        plan.steps.iter().filter(bad).any(|step| !open(&step))
    });
    scans.map(|plan| format!("{}\n  {}", plan.sql, plan.steps.join("\n  "))).collect()
}

fn now() -> Timestamp {
    "2026-03-10T14:00:00Z".parse().unwrap()
}

fn empty_store() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("debrief.db");
    drop(Store::open(&path, now()).unwrap());
    (folder, path)
}

#[test]
fn a_history_is_found_and_not_searched_for() {
    let (_folder, path) = empty_store();
    for viewer in [Viewer::Rep, Viewer::DirectManager] {
        for account in [None, Some("acme".to_owned())] {
            for words in [vec![], vec!["price".to_owned(), "budget".to_owned()]] {
                for before in [None, Some(DebriefId(7))] {
                    let filter = HistoryFilter {
                        account: account.clone(),
                        since: Some(now() - SignedDuration::from_hours(24 * 30)),
                        words: words.clone(),
                        before,
                    };
                    let scope = HistoryScope { rep: PersonId(1), viewer, from: Some(now()) };
                    let found = scans(&path, |tx| tx.history(scope, &filter, &[], 20).map(drop));
                    assert!(found.is_empty(), "{}", found.join("\n"));
                }
            }
        }
    }
}

fn said() -> Said {
    let (start, end) = (now(), now());
    Said { start, end, cancelled: false, sequence: None, news_at: now() }
}

#[test]
fn what_waits_and_what_is_due_is_found() {
    type Path = fn(&Tx<'_>) -> anyhow::Result<()>;
    let (_folder, path) = empty_store();
    let ways: [(&str, Path); 28] = [
        ("waiting", |tx| tx.waiting(PersonId(1), now()).map(drop)),
        ("asked now", |tx| tx.asked_now(PersonId(1)).map(drop)),
        ("claim", |tx| tx.claim_due(Queue::Posts, now(), 32).map(drop)),
        ("due debriefs", |tx| tx.due_debriefs(now(), 200).map(drop)),
        ("overdue plans", |tx| tx.overdue_plans(now()).map(drop)),
        ("due reminders", |tx| tx.due_reminders(now(), 200).map(drop)),
        ("expired", |tx| tx.expired(now()).map(drop)),
        ("next due", |tx| tx.next_due_at(now()).map(drop)),
        ("next delivery", |tx| tx.next_delivery_at(Queue::Posts).map(drop)),
        ("orphans", |tx| tx.doubt_orphans(now()).map(drop)),
        ("outbox health", |tx| tx.outbox_health().map(drop)),
        ("due feeds", |tx| tx.due_feeds(now(), 64).map(drop)),
        ("next feed", |tx| tx.next_feed_at().map(drop)),
        ("stale feeds", |tx| tx.stale_feeds(PersonId(1), now(), now()).map(drop)),
        ("sightings", |tx| tx.sightings(FeedId(1), (now(), now())).map(drop)),
        ("other sightings", |tx| tx.other_sightings(1, FeedId(1)).map(drop)),
        ("orphaned", |tx| tx.orphaned_meetings(PersonId(1), (now(), now())).map(drop)),
        ("twin", |tx| {
            tx.twin_of(PersonId(1), FeedId(1), ("acme.example", "Acme"), (now(), now())).map(drop)
        }),
        ("word", |tx| tx.organisers_word(&("acme".into(), now())).map(drop)),
        ("words", |tx| tx.note_organisers_word(&("acme".into(), now()), &said(), 0)),
        ("absent", |tx| tx.absent_until(PersonId(1), now()).map(drop)),
        ("seen", |tx| tx.seen_at(DebriefId(1)).map(drop)),
        ("unmatched", |tx| tx.unmatched().map(drop)),
        ("forget", |tx| tx.forget_deliveries(now())),
        ("first delivery", |tx| tx.first_delivery(&["key".into()], now()).map(drop)),
        ("words to index", |tx| tx.index_words(100).map(drop)),
        ("a rep's words to index", |tx| tx.has_unindexed_words(PersonId(1)).map(drop)),
        ("doubled", |tx| tx.doubled_prompts(0, 2000).map(drop)),
    ];
    for (name, way) in ways {
        let found = scans(&path, way);
        assert!(found.is_empty(), "{name}: {}", found.join("\n"));
    }
    // Dead letters are few, or an administrator is being told so.
    let found = scans(&path, |tx| tx.counts(now()).map(drop));
    assert!(found.iter().all(|scan| scan.contains("FROM dead_letter")), "{}", found.join("\n"));
}

#[tokio::test]
async fn home_tabs_and_digests_are_found() {
    let mut world = World::asked_about_acme().await;
    world.press(crate::world::MAYA, "No").await;
    let rules = std::sync::Arc::clone(&world.running().bot().rules);
    let now = debrief::ports::Clock::now(&*world.clock);
    world.stop().await;
    for email in ["maya@own.example", "leo@own.example", "priya@own.example"] {
        let found = scans(&world.path("debrief.db"), |tx| {
            let person = tx.person_by_email(email)?.unwrap();
            home::home(tx, &rules, &person, now)?;
            if person.is_manager {
                digest::preview(tx, &rules, &person, now)?;
            }
            Ok(())
        });
        assert!(found.is_empty(), "{email}: {}", found.join("\n"));
    }
}

#[test]
fn the_proof_would_notice_a_scan() {
    let (_folder, path) = empty_store();
    let found = scans(&path, |tx| tx.everybody().map(drop));
    assert_eq!(found.len(), 1, "{found:?}");
}
