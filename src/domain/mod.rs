//! Pure rules of the product: no I/O, no async, no clock.

pub mod allowance;
pub mod debrief;
pub mod digest;
pub mod meeting;
pub mod person;
pub mod privacy;
pub mod question;
pub mod roster;
pub mod schedule;
