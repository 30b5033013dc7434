//! The fuzz targets: each takes any bytes and panics where a promise is broken.
//!
//! One file for two uses: `cargo fuzz` runs them under libFuzzer, and `tests/it/fuzz.rs` runs them
//! as property tests on mutated entries of the same corpus, wherever `cargo test` runs.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use debrief::config::Config;
use debrief::domain::person::PersonId;
use debrief::domain::privacy::Viewer;
use debrief::domain::roster;
use debrief::ports::inbound::Inbound;
use debrief::ports::outbound::{Piece, Span, Whisper};
use debrief::store::Store;
use debrief::store::dossier::Table;
use debrief::store::history::{HistoryFilter, HistoryScope};
use debrief::{calendar, flows, slack};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A target with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

pub const ALL: [Target; 15] = [
    ("ics_parse", ics_parse),
    ("rrule_expand", rrule_expand),
    ("slack_view_submission", slack_view_submission),
    ("slack_block_actions", slack_block_actions),
    ("slack_event", slack_event),
    ("slash_command_form", slash_command_form),
    ("mrkdwn_render", mrkdwn_render),
    ("fts_query_build", fts_query_build),
    ("config_toml", config_toml),
    ("roster_csv", roster_csv),
    ("time_expr", time_expr),
    ("history_query", history_query),
    ("signature_verify", signature_verify),
    ("csv_cell", csv_cell),
    ("google_events", google_events),
];

/// Far above what anything may take, for machines that are busy.
const LONG: Duration = Duration::from_secs(20);

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_773_150_000).expect("a valid time")
}

fn week() -> (Timestamp, Timestamp) {
    (now(), now() + SignedDuration::from_hours(7 * 24))
}

/// A whole calendar file.
pub fn ics_parse(data: &[u8]) {
    let began = Instant::now();
    for meeting in calendar::fuzzing::read(data, week()) {
        assert!(meeting.start <= meeting.end);
    }
    assert!(began.elapsed() < LONG, "a calendar takes too long");
}

/// The end of an event: a rule, then whatever follows it.
pub fn rrule_expand(data: &[u8]) {
    let mut file = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART:20240101T100000Z\r\n\
                     DURATION:PT30M\r\nRRULE:"
        .to_vec();
    file.extend_from_slice(data);
    file.extend_from_slice(b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
    let began = Instant::now();
    let found = calendar::fuzzing::read(&file, week());
    // The data may hold further events.
    let most = 501 * (1 + data.windows(6).filter(|part| *part == b"BEGIN:").count());
    assert!(found.len() <= most, "{} occurrences", found.len());
    assert!(began.elapsed() < LONG, "a rule takes too long");
}

/// A page of Google's, and the same as a refusal.
pub fn google_events(data: &[u8]) {
    let began = Instant::now();
    let window = week();
    if let Ok((found, warnings)) = calendar::fuzzing::google_page(data, window) {
        let mut keys: Vec<_> = found.iter().map(|one| (&one.uid, one.original_start)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), found.len(), "each meeting once");
        for meeting in &found {
            assert!(meeting.start <= meeting.end && !meeting.uid.is_empty());
            assert!(meeting.start < window.1 && meeting.end > window.0);
            assert!(meeting.attendees.iter().all(|guest| guest.email.contains('@')));
        }
        assert!(warnings.iter().all(|line| line.contains(" entries ") && !line.contains('@')));
    }
    for status in [200, 400, 401, 403, 404, 410, 429, 503] {
        for reason in calendar::fuzzing::google_refusals(status, data, now()) {
            assert!(reason.len() < 500 && !reason.contains(['\n', '@']), "{reason}");
            assert!(reason.contains(&status.to_string()), "{reason}");
        }
    }
    assert!(began.elapsed() < LONG, "a page takes too long");
}

fn read(kind: &str, payload: &Value) -> Option<Inbound> {
    let frame = json!({
        "type": kind, "envelope_id": "e1", "accepts_response_payload": true, "payload": payload,
    });
    let raw = frame.to_string();
    let first = slack::fuzzing::frame(&raw);
    // The keys under which a redelivery is known are the same whenever it comes.
    let again = slack::fuzzing::frame(&raw);
    assert_eq!(first.as_ref().map(|one| &one.keys), again.as_ref().map(|one| &one.keys));
    first
}

/// The data as JSON, else as a text in place of `"@"` in `template`.
fn payload(data: &[u8], template: &str) -> Value {
    serde_json::from_slice(data).unwrap_or_else(|_| {
        let words = Value::String(text(data)).to_string();
        serde_json::from_str(&template.replace("\"@\"", &words)).unwrap_or(Value::Null)
    })
}

pub fn slack_view_submission(data: &[u8]) {
    let template = r#"{"type":"view_submission","user":{"id":"U1"},"team":{"id":"T1"},
        "trigger_id":"1.2","view":{"id":"V1","hash":"h","private_metadata":"@",
        "state":{"values":{"reflect":{"a":{"type":"plain_text_input","value":"@"}}}}}}"#;
    read("interactive", &payload(data, template));
}

pub fn slack_block_actions(data: &[u8]) {
    let template = r#"{"type":"block_actions","user":{"id":"U1"},"team":{"id":"T1"},
        "trigger_id":"1.2","container":{"channel_id":"D1","message_ts":"1.2"},
        "response_url":"https://hooks.slack.com/x","actions":[{"action_id":"a","action_ts":"1.3",
        "type":"button","block_id":"b","value":"@"}]}"#;
    read("interactive", &payload(data, template));
}

pub fn slack_event(data: &[u8]) {
    let template = r#"{"type":"event_callback","event_id":"Ev1","team_id":"T1","event":
        {"type":"message","channel_type":"im","channel":"D1","user":"U1","ts":"1.2","text":"@"}}"#;
    read("events_api", &payload(data, template));
    // And the frame as a whole.
    slack::fuzzing::frame(&text(data));
}

/// What follows the slash.
pub fn slash_command_form(data: &[u8]) {
    let typed = text(data);
    let payload = json!({
        "command": "/debrief", "text": typed, "user_id": "U1", "team_id": "T1",
        "trigger_id": "1.2", "response_url": "https://hooks.slack.com/x",
    });
    assert!(read("slash_commands", &payload).is_some());
    if let Err(problem) = flows::command::parse(&typed) {
        assert!(problem.chars().count() < 200, "{problem}");
    }
}

/// Whatever people write is shown and is never markup.
pub fn mrkdwn_render(data: &[u8]) {
    let words = text(data);
    let whisper = Whisper {
        replaces: false,
        body: vec![
            Piece::Heading(words.clone()),
            Piece::Text(vec![Span::Plain(words.clone()), Span::Bold(words.clone())]),
            Piece::Small(words.clone()),
        ],
    };
    let sent = slack::fuzzing::whisper(&whisper);
    let shown = sent["text"].as_str().expect("a text");
    assert!(!shown.contains(['<', '>']), "{shown:?}");
    assert!((1..=4000).contains(&shown.encode_utf16().count()));
    let all = sent.to_string();
    assert!(serde_json::from_str::<Value>(&all).is_ok());
    assert!(!all.contains("\"mrkdwn\"") || words.contains("mrkdwn"));
    let hides = |c: char| {
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
            || (c.is_control() && c != '\n')
    };
    assert!(!shown.contains(hides), "{shown:?}");
    assert!(slack::fuzzing::escaped(&words, 40).encode_utf16().count() <= 40);
    // What Slack sends back of it is what was written.
    let plain: String = words.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    assert_eq!(slack::fuzzing::typed(&slack::fuzzing::escaped(&plain, usize::MAX)), plain);
    slack::fuzzing::typed(&words);
}

/// A store that is empty but for its schema, and something to wait for it with.
fn store() -> &'static (tokio::runtime::Runtime, Store) {
    static STORE: OnceLock<(tokio::runtime::Runtime, Store)> = OnceLock::new();
    STORE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let store = Store::open(&folder.join("fuzz.db"), now()).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        (runtime, store)
    })
}

/// Words to look for: never syntax, so `SQLite` takes all of them.
pub fn fts_query_build(data: &[u8]) {
    let words: Vec<String> = text(data).split(' ').map(str::to_owned).collect();
    let filter = HistoryFilter { words, account: Some(text(data)), ..HistoryFilter::default() };
    let scope = HistoryScope { rep: PersonId(1), viewer: Viewer::Rep, from: None };
    let (runtime, store) = store();
    let found = runtime.block_on(store.read(move |tx| tx.history(scope, &filter, &[], 10)));
    assert!(found.expect("SQLite takes every query").is_empty());
}

/// A configuration: read, or refused in one line that says where.
pub fn config_toml(data: &[u8]) {
    let text = text(data);
    if text.contains("questions") {
        // It would name a file to read.
        return;
    }
    if let Err(error) = Config::parse(&text, "debrief.toml") {
        let error = error.to_string();
        assert!(error.starts_with("debrief.toml"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

pub fn roster_csv(data: &[u8]) {
    let roster = roster::parse(&text(data));
    for person in &roster.people {
        // The one address that they do show is the sample.
        let shown = roster.problems.join("\n").replace("name@example.com", "…");
        assert!(person.email.contains('@'), "{person:?}");
        assert!(!shown.contains(&person.email), "problems show no addresses");
    }
}

/// When a pause ends: later, and within a quarter of a year.
pub fn time_expr(data: &[u8]) {
    for zone in ["Europe/Berlin", "Pacific/Apia", "America/St_Johns"] {
        let zone = TimeZone::get(zone).expect("a zone");
        if let Some(until) = flows::fuzzing::pause(&text(data), now(), &zone) {
            assert!(until > now(), "{until}");
            assert!(until < now() + SignedDuration::from_hours(24 * 100), "{until}");
        }
    }
    // The other expression of time that people write.
    let _ = debrief::domain::schedule::Schedule::parse(&text(data))
        .map(|schedule| schedule.next(now(), &TimeZone::UTC));
}

pub fn history_query(data: &[u8]) {
    flows::fuzzing::query(&text(data));
}

/// Only what was signed is let in, and not a bit of it changed.
pub fn signature_verify(data: &[u8]) {
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    let at = now().as_second().to_string();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [b"v0:", at.as_bytes(), b":", data].concat();
    let tag = ring::hmac::sign(&key, &signed);
    let digits = |hex: String, byte: &u8| format!("{hex}{byte:02x}");
    let signature = tag.as_ref().iter().fold("v0=".to_owned(), digits);
    let holds = |at: &str, signature: &str, body: &[u8]| {
        slack::fuzzing::is_genuine(SECRET, at, signature, body, now())
    };
    assert!(holds(&at, &signature, data));
    for bit in [0, data.len() / 2, data.len().saturating_sub(1)] {
        let mut changed = data.to_vec();
        let Some(byte) = changed.get_mut(bit) else { continue };
        *byte ^= 1 << (bit % 8);
        assert!(!holds(&at, &signature, &changed));
    }
    assert!(!holds(&at, &signature, &[data, b"x"].concat()));
    assert!(!holds(&format!("0{at}"), &signature, data));
    // What an attacker makes up.
    let made_up = text(data);
    let mut lines = made_up.lines();
    let (when, what) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    assert!(!holds(when, what, b"command=%2Fdebrief"));
}

/// A cell comes back as it was, and no spreadsheet takes it for a formula.
pub fn csv_cell(data: &[u8]) {
    let word = text(data);
    let table = Table {
        name: "t",
        columns: vec!["words".to_owned()],
        rows: vec![vec![Value::String(word.clone())]],
    };
    let file = flows::export::as_csv(&table).expect("a file");
    let mut reader = csv::Reader::from_reader(file.as_slice());
    let cells: Vec<String> = reader
        .records()
        .map(|row| row.expect("a row").get(0).expect("a cell").to_owned())
        .collect();
    let [cell] = cells.as_slice() else { panic!("{} rows", cells.len()) };
    assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']), "{cell:?}");
    assert!(*cell == word || *cell == format!("'{word}"), "{cell:?}");
}
