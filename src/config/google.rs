//! `[google]`: Google Calendar, read through a service account that may act for everybody.
//!
//! The file only says where the key is; `calendar` reads it, so no secret passes through here.

use std::path::PathBuf;

use super::document::Document;
use super::{ConfigError, values};

const API_URL: &str = "https://www.googleapis.com/calendar/v3";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// How Google Calendar is reached.
#[derive(Debug, Clone)]
pub struct GoogleConfig {
    /// The service account's key, as Google hands it out: JSON.
    pub key_file: PathBuf,
    /// Without a slash at its end, like the next.
    pub api_url: String,
    pub token_url: String,
}

/// `None` if no key is named: then nobody's calendar may be there.
pub(super) fn google(file: &Document<'_>) -> Result<Option<GoogleConfig>, ConfigError> {
    let api_url = file.text("google.api_url", API_URL, |text| address(text, API_URL))?;
    let token_url = file.text("google.token_url", TOKEN_URL, |text| address(text, TOKEN_URL))?;
    let key_file = file.optional("google.key_file", values::path)?;
    Ok(key_file.map(|key_file| GoogleConfig { key_file, api_url, token_url }))
}

fn address(text: &str, sample: &str) -> Result<String, String> {
    values::web_address(text).map_err(|_| format!("is not a web address; write {sample}"))
}
