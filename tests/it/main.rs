//! Stories about what people see, the wire, the house rules, the migrations.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod architecture;
mod cli;
mod faults;
mod migrations;
mod page;
mod simulation;
mod stories;
mod threats;
mod wire;
mod world;
