//! The two Slack tokens, from the environment or from files that it names.
//!
//! Separate from the configuration file, so that the file can be shown and kept in version control.
//! No error and no `Debug` shows a token.

use std::fmt;

use super::{ConfigError, reason};

/// What Slack knows us by.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// `xoxb-…`: what we may do.
    pub bot_token: Secret,
    /// `xapp-…`: opens the socket.
    pub app_token: Secret,
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

/// One of the two tokens.
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

impl Secrets {
    pub fn from_env() -> Result<Self, ConfigError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the configuration is the one reader of the environment"
        )]
        Self::look_up(|name| std::env::var(name).ok())
    }

    /// An empty variable counts as missing: container tools pass those for what is not set.
    fn look_up(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            bot_token: find(&BOT, &APP, &variable)?,
            app_token: find(&APP, &BOT, &variable)?,
        })
    }
}

fn find(
    token: &Token,
    other: &Token,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Secret, ConfigError> {
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
    check(value.trim(), token, other)
        .map_err(|what| ConfigError(format!("{place} {what}; {source}")))?;
    Ok(Secret(value.trim().to_owned()))
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
        match Secrets::look_up(variable) {
            Ok(secrets) => format!("{} {}", secrets.bot_token.reveal(), secrets.app_token.reveal()),
            Err(error) => error.to_string(),
        }
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
    fn tokens_are_never_shown() {
        let secrets = Secrets::look_up(|name| {
            let (_, value) = [BOT, APP].into_iter().find(|(known, _)| *known == name)?;
            Some(value.to_owned())
        });
        assert_eq!(
            format!("{:?}", secrets.unwrap()),
            "Secrets { bot_token: Secret(…), app_token: Secret(…) }"
        );
    }
}
