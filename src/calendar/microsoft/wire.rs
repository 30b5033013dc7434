//! The forms of Graph's answers: what is asked for, and how much of it is taken.
//!
//! Everything may be missing or null: other servers speak this dialect too, more or less.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::calendar::capped::Capped;

/// What is asked for of an entry, and nothing else: no body, no place, no attachments.
pub(super) const FIELDS: &str = "id,iCalUId,type,subject,start,end,originalStart,isAllDay,\
    isCancelled,showAs,sensitivity,responseStatus,attendees,organizer,isOnlineMeeting,onlineMeeting,\
    onlineMeetingUrl,webLink";

/// Of one page: far more than anybody has in a week.
const MOST_ENTRIES: usize = 5_000;
/// Of one entry; Exchange allows 500 guests.
const MOST_GUESTS: usize = 1_000;

#[derive(Deserialize)]
pub(super) struct Page<'a> {
    /// Each by itself, so that a broken one costs nothing but itself.
    #[serde(borrow)]
    pub(super) value: Option<Capped<&'a RawValue, MOST_ENTRIES>>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) id: Option<String>,
    #[serde(rename = "iCalUId")]
    pub(super) ical_uid: Option<String>,
    /// `singleInstance`, `occurrence`, `exception` or `seriesMaster`.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
    pub(super) original_start: Option<String>,
    pub(super) is_all_day: Option<bool>,
    pub(super) is_cancelled: Option<bool>,
    /// `free`, `tentative`, `busy`, `oof`, `workingElsewhere` or `unknown`.
    pub(super) show_as: Option<String>,
    /// `normal`, `personal`, `private` or `confidential`.
    pub(super) sensitivity: Option<String>,
    /// The answer of whoever the calendar belongs to.
    pub(super) response_status: Option<Status>,
    pub(super) attendees: Option<Capped<Guest, MOST_GUESTS>>,
    pub(super) organizer: Option<Guest>,
    pub(super) online_meeting: Option<OnlineMeeting>,
    pub(super) online_meeting_url: Option<String>,
    pub(super) web_link: Option<String>,
}

/// A wall clock without an offset, and its zone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Moment {
    pub(super) date_time: Option<String>,
    pub(super) time_zone: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Status {
    /// `none`, `organizer`, `tentativelyAccepted`, `accepted`, `declined` or `notResponded`.
    pub(super) response: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Guest {
    /// `required`, `optional` or `resource`.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) email_address: Option<Address>,
}

#[derive(Deserialize)]
pub(super) struct Address {
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnlineMeeting {
    pub(super) join_url: Option<String>,
}
