//! TOML + secrets from the environment → one valid [`Config`]; every error is one line that names
//! the file, the line, the key and what may stand there.
//!
//! Relative paths mean the working directory. Tokens are not part of this: see [`secrets`].

mod document;
pub mod google;
pub mod secrets;
pub mod supervisor;
mod values;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use self::document::Document;
use self::google::GoogleConfig;
use crate::domain::backup::Rotation;
use crate::domain::debrief::{PromptRules, WorkingHours};
use crate::domain::meeting::MeetingRules;
use crate::domain::question::Questions;
use crate::domain::retention::Retention;
use crate::domain::schedule::Schedule;

/// Who became somebody else by `sudo` before starting this command.
#[expect(clippy::disallowed_methods, reason = "config is where the environment is read")]
pub fn sudo_user() -> Option<String> {
    std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty())
}

/// Everything an administrator may set, valid. It holds no secrets, so it may be shown.
#[derive(Debug, Clone)]
pub struct Config {
    /// Without a slash at its end.
    pub slack_api_url: String,
    /// Most new messages a minute; `None`: as many as Slack turns out to allow.
    pub slack_rate: Option<u32>,
    pub slack_mode: SlackMode,
    pub store_path: PathBuf,
    /// Whether a store is made where there is none.
    pub store_may_be_made: bool,
    pub roster_file: PathBuf,
    pub questions: Questions,
    pub prompt: PromptRules,
    pub digest_schedule: Schedule,
    pub meetings: MeetingRules,
    pub calendar: CalendarConfig,
    /// `None` if Google Calendar is not set up.
    pub google: Option<GoogleConfig>,
    /// Where health and metrics are served; `None` if nowhere.
    pub http_listen: Option<SocketAddr>,
    pub backup: BackupConfig,
    pub retention: RetentionConfig,
    pub log: LogConfig,
}

/// Where and when copies of the store are made (`[backup]`).
#[derive(Debug, Clone)]
pub struct BackupConfig {
    pub folder: PathBuf,
    /// In UTC; `None` if never by itself.
    pub schedule: Option<Schedule>,
    pub rotation: Rotation,
}

/// When what is old is forgotten, and what is old (`[retention]`).
#[derive(Debug, Clone)]
pub struct RetentionConfig {
    /// In UTC.
    pub schedule: Schedule,
    pub ages: Retention,
}

/// How Slack reaches us (`slack.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlackMode {
    /// Over sockets that we open.
    Socket,
    /// Slack posts signed requests to this port, usually through a proxy.
    Http { listen: SocketAddr },
}

/// How calendars are read (`[calendar]`).
#[derive(Debug, Clone)]
pub struct CalendarConfig {
    /// From one reading of a calendar to the next.
    pub refresh: SignedDuration,
    /// Nobody is asked about a meeting that was not seen for so long.
    pub max_age: SignedDuration,
    /// For one reading.
    pub timeout: SignedDuration,
    pub max_bytes: u64,
    /// From private networks too.
    pub allow_private: bool,
    /// Without encryption too.
    pub allow_http: bool,
    /// From these servers only; from any if empty.
    pub allowed_hosts: Vec<String>,
}

/// What is logged and how (`[log]`).
#[derive(Debug, Clone)]
pub struct LogConfig {
    pub format: LogFormat,
    pub level: tracing::Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// The configuration cannot be used; one line that says where, why and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// What a file that the configuration names was found to be like when it was used.
    pub(crate) fn of_file(key: &str, what: &str) -> Self {
        Self(format!("{key}: {what}"))
    }
}

/// Every key there is. The example file holds all of them; anything else is refused.
const KEYS: [&str; 42] = [
    "slack.api_url",
    "slack.rate",
    "slack.mode",
    "slack.listen",
    "store.path",
    "store.missing",
    "roster.file",
    "questions.file",
    "prompt.delay",
    "prompt.max_per_day",
    "prompt.remind_after",
    "prompt.expire_after",
    "prompt.min_gap",
    "prompt.hours",
    "prompt.days",
    "digest.schedule",
    "meetings.own_domains",
    "meetings.partner_domains",
    "meetings.ignored_titles",
    "meetings.min_length",
    "calendar.refresh",
    "calendar.max_age",
    "calendar.timeout",
    "calendar.max_bytes",
    "calendar.allow_private",
    "calendar.allow_http",
    "calendar.allowed_hosts",
    "google.key_file",
    "google.api_url",
    "google.token_url",
    "http.listen",
    "backup.folder",
    "backup.schedule",
    "backup.daily",
    "backup.weekly",
    "retention.debriefs",
    "retention.times",
    "retention.messages",
    "retention.dead_letters",
    "retention.schedule",
    "log.format",
    "log.level",
];

impl Config {
    /// Reads the file at `path`, and the questions file that it names, if any.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(match error.kind() {
                io::ErrorKind::NotFound => format!(
                    "{file}: not found; copy config/debrief.example.toml to {file} and change what \
                     you need"
                ),
                _ => format!("{file}: cannot be read: {}", reason(&error)),
            })
        })?;
        Self::parse(&text, &file)
    }

    /// Reads the text of a configuration; `file_name` is for errors only.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        let file = Document::parse(text, file_name)?;
        let store_path = file.text("store.path", "debrief.db", values::path)?;
        Ok(Self {
            slack_api_url: file.text(
                "slack.api_url",
                "https://slack.com/api",
                values::web_address,
            )?,
            backup: backup(&file, &store_path)?,
            store_path,
            store_may_be_made: file.text("store.missing", "create", values::missing)?,
            slack_rate: file.text("slack.rate", "auto", values::rate)?,
            slack_mode: slack_mode(&file)?,
            roster_file: file.text("roster.file", "config/roster.csv", values::path)?,
            questions: questions(&file)?,
            prompt: prompt(&file)?,
            digest_schedule: file.text("digest.schedule", "0 8 * * MON", values::schedule)?,
            meetings: meetings(&file)?,
            calendar: CalendarConfig {
                refresh: file.text("calendar.refresh", "5m", values::between("1s", "24h"))?,
                max_age: file.text("calendar.max_age", "48h", values::between("10m", "30d"))?,
                timeout: file.text("calendar.timeout", "20s", values::between("1s", "5m"))?,
                max_bytes: file.text("calendar.max_bytes", "16MiB", values::size)?,
                allow_private: file.switch("calendar.allow_private")?,
                allow_http: file.switch("calendar.allow_http")?,
                allowed_hosts: file.list("calendar.allowed_hosts", &[], values::host)?,
            },
            google: google::google(&file)?,
            http_listen: file.text("http.listen", "127.0.0.1:9464", values::listen)?,
            retention: retention(&file)?,
            log: LogConfig {
                format: file.text("log.format", "human", values::log_format)?,
                level: file.text("log.level", "info", values::log_level)?,
            },
        })
    }
}

fn slack_mode(file: &Document<'_>) -> Result<SlackMode, ConfigError> {
    let listen = file.text("slack.listen", "127.0.0.1:3000", values::address)?;
    match file.text("slack.mode", "socket", values::slack_mode)? {
        "http" => Ok(SlackMode::Http { listen }),
        _ => Ok(SlackMode::Socket),
    }
}

fn prompt(file: &Document<'_>) -> Result<PromptRules, ConfigError> {
    let (from, to) = file.text("prompt.hours", "08:00-18:00", values::hours)?;
    let rules = PromptRules {
        delay: file.text("prompt.delay", "5m", values::between("0s", "24h"))?,
        max_per_day: file.count("prompt.max_per_day", 5, 1..=100)?,
        remind_after: file.text("prompt.remind_after", "3h", values::between("1s", "7d"))?,
        expire_after: file.text("prompt.expire_after", "24h", values::between("1s", "30d"))?,
        min_gap: file.text("prompt.min_gap", "10m", values::between("0s", "4h"))?,
        hours: WorkingHours { from, to, days: file.text("prompt.days", "MON-FRI", values::days)? },
    };
    if rules.expire_after <= rules.remind_after {
        return Err(file.fault(
            "prompt.expire_after",
            "must be longer than prompt.remind_after, or nobody is reminded",
        ));
    }
    Ok(rules)
}

fn meetings(file: &Document<'_>) -> Result<MeetingRules, ConfigError> {
    let own_domains = file.list("meetings.own_domains", &[], values::domain)?;
    if own_domains.is_empty() {
        return Err(file.fault(
            "meetings.own_domains",
            "names no domain; write your own mail domains, such as own_domains = [\"example.com\"]",
        ));
    }
    Ok(MeetingRules {
        own_domains,
        partner_domains: file.list("meetings.partner_domains", &[], values::domain)?,
        ignored_titles: file.list(
            "meetings.ignored_titles",
            &["interview", "webinar", "out of office"],
            values::title_words,
        )?,
        min_length: file.text("meetings.min_length", "15m", values::between("0s", "8h"))?,
    })
}

fn backup(file: &Document<'_>, store: &Path) -> Result<BackupConfig, ConfigError> {
    let folder = file.optional("backup.folder", values::path)?.unwrap_or_else(|| {
        let mut beside = store.as_os_str().to_owned();
        beside.push(".backups");
        beside.into()
    });
    Ok(BackupConfig {
        folder,
        schedule: file.text("backup.schedule", "0 3 * * *", values::schedule_or_off)?,
        rotation: Rotation {
            daily: file.count("backup.daily", 7, 1..=30)?,
            weekly: file.count("backup.weekly", 4, 0..=5)?,
        },
    })
}

fn retention(file: &Document<'_>) -> Result<RetentionConfig, ConfigError> {
    let ages = Retention {
        // The digest's chart goes back eight weeks.
        debriefs: file.text("retention.debriefs", "18mo", values::age("60d"))?,
        times: file.text("retention.times", "30d", values::age("7d"))?,
        messages: file.text("retention.messages", "30d", values::age("7d"))?,
        dead_letters: file.text("retention.dead_letters", "30d", values::age("1d"))?,
    };
    Ok(RetentionConfig {
        ages,
        schedule: file.text("retention.schedule", "0 4 * * *", values::schedule)?,
    })
}

fn questions(file: &Document<'_>) -> Result<Questions, ConfigError> {
    let Some(path) = file.optional("questions.file", values::path)? else {
        return Questions::built_in()
            .map_err(|error| ConfigError(format!("built-in questions: {error}")));
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let why = reason(&error);
        file.fault(
            "questions.file",
            &format!("cannot be read: {why}; without this key the built-in questions are asked"),
        )
    })?;
    Questions::parse(&text).map_err(|error| {
        let (path, error) = (path.display(), error.to_string());
        // "line 3: …" becomes "file:3: …", as everywhere.
        match error.strip_prefix("line ") {
            Some(rest) => ConfigError(format!("{path}:{rest}")),
            None => ConfigError(format!("{path}: {error}")),
        }
    })
}

/// Why a file could not be read, without the number that the system adds.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "not found".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests;
