//! Answers over signed HTTP, as fast as so many connections carry them: each sends its next request
//! once the last one was acknowledged. The program has one core for itself, we take the other one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use debrief::app::SystemClock;
use debrief::ports::Clock;
use debrief::store::Store;
use ring::hmac;
use rusqlite::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bot::{Bot, configure_with, workspace};
use crate::crowd::{chat_id, email};
use crate::report::{Report, ms, number, quantile};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const TEAM: &str = "T0PLAY";
/// So many that each has few questions to answer, as in life: their Home tabs list them.
const PEOPLE: usize = 10_000;
/// More than are answered.
const DEBRIEFS: usize = 300_000;
const FOR: Duration = Duration::from_secs(3);
/// Eight times what a bot with Bolt for JavaScript acknowledges that stores one row a request, and a
/// sixth of the processor time that it takes for that.
const FORMS_A_SECOND: f64 = 20_000.0;
const FORM_CPU_MS: f64 = 0.046;

/// What is sent again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A form: how it ended, one text, one rule.
    Form,
    /// A tap on a question.
    Tap,
}

pub(crate) async fn measure(report: &mut Report) {
    report.part("Answers over signed HTTP, on one core");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = folder.path();
    let playground = workspace(PEOPLE).await;
    let port = free_port();
    let slack = format!("mode = \"http\"\nlisten = \"127.0.0.1:{port}\"\n");
    let config = configure_with(folder, &playground, &slack);
    fill(folder);
    let pinned = pin(std::process::id(), "1");
    report.fact("processor cores of the program (0: not pinned)", number(pinned.into()), "");
    let bot = Bot::start_on(pinned.then_some("0"), &config, &playground, SECRET);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What is done at the start is not what we measure.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let next = Arc::new(AtomicUsize::new(0));
    let mut acknowledged = 0;
    for (what, name) in [(What::Form, "forms"), (What::Tap, "taps")] {
        for connections in [1, 16, 64] {
            let (cpu, began) = (bot.cpu(), Instant::now());
            let mut times = send(port, what, connections, &next).await;
            let rate = number(times.len()) / began.elapsed().as_secs_f64();
            let each = ms(bot.cpu().saturating_sub(cpu)) / number(times.len());
            acknowledged += times.len();
            let title = format!("{name} over {connections} connections");
            let is_judged = what == What::Form && connections == 64;
            if is_judged {
                report.at_least(&title, rate, "/s", FORMS_A_SECOND);
                report.at_most("  processor for each", each, "ms", FORM_CPU_MS);
            } else {
                report.fact(&title, rate, "/s");
                report.fact("  processor for each", each, "ms");
            }
            report.fact("  median", ms(quantile(&mut times, 0.5)), "ms");
            report.fact("  99th percentile", ms(quantile(&mut times, 0.99)), "ms");
        }
    }
    index(&bot, folder, report).await;
    pin(std::process::id(), "0-1023");
    // Each has a key of its own, and each was of a person and a debrief that are there.
    let stored = count(folder, "SELECT count(*) FROM inbound_seen");
    report.at_least("acknowledged and stored", stored / number(acknowledged), "of 1", 1.0);
    report.fact("answers in the store", count(folder, "SELECT count(*) FROM answer"), "");
    drop(bot);
    playground.stop().await;
}

/// The words of answers are indexed behind the acknowledgement; what that costs belongs to an answer
/// all the same.
async fn index(bot: &Bot, folder: &Path, report: &mut Report) {
    let left = || count(folder, "SELECT count(*) FROM answer WHERE is_unindexed = 1");
    let waiting = left();
    report.fact("texts whose words are still to be indexed", waiting, "");
    // The background looks every half minute.
    let began = Instant::now();
    while left() >= waiting && began.elapsed() < Duration::from_secs(40) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (cpu, before) = (bot.cpu(), left());
    tokio::time::sleep(FOR).await;
    let done = before - left();
    report.fact("  indexed", done / FOR.as_secs_f64(), "/s");
    report.fact("  processor for each", ms(bot.cpu().saturating_sub(cpu)) / done.max(1.0), "ms");
}

/// Whether it worked: all threads of `process` run on `cores` from now on.
fn pin(process: u32, cores: &str) -> bool {
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", cores, &process.to_string()]);
    command.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn count(folder: &Path, sql: &str) -> f64 {
    let store = Connection::open(folder.join("debrief.db")).unwrap();
    number(store.query_row(sql, [], |row| row.get(0)).unwrap())
}

/// Questions that were asked and nobody has answered; where they stand is not known, as the
/// workspace has no such messages: it would say so, and the people would be taken for gone.
fn fill(folder: &Path) {
    let path = folder.join("debrief.db");
    let now = SystemClock.now();
    Store::open(&path, now).unwrap().close();
    let mut roster = "email,name,role,manager_email,calendar,zone\n".to_owned();
    for rep in 0..PEOPLE {
        writeln!(roster, "{},Rep {rep},rep,,,Europe/Berlin", email(rep)).unwrap();
    }
    std::fs::write(folder.join("roster.csv"), roster).unwrap();
    let connection = Connection::open(path).unwrap();
    let (now, later) = (now.as_second(), now.as_second() + 172_800);
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {PEOPLE})
             INSERT INTO person (id, email, name, is_rep, is_manager, is_admin, roster_zone,
                chat_id, chat_zone, standing, lookup_at, created_at, has_home)
             SELECT i + 1, 'rep' || i || '@own.example', 'Rep ' || i, 1, 0, 0, 'Europe/Berlin',
                printf('U%05d', i), 'Europe/Berlin', 'member', {later}, 0, 1 FROM n;
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n
                WHERE i + 1 < {DEBRIEFS})
             INSERT INTO meeting (id, rep_id, uid, original_start, title, starts_at, ends_at,
                is_busy, is_customer, kind, account_key, account_name, guests)
             SELECT i + 1, i % {PEOPLE} + 1, 'by-hand:' || i, {now} - 3600, 'Call', {now} - 3600,
                {now} - 600, 1, 1, 'demo', 'a.example', 'A', '' FROM n;
             INSERT INTO debrief (id, meeting_id, rep_id, state, due_at, asks, asked_at, expires_at)
             SELECT id, id, rep_id, 'asked', {now}, 1, {now}, {later} FROM meeting;
             COMMIT;
             PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .unwrap();
}

async fn send(port: u16, what: What, connections: usize, next: &Arc<AtomicUsize>) -> Vec<Duration> {
    let mut tasks = tokio::task::JoinSet::new();
    let until = Instant::now() + FOR;
    for _ in 0..connections {
        let next = Arc::clone(next);
        tasks.spawn(async move {
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut times, mut buffer) = (Vec::new(), Vec::new());
            while Instant::now() < until {
                let request = request(what, next.fetch_add(1, Ordering::Relaxed), &key);
                let began = Instant::now();
                stream.write_all(&request).await.unwrap();
                acknowledgement(&mut stream, &mut buffer).await;
                times.push(began.elapsed());
            }
            times
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Nothing but an empty 200 says that it was stored.
async fn acknowledgement(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    while !buffer.windows(4).any(|end| end == b"\r\n\r\n") {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "the connection was closed");
    }
    let text = String::from_utf8_lossy(buffer).to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200 ") && text.contains("content-length: 0"), "{text}");
}

fn request(what: What, number: usize, key: &hmac::Key) -> Vec<u8> {
    let payload = match what {
        What::Form => form(number),
        What::Tap => tap(number),
    };
    let payload: String = form_urlencoded::byte_serialize(payload.as_bytes()).collect();
    let body = format!("payload={payload}");
    let at = SystemClock.now().as_second();
    let tag = hmac::sign(key, format!("v0:{at}:{body}").as_bytes());
    let mut hex = String::with_capacity(64);
    tag.as_ref().iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
    format!(
        "POST /slack/interactivity HTTP/1.1\r\nHost: bot.example\r\nUser-Agent: Slackbot 1.0\r\n\
         Accept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         X-Slack-Request-Timestamp: {at}\r\nX-Slack-Signature: v0={hex}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The debrief of a request, and whose it is.
fn whose(number: usize) -> (usize, String) {
    let place = number % DEBRIEFS;
    (place + 1, chat_id(place % PEOPLE))
}

fn form(number: usize) -> String {
    let (debrief, person) = whose(number);
    let text = "I would ask who else signs before I talk about the price, and send them the short \
                summary the same evening, with the two open points of procurement in it.";
    let blocks = ["ended", "reflect", "cue", "action"].map(|block| {
        serde_json::json!({
            "type": "input", "block_id": block, "optional": true,
            "label": {"type": "plain_text", "text": "What would you do differently?"},
            "element": {"type": "plain_text_input", "action_id": "v", "multiline": true}
        })
    });
    serde_json::json!({
        "type": "view_submission",
        "team": {"id": TEAM, "domain": "own"},
        "user": {"id": person, "username": "rep", "name": "rep", "team_id": TEAM},
        "api_app_id": "A0PLAY", "token": "x", "trigger_id": format!("{number}.2.form"),
        "view": {
            "id": format!("V{number}"), "team_id": TEAM, "type": "modal",
            "private_metadata": format!("{{\"v\":1,\"form\":\"answer\",\"id\":{debrief}}}"),
            "callback_id": "answer", "hash": "1.abc",
            "title": {"type": "plain_text", "text": "Debrief"},
            "blocks": blocks,
            "state": {"values": {
                "ended": {"v": {"type": "radio_buttons", "selected_option": {
                    "text": {"type": "plain_text", "text": "No"}, "value": "no"}}},
                "reflect": {"v": {"type": "plain_text_input", "value": text}},
                "cue": {"v": {"type": "static_select", "selected_option": {
                    "text": {"type": "plain_text", "text": "they ask for price"},
                    "value": "price"}}},
                "action": {"v": {"type": "plain_text_input", "value": "Name the range first."}}
            }}
        },
        "response_urls": [], "is_enterprise_install": false, "enterprise": null
    })
    .to_string()
}

fn tap(number: usize) -> String {
    let (debrief, person) = whose(number);
    serde_json::json!({
        "type": "block_actions",
        "team": {"id": TEAM, "domain": "own"},
        "user": {"id": person, "username": "rep", "name": "rep", "team_id": TEAM},
        "api_app_id": "A0PLAY", "token": "x", "trigger_id": format!("{number}.2.tap"),
        "container": {"type": "message", "message_ts": debrief.to_string(), "channel_id": "D1"},
        "channel": {"id": "D1", "name": "directmessage"},
        "message": {"type": "message", "ts": debrief.to_string(), "text": "How did it end?"},
        "response_url": "http://127.0.0.1:9/actions",
        "actions": [{
            "type": "button", "action_id": "ended.no", "block_id": "b1", "value":
            format!("ended:{debrief}:no"), "action_ts": format!("{number}.1"),
            "text": {"type": "plain_text", "text": "No"}
        }]
    })
    .to_string()
}
