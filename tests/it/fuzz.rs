//! The fuzz targets as property tests: the committed corpus, and what becomes of it when it is
//! mutated. `cargo fuzz run NAME` goes further where the tool is at hand.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[path = "../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "it is the fuzzer's library too")]
mod targets;

/// The committed entries of a target, each a small file.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = std::fs::read_dir(folder).unwrap();
    let entries: Vec<Vec<u8>> =
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!entries.is_empty(), "{name} has no corpus");
    entries
}

/// An entry of the corpus with something cut out, put in, doubled or taken from another one.
fn mutated(entries: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        "[ -~]{0,12}".prop_map(String::into_bytes),
        any::<String>().prop_map(String::into_bytes),
        proptest::sample::select(entries.clone()),
        Just(b"\r\n".to_vec()),
        Just(b"99999999999999999999".to_vec()),
    ];
    let places = (any::<proptest::sample::Index>(), any::<proptest::sample::Index>());
    let changes = proptest::collection::vec((places, pieces), 0..4);
    (proptest::sample::select(entries), changes).prop_map(|(mut entry, changes)| {
        for ((from, to), piece) in changes {
            let (a, b) = (from.index(entry.len() + 1), to.index(entry.len() + 1));
            entry.splice(a.min(b)..a.max(b).min(a.min(b) + 20), piece);
        }
        entry
    })
}

fn hold(name: &str) {
    let (_, target) = targets::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let entries = corpus(name);
    for entry in &entries {
        target(entry);
    }
    target(b"");
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&mutated(entries), |data| {
        target(&data);
        Ok(())
    });
    run.unwrap();
}

macro_rules! properties {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                hold(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_tried() {
            let tried = [$(stringify!($name)),*];
            assert!(targets::ALL.iter().map(|(name, _)| *name).eq(tried));
        }
    };
}

properties! {
    ics_parse rrule_expand slack_view_submission slack_block_actions slack_event
    slash_command_form mrkdwn_render fts_query_build config_toml roster_csv time_expr history_query
    signature_verify csv_cell google_events
}
