//! Stories about what people see, the wire, the house rules, the migrations.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod architecture;
mod calendars;
mod cli;
mod drill;
mod faults;
mod fuzz;
mod litestream;
mod migrations;
mod page;
mod power;
mod promises;
mod simulation;
mod stories;
mod threats;
mod watch;
mod wire;
mod world;
