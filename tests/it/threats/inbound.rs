//! What comes from outside over Slack: forged, replayed, too much, from the wrong people.

use std::time::Duration;

use debrief::config::secrets::{DoorKey, Secret};
use debrief::playground::Member;
use debrief::playground::faults::Fault;
use debrief::playground::plain;
use jiff::SignedDuration;
use reqwest::StatusCode;
use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};

use crate::world::{LEO, MAYA, SIGNING_SECRET, TOM, World, acme, http_mode, meeting};

/// A request as an attacker, or Slack, would make it.
#[derive(Clone)]
struct Request {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    chunked: bool,
}

fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &[format!("v0:{at}:").as_bytes(), body].concat());
    let hex: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={}", hex.concat())
}

fn signed(secret: &str, at: i64, body: &str) -> Request {
    let headers = vec![
        ("X-Slack-Request-Timestamp", at.to_string()),
        ("X-Slack-Signature", sign(secret, at, body.as_bytes())),
    ];
    Request { headers, body: body.into(), chunked: false }
}

impl Request {
    fn with(mut self, name: &str, value: &str) -> Self {
        for (known, old) in &mut self.headers {
            if *known == name {
                value.clone_into(old);
            }
        }
        self
    }

    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn saying(mut self, body: &[u8]) -> Self {
        self.body = body.into();
        self
    }

    fn signature(&self) -> String {
        self.headers.iter().find(|(name, _)| *name == "X-Slack-Signature").unwrap().1.clone()
    }

    /// Status and body of the answer.
    async fn post(&self, world: &World, path: &str) -> (StatusCode, String) {
        let address = world.running().slack_address().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(format!("http://{address}/slack/{path}"));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = if self.chunked {
            let parts = self.body.chunks(7).map(|part| Ok::<_, std::io::Error>(part.to_vec()));
            let parts: Vec<_> = parts.collect();
            request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(parts)))
        } else {
            request.body(self.body.clone())
        };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

/// Maya writes to the bot.
fn message(text: &str, id: &str) -> String {
    json!({
        "type": "event_callback", "team_id": "T0PLAY", "event_id": id,
        "event": {
            "type": "message", "channel_type": "im", "channel": "D0MAYA", "user": MAYA,
            "text": text, "ts": "1773150900.000100",
        },
    })
    .to_string()
}

#[tokio::test]
async fn s01_forged_requests_hear_401_and_nothing_else() {
    let _mode = http_mode();
    let world = World::asked_about_acme().await;
    let now = world.now().as_second();
    let body = message("Call earlier", "Ev9001");
    let good = || signed(SIGNING_SECRET, now, &body);
    let signature = good().signature();
    let hex = signature.trim_start_matches("v0=").to_owned();
    let twice = good().and("X-Slack-Signature", &signature);
    let twice_at = good().and("X-Slack-Request-Timestamp", &now.to_string());
    let sig = "X-Slack-Signature";
    let at = "X-Slack-Request-Timestamp";
    let forgeries = [
        ("bad hexadecimal", good().with(sig, &format!("v0=zz{}", &hex[2..]))),
        ("too short", good().with(sig, &signature[..60])),
        ("too long", good().with(sig, &format!("{signature}00"))),
        ("empty", good().with(sig, "")),
        ("another version", good().with(sig, &format!("v1={hex}"))),
        ("version in capitals", good().with(sig, &format!("V0={hex}"))),
        ("digits in capitals", good().with(sig, &format!("v0={}", hex.to_uppercase()))),
        ("no version", good().with(sig, &hex)),
        ("a changed byte", good().saying(body.replace("earlier", "earlies").as_bytes())),
        ("valid for another body", good().saying(message("Evil", "Ev9001").as_bytes())),
        ("an empty body", good().saying(b"")),
        ("two signatures", twice),
        ("two timestamps", twice_at),
        ("no signature", good().without(sig)),
        ("no timestamp", good().without(at)),
        ("another timestamp", good().with(at, &(now + 1).to_string())),
        ("a timestamp with a sign", good().with(at, &format!("+{now}"))),
        ("no number", good().with(at, "now")),
        ("another secret", signed("0123456789abcdef0123456789abcdef", now, &body)),
        ("an empty secret", signed("", now, &body)),
        ("stale", signed(SIGNING_SECRET, now - 301, &body)),
        ("from the future", signed(SIGNING_SECRET, now + 301, &body)),
        ("malformed, and badly signed", good().saying(b"{\"type\":")),
        ("unsigned with a hint", good().without(sig).saying(b"command=%2Fdebrief&text=me")),
    ];
    for (what, forgery) in forgeries {
        for chunked in [false, true] {
            let forgery = Request { chunked, ..forgery.clone() };
            for path in ["events", "interactivity", "commands"] {
                let answer = forgery.post(&world, path).await;
                assert_eq!(answer, (StatusCode::UNAUTHORIZED, String::new()), "{what}");
            }
        }
    }
    world.settle().await;
    assert!(!world.conversation(MAYA)[0].contains("earlier"), "nothing of it had an effect");
    // 24 kinds, each sent six times: what is no signature, what is another's, what is out of time.
    let by_reason = world.running().health().forged.by_reason();
    assert_eq!(by_reason, [("unsigned", 90), ("wrong", 42), ("out_of_time", 12)]);
    let dead: i64 = count(&world, "dead_letter");
    assert_eq!(dead, 0, "nothing was parsed, so nothing could be unreadable");
    // Slack's own, whole or in pieces, within the window.
    for (off, text) in [(-299, "Call early"), (299, "Call earlier")] {
        let mut real = signed(SIGNING_SECRET, now + off, &message(text, &format!("Ev{off}")));
        real.chunked = off > 0;
        assert_eq!(real.post(&world, "events").await, (StatusCode::OK, String::new()));
    }
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call early”"));
}

fn count(world: &World, table: &str) -> i64 {
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn s01_what_slack_asks_before_it_sends_anything_is_answered() {
    let _mode = http_mode();
    let world = World::new(&[]).await;
    let now = world.now().as_second();
    let challenge = json!({"type": "url_verification", "challenge": "3eZbrw1aB", "token": "x"});
    let request = signed(SIGNING_SECRET, now, &challenge.to_string());
    assert_eq!(request.post(&world, "events").await, (StatusCode::OK, "3eZbrw1aB".into()));
    let unsigned = Request { headers: vec![], body: b"ssl_check=1&token=x".into(), chunked: false };
    assert_eq!(unsigned.post(&world, "commands").await, (StatusCode::OK, String::new()));
    let challenge = Request { headers: vec![], ..request };
    assert_eq!(challenge.post(&world, "events").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn s01_bodies_are_limited_before_anything_else() {
    let _mode = http_mode();
    let world = World::new(&[]).await;
    let now = world.now().as_second();
    let large = "x".repeat(256 * 1024 + 1);
    for chunked in [false, true] {
        let request = Request { chunked, ..signed(SIGNING_SECRET, now, &large) };
        assert_eq!(request.post(&world, "events").await.0, StatusCode::PAYLOAD_TOO_LARGE);
    }
    let fits = signed(SIGNING_SECRET, now, &large[1..]);
    assert_eq!(fits.post(&world, "events").await.0, StatusCode::OK, "kept as a dead letter");
}

#[tokio::test]
async fn s02_the_same_bytes_twice_have_one_effect_and_the_same_answer() {
    let _mode = http_mode();
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    let view = world.playground.modal(MAYA).unwrap();
    let submission = |outcome: Value| {
        let mut view = view.body.clone();
        view["id"] = json!("V1");
        view["hash"] = json!("1.a");
        view["state"] = json!({"values": {
            "ended": {"ended": {"type": "radio_buttons", "selected_option": outcome}},
            "reflect": {"reflect": {"type": "plain_text_input", "value": "Call earlier"}},
        }});
        let payload = json!({
            "type": "view_submission", "team": {"id": "T0PLAY"}, "user": {"id": MAYA},
            "trigger_id": format!("{outcome}"), "view": view,
        });
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("payload", &payload.to_string());
        signed(SIGNING_SECRET, world.now().as_second(), &form.finish())
    };
    let wrong = submission(Value::Null);
    let first = wrong.post(&world, "interactivity").await;
    assert!(first.1.contains("response_action"), "{first:?}");
    assert_eq!(wrong.post(&world, "interactivity").await, first);
    let right = submission(json!({"value": "no"}));
    for _ in 0..3 {
        let answer = right.post(&world, "interactivity").await;
        assert_eq!(answer, (StatusCode::OK, String::new()));
    }
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
    assert_eq!(count(&world, "answer_version"), 0, "nothing was written twice");
    let said = signed(SIGNING_SECRET, world.now().as_second(), &message("And again", "Ev1"));
    for _ in 0..3 {
        let again = said.clone().and("X-Slack-Retry-Num", "1");
        assert_eq!(again.post(&world, "events").await, (StatusCode::OK, String::new()));
    }
    world.settle().await;
    assert_eq!(world.conversation(MAYA).len(), 2, "one line of help");
}

#[tokio::test]
async fn s03_two_signing_secrets_are_accepted_while_one_is_being_changed() {
    let _mode = http_mode();
    let world = World::new(&[]).await;
    let new = "0123456789abcdef0123456789abcdef";
    let now = world.now().as_second();
    let status = async |secret: &str, id: &str| {
        signed(secret, now, &message("hi", id)).post(&world, "events").await.0
    };
    assert_eq!(status(new, "Ev1").await, StatusCode::UNAUTHORIZED);
    let with = |secrets: &[&str]| {
        let mut renewed = world.secrets();
        let secrets = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        renewed.door = DoorKey::Signing(secrets);
        world.running().renew(&renewed)
    };
    with(&[SIGNING_SECRET, new]).unwrap();
    assert_eq!(status(SIGNING_SECRET, "Ev2").await, StatusCode::OK);
    assert_eq!(status(new, "Ev3").await, StatusCode::OK);
    with(&[new]).unwrap();
    assert_eq!(status(SIGNING_SECRET, "Ev4").await, StatusCode::UNAUTHORIZED);
    assert!(with(&[]).is_err());
    assert_eq!(status(new, "Ev5").await, StatusCode::OK, "what cannot be used changes nothing");
}

type Change = fn(&mut Member);

/// Each way of not being one of us.
fn strangers() -> [(&'static str, Change); 5] {
    [
        ("deleted", |maya| maya.is_deleted = true),
        ("restricted", |maya| maya.is_guest = true),
        ("ultra-restricted", |maya| maya.is_ultra_restricted = true),
        ("stranger", |maya| maya.is_stranger = true),
        ("of another workspace", |maya| maya.team = Some("T0OTHER".into())),
    ]
}

#[tokio::test]
async fn s10_whoever_is_no_member_any_more_gets_nothing() {
    for (who, become_one) in strangers() {
        let birk = meeting("b", "Birk", "2026-03-10T15:00", "2026-03-10T15:30", "p@birk.example");
        let world = World::new(&[acme(), birk]).await;
        // One question is planned, one waits to be sent.
        world.playground.fault("chat.postMessage", Fault::RateLimited(60));
        world.turn_to("2026-03-10T14:50").await;
        world.playground.change_member(MAYA, become_one);
        world.settle().await;
        world.pass(SignedDuration::from_mins(2)).await;
        world.turn_to("2026-03-10T15:36").await;
        assert!(world.conversation(MAYA).is_empty(), "{who}: nothing is sent");
        assert_eq!(world.playground.calls("chat.postMessage").len(), 1, "{who}: no retries");
        let told = world.command(MAYA, "/debrief me").await;
        assert!(told.starts_with("You are not on debrief's roster."), "{who}: {told}");
        world.playground.say(MAYA, "hello?");
        world.playground.open_home(MAYA);
        world.settle().await;
        assert!(world.conversation(MAYA).is_empty() && world.playground.home(MAYA).is_none());
        // Back again, what waited is there.
        world.playground.change_member(MAYA, |maya| {
            *maya = Member {
                is_deleted: false,
                is_guest: false,
                is_ultra_restricted: false,
                is_stranger: false,
                team: None,
                ..maya.clone()
            };
        });
        world.settle().await;
        let waiting = world.command(MAYA, "/debrief").await;
        assert!(waiting.contains("Acme"), "{who}: {waiting}");
    }
}

#[tokio::test]
async fn s10_an_inactive_account_is_left_alone_and_an_inactive_token_waits() {
    let inactive = || Fault::Refused("account_inactive".into());
    let world = World::new(&[acme()]).await;
    world.playground.fault("chat.postMessage", inactive());
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..5 {
        world.pass(SignedDuration::from_mins(2)).await;
    }
    assert!(world.conversation(MAYA).is_empty(), "no retries");

    // If Slack says the same when we ask who we are, it is our own token.
    let world = World::new(&[acme()]).await;
    world.playground.fault("chat.postMessage", inactive());
    world.playground.fault("auth.test", inactive());
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..2 {
        world.pass(SignedDuration::from_secs(61)).await;
    }
    assert_eq!(world.conversation(MAYA).len(), 1, "it is sent once the token works again");
}

#[tokio::test]
async fn s11_nothing_is_ever_posted_where_others_read() {
    let world = World::asked_about_acme().await;
    world.press(MAYA, "No").await;
    world.playground.say(MAYA, "Call earlier");
    world.settle().await;
    world.answered(TOM, "Birk", "No", "Bring numbers").await;
    let before = world.conversation(LEO).len();
    for typed in ["/debrief", "/debrief history @maya", "/debrief me", "/debrief nonsense"] {
        world.playground.command_in(LEO, "C0SHARED", typed).await.unwrap();
        world.settle().await;
    }
    assert!(world.last_whisper(LEO).len() > 10);
    assert_eq!(world.playground.whispers(LEO).len(), 4, "each is seen by Leo alone");
    assert_eq!(world.conversation(LEO).len(), before);
    world.turn_to("2026-03-16T08:30").await;
    let mut posts = 0;
    for method in ["chat.postMessage", "chat.update"] {
        for call in world.playground.calls(method) {
            let channel = call.arguments["channel"].as_str().unwrap();
            assert!(channel.starts_with('D'), "{method} to {channel}");
            posts += 1;
        }
    }
    assert!(posts > 5, "questions, updates and a digest were sent");
    assert!(world.conversation(LEO).len() > before, "the digest came as a direct message");
    assert!(world.playground.calls("chat.postEphemeral").is_empty());
}

#[tokio::test]
async fn s12_addresses_for_answers_are_never_stored() {
    let world = World::asked_about_acme().await;
    world.command(MAYA, "/debrief history").await;
    world.press(MAYA, "No").await;
    world.press(MAYA, "Answer").await;
    // Slack's own shape, too: it is refused here, as this workspace is a pretend one.
    let payload = json!({
        "command": "/debrief", "text": "me", "team_id": "T0PLAY", "user_id": MAYA,
        "trigger_id": "1.2", "response_url": "https://hooks.slack.com/commands/T0PLAY/1/canary",
    });
    let whispers = world.playground.whispers(MAYA).len();
    assert_eq!(world.playground.tell("slash_commands", payload).await, Some(Value::Null));
    world.settle().await;
    assert_eq!(world.playground.whispers(MAYA).len(), whispers);
    for file in ["debrief.db", "debrief.db-wal"] {
        let bytes = std::fs::read(world.path(file)).unwrap();
        for part in ["/response/", "hooks.slack", "canary"] {
            let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
            assert!(!found, "{part} in {file}");
        }
    }
}

#[tokio::test]
async fn s18_a_flood_of_one_person_gets_one_line_and_hurts_nobody() {
    let world = World::asked_about_acme().await;
    for _ in 0..60 {
        world.playground.command(MAYA, "/debrief history").await.unwrap();
    }
    world.settle().await;
    let said: Vec<String> = world.playground.whispers(MAYA).iter().map(plain::message).collect();
    let kind = said.iter().filter(|line| line.contains("a lot at once")).count();
    assert_eq!((said.len(), kind), (21, 1), "twenty answers, one kind line, then silence");
    assert!(world.command(TOM, "/debrief history").await.contains("debriefs"));
    // An answer is taken all the same.
    world.press(MAYA, "No").await;
    assert!(world.conversation(MAYA)[0].contains("✓ No"));
    world.pass(SignedDuration::from_mins(1)).await;
    world.playground.command(MAYA, "/debrief history").await.unwrap();
    world.settle().await;
    assert_eq!(world.playground.whispers(MAYA).len(), 22, "forgiven");
}

/// The program itself, with its secrets in files and its log at its loudest.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn s03_secrets_show_in_no_argument_no_environment_and_no_log() {
    let _mode = http_mode();
    let world = World::asleep(&[acme()], "[log]\nlevel = \"trace\"\n").await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = world.config_text().replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    std::fs::write(world.path("c.toml"), config).unwrap();
    let bot_token = world.playground.bot_token().to_owned();
    std::fs::write(world.path("bot"), &bot_token).unwrap();
    std::fs::write(world.path("signing"), SIGNING_SECRET).unwrap();
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_debrief"))
        .args(["--config", "c.toml", "run"])
        .current_dir(world.folder.path())
        .env_remove("DEBRIEF_SLACK_BOT_TOKEN")
        .env("DEBRIEF_SLACK_BOT_TOKEN_FILE", "bot")
        .env("DEBRIEF_SLACK_SIGNING_SECRET_FILE", "signing")
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
    let mut seen = read_until(&mut log, "debrief is at work").await;

    // The old secret works, and after SIGHUP the new one does.
    let new = "fedcba9876543210fedcba9876543210";
    let canary = "canary-7f3a-words";
    let answer = post(port, SIGNING_SECRET, &message(canary, "Ev1")).await;
    assert_eq!(answer, StatusCode::OK);
    assert_eq!(post(port, new, &message(canary, "Ev2")).await, StatusCode::UNAUTHORIZED);
    std::fs::write(world.path("signing"), format!("{SIGNING_SECRET}\n{new}\n")).unwrap();
    signal(&program, "-HUP");
    seen += &read_until(&mut log, "read anew").await;
    assert_eq!(post(port, new, &message(canary, "Ev3")).await, StatusCode::OK);

    let proc = format!("/proc/{}", program.id().unwrap());
    for file in ["cmdline", "environ"] {
        seen += &String::from_utf8_lossy(&std::fs::read(format!("{proc}/{file}")).unwrap());
    }
    signal(&program, "-TERM");
    while let Some(line) = log.next_line().await.unwrap() {
        seen += &line;
    }
    assert!(program.wait().await.unwrap().success(), "SIGTERM ends it in order");
    assert!(seen.contains("DEBRIEF_SLACK_SIGNING_SECRET_FILE") && seen.contains("TRACE"));
    for secret in [bot_token.as_str(), SIGNING_SECRET, new, canary] {
        let near = seen.find(secret).map(|at| &seen[at.saturating_sub(80)..at]);
        assert_eq!(near, None, "a secret shows");
    }
}

type Log = Lines<BufReader<tokio::process::ChildStderr>>;

async fn read_until(log: &mut Log, mark: &str) -> String {
    let mut seen = String::new();
    let reading = async {
        while let Some(line) = log.next_line().await.unwrap() {
            seen.push_str(&line);
            if line.contains(mark) {
                return;
            }
        }
        panic!("it ended before {mark:?}");
    };
    tokio::time::timeout(Duration::from_mins(1), reading).await.unwrap();
    seen
}

fn signal(program: &tokio::process::Child, name: &str) {
    let id = program.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// Signed now, by the clock on the wall.
async fn post(port: u16, secret: &str, body: &str) -> StatusCode {
    #[expect(clippy::disallowed_methods, reason = "the program has no other clock")]
    let request = signed(secret, jiff::Timestamp::now().as_second(), body);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut post = client.post(format!("http://127.0.0.1:{port}/slack/events"));
    for (name, value) in &request.headers {
        post = post.header(*name, value);
    }
    post.body(request.body).send().await.unwrap().status()
}
