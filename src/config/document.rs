//! A TOML file whose every value knows its line.
//!
//! Walked by hand rather than through serde: serde's errors lose the full key, the line of a missing
//! key's section, and the value as it was written.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, KEYS};

/// A parsed file that holds known keys only.
pub(super) struct Document<'t> {
    file: &'t str,
    text: &'t str,
    table: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    pub(super) fn parse(text: &'t str, file: &'t str) -> Result<Self, ConfigError> {
        let table = DeTable::parse(text).map_err(|error| syntax(text, file, &error))?;
        let document = Self { file, text, table };
        match document.first_stranger() {
            None => Ok(document),
            Some((span, what)) => Err(document.at(&span, &what)),
        }
    }

    /// The text at `key`, else `default`, through `read`, which says what is wrong with it.
    pub(super) fn text<T>(
        &self,
        key: &str,
        default: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        match self.find(key) {
            Some(value) => self.read(key, value, default, read),
            None => read(default).map_err(|what| self.fault(key, &what)),
        }
    }

    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        self.find(key).map(|value| self.read(key, value, "…", read)).transpose()
    }

    /// A list of texts, each through `read`.
    pub(super) fn list<T>(
        &self,
        key: &str,
        default: &[&str],
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some(value) = self.find(key) else {
            let read = |text: &&str| read(text).map_err(|what| self.fault(key, &what));
            return default.iter().map(read).collect();
        };
        match value.get_ref() {
            DeValue::Array(values) => {
                values.iter().map(|value| self.read(key, value, "…", &read)).collect()
            }
            _ => Err(self.value_fault(
                key,
                value,
                "is not a list; write texts in square brackets, such as [\"…\", \"…\"]",
            )),
        }
    }

    /// A whole number in `range`.
    pub(super) fn count(
        &self,
        key: &str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        let Some(value) = self.find(key) else {
            return Ok(default);
        };
        value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                let what = format!("is not a whole number from {least} to {most}");
                self.value_fault(key, value, &what)
            })
    }

    /// `true` or `false`; off where it is missing.
    pub(super) fn switch(&self, key: &str) -> Result<bool, ConfigError> {
        let Some(value) = self.find(key) else {
            return Ok(false);
        };
        let on = value.get_ref().as_bool();
        on.ok_or_else(|| self.value_fault(key, value, "is not a switch; write true or false"))
    }

    /// An error about `key`, at its line, else at its section's.
    pub(super) fn fault(&self, key: &str, what: &str) -> ConfigError {
        if let Some(value) = self.find(key) {
            return self.at(&value.span(), &format!("{key}: {what}"));
        }
        let section = key.split_once('.').map_or(key, |(section, _)| section);
        let sections = self.table.get_ref().iter();
        let found = sections.into_iter().find(|(name, _)| name.get_ref() == section);
        match found {
            Some((name, _)) => self.at(&name.span(), &format!("{key}: {what}")),
            None => ConfigError(format!("{}: {key}: {what}", self.file)),
        }
    }

    fn find(&self, key: &str) -> Option<&Spanned<DeValue<'t>>> {
        debug_assert!(KEYS.contains(&key), "{key} is not in KEYS");
        let (section, name) = key.split_once('.')?;
        self.table.get_ref().get(section)?.get_ref().as_table()?.get(name)
    }

    fn read<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'t>>,
        sample: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let Some(text) = value.get_ref().as_str() else {
            let what = format!("is not text; write it in quotation marks, such as {sample:?}");
            return Err(self.value_fault(key, value, &what));
        };
        read(text).map_err(|what| self.value_fault(key, value, &what))
    }

    fn value_fault(&self, key: &str, value: &Spanned<DeValue<'t>>, what: &str) -> ConfigError {
        const MOST: usize = 60;
        let written = self.text.get(value.span()).unwrap_or_default();
        let words: Vec<&str> = written.split_whitespace().collect();
        let mut shown = words.join(" ");
        if let Some((cut, _)) = shown.char_indices().nth(MOST) {
            shown.replace_range(cut.., "…");
        }
        self.at(&value.span(), &format!("{key}: {shown} {what}"))
    }

    fn at(&self, span: &Range<usize>, what: &str) -> ConfigError {
        ConfigError(format!("{}:{}: {what}", self.file, line(self.text, span)))
    }

    /// The first name in the file that we do not know.
    fn first_stranger(&self) -> Option<(Range<usize>, String)> {
        let mut strangers = Vec::new();
        for (name, value) in self.table.get_ref() {
            let section = name.get_ref().as_ref();
            match value.get_ref().as_table() {
                Some(_) if !sections().any(|known| known == section) => {
                    strangers.push((name.span(), unknown_section(section)));
                }
                Some(table) => strangers.extend(
                    table
                        .iter()
                        .map(|(key, _)| (key.span(), key.get_ref().as_ref()))
                        .filter(|(_, key)| !KEYS.contains(&format!("{section}.{key}").as_str()))
                        .map(|(span, key)| (span, unknown_key(section, key))),
                ),
                None if sections().any(|known| known == section) => strangers.push((
                    name.span(),
                    format!("{section}: is a section; write [{section}] and its keys below"),
                )),
                None => strangers.push((name.span(), unknown_key("", section))),
            }
        }
        strangers.into_iter().min_by_key(|(span, _)| span.start)
    }
}

fn syntax(text: &str, file: &str, error: &toml::de::Error) -> ConfigError {
    let Some(span) = error.span() else {
        return ConfigError(format!("{file}: not valid TOML: {}", error.message()));
    };
    let line = line(text, &span);
    let written = text.lines().nth(line - 1).unwrap_or_default();
    let what = unquoted(written).unwrap_or_else(|| error.message().replace('\n', " "));
    ConfigError(format!("{file}:{line}: not valid TOML: {what}"))
}

/// The commonest slip, `level = info`, which the parser takes for a misspelt number.
fn unquoted(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let value = value.split('#').next()?.trim();
    let bare = value.starts_with(char::is_alphanumeric) && DeValue::parse(value).is_err();
    // The value is not repeated: it might be a token.
    bare.then(|| format!("text needs quotation marks, as in {} = \"…\"", key.trim()))
}

fn line(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    1 + before.matches('\n').count()
}

/// With repetitions.
fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().filter_map(|key| Some(key.split_once('.')?.0))
}

fn unknown_section(section: &str) -> String {
    let near = sections().find(|known| strsim::damerau_levenshtein(known, section) <= 2);
    let Some(near) = near else {
        let mut all: Vec<&str> = sections().collect();
        all.dedup();
        return format!("{section}: unknown section; allowed: {}", all.join(", "));
    };
    format!("{section}: unknown section; did you mean {near}?")
}

/// `section` is empty for a key above all sections.
fn unknown_key(section: &str, key: &str) -> String {
    let place = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    if section == "microsoft" && key.contains("secret") {
        return format!(
            "{place}: unknown key; the secret is not written here but in the environment, as \
             DEBRIEF_MICROSOFT_CLIENT_SECRET"
        );
    }
    if key.contains("token") || key.contains("secret") {
        return format!(
            "{place}: unknown key; tokens are not written here but in the environment, as \
             DEBRIEF_SLACK_BOT_TOKEN and DEBRIEF_SLACK_APP_TOKEN"
        );
    }
    if key.contains("password") {
        return format!(
            "{place}: unknown key; passwords are not written here but in the environment, as \
             DEBRIEF_CALDAV_PASSWORD"
        );
    }
    let known = || KEYS.into_iter().filter_map(|known| known.split_once('.'));
    let near = known()
        .filter(|(home, _)| *home == section)
        .map(|(home, name)| (strsim::damerau_levenshtein(name, key), home, name))
        .filter(|(distance, _, name)| *distance <= 1 + name.len() / 4)
        .min();
    let elsewhere = known().find(|(_, name)| *name == key);
    if let Some((home, name)) = near.map(|(_, home, name)| (home, name)).or(elsewhere) {
        return format!("{place}: unknown key; did you mean {home}.{name}?");
    }
    let (kind, all): (_, Vec<&str>) = if section.is_empty() {
        ("sections", sections().collect())
    } else {
        let siblings = known().filter(|(home, _)| *home == section);
        ("allowed", siblings.map(|(_, name)| name).collect())
    };
    let mut all = all;
    all.dedup();
    format!("{place}: unknown key; {kind}: {}", all.join(", "))
}
