//! Pure rules of the product: no I/O, no async, no clock.

pub mod debrief;
pub mod meeting;
pub mod roster;
