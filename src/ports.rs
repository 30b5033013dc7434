//! What the bot needs from outside: a clock, calendars, a messenger.
//!
//! Only plain data crosses these lines, so a flow can be read without knowing Slack or iCalendar.

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};

use crate::domain::meeting::Occurrence;
use crate::domain::roster::CalendarSource;

/// The time. Read by `app` only: once per tick, once per inbound frame.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Reads calendars.
#[async_trait]
pub trait Calendar: Send + Sync {
    /// Every occurrence that overlaps `request.window`, cancelled ones included.
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError>;
}

/// What to read, and what was read last time.
#[derive(Debug, Clone)]
pub struct CalendarRequest {
    pub source: CalendarSource,
    /// Gives floating and all-day times their meaning.
    pub zone: TimeZone,
    /// From (inclusive) and to (exclusive).
    pub window: (Timestamp, Timestamp),
    /// The last good state, for a conditional request.
    pub known: Option<FeedState>,
}

/// The last good state of a feed, kept in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedState {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// The iCalendar text as it came, decompressed.
    pub body: Vec<u8>,
}

/// A successful reading.
#[derive(Debug, Clone)]
pub struct CalendarRead {
    /// Sorted by start.
    pub occurrences: Vec<Occurrence>,
    /// What to keep; `None` if it is the same as `known` (not modified).
    pub state: Option<FeedState>,
    /// Parts that could not be understood and were left out, each one readable line without
    /// titles or addresses.
    pub warnings: Vec<String>,
}

/// Why a calendar could not be read. The last good state stays in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CalendarError {
    /// One line for an administrator, with what to do; no address, no title.
    pub reason: String,
    /// The server asked not to be called again before this many seconds.
    pub retry_after: Option<u64>,
}
