//! What the app asks of a workspace, held against `config/slack-manifest.json` by a test.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::http;

/// As it is shipped: for sockets.
const SHIPPED: &str = include_str!("../../config/slack-manifest.json");

/// Bot scopes, all of them needed.
pub const SCOPES: [&str; 7] = [
    "chat:write",
    "commands",
    "dnd:read",
    "im:history",
    "im:write",
    "users:read",
    "users:read.email",
];

/// The slash commands that we answer.
pub const COMMANDS: [&str; 1] = ["/debrief"];

/// The `callback_id` of "Log a debrief".
pub const LOG_SHORTCUT: &str = "debrief_log";

/// The global shortcuts that we answer.
pub const SHORTCUTS: [&str; 1] = [LOG_SHORTCUT];

/// The events that we read.
pub const EVENTS: [&str; 6] = [
    "app_home_opened",
    "app_uninstalled",
    "message.im",
    "team_join",
    "tokens_revoked",
    "user_change",
];

/// The manifest; with an address, for signed HTTP at that address.
///
/// # Errors
/// If the address is not one that Slack would take.
pub fn text(address: Option<&str>) -> anyhow::Result<String> {
    let Some(address) = address else {
        return Ok(SHIPPED.trim_end().to_owned());
    };
    let base = address.trim_end_matches('/');
    let host = base.strip_prefix("https://").unwrap_or_default();
    ensure!(
        !host.is_empty() && !host.contains(['?', '#', '@']) && !host.contains(char::is_whitespace),
        "--url {address}: Slack posts to https addresses only, such as https://debrief.example.com"
    );
    let mut manifest: Value = serde_json::from_str(SHIPPED).context("read the manifest")?;
    let settings = &mut manifest["settings"];
    settings["socket_mode_enabled"] = json!(false);
    settings["event_subscriptions"]["request_url"] = json!(format!("{base}{}", http::EVENTS));
    let interactivity = json!(format!("{base}{}", http::INTERACTIVITY));
    settings["interactivity"]["request_url"] = interactivity;
    let commands = manifest["features"]["slash_commands"].as_array_mut();
    for command in commands.into_iter().flatten() {
        command["url"] = json!(format!("{base}{}", http::COMMANDS));
    }
    serde_json::to_string_pretty(&manifest).context("write the manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &Value, key: &str) -> Vec<String> {
        let mut words: Vec<String> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| if key.is_empty() { entry } else { &entry[key] })
            .map(|word| word.as_str().unwrap().to_owned())
            .collect();
        words.sort();
        words
    }

    #[test]
    fn the_manifest_asks_for_what_the_code_uses() {
        let manifest: Value = serde_json::from_str(SHIPPED).unwrap();
        assert_eq!(words(&manifest["oauth_config"]["scopes"]["bot"], ""), SCOPES);
        assert!(manifest["oauth_config"]["scopes"]["bot_optional"].is_null());
        let events = &manifest["settings"]["event_subscriptions"]["bot_events"];
        assert_eq!(words(events, ""), EVENTS);
        let features = &manifest["features"];
        assert_eq!(words(&features["slash_commands"], "command"), COMMANDS);
        assert_eq!(words(&features["shortcuts"], "callback_id"), SHORTCUTS);
        assert_eq!(features["slash_commands"][0]["should_escape"], true);
        assert_eq!(features["app_home"]["home_tab_enabled"], true);
        assert_eq!(features["app_home"]["messages_tab_enabled"], true);
        assert_eq!(features["app_home"]["messages_tab_read_only_enabled"], false);
        assert_eq!(manifest["settings"]["socket_mode_enabled"], true);
        assert_eq!(manifest["settings"]["interactivity"]["is_enabled"], true);
        assert_eq!(manifest["settings"]["org_deploy_enabled"], false);
        assert_eq!(manifest["settings"]["token_rotation_enabled"], false);
    }

    #[test]
    fn over_http_the_manifest_says_where_to_post() {
        assert_eq!(text(None).unwrap(), SHIPPED.trim_end());
        let manifest = text(Some("https://debrief.example.com/")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let settings = &manifest["settings"];
        assert_eq!(settings["socket_mode_enabled"], false);
        let at = |path: &str| format!("https://debrief.example.com/slack/{path}");
        assert_eq!(settings["event_subscriptions"]["request_url"], at("events"));
        assert_eq!(settings["interactivity"]["request_url"], at("interactivity"));
        assert_eq!(manifest["features"]["slash_commands"][0]["url"], at("commands"));
        assert_eq!(words(&settings["event_subscriptions"]["bot_events"], ""), EVENTS);
        for wrong in ["http://a.example", "https://", "debrief.example.com", "https://a b"] {
            assert!(text(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_manifest_keeps_within_its_limits() {
        let manifest: Value = serde_json::from_str(SHIPPED).unwrap();
        let about = &manifest["display_information"];
        assert!(about["name"].as_str().unwrap().len() <= 35);
        assert!(about["description"].as_str().unwrap().len() <= 140);
        assert!((175..4000).contains(&about["long_description"].as_str().unwrap().len()));
        let shortcut = &manifest["features"]["shortcuts"][0];
        assert!(shortcut["name"].as_str().unwrap().len() <= 24);
    }
}
