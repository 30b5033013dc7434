//! Ten thousand reps, a thousand managers and a million answers, written straight into the tables.
//!
//! What matters is that it looks as the bot would have left it after a quarter of a year; writing it
//! through the flows would take an hour.

use std::fmt::Write as _;
use std::path::Path;

use debrief::store::{Store, visit};
use jiff::Timestamp;
use rusqlite::{Connection, params};

pub(crate) const REPS: usize = 10_000;
pub(crate) const TEAM: usize = 10;
pub(crate) const MANAGERS: usize = REPS / TEAM;
/// Debriefs of each rep, a hundred hours apart; each has four answers, two of them texts.
const DEBRIEFS: usize = 25;
const HOUR: i64 = 3600;
const INDEXED_AT_ONCE: u32 = 50_000;
/// In one text of six.
pub(crate) const COMMON: &str = "price";
/// In one text of about five thousand.
pub(crate) const RARE: &str = "escrow";

pub(crate) fn chat_id(rep: usize) -> String {
    format!("U{rep:05}")
}

pub(crate) fn email(rep: usize) -> String {
    format!("rep{rep}@own.example")
}

/// The first of each ten manages the other nine and is managed by the one before.
pub(crate) fn manager(rep: usize) -> Option<usize> {
    let lead = rep / TEAM * TEAM;
    (lead != rep).then_some(lead)
}

pub(crate) fn roster() -> String {
    let mut csv = "email,name,role,manager_email,calendar,zone\n".to_owned();
    for rep in 0..REPS {
        let role = if manager(rep).is_none() { "rep;manager" } else { "rep" };
        let manager = manager(rep).map(email).unwrap_or_default();
        writeln!(csv, "{},Rep {rep},{role},{manager},,Europe/Berlin", email(rep)).unwrap();
    }
    csv
}

/// Makes the store. Says how many answers are in it.
pub(crate) fn fill(path: &Path, now: Timestamp) -> usize {
    Store::open(path, now).unwrap().close();
    let mut connection = Connection::open(path).unwrap();
    // Nothing of this has to survive anything.
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -64000;").unwrap();
    let tx = connection.transaction().unwrap();
    people(&tx, now);
    let answers = debriefs(&tx, now);
    tx.commit().unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    while visit(path, |tx| tx.index_words(INDEXED_AT_ONCE)).unwrap() {}
    answers
}

fn people(connection: &Connection, now: Timestamp) {
    let mut person = connection
        .prepare(
            "INSERT INTO person (id, email, name, is_rep, is_manager, is_admin, roster_zone,
                chat_id, chat_zone, standing, lookup_at, created_at)
             VALUES (?1, ?2, ?3, 1, ?4, 0, 'Europe/Berlin', ?5, 'Europe/Berlin', 'member', ?6, 0)",
        )
        .unwrap();
    let mut line = connection
        .prepare("INSERT INTO reporting_line (rep_id, manager_id, valid_from) VALUES (?1, ?2, 0)")
        .unwrap();
    let later = now.as_second() + 48 * HOUR;
    for rep in 0..REPS {
        let leads = manager(rep).is_none();
        let name = format!("Rep {rep}");
        person.execute(params![id(rep), email(rep), name, leads, chat_id(rep), later]).unwrap();
    }
    for rep in 0..REPS {
        if let Some(lead) = manager(rep) {
            line.execute(params![id(rep), id(lead)]).unwrap();
        }
    }
}

fn debriefs(connection: &Connection, now: Timestamp) -> usize {
    let mut meeting = connection
        .prepare(
            "INSERT INTO meeting (id, rep_id, uid, original_start, title, starts_at, ends_at,
                is_busy, is_customer, kind, account_key, account_name, guests)
             VALUES (?1, ?2, ?3, ?4, 'Weekly call', ?4, ?5, 1, 1, 'demo', ?6, ?7, 'Kim Lee')",
        )
        .unwrap();
    let mut debrief = connection
        .prepare(
            "INSERT INTO debrief (id, meeting_id, rep_id, state, due_at, asks, asked_at,
                answered_at, outcome, channel, ts)
             VALUES (?1, ?1, ?2, 'answered', ?3, 1, ?3, ?4, ?5, ?6, ?7)",
        )
        .unwrap();
    let mut answer = connection
        .prepare(
            "INSERT INTO answer (debrief_id, rep_id, slot, question, body, is_text, version,
                written_at, is_unindexed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?6)",
        )
        .unwrap();
    let mut words = Words(42);
    let mut number = 0_i64;
    // Oldest first, as time would have it.
    for round in 0..DEBRIEFS {
        for rep in 0..REPS {
            number += 1;
            let rounds = i64::try_from(DEBRIEFS - round).unwrap();
            let end = now.as_second() - rounds * 100 * HOUR + i64::from(words.next() % 3600);
            let account = words.next() % 3000;
            let (key, name) = (format!("firm{account}.example"), format!("Firm {account}"));
            let uid = format!("meeting-{number}");
            meeting.execute(params![number, id(rep), uid, end - HOUR, end, key, name]).unwrap();
            let outcome = ["yes", "dated", "nice_chat", "no"][words.next() as usize % 4];
            let (channel, ts) = (format!("D{rep:05}"), format!("{}.000100", end + 300));
            let (asked, answered) = (end + 300, end + 900);
            debrief
                .execute(params![number, id(rep), asked, answered, outcome, channel, ts])
                .unwrap();
            for (slot, question, body, text) in [
                ("ended", "ended", outcome.to_owned(), false),
                ("reflect", "differently", words.sentence(), true),
                ("cue", "cue", "price".to_owned(), false),
                ("action", "action", words.sentence(), true),
            ] {
                answer
                    .execute(params![number, id(rep), slot, question, body, text, answered])
                    .unwrap();
            }
        }
    }
    usize::try_from(number).unwrap() * 4
}

pub(crate) fn id(rep: usize) -> i64 {
    i64::try_from(rep).unwrap() + 1
}

/// Words with a few common ones and many rare ones, always the same.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u32::try_from(self.0 >> 33).unwrap()
    }

    /// About two hundred characters.
    fn sentence(&mut self) -> String {
        let mut text = String::with_capacity(220);
        if self.next().is_multiple_of(6) {
            text.push_str("They asked for the price early. ");
        }
        if self.next().is_multiple_of(5000) {
            text.push_str("Bring escrow. ");
        }
        while text.len() < 195 {
            // Squared, so that low numbers come far more often.
            let share = u64::from(self.next() % 2000) * u64::from(self.next() % 2000) / 2000;
            write!(text, "{}{} ", SYLLABLES[(share % 40) as usize], share / 40).unwrap();
        }
        text
    }
}

const SYLLABLES: [&str; 40] = [
    "ask", "bud", "cal", "dem", "end", "fin", "gap", "hol", "ind", "jus", "kee", "lis", "mee",
    "nex", "off", "pau", "que", "rep", "sho", "tim", "und", "val", "wai", "xer", "yes", "zon",
    "acc", "bri", "com", "dec", "eng", "foc", "goa", "hea", "int", "joi", "kno", "lea", "mov",
    "nam",
];
