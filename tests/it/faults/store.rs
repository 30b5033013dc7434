//! The disk and the file: what the store does when they fail.
//!
//! Power cuts, full disks and failing flushes are in `power`.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use debrief::playground::deeds::Submitted;
use debrief::store::place::Missing;
use debrief::store::trouble::Unusable;
use debrief::store::{Store, Tx};
use jiff::Timestamp;
use rusqlite::Connection;

use crate::world::{MAYA, World};

fn now() -> Timestamp {
    "2026-03-17T09:00:00Z".parse().unwrap()
}

/// Why the store at `path` is refused, its folder taken out.
fn refusal(path: &Path) -> String {
    let error = Store::open(path, now()).err().expect("it was opened");
    assert!(error.is::<Unusable>(), "{error:#}");
    format!("{error:#}").replace(&path.parent().unwrap().display().to_string(), "…")
}

async fn write(store: &Store, number: u32) -> anyhow::Result<()> {
    store
        .transact(move |tx| tx.keep_dead_letter("test", &"x".repeat(900), now()).map(|_| number))
        .await?;
    Ok(())
}

/// A store with some pages in it, closed.
async fn filled(path: &Path) {
    let store = Store::open(path, now()).unwrap();
    for number in 0..40 {
        write(&store, number).await.unwrap();
    }
}

fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    let mut file = std::fs::File::options().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Backups as they are made: a good one, and a newer one that is damaged.
fn back_up(path: &Path) {
    let folder = path.with_file_name("debrief.db.backups");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(path, folder.join("debrief-20260315-030000.db")).unwrap();
    std::fs::copy(path, folder.join("debrief-20260316-030000.db")).unwrap();
    std::fs::write(folder.join("debrief-20260317-030000.db"), "not a database").unwrap();
}

fn run(world: &World, arguments: &[&str]) -> Output {
    std::fs::write(world.path("debrief.toml"), world.config_text()).unwrap();
    let file = world.path("debrief.toml");
    Command::new(env!("CARGO_BIN_EXE_debrief"))
        .args(arguments)
        .arg("--config")
        .arg(file)
        .env("DEBRIEF_SLACK_BOT_TOKEN", world.playground.bot_token())
        .env("DEBRIEF_SLACK_APP_TOKEN", world.playground.app_token())
        .output()
        .unwrap()
}

#[tokio::test]
async fn f27_a_store_locked_by_somebody_else_is_waited_for_two_seconds() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    world.playground.fill(MAYA, "differently", "Call earlier").await.unwrap();
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.settle().await;
    let rival = Connection::open(world.path("debrief.db")).unwrap();
    rival.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let submitted = world.playground.submit(MAYA).await.unwrap();
    assert!(began.elapsed() > Duration::from_millis(1500), "it is waited for a while");
    match submitted {
        Submitted::Errors(errors) => assert!(errors["ended"].contains("could not be saved")),
        Submitted::Timeout => assert!(began.elapsed() > Duration::from_secs(3), "a slow machine"),
        Submitted::Accepted => panic!("it was taken"),
    }
    let store = &world.running().bot().store;
    let figures = store.figures();
    assert!(figures.busy > 0 && figures.is_failing, "{figures:?}");
    store.read(|tx: &Tx<'_>| tx.dead_letters()).await.unwrap();
    rival.execute_batch("ROLLBACK").unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    assert!(!store.figures().is_failing);
}

#[tokio::test]
async fn f28_a_damaged_page_or_header_is_refused_and_the_newest_good_backup_is_named() {
    for (at, what) in [(5 * 4096, "page"), (0, "header")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("debrief.db");
        filled(&path).await;
        back_up(&path);
        overwrite(&path, at, &[0xa5; 64]);
        let before = std::fs::read(&path).unwrap();
        let said = refusal(&path);
        assert!(said.starts_with("the store …/debrief.db is damaged ("), "{what}: {said}");
        let remedy = "The newest good backup is …/debrief.db.backups/debrief-20260316-030000.db: \
                      stop debrief and run `debrief restore \
                      …/debrief.db.backups/debrief-20260316-030000.db`. The damaged file is left \
                      as it is";
        assert!(said.ends_with(remedy), "{what}: {said}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{what}: the file was touched");
    }
}

/// The store and its log as a killed process leaves them.
async fn killed(from: &Path, to: &Path) {
    let store = Store::open(from, now()).unwrap();
    for number in 0..20 {
        write(&store, number).await.unwrap();
    }
    for ending in ["", "-wal", ".lock", ".expected"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        std::fs::copy(name(from), name(to)).unwrap();
    }
}

#[tokio::test]
async fn f28_a_damaged_log_is_told_from_one_that_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (original, path) = (folder.path().join("a.db"), folder.path().join("debrief.db"));
    let wal = folder.path().join("debrief.db-wal");
    let stored = |path: &Path| {
        let found = Connection::open(path).unwrap();
        found.query_row("SELECT count(*) FROM dead_letter", [], |row| row.get::<_, i64>(0)).unwrap()
    };

    killed(&original, &path).await;
    drop(Store::open(&path, now()).unwrap());
    assert_eq!(stored(&path), 20, "a kill loses nothing");

    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&original).unwrap();
    std::fs::remove_file(folder.path().join("a.db.expected")).unwrap();
    killed(&original, &path).await;
    let length = std::fs::metadata(&wal).unwrap().len();
    overwrite(&wal, length - 2000, &[0xa5; 8]);
    drop(Store::open(&path, now()).unwrap());
    assert_eq!(stored(&path), 19, "the last transaction may be one that was never acknowledged");

    for at in [length / 2, 20] {
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&original).unwrap();
        std::fs::remove_file(folder.path().join("a.db.expected")).unwrap();
        killed(&original, &path).await;
        overwrite(&wal, at, &[0xa5; 8]);
        let before = std::fs::read(&wal).unwrap();
        let said = refusal(&path);
        assert!(said.contains("its write-ahead log has lost saved answers"), "{said}");
        assert!(said.contains("There is no good backup in …/debrief.db.backups"), "{said}");
        assert_eq!(std::fs::read(&wal).unwrap(), before);
    }
}

#[tokio::test]
async fn f28_the_program_ends_with_78_and_says_what_to_do() {
    let world = World::asleep(&[], "").await;
    std::fs::write(world.path("debrief.db"), "x".repeat(8192)).unwrap();
    let output = run(&world, &["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("debrief: the store ") && said.contains("`debrief restore FILE`"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(std::fs::read(world.path("debrief.db")).unwrap().len(), 8192);
}

#[tokio::test]
async fn f28_damage_that_shows_while_running_stops_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("debrief.db");
    filled(&path).await;
    let store = Store::open(&path, now()).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    overwrite(&path, 4096, &vec![0xa5; usize::try_from(length).unwrap() - 4096]);
    assert!(store.read(|tx: &Tx<'_>| tx.dead_letters()).await.is_err());
    let why = tokio::time::timeout(Duration::from_secs(20), store.failed()).await.unwrap();
    assert!(why.contains("malformed"), "{why}");
    let error = write(&store, 1).await.unwrap_err();
    assert!(error.to_string().starts_with("the store has failed: "), "{error:#}");
}

#[tokio::test]
async fn f29_a_store_taken_away_ends_the_bot_and_is_not_made_anew() {
    let mut world = World::asked_about_acme().await;
    std::fs::rename(world.path("debrief.db"), world.path("elsewhere.db")).unwrap();
    world.settle().await;
    let failed = world.running().failed();
    let why = tokio::time::timeout(Duration::from_secs(20), failed).await.unwrap();
    assert!(why.contains("debrief.db is gone"), "{why}");
    world.stop().await;
    let output = run(&world, &["run"]);
    assert_eq!(output.status.code(), Some(78));
    let checked = run(&world, &["check"]);
    let checked = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.contains("WRONG store     the store "), "{checked}");
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.replace(&world.folder.path().display().to_string(), "…");
    insta::assert_snapshot!(said, @"debrief: the store …/debrief.db is missing, but …/debrief.db.expected says that there was one. Is its disk mounted? There is no good backup in …/debrief.db.backups: find one elsewhere and run `debrief restore FILE`. To begin with an empty store instead, delete …/debrief.db.expected");
    assert!(!world.path("debrief.db").exists());
}

#[tokio::test]
async fn f29_a_store_replaced_by_another_file_ends_the_bot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("debrief.db");
    let store = Store::open(&path, now()).unwrap();
    store.look_after();
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    store.look_after();
    let why = tokio::time::timeout(Duration::from_secs(20), store.failed()).await.unwrap();
    assert!(why.contains("was replaced by another file"), "{why}");
}

#[tokio::test]
async fn f29_a_disk_that_is_not_mounted_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not-mounted/debrief.db");
    let error = Store::open_or(&path, Missing::Refuse, now()).err().unwrap();
    assert!(error.is::<Unusable>());
    let said = format!("{error:#}");
    assert!(
        said.contains("is missing, but store.missing is \"refuse\". Is its disk mounted?"),
        "{said}"
    );
    assert!(!path.parent().unwrap().exists(), "nothing is made");
    // The bot asks for it when the configuration says so.
    let mut world = World::asleep(&[], "").await;
    assert!(world.config().store_may_be_made);
    world.start().await;
    world.stop().await;
    std::fs::write(world.path("debrief.db"), "").unwrap();
    let error = world.try_start().await.err().unwrap();
    assert!(format!("{error:#}").contains("debrief.db is empty, but "), "{error:#}");
}

#[tokio::test]
async fn f31_a_second_bot_is_told_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("debrief.db");
    let first = Store::open(&path, now()).unwrap();
    let error = Store::open(&path, now()).err().unwrap();
    let by = format!("locked by process {} since 2026-03-17T09:00:00Z;", std::process::id());
    assert!(format!("{error:#}").contains(&by), "{error:#}");
    assert!(write(&first, 1).await.is_ok());
    first.close();
    assert!(Store::open(&path, now()).is_ok());
}

/// Panics when it is dropped on the writing thread, outside of every job.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert_ne!(std::thread::current().name(), Some("store-writer"), "on purpose");
    }
}

#[tokio::test]
async fn f42_the_death_of_the_writing_thread_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("debrief.db"), now()).unwrap());
    let error =
        store.transact(|_| -> anyhow::Result<()> { panic!("on purpose") }).await.unwrap_err();
    assert!(error.to_string().contains("a write panicked"), "{error:#}");
    write(&store, 1).await.unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let patient = Arc::clone(&store);
    let asked = tokio::spawn(async move {
        let work = move |_: &Tx<'_>| {
            wait.recv()?;
            Ok(Bomb)
        };
        patient.transact(work).await.map(std::mem::forget)
    });
    while store.figures().batches.count < 2 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    // Whoever asked gives up, so the result is dropped where it was made.
    asked.abort();
    assert!(asked.await.is_err());
    go.send(()).unwrap();
    let why = tokio::time::timeout(Duration::from_secs(20), store.failed()).await.unwrap();
    assert!(why.contains("its writing thread has died"), "{why}");
    assert!(write(&store, 2).await.is_err());
}

#[tokio::test]
async fn people_go_before_the_background_which_does_not_starve() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("debrief.db"), now()).unwrap());
    let (go, wait) = mpsc::channel::<()>();
    let (order, patient) = (Arc::new(Mutex::new(String::new())), Arc::clone(&store));
    let first = tokio::spawn(async move { patient.transact(move |_| Ok(wait.recv()?)).await });
    let mut jobs = Vec::new();
    for number in 0..600 {
        let (store, order) = (Arc::clone(&store), Arc::clone(&order));
        jobs.push(tokio::spawn(async move {
            let is_person = number % 2 == 0;
            let note = move |_: &Tx<'_>| {
                order.lock().unwrap().push(if is_person { 'p' } else { 'b' });
                Ok(())
            };
            if is_person { store.transact(note).await } else { store.transact_behind(note).await }
        }));
    }
    while store.figures().people_waiting < 300 || store.figures().behind_waiting < 300 {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    let order = order.lock().unwrap();
    // The first batch has one seat taken and keeps its last one for the background.
    let expected = format!("{}b{}", "p".repeat(254), "p".repeat(46));
    assert!(order.starts_with(&expected), "{order}");
    assert_eq!(order.len(), 600);
    let figures = store.figures();
    assert!(figures.batches.count < 20 && figures.batches.sum > 600.0, "{figures:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("debrief.db"), now()).unwrap());
    let (go, wait) = mpsc::channel::<()>();
    let patient = Arc::clone(&store);
    let first = tokio::spawn(async move { patient.transact(move |_| Ok(wait.recv()?)).await });
    let begun = |store: &Store| store.figures().people_waiting == 0;
    tokio::task::yield_now().await;
    while !begun(&store) {
        tokio::task::yield_now().await;
    }
    let mut jobs = Vec::new();
    for _ in 0..4096 {
        let store = Arc::clone(&store);
        jobs.push(tokio::spawn(async move { store.transact(|_| Ok(())).await }));
    }
    while store.figures().people_waiting < 4096 {
        tokio::task::yield_now().await;
    }
    let error = store.transact(|_| Ok(())).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is overloaded; nothing was saved");
    assert_eq!(store.figures().overloaded, 1);
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
}
