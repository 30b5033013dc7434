//! Whatever is typed is searched for, never obeyed; whatever the organisation, nobody sees more
//! than they may.

use std::collections::{BTreeMap, BTreeSet};

use debrief::domain::person::PersonId;
use debrief::domain::privacy::{Lock, Viewer};
use debrief::domain::roster::{Roles, RosterEntry};
use debrief::store::answers::Slot;
use debrief::store::history::{HistoryFilter, HistoryScope};
use debrief::store::{Store, Tx};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::debriefed;

fn start() -> Timestamp {
    "2026-03-02T08:00:00Z".parse().unwrap()
}

fn entry(number: usize, manager: Option<usize>, is_admin: bool) -> RosterEntry {
    RosterEntry {
        line: number + 2,
        email: email(number),
        name: format!("Person {number}"),
        roles: Roles { rep: true, manager: true, admin: is_admin },
        manager_email: manager.map(email),
        calendars: Vec::new(),
        zone: None,
    }
}

fn email(number: usize) -> String {
    format!("p{number}@own.example")
}

fn id(tx: &Tx<'_>, number: usize) -> PersonId {
    tx.person_ever(&email(number)).unwrap().unwrap().id
}

/// Runs `work` in a store of its own.
fn in_store(work: impl FnOnce(&Tx<'_>)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("debrief.db");
    drop(Store::open(&path, start()).unwrap());
    debrief::store::visit(&path, |tx| {
        work(tx);
        Ok(())
    })
    .unwrap();
}

/// Words as an attacker would write them.
fn typed() -> impl Strategy<Value = Vec<String>> {
    let syntax = prop::sample::select(vec![
        "\"",
        "\"\"",
        "'",
        "''",
        "*",
        "^",
        "+",
        "-",
        ":",
        "(",
        ")",
        "{",
        "}",
        "\0",
        ";",
        "--",
        "%",
        "_",
        "\\",
        "OR",
        "AND",
        "NOT",
        "NEAR(",
        "NEAR/2",
        "scope:",
        "scope:\"r2\"",
        "body:",
        "r2",
        "r1\" OR scope:\"r2",
        "rank",
        "' OR 1=1 --",
        "price",
        "secret",
        "é",
        "\u{202e}",
        "字",
    ]);
    let word = prop::collection::vec(
        prop_oneof![
            3 => syntax.prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
            1 => ".{0,12}",
        ],
        0..6,
    );
    prop::collection::vec(word.prop_map(|parts| parts.concat()), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn s15_no_search_is_an_error_or_leaves_its_scope(
        searches in prop::collection::vec((typed(), prop::option::of(".{0,12}")), 16),
    ) {
        in_store(|tx| {
            tx.apply_roster(&[entry(0, None, false), entry(1, None, false)], start()).unwrap();
            let (own, other) = (id(tx, 0), id(tx, 1));
            for (rep, account) in [(own, "Acme"), (other, "Secretfirm")] {
                debriefed(tx, rep, account, "The price is a secret", Lock::Open, start()).unwrap();
            }
            tx.index_words(u32::MAX).unwrap();
            for (words, account) in searches {
                let filter = HistoryFilter { words, account, ..HistoryFilter::default() };
                let scope = HistoryScope { rep: own, viewer: Viewer::Rep, from: None };
                let found = tx.history(scope, &filter, &[], 10).unwrap();
                assert!(found.iter().all(|seen| seen.debrief.rep == own), "{filter:?}");
            }
            // It does find what is there.
            let words = vec!["price".to_owned(), "secr".to_owned()];
            let filter = HistoryFilter { words, ..HistoryFilter::default() };
            let scope = HistoryScope { rep: own, viewer: Viewer::Rep, from: None };
            assert_eq!(tx.history(scope, &filter, &[], 10).unwrap().len(), 1);
        });
    }

    #[test]
    fn s08_rows_stay_within_their_scope_whatever_the_organisation(
        steps in prop::collection::vec(step(), 1..14),
    ) {
        in_store(|tx| organisation(tx, &steps));
    }
}

const PEOPLE: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    /// Who reports to whom, and who administers, from now on; a person without `Some` is gone.
    Roster(Vec<Option<(Option<usize>, bool)>>),
    Answer(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let place = (prop::option::of(0..PEOPLE), any::<bool>());
    let roster = prop::collection::vec(prop::option::weighted(0.85, place), PEOPLE);
    prop_oneof![
        2 => roster.prop_map(Step::Roster),
        3 => (0..PEOPLE, any::<bool>()).prop_map(|(rep, locked)| Step::Answer(rep, locked)),
    ]
}

/// Plays the steps and compares what each person may look up of each other with a plain model.
fn organisation(tx: &Tx<'_>, steps: &[Step]) {
    let everybody: Vec<Option<(Option<usize>, bool)>> = vec![Some((None, false)); PEOPLE];
    let mut lines: BTreeMap<usize, (usize, Timestamp)> = BTreeMap::new();
    let mut answers: Vec<(usize, Timestamp, bool, String)> = Vec::new();
    let mut now = start();
    let first = [Step::Roster(everybody)];
    for (number, step) in first.iter().chain(steps).enumerate() {
        now += SignedDuration::from_mins(7);
        match step {
            Step::Roster(places) => {
                let here = |person: usize| places[person].is_some();
                let manager_of = |person: usize| {
                    let manager = places[person].and_then(|(manager, _)| manager)?;
                    (manager != person && here(manager)).then_some(manager)
                };
                let entries: Vec<RosterEntry> = (0..PEOPLE)
                    .filter(|person| here(*person))
                    .map(|person| {
                        let is_admin = places[person].is_some_and(|(_, admin)| admin);
                        entry(person, manager_of(person), is_admin)
                    })
                    .collect();
                tx.apply_roster(&entries, now).unwrap();
                for person in 0..PEOPLE {
                    match (lines.get(&person).map(|(manager, _)| *manager), manager_of(person)) {
                        (before, after) if before == after => {}
                        (_, Some(manager)) => drop(lines.insert(person, (manager, now))),
                        (_, None) => drop(lines.remove(&person)),
                    }
                }
            }
            Step::Answer(rep, locked) => {
                let account = format!("Firm{number}");
                let lock = if *locked { Lock::OnlyMe } else { Lock::Open };
                let words = format!("secret words {number}");
                debriefed(tx, id(tx, *rep), &account, &words, lock, now).unwrap();
                answers.push((*rep, now, *locked, account));
            }
        }
    }
    tx.index_words(u32::MAX).unwrap();
    for reader in 0..PEOPLE {
        for rep in 0..PEOPLE {
            let line = lines.get(&rep).filter(|(manager, _)| *manager == reader);
            let may = |at: Timestamp| reader == rep || line.is_some_and(|(_, since)| at >= *since);
            let theirs = answers.iter().filter(|(whose, at, ..)| *whose == rep && may(*at));
            let endings: BTreeSet<String> =
                theirs.clone().map(|(.., account)| account.clone()).collect();
            let words: BTreeSet<String> = theirs
                .filter(|(_, _, locked, _)| reader == rep || !locked)
                .map(|(.., account)| account.clone())
                .collect();
            for searched in [vec![], vec!["secret".to_owned()]] {
                let by_words = !searched.is_empty();
                let (found, read) = looked_up(tx, reader, rep, searched);
                assert_eq!(found, if by_words { words.clone() } else { endings.clone() });
                assert_eq!(read, words, "reader {reader}, rep {rep}");
            }
        }
    }
}

/// The accounts that `reader` finds in `rep`'s history, and those whose words they read.
fn looked_up(
    tx: &Tx<'_>,
    reader: usize,
    rep: usize,
    words: Vec<String>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let reader = tx.person(id(tx, reader)).unwrap().unwrap();
    let rep = id(tx, rep);
    let (relation, from) = tx.relation(&reader, rep).unwrap();
    let scope = HistoryScope { rep, viewer: relation.viewer(), from };
    let filter = HistoryFilter { words, ..HistoryFilter::default() };
    let found = tx.history(scope, &filter, &[], 100).unwrap();
    let accounts = found.iter().map(|seen| seen.debrief.account.clone()).collect();
    let read = found
        .iter()
        .filter(|seen| seen.answers.contains_key(&Slot::Reflect))
        .map(|seen| seen.debrief.account.clone())
        .collect();
    (accounts, read)
}

#[test]
fn s15_a_word_is_looked_for_alike_on_every_page_and_unmoved_by_what_is_locked() {
    in_store(|tx| {
        tx.apply_roster(&[entry(0, None, false), entry(1, Some(0), false)], start()).unwrap();
        let rep = id(tx, 1);
        let at = |hours| start() + SignedDuration::from_hours(hours);
        debriefed(tx, rep, "Older", "Hold the prices back", Lock::Open, at(0)).unwrap();
        debriefed(tx, rep, "Newer", "Ask for the price", Lock::OnlyMe, at(1)).unwrap();
        tx.index_words(u32::MAX).unwrap();
        let found = |viewer, words: &[&str], before| -> Vec<_> {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            let filter = HistoryFilter { words, before, ..HistoryFilter::default() };
            let scope = HistoryScope { rep, viewer, from: None };
            let found = tx.history(scope, &filter, &[], 10).unwrap();
            found.into_iter().map(|entry| (entry.debrief.account, entry.debrief.id)).collect()
        };
        let own = found(Viewer::Rep, &["price"], None);
        assert_eq!(own.len(), 1, "the word itself, as it is there");
        assert_eq!(own[0].0, "Newer");
        assert_eq!(found(Viewer::Rep, &["price"], Some(own[0].1)), [], "nor on the next page");
        assert_eq!(found(Viewer::Rep, &["pric"], None).len(), 2, "both begin so");
        assert_eq!(found(Viewer::Rep, &["hol", "prices"], None)[0].0, "Older");
        // To the manager, what is locked is not there: their word is a beginning.
        assert_eq!(found(Viewer::DirectManager, &["price"], None)[0].0, "Older");
    });
}
