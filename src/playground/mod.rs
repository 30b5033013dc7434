//! A pretend Slack workspace: a server that speaks the real protocol, and a page in the browser.
//!
//! Used by `debrief demo` and by the integration tests. It is an independent reading of Slack's
//! documentation: it knows nothing of the bot, and it is strict about what Slack is strict about
//! (tokens, scopes, the life of triggers, Block Kit's limits, view hashes). Start with
//! [`server::Playground`]; what people can do is in [`deeds`], what the Web API answers in
//! `api`, how events travel in `delivery`.

mod api;
mod assets;
pub mod clock;
pub mod deeds;
mod delivery;
pub mod driver;
pub mod faults;
pub mod kit;
mod messages;
mod people;
pub mod plain;
mod play;
mod post;
pub mod server;
mod socket;
pub mod state;
#[cfg(test)]
mod tests;
mod views;

use std::net::SocketAddr;

use jiff::Timestamp;

/// What the workspace is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Port 0 for any free one.
    pub listen: SocketAddr,
    pub workspace: String,
    /// IANA name; the page tells the time in it.
    pub zone: String,
    pub people: Vec<Member>,
    /// Moments worth turning the clock to, with what happens then.
    pub stops: Vec<(Timestamp, String)>,
    /// Slash commands and what may follow them.
    pub commands: Vec<(String, String)>,
    /// Global shortcuts: callback id and name.
    pub shortcuts: Vec<(String, String)>,
    /// What the bot token may do.
    pub scopes: Vec<String>,
    /// How many times faster than Slack an unacknowledged event comes again.
    pub haste: u32,
}

/// A member of the workspace.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of Slack's own user object")]
pub struct Member {
    /// `U…`
    pub id: String,
    pub name: String,
    pub email: String,
    /// IANA name.
    pub zone: String,
    /// Shown on the page.
    pub title: String,
    pub is_bot: bool,
    pub is_guest: bool,
    /// A guest of a single channel.
    pub is_ultra_restricted: bool,
    /// From another workspace, met in a shared channel.
    pub is_stranger: bool,
    /// Another workspace than this one.
    pub team: Option<String>,
    pub is_deleted: bool,
    /// Do Not Disturb from (inclusive) and to (exclusive).
    pub quiet: Option<(Timestamp, Timestamp)>,
}
