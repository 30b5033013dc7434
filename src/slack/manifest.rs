//! What the app asks of a workspace, held against `config/slack-manifest.json` by a test.

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

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
        let text = include_str!("../../config/slack-manifest.json");
        let manifest: Value = serde_json::from_str(text).unwrap();
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
    fn the_manifest_keeps_within_its_limits() {
        let text = include_str!("../../config/slack-manifest.json");
        let manifest: Value = serde_json::from_str(text).unwrap();
        let about = &manifest["display_information"];
        assert!(about["name"].as_str().unwrap().len() <= 35);
        assert!(about["description"].as_str().unwrap().len() <= 140);
        assert!((175..4000).contains(&about["long_description"].as_str().unwrap().len()));
        let shortcut = &manifest["features"]["shortcuts"][0];
        assert!(shortcut["name"].as_str().unwrap().len() <= 24);
    }
}
