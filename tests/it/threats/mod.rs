//! The threats of `docs/promises.md`: a test for each row, named after it (`s05_…`).

mod inbound;
mod inputs;
pub(crate) mod keeping;
mod store;
