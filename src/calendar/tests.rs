//! Calendars as they come, and what is made of them.

use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::CalendarSettings;
use super::ics::IcsCalendar;
use super::parse::parse;
use super::series::occurrences;
use crate::domain::meeting::{AttendeeKind, Occurrence, Response};
use crate::domain::roster::source::CalendarSource;
use crate::ports::{Calendar, CalendarRequest, FeedState};

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn calendar(events: &[&str]) -> String {
    let events: Vec<String> =
        events.iter().map(|event| format!("BEGIN:VEVENT\n{event}\nEND:VEVENT\n")).collect();
    let events = events.concat();
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//EN\n{events}END:VCALENDAR\n")
}

fn found(text: &str, from: &str, to: &str) -> Vec<Occurrence> {
    occurrences(parse(text.as_bytes(), &berlin()).events, (at(from), at(to))).0
}

/// Starts and ends in Berlin, "26-03-10 14:00–14:45".
fn told(events: &[&str], from: &str, to: &str) -> Vec<String> {
    let shown = |at: Timestamp| at.to_zoned(berlin()).strftime("%y-%m-%d %H:%M").to_string();
    found(&calendar(events), from, to)
        .iter()
        .map(|one| {
            let end = shown(one.end);
            let cancelled = if one.cancelled { " cancelled" } else { "" };
            format!("{}–{}{cancelled}", shown(one.start), &end[9..])
        })
        .collect()
}

const MARCH: (&str, &str) = ("2026-03-01T00:00:00Z", "2026-04-10T00:00:00Z");

#[test]
fn a_weekly_series_keeps_its_hour_when_the_clocks_change() {
    let event = "UID:a\nDTSTART;TZID=Europe/Berlin:20260318T090000\nDURATION:PT45M\n\
                 RRULE:FREQ=WEEKLY;COUNT=4\nEXDATE;TZID=Europe/Berlin:20260325T090000";
    assert_eq!(
        told(&[event], MARCH.0, MARCH.1),
        ["26-03-18 09:00–09:45", "26-04-01 09:00–09:45", "26-04-08 09:00–09:45"]
    );
}

#[test]
fn a_time_that_the_clocks_skip_moves_on_and_one_that_comes_twice_is_the_first() {
    let nightly = "UID:a\nDTSTART;TZID=Europe/Berlin:20260328T023000\nDURATION:PT30M\n\
                   RRULE:FREQ=DAILY;COUNT=3";
    assert_eq!(
        told(&[nightly], MARCH.0, MARCH.1),
        ["26-03-28 02:30–03:00", "26-03-29 03:30–04:00", "26-03-30 02:30–03:00"]
    );
    let fold = "UID:a\nDTSTART;TZID=Europe/Berlin:20261025T023000\nDURATION:PT30M";
    let once = found(&calendar(&[fold]), "2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z");
    assert_eq!(once[0].start, at("2026-10-25T00:30:00Z"));
}

#[test]
fn instances_are_moved_cancelled_and_added() {
    let series = "UID:a\nDTSTART;TZID=Europe/Berlin:20260302T100000\n\
                  DTEND;TZID=Europe/Berlin:20260302T103000\nRRULE:FREQ=DAILY;COUNT=3\n\
                  RDATE;TZID=Europe/Berlin:20260320T150000";
    let moved = "UID:a\nRECURRENCE-ID:20260303T090000Z\nDTSTART;TZID=Europe/Berlin:20260305T160000\n\
                 DTEND;TZID=Europe/Berlin:20260305T170000";
    let off = "UID:a\nRECURRENCE-ID;TZID=Europe/Berlin:20260304T100000\nSTATUS:CANCELLED\n\
               DTSTART;TZID=Europe/Berlin:20260304T100000\nDTEND;TZID=Europe/Berlin:20260304T103000";
    assert_eq!(
        told(&[moved, series, off], MARCH.0, MARCH.1),
        [
            "26-03-02 10:00–10:30",
            "26-03-04 10:00–10:30 cancelled",
            "26-03-05 16:00–17:00",
            "26-03-20 15:00–15:30",
        ]
    );
    let moved_in =
        found(&calendar(&[series, moved]), "2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z");
    assert_eq!(moved_in[0].original_start, at("2026-03-03T09:00:00Z"), "it keeps its identity");
}

#[test]
fn a_change_of_all_following_instances() {
    let series = "UID:a\nDTSTART;TZID=Europe/Berlin:20260302T100000\nDURATION:PT30M\n\
                  RRULE:FREQ=DAILY;COUNT=4";
    let later = "UID:a\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260304T100000\n\
                 DTSTART;TZID=Europe/Berlin:20260304T113000\nDURATION:PT1H";
    assert_eq!(
        told(&[series, later], MARCH.0, MARCH.1),
        [
            "26-03-02 10:00–10:30",
            "26-03-03 10:00–10:30",
            "26-03-04 11:30–12:30",
            "26-03-05 11:30–12:30",
        ]
    );
}

#[test]
fn rules_of_every_sort() {
    for (rule, days) in [
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", vec!["03-31", "04-30"]),
        ("FREQ=MONTHLY;BYDAY=2TH;UNTIL=20260501", vec!["03-12", "04-09"]),
        ("FREQ=DAILY;INTERVAL=10;UNTIL=20260321T080000Z", vec!["03-11", "03-21"]),
        ("FREQ=DAILY;INTERVAL=10;UNTIL=20260321T075959Z", vec!["03-11"]),
        ("FREQ=DAILY;INTERVAL=10;UNTIL=20260321", vec!["03-11", "03-21"]),
    ] {
        let event = format!("UID:a\nDTSTART;TZID=Europe/Berlin:20260301T090000\nRRULE:{rule}");
        let told = told(&[&event], "2026-03-02T00:00:00Z", "2026-05-20T00:00:00Z");
        let told: Vec<&str> = told.iter().map(|line| &line[3..8]).collect();
        assert_eq!(told, days, "{rule}");
    }
}

#[test]
fn zones_by_windows_name_by_rules_floating_and_of_the_calendar() {
    let windows = "UID:a\nDTSTART;TZID=\"W. Europe Standard Time\":20260310T140000\nDURATION:PT30M";
    assert_eq!(told(&[windows], MARCH.0, MARCH.1), ["26-03-10 14:00–14:30"]);
    let floating = "UID:a\nDTSTART:20260310T140000\nDURATION:PT30M";
    assert_eq!(told(&[floating], MARCH.0, MARCH.1), ["26-03-10 14:00–14:30"]);
    let text = calendar(&[floating]).replace("PRODID", "X-WR-TIMEZONE:America/New_York\nPRODID");
    assert_eq!(found(&text, MARCH.0, MARCH.1)[0].start, at("2026-03-10T18:00:00Z"));

    let rules = "BEGIN:VTIMEZONE\nTZID:Our Own Time\n\
                 BEGIN:STANDARD\nDTSTART:19701101T020000\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU\n\
                 TZOFFSETFROM:-0400\nTZOFFSETTO:-0500\nEND:STANDARD\n\
                 BEGIN:DAYLIGHT\nDTSTART:19700308T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\n\
                 TZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nEND:DAYLIGHT\nEND:VTIMEZONE\n";
    let own = "UID:a\nDTSTART;TZID=Our Own Time:20260306T140000\nDURATION:PT30M\n\
               RRULE:FREQ=WEEKLY;COUNT=2";
    let text = calendar(&[own]).replace("BEGIN:VEVENT", &format!("{rules}BEGIN:VEVENT"));
    let starts: Vec<Timestamp> =
        found(&text, MARCH.0, MARCH.1).iter().map(|one| one.start).collect();
    assert_eq!(starts, [at("2026-03-06T19:00:00Z"), at("2026-03-13T18:00:00Z")]);
}

#[test]
fn whole_days_and_missing_ends() {
    let fair = "UID:a\nDTSTART;VALUE=DATE:20260310\nDTEND;VALUE=DATE:20260312";
    let days = found(&calendar(&[fair]), MARCH.0, MARCH.1);
    assert!(days[0].all_day);
    assert_eq!(
        (days[0].start, days[0].end),
        (at("2026-03-09T23:00:00Z"), at("2026-03-11T23:00:00Z"))
    );
    let endless = "UID:a\nDTSTART:20260310T140000Z";
    let one = found(&calendar(&[endless]), MARCH.0, MARCH.1);
    assert_eq!(one[0].start, one[0].end);
}

#[test]
fn who_comes_and_what_is_private() {
    let event = "UID:a\nSUMMARY:Acme\\, the demo\nDTSTART:20260310T140000Z\nDURATION:PT1H\n\
                 CLASS:PRIVATE\nTRANSP:TRANSPARENT\nORGANIZER;CN=Maya:MAILTO:Maya@Own.example\n\
                 ATTENDEE;CN=\"Lee, Kim\";PARTSTAT=DECLINED:mailto:Kim@Acme.example\n\
                 ATTENDEE;CUTYPE=ROOM;CN=Room 1:mailto:room@own.example\n\
                 ATTENDEE;EMAIL=raj@acme.example:urn:uuid:1\nURL:https://meet.example/x";
    let text = calendar(&[event]).replace("Acme\\, the demo", "Acme\\, t\n he demo");
    let one = &found(&text, MARCH.0, MARCH.1)[0];
    assert_eq!(one.title, "Acme, the demo");
    assert!(one.private && one.free && !one.cancelled && !one.recurring);
    assert_eq!(one.organizer.as_deref(), Some("maya@own.example"));
    let people: Vec<(&str, &str)> = one
        .attendees
        .iter()
        .map(|attendee| (attendee.email.as_str(), attendee.name.as_str()))
        .collect();
    assert_eq!(
        people,
        [
            ("kim@acme.example", "Lee, Kim"),
            ("room@own.example", "Room 1"),
            ("raj@acme.example", "")
        ]
    );
    assert_eq!(one.attendees[0].response, Response::Declined);
    assert_eq!(one.attendees[1].kind, AttendeeKind::Room);
}

#[test]
fn an_event_that_does_not_repeat_keeps_its_identity_when_it_moves() {
    let before = found(&calendar(&["UID:a\nDTSTART:20260310T140000Z"]), MARCH.0, MARCH.1);
    let after =
        found(&calendar(&["UID:a\nSEQUENCE:1\nDTSTART:20260312T160000Z"]), MARCH.0, MARCH.1);
    assert_eq!(before[0].original_start, after[0].original_start);
}

#[test]
fn a_broken_event_costs_only_itself() {
    let text = calendar(&[
        "UID:a\nSUMMARY:no start",
        "UID:b\nDTSTART:20260310T140000Z\nRRULE:FREQ=FORTNIGHTLY",
        "UID:c\nDTSTART:20260310T150000Z",
    ]);
    let parsed = parse(text.as_bytes(), &berlin());
    assert_eq!(parsed.broken_events, 1);
    let (found, _) = occurrences(parsed.events, (at(MARCH.0), at(MARCH.1)));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_hostile_rule_is_given_up_and_an_old_one_is_not() {
    let old = "UID:a\nDTSTART:19700101T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY;INTERVAL=3600";
    assert_eq!(told(&[old], "2026-03-10T00:00:00Z", "2026-03-10T03:00:00Z").len(), 3);
    let counted = "UID:a\nDTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY;COUNT=2000000000";
    let never = "UID:b\nDTSTART:19700101T000000Z\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30";
    let parsed = parse(calendar(&[counted, never]).as_bytes(), &berlin());
    let (_, troubles) = occurrences(parsed.events, (at(MARCH.0), at(MARCH.1)));
    assert_eq!(troubles.rules_too_long, 1);
    let all = |most: u32| (0..most).map(|part| part.to_string()).collect::<Vec<_>>().join(",");
    let bomb = format!(
        "UID:a\nDTSTART:20250101T000000Z\nRRULE:FREQ=YEARLY;BYHOUR={};BYMINUTE={};BYSECOND={}",
        all(24),
        all(60),
        all(60)
    );
    let parsed = parse(calendar(&[&bomb]).as_bytes(), &berlin());
    let (_, troubles) = occurrences(parsed.events, (at(MARCH.0), at(MARCH.1)));
    assert_eq!(troubles.rules_too_long, 1);
}

#[test]
fn a_start_that_does_not_fit_its_rule_comes_first_and_is_not_counted() {
    // The standard leaves this open; calendars in use show the start, and COUNT more.
    let event = "UID:a\nDTSTART;TZID=Europe/Berlin:20260305T090000\nDURATION:PT30M\n\
                 RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=2";
    assert_eq!(
        told(&[event], MARCH.0, MARCH.1),
        ["26-03-05 09:00–09:30", "26-03-09 09:00–09:30", "26-03-16 09:00–09:30"]
    );
}

proptest! {
    #[test]
    fn nothing_that_comes_from_outside_panics(
        cut in 0_usize..2000,
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        digit in 0_u32..10,
    ) {
        let text = calendar(&[
            "UID:a\nDTSTART;TZID=Europe/Berlin:20260302T100000\nDURATION:P1DT2H\n\
             RRULE:FREQ=MONTHLY;BYDAY=1MO,-1FR;BYSETPOS=1;UNTIL=20270101\nEXDATE:20260402T080000Z\n\
             RDATE;VALUE=PERIOD:20260302T100000Z/PT1H",
            "UID:a\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260402T080000Z\nDTSTART:20260402T090000Z",
        ]);
        let mut text = text.replace('2', &digit.to_string()).into_bytes();
        let cut = cut.min(text.len());
        text.splice(cut..cut, bytes);
        let parsed = parse(&text, &berlin());
        occurrences(parsed.events, (at(MARCH.0), at(MARCH.1)));
    }
}

pub(super) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another test of this process may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A server with `routes`; returns its address.
async fn served(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

fn reader(max_bytes: u64) -> IcsCalendar {
    install_tls();
    let timeout = Duration::from_millis(500);
    IcsCalendar::new(&CalendarSettings { timeout, max_bytes, ..Default::default() }).unwrap()
}

fn request(address: String, known: Option<FeedState>) -> CalendarRequest {
    let window = (at(MARCH.0), at(MARCH.1));
    CalendarRequest {
        source: CalendarSource::IcsUrl(address),
        email: "maya@example.com".into(),
        zone: berlin(),
        window,
        known,
    }
}

#[tokio::test]
async fn an_unchanged_calendar_is_not_sent_again() {
    let text = calendar(&["UID:a\nDTSTART:20260310T140000Z"]);
    let asked: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let answer = move |headers: HeaderMap| {
        let (seen, text) = (Arc::clone(&seen), text.clone());
        async move {
            let known = headers.get("if-none-match").map(|tag| tag.to_str().unwrap().to_owned());
            seen.lock().unwrap().push(known.clone());
            match known {
                Some(_) => StatusCode::NOT_MODIFIED.into_response(),
                None => ([("etag", "\"7\"")], text).into_response(),
            }
        }
    };
    let address = served(Router::new().route("/a.ics", get(answer))).await;
    let reader = reader(1 << 20);
    let first = reader.read(&request(format!("{address}/a.ics"), None)).await.unwrap();
    assert_eq!(first.occurrences.len(), 1);
    let again = reader.read(&request(format!("{address}/a.ics"), first.state)).await.unwrap();
    assert_eq!(again.occurrences.len(), 1);
    assert!(again.state.is_none());
    assert_eq!(*asked.lock().unwrap(), [None, Some("\"7\"".to_owned())]);
}

#[tokio::test]
async fn every_failure_has_a_reason_without_an_address() {
    let routes = Router::new()
        .route("/html", get(|| async { "<!DOCTYPE html><html>log in</html>" }))
        .route("/empty", get(|| async { "" }))
        .route("/cut", get(|| async { "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a" }))
        .route("/large", get(|| async { format!("BEGIN:VCALENDAR\n{}", "x".repeat(5000)) }))
        .route("/gone", get(|| async { StatusCode::GONE }))
        .route("/busy", get(|| async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "90")]) }))
        .route("/circle", get(|| async { (StatusCode::FOUND, [("location", "/circle")]) }))
        .route(
            "/slow",
            get(|| async {
                std::future::pending::<()>().await;
            }),
        );
    let address = served(routes).await;
    let reader = reader(4096);
    for (path, reason, retry_after) in [
        ("html", "a web page instead of a calendar; the address may need a log-in", None),
        ("empty", "the calendar is empty", None),
        ("cut", "the calendar breaks off in the middle", None),
        ("large", "larger than calendar.max_bytes; publish fewer past events", None),
        (
            "gone",
            "not found (HTTP 404 or 410); the calendar may no longer be published [410]",
            None,
        ),
        ("busy", "the server asks for patience (HTTP 429) [429]", Some(90)),
        ("circle", "the server redirects in a circle", None),
        ("slow", "the server did not answer in time (calendar.timeout)", None),
    ] {
        let error = reader.read(&request(format!("{address}/{path}"), None)).await.unwrap_err();
        assert_eq!((error.reason.as_str(), error.retry_after), (reason, retry_after), "{path}");
    }
    let nobody = reader.read(&request("http://127.0.0.1:1/secret".into(), None)).await.unwrap_err();
    assert_eq!(nobody.reason, "the server cannot be reached");
}
