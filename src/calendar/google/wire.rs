//! The forms of Google's answers: what is asked for, and how much of it is taken.
//!
//! Everything may be missing: Google leaves out what is usual, and nearly all of what is deleted.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::calendar::capped::Capped;

/// What is asked for, and nothing else.
pub(super) const FIELDS: &str = "timeZone,nextPageToken,items(id,status,summary,start,end,\
    originalStartTime,recurringEventId,iCalUID,sequence,visibility,transparency,eventType,\
    organizer(email,self),attendees(email,displayName,responseStatus,resource,self),\
    attendeesOmitted,hangoutLink,conferenceData/entryPoints(entryPointType,uri))";

/// Of one reading: far more than anybody has in a week.
pub(super) const MOST_EVENTS: usize = 5_000;
/// Of one event; Google allows 200 guests, and more through groups.
const MOST_GUESTS: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<'a> {
    pub(super) time_zone: Option<String>,
    pub(super) next_page_token: Option<String>,
    #[serde(borrow)]
    pub(super) items: Option<Capped<&'a RawValue, MOST_EVENTS>>,
    /// Some proxies and servers answer 200 with a refusal inside.
    pub(super) error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
    pub(super) original_start_time: Option<Moment>,
    pub(super) recurring_event_id: Option<String>,
    #[serde(rename = "iCalUID")]
    pub(super) ical_uid: Option<String>,
    pub(super) sequence: Option<i64>,
    pub(super) visibility: Option<String>,
    pub(super) transparency: Option<String>,
    #[serde(rename = "eventType")]
    pub(super) kind: Option<String>,
    pub(super) organizer: Option<Guest>,
    pub(super) attendees: Option<Capped<Guest, MOST_GUESTS>>,
    pub(super) attendees_omitted: Option<bool>,
    pub(super) hangout_link: Option<String>,
    pub(super) conference_data: Option<Conference>,
}

/// A day, or a time on it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Moment {
    pub(super) date: Option<String>,
    pub(super) date_time: Option<String>,
    pub(super) time_zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Guest {
    pub(super) email: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) response_status: Option<String>,
    pub(super) resource: Option<bool>,
    /// The calendar that we read is this guest's.
    #[serde(rename = "self")]
    pub(super) is_self: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Conference {
    pub(super) entry_points: Option<Vec<EntryPoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryPoint {
    pub(super) entry_point_type: Option<String>,
    pub(super) uri: Option<String>,
}
