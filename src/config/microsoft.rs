//! `[microsoft]`: Microsoft 365, read through an app of the tenant.
//!
//! The app's secret is not part of it: see [`super::secrets`].

use super::document::Document;
use super::{ConfigError, values};

const GRAPH_URL: &str = "https://graph.microsoft.com";
const LOGIN_URL: &str = "https://login.microsoftonline.com";

/// How Microsoft 365 is reached.
#[derive(Debug, Clone)]
pub struct MicrosoftConfig {
    /// The directory: its id, or one of its domains.
    pub tenant: String,
    pub client_id: String,
    /// Without a slash at its end, like the next.
    pub graph_url: String,
    pub login_url: String,
}

/// `None` if no app is named: then nobody's calendar may be there.
pub(super) fn microsoft(file: &Document<'_>) -> Result<Option<MicrosoftConfig>, ConfigError> {
    let graph_url = file.text("microsoft.graph_url", GRAPH_URL, graph)?;
    let login_url = file.text("microsoft.login_url", LOGIN_URL, |text| address(text, LOGIN_URL))?;
    let tenant = file.optional("microsoft.tenant", tenant)?;
    let client_id = file.optional("microsoft.client_id", client_id)?;
    let missing = |key| {
        file.fault(key, "is missing; microsoft.tenant and microsoft.client_id are set together")
    };
    match (tenant, client_id) {
        (Some(tenant), Some(client_id)) => {
            Ok(Some(MicrosoftConfig { tenant, client_id, graph_url, login_url }))
        }
        (Some(_), None) => Err(missing("microsoft.client_id")),
        (None, Some(_)) => Err(missing("microsoft.tenant")),
        (None, None) => Ok(None),
    }
}

fn address(text: &str, sample: &str) -> Result<String, String> {
    values::web_address(text).map_err(|_| format!("is not a web address; write {sample}"))
}

/// The sign-in knows Graph by this address, which is without a version.
fn graph(text: &str) -> Result<String, String> {
    let url = address(text, GRAPH_URL)?;
    if url.ends_with("/v1.0") || url.ends_with("/beta") {
        return Err(format!("ends in a version; write it without, such as {GRAPH_URL}"));
    }
    Ok(url)
}

fn tenant(text: &str) -> Result<String, String> {
    // What anybody may sign in to; an app without a person needs a place.
    const SHARED: [&str; 3] = ["common", "organizations", "consumers"];
    let tenant = text.trim().to_lowercase();
    if is_name(&tenant) && !SHARED.contains(&tenant.as_str()) {
        return Ok(tenant);
    }
    Err("is no single tenant; write your directory's ID, or one of its domains, such as \
         example.onmicrosoft.com"
        .into())
}

fn client_id(text: &str) -> Result<String, String> {
    let id = text.trim();
    if is_name(id) {
        return Ok(id.to_owned());
    }
    Err("is not an app's ID; write the application (client) ID, such as \
         00000000-0000-0000-0000-000000000000"
        .into())
}

/// Nothing that has a meaning in an address.
fn is_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    text.chars().all(is_plain) && text.contains(|letter: char| letter.is_ascii_alphanumeric())
}
