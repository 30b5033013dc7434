//! The adapter with a Microsoft of its own and a clock to turn.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use debrief::calendar::CalendarSettings;
use debrief::calendar::microsoft::MicrosoftSettings;
use debrief::calendar::microsoft::view::MicrosoftCalendar;
use debrief::domain::roster::source::CalendarSource;
use debrief::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, Clock, FeedState};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::graph::{CLIENT, Graph, SECRET, TENANT, entry};
use crate::world::install_tls;

/// A clock that a story sets.
pub(super) struct Hand(pub(super) Mutex<Timestamp>);

impl Hand {
    pub(super) fn turn(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// The adapter under test, with its Microsoft.
pub(super) struct Setting {
    pub(super) graph: Graph,
    pub(super) clock: Arc<Hand>,
    pub(super) calendar: MicrosoftCalendar,
}

pub(super) fn app(url: &str) -> MicrosoftSettings {
    MicrosoftSettings {
        tenant: TENANT.into(),
        client_id: CLIENT.into(),
        client_secret: SECRET.into(),
        graph_url: url.into(),
        login_url: url.into(),
    }
}

pub(super) async fn setting(
    pages: Vec<Vec<serde_json::Value>>,
    change: impl FnOnce(&mut CalendarSettings, &mut MicrosoftSettings),
) -> Setting {
    install_tls();
    let graph = Graph::with(pages).await;
    let clock = Arc::new(Hand(Mutex::new("2026-03-10T08:00:00Z".parse().unwrap())));
    let mut settings =
        CalendarSettings { timeout: Duration::from_mins(1), ..CalendarSettings::default() };
    let mut app = app(&graph.url);
    change(&mut settings, &mut app);
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let calendar = MicrosoftCalendar::new(&settings, app, shared).unwrap();
    Setting { graph, clock, calendar }
}

/// A server with one meeting, and everything as usual.
pub(super) async fn usual() -> Setting {
    setting(one(), |_, _| ()).await
}

pub(super) fn one() -> Vec<Vec<serde_json::Value>> {
    vec![vec![entry("a@own", "2026-03-10T13:00", "2026-03-10T13:45", &json!({}))]]
}

pub(super) fn of(source: &str, known: Option<FeedState>) -> CalendarRequest {
    CalendarRequest {
        source: CalendarSource::parse(source).unwrap(),
        email: "maya@own.example".into(),
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        window: ("2026-03-10T00:00:00Z".parse().unwrap(), "2026-03-12T00:00:00Z".parse().unwrap()),
        known,
    }
}

impl Setting {
    pub(super) async fn read(&self) -> Result<CalendarRead, CalendarError> {
        self.calendar.read(&of("microsoft", None)).await
    }

    /// Why it cannot be read.
    pub(super) async fn reason(&self) -> String {
        self.read().await.unwrap_err().reason
    }
}

pub(super) fn titles(read: &CalendarRead) -> Vec<&str> {
    read.occurrences.iter().map(|meeting| meeting.title.as_str()).collect()
}
