//! What Slack and Microsoft know us by: from the environment or from files that it names.
//!
//! Separate from the configuration file, so that the file can be shown and kept in version control.
//! No error and no `Debug` shows a secret.

use std::fmt;

use super::{ConfigError, SlackMode, reason};

/// What Slack knows us by, and we it.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// `xoxb-…`: what we may do.
    pub bot_token: Secret,
    pub door: DoorKey,
}

/// What the way in needs.
#[derive(Debug, Clone)]
pub enum DoorKey {
    /// `xapp-…`: opens sockets.
    AppToken(Secret),
    /// What Slack signs its requests with; two while the secret is being changed.
    Signing(Vec<Secret>),
}

/// Text that is never shown by accident.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// For tokens that come from elsewhere than the environment: the demo's and the tests'.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One of the secrets, and how it begins.
struct Token {
    variable: &'static str,
    prefix: &'static str,
    /// Where Slack shows it.
    source: &'static str,
}

const BOT: Token = Token {
    variable: "DEBRIEF_SLACK_BOT_TOKEN",
    prefix: "xoxb-",
    source: "the bot token (xoxb-…) is on the app's page at https://api.slack.com/apps under OAuth & \
             Permissions",
};

const APP: Token = Token {
    variable: "DEBRIEF_SLACK_APP_TOKEN",
    prefix: "xapp-",
    source: "the app-level token (xapp-…, scope connections:write) is made on the app's page at \
             https://api.slack.com/apps under Basic Information",
};

const SIGNING: Token = Token {
    variable: "DEBRIEF_SLACK_SIGNING_SECRET",
    prefix: "",
    source: "the signing secret (32 hexadecimal digits) is on the app's page at \
             https://api.slack.com/apps under Basic Information",
};

const MICROSOFT: Token = Token {
    variable: "DEBRIEF_MICROSOFT_CLIENT_SECRET",
    prefix: "",
    source: "the client secret's value is shown once, when it is made on the app's page in the \
             Microsoft Entra admin center under Certificates & secrets",
};

/// The secret of the app that reads Microsoft 365.
pub fn microsoft_from_env() -> Result<Secret, ConfigError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the configuration is the one reader of the environment"
    )]
    microsoft(|name| std::env::var(name).ok())
}

fn microsoft(variable: impl Fn(&str) -> Option<String>) -> Result<Secret, ConfigError> {
    find(&MICROSOFT, &variable, check_client_secret).map(Secret)
}

fn check_client_secret(value: &str) -> Result<(), String> {
    let is_id = value.len() == 36
        && value.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_id {
        return Err("holds the ID of a secret, not its value".into());
    }
    if value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err("is not one whole secret: it holds spaces or several lines".into())
}

impl Secrets {
    /// For a bot that opens sockets.
    pub fn for_sockets(bot_token: impl Into<String>, app_token: impl Into<String>) -> Self {
        Self { bot_token: Secret::new(bot_token), door: DoorKey::AppToken(Secret::new(app_token)) }
    }

    /// For a bot that Slack posts signed requests to.
    pub fn for_http(bot_token: impl Into<String>, signing: impl Into<String>) -> Self {
        Self {
            bot_token: Secret::new(bot_token),
            door: DoorKey::Signing(vec![Secret::new(signing)]),
        }
    }

    pub fn from_env(mode: SlackMode) -> Result<Self, ConfigError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the configuration is the one reader of the environment"
        )]
        Self::look_up(mode, |name| std::env::var(name).ok())
    }

    /// An empty variable counts as missing: container tools pass those for what is not set.
    fn look_up(
        mode: SlackMode,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let bot_token = Secret(find(&BOT, &variable, |value| check(value, &BOT, &APP))?);
        let door = match mode {
            SlackMode::Socket => {
                let token = find(&APP, &variable, |value| check(value, &APP, &BOT))?;
                DoorKey::AppToken(Secret(token))
            }
            SlackMode::Http { .. } => {
                let found = find(&SIGNING, &variable, check_signing)?;
                DoorKey::Signing(each(&found).map(Secret::new).collect())
            }
        };
        Ok(Self { bot_token, door })
    }
}

fn find(
    token: &Token,
    variable: &impl Fn(&str) -> Option<String>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String, ConfigError> {
    let Token { variable: name, source, .. } = token;
    let file_name = format!("{name}_FILE");
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let (value, place) = match (set(name), set(&file_name)) {
        (Some(_), Some(_)) => {
            return Err(ConfigError(format!(
                "{name} and {file_name} are both set; keep one of them"
            )));
        }
        (Some(value), None) => (value, (*name).to_owned()),
        (None, Some(path)) => {
            let value = std::fs::read_to_string(&path).map_err(|error| {
                let why = reason(&error);
                ConfigError(format!("{file_name}: the file {path:?} cannot be read: {why}"))
            })?;
            (value, format!("{file_name}: the file {path:?}"))
        }
        (None, None) => {
            return Err(ConfigError(format!(
                "{name} is not set; {source}; or name a file that holds it in {file_name}"
            )));
        }
    };
    check(value.trim()).map_err(|what| ConfigError(format!("{place} {what}; {source}")))?;
    Ok(value.trim().to_owned())
}

/// The secrets in a value: usually one; the old and the new one while it is being changed.
fn each(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', '\n']).map(str::trim).filter(|secret| !secret.is_empty())
}

fn check_signing(value: &str) -> Result<(), String> {
    if value.contains("xapp-") || value.contains("xoxb-") {
        return Err("holds a token, not a signing secret".into());
    }
    let sound = |secret: &str| secret.len() >= 16 && secret.bytes().all(|b| b.is_ascii_graphic());
    match each(value).count() {
        1 | 2 if each(value).all(sound) => Ok(()),
        0..=2 => Err("is not one whole secret: it is too short or holds spaces".into()),
        _ => Err("holds more than two secrets, the old and the new one".into()),
    }
}

fn check(value: &str, token: &Token, other: &Token) -> Result<(), String> {
    let Some(rest) = value.strip_prefix(token.prefix) else {
        return Err(if value.starts_with(other.prefix) {
            format!(
                "holds a token that begins with {}: it belongs in {}, the two are swapped",
                other.prefix, other.variable
            )
        } else {
            format!("does not begin with {}", token.prefix)
        });
    };
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "is not one whole token: it is cut off, or holds spaces or several lines".into()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error, or "bot app" as found.
    fn found(environment: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            environment
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        found_in(SlackMode::Socket, variable)
    }

    fn found_in(mode: SlackMode, variable: impl Fn(&str) -> Option<String>) -> String {
        let secrets = match Secrets::look_up(mode, variable) {
            Ok(secrets) => secrets,
            Err(error) => return error.to_string(),
        };
        let door = match &secrets.door {
            DoorKey::AppToken(token) => token.reveal().to_owned(),
            DoorKey::Signing(all) => all.iter().map(Secret::reveal).collect::<Vec<_>>().join("+"),
        };
        format!("{} {door}", secrets.bot_token.reveal())
    }

    const BOT: (&str, &str) = ("DEBRIEF_SLACK_BOT_TOKEN", "xoxb-1-a");
    const APP: (&str, &str) = ("DEBRIEF_SLACK_APP_TOKEN", "xapp-1-b");

    #[test]
    fn tokens_come_from_the_environment_or_from_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "xoxb-1-file\r\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(found(&[BOT, APP]), "xoxb-1-a xapp-1-b");
        let from_file = ("DEBRIEF_SLACK_BOT_TOKEN_FILE", path);
        let empty = ("DEBRIEF_SLACK_BOT_TOKEN", "");
        assert_eq!(found(&[from_file, empty, APP]), "xoxb-1-file xapp-1-b");
        assert_eq!(
            found(&[BOT, from_file, APP]),
            "DEBRIEF_SLACK_BOT_TOKEN and DEBRIEF_SLACK_BOT_TOKEN_FILE are both set; keep one of \
             them"
        );
        assert_eq!(
            found(&[("DEBRIEF_SLACK_BOT_TOKEN_FILE", "no/such/file"), APP]),
            "DEBRIEF_SLACK_BOT_TOKEN_FILE: the file \"no/such/file\" cannot be read: not found"
        );
    }

    #[test]
    fn mistakes_say_where_the_token_is_found() {
        let bot = "the bot token (xoxb-…) is on the app's page at https://api.slack.com/apps under \
                   OAuth & Permissions";
        let app = "the app-level token (xapp-…, scope connections:write) is made on the app's page \
                   at https://api.slack.com/apps under Basic Information";
        assert_eq!(
            found(&[APP]),
            format!(
                "DEBRIEF_SLACK_BOT_TOKEN is not set; {bot}; or name a file that holds it in \
                 DEBRIEF_SLACK_BOT_TOKEN_FILE"
            )
        );
        assert_eq!(
            found(&[BOT]),
            format!(
                "DEBRIEF_SLACK_APP_TOKEN is not set; {app}; or name a file that holds it in \
                 DEBRIEF_SLACK_APP_TOKEN_FILE"
            )
        );
        let swapped = [(BOT.0, APP.1), (APP.0, BOT.1)];
        assert_eq!(
            found(&swapped),
            format!(
                "DEBRIEF_SLACK_BOT_TOKEN holds a token that begins with xapp-: it belongs in \
                 DEBRIEF_SLACK_APP_TOKEN, the two are swapped; {bot}"
            )
        );
        assert_eq!(
            found(&[(BOT.0, "xoxp-1"), APP]),
            format!("DEBRIEF_SLACK_BOT_TOKEN does not begin with xoxb-; {bot}")
        );
        for broken in ["xoxb-", "xoxb-1 2", "xoxb-1\nxapp-2"] {
            assert_eq!(
                found(&[(BOT.0, broken), APP]),
                format!(
                    "DEBRIEF_SLACK_BOT_TOKEN is not one whole token: it is cut off, or holds \
                     spaces or several lines; {bot}"
                )
            );
        }
    }

    #[test]
    fn over_http_it_is_the_signing_secret_perhaps_an_old_and_a_new_one() {
        const OLD: &str = "8f742231b10e8888abcd99yyyzzz85a5";
        let mode = SlackMode::Http { listen: "127.0.0.1:3000".parse().unwrap() };
        let with = |signing: &'static str| {
            found_in(mode, move |name| match name {
                "DEBRIEF_SLACK_BOT_TOKEN" => Some("xoxb-1-a".into()),
                "DEBRIEF_SLACK_SIGNING_SECRET" => Some(signing.to_owned()),
                _ => None,
            })
        };
        assert_eq!(with(OLD), format!("xoxb-1-a {OLD}"));
        assert_eq!(
            with("8f742231b10e8888abcd99yyyzzz85a5, 0123456789abcdef0123456789abcdef\n"),
            format!("xoxb-1-a {OLD}+0123456789abcdef0123456789abcdef")
        );
        for (wrong, why) in [
            ("", "DEBRIEF_SLACK_SIGNING_SECRET is not set; the signing secret"),
            ("tiny7", "DEBRIEF_SLACK_SIGNING_SECRET is not one whole secret"),
            ("0123456789 abcdef0123", "DEBRIEF_SLACK_SIGNING_SECRET is not one whole secret"),
            ("xapp-1-0123456789abcdef", "DEBRIEF_SLACK_SIGNING_SECRET holds a token, not"),
            (
                "0123456789abcdef,0123456789abcdeg,0123456789abcdeh",
                "DEBRIEF_SLACK_SIGNING_SECRET holds more than",
            ),
        ] {
            let said = with(wrong);
            assert!(said.starts_with(why), "{said}");
            assert!(wrong.is_empty() || !said.contains(wrong));
        }
    }

    #[test]
    fn the_secret_of_microsoft_is_a_value() {
        let with = |value: &'static str| {
            let found = microsoft(|name| (name == MICROSOFT.variable).then(|| value.to_owned()));
            found.map(|secret| secret.reveal().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(with(" a1B~c.d_e-8Q\n").unwrap(), "a1B~c.d_e-8Q");
        for (wrong, why) in [
            ("", "DEBRIEF_MICROSOFT_CLIENT_SECRET is not set; the client secret's value"),
            ("one two", "DEBRIEF_MICROSOFT_CLIENT_SECRET is not one whole secret"),
            (
                "0f8fad5b-d9cb-469f-a165-70867728950e",
                "DEBRIEF_MICROSOFT_CLIENT_SECRET holds the ID of a secret, not its value",
            ),
        ] {
            let said = with(wrong).unwrap_err();
            assert!(said.starts_with(why), "{said}");
            assert!(wrong.is_empty() || !said.contains(wrong));
        }
    }

    #[test]
    fn tokens_are_never_shown() {
        let secrets = Secrets::look_up(SlackMode::Socket, |name| {
            let (_, value) = [BOT, APP].into_iter().find(|(known, _)| *known == name)?;
            Some(value.to_owned())
        });
        assert_eq!(
            format!("{:?}", secrets.unwrap()),
            "Secrets { bot_token: Secret(…), door: AppToken(Secret(…)) }"
        );
    }
}
