//! What servers do that the RFCs do not expect, or allow and few do.

use super::dialect::{Dialect, HOME, Quirks, WORK, one};
use super::event;

/// Acme on the 10th, Birk on the 11th, and a series that never ends.
async fn start(quirks: Quirks) -> Dialect {
    let server = Dialect::start(quirks).await;
    server.meeting("Acme", "2026-03-10T14:00");
    server.meeting("Birk", "2026-03-11T09:00");
    let weekly = event("Weekly", "Weekly", "2015-03-12T10:00", "RRULE:FREQ=WEEKLY\r\n");
    server.put("Weekly.ics", weekly);
    server
}

const ALL: [&str; 3] = ["10 14:00 Acme", "11 09:00 Birk", "12 10:00 Weekly"];

#[tokio::test]
async fn an_unchanged_calendar_costs_one_question_and_a_change_few() {
    let server = start(Quirks::default()).await;
    let mut reader = server.reader("/");
    assert_eq!(reader.meetings().await, ALL);
    server.asked();
    assert!(reader.try_read().await.unwrap().state.is_none());
    assert_eq!(server.asked(), [format!("PROPFIND {HOME}")]);
    server.meeting("Acme", "2026-03-10T15:00");
    assert_eq!(reader.meetings().await[0], "10 15:00 Acme");
    let rest = [format!("sync-collection {WORK}"), format!("calendar-multiget {WORK}")];
    assert_eq!(server.asked()[1..], rest);
    // Where texts come along, nobody asks for them.
    server.change(|quirks| quirks.inline = true);
    server.meeting("Acme", "2026-03-10T16:00");
    assert_eq!(reader.meetings().await[0], "10 16:00 Acme");
    assert_eq!(server.asked()[1..], rest[..1]);
    // A day later everything is listed, but what is known is not fetched again.
    reader.pass(24);
    assert_eq!(reader.meetings().await.len(), 3);
    assert_eq!(server.asked()[1..], rest[..1]);
}

#[tokio::test]
async fn f38_a_token_that_is_lost_in_any_way_means_reading_anew() {
    let precondition = "<error xmlns='DAV:'><valid-sync-token/></error>";
    for lost in [
        Some((403, precondition)),
        Some((409, precondition)),
        Some((412, "")),
        Some((410, "")),
        Some((400, "Bad token")),
        Some((404, "")),
        Some((507, precondition)),
        Some((500, "Oops")),
        Some((501, "")),
        Some((200, "<html>Log in</html>")),
        // DAViCal and Synology: any token will do, and nothing has changed.
        None,
    ] {
        let server = start(Quirks { lost, ..Quirks::default() }).await;
        let mut reader = server.reader(WORK);
        assert_eq!(reader.meetings().await, ALL);
        server.lose_tokens();
        server.delete("Birk.ics");
        server.meeting("Corvo", "2026-03-11T10:00");
        if lost.is_none() {
            // Whoever says that nothing changed is believed for a day at most.
            reader.meetings().await;
            reader.pass(24);
        }
        let anew = ["10 14:00 Acme", "11 10:00 Corvo", "12 10:00 Weekly"];
        assert_eq!(reader.meetings().await, anew, "{lost:?}");
        server.meeting("Acme", "2026-03-10T15:00");
        assert_eq!(reader.meetings().await[0], "10 15:00 Acme", "{lost:?}");
    }
}

#[tokio::test]
async fn f38_a_token_that_makes_no_sense_is_not_used() {
    // None at all, an empty one, and always the same one.
    for next_token in ["", " ", "urn:token:0:0"] {
        let server = start(Quirks { next_token: Some(next_token), ..Quirks::default() }).await;
        let mut reader = server.reader("/");
        assert_eq!(reader.meetings().await, ALL, "{next_token:?}");
        server.delete("Birk.ics");
        assert_eq!(reader.meetings().await, [ALL[0], ALL[2]], "{next_token:?}");
        server.meeting("Birk", "2026-03-11T09:00");
        assert_eq!(reader.meetings().await, ALL, "{next_token:?}");
    }
}

#[tokio::test]
async fn f36_a_part_of_an_answer_is_not_taken_for_the_whole() {
    // As Nextcloud does it: addresses in full, and a few changes at a time.
    let quirks = Quirks {
        page: 1,
        hrefs: "http://internal.example:8080",
        lists_itself: true,
        ..Quirks::default()
    };
    let server = start(quirks).await;
    let mut reader = server.reader("/");
    assert_eq!(reader.meetings().await, ALL);
    for _ in 0..3 {
        server.meeting("Acme", "2026-03-10T15:00");
    }
    server.delete("Birk.ics");
    assert_eq!(reader.meetings().await, ["10 15:00 Acme", ALL[2]]);
    // It goes on in a circle: everything is asked for in another way.
    server.change(|quirks| quirks.next_token = Some("urn:token:0:1"));
    server.meeting("Corvo", "2026-03-11T10:00");
    assert_eq!(reader.meetings().await, ["10 15:00 Acme", "11 10:00 Corvo", ALL[2]]);
    // An entry that is not handed out stays as it was known, and is asked for again.
    server.change(|quirks| (quirks.next_token, quirks.forgets) = (None, "Corvo.ics"));
    server.meeting("Corvo", "2026-03-11T11:00");
    assert_eq!(reader.meetings().await[1], "11 10:00 Corvo");
    server.change(|quirks| quirks.forgets = "");
    assert_eq!(reader.meetings().await[1], "11 11:00 Corvo");
}

#[tokio::test]
async fn a_server_without_changes_is_asked_for_what_is_near_and_absence_is_looked_at() {
    let quirks =
        Quirks { syncs: false, misses_series: true, lists_itself: true, ..Quirks::default() };
    let server = start(quirks).await;
    let mut reader = server.reader("/");
    assert_eq!(reader.meetings().await, ALL, "an endless series that queries miss is there");
    server.asked();
    assert_eq!(reader.meetings().await, ALL);
    assert_eq!(server.asked(), [format!("PROPFIND {HOME}")]);
    server.delete("Birk.ics");
    server.meeting("Acme", "2026-03-10T15:00");
    assert_eq!(reader.meetings().await, ["10 15:00 Acme", ALL[2]]);
    // A series made later is found at the next list of everything.
    let series = event("Late", "Late", "2015-03-13T10:00", "RRULE:FREQ=WEEKLY\r\n");
    server.put("Late.ics", series);
    assert_eq!(reader.meetings().await, ["10 15:00 Acme", ALL[2]]);
    reader.pass(24);
    assert_eq!(reader.meetings().await, ["10 15:00 Acme", ALL[2], "13 10:00 Late"]);
    // The same where there is nothing to tell a change by.
    server.change(|quirks| quirks.ctag = false);
    server.meeting("Acme", "2026-03-10T16:00");
    server.delete("Weekly.ics");
    assert_eq!(reader.meetings().await, ["10 16:00 Acme", "13 10:00 Late"]);
    // What is asked for by name and not answered is not deleted.
    server.change(|quirks| quirks.forgets = "Late.ics");
    server.meeting("Acme", "2026-03-10T17:00");
    assert_eq!(reader.meetings().await, ["10 17:00 Acme", "13 10:00 Late"]);
}

#[tokio::test]
async fn only_a_persons_own_calendars_of_events_are_read() {
    let calendar = |name: &str, kind: &str, more: &str| {
        let kind = format!("<resourcetype><collection/>{kind}</resourcetype>{more}");
        one(&format!("{HOME}{name}/"), &kind)
    };
    let comp = |name: &str| {
        format!(
            "<C:supported-calendar-component-set><C:comp name='{name}'/></C:supported-calendar-component-set>"
        )
    };
    let plain = "<C:calendar/>";
    let more_in_home = [
        calendar("tasks", plain, &comp("VTODO")),
        calendar("inbox", "<C:schedule-inbox/>", ""),
        calendar("contacts", "<X:addressbook xmlns:X='urn:ietf:params:xml:ns:carddav'/>", ""),
        calendar("holidays", "<C:calendar/><S:subscribed/>", ""),
        calendar("feed", plain, "<S:source><href>https://x.example/a.ics</href></S:source>"),
        calendar("tom", plain, "<owner><href>/dav/p/tom/</href></owner>"),
        calendar(
            "busy",
            plain,
            "<current-user-privilege-set><privilege><C:read-free-busy/></privilege>\
             </current-user-privilege-set>",
        ),
    ];
    let server = start(Quirks { more_in_home: more_in_home.concat(), ..Quirks::default() }).await;
    let mut reader = server.reader("/");
    assert_eq!(reader.meetings().await, ALL);
    let asked = server.asked();
    assert!(asked.iter().all(|what| !what.contains("tom") && !what.contains("tasks")), "{asked:?}");
    // What is in a calendar that does not make busy is shown as free.
    let free = "<C:schedule-calendar-transp><C:transparent/></C:schedule-calendar-transp>";
    server.change(|quirks| quirks.more_of_work = free);
    assert_eq!(reader.meetings().await[0], "10 14:00 Acme free");
}

#[tokio::test]
async fn where_calendars_are_is_remembered_and_found_anew_when_they_move() {
    let root = Some((405, "<html>Nextcloud</html>"));
    let server = start(Quirks { root, ..Quirks::default() }).await;
    let mut reader = server.reader("/");
    assert_eq!(reader.meetings().await, ALL);
    let found = server.asked();
    assert!(found.contains(&"PROPFIND /.well-known/caldav".to_owned()), "{found:?}");
    // Somebody who moves is looked for where they were first found.
    let mut moved = server.reader(HOME);
    assert_eq!(moved.meetings().await, ALL);
    let state = moved.known.as_mut().unwrap();
    let text = String::from_utf8(state.body.clone()).unwrap();
    state.body = text.replace(HOME, "/dav/calendars/gone/").into_bytes();
    assert_eq!(moved.meetings().await, ALL);
}
