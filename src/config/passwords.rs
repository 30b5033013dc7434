//! What opens the calendars on `CalDAV` servers: from the environment or files that it names.
//!
//! One password may be everybody's, and people may have their own: some servers want one made for
//! apps from each. No error and no `Debug` shows one.

use std::collections::BTreeMap;

use super::secrets::Secret;
use super::{ConfigError, reason};

const COMMON: &str = "DEBRIEF_CALDAV_PASSWORD";
const COMMON_FILE: &str = "DEBRIEF_CALDAV_PASSWORD_FILE";
const OWN_FILE: &str = "DEBRIEF_CALDAV_PASSWORDS_FILE";

/// The passwords that are known.
#[derive(Debug, Clone, Default)]
pub struct CalDavPasswords {
    /// For everybody who has none of their own.
    pub common: Option<Secret>,
    /// By user name, lower case.
    pub own: BTreeMap<String, Secret>,
}

impl CalDavPasswords {
    pub fn from_env() -> Result<Self, ConfigError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the configuration is the one reader of the environment"
        )]
        Self::look_up(|name| std::env::var(name).ok())
    }

    /// None at all is fine: not everybody has such calendars.
    fn look_up(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let common = match (set(COMMON), set(COMMON_FILE)) {
            (Some(_), Some(_)) => {
                return Err(ConfigError(format!(
                    "{COMMON} and {COMMON_FILE} are both set; keep one of them"
                )));
            }
            (Some(value), None) => Some(value),
            (None, Some(path)) => Some(read(COMMON_FILE, &path)?),
            (None, None) => None,
        };
        let common = common.map(|value| one(&value)).transpose()?;
        let own = match set(OWN_FILE) {
            Some(path) => lines(&path, &read(OWN_FILE, &path)?)?,
            None => BTreeMap::new(),
        };
        Ok(Self { common, own })
    }
}

fn read(variable: &str, path: &str) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let why = reason(&error);
        ConfigError(format!("{variable}: the file {path:?} cannot be read: {why}"))
    })
}

fn one(value: &str) -> Result<Secret, ConfigError> {
    let value = value.trim();
    if value.is_empty() || value.contains(char::is_control) {
        return Err(ConfigError(format!(
            "{COMMON} is not one password: it is empty or has several lines; passwords of several \
             people belong in a file that {OWN_FILE} names"
        )));
    }
    Ok(Secret::new(value))
}

/// `user password` a line; `#` begins a comment line.
fn lines(path: &str, text: &str) -> Result<BTreeMap<String, Secret>, ConfigError> {
    let mut own = BTreeMap::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |what: &str| {
            let number = number + 1;
            ConfigError(format!("{OWN_FILE}: the file {path:?}, line {number}: {what}"))
        };
        let (user, password) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| fault("is not a user name, a space and a password"))?;
        if own.insert(user.to_lowercase(), Secret::new(password.trim())).is_some() {
            return Err(fault("the same user name as in a line before it"));
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(environment: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            let known = environment.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        match CalDavPasswords::look_up(variable) {
            Err(error) => error.to_string(),
            Ok(found) => {
                assert!(!format!("{found:?}").contains("hunter"));
                let common = found.common.as_ref().map(|secret| secret.reveal().to_owned());
                let own: Vec<String> = found
                    .own
                    .iter()
                    .map(|(user, one)| format!("{user}={}", one.reveal()))
                    .collect();
                format!("{} {}", common.unwrap_or_default(), own.join(" "))
            }
        }
    }

    #[test]
    fn one_password_for_all_or_one_for_each() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let write = |text: &str| std::fs::write(path, text).unwrap();
        assert_eq!(found(&[]), " ");
        assert_eq!(found(&[(COMMON, " hunter2\n")]), "hunter2 ");
        write("hunter3\r\n");
        assert_eq!(found(&[(COMMON_FILE, path), (COMMON, "")]), "hunter3 ");
        write("# app passwords\n\nMaya@Own.example  hunter a b\r\ntom\thunter4\n");
        assert_eq!(found(&[(OWN_FILE, path)]), " maya@own.example=hunter a b tom=hunter4");
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let with = |text: &str| {
            std::fs::write(path, text).unwrap();
            found(&[(OWN_FILE, path)]).replace(path, "F")
        };
        assert_eq!(
            with("maya a\nhunter2\n"),
            "DEBRIEF_CALDAV_PASSWORDS_FILE: the file \"F\", line 2: is not a user name, a space and \
             a password"
        );
        assert_eq!(
            with("maya hunter\nMaya hunter2\n"),
            "DEBRIEF_CALDAV_PASSWORDS_FILE: the file \"F\", line 2: the same user name as in a line \
             before it"
        );
        assert_eq!(
            found(&[(COMMON, "a"), (COMMON_FILE, "b")]),
            "DEBRIEF_CALDAV_PASSWORD and DEBRIEF_CALDAV_PASSWORD_FILE are both set; keep one of them"
        );
        assert_eq!(
            found(&[(OWN_FILE, "no/such/file")]),
            "DEBRIEF_CALDAV_PASSWORDS_FILE: the file \"no/such/file\" cannot be read: not found"
        );
        assert!(
            found(&[(COMMON, "hunter\nmaya")]).starts_with("DEBRIEF_CALDAV_PASSWORD is not one")
        );
    }
}
