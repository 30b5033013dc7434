//! Every provider behind one port: a request goes to the one that its source names.

use async_trait::async_trait;

use super::CalendarSettings;
use super::fetch::failed;
use super::google::events::GoogleCalendar;
use super::ics::IcsCalendar;
use crate::domain::roster::source::Provider;
use crate::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest};

/// The providers that are set up.
#[derive(Debug)]
pub struct Calendars {
    ics: IcsCalendar,
    google: Option<GoogleCalendar>,
}

impl Calendars {
    /// # Errors
    /// If an HTTP client cannot be set up.
    pub fn new(settings: &CalendarSettings) -> anyhow::Result<Self> {
        Ok(Self { ics: IcsCalendar::new(settings)?, google: None })
    }

    /// The same with Google Calendar set up.
    #[must_use]
    pub fn with_google(self, google: GoogleCalendar) -> Self {
        Self { google: Some(google), ..self }
    }

    /// Who answers for a source; `None` if that provider is not set up.
    fn of(&self, provider: Provider) -> Option<&dyn Calendar> {
        match provider {
            Provider::Ics => Some(&self.ics),
            Provider::Google => self.google.as_ref().map(|google| google as &dyn Calendar),
            Provider::Microsoft | Provider::CalDav => None,
        }
    }
}

#[async_trait]
impl Calendar for Calendars {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        let provider = request.source.provider();
        match self.of(provider) {
            Some(calendar) => calendar.read(request).await,
            None => Err(failed(not_set_up(provider))),
        }
    }

    async fn read_known(&self, request: &CalendarRequest) -> Option<CalendarRead> {
        self.of(request.source.provider())?.read_known(request).await
    }
}

fn not_set_up(provider: Provider) -> String {
    format!("{provider} calendars are not set up; see [{provider}] in the configuration file")
}
