//! Pure rules of the product: no I/O, no async, no clock.

pub mod meeting;
pub mod roster;
