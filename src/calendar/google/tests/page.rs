//! Events as Google tells them, and what is made of them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::calendar::google::page::{CUT_OFF, NOBODY, Pages, TOO_MANY, Whose};
use crate::domain::meeting::{Attendee, AttendeeKind, Nature, Occurrence, Response};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn week() -> (Timestamp, Timestamp) {
    (at("2026-03-08T00:00:00Z"), at("2026-03-15T00:00:00Z"))
}

fn read(items: &Value) -> (Vec<Occurrence>, Vec<String>) {
    let mut pages = Pages::default();
    let page = json!({ "timeZone": "Europe/Berlin", "items": items });
    assert_eq!(pages.take(page.to_string().as_bytes()), Ok(None));
    let whose = Whose::new("maya@own.example", None);
    let (mut found, warnings) = pages.occurrences(&whose, &TimeZone::UTC, week());
    found.sort_by_key(|one| one.start);
    (found, warnings)
}

fn one(item: Value) -> Occurrence {
    let (mut found, warnings) = read(&Value::Array(vec![item]));
    assert!(warnings.is_empty() && found.len() == 1, "{warnings:?} {found:?}");
    found.remove(0)
}

/// From 14:00 to 14:45 in Berlin.
fn demo() -> Value {
    json!({
        "id": "demo", "iCalUID": "demo@google.com", "status": "confirmed",
        "summary": " Acme demo ", "sequence": 2, "eventType": "default",
        "start": { "dateTime": "2026-03-10T14:00:00+01:00", "timeZone": "Europe/Berlin" },
        "end": { "dateTime": "2026-03-10T14:45:00+01:00", "timeZone": "Europe/Berlin" },
        "organizer": { "email": "m.brandt@own.example", "self": true },
        "attendees": [
            { "email": "m.brandt@own.example", "self": true, "responseStatus": "declined" },
            { "email": "Kim.Lee@Acme.example", "displayName": "Kim Lee",
              "responseStatus": "needsAction" },
            { "email": "c_1@resource.calendar.google.com", "resource": true },
            { "displayName": "Somebody without an address" },
        ],
        "hangoutLink": "https://meet.google.com/old",
        "conferenceData": { "entryPoints": [
            { "entryPointType": "phone", "uri": "tel:+1" },
            { "entryPointType": "video", "uri": "https://meet.google.com/new" },
        ] },
    })
}

fn with(key: &str, value: Value) -> Occurrence {
    let mut item = demo();
    item[key] = value;
    one(item)
}

#[test]
fn a_meeting_is_read_as_the_rest_of_the_bot_knows_meetings() {
    let meeting = one(demo());
    assert_eq!(
        (meeting.start, meeting.end),
        (at("2026-03-10T13:00:00Z"), at("2026-03-10T13:45:00Z"))
    );
    assert_eq!((meeting.uid.as_str(), meeting.title.as_str()), ("demo@google.com", "Acme demo"));
    assert_eq!(meeting.original_start, Timestamp::UNIX_EPOCH, "it does not repeat");
    assert_eq!((meeting.sequence, meeting.nature), (Some(2), Nature::Meeting));
    let flags = (meeting.all_day, meeting.cancelled, meeting.private, meeting.free);
    assert_eq!((flags, meeting.recurring), ((false, false, false, false), false));
    // Whoever's calendar it is goes by the roster's address.
    assert_eq!(meeting.organizer.as_deref(), Some("maya@own.example"));
    let guest = |email: &str, name: &str, response, kind| Attendee {
        email: email.into(),
        name: name.into(),
        response,
        kind,
    };
    assert_eq!(
        meeting.attendees,
        [
            guest("maya@own.example", "", Response::Declined, AttendeeKind::Person),
            guest("kim.lee@acme.example", "Kim Lee", Response::NoAnswer, AttendeeKind::Person),
            guest("c_1@resource.calendar.google.com", "", Response::NoAnswer, AttendeeKind::Room),
        ]
    );
    assert_eq!(meeting.link.as_deref(), Some("https://meet.google.com/new"));
}

#[test]
fn what_google_says_in_a_word() {
    for (kind, nature) in [
        ("outOfOffice", Nature::Absence),
        ("focusTime", Nature::Marker),
        ("workingLocation", Nature::Marker),
        ("birthday", Nature::Marker),
        ("fromGmail", Nature::Meeting),
        ("somethingNew", Nature::Meeting),
    ] {
        assert_eq!(with("eventType", kind.into()).nature, nature, "{kind}");
    }
    assert!(with("visibility", "private".into()).private);
    assert!(with("visibility", "confidential".into()).private);
    assert!(!with("visibility", "public".into()).private);
    assert!(with("transparency", "transparent".into()).free);
    assert!(with("status", "cancelled".into()).cancelled);
    assert!(!with("status", "tentative".into()).cancelled);
    assert_eq!(with("sequence", Value::Null).sequence, None);
    assert_eq!(with("sequence", (-1).into()).sequence, None);
    assert_eq!(with("organizer", json!({ "email": NOBODY })).organizer, None);
    let call = with("conferenceData", json!({ "entryPoints": null }));
    assert_eq!(call.link.as_deref(), Some("https://meet.google.com/old"));
    assert_eq!(with("attendees", Value::Null).attendees, []);
}

#[test]
fn an_entry_that_nobody_else_is_in_is_the_person_s_own() {
    let item = json!({ "id": "a", "start": { "dateTime": "2026-03-10T14:00:00Z" } });
    let alone = one(item);
    assert_eq!(alone.organizer.as_deref(), Some("maya@own.example"));
    let none = json!({ "id": "a", "start": { "date": "2026-03-10" }, "attendees": [] });
    assert_eq!(one(none).organizer.as_deref(), Some("maya@own.example"));
    assert_eq!((alone.start, alone.uid.as_str()), (alone.end, "a@google.com"));
}

#[test]
fn days_are_days_of_the_calendar() {
    let day = |item: Value| {
        let found = one(item);
        (found.start.to_string(), found.end.to_string(), found.all_day)
    };
    let whole = ("2026-03-09T23:00:00Z".to_owned(), "2026-03-10T23:00:00Z".to_owned(), true);
    let dates = |from: &str, to: &str| json!({ "id": "a", "start": { "date": from }, "end": { "date": to } });
    assert_eq!(day(dates("2026-03-10", "2026-03-11")), whole);
    // An end that is no end.
    assert_eq!(day(dates("2026-03-10", "2026-03-10")), whole);
    assert_eq!(day(json!({ "id": "a", "start": { "date": "2026-03-10" } })), whole);
    // A time without an offset stands in its own zone, else in the calendar's.
    let local = json!({ "dateTime": "2026-03-10T14:00:00", "timeZone": "America/New_York" });
    assert_eq!(one(json!({ "id": "a", "start": local })).start, at("2026-03-10T18:00:00Z"));
    let bare = json!({ "dateTime": "2026-03-10T14:00:00" });
    assert_eq!(one(json!({ "id": "a", "start": bare })).start, at("2026-03-10T13:00:00Z"));
}

fn instance(day: u8, more: Value) -> Value {
    let time = |hour: &str| json!({ "dateTime": format!("2026-03-{day:02}T{hour}:00+01:00") });
    let mut item = json!({
        "id": format!("s_202603{day:02}T090000Z"), "recurringEventId": "s",
        "iCalUID": "uid-of-the-series", "originalStartTime": time("10:00"),
        "start": time("10:00"), "end": time("10:30"),
    });
    if let Value::Object(more) = more {
        for (key, value) in more {
            item[key.as_str()] = value;
        }
    }
    item
}

#[test]
fn an_instance_is_known_by_when_it_would_have_been() {
    let moved = instance(
        10,
        json!({ "start": { "dateTime": "2026-03-11T16:00:00+01:00" },
                "end": { "dateTime": "2026-03-11T17:00:00+01:00" } }),
    );
    let moved = one(moved);
    assert_eq!(moved.uid, "uid-of-the-series");
    assert_eq!(moved.original_start, at("2026-03-10T09:00:00Z"));
    assert_eq!(moved.start, at("2026-03-11T15:00:00Z"));
    assert!(moved.recurring);
}

/// All that Google promises of a cancelled instance.
fn bare_cancellation(series: &str) -> Value {
    json!({
        "id": format!("{series}_20260311T090000Z"), "status": "cancelled",
        "recurringEventId": series,
        "originalStartTime": { "dateTime": "2026-03-11T10:00:00+01:00" },
    })
}

#[test]
fn a_cancelled_instance_takes_from_its_siblings_what_it_lacks() {
    let (found, warnings) = read(&json!([bare_cancellation("s"), instance(10, json!({}))]));
    assert!(warnings.is_empty(), "{warnings:?}");
    let cancelled = found.iter().find(|one| one.cancelled).unwrap();
    assert_eq!(cancelled.uid, "uid-of-the-series");
    assert_eq!(cancelled.original_start, at("2026-03-11T09:00:00Z"));
    assert_eq!(cancelled.end, at("2026-03-11T09:30:00Z"));
}

#[test]
fn a_cancelled_instance_without_siblings_is_known_by_its_series_id() {
    assert_eq!(one(bare_cancellation("abc123")).uid, "abc123@google.com");
    // Outlook's, as Google spells it.
    let outlook = "_60q30c1g60o30e1i60o4ac1g60rj8gpl88rj2c1h84s34h9g60s30c1g60o30c1g";
    assert_eq!(one(bare_cancellation(outlook)).uid, "040000008200E00074C5B7101A82E00800000000");
    // Not base 32 after all.
    assert_eq!(one(bare_cancellation("_zz")).uid, "_zz@google.com");
    assert_eq!(one(bare_cancellation("_")).uid, "_@google.com");
}

#[test]
fn a_broken_event_costs_itself_only_and_a_deleted_one_may_be_empty() {
    let (found, warnings) = read(&json!([
        demo(),
        { "id": "no start" },
        { "id": "no time", "start": { "dateTime": "soon" } },
        { "id": 7, "start": { "date": "2026-03-10" } },
        { "start": { "date": "2026-03-10" } },
        "nonsense",
        null,
        { "id": "gone", "status": "cancelled" },
    ]));
    assert_eq!(found.len(), 1);
    assert_eq!(warnings, ["6 entries could not be understood and are left out"]);
}

#[test]
fn guests_who_are_missing_are_counted() {
    let mut hidden = demo();
    hidden["attendeesOmitted"] = true.into();
    let mut crowd = demo();
    crowd["id"] = "crowd".into();
    crowd["iCalUID"] = "crowd@google.com".into();
    crowd["attendees"] =
        (0..1200).map(|n| json!({ "email": format!("g{n}@acme.example") })).collect();
    let (found, warnings) = read(&json!([hidden, crowd]));
    assert_eq!(found.iter().map(|one| one.attendees.len()).max(), Some(1000));
    assert_eq!(warnings, ["2 entries do not name all of their guests"]);
}

#[test]
fn a_meeting_that_comes_twice_counts_once_as_what_it_is_now() {
    let mut cancelled = demo();
    cancelled["status"] = "cancelled".into();
    cancelled["sequence"] = 9.into();
    for order in [json!([demo(), cancelled]), json!([cancelled, demo()])] {
        let (found, _) = read(&order);
        assert_eq!((found.len(), found[0].cancelled), (1, false));
    }
}

#[test]
fn nothing_outside_the_window_is_told() {
    let day = |date: &str| json!({ "id": date, "start": { "date": date } });
    let (found, _) = read(&json!([day("2026-03-01"), day("2026-03-09"), day("2026-03-20")]));
    assert_eq!(found.len(), 1);
}

#[test]
fn what_is_no_page_is_refused_as_a_whole() {
    let taken = |body: &str| Pages::default().take(body.as_bytes());
    let whole = json!({ "items": [demo()] }).to_string();
    assert_eq!(taken(&whole[..whole.len() / 2]).unwrap_err(), CUT_OFF);
    assert!(taken("").unwrap_err().starts_with("an empty answer"));
    assert!(taken("<html>").unwrap_err().starts_with("a web page"));
    assert!(taken("[]").unwrap_err().starts_with("something else"));
    assert!(taken(r#"{"items":{}}"#).unwrap_err().starts_with("an answer that Google"));
    assert!(taken(r#"{"error":{"code":500}}"#).unwrap_err().starts_with("an answer"));
    let crowd = format!(r#"{{"items":[{}{{}}]}}"#, "{},".repeat(6000));
    assert_eq!(taken(&crowd).unwrap_err(), TOO_MANY);
    // What emulators and empty calendars say.
    assert_eq!(taken("{}"), Ok(None));
    assert_eq!(taken(r#"{"items":null,"nextPageToken":""}"#), Ok(None));
    assert_eq!(taken(r#"{"items":[],"nextPageToken":"p2"}"#), Ok(Some("p2".into())));
}

#[test]
fn a_calendar_that_is_nobody_s_mailbox_is_read_as_the_person_sees_it() {
    let id = "c_1@group.calendar.google.com";
    let whose = Whose::new("maya@own.example", Some(id));
    assert_eq!((whose.person.as_str(), whose.calendar.as_str()), ("maya@own.example", id));
    let other = Whose::new("maya@own.example", Some("m@other.example"));
    assert_eq!((other.person.as_str(), other.calendar.as_str()), ("m@other.example", "primary"));
}
