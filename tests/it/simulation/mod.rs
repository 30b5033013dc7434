//! A deterministic simulation of the core: one seed, one world, always the same story.
//!
//! The loops, the handler, the flows and the store are the real ones, on a real file. Time is
//! paused and runs ahead whenever everybody waits, so three days take a second. Around the bot are
//! a pretend Slack and pretend calendars that fail as the real ones do, reps who press again until
//! it is saved, and somebody who kills the bot, at any moment and at the worst ones. What must hold
//! in the end is in `verdict`.
//!
//! - `cargo test --test it simulation` runs 200 fixed seeds and those of `seeds.txt`.
//! - `DEBRIEF_SIM_FRESH=50 cargo test --test it simulation` runs as many seeds that nobody has tried
//!   and prints `SEED=n` for each that fails, with the broken promise and the last lines.
//! - `DEBRIEF_SIM_SEED=n cargo test --test it simulation -- --nocapture` tells one seed's whole story.
//! - `cargo test --features seeded-bugs --test it simulation` also plants four bugs and asserts that
//!   each is found.
//!
//! A seed that found something goes into `seeds.txt` with what it found.

mod bot;
mod calendars;
mod chance;
mod people;
#[cfg(feature = "seeded-bugs")]
mod sabotage;
mod seeds;
mod slack;
mod stories;
mod trace;
mod verdict;
mod world;
