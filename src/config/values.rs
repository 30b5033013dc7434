//! The forms of values: text → value, or what to write instead, as the end of a sentence that begins
//! with the value.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};

use super::LogFormat;
use crate::domain::retention::Age;
use crate::domain::schedule::{self, Schedule};

/// `90s`, `5m`, `24h`, `2d`.
fn duration(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number: u32 = digits(text.strip_suffix(unit)?)?;
    Some(SignedDuration::from_secs(i64::from(number) * seconds))
}

/// A number without a sign.
fn digits(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// A duration within two others, both included.
pub(super) fn between(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<SignedDuration, String> {
    move |text| {
        let wanted = duration(text).ok_or("is not a duration; write 90s, 5m or 24h")?;
        let range = duration(least)..=duration(most);
        if range.contains(&Some(wanted)) {
            Ok(wanted)
        } else {
            Err(format!("is out of range; write a duration from {least} to {most}"))
        }
    }
}

/// `auto`, or calls a minute.
pub(super) fn rate(text: &str) -> Result<Option<u32>, String> {
    if text == "auto" {
        return Ok(None);
    }
    match text.strip_suffix("/min").and_then(digits) {
        Some(rate @ 10..=6000) => Ok(Some(rate)),
        Some(_) => Err("is out of range; write a rate from 10/min to 6000/min".into()),
        None => Err("is not a rate; write \"auto\", or for instance 300/min".into()),
    }
}

/// `512KiB`, `32MiB`, `1GiB`, in bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let bytes = UNITS
        .into_iter()
        .find_map(|(unit, factor)| Some(u64::from(digits(text.strip_suffix(unit)?)?) * factor))
        .ok_or("is not a size; write 512KiB, 32MiB or 1GiB")?;
    if (64 << 10..=1 << 30).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("is out of range; write a size from 64KiB to 1GiB".into())
    }
}

/// `08:00-18:00`.
pub(super) fn hours(text: &str) -> Result<(Time, Time), String> {
    let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok();
    let (from, to) = text
        .split_once('-')
        .and_then(|(from, to)| Some((time(from)?, time(to)?)))
        .ok_or("is not a stretch of a day; write 08:00-18:00")?;
    let hour = SignedDuration::from_hours(1);
    if to.duration_since(from) >= hour {
        Ok((from, to))
    } else {
        Err("ends too early; write a stretch of one day of an hour at least, such as \
             08:00-18:00"
            .into())
    }
}

pub(super) fn days(text: &str) -> Result<Vec<Weekday>, String> {
    schedule::weekdays(text).map_err(|error| format!("cannot be used: {error}"))
}

pub(super) fn schedule(text: &str) -> Result<Schedule, String> {
    Schedule::parse(text).map_err(|error| format!("cannot be used: {error}"))
}

/// A schedule, or `off`.
pub(super) fn schedule_or_off(text: &str) -> Result<Option<Schedule>, String> {
    if text == "off" { Ok(None) } else { schedule(text).map(Some) }
}

/// An age of `least` or more.
pub(super) fn age(least: &'static str) -> impl Fn(&str) -> Result<Age, String> {
    move |text| {
        let age = Age::parse(text).ok_or("is not an age; write 30d, 18mo or 2y")?;
        match Age::parse(least) {
            Some(floor) if age.about_days() < floor.about_days() => {
                Err(format!("is too short; write {least} or longer"))
            }
            _ => Ok(age),
        }
    }
}

/// Without a slash at its end.
pub(super) fn web_address(text: &str) -> Result<String, String> {
    let host = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if host && !text.contains(['@', '?', '#']) && !text.contains(char::is_whitespace) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("is not a web address; write https://slack.com/api".into())
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() {
        return Err("is empty; write the path of a file".into());
    }
    Ok(PathBuf::from(text))
}

/// A mail domain, lower case.
pub(super) fn domain(text: &str) -> Result<String, String> {
    let domain = text.trim().to_lowercase();
    let sound = |label: &str| {
        let edge = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && !edge && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    if domain.contains('.') && domain.split('.').all(sound) {
        Ok(domain)
    } else {
        Err("is not a mail domain; write what follows the @, such as example.com".into())
    }
}

/// A server's name or address, lower case.
pub(super) fn host(text: &str) -> Result<String, String> {
    let host = text.trim().to_lowercase();
    let sound = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let literal = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let is_literal = literal.is_some_and(|inner| inner.parse::<IpAddr>().is_ok());
    if is_literal || (!host.is_empty() && host.chars().all(sound)) {
        Ok(host)
    } else {
        Err("is not a server; write its name alone, such as calendar.google.com".into())
    }
}

/// Words to look for in titles, lower case.
pub(super) fn title_words(text: &str) -> Result<String, String> {
    let words = text.trim().to_lowercase();
    if words.is_empty() {
        return Err("would rule out every meeting; write a word of a title or remove it".into());
    }
    Ok(words)
}

pub(super) fn slack_mode(text: &str) -> Result<&'static str, String> {
    match text {
        "socket" => Ok("socket"),
        "http" => Ok("http"),
        _ => Err("is not a way for Slack to reach us; write socket or http".into()),
    }
}

/// An address and port of this machine; any interface.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    socket_address(text).ok_or("is not an address and port; write 127.0.0.1:3000".into())
}

fn socket_address(text: &str) -> Option<SocketAddr> {
    let local = text
        .strip_prefix("localhost:")
        .and_then(|port| port.parse().ok())
        .map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    local.or_else(|| text.parse().ok())
}

/// An address of this machine, or `off`.
pub(super) fn listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    let address =
        socket_address(text).ok_or("is not an address and port; write 127.0.0.1:9464 or off")?;
    if address.ip().is_loopback() {
        Ok(Some(address))
    } else {
        Err("can be reached from other machines, and health and metrics ask for no password; \
             write 127.0.0.1:9464 or off"
            .into())
    }
}

/// Whether what is missing may be made.
pub(super) fn missing(text: &str) -> Result<bool, String> {
    match text {
        "create" => Ok(true),
        "refuse" => Ok(false),
        _ => Err("is unknown; write \"create\" or \"refuse\"".to_owned()),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("is not a log format; write human or json".into()),
    }
}

pub(super) fn log_level(text: &str) -> Result<tracing::Level, String> {
    match text {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err("is not a log level; write error, warn, info, debug or trace".into()),
    }
}
