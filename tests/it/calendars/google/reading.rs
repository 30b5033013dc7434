//! What is asked of Google, as whom, and how often.

use std::collections::HashSet;

use debrief::ports::Calendar;
use futures_util::future::join_all;
use serde_json::json;

use super::{MAYA_AT, Reader, cancelled, demo, instance, request};

#[tokio::test]
async fn a_calendar_is_read_as_its_owner_and_no_more_than_needed() {
    let reader = Reader::new().await;
    let read = reader.read().await.unwrap();
    let [meeting] = read.occurrences.as_slice() else { panic!("{:?}", read.occurrences) };
    assert_eq!(meeting.title, "Acme demo");
    assert_eq!(meeting.attendees.len(), 2);
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    assert_eq!(reader.google.granted(), [MAYA_AT]);
    let asked = reader.google.asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((asked.person.as_str(), asked.calendar.as_str()), (MAYA_AT, "primary"));
    assert_eq!(asked.query["timeMin"], "2026-03-07T11:00:00Z");
    assert_eq!(asked.query["timeMax"], "2026-03-13T11:00:01Z");
    assert!(asked.headers["user-agent"].to_str().unwrap().contains("gzip"));
    assert!(asked.headers["accept-encoding"].to_str().unwrap().contains("gzip"));
    // What nobody needs does not leave Google, and who reads is no secret only to Google.
    assert!(!asked.query["fields"].contains("description"));
    assert!(!asked.query["quotaUser"].contains("maya"), "{}", asked.query["quotaUser"]);
}

#[tokio::test]
async fn what_did_not_change_is_not_kept_anew_and_works_without_google() {
    let reader = Reader::new().await;
    reader.google.set(
        MAYA_AT,
        vec![
            demo("demo", "2026-03-10T14:00", 45),
            json!({ "id": "p", "summary": "Therapy", "visibility": "private",
                "start": { "dateTime": "2026-03-11T09:00:00Z" },
                "end": { "dateTime": "2026-03-11T10:00:00Z" },
                "attendees": [{ "email": "dr@clinic.example" }] }),
        ],
    );
    let first = reader.read().await.unwrap();
    let state = first.state.unwrap();
    let kept = String::from_utf8(state.body.clone()).unwrap();
    assert!(kept.contains("Acme demo") && !kept.contains("Bring the offer"), "{kept}");
    assert!(!kept.contains("Therapy") && !kept.contains("clinic"), "{kept}");
    let mut again = request(None);
    again.known = Some(state);
    assert_eq!(reader.calendar.read(&again).await.unwrap().state, None);
    let requests = reader.google.asked().len();
    let known = reader.calendar.read_known(&again).await.unwrap();
    assert_eq!(known.occurrences.len(), 2);
    assert_eq!(reader.google.asked().len(), requests);
}

#[tokio::test]
async fn a_full_calendar_comes_page_by_page() {
    let reader = Reader::new().await;
    let event = |n: usize| demo(&format!("e{n}"), "2026-03-10T14:00", 15);
    reader.google.set(MAYA_AT, (0..620).map(event).collect());
    let read = reader.read().await.unwrap();
    let uids: HashSet<&str> = read.occurrences.iter().map(|one| one.uid.as_str()).collect();
    assert_eq!((read.occurrences.len(), uids.len()), (620, 620));
    let asked = reader.google.asked();
    let pages: Vec<Option<&String>> =
        asked.iter().map(|asked| asked.query.get("pageToken")).collect();
    assert_eq!(pages, [None, Some(&"p250".to_owned()), Some(&"p500".to_owned())]);
    assert_eq!(reader.google.granted().len(), 1);
}

#[tokio::test]
async fn a_series_is_its_instances_and_a_cancelled_one_belongs_to_it() {
    let reader = Reader::new().await;
    let events = vec![cancelled("2026-03-11"), instance("2026-03-10"), instance("2026-03-12")];
    reader.google.set(MAYA_AT, events);
    let read = reader.read().await.unwrap();
    let told: Vec<(String, bool)> = read
        .occurrences
        .iter()
        .map(|one| (format!("{} {}", one.uid, one.original_start), one.cancelled))
        .collect();
    let line = |day: &str| format!("weekly@google.com 2026-03-{day}T13:00:00Z");
    assert_eq!(told, [(line("10"), false), (line("11"), true), (line("12"), false)]);
    assert_eq!(
        read.occurrences[1].end,
        read.occurrences[1].start + jiff::SignedDuration::from_mins(45)
    );
}

#[tokio::test]
async fn everybody_has_a_token_of_their_own_and_keeps_it() {
    let reader = Reader::new().await;
    reader.google.set("tom@own.example", vec![]);
    let mut tom = request(None);
    tom.email = "tom@own.example".into();
    for _ in 0..3 {
        assert_eq!(reader.read().await.unwrap().occurrences.len(), 1);
        assert_eq!(reader.calendar.read(&tom).await.unwrap().occurrences.len(), 0);
    }
    assert_eq!(reader.google.granted(), [MAYA_AT, "tom@own.example"]);
    let people: Vec<String> = reader.google.asked().into_iter().map(|asked| asked.person).collect();
    assert_eq!(people[..2], [MAYA_AT, "tom@own.example"]);
}

#[tokio::test]
async fn readings_at_the_same_time_share_one_token() {
    let reader = Reader::new().await;
    let read = join_all((0..6).map(|_| reader.read())).await;
    assert!(read.iter().all(Result::is_ok));
    assert_eq!(reader.google.granted(), [MAYA_AT]);
}

#[tokio::test]
async fn a_token_is_not_used_when_it_is_about_to_end() {
    let reader = Reader::new().await;
    reader.google.tokens_live(59);
    for _ in 0..3 {
        reader.read().await.unwrap();
    }
    assert_eq!(reader.google.granted().len(), 3);
}

#[tokio::test]
async fn a_token_that_was_withdrawn_is_replaced_once() {
    let reader = Reader::new().await;
    reader.read().await.unwrap();
    reader.google.withdraw_tokens();
    assert_eq!(reader.read().await.unwrap().occurrences.len(), 1);
    assert_eq!((reader.google.granted().len(), reader.google.asked().len()), (2, 3));
    // In the middle of a calendar too.
    reader.google.pages_of(1);
    let events = ["a", "b", "c"].map(|id| demo(id, "2026-03-10T14:00", 15));
    reader.google.set(MAYA_AT, events.into());
    reader.google.withdraw_tokens();
    assert_eq!(reader.read().await.unwrap().occurrences.len(), 3);
    assert_eq!(reader.google.granted().len(), 3);
}

#[tokio::test]
async fn another_mailbox_of_a_person_and_a_calendar_without_a_mailbox_can_be_read() {
    let reader = Reader::new().await;
    reader.google.set("m@other.example", vec![demo("other", "2026-03-10T15:00", 30)]);
    let team = "c_7f@group.calendar.google.com";
    reader.google.set(team, vec![demo("team", "2026-03-10T16:00", 30)]);
    for (mailbox, uid) in [("m@other.example", "other@google.com"), (team, "team@google.com")] {
        let read = reader.calendar.read(&request(Some(mailbox))).await.unwrap();
        assert_eq!(read.occurrences[0].uid, uid);
    }
    // Nobody is impersonated who is nobody.
    assert_eq!(reader.google.granted(), ["m@other.example", MAYA_AT]);
}
