//! Servers that refuse, lie, trickle or lead elsewhere: a clear line, and the last good state stays.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use debrief::calendar::CalendarSettings;
use debrief::ports::{Calendar, Trouble};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;

use super::dialect::{Dialect, HOME, Quirks, WORK, one, several};
use super::{PASSWORD, Reader, event};

const ACME: [&str; 1] = ["10 14:00 Acme"];

async fn start(quirks: Quirks) -> Dialect {
    let server = Dialect::start(quirks).await;
    server.meeting("Acme", "2026-03-10T14:00");
    server
}

fn refusing(status: u16) -> Response {
    let after = [("retry-after", "120")];
    (StatusCode::from_u16(status).unwrap(), after, "<html>maya is not known</html>").into_response()
}

fn answering(body: impl Into<Body>) -> Response {
    (StatusCode::MULTI_STATUS, [("content-type", "application/xml")], body.into()).into_response()
}

/// That nothing but the reason is told, and that what is known stays in use.
async fn stands(reader: &mut Reader) -> (String, Option<u64>, Trouble) {
    let refusal = reader.refusal().await;
    for secret in ["127.0.0.1", PASSWORD, "maya", "Acme", "<"] {
        assert!(!refusal.reason.contains(secret), "{}", refusal.reason);
    }
    assert!(!refusal.reason.contains('\n'));
    if reader.known.is_some() {
        let known = reader.calendar.read_known(&reader.request()).await.unwrap();
        assert_eq!(known.occurrences.len(), 1);
    }
    (refusal.reason, refusal.retry_after, refusal.trouble)
}

#[tokio::test]
async fn f35_every_refusal_has_its_line_and_costs_nothing_that_is_known() {
    let server = start(Quirks::default()).await;
    let mut reader = server.reader("/");
    assert_eq!(reader.meetings().await, ACME);
    for (status, line, trouble) in [
        (401, "the server refuses the user name or password;", Trouble::Refused),
        (403, "the server forbids reading this calendar", Trouble::Refused),
        (404, "not found (HTTP 404 or 410)", Trouble::Gone),
        (405, "there is no CalDAV server at this address", Trouble::Passing),
        (410, "not found (HTTP 404 or 410)", Trouble::Gone),
        (429, "the server asks for patience", Trouble::Busy),
        (500, "the server has a problem of its own", Trouble::Busy),
        (503, "the server has a problem of its own", Trouble::Busy),
        (200, "a web page instead of a calendar", Trouble::Passing),
    ] {
        server.fail(move |_| Some(refusing(status)));
        for reader in [&mut reader, &mut server.reader("/")] {
            let (reason, after, how) = stands(reader).await;
            assert!(reason.starts_with(line), "{status}: {reason}");
            assert!(reason.ends_with(&format!("[{status}]")), "{reason}");
            assert_eq!(how, trouble, "{status}");
            assert!(![429, 503].contains(&status) || after == Some(120), "{status}");
        }
        server.recover();
        assert_eq!(reader.meetings().await, ACME, "{status}");
    }
}

#[tokio::test]
async fn f35_whoever_fails_in_the_middle_is_read_on_as_if_nothing_had_been() {
    for failing in ["sync-collection", "calendar-multiget", "PROPFIND /dav/calendars"] {
        let server = start(Quirks::default()).await;
        let mut reader = server.reader("/");
        assert_eq!(reader.meetings().await, ACME);
        server.meeting("Acme", "2026-03-10T15:00");
        for status in [401, 429, 503] {
            server.fail(move |asked| asked.starts_with(failing).then(|| refusing(status)));
            stands(&mut reader).await;
        }
        server.recover();
        assert_eq!(reader.meetings().await, ["10 15:00 Acme"], "{failing}");
    }
    // A wrong password is tried once a reading: servers count.
    let server = start(Quirks::default()).await;
    server.fail(|_| Some(refusing(401)));
    stands(&mut server.reader("/")).await;
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn f35_a_first_reading_that_breaks_off_goes_on_where_it_was() {
    let server = Dialect::start(Quirks::default()).await;
    for number in 0..150 {
        server.meeting(&format!("Acme{number:03}"), "2026-03-10T14:00");
    }
    // Every other question for texts fails.
    let asked = AtomicUsize::new(0);
    server.fail(move |question| {
        let is_odd = || asked.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        (question.starts_with("calendar-multiget") && is_odd()).then(|| refusing(503))
    });
    let mut reader = server.reader("/");
    for _ in 0..2 {
        assert!(reader.refusal().await.reason.starts_with("the server has a problem"));
        assert!(reader.known.is_none());
    }
    assert_eq!(reader.meetings().await.len(), 150);
    let texts = server.asked().into_iter().filter(|what| what.starts_with("calendar-multiget"));
    assert_eq!(texts.count(), 5, "nothing is asked for twice but what failed");
}

#[tokio::test]
async fn f36_what_is_no_whole_answer_changes_nothing() {
    let head = "<d:multistatus xmlns:d='DAV:'>";
    let bomb = format!("<!DOCTYPE d [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]>{head}</d:multistatus>");
    let deep = format!("{head}{}", "<d:prop>".repeat(50_000));
    for failing in ["PROPFIND", "sync-collection", "calendar-multiget"] {
        for (body, line) in [
            ("", "the server's answer is not understood"),
            ("{\"error\":1}", "the server's answer is not understood"),
            ("<!doctype html><html><body>Log in", "a web page instead of a calendar"),
            (head, "the server's answer breaks off in the middle"),
            (&bomb, "the server's answer declares a document type, which is refused"),
            (&deep, "the server's answer is nested deeper"),
        ] {
            let server = start(Quirks::default()).await;
            let mut reader = server.reader("/");
            assert_eq!(reader.meetings().await, ACME);
            server.meeting("Acme", "2026-03-10T15:00");
            let body = body.to_owned();
            server.fail(move |asked| asked.starts_with(failing).then(|| answering(body.clone())));
            let (reason, ..) = stands(&mut reader).await;
            assert!(reason.starts_with(line), "{failing}: {reason}");
            server.recover();
            assert_eq!(reader.meetings().await, ["10 15:00 Acme"], "{failing}");
        }
    }
}

#[tokio::test]
async fn f34_a_calendar_that_was_deleted_is_gone_and_one_among_many_is_not_missed() {
    let server = start(Quirks::default()).await;
    let mut named = server.reader(WORK);
    assert_eq!(named.meetings().await, ACME);
    server.fail(|asked| asked.ends_with("/work/").then(|| refusing(404)));
    assert_eq!(stands(&mut named).await.2, Trouble::Gone);
    // The home no longer has any: that may be a mistake, and nothing is taken back.
    let mut all = server.reader("/");
    server.recover();
    assert_eq!(all.meetings().await, ACME);
    let itself = "<resourcetype><collection/></resourcetype>";
    server.fail(move |asked| asked.ends_with("/maya/").then(|| several(&one(HOME, itself), "")));
    let (reason, _, trouble) = stands(&mut all).await;
    assert!(reason.starts_with("no calendar of events of this person is found"), "{reason}");
    assert_eq!(trouble, Trouble::Passing);
}

#[tokio::test]
async fn f37_what_is_larger_than_the_limit_is_cut_off_and_said() {
    let settings = CalendarSettings { max_bytes: 64 << 10, ..CalendarSettings::default() };
    let server = start(Quirks::default()).await;
    let mut reader = Reader::with(server.url("/"), &settings);
    assert_eq!(reader.meetings().await, ACME);
    let large = |server: &Dialect, body: Vec<u8>, gzip: bool| {
        let body = Bytes::from(body);
        server.fail(move |_| {
            let mut answer = answering(body.clone());
            if gzip {
                answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            }
            Some(answer)
        });
    };
    let said = "an answer is larger than calendar.max_bytes; publish fewer past events";
    let long = format!("<d:multistatus xmlns:d='DAV:'>{}", " ".repeat(1 << 20));
    large(&server, long.clone().into_bytes(), false);
    assert_eq!(stands(&mut reader).await.0, said);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(long.repeat(8).as_bytes()).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    large(&server, bomb, true);
    assert_eq!(stands(&mut reader).await.0, said);
    server.recover();
    // Every answer within the limit, and all of it together not.
    for number in 0..300 {
        let uid = format!("n{number}");
        server.put(&uid, event(&uid, "Acme", "2026-03-20T10:00", ""));
        if number % 40 == 0 {
            let _ = reader.try_read().await;
        }
    }
    let reason = reader.refusal().await.reason;
    assert!(reason.contains("calendar.max_bytes"), "{reason}");
}

#[tokio::test]
async fn f37_changes_without_end_and_a_server_that_trickles_are_left() {
    let server = start(Quirks::default()).await;
    let pages = AtomicUsize::new(0);
    server.fail(move |asked| {
        let page = pages.fetch_add(1, Ordering::SeqCst);
        asked.starts_with("sync").then(|| {
            let cut = "<status>HTTP/1.1 507 Insufficient Storage</status>";
            let cut = format!("<response><href>{WORK}</href>{cut}</response>");
            several(&cut, &format!("urn:page:{page}"))
        })
    });
    let mut reader = server.reader(WORK);
    assert_eq!(stands(&mut reader).await.0, "the server hands out changes without end");
    assert!(server.asked().len() < 250);

    let timeout = Duration::from_millis(300);
    let hasty = CalendarSettings { timeout, ..CalendarSettings::default() };
    let mut reader = Reader::with(server.url("/"), &hasty);
    server.fail(|_| {
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(" "), ()))
        });
        Some(answering(Body::from_stream(drops)))
    });
    let said = "the server did not answer in time (calendar.timeout)";
    assert_eq!(stands(&mut reader).await.0, said);
}

#[tokio::test]
async fn s05_the_password_goes_where_the_roster_says_and_nowhere_else() {
    let other = Dialect::start(Quirks::default()).await;
    let elsewhere = other.url("/dav/").replace("127.0.0.1", "localhost");
    // A redirect.
    let server = start(Quirks::default()).await;
    let to = other.url("/dav/");
    server.fail(move |_| {
        let to = [("location", to.clone())];
        Some((StatusCode::TEMPORARY_REDIRECT, to).into_response())
    });
    let (reason, ..) = stands(&mut server.reader("/")).await;
    assert!(
        reason.starts_with("the server redirects to another one, which is not given"),
        "{reason}"
    );
    // In a circle.
    server.fail(|_| {
        let to = [("location", "/round")];
        Some((StatusCode::TEMPORARY_REDIRECT, to).into_response())
    });
    assert_eq!(stands(&mut server.reader("/")).await.0, "the server redirects in a circle");
    // An address in an answer.
    for home in [elsewhere.as_str(), "https://evil.example/dav/", "https://169.254.169.254/"] {
        let server = start(Quirks { home: home.to_owned(), ..Quirks::default() }).await;
        let (reason, ..) = stands(&mut server.reader("/")).await;
        assert!(
            reason.starts_with("the server says that the calendars are on another"),
            "{reason}"
        );
    }
    assert_eq!(other.asked(), [""; 0]);
}

#[tokio::test]
async fn s05_addresses_are_judged_before_anybody_is_asked() {
    let mut listed = CalendarSettings::default();
    listed.allowed_hosts.push("dav.example".into());
    for (address, settings, reason) in [
        ("https://10.0.0.1/", CalendarSettings::default(), "the address leads into a private"),
        ("https://[::ffff:127.0.0.1]/", CalendarSettings::default(), "the address leads into a"),
        ("http://dav.example/", CalendarSettings::default(), "the address is not https"),
        ("https://other.example/", listed, "the server is not among calendar.allowed_hosts"),
    ] {
        let refusal = Reader::with(address, &settings).refusal().await;
        assert!(refusal.reason.starts_with(reason), "{address}: {}", refusal.reason);
    }
}
