//! The house rules, read off the sources: who may name whom, which crate has which owner.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may name of ours. A room without a row is not allowed.
const MAY_NAME: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("ports", &["domain"]),
    ("store", &["domain"]),
    ("flows", &["domain", "ports", "store"]),
    ("slack", &["domain", "ports"]),
    ("calendar", &["domain", "ports"]),
    ("playground", &["domain", "ports"]),
    ("config", &["domain"]),
    (
        "app",
        &[
            "domain",
            "ports",
            "serve",
            "store",
            "flows",
            "slack",
            "calendar",
            "playground",
            "config",
        ],
    ),
];

/// Crates that only some files may name.
const OWNERS: [(&str, &[&str]); 10] = [
    ("rusqlite", &["store"]),
    ("slack_morphism", &["slack"]),
    ("cron", &["domain/schedule.rs"]),
    ("chrono", &["domain/schedule.rs", "calendar/recurrence.rs"]),
    ("rrule", &["calendar/recurrence.rs"]),
    ("calcard", &["calendar"]),
    ("quick_xml", &["calendar/caldav"]),
    ("clap", &["main.rs"]),
    ("prometheus_client", &["app"]),
    ("toml", &["config", "domain/question.rs", "app/demo"]),
];

/// Never in the rooms that hold rules.
const NOT_IN_DOMAIN: [&str; 6] = ["tokio", "async fn", "std::fs", "std::net", "reqwest", "axum"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file by its path below `src`, comments left out.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let below = path.strip_prefix(root().join("src")).unwrap();
                found.insert(name(below), fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(found.len() > 40, "the sources are not where they should be");
    found
}

fn name(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// The room a file belongs to: `store/outbox.rs` → `store`.
fn room(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or(file)
}

fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or(line)))
}

/// Whether `line` names `path::` as a word of its own.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        let edge = |letter: Option<char>| {
            letter.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_')
        };
        edge(before) && before != Some(':') && edge(after)
    })
}

#[test]
fn every_room_names_only_what_it_may() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if ["lib.rs", "main.rs"].contains(&file.as_str()) {
            continue;
        }
        let here = room(&file);
        let Some((_, allowed)) = MAY_NAME.iter().find(|(known, _)| *known == here) else {
            wrong.push(format!("{file}: the room {here} has no row"));
            continue;
        };
        for (number, line) in code(&text) {
            for (other, _) in MAY_NAME.iter().filter(|(other, _)| *other != here) {
                if names(line, &format!("crate::{other}")) && !allowed.contains(other) {
                    wrong.push(format!("{file}:{number} names {other}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_stays_with_its_owner() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (number, line) in code(&text) {
            for (krate, owners) in OWNERS {
                let owned = owners.iter().any(|owner| file.starts_with(owner));
                if names(line, krate) && line.contains(&format!("{krate}::")) && !owned {
                    wrong.push(format!("{file}:{number} names {krate}"));
                }
            }
            if room(&file) == "domain" && NOT_IN_DOMAIN.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{file}:{number} is not pure: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A server without deadlines is held up by whoever connects; only pretended ones may be.
#[test]
fn s18_only_the_pretend_slack_serves_without_deadlines() {
    let pretended = ["playground/server.rs", "slack/loopback.rs", "calendar/tests.rs"];
    let is_careless =
        |text: &str| code(text).any(|(_, line)| names(line, "axum::serve") && line.contains('('));
    let careless: Vec<String> =
        sources().into_iter().filter(|(_, text)| is_careless(text)).map(|(file, _)| file).collect();
    let wrong: Vec<_> = careless.iter().filter(|file| !pretended.contains(&&***file)).collect();
    assert!(wrong.is_empty(), "{wrong:?}: use slack::serve");
    assert_eq!(careless.len(), pretended.len(), "this test finds nothing any more");
}

#[test]
fn sql_lives_in_the_store() {
    let statements = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "UPDATE "];
    for (file, text) in sources() {
        if room(&file) == "store" {
            continue;
        }
        for (number, line) in code(&text) {
            let found = statements.iter().find(|statement| line.contains(*statement));
            assert!(found.is_none(), "{file}:{number} holds SQL");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{file} does not begin with //!"));
        }
        let lines = text.lines().count();
        if lines > 650 {
            wrong.push(format!("{file} has {lines} lines; split it along the domain"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_architecture_page_knows_every_room() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (room, _) in MAY_NAME {
        assert!(page.contains(&format!("`{room}`")), "ARCHITECTURE.md does not mention {room}");
    }
    // What it names in back-ticks as a path exists.
    for word in page.split('`').skip(1).step_by(2) {
        let is_path = word.starts_with("src/") || word.starts_with("tests/");
        assert!(!is_path || root().join(word).exists(), "ARCHITECTURE.md names {word}");
    }
}
