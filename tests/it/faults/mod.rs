//! The fault table of `docs/promises.md`: a test for each row, named after it (`f08_…`).

mod burst;
mod calendar;
mod delivery;
mod inbound;
pub(crate) mod keeping;
mod store;
