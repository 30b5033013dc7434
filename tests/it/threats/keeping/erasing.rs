//! Erasure, down to the bytes.

use std::path::Path;

use debrief::domain::privacy::Lock;
use debrief::store::{Store, erasure};
use jiff::SignedDuration;
use rusqlite::Connection;

use super::{audit, beside, bytes, debriefed, person};
use crate::cli::beside as debrief;
use crate::world::{LEO, MAYA, ROSTER, TOM, World, local, meeting};

const MANY: usize = 120;

/// A word that occurs nowhere else, made of letters only.
fn marker(number: usize) -> String {
    let letters = "bcdfghjklm".as_bytes();
    let digits = format!("{number:04}");
    let coded = digits.bytes().map(|digit| char::from(letters[usize::from(digit - b'0')]));
    format!("zq{}xw", coded.collect::<String>())
}

fn sentence(number: usize) -> String {
    format!(
        "Next time ask {} before the price, {}",
        marker(number),
        "and wait ".repeat(number % 40)
    )
}

/// The files of the store that hold one of `words`, with the words found.
fn found(folder: &Path, words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["debrief.db", "debrief.db-wal", "debrief.db-shm", "debrief.db.erasures"] {
        let bytes = bytes(&folder.join(name));
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for word in words {
            if let Some(place) = text.find(&word.to_lowercase()) {
                let around: String = text[place..].chars().take(60).collect();
                found.push(format!("{name}: {word} in {around:?}"));
            }
        }
    }
    found
}

/// Maya and Tom have answered much, in turn; Maya has corrected some of it and written at random.
async fn full_of_words() -> (World, Vec<String>) {
    let uid = "maya-acme";
    let entry =
        meeting(uid, "Zqtitlexw demo", "2026-03-10T14:00", "2026-03-10T14:45", "kim@acme.example");
    let world = World::new(&[entry]).await;
    let (maya, tom) =
        (person(&world, "maya@own.example").await, person(&world, "tom@own.example").await);
    let store = &world.running().bot().store;
    let now = local("2026-03-10T13:30");
    for number in 0..MANY {
        let at = now + SignedDuration::from_mins(i64::try_from(number).unwrap());
        store
            .transact(move |tx| {
                let account = format!("zqaccount{}", marker(number));
                debriefed(tx, maya, &account, &sentence(number), Lock::Open, at)?;
                if number % 3 == 0 {
                    let corrected = format!("Corrected {}", marker(number + 1000));
                    debriefed(tx, maya, &account, &corrected, Lock::OnlyMe, at)?;
                }
                let words = format!("Tom says plover{number} {}", "again ".repeat(number % 50));
                debriefed(tx, tom, &format!("Tomsfirm{number}"), &words, Lock::Open, at)?;
                tx.keep_dead_letter("frame", &format!("{{\"user\":\"{MAYA}\"}} zqdeadxw"), at)
            })
            .await
            .unwrap();
    }
    world.turn_to("2026-03-10T16:00").await;
    world.playground.say(MAYA, "zqloosexw was said at random");
    world.settle().await;
    world.command(LEO, "/debrief history @maya").await;
    let mut words: Vec<String> = (0..MANY).map(marker).collect();
    words.extend((0..MANY).map(sentence));
    words.extend((0..MANY).step_by(3).map(|number| marker(number + 1000)));
    words.extend(
        ["zqtitlexw", "zqaccount", "zqdeadxw", "zqloosexw", "maya@own.example", "Brandt", MAYA]
            .map(Into::into),
    );
    (world, words)
}

async fn erased(world: &World) -> String {
    let arguments = ["erase", "--person", "maya@own.example", "--confirm"];
    let (code, said) = debrief(world, &arguments).await;
    assert_eq!(code, Some(0), "{said}");
    said
}

#[tokio::test]
async fn s20_an_erasure_leaves_no_byte_while_the_bot_runs() {
    let (mut world, words) = full_of_words().await;
    assert!(words.len() >= 2 * 90);
    let before = found(world.folder.path(), &words).len();
    assert!(before >= words.len() - 2, "the test would see them: {before}");
    let (code, would) = debrief(&world, &["erase", "--person", "maya@own.example"]).await;
    assert_eq!(code, Some(0), "{would}");
    assert!(would.contains("Nothing was erased") && would.contains("121 debriefs"), "{would}");
    assert_eq!(found(world.folder.path(), &words).len(), before);

    let said = erased(&world).await;
    assert!(said.contains("120 dead letters") && said.contains("are Slack's"), "{said}");
    let none: Vec<String> = Vec::new();
    assert_eq!(found(world.folder.path(), &words), none);
    // The bot has not noticed and goes on; so does everybody else's history.
    assert!(world.command(TOM, "/debrief history plover77").await.contains("Tomsfirm77"));
    assert_eq!(
        world.command(MAYA, "/debrief me").await,
        "You are not on debrief's roster. Ask whoever runs it to add you."
    );
    let said = world.command(LEO, "/debrief history @maya").await;
    assert!(said.starts_with("I can't show you that."), "{said}");
    let (code, whole) = debrief(&world, &["audit", "verify"]).await;
    assert_eq!(code, Some(0), "{whole}");
    let check =
        |what: &str| -> String { beside(&world).query_row(what, [], |row| row.get(0)).unwrap() };
    assert_eq!(check("PRAGMA integrity_check"), "ok");
    beside(&world)
        .execute_batch("INSERT INTO answer_fts (answer_fts) VALUES ('integrity-check')")
        .unwrap();
    world.stop().await;
    // That she knocked again, and was refused, is in the log of today.
    let words: Vec<String> = words.into_iter().filter(|word| word != MAYA).collect();
    assert_eq!(found(world.folder.path(), &words), none);
}

#[tokio::test]
async fn s20_the_roster_does_not_bring_an_erased_person_back() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Call earlier").await;
    erased(&world).await;
    let people = |world: &World| -> Vec<String> {
        let connection = beside(world);
        let sql = "SELECT name FROM person ORDER BY id";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let nameless = ["erased person 1", "Tom Okafor", "Leo Marsh", "Nina Falk", "Priya Nair"];
    assert_eq!(people(&world), nameless);
    // Her row is still in the file, now with another name and spelling.
    world.write_roster(&ROSTER.replace("maya@own.example,Maya Brandt", "Maya@Own.Example,M. B."));
    world.restart().await;
    assert_eq!(people(&world), nameless);
    let (code, said) = debrief(&world, &["check"]).await;
    assert!(said.contains("line 2 is left out: this person was erased on 20"), "{said}");
    assert_eq!(code, Some(1));
    assert_eq!(world.command(TOM, "/debrief me").await, "You have no debriefs yet.");

    // A deliberate way back, as somebody new.
    let arguments = ["erase", "--forget-tombstone", "maya@own.example"];
    let (code, said) = debrief(&world, &arguments).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, _) = debrief(&world, &arguments).await;
    assert_eq!(code, Some(1), "there is nothing to forget twice");
    world.restart().await;
    assert_eq!(people(&world).last().unwrap(), "M. B.");
    assert_eq!(world.command(MAYA, "/debrief me").await, "You have no debriefs yet.");
    let log = audit(&world);
    assert!(log.iter().any(|line| line.contains(" erasure 1 done")), "{log:#?}");
    assert!(log.iter().any(|line| line.contains(" tombstone_lifted - done")), "{log:#?}");
    // She came back after the erasure: another start does not erase her again.
    world.restart().await;
    assert_eq!(people(&world).last().unwrap(), "M. B.");
    erased(&world).await;
    assert_eq!(people(&world).last().unwrap(), "erased person 6");
}

#[tokio::test]
async fn s20_an_older_copy_is_erased_again() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Call zqearlierxw").await;
    let copy = format!("VACUUM INTO '{}'", world.path("older.db").display());
    beside(&world).execute_batch(&copy).unwrap();
    erased(&world).await;
    world.stop().await;
    std::fs::copy(world.path("older.db"), world.path("debrief.db")).unwrap();
    let word = ["zqearlierxw".to_owned(), "Brandt".to_owned()];
    assert!(!found(world.folder.path(), &word).is_empty(), "the copy brought her back");
    // By the command that restores, or by the next start; once is enough.
    let path = world.path("debrief.db");
    assert_eq!(erasure::replay(&path).unwrap(), 1);
    assert_eq!(erasure::replay(&path).unwrap(), 0);
    assert_eq!(found(world.folder.path(), &word), Vec::<String>::new());
    std::fs::copy(world.path("older.db"), &path).unwrap();
    world.start().await;
    assert_eq!(found(world.folder.path(), &word), Vec::<String>::new());
    // The roster that still names her is told no.
    assert!(world.command(MAYA, "/debrief me").await.starts_with("You are not on debrief's"));
}

#[tokio::test]
async fn s20_an_erasure_from_before_a_store_knew_the_person_still_counts() {
    let mut world = World::asleep(&[], "").await;
    let path = world.path("debrief.db");
    // A copy from before Maya was on the roster.
    drop(Store::open(&path, local("2026-03-10T13:00")).unwrap());
    std::fs::copy(&path, world.path("oldest.db")).unwrap();
    world.start().await;
    erased(&world).await;
    world.stop().await;
    std::fs::copy(world.path("oldest.db"), &path).unwrap();
    world.start().await;
    assert!(world.command(MAYA, "/debrief me").await.starts_with("You are not on debrief's"));
}

#[tokio::test]
async fn s20_an_erasure_that_was_cut_short_is_finished_at_the_next_start() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Call earlier").await;
    erased(&world).await;
    world.stop().await;
    // As if we had been killed between the commit and the cleaning.
    beside(&world).execute_batch("UPDATE erasure_log SET is_clean = 0").unwrap();
    world.start().await;
    let clean: bool = beside(&world)
        .query_row("SELECT min(is_clean) FROM erasure_log", [], |row| row.get(0))
        .unwrap();
    assert!(clean);
    // Or while the line beside the store was written: then nothing was committed.
    let late = "{\"what\":\"erased\",\"person\":2,\"tombstone\":\"00ff\",\"at\":\"2026-03-";
    let path = world.path("debrief.db.erasures");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{late}")).unwrap();
    world.restart().await;
    assert_eq!(world.command(TOM, "/debrief me").await, "You have no debriefs yet.");
}

fn traces_are_left(world: &World) -> bool {
    debrief::store::traces::are_left(&world.path("debrief.db")).unwrap()
}

#[tokio::test]
async fn s20_traces_that_could_not_be_overwritten_are_gone_as_soon_as_the_running_bot_can() {
    let (world, words) = full_of_words().await;
    // Another program is in the middle of reading, for long.
    let reader = beside(&world);
    reader.execute_batch("BEGIN; SELECT count(*) FROM answer").unwrap();
    let said = erased(&world).await;
    // What went is said first, whatever comes then.
    let (what, rest) = said.split_once("Erased, with name").unwrap();
    assert!(what.contains(" answers\n"), "{said}");
    assert!(rest.contains("could not be overwritten yet"), "{said}");
    assert!(rest.contains("The file will be cleaned by the running bot"), "{said}");
    assert!(traces_are_left(&world) && !found(world.folder.path(), &words).is_empty());
    for _ in 0..2 {
        world.pass(SignedDuration::from_mins(2)).await;
    }
    assert!(traces_are_left(&world), "the reader is still there");
    let pages = || -> i64 {
        let count = |row: &rusqlite::Row<'_>| row.get(1);
        beside(&world).query_row("PRAGMA wal_checkpoint(PASSIVE)", [], count).unwrap()
    };
    let before = pages();
    world.pass(SignedDuration::from_mins(6)).await;
    assert!(pages() - before < 40, "the file is written anew at every try");
    reader.execute_batch("COMMIT").unwrap();
    world.pass(SignedDuration::from_mins(1)).await;
    assert!(traces_are_left(&world), "it is not tried all the time");
    world.pass(SignedDuration::from_mins(10)).await;
    assert!(!traces_are_left(&world));
    assert_eq!(found(world.folder.path(), &words), Vec::<String>::new());
    assert!(world.command(TOM, "/debrief history plover77").await.contains("Tomsfirm77"));
}

#[tokio::test]
async fn s20_erasing_needs_no_memory_for_the_whole_store_and_leaves_no_file() {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Call zqearlierxw").await;
    crate::faults::keeping::swell(&world.path("debrief.db"));
    let size = std::fs::metadata(world.path("debrief.db")).unwrap().len();
    let limit = 40 << 10;
    assert!(size > 50 << 20, "{size}");
    let output =
        crate::cli::with_little_memory(&world, limit, "erase --person maya@own.example --confirm");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("The freed bytes in the store's file are overwritten."), "{said}");
    assert!(!traces_are_left(&world));
    assert_eq!(found(world.folder.path(), &["zqearlierxw".to_owned()]), Vec::<String>::new());
    let left = std::fs::read_dir(world.folder.path()).unwrap();
    let mut left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!left.any(|name| name.starts_with("etilqs")), "a temporary file is left");
}

#[tokio::test]
async fn s20_an_erasure_whose_commit_fails_takes_its_line_back() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Call earlier").await;
    let lines = || std::fs::read_to_string(world.path("debrief.db.erasures")).unwrap();
    // Everything up to the commit succeeds, and that is refused.
    beside(&world)
        .execute_batch(
            "CREATE TABLE late (person INTEGER REFERENCES person (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER later AFTER INSERT ON erasure_log BEGIN
                 INSERT INTO late VALUES (-1); END",
        )
        .unwrap();
    let arguments = ["erase", "--person", "maya@own.example", "--confirm"];
    let (code, said) = debrief(&world, &arguments).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("commit: FOREIGN KEY constraint failed"), "{said}");
    assert_eq!(lines(), "");
    beside(&world).execute_batch("DROP TRIGGER later; DROP TABLE late").unwrap();
    // Nobody asked again: what she goes on writing is hers.
    for _ in 0..3 {
        world.pass(SignedDuration::from_mins(2)).await;
    }
    world.restart().await;
    assert!(world.command(MAYA, "/debrief me").await.contains("Call earlier"));
    let lines = || std::fs::read_to_string(world.path("debrief.db.erasures")).unwrap();
    erased(&world).await;
    assert_eq!(lines().lines().count(), 1);
}

#[tokio::test]
async fn s20_an_erasure_killed_before_its_commit_is_finished_by_the_running_bot() {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Call zqearlierxw").await;
    // The line of her erasure, made with a copy of this very store.
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("debrief.db");
    beside(&world).execute_batch(&format!("VACUUM INTO '{}'", path.display())).unwrap();
    let by = debrief::domain::audit::Actor::Roster;
    erasure::erase(&path, "maya@own.example", by, local("2026-03-10T13:40")).unwrap();
    std::fs::copy(copy.path().join("debrief.db.erasures"), world.path("debrief.db.erasures"))
        .unwrap();
    world.pass(SignedDuration::from_secs(10)).await;
    assert!(world.command(MAYA, "/debrief me").await.contains("zqearlierxw"), "not yet");
    world.pass(SignedDuration::from_mins(2)).await;
    assert!(world.command(MAYA, "/debrief me").await.starts_with("You are not on debrief's"));
    let words = ["zqearlierxw".to_owned(), "Brandt".to_owned()];
    assert_eq!(found(world.folder.path(), &words), Vec::<String>::new());
}

/// A new table about people must be thought of here, in `store::erasure` and in `store::dossier`.
#[tokio::test]
async fn s20_every_table_about_people_is_known_to_the_erasure() {
    let world = World::new(&[]).await;
    let connection: Connection = beside(&world);
    let mut statement = connection
        .prepare(
            "SELECT DISTINCT master.name FROM sqlite_master AS master,
                pragma_foreign_key_list(master.name) AS reference
             WHERE master.type = 'table' AND reference.\"table\" IN
                ('person', 'meeting', 'debrief', 'answer') ORDER BY 1",
        )
        .unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let emptied = [
        "answer",
        "answer_version",
        "correction",
        "debrief",
        "digest",
        "feed",
        "meeting",
        "outbox",
        "pending_text",
        "reporting_line",
        "sighting",
    ];
    // Numbers only.
    let kept = ["audit", "erasure_log"];
    let unknown: Vec<&String> = tables
        .iter()
        .filter(|table| !emptied.contains(&table.as_str()) && !kept.contains(&table.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not known to store::erasure and store::dossier: {unknown:?}");
}
