//! The forms of Google's answers: what is asked for, and how much of it is taken.
//!
//! Everything may be missing: Google leaves out what is usual, and nearly all of what is deleted.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is asked for, and nothing else.
pub(super) const FIELDS: &str = "timeZone,nextPageToken,items(id,status,summary,start,end,\
    originalStartTime,recurringEventId,iCalUID,sequence,visibility,transparency,eventType,\
    organizer(email,self),attendees(email,displayName,responseStatus,resource,self),\
    attendeesOmitted,hangoutLink,conferenceData/entryPoints(entryPointType,uri))";

/// Of one reading: far more than anybody has in a week.
pub(super) const MOST_EVENTS: usize = 5_000;
/// Of one event; Google allows 200 guests, and more through groups.
const MOST_GUESTS: usize = 1_000;

/// A list of which no more than `MOST` are kept.
pub(super) struct Capped<T, const MOST: usize> {
    pub(super) kept: Vec<T>,
    pub(super) is_whole: bool,
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Capped<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List(PhantomData))
    }
}

struct List<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
    type Value = Capped<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MOST {
            match list.next_element()? {
                Some(one) => kept.push(one),
                None => return Ok(Capped { kept, is_whole: true }),
            }
        }
        let mut is_whole = true;
        while list.next_element::<IgnoredAny>()?.is_some() {
            is_whole = false;
        }
        Ok(Capped { kept, is_whole })
    }
}

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
