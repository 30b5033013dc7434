//! What is asked of Graph, and the meetings that come of it.

use debrief::calendar::CalendarSettings;
use debrief::calendar::caldav::{CalDavSettings, Passwords};
use debrief::calendar::ics::IcsCalendar;
use debrief::calendar::providers::Calendars;
use debrief::domain::meeting::Response::{Accepted, Declined};
use debrief::domain::meeting::{Nature, Occurrence};
use debrief::ports::Calendar;
use jiff::Timestamp;
use serde_json::json;

use super::graph::{CLIENT, SECRET, entry};
use super::setting::{of, setting, titles, usual};

#[tokio::test]
async fn a_window_is_read_page_by_page_as_graph_wants_to_be_asked() {
    let titled = |title: &str, hour: u8| {
        let (start, end) = (format!("2026-03-10T{hour}:00"), format!("2026-03-10T{hour}:30"));
        entry(title, &start, &end, &json!({"subject": title}))
    };
    let pages = vec![vec![titled("three", 15), titled("one", 11)], vec![], vec![titled("two", 13)]];
    let setting = setting(pages, |_, _| ()).await;
    let read = setting.read().await.unwrap();
    assert_eq!(titles(&read), ["one", "two", "three"]);
    assert!(read.warnings.is_empty());
    let asked = setting.graph.asked();
    assert_eq!(asked.len(), 3);
    for one in &asked {
        assert_eq!(one.mailbox, "maya@own.example");
        let wishes: Vec<_> = one.headers.get_all("prefer").iter().collect();
        let all = r#"IdType="ImmutableId", outlook.timezone="UTC", odata.maxpagesize=100"#;
        assert_eq!(wishes, [all]);
        assert_eq!(one.headers["authorization"], "Bearer ey.1");
    }
    // Whole days are asked for with those of every zone.
    let query = &asked[0].query;
    assert!(
        query.starts_with(
            "startDateTime=2026-03-09T10:00:00Z&endDateTime=2026-03-12T14:00:00Z&$select=id,iCalUId,"
        ) && query.ends_with("&$top=100"),
        "{query}"
    );
    assert!(!query.contains("body") && !query.contains("location"), "{query}");
    let sign_ins = setting.graph.sign_ins();
    assert_eq!(sign_ins.len(), 1);
    let said = |key: &str| sign_ins[0][key].as_str();
    assert_eq!(said("grant_type"), "client_credentials");
    assert_eq!(said("scope"), format!("{}/.default", setting.graph.url));
    assert_eq!((said("client_id"), said("client_secret")), (CLIENT, SECRET));
}

#[tokio::test]
async fn an_entry_becomes_a_meeting() {
    let setting = usual().await;
    let read = setting.read().await.unwrap();
    let [meeting] = read.occurrences.as_slice() else { panic!("{:?}", read.occurrences) };
    assert_eq!(meeting.uid, "a@own");
    assert_eq!(meeting.original_start, Timestamp::UNIX_EPOCH);
    assert_eq!(meeting.start.to_string(), "2026-03-10T13:00:00Z");
    assert_eq!(meeting.end.to_string(), "2026-03-10T13:45:00Z");
    assert_eq!(meeting.organizer.as_deref(), Some("maya@own.example"));
    assert_eq!(meeting.link.as_deref(), Some("https://teams.example/l/meetup-join/1"));
    let guests: Vec<_> =
        meeting.attendees.iter().map(|guest| (&*guest.email, guest.response)).collect();
    let all = [("kim.lee@acme.example", Accepted), ("maya@own.example", Accepted)];
    assert_eq!(guests, all);
    assert_eq!(meeting.nature, Nature::Meeting);
    assert!(!meeting.free && !meeting.private && !meeting.cancelled && !meeting.recurring);
}

#[tokio::test]
async fn another_mailbox_of_the_person_counts_as_the_person() {
    let mailbox = "maya@own.onmicrosoft.example";
    let more = json!({
        "responseStatus": {"response": "declined"},
        "attendees": [
            {"type": "required", "status": {"response": "none"}, "emailAddress": {"address": mailbox}},
        ],
        "organizer": {"emailAddress": {"address": "kim@acme.example"}},
    });
    let pages = vec![vec![entry("a", "2026-03-10T13:00", "2026-03-10T13:45", &more)]];
    let setting = setting(pages, |_, _| ()).await;
    let request = of(&format!("microsoft:{mailbox}"), None);
    let read = setting.calendar.read(&request).await.unwrap();
    assert_eq!(setting.graph.asked()[0].mailbox, mailbox);
    let guests: Vec<_> =
        read.occurrences[0].attendees.iter().map(|guest| (&*guest.email, guest.response)).collect();
    assert_eq!(guests, [("maya@own.example", Declined), ("kim@acme.example", Accepted)]);
}

const SERIES: &str = "040000008200E00074C5B7101A82E008000000002CFCE63DC56CDA010000000000000000\
                      10000000B5A2FFF2E86E5348B133D05386CDDD04";

/// What tells one meeting from another.
fn names(occurrences: &[Occurrence]) -> Vec<(String, String)> {
    let name = |one: &Occurrence| (one.uid.clone(), one.original_start.to_string());
    occurrences.iter().map(name).collect()
}

#[tokio::test]
async fn an_instance_of_a_series_has_one_name_in_graph_and_in_a_feed() {
    // Exchange writes the day of the instance into its id: 10 and 11 March 2026.
    let id = |day: &str| SERIES.replacen("E00800000000", &format!("E00807EA03{day}"), 1);
    let first = json!({"type": "occurrence", "originalStart": "2026-03-10T13:00:00Z"});
    let moved = json!({"type": "exception", "originalStart": "2026-03-11T13:00:00Z"});
    let pages = vec![vec![
        entry(&id("0A"), "2026-03-10T13:00", "2026-03-10T13:45", &first),
        entry(&id("0B"), "2026-03-11T16:00", "2026-03-11T16:45", &moved),
        entry(SERIES, "2026-03-03T13:00", "2026-03-03T13:45", &json!({"type": "seriesMaster"})),
    ]];
    let setting = setting(pages, |_, _| ()).await;
    let graph = setting.read().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let feed = folder.path().join("feed.ics");
    let text = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n\
         BEGIN:VEVENT\r\nUID:{SERIES}\r\nDTSTART:20260303T130000Z\r\nDTEND:20260303T134500Z\r\n\
         RRULE:FREQ=DAILY\r\nEND:VEVENT\r\n\
         BEGIN:VEVENT\r\nUID:{}\r\nRECURRENCE-ID:20260311T130000Z\r\nDTSTART:20260311T160000Z\r\n\
         DTEND:20260311T164500Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        id("0B").to_lowercase(),
    );
    std::fs::write(&feed, text).unwrap();
    let ics = IcsCalendar::new(&CalendarSettings::default()).unwrap();
    let feed = ics.read(&of(&format!("ics:{}", feed.display()), None)).await.unwrap();
    assert_eq!(names(&graph.occurrences), names(&feed.occurrences));
    assert_eq!(
        names(&graph.occurrences),
        [
            (SERIES.to_owned(), "2026-03-10T13:00:00Z".to_owned()),
            (SERIES.to_owned(), "2026-03-11T13:00:00Z".to_owned()),
        ]
    );
}

#[tokio::test]
async fn what_is_known_is_kept_without_what_is_private() {
    let private = json!({"subject": "Dr Who", "sensitivity": "private"});
    let pages = vec![vec![
        entry("a", "2026-03-10T13:00", "2026-03-10T13:45", &json!({})),
        entry("b", "2026-03-10T15:00", "2026-03-10T15:45", &private),
        json!({"id": "broken", "iCalUId": "c", "start": 7}),
    ]];
    let setting = setting(pages, |_, _| ()).await;
    let read = setting.read().await.unwrap();
    assert_eq!(read.warnings, ["1 entries could not be understood and are left out"]);
    let state = read.state.unwrap();
    let kept = String::from_utf8(state.body.clone()).unwrap();
    assert!(kept.contains("Acme demo") && !kept.contains("Dr Who"), "{kept}");
    let request = of("microsoft", Some(state));
    assert!(setting.calendar.read(&request).await.unwrap().state.is_none(), "nothing is new");
    let known = setting.calendar.read_known(&request).await.unwrap();
    assert_eq!(titles(&known), ["Acme demo", ""]);
    assert_eq!(setting.graph.asked().len(), 2, "what is known asks nobody");
    setting.graph.set_pages(vec![vec![]]);
    let read = setting.calendar.read(&request).await.unwrap();
    assert!(read.occurrences.is_empty() && read.state.is_some());
    assert!(setting.calendar.read_known(&of("microsoft", None)).await.is_none());
}

#[tokio::test]
async fn microsoft_is_one_provider_among_others() {
    let setting = usual().await;
    let caldav = CalDavSettings { user: None, passwords: Passwords::default() };
    let bare = Calendars::new(&CalendarSettings::default(), caldav).unwrap();
    let told = bare.read(&of("microsoft", None)).await.unwrap_err().reason;
    assert!(told.starts_with("microsoft calendars are not set up; see [microsoft]"), "{told}");
    let all = bare.with_microsoft(setting.calendar);
    let read = all.read(&of("microsoft", None)).await.unwrap();
    assert_eq!(titles(&read), ["Acme demo"]);
    let known = all.read_known(&of("microsoft", read.state)).await.unwrap();
    assert_eq!(titles(&known), ["Acme demo"]);
}
