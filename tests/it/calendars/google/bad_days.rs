//! Google, or what stands in its place, on its bad days.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::response::Response;
use debrief::calendar::CalendarSettings;
use debrief::calendar::google::account::Account;
use debrief::calendar::google::events::{GoogleCalendar, GoogleSettings};
use debrief::calendar::guard::Names;
use debrief::playground::clock::TurnableClock;
use debrief::ports::{Calendar, Trouble};
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::server::{Answer, Google, KEY, answer, refusal};
use super::{MAYA_AT, Reader, demo, noon, request};
use crate::world::install_tls;

const SLOW: &str = "the server did not answer in time (calendar.timeout)";

#[tokio::test]
async fn f34_a_calendar_or_person_that_google_does_not_know_is_gone() {
    let reader = Reader::new().await;
    reader.google.next(refusal(404, "global", "notFound", "Not Found"));
    let gone = reader.refusal().await;
    assert_eq!(gone.trouble, Trouble::Gone);
    assert_eq!(gone.reason, "Google knows no such calendar [404 notFound]");
    reader.google.next(refusal(410, "global", "deleted", "Resource has been deleted"));
    assert_eq!(reader.refusal().await.trouble, Trouble::Gone);
    let reader = Reader::new().await;
    reader.google.forget(MAYA_AT);
    let gone = reader.refusal().await;
    assert_eq!(gone.trouble, Trouble::Gone);
    assert!(gone.reason.starts_with("Google knows nobody by this address"), "{}", gone.reason);
    // A page that says 404 is not Google's word.
    let reader = Reader::new().await;
    reader.google.next(answer(404, &[], "<html>not here</html>"));
    assert_eq!(reader.refusal().await.trouble, Trouble::Passing);
}

#[tokio::test]
async fn f35_google_s_patience_and_its_troubles_pass_and_say_how_long() {
    let reader = Reader::new().await;
    let busy = |code| answer(code, &[("retry-after", "90")], "");
    for (code, start) in
        [(429, "Google asks for patience"), (503, "Google has a problem"), (500, "Google has")]
    {
        reader.google.next(busy(code));
        let told = reader.refusal().await;
        assert!(told.reason.starts_with(start), "{}", told.reason);
        assert_eq!((told.retry_after, told.trouble), (Some(90), Trouble::Busy));
    }
    reader.google.next(refusal(403, "usageLimits", "rateLimitExceeded", "Rate Limit Exceeded"));
    let told = reader.refusal().await;
    assert!(told.reason.starts_with("Google asks for patience"), "{}", told.reason);
    // Whoever was told to wait has not lost the token.
    assert_eq!(reader.google.granted().len(), 1);
    assert!(reader.read().await.is_ok());
    let reader = Reader::new().await;
    for code in [429, 503] {
        reader.google.next_token(busy(code));
        assert_eq!(reader.refusal().await.retry_after, Some(90));
    }
    assert!(reader.read().await.is_ok());
}

#[tokio::test]
async fn f39_a_credential_that_was_withdrawn_says_what_to_do() {
    let reader = Reader::new().await;
    reader.google.end_delegation();
    insta::assert_snapshot!(reader.refusal().await.reason, @"the service account may not act for people yet: in the Google Admin console, under Security, API controls, Domain-wide delegation, allow client ID 104857600000000000001 the scope https://www.googleapis.com/auth/calendar.events.readonly; it may take a day until it counts [401 unauthorized_client]");
    // A token that is refused although it is new is asked for once, not for ever.
    let reader = Reader::new().await;
    reader.google.always(Some(refusal(401, "global", "authError", "Invalid Credentials")));
    let told = reader.refusal().await;
    assert!(
        told.reason.starts_with("Google refuses the token it has just given"),
        "{}",
        told.reason
    );
    assert_eq!((reader.google.granted().len(), reader.google.asked().len()), (2, 2));
    // And the next reading begins anew.
    reader.google.always(None);
    assert!(reader.read().await.is_ok());
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_so() {
    let reader = Reader::new().await;
    reader.google.check_times(|| noon() + jiff::SignedDuration::from_mins(70));
    let told = reader.refusal().await.reason;
    assert!(told.starts_with("this machine's clock is wrong"), "{told}");
}

#[tokio::test]
async fn f36_what_is_not_a_whole_answer_of_google_s_changes_nothing() {
    let reader = Reader::new().await;
    let whole = json!({ "items": [demo("a", "2026-03-10T14:00", 15)] }).to_string();
    let page = "<!doctype html><title>Sign in</title>".to_owned();
    let long_page = format!("{page}{}", "x".repeat(4000));
    for (body, start) in [
        (page, "a web page instead of Google's answer"),
        (long_page, "a web page or something else instead of Google's answer"),
        (String::new(), "an empty answer instead of Google's"),
        ("\u{0}\u{1}".to_owned(), "something else instead of Google's answer"),
        (whole[..whole.len() - 20].to_owned(), "Google's answer breaks off in the middle"),
    ] {
        reader.google.next(answer(200, &[], body));
        let told = reader.refusal().await;
        assert!(told.reason.starts_with(start), "{}", told.reason);
        assert_eq!(told.trouble, Trouble::Passing);
    }
    // The connection breaks before all was said.
    let half = Bytes::from(whole[..40].to_owned());
    reader.google.next(Box::new(move || {
        let broken = stream::iter([Ok(half.clone()), Err(std::io::Error::other("cut"))]);
        Response::new(Body::from_stream(broken))
    }));
    assert_eq!(reader.refusal().await.reason, "the connection broke while reading");
    let reader = Reader::new().await;
    for body in ["<html>", "{}", ""] {
        reader.google.next_token(answer(200, &[], body));
        let told = reader.refusal().await.reason;
        assert!(told.starts_with("Google's token endpoint answers without a token"), "{told}");
    }
    reader.google.next_token(answer(400, &[], "<html>blocked</html>"));
    let told = reader.refusal().await.reason;
    assert!(told.starts_with("a web page instead of Google's answer"), "{told}");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn f37_however_much_google_says_no_more_than_the_limit_is_taken() {
    let reader = Reader::with(|settings, _| settings.max_bytes = 64 << 10).await;
    let too_large = "larger than calendar.max_bytes";
    reader.google.next(answer(200, &[], format!("{{\"x\":\"{}\"}}", "x".repeat(100_000))));
    assert_eq!(reader.refusal().await.reason, too_large);
    let bomb = gzip(&[b"{\"x\":\"".as_slice(), &vec![b'x'; 8 << 20]].concat());
    assert!(bomb.len() < 64 << 10);
    reader.google.next(answer(200, &[("content-encoding", "gzip")], bomb));
    assert_eq!(reader.refusal().await.reason, too_large);
    // All pages together.
    let page = json!({ "nextPageToken": "p1", "x": "x".repeat(20_000) }).to_string();
    reader.google.always(Some(answer(200, &[], page)));
    let asked = reader.google.asked().len();
    assert_eq!(reader.refusal().await.reason, too_large);
    assert_eq!(reader.google.asked().len(), asked + 4);
    // So it goes with tokens.
    let reader = Reader::new().await;
    reader.google.next_token(answer(200, &[], "x".repeat(100_000)));
    let told = reader.refusal().await.reason;
    assert!(told.starts_with("Google's token endpoint answers at too great length"), "{told}");
    // What is packed and sound is read.
    let packed =
        gzip(json!({ "items": [demo("a", "2026-03-10T14:00", 15)] }).to_string().as_bytes());
    reader.google.next(answer(200, &[("content-encoding", "gzip")], packed));
    assert_eq!(reader.read().await.unwrap().occurrences.len(), 1);
}

#[tokio::test]
async fn f37_pages_without_end_are_left() {
    let reader = Reader::new().await;
    let page = json!({ "items": [], "nextPageToken": "again" }).to_string();
    reader.google.always(Some(answer(200, &[], page)));
    assert_eq!(reader.refusal().await.reason, "Google's answer does not end; it is tried again");
    assert_eq!(reader.google.asked().len(), 40);
}

/// Begins, and never ends.
fn hanging() -> Answer {
    Box::new(|| {
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        Response::new(Body::from_stream(begun.chain(stream::pending())))
    })
}

#[tokio::test]
async fn s05_a_google_that_trickles_is_left_wherever_it_is() {
    let hasty = |time| Reader::with(move |settings, _| settings.timeout = time);
    let reader = hasty(Duration::from_millis(300)).await;
    reader.google.next_token(hanging());
    assert_eq!(reader.refusal().await.reason, SLOW);
    // In the middle of the pages too, and nothing is stuck afterwards. Time enough for a busy machine.
    let reader = hasty(Duration::from_secs(3)).await;
    reader.google.next(answer(200, &[], r#"{"nextPageToken":"p1"}"#));
    reader.google.next(hanging());
    assert_eq!(reader.refusal().await.reason, SLOW);
    reader.google.next(answer(500, &[], ""));
    assert!(reader.refusal().await.reason.starts_with("Google has a problem"));
}

#[tokio::test]
async fn s05_no_redirect_takes_a_token_elsewhere() {
    let elsewhere = Google::start().await;
    let reader = Reader::new().await;
    let moved = |to: &str| answer(302, &[("location", to)], "");
    let there = format!("{}/calendars/primary/events", elsewhere.api_url());
    reader.google.next(moved(&there));
    let told = reader.refusal().await.reason;
    assert!(told.starts_with("the server redirects to another one"), "{told}");
    reader.google.next(moved("https://evil.example/"));
    assert!(reader.refusal().await.reason.starts_with("the server redirects to another one"));
    // What is signed for Google is not repeated elsewhere either.
    let reader = Reader::new().await;
    for code in [302, 307, 308] {
        reader.google.next_token(answer(code, &[("location", &elsewhere.token_url())], ""));
        assert!(reader.refusal().await.reason.contains(&format!("[{code}")));
    }
    assert!(elsewhere.asked().is_empty() && elsewhere.granted().is_empty());
    // Nor does anybody run in circles.
    let circle = format!("{}/calendars/primary/events?again", reader.google.api_url());
    reader.google.always(Some(moved(&circle)));
    assert_eq!(reader.refusal().await.reason, "the server redirects in a circle");
}

struct Inside;

#[async_trait]
impl Names for Inside {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec!["10.0.0.5".parse().unwrap()])
    }
}

#[tokio::test]
async fn s05_a_google_within_the_private_network_is_refused() {
    install_tls();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    for host in ["https://google.own.example", "https://10.0.0.5", "https://169.254.169.254"] {
        let there = GoogleSettings {
            api_url: format!("{host}/calendar/v3"),
            token_url: format!("{host}/token"),
        };
        let account = Account::read(file.path(), &there.token_url).unwrap();
        let clock = Arc::new(TurnableClock::standing(noon()));
        let settings = CalendarSettings::default();
        let calendar =
            GoogleCalendar::with_names(&settings, &there, account, clock, Arc::new(Inside))
                .unwrap();
        let told = calendar.read(&request(None)).await.unwrap_err().reason;
        assert!(told.starts_with("the address leads into a private network"), "{host}: {told}");
    }
}
