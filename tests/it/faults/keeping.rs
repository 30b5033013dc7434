//! Backup, restore, erasure: what goes wrong while keeping.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use debrief::domain::retention::{Age, Retention};
use debrief::playground::deeds::Submitted;
use debrief::playground::faults::Fault;
use debrief::store::Store;
use debrief::store::retention::{Limits, Step};
use jiff::SignedDuration;
use rusqlite::Connection;

use crate::cli::beside as debrief;
use crate::threats::keeping::bytes;
use crate::world::{LEO, MAYA, NINA, ROSTER, TOM, World, local};

fn names(folder: &Path) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(folder) else {
        return vec![];
    };
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Makes the store so large that a copy of it takes a while.
pub(crate) fn swell(store: &Path) {
    let store = Connection::open(store).unwrap();
    store
        .execute_batch(
            "INSERT INTO dead_letter (received_at, kind, raw)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
             SELECT 4000000000, 'frame', hex(zeroblob(1000)) FROM n",
        )
        .unwrap();
}

/// The store and its log as they lie on the disk this very moment: what a killed process leaves.
fn as_if_killed(from: &Path, to: &Path) {
    for ending in ["", "-wal"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        if Path::new(&name(from)).exists() {
            std::fs::copy(name(from), name(to)).unwrap();
        }
    }
}

/// Begins a backup and kills it. Says what it left, unless it was done by then.
fn killed_half_way(world: &World, folder: &Path) -> Option<Vec<String>> {
    let is_partial = |name: &String| name.ends_with(".db.partial");
    let mut backup = Command::new(env!("CARGO_BIN_EXE_debrief"))
        .args(["--config", "c.toml", "backup"])
        .current_dir(world.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !names(folder).iter().any(is_partial) && backup.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_mins(1), "no backup was begun");
        std::thread::yield_now();
    }
    // SIGKILL: nothing of it can tidy up.
    backup.kill().unwrap();
    backup.wait().unwrap();
    let left = names(folder);
    if left.iter().any(is_partial) {
        return Some(left);
    }
    for (_, done) in debrief::store::backup::list(folder).unwrap() {
        std::fs::remove_file(done).unwrap();
    }
    None
}

#[tokio::test]
async fn f06_a_backup_that_was_killed_leaves_nothing_after_the_next_start() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    world.stop().await;
    swell(&world.path("debrief.db"));
    std::fs::write(world.path("c.toml"), world.config_text()).unwrap();
    let folder = world.path("debrief.db.backups");
    // On a busy machine the first backup may be faster than its killer.
    let left = (0..5).find_map(|_| killed_half_way(&world, &folder)).expect("never in time");
    let whole = debrief::store::backup::list(&folder).unwrap();
    assert!(whole.is_empty(), "half a backup has a whole name: {left:?}");
    // A restore that was killed leaves a folder.
    let workshop = world.path("debrief.db.restoring");
    std::fs::create_dir(&workshop).unwrap();
    std::fs::write(workshop.join("debrief.db"), "half").unwrap();
    world.start().await;
    assert_eq!(names(&folder), ["lock"]);
    assert!(!workshop.exists());
    // And the next one is made as if nothing had happened.
    world.turn_to("2026-03-11T04:00").await;
    assert!(names(&folder).contains(&"debrief-20260311-030000.db".to_owned()));
}

#[tokio::test]
async fn f06_a_digest_run_that_was_killed_goes_on_with_the_managers_not_yet_sent() {
    let mut world = World::new(&[]).await;
    world.write_roster(&ROSTER.replace("Tom Okafor,rep,leo@", "Tom Okafor,rep,nina@"));
    world.settle().await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    world.answered(TOM, "Corvo", "No", "Ask for the date").await;
    // One digest goes out; of the other Slack wants to hear later, and then we are killed.
    world.turn_to("2026-03-16T07:59").await;
    world.playground.fault("chat.postMessage", Fault::RateLimited(60));
    world.turn_to("2026-03-16T08:00").await;
    let sent = |world: &World| [LEO, NINA].map(|who| world.conversation(who).len());
    assert_eq!(sent(&world).iter().sum::<usize>(), 1, "{:?}", sent(&world));
    as_if_killed(&world.path("debrief.db"), &world.path("killed.db"));
    world.stop().await;
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.path(&format!("debrief.db{ending}")));
    }
    as_if_killed(&world.path("killed.db"), &world.path("debrief.db"));
    world.start().await;
    world.pass(SignedDuration::from_mins(5)).await;
    world.restart().await;
    assert_eq!(sent(&world), [1, 1]);
}

#[tokio::test]
async fn f06_forgetting_that_was_killed_leaves_whole_debriefs_and_is_finished_later() {
    let folder = tempfile::tempdir().unwrap();
    let (path, killed) = (folder.path().join("debrief.db"), folder.path().join("killed.db"));
    let now = local("2026-03-10T13:30");
    let store = Store::open(&path, now).unwrap();
    old_and_young(&path, 250, 3);
    store.transact(|tx| tx.index_words(1000)).await.unwrap();
    let age = Age::parse("18mo").unwrap();
    let ages = Retention { debriefs: age, times: age, messages: age, dead_letters: age };
    let limits = Limits::at(&ages, now);
    let removed = store.transact(move |tx| tx.forget(Step::Debriefs, &limits)).await.unwrap();
    assert!((1..250).contains(&removed), "one step takes {removed}");
    as_if_killed(&path, &killed);
    drop(store);

    let store = Store::open(&killed, now).unwrap();
    let count = |sql: &str| -> i64 {
        Connection::open(&killed).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let whole = "SELECT count(*) FROM debrief WHERE 2 = (SELECT count(*) FROM answer
                 WHERE debrief_id = debrief.id) AND 1 = (SELECT count(*) FROM answer_version
                 JOIN answer ON answer.id = answer_id WHERE debrief_id = debrief.id)";
    let removed = i64::try_from(removed).unwrap();
    assert_eq!(count(whole), 253 - removed);
    assert_eq!(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    for step in Step::ALL {
        while store.transact(move |tx| tx.forget(step, &limits)).await.unwrap() > 0 {}
    }
    assert_eq!(count(whole), 3);
    assert_eq!(count("SELECT count(*) FROM meeting"), 3);
    assert_eq!(count("SELECT count(*) FROM outbox"), 3);
    assert_eq!(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(count("SELECT count(*) FROM answer_fts WHERE answer_fts MATCH 'words'"), 3);
}

/// So many debriefs of two years ago and of today, each with two answers, one of them changed, and
/// its message.
fn old_and_young(path: &Path, old: i64, young: i64) {
    let store = Connection::open(path).unwrap();
    store
        .execute_batch(&format!(
            "INSERT INTO person (id, email, name, is_rep, is_manager, is_admin, created_at)
             VALUES (1, 'maya@own.example', 'Maya', 1, 0, 0, 0);
             CREATE TEMP TABLE made AS WITH RECURSIVE n (i) AS
                 (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {old} + {young})
                 SELECT i, CASE WHEN i <= {old} THEN 1700000000 ELSE 1773000000 END + i AS at FROM n;
             INSERT INTO meeting (id, rep_id, uid, original_start, title, starts_at, ends_at,
                 is_busy, is_customer, kind, account_key, account_name, guests)
             SELECT i, 1, 'm' || i, at, '', at, at, 0, 1, 'demo', 'acme', 'Acme', '' FROM made;
             INSERT INTO debrief (id, meeting_id, rep_id, state, due_at, answered_at)
             SELECT i, i, 1, 'answered', at, at FROM made;
             INSERT INTO answer (id, debrief_id, rep_id, slot, question, body, is_text, version,
                 written_at, is_unindexed)
             SELECT 2 * i, i, 1, 'ended', 'ended', 'no', 0, 1, at, 0 FROM made
             UNION ALL SELECT 2 * i + 1, i, 1, 'reflect', 'q', 'some words', 1, 2, at, 1 FROM made;
             INSERT INTO answer_version (answer_id, version, question, body, written_at)
             SELECT 2 * i + 1, 1, 'q', 'first words', at FROM made;
             INSERT INTO outbox (delivery_key, kind, subject, seq, person_id, state, created_at,
                 not_before)
             SELECT 'k' || i, 'prompt', i, '1', 1, 'sent', at, at FROM made;"
        ))
        .unwrap();
}

fn moved_to_nina() -> String {
    ROSTER.replace("Maya Brandt,rep,leo@own.example", "Maya Brandt,rep,nina@own.example")
}

#[tokio::test]
async fn f40_an_answer_after_the_erasure_is_refused_politely() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    let arguments = ["erase", "--person", "maya@own.example", "--confirm"];
    let (code, said) = debrief(&world, &arguments).await;
    assert_eq!(code, Some(0), "{said}");

    // The form that was open.
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Mention zqpricexw earlier").await.unwrap();
    let submitted = world.playground.submit(MAYA).await.unwrap();
    let Submitted::Errors(errors) = submitted else { panic!("{submitted:?}") };
    assert!(format!("{errors:?}").contains("You are not on debrief's roster."), "{errors:?}");
    // The message that still stands in Slack, and a text.
    let prompt = world.playground.from_bot(MAYA).remove(0);
    world.playground.press(MAYA, &prompt, "Skip").await.unwrap();
    world.settle().await;
    assert!(world.last_whisper(MAYA).starts_with("You are not on debrief's roster."));
    let before = world.conversation(MAYA).len();
    world.playground.say(MAYA, "zqpricexw again");
    world.settle().await;
    assert_eq!(world.conversation(MAYA).len(), before);
    for name in ["debrief.db", "debrief.db-wal"] {
        let bytes = bytes(&world.path(name));
        let found = bytes.windows(9).any(|place| place == b"zqpricexw");
        assert!(!found, "{name} holds what came after the erasure");
    }
}

#[tokio::test]
async fn f40_an_answer_after_the_manager_changed_is_for_the_new_one() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    world.write_roster(&moved_to_nina());
    world.turn_to("2026-03-10T15:00").await;
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Mention the price earlier").await.unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    // Stored under today's rules.
    let said = world.command(LEO, "/debrief history <@U0MAYA|maya>").await;
    assert!(said.starts_with("I can't show you that."), "{said}");
    let said = world.command(NINA, "/debrief history <@U0MAYA|maya>").await;
    assert!(said.contains("Mention the price earlier"), "{said}");
    world.turn_to("2026-03-16T08:05").await;
    let old = world.conversation(LEO).join("\n");
    assert!(!old.contains("price") && !old.contains("Acme"), "{old}");
    assert!(world.conversation(NINA).join("\n").contains("Mention the price earlier"));
}
