//! Nights: backups are made, what is old is forgotten.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use debrief::app::keep::{BackupStatus, backup_status};
use debrief::store::{backup, checksum};
use jiff::SignedDuration;
use rusqlite::Connection;

use crate::cli::beside;
use crate::threats;
use crate::world::{LEO, MAYA, TOM, World, acme, local, meeting};

/// The names in the folder of backups, without the lock.
fn kept(world: &World) -> Vec<String> {
    let path = world.path("debrief.db.backups");
    if !path.exists() {
        return vec![];
    }
    let folder = std::fs::read_dir(path).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

async fn status(world: &World) -> BackupStatus {
    let config = world.config().backup;
    let now = debrief::ports::Clock::now(world.clock.as_ref());
    let store = &world.running().bot().store;
    store.read(move |tx| backup_status(tx, &config, now)).await.unwrap()
}

fn count(world: &World, sql: &str) -> i64 {
    let store = Connection::open(world.path("debrief.db")).unwrap();
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn the_nightly_backup_is_made_once_and_stands_alone() {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    assert_eq!(kept(&world), [] as [&str; 0], "nothing older than the installation is owed");
    assert_eq!(status(&world).await.last_success_at, None);
    // 03:00 in UTC.
    world.turn_to("2026-03-11T04:00").await;
    world.turn_to("2026-03-11T04:20").await;
    assert_eq!(kept(&world), ["debrief-20260311-030000.db", "debrief-20260311-030000.db.sha256"]);
    for name in kept(&world) {
        let path = world.path("debrief.db.backups").join(name);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let path = world.path("debrief.db.backups/debrief-20260311-030000.db");
    let findings = backup::look_over(&path).unwrap();
    assert_eq!((findings.people, findings.debriefs), (5, 1));
    assert_eq!(checksum::matches(&path).unwrap(), Some(true));
    let status = status(&world).await;
    assert_eq!(status.last_success_at, Some(local("2026-03-11T04:00")));
    assert_eq!(status.verified_at, status.last_success_at);
    assert!(status.is_scheduled && !status.is_overdue && status.problem.is_none(), "{status:?}");
    assert_eq!(kept(&world).len(), 2, "looking at a backup leaves nothing beside it");
}

#[tokio::test]
async fn a_backup_is_made_while_answers_come_in_all_the_time() {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    let store = std::sync::Arc::clone(&world.running().bot().store);
    // Large enough that many commits fall into the copy.
    let (body, now) = ("x".repeat(5_000), local("2026-03-10T13:30"));
    for _ in 0..20 {
        let body = body.clone();
        let many = move |tx: &debrief::store::Tx<'_>| {
            (0..200).try_for_each(|_| tx.keep_dead_letter("frame", &body, now).map(drop))
        };
        store.transact(many).await.unwrap();
    }
    let (path, copy) = (world.path("debrief.db"), world.path("copy.db"));
    let mut copying = tokio::task::spawn_blocking(move || {
        backup::into_file(&path, &copy, &|| true).map(|found| (found, copy))
    });
    let mut written = 0;
    let (found, copy) = loop {
        tokio::select! {
            biased;
            copied = &mut copying => break copied.unwrap().unwrap(),
            stored = store.transact(move |tx| tx.keep_dead_letter("frame", "{", now)) => {
                stored.unwrap();
                written += 1;
            }
        }
    };
    assert!(written > 0, "nothing was written meanwhile");
    assert_eq!(found.answers, 2);
    let copied = Connection::open(copy).unwrap();
    let count: i64 =
        copied.query_row("SELECT count(*) FROM dead_letter", [], |row| row.get(0)).unwrap();
    assert!((4_000..=4_000 + written).contains(&count), "{count} of {written}");
}

#[tokio::test]
async fn a_bot_that_slept_makes_the_backup_once_when_it_wakes() {
    let mut world = World::new(&[]).await;
    world.stop().await;
    world.clock.set(local("2026-03-14T11:00"));
    world.start().await;
    world.restart().await;
    assert_eq!(kept(&world), ["debrief-20260314-100000.db", "debrief-20260314-100000.db.sha256"]);
    assert!(!status(&world).await.is_overdue);
}

#[tokio::test]
async fn old_backups_go_in_turn_and_one_made_by_hand_stays_its_day() {
    let world = World::with(&[], "[backup]\ndaily = 2\nweekly = 1\n").await;
    for day in 11..=15 {
        world.turn_to(&format!("2026-03-{day}T04:00")).await;
    }
    let databases = |world: &World| -> Vec<String> {
        kept(world).into_iter().filter(|name| !name.ends_with(".sha256")).collect()
    };
    assert_eq!(databases(&world), ["debrief-20260314-030000.db", "debrief-20260315-030000.db"]);
    assert_eq!(kept(&world).len(), 4, "checksums go with their backups");
}

#[tokio::test]
async fn a_backup_that_fails_is_tried_again_and_check_says_why() {
    let world = World::new(&[]).await;
    // Something else is where the folder should be.
    std::fs::write(world.path("debrief.db.backups"), "").unwrap();
    world.turn_to("2026-03-11T04:00").await;
    let found = status(&world).await;
    let problem = found.problem.unwrap();
    assert!(problem.starts_with("create the folder"), "{problem}");
    let (code, text) = beside(&world, &["check"]).await;
    assert!(text.contains("WRONG backup    "), "{text}");
    assert!(text.contains("the last try failed: create the folder"), "{text}");
    assert_eq!(code, Some(1));

    std::fs::remove_file(world.path("debrief.db.backups")).unwrap();
    world.pass(SignedDuration::from_mins(4)).await;
    assert_eq!(kept(&world), [] as [&str; 0], "it is not tried all the time");
    world.pass(SignedDuration::from_mins(1)).await;
    assert_eq!(kept(&world).len(), 2);
    let found = status(&world).await;
    assert_eq!((found.problem, found.last_success_at), (None, Some(local("2026-03-11T04:05"))));
    let (_, text) = beside(&world, &["check"]).await;
    // By the real clock it may be an old one.
    assert!(text.contains("the last one of 2026-03-11T03:05:00Z"), "{text}");
    assert!(!text.contains("failed"), "{text}");
}

#[tokio::test]
async fn missed_backups_are_noticed_by_check() {
    let mut world = World::with(&[], "[backup]\nschedule = \"off\"\n").await;
    world.turn_to("2026-03-12T12:00").await;
    assert_eq!(kept(&world), [] as [&str; 0]);
    let found = status(&world).await;
    assert!(!found.is_scheduled && !found.is_overdue);
    let (_, text) = beside(&world, &["check"]).await;
    assert!(text.contains("note  backup    "), "{text}");
    world.stop().await;
    let config = debrief::config::Config::parse(
        &world.config_text().replace("schedule = \"off\"", "schedule = \"0 3 * * *\""),
        "test.toml",
    )
    .unwrap();
    let found = debrief::store::peek(&world.path("debrief.db"), |tx| {
        backup_status(tx, &config.backup, local("2026-03-12T12:00"))
    });
    assert!(found.unwrap().is_overdue);
}

/// Everything in the store's file and its log, as it lies on the disk.
fn bytes(world: &World) -> String {
    let mut all = threats::keeping::bytes(&world.path("debrief.db"));
    all.extend(threats::keeping::bytes(&world.path("debrief.db-wal")));
    String::from_utf8_lossy(&all).to_lowercase()
}

#[tokio::test]
async fn what_is_older_than_eighteen_months_is_forgotten_and_the_rest_stays() {
    let internal =
        meeting("i", "Stand-up", "2026-03-11T09:00", "2026-03-11T09:15", "tom@own.example");
    let mut world = World::with(&[acme(), internal], "[backup]\nschedule = \"off\"\n").await;
    world.turn_to("2026-03-10T14:50").await;
    world.press(MAYA, "Skip").await;
    world.answered(MAYA, "Birkenfels", "No", "Bring the zirconium numbers").await;
    world.answered(TOM, "Corvo", "Nice chat, no step", "Ask for the date").await;
    let (meetings, texts) = ("SELECT count(*) FROM meeting", "SELECT count(*) FROM answer");
    assert_eq!(count(&world, meetings), 4);
    assert!(bytes(&world).contains("zirconium"));

    // Other people's times go after a month; what reps wrote is still there.
    world.set_calendar("maya.ics", &[]);
    world.turn_to("2026-04-20T12:00").await;
    assert_eq!(count(&world, meetings), 3);
    assert!(world.command(LEO, "/debrief history @Maya").await.contains("zirconium"));

    world.clock.set(local("2027-09-08T12:00"));
    world.restart().await;
    assert!(bytes(&world).contains("zirconium"), "not a day too early");
    world.answered(TOM, "Delphi", "No", "Say less about Corvo").await;

    world.turn_to("2027-09-12T12:00").await;
    assert_eq!(count(&world, meetings), 1);
    assert_eq!(count(&world, texts), count(&world, "SELECT count(*) FROM answer WHERE rep_id = 2"));
    assert_eq!(count(&world, "SELECT count(*) FROM outbox WHERE kind = 'prompt'"), 1);
    assert_eq!(count(&world, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    let well = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'";
    assert_eq!(count(&world, well), 1);
    let found = "SELECT count(*) FROM answer_fts WHERE answer_fts MATCH";
    assert_eq!(count(&world, &format!("{found} 'zirconium'")), 0);
    assert_eq!(count(&world, &format!("{found} 'corvo'")), 1);
    for word in ["zirconium", "birkenfels", "acme demo"] {
        assert!(!bytes(&world).contains(word), "{word} is still on the disk");
    }
    assert!(!world.command(LEO, "/debrief history @Maya").await.contains("zirconium"));
    assert!(world.command(LEO, "/debrief history @Tom").await.contains("Say less about Corvo"));
}

#[tokio::test]
async fn what_was_sent_and_what_nobody_understood_go_sooner_and_who_read_what_stays() {
    let world = World::with(&[], "[backup]\nschedule = \"off\"\n").await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    world.command(LEO, "/debrief history @Maya").await;
    world.playground.say(MAYA, "hello there");
    world.settle().await;
    let store = &world.running().bot().store;
    let now = local("2026-03-10T13:30");
    store.transact(move |tx| tx.keep_dead_letter("frame", "{", now)).await.unwrap();
    let words = "SELECT count(*) FROM outbox WHERE body <> ''";
    let (letters, reads) =
        ("SELECT count(*) FROM dead_letter", "SELECT count(*) FROM audit WHERE action = 'history'");
    assert_eq!([words, letters, reads].map(|sql| count(&world, sql)), [1, 1, 1]);
    world.turn_to("2026-04-08T12:00").await;
    assert_eq!([words, letters, reads].map(|sql| count(&world, sql)), [1, 1, 1]);
    world.turn_to("2026-04-10T12:00").await;
    assert_eq!([words, letters, reads].map(|sql| count(&world, sql)), [0, 0, 1]);
    world.turn_to("2028-01-10T12:00").await;
    assert_eq!(count(&world, "SELECT count(*) FROM debrief"), 0);
    assert_eq!(count(&world, reads), 1);
}

#[tokio::test]
async fn whoever_left_is_forgotten_with_their_last_debrief() {
    let world = World::with(&[], "[backup]\nschedule = \"off\"\n").await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    let without_maya: String = crate::world::ROSTER
        .lines()
        .filter(|line| !line.starts_with("maya"))
        .fold(String::new(), |csv, line| csv + line + "\n");
    world.write_roster(&without_maya);
    world.turn_to("2026-03-12T12:00").await;
    let maya = "SELECT count(*) FROM person WHERE email = 'maya@own.example'";
    assert_eq!(count(&world, maya), 1, "history stays");
    world.turn_to("2027-09-14T12:00").await;
    assert_eq!(count(&world, maya), 0);
    let former = "SELECT count(*) FROM person WHERE name LIKE 'former person %'";
    assert_eq!(count(&world, former), 1, "the audit log still has its number");
    assert_eq!(count(&world, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

#[tokio::test]
async fn an_id_in_an_old_message_never_comes_to_mean_something_else() {
    let world = World::with(&[], "[backup]\nschedule = \"off\"\n").await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    let newest = "SELECT max(id) FROM debrief";
    let old = count(&world, newest);
    world.turn_to("2027-09-12T12:00").await;
    assert_eq!(count(&world, "SELECT count(*) FROM debrief"), 0);
    world.answered(MAYA, "Corvo", "No", "Say less").await;
    assert!(count(&world, newest) > old, "the id was given again");
}

#[tokio::test]
async fn a_second_text_is_asked_about_after_the_first_was_discarded() {
    let entries = [
        acme(),
        meeting("b", "Birk intro", "2026-03-10T14:00", "2026-03-10T14:30", "a@birk.example"),
    ];
    let world = World::new(&entries).await;
    world.turn_to("2026-03-10T14:50").await;
    world.turn_to("2026-03-10T15:30").await;
    assert_eq!(world.conversation(MAYA).len(), 2, "two questions are open");
    for words in ["Bring the numbers", "Say less"] {
        world.playground.say(MAYA, words);
        world.settle().await;
        assert!(world.conversation(MAYA).last().unwrap().contains(words), "{words}");
        world.press(MAYA, "None of them").await;
    }
}

#[test]
fn a_backup_can_lie_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let odd: PathBuf = folder.path().join("ä ?a=%20#1&b.db");
    let store = folder.path().join("debrief.db");
    drop(debrief::store::Store::open(&store, local("2026-03-10T13:30")).unwrap());
    let made = backup::into_file(&store, &odd, &|| true).unwrap();
    assert_eq!(backup::look_over(&odd).unwrap(), made);
    let again = backup::into_file(&store, &odd, &|| true).unwrap_err();
    assert!(again.to_string().ends_with("exists already; name another file"), "{again}");
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with('ä')).collect();
    names.sort();
    assert_eq!(names, ["ä ?a=%20#1&b.db", "ä ?a=%20#1&b.db.sha256"]);
}
