//! The server is as strict as Slack where Slack is strict.

use std::sync::{Arc, Once};

use serde_json::{Value, json};

use super::clock::TurnableClock;
use super::faults::Fault;
use super::server::Playground;
use super::{Member, Settings};

async fn workspace() -> Playground {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another test of this process may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let member = |id: &str| Member {
        id: id.into(),
        name: id.into(),
        email: format!("{}@own.example", id.to_lowercase()),
        zone: "Europe/Berlin".into(),
        ..Member::default()
    };
    let gone = Member { is_deleted: true, ..member("UGONE") };
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        workspace: "Own".into(),
        zone: "Europe/Berlin".into(),
        people: vec![member("U1"), gone],
        stops: vec![],
        commands: vec![],
        shortcuts: vec![],
        scopes: ["chat:write", "im:write", "im:history"].map(str::to_owned).into(),
        haste: 100,
    };
    let clock = TurnableClock::standing("2026-03-10T12:00:00Z".parse().unwrap());
    Playground::start(settings, Arc::new(clock)).await.unwrap()
}

async fn call(playground: &Playground, token: &str, method: &str, body: Value) -> Value {
    let request = reqwest::Client::new()
        .post(format!("{}/{method}", playground.api_url()))
        .bearer_auth(token)
        .header("Content-Type", "application/json")
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// Slack's error code, or "ok".
async fn code(playground: &Playground, method: &str, body: Value) -> String {
    let answer = call(playground, playground.bot_token(), method, body).await;
    answer["error"].as_str().unwrap_or("ok").to_owned()
}

#[tokio::test]
async fn tokens_and_scopes_are_checked() {
    let playground = workspace().await;
    for (token, method, expected) in [
        ("", "auth.test", "not_authed"),
        ("xoxb-other", "auth.test", "invalid_auth"),
        (playground.app_token(), "auth.test", "not_allowed_token_type"),
        (playground.bot_token(), "apps.connections.open", "not_allowed_token_type"),
        (playground.bot_token(), "users.info", "missing_scope"),
        (playground.bot_token(), "no.such", "unknown_method"),
    ] {
        let answer = call(&playground, token, method, json!({})).await;
        assert_eq!(answer["error"], expected, "{method}");
    }
    playground.revoke_tokens();
    assert_eq!(code(&playground, "auth.test", json!({})).await, "invalid_auth");
}

#[tokio::test]
async fn messages_are_held_to_slacks_rules() {
    let playground = workspace().await;
    let text = json!({ "channel": "D1", "text": "hello",
        "metadata": { "event_type": "x", "event_payload": { "k": "1" } } });
    assert_eq!(code(&playground, "chat.postMessage", text).await, "ok");
    for (body, expected) in [
        (json!({ "channel": "D1" }), "no_text"),
        (json!({ "channel": "D9", "text": "x" }), "channel_not_found"),
        (json!({ "channel": "DGONE", "text": "x" }), "channel_not_found"),
        (
            json!({ "channel": "D1", "text": "x", "blocks": [{ "type": "nonsense" }] }),
            "invalid_blocks",
        ),
        (json!({ "channel": "D1", "text": "x", "metadata": {} }), "invalid_metadata_format"),
    ] {
        assert_eq!(code(&playground, "chat.postMessage", body).await, expected);
    }
    let other = json!({ "channel": "D1", "ts": "1.000001", "text": "x" });
    assert_eq!(code(&playground, "chat.update", other).await, "message_not_found");
    assert_eq!(
        code(&playground, "conversations.open", json!({ "users": "UGONE" })).await,
        "user_disabled"
    );

    let plain = json!({ "channel": "D1", "limit": 1 });
    let history = call(&playground, playground.bot_token(), "conversations.history", plain).await;
    assert_eq!(history["messages"][0]["text"], "hello");
    assert!(history["messages"][0]["metadata"].is_null(), "only where it is asked for");
    let with = json!({ "channel": "D1", "include_all_metadata": true });
    let history = call(&playground, playground.bot_token(), "conversations.history", with).await;
    assert_eq!(history["messages"][0]["metadata"]["event_payload"]["k"], "1");
}

#[tokio::test]
async fn too_many_posts_are_told_to_wait() {
    let playground = workspace().await;
    // All at once: a busy machine might not get six through one after the other within a second.
    let posts = (0..40)
        .map(|_| code(&playground, "chat.postMessage", json!({ "channel": "D1", "text": "x" })));
    let codes = futures_util::future::join_all(posts).await;
    assert!(codes.iter().any(|code| code == "ok"));
    assert!(codes.iter().any(|code| code == "ratelimited"), "{codes:?}");
}

#[tokio::test]
async fn a_trigger_works_once_and_not_for_long() {
    let playground = workspace().await;
    let view =
        json!({ "type": "modal", "title": { "type": "plain_text", "text": "T" }, "blocks": [] });
    let with = |trigger: &str| json!({ "trigger_id": trigger, "view": view });
    let trigger = playground.inner.slack().trigger("U1");
    assert_eq!(code(&playground, "views.open", with(&trigger)).await, "ok");
    assert_eq!(code(&playground, "views.open", with(&trigger)).await, "exchanged_trigger_id");
    let id = playground.modal("U1").unwrap().id;
    let stale = json!({ "view_id": id, "hash": "other", "view": view });
    assert_eq!(code(&playground, "views.update", stale).await, "hash_conflict");
    let trigger = playground.inner.slack().trigger("U1");
    playground.expire_triggers();
    assert_eq!(code(&playground, "views.open", with(&trigger)).await, "invalid_trigger_id");
}

#[tokio::test]
async fn the_page_is_for_this_machine_only() {
    let playground = workspace().await;
    let get = |name: &str, value: &str| {
        let address = format!("{}play/people", playground.page_url());
        reqwest::Client::new().get(address).header(name, value.to_owned()).send()
    };
    assert_eq!(get("Host", "evil.example").await.unwrap().status(), 403);
    assert_eq!(get("Origin", "https://evil.example").await.unwrap().status(), 403);
    let answer = get("Accept", "*/*").await.unwrap();
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'"));
}

#[tokio::test]
async fn faults_strike_before_or_after() {
    let playground = workspace().await;
    let text = || json!({ "channel": "D1", "text": "x" });
    playground.fault("chat.postMessage", Fault::Refused("fatal_error".into()));
    playground.fault("chat.postMessage", Fault::RefusedAfter("internal_error".into()));
    assert_eq!(code(&playground, "chat.postMessage", text()).await, "fatal_error");
    assert_eq!(playground.messages("U1").len(), 0);
    assert_eq!(code(&playground, "chat.postMessage", text()).await, "internal_error");
    assert_eq!(playground.messages("U1").len(), 1);
}
