//! Every migration is applied to rows as the version before it wrote them.

use debrief::domain::audit::{Action, Actor, Entry};
use debrief::domain::debrief::DebriefId;
use debrief::domain::person::PersonId;
use debrief::domain::privacy::Viewer;
use debrief::store::audit::Verification;
use debrief::store::history::{HistoryFilter, HistoryScope};
use debrief::store::{Store, schema};
use jiff::Timestamp;
use rusqlite::Connection;

/// Sample rows of each version, in order.
const SAMPLES: [&str; 9] = [
    include_str!("samples/0001.sql"),
    include_str!("samples/0002.sql"),
    include_str!("samples/0003.sql"),
    include_str!("samples/0004.sql"),
    include_str!("samples/0005.sql"),
    include_str!("samples/0006.sql"),
    include_str!("samples/0007.sql"),
    include_str!("samples/0008.sql"),
    include_str!("samples/0009.sql"),
];

fn now() -> Timestamp {
    "2026-03-17T09:00:00Z".parse().unwrap()
}

fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%fts%'
               AND name NOT LIKE 'sqlite%' ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

#[tokio::test]
async fn rows_of_every_version_survive_the_way_to_the_newest() {
    assert_eq!(SAMPLES.len(), schema::MIGRATIONS.len(), "each migration brings sample rows");
    for version in 1..=SAMPLES.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        let old = Connection::open(&path).unwrap();
        for (migration, sample) in schema::MIGRATIONS.iter().zip(SAMPLES).take(version) {
            old.execute_batch(migration).unwrap();
            old.execute_batch(sample).unwrap();
        }
        let identity =
            format!("PRAGMA application_id = 1145197126; PRAGMA user_version = {version};");
        old.execute_batch(&identity).unwrap();
        for table in tables(&old) {
            let count = format!("SELECT count(*) FROM {table}");
            let rows: i64 = old.query_row(&count, [], |row| row.get(0)).unwrap();
            assert!(rows > 0, "no sample row in {table} at version {version}");
        }
        drop(old);

        let store = Store::open(&path, now()).unwrap();
        let found = store
            .read(|tx| {
                let scope = HistoryScope { rep: PersonId(1), viewer: Viewer::Rep, from: None };
                let words =
                    HistoryFilter { words: vec!["lead".into()], ..HistoryFilter::default() };
                tx.history(scope, &words, &[], 10)
            })
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].debrief.id, DebriefId(1));
        let before = store.read(|tx| tx.verify_audit(None)).await.unwrap();
        assert!(matches!(before, Verification::Whole { rows: 1.., .. }), "{before:?}");
        let entry = Entry::of(Actor::Person(PersonId(2)), Action::History).about(PersonId(1));
        store.transact(move |tx| tx.audit(&entry, now())).await.unwrap();
        let after = store.read(|tx| tx.verify_audit(None)).await.unwrap();
        assert!(matches!(after, Verification::Whole { rows: 2.., .. }), "{after:?}");
        let looks = store.read(|tx| tx.looks_at(PersonId(1), 10)).await.unwrap();
        assert_eq!(looks.last().unwrap().by.as_deref(), Some("Leo Marsh"), "the log before stays");
        drop(store);

        let new = Connection::open(&path).unwrap();
        let well: String = new.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(well, "ok");
        let broken = new.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
        assert!(!broken, "a migration broke a reference");
    }
}

#[test]
fn a_file_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.db");
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE song (title TEXT); PRAGMA user_version = 7;").unwrap();
    drop(theirs);
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path, now()).err().unwrap();
    assert!(format!("{error:#}").contains("another program"), "{error:#}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.db");
    drop(Store::open(&path, now()).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    let error = Store::open(&path, now()).err().unwrap();
    assert!(format!("{error:#}").contains("newer debrief"), "{error:#}");
}

#[test]
fn a_second_process_on_the_same_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("debrief.db");
    let first = Store::open(&path, now()).unwrap();
    let error = Store::open(&path, now()).err().unwrap();
    assert!(format!("{error:#}").contains("in use by another debrief process"), "{error:#}");
    drop(first);
    assert!(Store::open(&path, now()).is_ok());
}
