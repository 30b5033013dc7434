//! The demo's week, from `config/demo/week.toml`.

use anyhow::Context;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// The data that ships with the program.
const WEEK: &str = include_str!("../../../config/demo/week.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Week {
    pub(super) zone: String,
    starts: DateTime,
    pub(super) workspace: String,
    pub(super) domain: String,
    stops: Vec<Stop>,
    pub(super) people: Vec<Colleague>,
    meetings: Vec<Meeting>,
    pub(super) earlier: Vec<Earlier>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    at: DateTime,
    label: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Colleague {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) title: String,
    pub(super) manager: Option<String>,
}

/// An entry of somebody's calendar.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meeting {
    rep: String,
    title: String,
    from: DateTime,
    minutes: i64,
    #[serde(default)]
    guests: Vec<String>,
    repeat: Option<String>,
    #[serde(default)]
    except: Vec<DateTime>,
    #[serde(default)]
    private: bool,
}

/// A meeting before the demo starts, and what was answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Earlier {
    pub(super) rep: String,
    /// When it ended.
    pub(super) at: DateTime,
    pub(super) account: String,
    pub(super) kind: String,
    pub(super) ended: Option<String>,
    pub(super) by: Option<Date>,
    #[serde(default)]
    pub(super) words: String,
    pub(super) cue: Option<String>,
    pub(super) action: Option<String>,
    pub(super) turn: Option<String>,
    #[serde(default)]
    pub(super) rough: bool,
    #[serde(default)]
    pub(super) locked: bool,
}

impl Week {
    pub(super) fn load() -> anyhow::Result<Self> {
        toml::from_str(WEEK).context("read config/demo/week.toml")
    }

    pub(super) fn local(&self, at: DateTime) -> anyhow::Result<Timestamp> {
        let zone = TimeZone::get(&self.zone)?;
        Ok(at.to_zoned(zone)?.timestamp())
    }

    pub(super) fn starts(&self) -> anyhow::Result<Timestamp> {
        self.local(self.starts)
    }

    pub(super) fn stops(&self) -> anyhow::Result<Vec<(Timestamp, String)>> {
        self.stops.iter().map(|stop| Ok((self.local(stop.at)?, stop.label.clone()))).collect()
    }

    pub(super) fn email(&self, key: &str) -> String {
        format!("{key}@{}", self.domain)
    }

    /// The roster; calendars are at `{calendars}/KEY.ics`.
    pub(super) fn roster(&self, calendars: &str) -> String {
        let mut csv = "email,name,role,manager_email,calendar,zone\n".to_owned();
        for colleague in &self.people {
            let manager = colleague.manager.as_deref().map(|key| self.email(key));
            let calendar = match colleague.role.as_str() {
                "rep" => format!("ics:{calendars}/{}.ics", colleague.key),
                _ => String::new(),
            };
            let fields = [
                self.email(&colleague.key),
                colleague.name.clone(),
                colleague.role.clone(),
                manager.unwrap_or_default(),
                calendar,
                self.zone.clone(),
            ];
            csv.push_str(&fields.join(","));
            csv.push('\n');
        }
        csv
    }

    /// One person's calendar as an iCalendar file.
    pub(super) fn calendar(&self, key: &str) -> String {
        let mut lines = vec![
            "BEGIN:VCALENDAR".to_owned(),
            "VERSION:2.0".to_owned(),
            "PRODID:-//debrief//demo//EN".to_owned(),
            format!("X-WR-TIMEZONE:{}", self.zone),
        ];
        let own = self.meetings.iter().enumerate().filter(|(_, meeting)| meeting.rep == key);
        for (number, meeting) in own {
            lines.extend(self.entry(number, meeting));
        }
        lines.push("END:VCALENDAR\r\n".to_owned());
        lines.join("\r\n")
    }

    fn entry(&self, number: usize, meeting: &Meeting) -> Vec<String> {
        let zone = &self.zone;
        let local = |at: DateTime| at.strftime("%Y%m%dT%H%M%S").to_string();
        let until = meeting.from.saturating_add(SignedDuration::from_mins(meeting.minutes));
        let organizer = self.email(&meeting.rep);
        let mut lines = vec![
            "BEGIN:VEVENT".to_owned(),
            format!("UID:demo-{number}@{}", self.domain),
            "DTSTAMP:20260301T080000Z".to_owned(),
            format!("DTSTART;TZID={zone}:{}", local(meeting.from)),
            format!("DTEND;TZID={zone}:{}", local(until)),
            format!("SUMMARY:{}", meeting.title),
            format!("ORGANIZER:mailto:{organizer}"),
            format!("ATTENDEE;PARTSTAT=ACCEPTED:mailto:{organizer}"),
        ];
        lines.extend(meeting.guests.iter().map(|guest| {
            format!("ATTENDEE;CN={};PARTSTAT=ACCEPTED:mailto:{guest}", name_of(guest))
        }));
        lines.extend(meeting.repeat.iter().map(|rule| format!("RRULE:{rule}")));
        lines.extend(meeting.except.iter().map(|at| format!("EXDATE;TZID={zone}:{}", local(*at))));
        if meeting.private {
            lines.push("CLASS:PRIVATE".to_owned());
        }
        lines.push("END:VEVENT".to_owned());
        lines
    }
}

/// `kim.lee@acme.example` → "Kim Lee".
fn name_of(email: &str) -> String {
    let local = email.split('@').next().unwrap_or(email);
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(char::to_uppercase).into_iter().flatten();
        first.chain(letters).collect::<String>()
    };
    local.split('.').map(capital).collect::<Vec<_>>().join(" ")
}
