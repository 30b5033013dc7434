//! What is stored, exported and logged.

mod auditing;
mod digesting;
mod erasing;
mod exporting;
mod looking;
mod private;
mod searching;

use debrief::domain::debrief::Outcome;
use debrief::domain::meeting::{Account, Guess, Kind};
use debrief::domain::person::PersonId;
use debrief::domain::privacy::Lock;
use debrief::flows::form::{self, Draft};
use debrief::store::Tx;
use debrief::store::answers::Answer;
use debrief::store::meetings::JudgedMeeting;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::world::World;

/// A debrief, answered as it would be in the form.
pub(crate) fn debriefed(
    tx: &Tx<'_>,
    rep: PersonId,
    account: &str,
    words: &str,
    lock: Lock,
    now: Timestamp,
) -> anyhow::Result<()> {
    let end = now - SignedDuration::from_mins(10);
    let account = Account { key: format!("{account}.example"), name: account.to_owned() };
    let meeting = JudgedMeeting {
        uid: format!("by-hand:{}", account.name),
        original_start: end,
        title: format!("{} title", account.name),
        start: end - SignedDuration::from_mins(30),
        end,
        busy: false,
        customer: Some(Guess { kind: Kind::Demo, account }),
        guests: vec![],
    };
    let meeting = tx.upsert_meeting(rep, &meeting)?;
    tx.plan(meeting, rep, end)?;
    let debrief = tx.debrief_of(meeting)?.expect("a plan");
    let draft = Draft {
        outcome: Outcome::No,
        by: None,
        reflect: Some(Answer { question: "differently".into(), body: words.to_owned() }),
        rule: None,
        tap: None,
        lock,
    };
    form::save(tx, &debrief, &draft, now)
}

/// The person of this address.
pub(crate) async fn person(world: &World, email: &'static str) -> PersonId {
    let store = &world.running().bot().store;
    store.read(move |tx| Ok(tx.person_by_email(email)?.unwrap().id)).await.unwrap()
}

/// The store as another program sees it.
fn beside(world: &World) -> Connection {
    Connection::open(world.path("debrief.db")).unwrap()
}

/// The bytes of a file of the store. Another process reads them: when one of ours closes the file,
/// the operating system drops the locks that SQLite has on it.
pub(crate) fn bytes(path: &std::path::Path) -> Vec<u8> {
    std::process::Command::new("cat").arg(path).output().unwrap().stdout
}

/// The audit log as lines: "person:3 history 1 done".
fn audit(world: &World) -> Vec<String> {
    let connection = beside(world);
    let sql = "SELECT actor || ' ' || action || ' ' || coalesce(subject, '-') || ' ' || result
               FROM audit ORDER BY id";
    let mut statement = connection.prepare(sql).unwrap();
    let lines = statement.query_map([], |row| row.get(0)).unwrap();
    lines.map(Result::unwrap).collect()
}
