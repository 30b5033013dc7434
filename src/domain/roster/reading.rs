//! One row of the roster → one person, or everything that is wrong with it.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::sheet::{Header, Row};
use super::source::{CalendarSource, is_address};
use super::{Roles, RosterEntry};

/// Reads one row and collects what is wrong with it.
pub(super) struct Reading<'r> {
    header: &'r Header,
    row: &'r Row,
    faults: Vec<String>,
}

impl<'r> Reading<'r> {
    pub(super) fn new(header: &'r Header, row: &'r Row) -> Self {
        Self { header, row, faults: Vec::new() }
    }

    /// The person as far as readable, `None` without an address, and every fault; with a fault the
    /// row is to be left out. `seen` are the addresses of earlier lines.
    pub(super) fn entry(
        mut self,
        seen: &mut HashMap<String, usize>,
    ) -> (Option<RosterEntry>, Vec<String>) {
        let entry = self.read(seen);
        (entry, self.faults)
    }

    fn read(&mut self, seen: &mut HashMap<String, usize>) -> Option<RosterEntry> {
        let line = self.row.line;
        if let Some(fault) = self.broken() {
            self.faults.push(fault);
            return None;
        }
        let email = self.address("email");
        let name = self.value("name").to_owned();
        if name.is_empty() {
            self.fault("name", "is empty");
        }
        let entry = RosterEntry {
            line,
            email: email.clone().unwrap_or_default(),
            name,
            roles: self.roles(),
            manager_email: match self.value("manager_email") {
                "" => None,
                _ => self.address("manager_email"),
            },
            calendars: self.calendars(),
            zone: self.zone(),
        };
        if let Some(first) = seen.get(&email?) {
            self.fault("email", &format!("the same address as in line {first}"));
            return None;
        }
        seen.insert(entry.email.clone(), line);
        Some(entry)
    }

    /// What is wrong with the row as a whole.
    fn broken(&self) -> Option<String> {
        let (line, values) = (self.row.line, &self.row.values);
        let breaks: usize = values.iter().map(|value| value.matches('\n').count()).sum();
        if breaks > 0 {
            let last = line + breaks;
            return Some(format!(
                "lines {line} to {last}: a quotation mark is opened and not closed in its line"
            ));
        }
        let surplus = values.iter().skip(self.header.width).any(|value| !value.is_empty());
        surplus.then(|| {
            format!(
                "line {line}: {} values for {} columns; put a value with a comma in quotation \
                 marks",
                values.len(),
                self.header.width
            )
        })
    }

    fn fault(&mut self, column: &str, what: &str) {
        let line = self.row.line;
        self.faults.push(format!("line {line}, column {column}: {what}"));
    }

    /// Empty if the column or the value is missing.
    fn value(&self, column: &str) -> &'r str {
        self.header.place(column).and_then(|place| self.row.values.get(place)).unwrap_or_default()
    }

    fn address(&mut self, column: &str) -> Option<String> {
        let email = self.value(column).to_lowercase();
        let sound = is_address(&email);
        if !sound {
            self.fault(column, "is not an e-mail address; write name@example.com");
        }
        sound.then_some(email)
    }

    fn roles(&mut self) -> Roles {
        const ALLOWED: &str = "allowed: rep, manager, admin";
        let text = self.value("role");
        let mut roles = Roles::default();
        for word in text.split(';').map(str::trim).filter(|word| !word.is_empty()) {
            match word.to_lowercase().as_str() {
                "rep" => roles.rep = true,
                "manager" => roles.manager = true,
                "admin" => roles.admin = true,
                _ => self.fault("role", &format!("{} is unknown, {ALLOWED}", quoted(word))),
            }
        }
        if text.chars().all(|c| c == ';' || c.is_whitespace()) {
            self.fault("role", &format!("is empty, {ALLOWED}"));
        }
        roles
    }

    fn calendars(&mut self) -> Vec<CalendarSource> {
        let sources = CalendarSource::parse_all(self.value("calendar"));
        if sources.is_none() {
            self.fault(
                "calendar",
                "is not a calendar; write google, microsoft, caldav:https://…, ics:https://… or \
                 ics:folder/file.ics",
            );
        }
        sources.unwrap_or_default()
    }

    fn zone(&mut self) -> Option<String> {
        let text = self.value("zone");
        let zone = TimeZone::get(text).ok().filter(|zone| !zone.is_unknown());
        let name = zone.and_then(|zone| zone.iana_name().map(str::to_owned));
        if name.is_none() && !text.is_empty() {
            self.fault(
                "zone",
                &format!(
                    "{} is not a time zone; write an IANA name such as Europe/Berlin",
                    quoted(text)
                ),
            );
        }
        name
    }
}

/// A value as problems may show it: in a row whose columns have moved it may be anything, even an
/// address or a secret link, so only what looks like a word is repeated.
pub(super) fn quoted(value: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '+' | '/');
    let is_offset = value.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ':'));
    let is_harmless = value.chars().count() <= 30
        && (is_offset || value.chars().all(is_word))
        && !value.contains("//");
    if is_harmless { format!("{value:?}") } else { "what stands there".to_owned() }
}
