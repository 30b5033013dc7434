//! Calendars on `CalDAV` servers (RFC 4791, RFC 6578).
//!
//! [`reader`] is the way in. `discovery` finds a person's calendars, `sync` brings each of them up to
//! date through `server`, which asks and reads whole answers (`multistatus`, over `xml`); `href` says
//! which addresses are believed. `state` is what is kept in between. Series are worked out by us, by
//! the same code as those of feeds.

mod discovery;
mod href;
mod multistatus;
pub mod reader;
mod server;
mod state;
mod sync;
mod xml;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use reqwest::Url;

/// Who we are to these servers.
#[derive(Debug, Clone, Default)]
pub struct CalDavSettings {
    /// The user name where the roster's address has none; the person's address without it.
    pub user: Option<String>,
    pub passwords: Passwords,
}

/// The passwords that are known. Never shown.
#[derive(Clone, Default)]
pub struct Passwords {
    /// For everybody who has none of their own.
    pub common: Option<String>,
    /// By user name, lower case.
    pub own: BTreeMap<String, String>,
}

impl Passwords {
    fn of(&self, user: &str) -> Option<&str> {
        self.own.get(&user.to_lowercase()).or(self.common.as_ref()).map(String::as_str)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(…)")
    }
}

/// For [`super::fuzzing`]: reads an answer as far as nobody is asked for more.
pub(super) fn fuzzed(body: &[u8], horizon: Timestamp) -> Result<Vec<String>, &'static str> {
    let answer = multistatus::Answer::read(body)?;
    let texts = answer.responses.iter().filter_map(|response| response.props.data.as_deref());
    for text in texts {
        state::reduced(text, horizon);
    }
    Ok(answer.responses.iter().filter_map(|response| fuzzed_path(&response.href)).collect())
}

pub(super) fn fuzzed_path(path: &str) -> Option<String> {
    href::path(&Url::parse("https://dav.example/maya/").ok()?, path)
}
