//! A person's calendars followed on real servers.

use debrief::calendar::CalendarSettings;
use debrief::calendar::caldav::{CalDavSettings, Passwords};

use super::real::{Kind, Server, all};
use super::{PASSWORD, Reader, event};

#[tokio::test]
async fn meetings_come_change_move_and_go() {
    for server in all().await {
        server.make_calendar("work", "VEVENT").await;
        server.make_calendar("customers", "VEVENT").await;
        server.make_calendar("tasks", "VTODO").await;
        let mut reader = Reader::new(server.url(server.home()));
        assert_eq!(reader.meetings().await, [""; 0], "{:?}", server.kind);
        server.put("work/a.ics", event("a", "Acme", "2026-03-10T14:00", "")).await;
        server.put("customers/b.ics", event("b", "Birk", "2026-03-11T09:00", "")).await;
        server.put("work/old.ics", event("old", "Long ago", "2020-03-11T09:00", "")).await;
        // Endless, and older than anything a query would reach.
        let weekly = event("w", "Weekly", "2015-03-12T10:00", "RRULE:FREQ=WEEKLY\r\n");
        server.put("work/w.ics", weekly.clone()).await;
        assert_eq!(reader.meetings().await, ["10 14:00 Acme", "11 09:00 Birk", "12 10:00 Weekly"]);
        assert!(reader.try_read().await.unwrap().state.is_none(), "nothing changed");

        server.put("work/a.ics", event("a", "Acme demo", "2026-03-10T15:00", "")).await;
        server.delete("customers/b.ics").await;
        let moved = event(
            "w",
            "Weekly moved",
            "2026-03-13T10:00",
            "RECURRENCE-ID;TZID=Europe/Berlin:20260312T100000\r\n",
        );
        let of = |text: &str| {
            let from = text.find("BEGIN:VEVENT").unwrap();
            text[from..].replace("END:VCALENDAR\r\n", "")
        };
        let both = weekly.replace("END:VCALENDAR\r\n", &format!("{}END:VCALENDAR\r\n", of(&moved)));
        server.put("work/w.ics", both).await;
        assert_eq!(reader.meetings().await, ["10 15:00 Acme demo", "13 10:00 Weekly moved"]);
        // The identity of an instance that moved is the time that it had.
        let instance = reader.occurrences().await.pop().unwrap();
        assert_eq!(instance.uid, "w");
        assert_eq!(instance.original_start.to_string(), "2026-03-12T09:00:00Z");

        server.delete("work/a.ics").await;
        server.put("work/w.ics", weekly).await;
        assert_eq!(reader.meetings().await, ["12 10:00 Weekly"]);
        // A day later everything is listed again, and is as it was.
        reader.pass(25);
        assert_eq!(reader.meetings().await, ["12 10:00 Weekly"]);
        assert!(reader.try_read().await.unwrap().state.is_none());
    }
}

#[tokio::test]
async fn a_person_is_found_from_every_address_that_means_them() {
    for server in all().await {
        server.make_calendar("work", "VEVENT").await;
        server.make_calendar("customers", "VEVENT").await;
        server.put("work/a.ics", event("a", "Acme", "2026-03-10T14:00", "")).await;
        server.put("customers/b.ics", event("b", "Birk", "2026-03-11T09:00", "")).await;
        let both = ["10 14:00 Acme", "11 09:00 Birk"];
        for path in ["/", "/.well-known/caldav", server.principal(), server.home()] {
            let meetings = Reader::new(server.url(path)).meetings().await;
            assert_eq!(meetings, both, "{:?} {path}", server.kind);
        }
        let one = format!("{}work/", server.home());
        for one in [one.as_str(), one.trim_end_matches('/')] {
            assert_eq!(Reader::new(server.url(one)).meetings().await, both[..1], "{one}");
        }
        // A calendar that is made later is followed too, and one that is deleted is not missed.
        let mut reader = Reader::new(server.url("/"));
        assert_eq!(reader.meetings().await, both);
        server.make_calendar("more", "VEVENT").await;
        server.put("more/c.ics", event("c", "Corvo", "2026-03-12T09:00", "")).await;
        assert_eq!(reader.meetings().await, ["10 14:00 Acme", "11 09:00 Birk", "12 09:00 Corvo"]);
        server.delete("customers/").await;
        assert_eq!(reader.meetings().await, ["10 14:00 Acme", "12 09:00 Corvo"]);
    }
}

#[tokio::test]
async fn f38_a_server_that_lost_its_tokens_is_read_anew() {
    let Some(server) = Server::start(Kind::Radicale).await else { return };
    server.make_calendar("work", "VEVENT").await;
    server.put("work/a.ics", event("a", "Acme", "2026-03-10T14:00", "")).await;
    server.put("work/b.ics", event("b", "Birk", "2026-03-11T09:00", "")).await;
    let mut reader = Reader::new(server.url("/"));
    assert_eq!(reader.meetings().await.len(), 2);
    server.lose_tokens();
    server.delete("work/b.ics").await;
    server.put("work/c.ics", event("c", "Corvo", "2026-03-12T09:00", "")).await;
    assert_eq!(reader.meetings().await, ["10 14:00 Acme", "12 09:00 Corvo"]);
}

#[tokio::test]
async fn each_person_opens_their_own_calendars_with_their_own_password() {
    let Some(server) = Server::start(Kind::Radicale).await else { return };
    server.make_calendar("work", "VEVENT").await;
    server.put("work/a.ics", event("a", "Acme", "2026-03-10T14:00", "")).await;
    let open = |address: &str, user: Option<&str>, common: &str, own: &[(&str, &str)]| {
        let own = own.iter().map(|(user, word)| ((*user).into(), (*word).into())).collect();
        let passwords = Passwords { common: Some(common.to_owned()), own };
        let settings = CalDavSettings { user: user.map(str::to_owned), passwords };
        Reader::known_as(address, &CalendarSettings::default(), settings)
    };
    let root = server.url("/");
    let mine = format!("http://maya%40own.example@{}", root.trim_start_matches("http://"));
    let own = [("maya@own.example", PASSWORD)];
    let acme = ["10 14:00 Acme"];
    // Her address is her user name; one in the address wins over the configured one.
    assert_eq!(open(&root, None, PASSWORD, &[]).meetings().await, acme);
    assert_eq!(open(&root, None, "wrong", &own).meetings().await, acme);
    assert_eq!(open(&mine, Some("tom"), PASSWORD, &[]).meetings().await, acme);
    let hers = server.url("/maya@own.example/work/");
    for (mut reader, reason) in [
        (
            open(&root, None, "wrong", &[]),
            "the server refuses the user name or password; many want a password made for apps \
             (HTTP 401) [401]",
        ),
        (
            open(&hers, Some("tom"), PASSWORD, &[]),
            "the server forbids reading this calendar (HTTP 403) [403]",
        ),
    ] {
        assert_eq!(reader.refusal().await.reason, reason);
    }
}
