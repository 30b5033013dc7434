//! `docs/promises.md` is true: every row names tests that exist, every such test has its row.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FAULTS: u32 = 44;
const THREATS: u32 = 20;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Names of functions that begin with the number of a promise: `f08_…`, `s05_…`.
fn numbered_tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            numbered_tests(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(names.filter(|name| number(name).is_some()).map(str::to_owned));
        }
    }
}

/// `f08_a_429_…` → `F8`.
fn number(name: &str) -> Option<String> {
    let (kind, rest) = name.split_at_checked(1)?;
    let digits = rest.split('_').next().filter(|digits| digits.len() == 2)?;
    let number: u32 = digits.parse().ok()?;
    ["f", "s"].contains(&kind).then(|| format!("{}{number}", kind.to_uppercase()))
}

/// The rows of the page: the promise's number, and the tests that it names.
fn rows() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| F") || line.starts_with("| S"));
    lines
        .map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let id = cells.next().unwrap().to_owned();
            let quoted = line.split('`').skip(1).step_by(2);
            (id, quoted.filter(|word| number(word).is_some()).map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn every_promise_has_a_row_and_every_row_a_test_or_a_reason() {
    let rows = rows();
    let known: BTreeSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    let wanted =
        (1..=FAULTS).map(|n| format!("F{n}")).chain((1..=THREATS).map(|n| format!("S{n}")));
    for id in wanted {
        assert!(known.contains(id.as_str()), "docs/promises.md has no row {id}");
    }
    let page = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    for (id, tests) in &rows {
        let excused = page.contains(&format!("**{id}** "));
        assert!(excused == tests.is_empty(), "{id} needs either a test or, below, a reason");
    }
}

#[test]
fn every_named_test_exists_and_every_numbered_test_is_named() {
    let mut there = BTreeSet::new();
    for folder in ["src", "tests/it"] {
        numbered_tests(&root().join(folder), &mut there);
    }
    let mut named = BTreeSet::new();
    for (id, tests) in rows() {
        for test in tests {
            assert!(there.contains(&test), "{id} names {test}, which does not exist");
            assert_eq!(number(&test).unwrap(), id, "{test} stands in the wrong row");
            named.insert(test);
        }
    }
    let unnamed: Vec<&String> = there.difference(&named).collect();
    assert!(unnamed.is_empty(), "docs/promises.md does not name {unnamed:?}");
}
