//! Messages: sent once, shown somehow, found again.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::ports::outbound::{Chart, DigestCard, DigestSection, Note};
use crate::slack::loopback::Request;

fn note(text: &str) -> Card {
    Card::Note(Note { text: text.into(), controls: vec![] })
}

fn digest() -> Card {
    Card::Digest(DigestCard {
        title: "Your team".into(),
        summary: "2 debriefs".into(),
        text: "Your team: 2 debriefs".into(),
        sections: vec![DigestSection::Chart(Chart {
            title: "How meetings ended".into(),
            categories: vec!["9 Mar".into()],
            series: vec![("Yes".into(), vec![2])],
        })],
    })
}

fn at() -> MessageRef {
    MessageRef { channel: "D1".into(), ts: "1795446000.000100".into() }
}

/// The kinds of blocks of a message that was sent.
fn kinds(request: &Request) -> Vec<&str> {
    let blocks = request.body["blocks"].as_array().unwrap();
    blocks.iter().map(|block| block["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_post_carries_its_key_and_unfolds_nothing() {
    let slack = Loopback::start().await;
    let sent = slack.messenger().post("D1", &note("a <b> & c"), "k1").await;
    assert_eq!(sent, Ok(at()));
    let posted = &slack.requests("chat.postMessage")[0];
    assert_eq!(posted.token.as_deref(), Some("Bearer xoxb-bot"));
    let body = &posted.body;
    assert_eq!(body["channel"], "D1");
    assert_eq!(body["text"], "a &lt;b&gt; &amp; c");
    assert_eq!(
        body["metadata"],
        json!({"event_type": "debrief_message", "event_payload": {"k": "k1"}})
    );
    assert_eq!((&body["unfurl_links"], &body["unfurl_media"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn the_fate_of_a_post_is_told_as_it_is() {
    let html = Answer::Status(500, &[], "<html>Dana wrote: it went well</html>");
    let slow = Answer::Status(429, &[("retry-after", "7"), ("content-type", "text/plain")], "");
    let mute = Answer::Status(429, &[("content-type", "application/json")], r#"{"ok":false}"#);
    let proxy = Answer::Status(200, &[("content-type", "text/html")], "<html>log in</html>");
    let later = |after| SendError::Later { after };
    for (answer, fate) in [
        (Answer::CutOff, SendError::Unknown),
        (html, SendError::Unknown),
        (proxy, SendError::Unknown),
        (Answer::Json(no("internal_error")), SendError::Unknown),
        (Answer::Json(json!({"ok": true})), SendError::Unknown),
        (slow, later(7)),
        (mute, later(30)),
        (Answer::Json(no("ratelimited")), later(30)),
        (Answer::Json(no("user_disabled")), SendError::Gone { code: "user_disabled".into() }),
        (Answer::Json(no("token_revoked")), SendError::Halt { code: "token_revoked".into() }),
        (
            Answer::Json(no("messages_tab_disabled")),
            SendError::Never { code: "messages_tab_disabled".into() },
        ),
    ] {
        let slack = Loopback::start().await;
        slack.will_answer("chat.postMessage", answer);
        let sent = slack.messenger().post("D1", &note("x"), "k").await;
        assert_eq!(sent, Err(fate));
        assert_eq!(slack.requests("chat.postMessage").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn f11_a_post_that_nobody_answers_is_of_unknown_fate_and_not_repeated() {
    let slack = Loopback::start().await;
    slack.will_answer("chat.postMessage", Answer::Never);
    let sent = slack.messenger().post("D1", &note("x"), "k").await;
    assert_eq!(sent, Err(SendError::Unknown));
    assert_eq!(slack.requests("chat.postMessage").len(), 1);
}

#[tokio::test]
async fn f09_a_wait_that_makes_no_sense_is_not_believed() {
    for (said, waits) in
        [("soon", 30), ("-5", 30), ("", 30), ("0", 1), ("99999", 600), ("1e9", 30), ("45", 45)]
    {
        let headers: &'static [(&str, &str)] =
            vec![("retry-after", said), ("content-type", "text/plain")].leak();
        let slack = Loopback::start().await;
        slack.will_answer("chat.postMessage", Answer::Status(429, headers, ""));
        let messenger = slack.messenger();
        let sent = messenger.post("D1", &note("x"), "k").await;
        assert_eq!(sent, Err(SendError::Later { after: waits }), "{said:?}");
        let figures = messenger.figures();
        assert_eq!((figures[0].rate_limited, figures[0].requests["ratelimited"]), (1, 1));
    }
}

#[tokio::test]
async fn f14_an_inactive_account_may_be_theirs_or_ours() {
    let code = || "account_inactive".to_owned();
    let slack = Loopback::start().await;
    slack.will_say("chat.postMessage", no("account_inactive"));
    let theirs = slack.messenger().post("D1", &note("x"), "k").await;
    assert_eq!(theirs, Err(SendError::Gone { code: code() }));
    slack.will_say("chat.postMessage", no("account_inactive"));
    slack.will_say("auth.test", no("account_inactive"));
    let ours = slack.messenger().post("D1", &note("x"), "k").await;
    assert_eq!(ours, Err(SendError::Halt { code: code() }));
}

#[tokio::test]
async fn nothing_is_sent_where_nobody_listens() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", free.local_addr().unwrap());
    drop(free);
    let messenger = SlackMessenger::new(SlackSettings {
        api_url: url,
        bot_token: Token::new("xoxb-1"),
        app_token: Some(Token::new("xapp-1")),
        pace: Arc::new(Pace::unlimited()),
    })
    .unwrap();
    let sent = messenger.post("D1", &note("x"), "k").await;
    assert_eq!(sent, Err(SendError::Later { after: 5 }));
    assert!(!format!("{messenger:?}").contains("xoxb-1"));
}

#[tokio::test]
async fn a_429_keeps_us_from_asking_again_too_soon() {
    let slack = Loopback::start().await;
    let slow = Answer::Status(429, &[("retry-after", "90"), ("content-type", "text/plain")], "");
    slack.will_answer("chat.update", slow);
    let messenger = slack.paced_messenger(Pace::slack());
    let first = messenger.edit(&at(), &note("x")).await;
    assert_eq!(first, Err(SendError::Later { after: 90 }));
    let second = messenger.edit(&at(), &note("x")).await;
    assert!(matches!(second, Err(SendError::Later { after: 90..=93 })), "{second:?}");
    assert_eq!(slack.requests("chat.update").len(), 1);
}

#[tokio::test]
async fn a_digest_goes_down_the_ladder_and_stays_there() {
    let slack = Loopback::start().await;
    for _ in 0..2 {
        slack.will_say("chat.postMessage", no("invalid_blocks"));
    }
    let messenger = slack.messenger();
    assert_eq!(messenger.post("D1", &digest(), "k1").await, Ok(at()));
    assert_eq!(messenger.post("D1", &digest(), "k2").await, Ok(at()));
    let posted = slack.requests("chat.postMessage");
    let last: Vec<&str> = posted.iter().map(|post| *kinds(post).last().unwrap()).collect();
    assert_eq!(last, ["data_visualization", "data_table", "table", "table"]);
}

#[tokio::test]
async fn words_arrive_even_if_no_look_is_taken() {
    let slack = Loopback::start().await;
    for _ in 0..4 {
        slack.will_say("chat.postMessage", no("invalid_blocks"));
    }
    let messenger = slack.messenger();
    assert_eq!(messenger.post("D1", &digest(), "k1").await, Ok(at()));
    assert_eq!(messenger.post("D1", &digest(), "k2").await, Ok(at()));
    let posted = slack.requests("chat.postMessage");
    assert_eq!(posted[4].body["text"], "Your team: 2 debriefs");
    assert_eq!(kinds(&posted[4]).len(), 0);
    // Something else was wrong with the first, so the second is tried in full.
    assert_eq!(kinds(&posted[5]).last(), Some(&"data_visualization"));
}

#[tokio::test]
async fn an_edit_that_is_refused_says_so() {
    let slack = Loopback::start().await;
    let messenger = slack.messenger();
    assert_eq!(messenger.edit(&at(), &note("x")).await, Ok(()));
    let sent = &slack.requests("chat.update")[0].body;
    assert_eq!((&sent["channel"], &sent["ts"]), (&json!("D1"), &json!(at().ts)));
    assert!(sent["metadata"].is_null(), "left out, Slack keeps it");
    slack.will_say("chat.update", no("message_not_found"));
    let code = "message_not_found".into();
    assert_eq!(messenger.edit(&at(), &note("x")).await, Err(SendError::Never { code }));
}

#[tokio::test]
async fn our_message_is_found_by_its_key_and_a_copy_removed() {
    let slack = Loopback::start().await;
    let message = |bot: &str, ts: &str, payload: Value| {
        json!({"type": "message", "bot_id": bot, "ts": ts, "text": "x",
            "metadata": {"event_type": "debrief_message", "event_payload": payload}})
    };
    slack.will_say(
        "conversations.history",
        json!({"ok": true, "has_more": true, "response_metadata": {"next_cursor": "c2"}, "messages": [
            message("B1", "1795446003.000000", json!({"k": "k1"})),
            message("B9", "1795446002.000000", json!({"k": "k1"})),
            {"type": "message", "user": "U1", "ts": "1795446001.500000", "text": "hi"},
        ]}),
    );
    slack.will_say(
        "conversations.history",
        json!({"ok": true, "has_more": false, "messages": [
            message("B1", "1795446001.000000", json!({"k": "k1"})),
            message("B1", "1795446000.000000", json!({"k": 5, "v": true})),
        ]}),
    );
    let messenger = slack.messenger();
    let since = Timestamp::from_second(1_795_446_000).unwrap();
    let found = messenger.find("D1", "k1", since).await.unwrap().unwrap();
    assert_eq!(found.ts, "1795446001.000000");
    let looks = slack.requests("conversations.history");
    assert!(looks[0].query.contains("oldest=1795445880"), "{}", looks[0].query);
    assert!(looks[0].query.contains("limit=15") && looks[1].query.contains("cursor=c2"));
    assert!(looks[0].query.contains("include_all_metadata=true"));
    let deleted = slack.requests("chat.delete");
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].body["ts"], "1795446003.000000");
    assert_eq!(messenger.find("D1", "k2", since).await, Ok(None));
    assert_eq!(messenger.doubles(), 1, "a copy that was removed is counted");
}

/// A log to read.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_that_people_wrote_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let filter: Targets = "trace,slack_morphism=off".parse().unwrap();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    let guard = tracing::subscriber::set_default(subscriber);
    // With only one, other tests' threads would switch events off for this one, too.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let slack = Loopback::start().await;
    let body = r#"{"ok":false,"error":"Dana wrote: it went well"}"#;
    let strange = || Answer::Status(200, &[("content-type", "application/json")], body);
    for answer in [strange(), Answer::Status(500, &[], body), Answer::CutOff] {
        slack.will_answer("chat.postMessage", answer);
        let sent = slack.messenger().post("D1", &note("Dana wrote it"), "k").await;
        assert!(sent.is_err());
    }
    slack.will_answer("users.lookupByEmail", strange());
    let found = slack.messenger().person_by_email("dana@example.com").await;
    assert!(found.is_err());
    let to = ReplyTo(format!("{}/api/hook", slack.url));
    slack.will_answer("hook", Answer::Status(404, &[], body));
    let whisper = Whisper { replaces: false, body: vec![] };
    assert!(slack.messenger().whisper(&to, &whisper).await.is_err());
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for told in ["chat.postMessage", "users.lookupByEmail", "response_url", "unrecognised"] {
        assert!(log.contains(told), "{told} is missing in {log}");
    }
    for secret in ["Dana", "dana", "xoxb", "api/hook"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}
