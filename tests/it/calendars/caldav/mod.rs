//! Calendars on `CalDAV` servers: real ones (`real`), and one of our own that has the quirks of many
//! (`dialect`).

mod bad_days;
mod dialect;
mod program;
mod quirks;
mod real;
mod stories;

use debrief::calendar::CalendarSettings;
use debrief::calendar::caldav::reader::CalDavCalendar;
use debrief::calendar::caldav::{CalDavSettings, Passwords};
use debrief::domain::meeting::Occurrence;
use debrief::domain::roster::source::CalendarSource;
use debrief::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, FeedState};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::world::{install_tls, local};

/// Maya's password everywhere.
const PASSWORD: &str = "correct horse";

/// Reads one address as the bot does: again and again, with what it knew before.
struct Reader {
    calendar: CalDavCalendar,
    address: String,
    now: Timestamp,
    known: Option<FeedState>,
}

impl Reader {
    /// On Tuesday 10 March 2026 at 13:30 in Berlin.
    fn new(address: impl Into<String>) -> Self {
        Self::with(address, &CalendarSettings::default())
    }

    fn with(address: impl Into<String>, settings: &CalendarSettings) -> Self {
        let passwords = Passwords { common: Some(PASSWORD.into()), ..Passwords::default() };
        Self::known_as(address, settings, CalDavSettings { user: None, passwords })
    }

    fn known_as(
        address: impl Into<String>,
        settings: &CalendarSettings,
        login: CalDavSettings,
    ) -> Self {
        install_tls();
        Self {
            calendar: CalDavCalendar::new(settings, login).unwrap(),
            address: address.into(),
            now: local("2026-03-10T13:30"),
            known: None,
        }
    }

    fn request(&self) -> CalendarRequest {
        let around = SignedDuration::from_hours(72);
        CalendarRequest {
            source: CalendarSource::parse(&format!("caldav:{}", self.address)).unwrap(),
            email: "maya@own.example".into(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            window: (self.now - around, self.now + around),
            known: self.known.clone(),
        }
    }

    async fn try_read(&mut self) -> Result<CalendarRead, CalendarError> {
        let reading = self.calendar.read(&self.request()).await?;
        if reading.state.is_some() {
            self.known.clone_from(&reading.state);
        }
        Ok(reading)
    }

    async fn occurrences(&mut self) -> Vec<Occurrence> {
        let reading = self.try_read().await.unwrap();
        assert_eq!(reading.warnings, [""; 0]);
        // What is kept alone tells the same.
        let known = self.calendar.read_known(&self.request()).await.unwrap();
        assert_eq!(known.occurrences, reading.occurrences);
        reading.occurrences
    }

    /// Titles with their starts in Berlin.
    async fn meetings(&mut self) -> Vec<String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let told = |one: &Occurrence| {
            let start = one.start.to_zoned(zone.clone()).strftime("%d %H:%M").to_string();
            let free = if one.free { " free" } else { "" };
            format!("{start} {}{free}", one.title)
        };
        self.occurrences().await.iter().map(told).collect()
    }

    async fn refusal(&mut self) -> CalendarError {
        self.try_read().await.unwrap_err()
    }

    fn pass(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }
}

/// A calendar with one event; `more` are further lines of it.
fn event(uid: &str, title: &str, start: &str, more: &str) -> String {
    let start: jiff::civil::DateTime = start.parse().unwrap();
    let start = start.strftime("%Y%m%dT%H%M%S");
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\nBEGIN:VTIMEZONE\r\n\
         TZID:Europe/Berlin\r\nBEGIN:STANDARD\r\nDTSTART:19701025T030000\r\nTZOFFSETFROM:+0200\r\n\
         TZOFFSETTO:+0100\r\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nEND:STANDARD\r\n\
         BEGIN:DAYLIGHT\r\nDTSTART:19700329T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n\
         RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n\
         BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260301T000000Z\r\nSUMMARY:{title}\r\n\
         DTSTART;TZID=Europe/Berlin:{start}\r\nDURATION:PT45M\r\n\
         ATTENDEE;PARTSTAT=ACCEPTED:mailto:kim@acme.example\r\n{more}END:VEVENT\r\n\
         END:VCALENDAR\r\n"
    )
}
