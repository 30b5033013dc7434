//! Graph that refuses, lies, breaks off or never ends.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::response::Response;
use debrief::calendar::CalendarSettings;
use debrief::calendar::guard::Names;
use debrief::calendar::microsoft::MicrosoftSettings;
use debrief::calendar::microsoft::view::MicrosoftCalendar;
use debrief::ports::{Calendar, Clock, Trouble};
use jiff::Timestamp;
use serde_json::json;

use super::graph::{Graph, entry, odata, patience, raw};
use super::setting::{Hand, app, of, one, setting, usual};
use crate::world::install_tls;

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let setting = usual().await;
    let policy = "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly \
                  AccessPolicy settings.";
    let crowd = "Application is over its MailboxConcurrency limit.";
    for (answer, start, after, trouble) in [
        (odata(403, "ErrorAccessDenied", policy), "the mailbox is not among", None, false),
        (odata(404, "MailboxNotEnabledForRESTAPI", ""), "Microsoft 365 has no mailbox", None, true),
        (raw(404, &[], "<html>"), "a web page instead of Microsoft's answer", None, false),
        (odata(410, "SyncStateNotFound", ""), "Microsoft Graph refuses the request", None, false),
        (patience(429, "TooManyRequests", ""), "Microsoft asks for patience", Some(17), false),
        (patience(429, "ApplicationThrottled", crowd), "too many requests", Some(17), false),
        (patience(503, "serviceNotAvailable", ""), "Microsoft has a problem", Some(17), false),
        (odata(504, "UnknownError", ""), "Microsoft has a problem of its own", None, false),
    ] {
        let answer = Mutex::new(Some(answer));
        setting.graph.answer(move || answer.lock().unwrap().take().unwrap());
        let told = setting.read().await.unwrap_err();
        assert!(told.reason.starts_with(start), "{told}");
        assert_eq!(told.retry_after, after, "{told}");
        assert_eq!(told.trouble == Trouble::Gone, trouble, "{told}");
    }
    let told = setting.calendar.read(&of("microsoft:nobody@own.example", None)).await.unwrap_err();
    assert_eq!(
        told.reason,
        "Microsoft 365 has no mailbox under this address; correct the roster, or give the person a \
         licence for Exchange Online [404 ErrorInvalidUser]"
    );
    assert_eq!(told.trouble, Trouble::Gone);
    assert_eq!(setting.graph.sign_ins().len(), 1);
}

#[tokio::test]
async fn the_token_is_for_one_server_only() {
    let setting = usual().await;
    let other = Graph::with(one()).await;
    let elsewhere = format!("{}/v1.0/users/maya@own.example/calendarView", other.url);
    let next = json!({"value": [], "@odata.nextLink": elsewhere}).to_string();
    setting.graph.answer(move || raw(200, &[], next.clone()));
    let told = setting.reason().await;
    assert!(told.starts_with("Microsoft Graph's answer goes on at another server"), "{told}");
    setting.graph.answer(move || raw(302, &[("location", &elsewhere)], ""));
    let told = setting.reason().await;
    assert!(told.starts_with("the server redirects to another one, which is not given"), "{told}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let setting = usual().await;
    // Each page says that it goes on where it is.
    for _ in 0..60 {
        let next = format!("{}/v1.0/users/maya@own.example/calendarView", setting.graph.url);
        let page = json!({"value": [], "@odata.nextLink": next}).to_string();
        setting.graph.answer(move || raw(200, &[], page.clone()));
    }
    assert!(setting.reason().await.starts_with("Microsoft Graph's answer does not end"));
    assert_eq!(setting.graph.asked().len(), 50);
    let setting = usual().await;
    for _ in 0..9 {
        setting
            .graph
            .answer(|| raw(307, &[("location", "/v1.0/users/maya@own.example/calendarView")], ""));
    }
    assert_eq!(setting.reason().await, "the server redirects in a circle");
}

/// A body that breaks off with the connection.
fn cut(start: &'static str) -> Response {
    let parts = [Ok(Bytes::from_static(start.as_bytes())), Err(std::io::Error::other("gone"))];
    raw(200, &[], Body::from_stream(futures_util::stream::iter(parts)))
}

#[tokio::test]
async fn what_is_no_whole_answer_is_refused() {
    let setting = usual().await;
    let strange = "a web page or something else instead of Microsoft Graph's answer";
    let long = format!("<html>{}", "x".repeat(100_000));
    for (body, start) in [
        ("<html>Sign in</html>".to_owned(), strange),
        (long, strange),
        (String::new(), strange),
        ("[1]".into(), strange),
        ("{}".into(), strange),
        (r#"{"value":7}"#.into(), strange),
        (r#"{"error":{"code":"x"}}"#.into(), strange),
        (r#"{"value":[{"id":"#.into(), "Microsoft Graph's answer breaks off in the middle"),
    ] {
        let shown = body.chars().take(40).collect::<String>();
        setting.graph.answer(move || raw(200, &[], body.clone()));
        let told = setting.reason().await;
        assert!(told.starts_with(start), "{shown}: {told}");
    }
    setting.graph.answer(|| cut(r#"{"value":["#));
    assert_eq!(setting.reason().await, "the connection broke while reading");
}

#[tokio::test]
async fn all_pages_together_have_one_limit() {
    let large = json!({"subject": "x".repeat(40 << 10)});
    let page = |uid: &str| vec![entry(uid, "2026-03-10T13:00", "2026-03-10T13:45", &large)];
    let setting = setting(vec![page("a"), page("b")], |settings, _| {
        settings.max_bytes = 64 << 10;
    })
    .await;
    assert_eq!(setting.reason().await, "larger than calendar.max_bytes");
    assert_eq!(setting.graph.asked().len(), 2);
    setting.graph.set_pages(vec![page("a")]);
    assert_eq!(setting.read().await.unwrap().occurrences.len(), 1);
    // Compressed, a hundred megabytes are little.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"value\":[").unwrap();
    for _ in 0..100 {
        packed.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let packed = packed.finish().unwrap();
    setting.graph.answer(move || raw(200, &[("content-encoding", "gzip")], packed.clone()));
    assert_eq!(setting.reason().await, "larger than calendar.max_bytes");
}

#[tokio::test]
async fn a_server_that_trickles_is_left_in_time() {
    let setting = setting(one(), |settings, _| settings.timeout = Duration::from_secs(2)).await;
    setting.read().await.unwrap();
    setting.graph.answer(|| {
        let drops = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        raw(200, &[], Body::from_stream(drops))
    });
    let began = Instant::now();
    let slow = "the server did not answer in time (calendar.timeout)";
    assert_eq!(setting.reason().await, slow);
    assert!(began.elapsed() < Duration::from_secs(30));
    // So is a sign-in, and what went wrong is remembered for a moment only.
    setting.clock.turn(4000);
    setting.graph.refuse(|| {
        raw(
            200,
            &[],
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()),
        )
    });
    assert_eq!(setting.reason().await, slow);
    setting.clock.turn(6);
    setting.read().await.unwrap();
}

/// A name service that leads everything into a private network.
struct Inside;

#[async_trait]
impl Names for Inside {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec!["10.0.0.5".parse().unwrap()])
    }
}

#[tokio::test]
async fn s05_graph_in_a_private_network_is_refused_unless_it_is_allowed() {
    install_tls();
    let graph = Graph::with(one()).await;
    let clock = || Arc::new(Hand(Mutex::new(Timestamp::UNIX_EPOCH))) as Arc<dyn Clock>;
    let settings = CalendarSettings { timeout: Duration::from_mins(1), ..Default::default() };
    for (graph_url, login_url) in
        [("https://graph.example", &*graph.url), (&*graph.url, "https://login.example")]
    {
        let app = MicrosoftSettings {
            graph_url: graph_url.into(),
            login_url: login_url.into(),
            ..app("")
        };
        let calendar =
            MicrosoftCalendar::with_names(&settings, app, clock(), Arc::new(Inside)).unwrap();
        let told = calendar.read(&of("microsoft", None)).await.unwrap_err().reason;
        assert!(told.starts_with("the address leads into a private network"), "{told}");
    }
    assert!(graph.asked().is_empty());
    // The list of servers is for addresses in the roster.
    let settings = CalendarSettings { allowed_hosts: vec!["ics.example".into()], ..settings };
    let calendar =
        MicrosoftCalendar::with_names(&settings, app(&graph.url), clock(), Arc::new(Inside));
    assert_eq!(calendar.unwrap().read(&of("microsoft", None)).await.unwrap().occurrences.len(), 1);
}
