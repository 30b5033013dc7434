//! Calendars in Microsoft 365, read through Microsoft Graph by an app that needs nobody's log-in.
//!
//! [`view`] is the way in: it asks for a window of somebody's calendar, page by page, with a token
//! from `tokens`. `wire` is the form of the answers, `entry` what one entry of them means,
//! `refusals` what an error means for an administrator.

mod entry;
pub(super) mod page;
mod refusals;
#[cfg(test)]
mod tests;
mod tokens;
pub mod view;
mod wire;

use std::fmt;

/// The app that reads, and where Microsoft's cloud is.
#[derive(Clone)]
pub struct MicrosoftSettings {
    /// The directory: its id, or one of its domains.
    pub tenant: String,
    pub client_id: String,
    pub client_secret: String,
    /// Without a slash at its end, like the next.
    pub graph_url: String,
    pub login_url: String,
}

impl fmt::Debug for MicrosoftSettings {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicrosoftSettings")
            .field("tenant", &self.tenant)
            .field("client_id", &self.client_id)
            .field("graph_url", &self.graph_url)
            .field("login_url", &self.login_url)
            .finish_non_exhaustive()
    }
}
