//! Power cuts at many moments of writing, migrating and copying.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use debrief::store::{Store, schema};
use rusqlite::Connection;
use tempfile::TempDir;

use super::child::{self, ANSWERS, Job, now};
use super::{Dice, Disk};

/// Exit code of a process that was without power.
const CUT: i32 = 86;
const KEEP: [u64; 4] = [0, 20, 50, 90];

/// What a child said, and how it ended.
#[derive(Debug, Default)]
struct Report {
    acked: Vec<u32>,
    refused: u32,
    failed: Option<String>,
    code: Option<i32>,
}

/// A store to break, with its own folder for triggers.
struct Victim {
    folder: TempDir,
    triggers: TempDir,
}

impl Victim {
    fn new() -> Self {
        let victim = Self::empty();
        child::enroll(&victim.store());
        victim
    }

    fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), triggers: tempfile::tempdir().unwrap() }
    }

    fn copy(&self) -> Self {
        let copy = Self::empty();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.folder.path().join(file.file_name())).unwrap();
        }
        copy
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("debrief.db")
    }

    fn set(&self, trigger: &str) {
        std::fs::write(self.triggers.path().join(trigger), "").unwrap();
    }

    fn unset(&self, trigger: &str) {
        std::fs::remove_file(self.triggers.path().join(trigger)).unwrap();
    }

    /// Lets a child work until it ends, looking on as it reports.
    fn suffer(&self, job: Job, disk: &Disk, mut look: impl FnMut(&Report)) -> Report {
        let mut command = child::command(job, &self.store());
        disk.under(&mut command, self.folder.path(), self.triggers.path());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut report = Report::default();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            match line.split_once(' ') {
                Some(("ack", number)) => report.acked.push(number.parse().unwrap()),
                Some(("refused", _)) => report.refused += 1,
                Some(("failed", why)) => report.failed = Some(why.to_owned()),
                _ => {}
            }
            look(&report);
        }
        report.code = child.wait().unwrap().code();
        report
    }

    /// What is wrong with the store after all that, given what was acknowledged.
    fn examine(&self, acked: &[u32]) -> Result<(), String> {
        drop(Store::open(&self.store(), now()).map_err(|error| format!("{error:#}"))?);
        let store = Connection::open(self.store()).unwrap();
        sound(&store)?;
        // The index of words follows behind.
        debrief::store::visit(&self.store(), |tx| tx.index_words(u32::MAX)).unwrap();
        let mut whole = store
            .prepare(
                "SELECT count(*) FROM meeting JOIN debrief ON debrief.meeting_id = meeting.id
                 JOIN answer ON answer.debrief_id = debrief.id
                 JOIN answer_fts ON answer_fts.rowid = answer.id
                 WHERE meeting.uid = ?1 AND answer_fts MATCH ?2",
            )
            .unwrap();
        for number in acked {
            let (uid, word) = (format!("power-{number}"), format!("word{number}"));
            let found: u32 = whole.query_row([uid, word], |row| row.get(0)).unwrap();
            if found != 1 {
                return Err(format!("the acknowledged debrief {number} is lost"));
            }
        }
        let parts = "SELECT count(*) FROM debrief WHERE
                       (SELECT count(*) FROM answer WHERE debrief_id = debrief.id) <> ?1";
        let partial: u32 = store.query_row(parts, [ANSWERS], |row| row.get(0)).unwrap();
        if partial > 0 { Err(format!("{partial} debriefs are incomplete")) } else { Ok(()) }
    }
}

fn sound(store: &Connection) -> Result<(), String> {
    let said = store.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    match said {
        Ok(said) if said == "ok" => Ok(()),
        said => Err(format!("not sound: {said:?}")),
    }
}

/// Makes `cuts` cuts, two at a time. What `cut` finds wrong is returned with its number.
fn campaign(cuts: u64, cut: impl Fn(u64) -> Result<(), String> + Sync) -> Vec<String> {
    let (next, wrong) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cuts {
                        return;
                    }
                    if let Err(why) = cut(number) {
                        wrong.lock().unwrap().push(format!("cut {number}: {why}"));
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

/// Cuts at random while debriefs are written; says what was lost and how many were acknowledged.
fn cut_while(job: Job, cuts: u64, is_deaf: bool) -> (Vec<String>, u64) {
    let (template, total) = (Victim::new(), AtomicU64::new(0));
    let wrong = campaign(cuts, |number| {
        let mut dice = Dice::new(number + 1);
        let keep = KEEP[usize::try_from(number).unwrap() % KEEP.len()];
        let disk = Disk {
            cut_at: 20 + dice.below(1500),
            keep,
            seed: number + 1,
            is_deaf,
            ..Disk::default()
        };
        let victim = template.copy();
        let report = victim.suffer(job, &disk, |_| ());
        assert_eq!(report.code, Some(CUT), "the child ended in another way: {report:?}");
        assert_eq!(report.refused, 0, "{report:?}");
        total.fetch_add(report.acked.len() as u64, Ordering::Relaxed);
        victim.examine(&report.acked)?;
        let copy = victim.folder.path().join("copy.whole");
        if copy.exists() { sound(&Connection::open(copy).unwrap()) } else { Ok(()) }
    });
    (wrong, total.into_inner())
}

#[test]
fn f07_a_hundred_power_cuts_lose_nothing_that_was_acknowledged() {
    if super::shim().is_none() {
        return;
    }
    let (wrong, acked) = cut_while(Job::Write, 100, false);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(acked > 500, "only {acked} debriefs were acknowledged: the cuts came too early");
}

/// The proof that the test above can fail.
#[test]
fn f07_a_disk_that_does_not_flush_is_found_out() {
    if super::shim().is_none() {
        return;
    }
    let (wrong, _) = cut_while(Job::Write, 12, true);
    assert!(wrong.len() > 3, "only {} of 12 cuts lost something", wrong.len());
}

#[test]
fn f06_power_cuts_during_a_backup_harm_neither_store_nor_copy() {
    if super::shim().is_none() {
        return;
    }
    let (wrong, _) = cut_while(Job::BackUp, 20, false);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A store as the release before the newest migration left it; an empty folder if there is none.
fn old_store() -> (Victim, usize) {
    let (victim, version) = (Victim::empty(), schema::MIGRATIONS.len() - 1);
    if version > 0 {
        let old = Connection::open(victim.store()).unwrap();
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/samples");
        for (number, migration) in schema::MIGRATIONS.iter().enumerate().take(version) {
            let sample = samples.join(format!("{:04}.sql", number + 1));
            old.execute_batch(migration).unwrap();
            old.execute_batch(&std::fs::read_to_string(sample).unwrap()).unwrap();
        }
        let mark = format!("PRAGMA application_id = 1145197126; PRAGMA user_version = {version}");
        old.execute_batch(&mark).unwrap();
        old.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    }
    (victim, version)
}

fn cut_while_opening(template: &Victim, version: usize, cuts: u64) {
    let counted = template.copy();
    let count_to = counted.triggers.path().join("count");
    let disk = Disk { count_to: Some(count_to.clone()), ..Disk::default() };
    let report = counted.suffer(Job::Open, &disk, |_| ());
    assert_eq!(report.code, Some(0), "{report:?}");
    let operations: u64 = std::fs::read_to_string(count_to).unwrap().parse().unwrap();
    assert!(operations > cuts, "{operations}");
    let wrong = campaign(cuts, |number| {
        let cut_at = 1 + number * (operations - 1) / cuts;
        let keep = KEEP[usize::try_from(number).unwrap() % KEEP.len()];
        let disk = Disk { cut_at, keep, seed: number + 1, ..Disk::default() };
        let victim = template.copy();
        let report = victim.suffer(Job::Open, &disk, |_| ());
        assert_eq!(report.code, Some(CUT), "{report:?}");
        if version > 0 {
            let found = schema::version(&Connection::open(victim.store()).unwrap()).unwrap();
            let newest = i64::try_from(schema::MIGRATIONS.len()).unwrap();
            let before = victim.folder.path().join(format!("pre-v{newest}.db"));
            if found == newest && !before.exists() {
                return Err("migrated without a copy".to_owned());
            }
            if before.exists() {
                sound(&Connection::open(before).unwrap())?;
            }
        }
        // Opening completes the migration, and refuses tables that are not the newest ones.
        drop(Store::open(&victim.store(), now()).map_err(|error| format!("{error:#}"))?);
        sound(&Connection::open(victim.store()).unwrap())
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn f05_power_cuts_during_a_migration_leave_the_old_or_the_new_schema() {
    if super::shim().is_none() {
        return;
    }
    cut_while_opening(&Victim::empty(), 0, 15);
    let (template, version) = old_store();
    cut_while_opening(&template, version, 30);
}

#[test]
fn f30_a_failed_flush_is_not_acknowledged_and_ends_the_process() {
    if super::shim().is_none() {
        return;
    }
    let victim = Victim::new();
    let mut acked_before = None;
    let report = victim.suffer(Job::Write, &Disk::default(), |report| {
        if report.acked.len() == 20 && acked_before.is_none() {
            victim.set("eio");
            acked_before = Some(report.acked.len());
        }
    });
    assert_eq!(report.code, Some(3), "{report:?}");
    let why = report.failed.unwrap();
    assert!(why.contains("disk I/O error"), "{why}");
    victim.unset("eio");
    victim.examine(&report.acked).unwrap();
}

#[test]
fn f26_a_full_disk_refuses_loses_nothing_and_recovers() {
    if super::shim().is_none() {
        return;
    }
    for trigger in ["full", "quota"] {
        refused_while(trigger);
    }
}

fn refused_while(trigger: &str) {
    let victim = Victim::new();
    let (mut acked_when_full, mut acked_after) = (0, 0);
    let mut stage = 0;
    let report = victim.suffer(Job::Write, &Disk { cut_at: 4000, ..Disk::default() }, |report| {
        if stage == 0 && report.acked.len() >= 20 {
            victim.set(trigger);
            stage = 1;
        } else if stage == 1 && report.refused >= 20 {
            acked_when_full = report.acked.len();
            victim.unset(trigger);
            stage = 2;
        }
        acked_after = report.acked.len();
    });
    assert_eq!((stage, report.failed), (2, None));
    assert!(acked_after > acked_when_full + 20, "{acked_when_full}, then {acked_after}");
    victim.examine(&report.acked).unwrap();
}
