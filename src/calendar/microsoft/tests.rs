//! Entries as Exchange has them, and what is made of them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::entry::{Whose, occurrence};
use crate::domain::meeting::{Attendee, AttendeeKind, Nature, Occurrence, Response, is_absence};

const ME: &str = "maya@own.example";
const OTHER_ADDRESS: &str = "maya@own.onmicrosoft.example";

fn whose(zone: &str) -> Whose {
    let zone = TimeZone::get(zone).unwrap();
    Whose { email: ME.into(), mailbox: OTHER_ADDRESS.into(), zone }
}

fn at(time: &str) -> Value {
    json!({"dateTime": time, "timeZone": "UTC"})
}

fn mail(address: &str) -> Value {
    json!({"emailAddress": {"name": "Somebody", "address": address}})
}

/// An entry of an hour that Maya made for herself; `more` replaces what it names.
fn read_in(zone: &str, more: &Value) -> Option<Occurrence> {
    let mut all = json!({
        "iCalUId": "a", "type": "singleInstance", "subject": " Acme ",
        "start": at("2026-03-10T13:00:00.0000000"), "end": at("2026-03-10T14:00:00.0000000"),
        "responseStatus": {"response": "organizer"}, "organizer": mail(ME), "attendees": [],
    });
    for (key, value) in more.as_object().unwrap() {
        all[key] = value.clone();
    }
    occurrence(&serde_json::from_value(all).unwrap(), &whose(zone))
}

fn read(more: &Value) -> Occurrence {
    read_in("Europe/Berlin", more).unwrap()
}

fn times(meeting: &Occurrence) -> String {
    format!("{} {}", meeting.start, meeting.end)
}

#[test]
fn times_are_utc_whatever_they_are_written_in() {
    let utc = "2026-03-10T13:00:00Z 2026-03-10T14:00:00Z";
    assert_eq!(times(&read(&json!({}))), utc);
    for (start, zone) in [
        ("2026-03-10T13:00:00Z", Some("UTC")),
        ("2026-03-10T13:00:00", None),
        ("2026-03-10T14:00:00.0000000", Some("W. Europe Standard Time")),
        ("2026-03-10T14:00:00.0000000", Some("Europe/Berlin")),
        ("2026-03-10T13:00:00.0000000", Some("tzone://Microsoft/Utc")),
    ] {
        let start = json!({"start": {"dateTime": start, "timeZone": zone}});
        assert_eq!(times(&read(&start)), utc, "{start}");
    }
    let backwards = read(&json!({"end": at("2026-03-10T12:00:00")}));
    assert_eq!(backwards.end, backwards.start);
}

#[test]
fn a_whole_day_is_a_day_where_the_person_is() {
    let day = json!({
        "isAllDay": true,
        "start": at("2026-03-10T00:00:00.0000000"), "end": at("2026-03-11T00:00:00.0000000"),
    });
    for (zone, day_there) in [
        ("Europe/Berlin", "2026-03-09T23:00:00Z 2026-03-10T23:00:00Z"),
        ("America/Los_Angeles", "2026-03-10T07:00:00Z 2026-03-11T07:00:00Z"),
        ("Pacific/Kiritimati", "2026-03-09T10:00:00Z 2026-03-10T10:00:00Z"),
    ] {
        let meeting = read_in(zone, &day).unwrap();
        assert!(meeting.all_day);
        assert_eq!(times(&meeting), day_there, "{zone}");
    }
    // A server that does convert it means that instant.
    let converted = json!({"isAllDay": true, "start": at("2026-03-09T23:00:00")});
    assert_eq!(read(&converted).start.to_string(), "2026-03-09T23:00:00Z");
}

#[test]
fn what_has_no_name_or_no_times_is_left_out() {
    for broken in [
        json!({"iCalUId": " ", "id": null}),
        json!({"start": null}),
        json!({"end": {"timeZone": "UTC"}}),
        json!({"start": at("tomorrow")}),
        json!({"start": at("2026-02-30T13:00:00")}),
        json!({"end": {"dateTime": "2026-03-10T13:00:00", "timeZone": "Customized Time Zone"}}),
    ] {
        assert!(read_in("UTC", &broken).is_none(), "{broken}");
    }
    assert_eq!(read(&json!({"iCalUId": null, "id": "AAk1"})).uid, "AAk1");
}

#[test]
fn an_instance_of_a_series_keeps_its_original_start() {
    let original = "2026-03-10T12:00:00Z";
    for (more, start) in [
        (json!({"type": "occurrence", "originalStart": original}), original),
        (json!({"type": "exception", "originalStart": "2026-03-10T12:00:00"}), original),
        // Where it is not told, it was not moved.
        (json!({"type": "occurrence"}), "2026-03-10T13:00:00Z"),
        (json!({"type": null, "originalStart": original}), original),
    ] {
        let meeting = read(&more);
        assert!(meeting.recurring, "{more}");
        assert_eq!(meeting.original_start.to_string(), start, "{more}");
    }
    for once in [json!({}), json!({"originalStart": original}), json!({"type": null})] {
        let meeting = read(&once);
        assert!(!meeting.recurring, "{once}");
        assert_eq!(meeting.original_start, Timestamp::UNIX_EPOCH, "{once}");
    }
}

#[test]
fn whoever_is_invited_to_one_instance_only_has_that_instance() {
    let id = |day: &str| {
        format!(
            "040000008200E00074C5B7101A82E008{day}2CFCE63DC56CDA010000000000000000100000\
             00B5A2FFF2E86E5348B133D05386CDDD04"
        )
    };
    let meeting = read(&json!({"iCalUId": id("07EA030A")}));
    assert!(meeting.recurring);
    assert_eq!(meeting.uid, id("00000000"));
    assert_eq!(meeting.original_start, meeting.start);
}

#[test]
fn how_it_is_shown_says_what_it_is() {
    let with =
        |show_as: &str, guests: &Value| read(&json!({"showAs": show_as, "attendees": guests}));
    let (nobody, kim) = (json!([]), json!([mail("kim@acme.example")]));
    assert!(with("free", &nobody).free);
    for busy in ["busy", "tentative", "unknown", "?"] {
        let meeting = with(busy, &nobody);
        assert!(!meeting.free && meeting.nature == Nature::Meeting, "{busy}");
    }
    assert_eq!(with("workingElsewhere", &nobody).nature, Nature::Marker);
    assert_eq!(with("workingElsewhere", &kim).nature, Nature::Meeting);
    assert!(is_absence(&with("oof", &nobody), ME));
    assert!(!is_absence(&with("oof", &kim), ME));
    // A holiday that the office entered for her, and a visit to a customer who invited her.
    let holiday = json!({"showAs": "oof", "organizer": mail("office@own.example"),
        "responseStatus": {"response": "accepted"}, "attendees": [mail(ME)]});
    assert!(is_absence(&read(&holiday), ME));
    let visit = json!({"showAs": "oof", "organizer": mail("kim@acme.example"),
        "attendees": [mail(ME), mail("lee@acme.example")]});
    assert!(!is_absence(&read(&visit), ME));
}

#[test]
fn only_what_is_marked_normal_is_for_everybody() {
    for (word, private) in
        [("normal", false), ("personal", true), ("private", true), ("confidential", true)]
    {
        assert_eq!(read(&json!({"sensitivity": word})).private, private, "{word}");
    }
    assert!(!read(&json!({"sensitivity": null})).private);
    assert!(read(&json!({"isCancelled": true})).cancelled);
}

fn told(guest: &Attendee) -> (&str, Response, AttendeeKind) {
    (&guest.email, guest.response, guest.kind)
}

fn guests(meeting: &Occurrence) -> Vec<(&str, Response, AttendeeKind)> {
    meeting.attendees.iter().map(told).collect()
}

#[test]
fn guests_are_all_who_are_invited_with_their_answers() {
    use AttendeeKind::{Person, Room};
    use Response::{Accepted, Declined, NoAnswer, Tentative};
    let guest = |address: &str, response: &str, kind: &str| {
        let mut guest = mail(address);
        guest["status"] = json!({"response": response});
        guest["type"] = json!(kind);
        guest
    };
    let meeting = read(&json!({
        "organizer": mail("Kim@ACME.example"),
        "responseStatus": {"response": "declined"},
        "attendees": [
            guest(OTHER_ADDRESS, "none", "required"),
            guest("lee@acme.example", "tentativelyAccepted", "optional"),
            guest("lee@acme.example", "declined", "required"),
            guest("pat@acme.example", "notResponded", "required"),
            guest("room@own.example", "accepted", "resource"),
            guest("/o=ExchangeLabs/cn=gone", "accepted", "required"),
            json!({"type": "required"}),
            json!({"emailAddress": {"name": "no address"}}),
        ],
    }));
    assert_eq!(meeting.organizer.as_deref(), Some("kim@acme.example"));
    assert_eq!(
        guests(&meeting),
        [
            (ME, Declined, Person),
            ("lee@acme.example", Tentative, Person),
            ("pat@acme.example", NoAnswer, Person),
            ("room@own.example", Accepted, Room),
            ("kim@acme.example", Accepted, Person),
        ]
    );
    // An answer that her own calendar does not know is taken from the list.
    let listed = json!({"responseStatus": {"response": "none"},
        "attendees": [guest(ME, "declined", "required")]});
    assert_eq!(guests(&read(&listed)), [(ME, Declined, Person)]);
    // Invited through a group that she is in.
    let group = json!({"organizer": mail("kim@acme.example"),
        "responseStatus": {"response": "declined"}, "attendees": [mail("sales@own.example")]});
    assert!(guests(&read(&group)).contains(&(ME, Declined, Person)));
    // Alone with herself.
    assert_eq!(guests(&read(&json!({}))), []);
    assert_eq!(guests(&read(&json!({"attendees": null, "responseStatus": null}))), []);
}

#[test]
fn a_name_that_is_an_address_is_none() {
    let named = |name: &str| {
        let guest = json!({"emailAddress": {"name": name, "address": "kim@acme.example"}});
        read(&json!({"attendees": [guest]})).attendees[0].name.clone()
    };
    assert_eq!((named(" Kim Lee "), named("kim@acme.example")), ("Kim Lee".into(), String::new()));
}

#[test]
fn the_link_is_to_join_else_to_read() {
    let web = "https://outlook.example/1";
    let (join, old) = ("https://teams.example/1", "https://skype.example/1");
    for (more, link) in [
        (json!({"onlineMeeting": {"joinUrl": join}, "webLink": web}), Some(join)),
        (json!({"onlineMeetingUrl": old, "webLink": web}), Some(old)),
        (json!({"onlineMeeting": {"joinUrl": null}, "webLink": web}), Some(web)),
        (json!({"onlineMeeting": {"joinUrl": "javascript:alert(1)"}}), None),
        (json!({}), None),
    ] {
        assert_eq!(read(&more).link.as_deref(), link, "{more}");
    }
}
