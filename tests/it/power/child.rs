//! What the child does while its disk fails: writes debriefs and tells what was acknowledged.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use debrief::domain::debrief::Outcome;
use debrief::domain::meeting::{Account, Guess, Kind};
use debrief::domain::privacy::Lock;
use debrief::domain::roster;
use debrief::flows::form::{self, Draft};
use debrief::store::answers::{Answer, Slot};
use debrief::store::meetings::JudgedMeeting;
use debrief::store::{Store, Tx};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use rusqlite::backup::Backup;

const JOB: &str = "DEBRIEF_TEST_POWER_JOB";
const STORE: &str = "DEBRIEF_TEST_POWER_STORE";
/// Answers of each debrief: how it ended, the text, the cue, the action, the tap.
pub(super) const ANSWERS: u32 = 5;
/// Far more than any cut lets the child write.
const MANY: u32 = 3000;
const AT_ONCE: u32 = 6;

/// What a child may be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Open the store, bringing it up to date, and close it.
    Open,
    Write,
    /// The same, while copies of the store are made.
    BackUp,
}

pub(super) fn now() -> Timestamp {
    "2026-03-17T09:00:00Z".parse().unwrap()
}

/// This program again, as a child that does `job`.
pub(super) fn command(job: Job, store: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["power::child::works_until_the_power_goes", "--exact", "--ignored", "--nocapture"])
        .env(JOB, format!("{job:?}"))
        .env(STORE, store);
    command
}

#[test]
#[ignore = "the child of the power tests, started by them"]
fn works_until_the_power_goes() {
    let variable = |name: &str| std::env::var_os(name);
    let (Some(job), Some(path)) = (variable(JOB), variable(STORE).map(PathBuf::from)) else {
        return;
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work(&job, &path));
}

async fn work(job: &OsString, path: &Path) {
    let store = Arc::new(Store::open(path, now()).unwrap());
    say("open");
    if job == "Open" {
        return;
    }
    let written = Arc::new(AtomicU32::new(0));
    let beside = (path.to_owned(), Arc::clone(&written));
    if job == "BackUp" {
        std::thread::spawn(move || copy_for_ever(&beside.0));
    } else {
        std::thread::spawn(move || fold_for_ever(&beside.0, &beside.1));
    }
    let clients: Vec<_> = (0..AT_ONCE)
        .map(|client| tokio::spawn(write(Arc::clone(&store), client, Arc::clone(&written))))
        .collect();
    tokio::select! {
        why = store.failed() => {
            say(&format!("failed {why}"));
            std::process::exit(3);
        }
        () = async { for client in clients { client.await.unwrap(); } } => {}
    }
}

async fn write(store: Arc<Store>, client: u32, written: Arc<AtomicU32>) {
    for number in (client..MANY).step_by(AT_ONCE as usize) {
        match store.transact(move |tx| debrief(tx, number)).await {
            Ok(()) => say(&format!("ack {number}")),
            Err(error) => {
                say(&format!("refused {number} {error:#}"));
                // Somebody who tries again, not at once.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// One line, whole, past the test program's own collecting of output.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// Everybody who answers.
pub(super) fn enroll(path: &Path) {
    let people = roster::parse("email,name,role\nmaya@own.example,Maya,rep\n").people;
    let store = Store::open_inline(path, now()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let enrolled = now() - SignedDuration::from_hours(2400);
    runtime.block_on(store.transact(move |tx| tx.apply_roster(&people, enrolled))).unwrap();
}

/// What a person's answers come to in the store.
fn debrief(tx: &Tx<'_>, number: u32) -> anyhow::Result<()> {
    let rep = tx.person_by_email("maya@own.example")?.unwrap().id;
    let end = now() - SignedDuration::from_mins(i64::from(number) * 60);
    let account = Account { key: format!("a{number}.example"), name: format!("A{number}") };
    let meeting = JudgedMeeting {
        uid: format!("power-{number}"),
        original_start: end - SignedDuration::from_mins(45),
        title: format!("Call {number}"),
        start: end - SignedDuration::from_mins(45),
        end,
        busy: false,
        customer: Some(Guess { kind: Kind::parse("demo").unwrap(), account }),
        guests: vec![],
    };
    anyhow::ensure!(tx.first_delivery(&[format!("view:{number}")], now())?, "a duplicate");
    let meeting = tx.upsert_meeting(rep, &meeting)?;
    tx.plan(meeting, rep, end)?;
    let debrief = tx.debrief_of(meeting)?.unwrap();
    let answer = |question: &str, body: String| Answer { question: question.into(), body };
    let words = format!("word{number} Call earlier and ask who decides, then write it down");
    let draft = Draft {
        outcome: Outcome::No,
        by: None,
        reflect: Some(answer("differently", words)),
        rule: Some(("price".into(), "name ours first".into())),
        tap: Some((Slot::Tap, answer("prepared", "yes".into()))),
        lock: Lock::Open,
    };
    form::save(tx, &debrief, &draft, now())
}

/// Folds the log far more often than the bot does, so that cuts fall into it.
fn fold_for_ever(path: &Path, written: &AtomicU32) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000").unwrap();
    let mut seen = 0;
    loop {
        let now = written.load(Ordering::Relaxed);
        if now >= seen + 4 {
            seen = now;
            let mode = if seen % 3 == 0 { "TRUNCATE" } else { "PASSIVE" };
            let fold = format!("PRAGMA wal_checkpoint({mode})");
            // Busy, or cut off.
            let _ = connection.query_row(&fold, [], |_| Ok(()));
        }
        std::thread::yield_now();
    }
}

/// Copies the store online, again and again; only a whole copy gets its name.
fn copy_for_ever(path: &Path) {
    let (part, whole) = (path.with_file_name("copy.part"), path.with_file_name("copy.whole"));
    loop {
        let from = Connection::open(path).unwrap();
        let mut to = Connection::open(&part).unwrap();
        let copied = Backup::new(&from, &mut to)
            .and_then(|backup| backup.run_to_completion(16, std::time::Duration::ZERO, None));
        to.close().unwrap();
        if copied.is_ok() {
            std::fs::File::options().write(true).open(&part).unwrap().sync_all().unwrap();
            std::fs::rename(&part, &whole).unwrap();
        }
    }
}
