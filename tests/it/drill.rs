//! Losing the store and getting it back, with the program as an administrator uses it.

use std::collections::BTreeMap;
use std::path::Path;

use debrief::playground::faults::Fault;
use debrief::store::{Store, restore, schema};
use jiff::SignedDuration;
use rusqlite::Connection;

use crate::cli::beside;
use crate::world::{LEO, MAYA, World, acme, local};

/// Every file below `folder` with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            found.insert(path.display().to_string(), std::fs::read(path).unwrap());
        } else {
            found.extend(files(&path));
        }
    }
    found
}

fn only_backup(world: &World) -> String {
    let backups = debrief::store::backup::list(&world.path("debrief.db.backups")).unwrap();
    assert_eq!(backups.len(), 1);
    backups[0].1.display().to_string()
}

#[tokio::test]
async fn a_store_that_was_lost_comes_back_with_every_answer() {
    let mut world = World::new(&[acme()]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    let (code, said) = beside(&world, &["backup"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("/debrief.db.backups/debrief-20") && said.ends_with(" s, verified\n"));
    let backup = only_backup(&world);

    let (code, said) = beside(&world, &["restore", &backup]).await;
    assert!(said.contains("is in use by another debrief process"), "{said}");
    assert_eq!(code, Some(1));

    world.stop().await;
    for name in ["debrief.db", "debrief.db-wal", "debrief.db-shm"] {
        let _ = std::fs::remove_file(world.path(name));
    }
    let (code, said) = beside(&world, &["restore", &backup]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("…/debrief.db: restored from …/debrief.db.backups/"), "{said}");
    let newest = "5 people, 2 debriefs, 2 answers, the newest answer of 2026-03-10T12:30:00Z";
    assert!(said.contains(newest), "{said}");
    assert!(!said.contains("was there before"), "{said}");

    world.start().await;
    let seen = world.command(LEO, "/debrief history @maya").await;
    assert!(seen.contains("Bring the numbers"), "{seen}");
    world.turn_to("2026-03-10T14:50").await;
    assert!(world.conversation(MAYA).last().unwrap().contains("Acme"), "life goes on");
}

#[tokio::test]
async fn a_restore_keeps_the_present_store_and_old_buttons_do_no_harm() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    let (code, _) = beside(&world, &["backup", "--to", "copy.db"]).await;
    assert_eq!(code, Some(0));
    // Known and asked about after the backup was made.
    world.set_calendar("maya.ics", &[acme()]);
    world.turn_to("2026-03-10T14:50").await;
    let old = world.last(MAYA);
    world.stop().await;
    let before = std::fs::read(world.path("debrief.db")).unwrap();

    let (code, said) = beside(&world, &["restore", "copy.db"]).await;
    assert_eq!(code, Some(0), "{said}");
    let aside = said.lines().last().unwrap();
    let aside = aside.strip_prefix("the store that was there before is …/").unwrap();
    assert!(aside.starts_with("debrief.db.before-restore-20"), "{aside}");
    assert_eq!(std::fs::read(world.path(aside)).unwrap(), before);
    assert!(!world.path("debrief.db.restoring").exists());

    world.start().await;
    world.pass(SignedDuration::from_mins(1)).await;
    let sql = "SELECT count(*) FROM answer";
    let answers = |world: &World| -> i64 {
        let store = Connection::open(world.path("debrief.db")).unwrap();
        store.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let known = answers(&world);
    world.playground.press(MAYA, &old, "No").await.unwrap();
    world.settle().await;
    assert_eq!(answers(&world), known, "an old button answered another question");
    world.press(MAYA, "No").await;
    assert_eq!(answers(&world), known + 1, "the new one works");
}

#[tokio::test]
async fn what_waited_in_the_backup_and_was_sent_since_is_not_sent_twice() {
    let mut world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:40").await;
    world.playground.fault("chat.postMessage", Fault::RateLimited(60));
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 0);
    beside(&world, &["backup", "--to", "copy.db"]).await;
    world.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.stop().await;
    let (code, said) = beside(&world, &["restore", "copy.db"]).await;
    assert_eq!(code, Some(0), "{said}");
    world.start().await;
    for _ in 0..5 {
        world.pass(SignedDuration::from_mins(1)).await;
    }
    assert_eq!(world.conversation(MAYA).len(), 1);
    assert_eq!(world.playground.calls("chat.postMessage").len(), 2, "the refused one and the one");
}

#[tokio::test]
async fn what_waited_in_the_backup_waits_aside_and_is_doubted_from_the_restore_on() {
    let mut world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:40").await;
    world.playground.fault("chat.postMessage", Fault::RateLimited(60));
    world.turn_to("2026-03-10T14:50").await;
    beside(&world, &["backup", "--to", "copy.db"]).await;
    world.stop().await;
    let copy = Connection::open(world.path("copy.db")).unwrap();
    // Besides the one that was queued: one that was in doubt already, and edits, which do no harm twice.
    copy.execute_batch(
        "INSERT INTO outbox (delivery_key, kind, subject, seq, person_id, state, created_at,
             not_before, lane, doubted_at)
         VALUES ('k1', 'reminder', 1, '1', 1, 'uncertain', 1773150000, 1773150000, 2, 1773150000),
             ('k2', 'refresh', 1, '1', 1, 'queued', 1773150000, 1773150000, 10, NULL)",
    )
    .unwrap();
    copy.close().unwrap();
    std::fs::remove_file(world.path("copy.db.sha256")).unwrap();
    let now = local("2026-03-12T10:00");
    let (store, copy) = (world.path("debrief.db"), world.path("copy.db"));
    restore::run(&store, &copy, now, |_, _| Ok(0)).unwrap();
    let restored = Connection::open(&store).unwrap();
    let mut statement = restored
        .prepare(
            "SELECT kind || ' ' || state || ' ' || lane || ' ' || coalesce(doubted_at, '-')
             FROM outbox WHERE state IN ('queued', 'uncertain', 'sending') ORDER BY kind",
        )
        .unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let rows: Vec<String> =
        rows.map(Result::unwrap).filter(|row| !row.starts_with("home")).collect();
    let at = now.as_second();
    assert_eq!(
        rows,
        [
            format!("prompt uncertain 30 {at}"),
            "refresh queued 10 -".to_owned(),
            format!("reminder uncertain 30 {at}")
        ]
    );
}

#[tokio::test]
async fn the_log_of_a_replaced_store_is_not_lost_in_silence() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    beside(&world, &["backup", "--to", "copy.db"]).await;
    let (_, kept) = beside(&world, &["audit", "verify"]).await;
    // He looks after the backup was made.
    world.command(LEO, "/debrief history @maya").await;
    let (_, said) = beside(&world, &["audit", "verify"]).await;
    let rows = |said: &str| said.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap();
    let head = |said: &str| said.trim().rsplit(' ').next().unwrap().to_owned();
    let (lost, kept, noted) = (rows(&said), rows(&kept), head(&said));
    assert!(lost > kept);
    world.stop().await;

    let (code, said) = beside(&world, &["restore", "copy.db"]).await;
    assert_eq!(code, Some(0), "{said}");
    let told = format!(
        "the audit log that was there before had {lost} rows, head {noted}: the restored one has \
         the {kept} of the backup; keep the store that was there\n\
         the store that was there before is …/debrief.db.before-restore-20"
    );
    assert!(said.contains(&told), "{said}");
    let (code, log) = beside(&world, &["audit", "export"]).await;
    assert_eq!(code, Some(0), "{log}");
    let row = log.lines().find(|line| line.contains("\"action\":\"restore\"")).unwrap();
    let scope = format!("\"scope\":\"replaced rows {lost} head {noted}\"");
    assert!(row.contains(&scope), "{row}");
    // Whoever has noted that head is told why it is not there any more.
    let (code, said) = beside(&world, &["audit", "verify", "--expect-head", &noted]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("is of the log that this restore replaced"), "{said}");

    // With nothing in between nothing is lost.
    beside(&world, &["backup", "--to", "again.db"]).await;
    // Two within a second would have one name.
    let aside = world.path("aside");
    std::fs::create_dir(&aside).unwrap();
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().contains(".before-restore-") {
            std::fs::rename(&path, aside.join(path.file_name().unwrap())).unwrap();
        }
    }
    let (code, said) = beside(&world, &["restore", "again.db"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(": all of them are in the restored one\n"), "{said}");
}

#[tokio::test]
async fn a_backup_is_looked_over_without_being_touched() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    beside(&world, &["backup", "--to", "copy.db"]).await;
    world.stop().await;
    let before = files(world.folder.path());
    let (code, said) = beside(&world, &["restore", "--verify", "copy.db"]).await;
    assert_eq!(code, Some(0));
    let (said, size) = (said.replace(" KiB", ""), "copy.db: good, ");
    let rest = said.strip_prefix(size).unwrap().trim_start_matches(|c: char| c.is_ascii_digit());
    insta::assert_snapshot!(rest, @", checksum right, 5 people, 1 debriefs, 2 answers, the newest answer of 2026-03-10T12:30:00Z, schema 9");
    assert!(files(world.folder.path()) == before, "verifying changed something");

    // A stretch of it, as a bad disk turns it.
    let mut bytes = before[&world.path("copy.db").display().to_string()].clone();
    bytes[3 * 4096..9 * 4096].fill(0xA5);
    std::fs::write(world.path("copy.db"), &bytes).unwrap();
    let wrong = [["restore", "--verify", "copy.db"].as_slice(), &["restore", "copy.db"]];
    for arguments in wrong {
        let (code, said) = beside(&world, arguments).await;
        assert_eq!(code, Some(1));
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"debrief: copy.db is not what it was when it was made: its checksum differs");
        }
    }
    std::fs::remove_file(world.path("copy.db.sha256")).unwrap();
    for arguments in wrong {
        let (code, said) = beside(&world, arguments).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("copy.db is damaged: "), "{said}");
    }
    let now = files(world.folder.path());
    let store = world.path("debrief.db").display().to_string();
    assert!(now[&store] == before[&store], "a bad backup cost the store");
    std::fs::write(world.path("copy.db"), "not a database, and long enough to look like one")
        .unwrap();
    let (code, said) = beside(&world, &["restore", "--verify", "copy.db"]).await;
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(said, @"debrief: copy.db is no database, or damaged at its very beginning; name another backup");
}

#[tokio::test]
async fn a_backup_of_an_older_version_is_brought_up_to_date_and_a_newer_one_refused() {
    let mut world = World::new(&[]).await;
    world.stop().await;
    let old = Connection::open(world.path("old.db")).unwrap();
    old.execute_batch(schema::MIGRATIONS[0]).unwrap();
    old.execute_batch(include_str!("samples/0001.sql")).unwrap();
    old.execute_batch("PRAGMA application_id = 1145197126; PRAGMA user_version = 1").unwrap();
    old.close().unwrap();
    let (code, said) = beside(&world, &["restore", "old.db"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("schema 1\n"), "{said}");
    let store = Store::open(&world.path("debrief.db"), local("2026-03-17T10:00")).unwrap();
    assert_eq!(store.read(|tx| Ok(tx.everybody()?.len())).await.unwrap(), 2);
    drop(store);
    assert!(world.path("old.db").exists(), "the backup stays");

    let new = Connection::open(world.path("old.db")).unwrap();
    new.execute_batch("PRAGMA user_version = 99").unwrap();
    new.close().unwrap();
    for arguments in [["restore", "--verify", "old.db"].as_slice(), &["restore", "old.db"]] {
        let (code, said) = beside(&world, arguments).await;
        assert_eq!(code, Some(1));
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @"debrief: old.db was written by a newer debrief (version 99, this one knows 9); use that one, or an older backup");
        }
    }
}

#[tokio::test]
async fn a_raw_copy_with_its_log_is_restored_whole() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    // As a snapshot of the whole volume has it: the last answers are in the log only.
    for ending in ["", "-wal"] {
        std::fs::copy(
            world.path(&format!("debrief.db{ending}")),
            world.path(&format!("raw.db{ending}")),
        )
        .unwrap();
    }
    world.stop().await;
    let (code, said) = beside(&world, &["restore", "raw.db"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 answers"), "{said}");
    world.start().await;
    assert!(world.command(LEO, "/debrief history @maya").await.contains("Bring the numbers"));
}

#[tokio::test]
async fn erasures_are_repeated_before_anybody_can_use_the_restored_store() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    beside(&world, &["backup", "--to", "copy.db"]).await;
    world.stop().await;
    let (store, copy) = (world.path("debrief.db"), world.path("copy.db"));
    std::fs::write(world.path("debrief.db.erasures"), "{\"person\":1}\n").unwrap();
    let before = std::fs::read(&store).unwrap();
    let now = local("2026-03-10T15:00");

    let failed =
        restore::run(&store, &copy, now, |_, _| anyhow::bail!("cannot erase")).unwrap_err();
    assert_eq!(format!("{failed:#}"), "repeat erasures: cannot erase");
    assert!(std::fs::read(&store).unwrap() == before, "the old store is still there, untouched");
    assert!(!world.path("debrief.db.restoring").exists());

    let done = restore::run(&store, &copy, now, |new, _| {
        assert!(new != store && std::fs::read(&store).unwrap() == before);
        let noted = std::fs::read_to_string(format!("{}.erasures", new.display())).unwrap();
        assert_eq!(noted, "{\"person\":1}\n");
        let new = Connection::open(new).unwrap();
        // As erasing does it, in the write-ahead log.
        new.execute_batch("PRAGMA journal_mode = WAL; DELETE FROM answer;").unwrap();
        Ok(1)
    });
    assert_eq!(done.unwrap().erased, 1);
    let restored = debrief::store::backup::look_over(&store).unwrap();
    assert_eq!(restored.answers, 0);
    assert!(world.path("debrief.db.erasures").exists());
}

#[tokio::test]
async fn copies_of_one_second_have_names_of_their_own() {
    let world = World::new(&[]).await;
    let (store, folder) = (world.path("debrief.db"), world.path("copies"));
    let rotation = debrief::domain::backup::Rotation { daily: 1, weekly: 0 };
    let back_up = |now| {
        debrief::store::backup::into_folder(&store, &folder, rotation, now, &|| true).unwrap()
    };
    let now = world.now();
    let made: Vec<_> = (0..3).map(|_| back_up(now)).collect();
    let names: Vec<_> = made.iter().map(|made| made.path.file_name().unwrap()).collect();
    assert_eq!(
        names,
        [
            "debrief-20260310-123000.db",
            "debrief-20260310-123000-2.db",
            "debrief-20260310-123000-3.db"
        ]
    );
    let listed = debrief::store::backup::list(&folder).unwrap();
    assert_eq!(listed[0].1, made[2].path, "the newest first");
    // The next day those of yesterday go, with their checksums, and the newest stays.
    let next = back_up(now + SignedDuration::from_hours(25));
    assert_eq!(next.removed, 3);
    let left: Vec<String> =
        files(&folder).into_keys().filter(|name| name.contains(".db")).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn two_restores_of_one_second_keep_both_stores_that_were_there() {
    let mut world = World::new(&[]).await;
    beside(&world, &["backup", "--to", "copy.db"]).await;
    world.stop().await;
    let (store, copy) = (world.path("debrief.db"), world.path("copy.db"));
    let now = local("2026-03-10T15:00");
    let aside = [(); 2].map(|()| restore::run(&store, &copy, now, |_, _| Ok(0)).unwrap().aside);
    let [Some(first), Some(second)] = aside else { panic!("nothing was put aside") };
    assert!(first != second && first.exists() && second.exists());
}
