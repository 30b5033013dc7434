//! What the bot needs from outside: a clock, calendars, a messenger.
//!
//! Only plain data crosses these lines, so a flow can be read without knowing Slack or iCalendar.
//! [`inbound`] is what people do, [`outbound`] is what they are shown; user text is raw in both.

pub mod inbound;
pub mod outbound;

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};

use self::inbound::{Inbound, ReplyTo, Trigger};
use self::outbound::{Card, Home, Modal, Whisper};
use crate::domain::debrief::MessageRef;
use crate::domain::meeting::Occurrence;
use crate::domain::roster::ChatId;
use crate::domain::roster::source::CalendarSource;

/// The time. Read by `app` only: once per tick, once per inbound frame.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Reads calendars.
#[async_trait]
pub trait Calendar: Send + Sync {
    /// Every occurrence that overlaps `request.window`, cancelled ones included.
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError>;
    /// The same from `request.known` alone, without asking anybody; `None` if there is none.
    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead>;
}

/// What to read, and what was read last time.
#[derive(Debug, Clone)]
pub struct CalendarRequest {
    pub source: CalendarSource,
    /// Whose calendar it is: lower case, as in the roster.
    pub email: String,
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
    pub trouble: Trouble,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It may be better next time.
    Passing,
    /// Our key to it is not good, or not good enough: an administrator must act.
    Refused,
    /// The server has too much to do, or a problem of its own.
    Busy,
    /// The server says that there is no such calendar.
    Gone,
}

/// Sends to people, and looks them up. One implementation speaks to Slack.
#[async_trait]
pub trait Messenger: Send + Sync {
    /// Who we are; called at start, so that a bad token stops the program with a clear error.
    async fn preflight(&self) -> Result<Identity, SendError>;
    /// The id of the direct conversation with `person`, opened if need be.
    async fn conversation(&self, person: &ChatId) -> Result<String, SendError>;
    /// Posts once. `key` travels with the message, so that [`Messenger::find`] can tell it.
    async fn post(&self, channel: &str, card: &Card, key: &str) -> Result<MessageRef, SendError>;
    /// Looks for our own message with `key`, posted after `since`; the oldest if there are two.
    async fn find(
        &self,
        channel: &str,
        key: &str,
        since: Timestamp,
    ) -> Result<Option<MessageRef>, SendError>;
    /// Replaces a message of ours. Idempotent.
    async fn edit(&self, at: &MessageRef, card: &Card) -> Result<(), SendError>;
    /// Opens a modal; the trigger lives three seconds and works once.
    async fn open(&self, trigger: &Trigger, modal: &Modal) -> Result<ViewId, SendError>;
    /// Replaces what an open modal shows. What was typed in fields of the same id stays.
    async fn replace(&self, view: &ViewId, modal: &Modal) -> Result<(), SendError>;
    async fn publish_home(&self, person: &ChatId, home: &Home) -> Result<(), SendError>;
    /// Answers where somebody just did something, visible to them alone.
    async fn whisper(&self, to: &ReplyTo, whisper: &Whisper) -> Result<(), SendError>;
    /// What people wrote in a direct conversation since then, at its top level and in `threads`, in
    /// order and as if it were delivered now. Who keeps no history has nothing to tell.
    async fn missed(
        &self,
        channel: &str,
        threads: &[&str],
        since: Timestamp,
    ) -> Result<Vec<Inbound>, SendError> {
        let _ = (channel, threads, since);
        Ok(Vec::new())
    }
    /// `None` if nobody in the workspace has that address.
    async fn person_by_email(&self, email: &str) -> Result<Option<Profile>, SendError>;
    async fn profile(&self, person: &ChatId) -> Result<Option<Profile>, SendError>;
    /// Do Not Disturb of up to 50 people: from (inclusive) and to (exclusive), current or next.
    async fn quiet_times(
        &self,
        people: &[ChatId],
    ) -> Result<HashMap<ChatId, (Timestamp, Timestamp)>, SendError>;
}

/// An open modal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewId(pub String);

/// Our own place in the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub team_id: String,
    pub team_name: String,
    pub bot_user: ChatId,
    pub bot_id: String,
    /// Scopes that the manifest asks for and the token lacks.
    pub missing_scopes: Vec<String>,
}

/// A member of the workspace as far as we care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub id: ChatId,
    pub name: String,
    /// IANA name.
    pub zone: Option<String>,
    pub standing: Standing,
}

/// Whether somebody may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Member,
    /// Deactivated.
    Gone,
    /// A guest, a stranger from another workspace, or a bot.
    Outsider,
}

/// Why a call did not succeed, told as what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing happened; not before this many seconds again.
    #[error("not now, again in {after} s")]
    Later { after: u64 },
    /// Silence after we wrote: it may have arrived. Look before sending again.
    #[error("fate unknown")]
    Unknown,
    /// This person cannot be reached, now and probably later.
    #[error("unreachable: {code}")]
    Gone { code: String },
    /// Our token or installation is refused: stop until an administrator has acted.
    #[error("refused: {code}")]
    Halt { code: String },
    /// It will never work like this. Slack's error code, never its response body.
    #[error("failed: {code}")]
    Never { code: String },
}
