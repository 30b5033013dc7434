//! The messenger against a pretend Slack.

mod messages;

use serde_json::Value;

use super::*;
use crate::domain::debrief::DebriefId;
use crate::ports::outbound::{Form, FormId, Piece, Span};
use crate::slack::loopback::{Answer, Loopback};

fn no(code: &str) -> Value {
    json!({"ok": false, "error": code})
}

#[tokio::test]
async fn preflight_names_the_scopes_that_are_missing() {
    let slack = Loopback::start().await;
    let me = slack.messenger().preflight().await.unwrap();
    assert_eq!((me.team_id.as_str(), me.team_name.as_str()), ("T1", "Acme"));
    assert_eq!((me.bot_user.0.as_str(), me.bot_id.as_str()), ("UBOT", "B1"));
    assert_eq!(
        me.missing_scopes,
        ["dnd:read", "im:history", "im:write", "users:read", "users:read.email"]
    );
    assert_eq!(slack.requests("auth.test")[0].token.as_deref(), Some("Bearer xoxb-bot"));
    let socket = &slack.requests("apps.connections.open")[0];
    assert_eq!(socket.token.as_deref(), Some("Bearer xapp-app"));
}

#[tokio::test]
async fn a_refused_token_stops_the_program() {
    for (method, code) in
        [("auth.test", "invalid_auth"), ("apps.connections.open", "app token: invalid_auth")]
    {
        let slack = Loopback::start().await;
        slack.will_say(method, no("invalid_auth"));
        let refused = slack.messenger().preflight().await;
        assert_eq!(refused, Err(SendError::Halt { code: code.into() }));
    }
    let slack = Loopback::start().await;
    slack.will_say("auth.test", json!({"ok": true, "team_id": "T1", "user_id": "U1"}));
    let code = "not_allowed_token_type".into();
    assert_eq!(slack.messenger().preflight().await, Err(SendError::Halt { code }));
}

#[tokio::test]
async fn people_are_found_or_not() {
    let slack = Loopback::start().await;
    let user = json!({"ok": true, "user": {"id": "U1", "team_id": "T1", "name": "dana",
        "tz": "Europe/Berlin", "profile": {"real_name": "Dana Ito", "fields": []}}});
    slack.will_say("users.lookupByEmail", user);
    slack.will_say("users.lookupByEmail", no("users_not_found"));
    slack.will_say("users.info", no("user_not_visible"));
    let messenger = slack.messenger();
    let dana = messenger.person_by_email("dana+x@example.com").await.unwrap().unwrap();
    assert_eq!((dana.id.0.as_str(), dana.name.as_str()), ("U1", "Dana Ito"));
    assert_eq!(messenger.person_by_email("no@example.com").await, Ok(None));
    assert_eq!(messenger.profile(&ChatId("U2".into())).await, Ok(None));
    let asked = &slack.requests("users.lookupByEmail")[0].query;
    assert_eq!(asked, "email=dana%2Bx%40example.com");
    assert_eq!(messenger.conversation(&dana.id).await.unwrap(), "D1");
}

#[tokio::test]
async fn quiet_times_are_asked_for_fifty_at_a_time() {
    let slack = Loopback::start().await;
    let dnd = json!({"dnd_enabled": true, "next_dnd_start_ts": 100, "next_dnd_end_ts": 200});
    slack.will_say("dnd.teamInfo", json!({"ok": true, "users": {"U1": dnd}}));
    slack.will_say("dnd.teamInfo", no("method_not_supported_for_channel_type"));
    let mut alone = dnd.clone();
    alone["ok"] = json!(true);
    slack.will_say("dnd.info", alone);
    slack.will_say("dnd.info", no("user_not_found"));
    let people: Vec<ChatId> = (0..52).map(|n| ChatId(format!("U{n}"))).collect();
    let quiet = slack.messenger().quiet_times(&people).await.unwrap();
    let mut ids: Vec<&str> = quiet.keys().map(|id| id.0.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["U1", "U50"]);
    slack.will_say("dnd.teamInfo", no("missing_scope"));
    let without = slack.messenger().quiet_times(&people).await;
    assert_eq!(without, Ok(HashMap::new()));
}

#[tokio::test]
async fn modals_open_and_change() {
    let slack = Loopback::start().await;
    let messenger = slack.messenger();
    let loading = Modal::Loading { title: "Debrief".into() };
    let view = messenger.open(&Trigger("t1".into()), &loading).await.unwrap();
    assert_eq!(view, ViewId("V1".into()));
    assert_eq!(slack.requests("views.open")[0].body["trigger_id"], "t1");
    let form = Modal::Form(Form {
        id: FormId::Answer(DebriefId(7)),
        title: "Acme".into(),
        submit: "Save".into(),
        intro: vec![],
        fields: vec![],
        outro: None,
    });
    messenger.replace(&view, &form).await.unwrap();
    let sent = &slack.requests("views.update")[0].body;
    assert_eq!((&sent["view_id"], &sent["view"]["callback_id"]), (&json!("V1"), &json!("answer")));
    slack.will_say("views.open", no("expired_trigger_id"));
    let late = messenger.open(&Trigger("t1".into()), &loading).await;
    let code = "expired_trigger_id".into();
    assert_eq!(late, Err(SendError::Never { code }));
}

#[tokio::test]
async fn home_and_whispers_go_where_they_belong() {
    let slack = Loopback::start().await;
    let messenger = slack.messenger();
    let body = vec![Piece::Text(vec![Span::Plain("Nothing is waiting.".into())])];
    let home = Home { body: body.clone() };
    messenger.publish_home(&ChatId("U1".into()), &home).await.unwrap();
    let published = &slack.requests("views.publish")[0].body;
    assert_eq!((&published["user_id"], &published["hash"]), (&json!("U1"), &Value::Null));

    let to = ReplyTo(format!("{}/api/hook", slack.url));
    let whisper = Whisper { replaces: true, body };
    messenger.whisper(&to, &whisper).await.unwrap();
    let told = &slack.requests("hook")[0];
    assert_eq!(told.token, None, "the address is the secret");
    assert_eq!(told.body["replace_original"], true);
    assert_eq!(told.body["response_type"], "ephemeral");
    slack.will_answer("hook", Answer::Status(200, &[("content-type", "text/plain")], "ok"));
    assert_eq!(messenger.whisper(&to, &whisper).await, Ok(()));
    slack.will_answer("hook", Answer::Status(404, &[], "used_url"));
    let code = "expired_url".into();
    assert_eq!(messenger.whisper(&to, &whisper).await, Err(SendError::Never { code }));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_no_answer() {
    let slack = Loopback::start().await;
    slack.will_answer("views.open", Answer::Never);
    let messenger = slack.messenger();
    let loading = Modal::Loading { title: "Debrief".into() };
    let late = messenger.open(&Trigger("t1".into()), &loading).await;
    assert_eq!(late, Err(SendError::Unknown));
}
