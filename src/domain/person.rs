//! Somebody on the roster, as the bot knows them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::roster::ChatId;

/// The row of a person in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(pub i64);

#[derive(Debug, Clone)]
pub struct Person {
    pub id: PersonId,
    pub email: String,
    pub name: String,
    pub is_rep: bool,
    pub is_manager: bool,
    pub is_admin: bool,
    /// The roster's zone, else the messenger's, else UTC.
    pub zone: TimeZone,
    pub chat_id: Option<ChatId>,
    /// The direct conversation, once it was opened.
    pub channel: Option<String>,
    pub paused_until: Option<Timestamp>,
}

impl Person {
    /// What friends call them.
    pub fn first_name(&self) -> &str {
        self.name.split_whitespace().next().unwrap_or(&self.name)
    }
}
