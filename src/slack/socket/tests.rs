//! The socket against a pretend Slack: real connections, short waits.

use serde_json::{Value, json};

use super::*;
use crate::ports::inbound::{Ack, Inbound, What};
use crate::slack::loopback::{Answer, Loopback, Peer, SOON};

const QUICK: Tempo = Tempo {
    hello: SOON,
    handling: Duration::from_millis(600),
    grace: Duration::from_millis(300),
    stagger: Duration::ZERO,
    first_wait: Duration::from_millis(20),
    longest_wait: Duration::from_millis(80),
    short_life: Duration::ZERO,
    ping_seconds: 10,
};

fn command(text: &str, id: &str) -> Value {
    json!({"envelope_id": id, "type": "slash_commands", "accepts_response_payload": true,
        "payload": {"team_id": "T1", "user_id": "U1", "command": "/debrief", "text": text,
            "response_url": "https://hooks.slack.com/commands/T1/1/x", "trigger_id": id}})
}

fn text(inbound: &Inbound) -> &str {
    match &inbound.what {
        What::Command { text, .. } => text,
        _ => "",
    }
}

/// Does what the command says.
fn obedient() -> Handler {
    Arc::new(|inbound| {
        Box::pin(async move {
            match text(&inbound) {
                "refuse" => return None,
                "panic" => panic!("as told"),
                "sleep" => tokio::time::sleep(Duration::from_millis(100)).await,
                "sleep long" => tokio::time::sleep(SOON).await,
                _ => {}
            }
            Some(Ack::Plain)
        })
    })
}

async fn two_up(slack: &mut Loopback) -> (Socket, [Peer; 2]) {
    let socket = Socket::start_at(&slack.messenger(), obedient(), QUICK).await.unwrap();
    let mut peers = [slack.socket().await, slack.socket().await];
    for peer in &mut peers {
        peer.hello().await;
    }
    until(|| socket.health().up == 2).await;
    (socket, peers)
}

async fn until(mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.unwrap();
}

#[tokio::test]
async fn two_sockets_open_and_acknowledge_what_was_handled() {
    let mut slack = Loopback::start().await;
    let (socket, [mut one, mut two]) = two_up(&mut slack).await;
    for (peer, id) in [(&mut one, "e1"), (&mut two, "e2")] {
        peer.say(&command("help", id)).await;
        assert_eq!(peer.hear().await, Some(json!({"envelope_id": id})));
    }
    let health = socket.health();
    assert_eq!((health.up, health.wanted), (2, 2));
    assert!(health.since_frame.is_some() && health.since_hello.is_some());
    assert_eq!(health.refused, None);
    let opens = slack.requests("apps.connections.open");
    assert!(opens.iter().all(|open| open.token.as_deref() == Some("Bearer xapp-app")));
}

#[tokio::test]
async fn what_was_not_kept_is_not_acknowledged() {
    let mut slack = Loopback::start().await;
    let (_socket, [mut peer, _two]) = two_up(&mut slack).await;
    for text in ["refuse", "panic", "sleep long"] {
        peer.say(&command(text, text)).await;
    }
    peer.say(&command("help", "last")).await;
    assert_eq!(peer.hear().await, Some(json!({"envelope_id": "last"})));
}

#[tokio::test]
async fn errors_in_a_form_travel_in_the_acknowledgement() {
    let mut slack = Loopback::start().await;
    let handler: Handler = Arc::new(|_| {
        Box::pin(async {
            let error = ("due".to_owned(), "Pick a day".to_owned());
            Some(Ack::FormErrors([error].into()))
        })
    });
    let _socket = Socket::start_at(&slack.messenger(), handler, QUICK).await.unwrap();
    let mut peer = slack.socket().await;
    peer.hello().await;
    peer.say(&json!({"envelope_id": "e1", "type": "interactive", "accepts_response_payload": true,
        "payload": {"type": "view_submission", "team": {"id": "T1"}, "user": {"id": "U1"}, "view": {
            "id": "V1", "hash": "1.a", "private_metadata": r#"{"v":1,"form":"log"}"#,
            "blocks": [{"type": "rich_text", "block_id": "_intro"}, {"type": "input", "block_id": "due"}],
            "state": {"values": {}}}}}))
        .await;
    assert_eq!(
        peer.hear().await,
        Some(json!({"envelope_id": "e1",
            "payload": {"response_action": "errors", "errors": {"due": "Pick a day"}}}))
    );
}

#[tokio::test]
async fn a_renewed_socket_loses_no_acknowledgement() {
    let mut slack = Loopback::start().await;
    let (socket, [mut old, _two]) = two_up(&mut slack).await;
    old.say(&command("sleep", "e1")).await;
    old.say(&json!({"type": "disconnect", "reason": "refresh_requested"})).await;
    assert_eq!(old.hear().await, Some(json!({"envelope_id": "e1"})));
    let mut new = slack.socket().await;
    new.hello().await;
    // What was on its way when Slack said so is still taken in.
    old.say(&command("help", "e2")).await;
    assert_eq!(old.hear().await, Some(json!({"envelope_id": "e2"})));
    assert_eq!(old.hear().await, None);
    until(|| socket.health().up == 2).await;
    new.say(&command("help", "e3")).await;
    assert_eq!(new.hear().await, Some(json!({"envelope_id": "e3"})));
}

#[tokio::test]
async fn a_lost_socket_is_opened_again() {
    let mut slack = Loopback::start().await;
    let (socket, [one, _two]) = two_up(&mut slack).await;
    drop(one);
    let mut again = slack.socket().await;
    assert_eq!(socket.health().up, 1);
    again.hello().await;
    until(|| socket.health().up == 2).await;
}

/// The peer never reads, so it never answers a ping: the network in between is gone.
#[tokio::test]
async fn f16_a_half_open_socket_is_noticed_by_its_missing_pongs() {
    let mut slack = Loopback::start().await;
    let watchful = Tempo { ping_seconds: 1, ..QUICK };
    let socket = Socket::start_at(&slack.messenger(), obedient(), watchful).await.unwrap();
    let mut silent = [slack.socket().await, slack.socket().await];
    for peer in &mut silent {
        peer.hello().await;
    }
    until(|| socket.health().up == 2).await;
    let _again = slack.socket_within(SOON * 3).await;
    // In production a ping goes out every ten seconds, and the fourth without a pong is one too many.
    const { assert!(Tempo::SLACK.ping_seconds * (slot::MOST_PINGS_LOST + 1) <= 45) };
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_given_up() {
    let mut slack = Loopback::start().await;
    let impatient = Tempo { hello: Duration::from_millis(200), ..QUICK };
    let _socket = Socket::start_at(&slack.messenger(), obedient(), impatient).await.unwrap();
    let mut silent = [slack.socket().await, slack.socket().await];
    let _next = slack.socket().await;
    for peer in &mut silent {
        assert_eq!(peer.hear().await, None);
    }
}

#[tokio::test]
async fn refused_connections_are_tried_again() {
    let mut slack = Loopback::start().await;
    for _ in 0..6 {
        let down = Answer::Status(503, &[], "<html>Dana wrote</html>");
        slack.will_answer("apps.connections.open", down);
    }
    let _socket = Socket::start_at(&slack.messenger(), obedient(), QUICK).await.unwrap();
    slack.socket().await.hello().await;
}

#[tokio::test]
async fn a_revoked_token_ends_it() {
    for (method, code) in [("invalid_auth", "app token: invalid_auth"), ("", "link_disabled")] {
        let mut slack = Loopback::start().await;
        if !method.is_empty() {
            slack.will_say("apps.connections.open", json!({"ok": false, "error": method}));
        }
        let socket = Socket::start_at(&slack.messenger(), obedient(), QUICK).await.unwrap();
        if method.is_empty() {
            let mut peer = slack.socket().await;
            peer.hello().await;
            peer.say(&json!({"type": "disconnect", "reason": "link_disabled"})).await;
        }
        let refused = tokio::time::timeout(SOON, socket.refused()).await.unwrap();
        assert_eq!(refused, code);
        assert_eq!(socket.health().refused.as_deref(), Some(code));
        socket.stop().await;
        assert_eq!(socket.health().up, 0);
    }
}

#[tokio::test]
async fn stopping_waits_for_what_came_in() {
    let mut slack = Loopback::start().await;
    let (socket, [mut peer, mut other]) = two_up(&mut slack).await;
    peer.say(&command("sleep", "e1")).await;
    until(|| !socket.shared.desk.is_idle()).await;
    let opened = slack.requests("apps.connections.open").len();
    socket.stop().await;
    assert_eq!(peer.hear().await, Some(json!({"envelope_id": "e1"})));
    assert_eq!(peer.hear().await, None);
    assert_eq!(other.hear().await, None);
    assert_eq!(socket.health().up, 0);
    assert_eq!(slack.requests("apps.connections.open").len(), opened);
}

#[tokio::test]
async fn waits_grow_to_their_limit() {
    let slack = Loopback::start().await;
    let socket = Socket::start_at(&slack.messenger(), obedient(), Tempo::SLACK).await.unwrap();
    let waits: Vec<u64> =
        (0..12).map(|failures| slot::backoff(&socket.shared, 0, failures).as_secs()).collect();
    assert_eq!(waits[..2], [0, 0]);
    assert!(waits.is_sorted());
    assert!((45..75).contains(&waits[11]), "{waits:?}");
}
