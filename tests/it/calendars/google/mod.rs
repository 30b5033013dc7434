//! Stories about Google Calendar, and its bad days.

mod bad_days;
mod reading;
mod server;
mod stories;

use std::sync::Arc;

use debrief::calendar::CalendarSettings;
use debrief::calendar::google::account::Account;
use debrief::calendar::google::events::{GoogleCalendar, GoogleSettings};
use debrief::domain::roster::source::CalendarSource;
use debrief::playground::clock::TurnableClock;
use debrief::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::server::{Google, KEY};
use crate::world::{install_tls, local};

const MAYA_AT: &str = "maya@own.example";

/// The adapter, before the pretend Google.
struct Reader {
    google: Google,
    calendar: Arc<GoogleCalendar>,
}

fn noon() -> Timestamp {
    local("2026-03-10T12:00")
}

fn adapter(
    google: &Google,
    change: impl FnOnce(&mut CalendarSettings, &mut GoogleSettings),
) -> Arc<GoogleCalendar> {
    install_tls();
    let mut settings = CalendarSettings::default();
    let mut there = GoogleSettings { api_url: google.api_url(), token_url: google.token_url() };
    change(&mut settings, &mut there);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    let account = Account::read(file.path(), &there.token_url).unwrap();
    let clock = Arc::new(TurnableClock::standing(noon()));
    Arc::new(GoogleCalendar::new(&settings, &there, account, clock).unwrap())
}

impl Reader {
    async fn new() -> Self {
        Self::with(|_, _| ()).await
    }

    async fn with(change: impl FnOnce(&mut CalendarSettings, &mut GoogleSettings)) -> Self {
        let google = Google::start().await;
        google.check_times(noon);
        google.set(MAYA_AT, vec![demo("demo", "2026-03-10T14:00", 45)]);
        let calendar = adapter(&google, change);
        Self { google, calendar }
    }

    async fn read(&self) -> Result<CalendarRead, CalendarError> {
        self.calendar.read(&request(None)).await
    }

    /// Why Maya's calendar could not be read.
    async fn refusal(&self) -> CalendarError {
        self.read().await.unwrap_err()
    }
}

fn request(mailbox: Option<&str>) -> CalendarRequest {
    CalendarRequest {
        source: CalendarSource::Google(mailbox.map(str::to_owned)),
        email: MAYA_AT.to_owned(),
        zone: TimeZone::UTC,
        window: (noon() - SignedDuration::from_hours(72), noon() + SignedDuration::from_hours(72)),
        known: None,
    }
}

/// Maya's meeting with a customer, at a time in Berlin.
fn demo(id: &str, at: &str, minutes: i64) -> Value {
    let moment = |at: Timestamp| json!({ "dateTime": at.to_string(), "timeZone": "Europe/Berlin" });
    let start = local(at);
    json!({
        "kind": "calendar#event", "etag": "\"e\"", "id": id, "iCalUID": format!("{id}@google.com"),
        "htmlLink": "https://www.google.com/calendar/event?eid=x", "status": "confirmed",
        "summary": "Acme demo", "description": "Bring the offer", "eventType": "default",
        "start": moment(start), "end": moment(start + SignedDuration::from_mins(minutes)),
        "sequence": 0, "creator": { "email": MAYA_AT, "self": true },
        "organizer": { "email": MAYA_AT, "self": true },
        "attendees": [
            { "email": MAYA_AT, "self": true, "organizer": true, "responseStatus": "accepted" },
            { "email": "kim.lee@acme.example", "displayName": "Kim Lee",
              "responseStatus": "accepted", "comment": "Looking forward" },
        ],
        "reminders": { "useDefault": true },
    })
}

/// The same as the instance of a weekly series.
fn instance(day: &str) -> Value {
    let mut event = demo("weekly", &format!("{day}T14:00"), 45);
    event["originalStartTime"] = event["start"].clone();
    event["recurringEventId"] = "weekly".into();
    event["id"] = format!("weekly_{}T130000Z", day.replace('-', "")).into();
    event
}

/// An instance that was cancelled, as little as Google promises to tell of it.
fn cancelled(day: &str) -> Value {
    let event = instance(day);
    json!({
        "kind": "calendar#event", "etag": "\"e\"", "id": event["id"], "status": "cancelled",
        "recurringEventId": "weekly", "originalStartTime": event["originalStartTime"],
    })
}
