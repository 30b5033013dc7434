//! Google Calendar from its section of the configuration, and what `check` says of the key.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::calendar::CalendarSettings;
use crate::calendar::google::SCOPE;
use crate::calendar::google::account::Account;
use crate::calendar::google::events::{GoogleCalendar, GoogleSettings};
use crate::config::ConfigError;
use crate::config::google::GoogleConfig;
use crate::ports::Clock;

/// The file's mode, as far as it concerns others than its owner.
const OTHERS: u32 = 0o077;

/// # Errors
/// If the key cannot be used: a mistake in the configuration like any other.
pub(super) fn calendar(
    google: &GoogleConfig,
    settings: &CalendarSettings,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<GoogleCalendar> {
    let account = account(google)?;
    let google =
        GoogleSettings { api_url: google.api_url.clone(), token_url: google.token_url.clone() };
    GoogleCalendar::new(settings, &google, account, Arc::clone(clock))
}

fn account(google: &GoogleConfig) -> Result<Account, ConfigError> {
    Account::read(&google.key_file, &google.token_url)
        .map_err(|error| ConfigError::of_file("google.key_file", &format!("{error:#}")))
}

/// Who the key belongs to, and whether others on this machine may read it.
pub(super) struct Found {
    pub(super) account: String,
    pub(super) warning: Option<String>,
}

/// # Errors
/// As [`calendar`].
pub(super) fn look(google: &GoogleConfig) -> Result<Found, ConfigError> {
    let account = account(google)?;
    let identity = account.identity();
    let path = google.key_file.display();
    let mode = std::fs::metadata(&google.key_file).map_or(0, |file| file.permissions().mode());
    Ok(Found {
        account: format!(
            "service account {}; its client ID {} needs the scope {SCOPE}",
            identity.email, identity.client_id
        ),
        warning: (mode & OTHERS != 0)
            .then(|| format!("{path} can be read by others on this machine; chmod 600 {path}")),
    })
}
