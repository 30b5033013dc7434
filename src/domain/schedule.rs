//! TEMP until merge.
use jiff::{Timestamp, civil::Date, tz::TimeZone};
#[derive(Debug, Clone)]
pub struct Schedule;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub at: Timestamp,
    pub date: Date,
}
impl Schedule {
    pub fn latest(&self, _now: Timestamp, _zone: &TimeZone) -> Option<Slot> {
        None
    }
    pub fn next(&self, _now: Timestamp, _zone: &TimeZone) -> Option<Slot> {
        None
    }
}
