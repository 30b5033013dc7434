//! Pure rules of the product: no I/O, no async, no clock.

pub mod allowance;
pub mod audit;
pub mod backup;
pub mod debrief;
pub mod digest;
pub mod latest;
pub mod meeting;
pub mod person;
pub mod privacy;
pub mod question;
pub mod refresh;
pub mod retention;
pub mod roster;
pub mod schedule;
