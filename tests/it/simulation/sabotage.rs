//! The simulation can fail: each of four bugs is found within a few seeds.
#![expect(clippy::print_stdout, reason = "it is worth knowing which seed found a bug")]

use debrief::flows::sabotage::{Bug, switch};

use super::seeds::run;

/// How many seeds may pass before a bug must be found.
const SEEDS: u64 = 20;

fn is_found(bug: Bug, sign: &str) {
    switch(Some(bug));
    let found = (1..=SEEDS).find(|seed| {
        let broken = run(*seed, false).broken;
        broken.iter().any(|what| what.contains(sign))
    });
    switch(None);
    println!("{bug:?} was found by seed {found:?}");
    assert!(found.is_some(), "{bug:?} was not found in {SEEDS} seeds");
}

#[test]
fn sending_again_without_a_look_is_found() {
    is_found(Bug::NoReconcile, "is there twice");
}

#[test]
fn marking_after_posting_is_found() {
    is_found(Bug::PostThenMark, "is there twice");
}

#[test]
fn acknowledging_before_storing_is_found() {
    is_found(Bug::AckFirst, "is lost");
}

#[test]
fn taking_a_redelivery_for_something_new_is_found() {
    is_found(Bug::NoInboundDedup, "");
}
