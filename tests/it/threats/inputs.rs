//! What comes in through calendars, files and words.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use debrief::calendar::CalendarSettings;
use debrief::calendar::guard::Names;
use debrief::calendar::ics::IcsCalendar;
use debrief::config::Config;
use debrief::domain::roster::source::CalendarSource;
use debrief::playground::faults::Fault;
use debrief::ports::{Calendar, CalendarRequest};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{LEO, MAYA, ROSTER, World, install_tls, meeting};

const PRIVATE: &str = "the address leads into a private network, which is refused; if the calendar \
                       is yours, set calendar.allow_private";
const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n";

/// A name service of whoever attacks us: its answers, one look-up after the other.
#[derive(Default)]
struct Fickle {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: Mutex<usize>,
}

#[async_trait]
impl Names for Fickle {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        *self.asked.lock().unwrap() += 1;
        self.answers.lock().unwrap().pop().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// `answers` in the order of the look-ups.
fn fickle(answers: &[&[&str]]) -> Arc<Fickle> {
    let parsed = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
    let answers = answers.iter().rev().map(parsed).collect();
    Arc::new(Fickle { answers: Mutex::new(answers), asked: Mutex::default() })
}

fn reader(names: &Arc<Fickle>, change: impl FnOnce(&mut CalendarSettings)) -> IcsCalendar {
    install_tls();
    let mut settings =
        CalendarSettings { timeout: Duration::from_secs(20), ..CalendarSettings::default() };
    change(&mut settings);
    IcsCalendar::with_names(&settings, Arc::clone(names) as Arc<dyn Names>).unwrap()
}

/// How many meetings there are, or why it could not be read.
async fn read(reader: &IcsCalendar, address: &str) -> Result<usize, String> {
    let from = "2026-03-01T00:00:00Z".parse().unwrap();
    let to = "2026-03-08T00:00:00Z".parse().unwrap();
    let request = CalendarRequest {
        source: CalendarSource::IcsUrl(address.to_owned()),
        email: "maya@example.com".to_owned(),
        zone: TimeZone::UTC,
        window: (from, to),
        known: None,
    };
    let reading = reader.read(&request).await.map_err(|error| error.reason)?;
    Ok(reading.occurrences.len())
}

/// A server on this machine that handles each connection so; its port.
async fn serving<F, T>(handle: F) -> u16
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2048];
            // What is asked for does not matter.
            let _ = stream.read(&mut request).await;
            tokio::spawn(handle(stream));
        }
    });
    port
}

async fn answering(head: String, body: Vec<u8>) -> u16 {
    serving(move |mut stream| {
        let (head, body) = (head.clone(), body.clone());
        async move {
            let length = body.len();
            let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n");
            // The client may have had enough.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
    })
    .await
}

#[tokio::test]
async fn s05_a_name_that_leads_into_a_private_network_is_refused() {
    for answer in [
        &["127.0.0.1"][..],
        &["::1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["::ffff:192.168.0.1"],
        &["64:ff9b::a00:1"],
        &["fd00::1"],
        &["0.0.0.0"],
        // One public address does not make the other one better.
        &["1.1.1.1", "127.0.0.1"],
    ] {
        let names = fickle(&[answer]);
        let refused = read(&reader(&names, |_| ()), "https://cal.example/a.ics").await;
        assert_eq!(refused.unwrap_err(), PRIVATE, "{answer:?}");
    }
}

#[tokio::test]
async fn s05_a_name_is_looked_up_once_and_what_was_judged_is_connected_to() {
    let port = answering("200 OK".into(), CALENDAR.into()).await;
    // Whoever looked again would be led to nowhere.
    let names = fickle(&[&["127.0.0.1"], &["127.0.0.77"]]);
    let open = reader(&names, |settings| {
        settings.allow_private = true;
        settings.allow_http = true;
    });
    assert_eq!(read(&open, &format!("http://cal.example:{port}/a.ics")).await, Ok(0));
    assert_eq!(*names.asked.lock().unwrap(), 1);
    // A name that was harmless a moment ago is judged anew with each connection.
    let names = fickle(&[&["127.0.0.1"], &["127.0.0.1"]]);
    let strict = reader(&names, |_| ());
    for _ in 0..2 {
        let refused = read(&strict, &format!("https://cal.example:{port}/a.ics")).await;
        assert_eq!(refused.unwrap_err(), PRIVATE);
    }
}

#[tokio::test]
async fn s05_an_address_of_this_machine_works_only_in_its_plain_spelling() {
    let port = answering("200 OK".into(), CALENDAR.into()).await;
    let names = fickle(&[&["127.0.0.1"]]);
    let strict = reader(&names, |_| ());
    assert_eq!(read(&strict, &format!("http://127.0.0.1:{port}/a.ics")).await, Ok(0));
    assert_eq!(read(&strict, &format!("http://localhost:{port}/a.ics")).await, Ok(0));
    for host in ["0x7f.1", "2130706433", "127.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "127.0.0.1."]
    {
        let refused = read(&strict, &format!("http://{host}:{port}/a.ics")).await;
        assert_eq!(refused.unwrap_err(), PRIVATE, "{host}");
    }
    for host in ["localhost.", "localhost.localdomain"] {
        let names = fickle(&[&["127.0.0.1"]]);
        let strict = reader(&names, |settings| settings.allow_http = true);
        let refused = read(&strict, &format!("http://{host}:{port}/a.ics")).await;
        assert_eq!(refused.unwrap_err(), PRIVATE, "{host}");
    }
}

#[tokio::test]
async fn s05_every_redirect_is_judged_like_the_first_address() {
    for (target, reason) in [
        ("http://169.254.169.254/latest/meta-data/", PRIVATE),
        ("https://[::ffff:169.254.169.254]/", PRIVATE),
        ("http://0xa9.0xfe.0xa9.0xfe/", PRIVATE),
        ("//10.0.0.1/a.ics", PRIVATE),
        ("https://cal.example/a.ics", PRIVATE),
        ("ftp://cal.example/a.ics", "the address is neither http nor https"),
        (
            "https://me:pw@cal.example/",
            "the address holds a user name or password; publish the calendar under a secret address",
        ),
        ("/again", "the server redirects in a circle"),
    ] {
        let port = answering(format!("302 Found\r\nlocation: {target}"), Vec::new()).await;
        let names = fickle(&[&["192.168.1.1"]]);
        let strict = reader(&names, |_| ());
        let refused = read(&strict, &format!("http://127.0.0.1:{port}/a.ics")).await;
        assert_eq!(refused.unwrap_err(), reason, "{target}");
    }
    let end = answering("200 OK".into(), CALENDAR.into()).await;
    let port = answering(format!("301 Moved\r\nlocation: http://localhost:{end}/b"), vec![]).await;
    let names = fickle(&[&["127.0.0.1"]]);
    let strict = reader(&names, |_| ());
    assert_eq!(read(&strict, &format!("http://127.0.0.1:{port}/a.ics")).await, Ok(0));
}

#[tokio::test]
async fn s05_a_compressed_bomb_is_cut_off_and_a_page_is_not_read_to_its_end() {
    // 64 MiB of nothing in 64 KiB.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(b"BEGIN:VCALENDAR\r\nX:").unwrap();
    for _ in 0..64 {
        bomb.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 200_000);
    let port = answering("200 OK\r\ncontent-encoding: gzip".into(), bomb).await;
    let names = fickle(&[]);
    let strict = reader(&names, |settings| settings.max_bytes = 1 << 20);
    let refused = read(&strict, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(refused.starts_with("larger than calendar.max_bytes"), "{refused}");
    let page = format!("<!DOCTYPE html><html>{}", "log in ".repeat(2000));
    let port = serving(move |mut stream| {
        let page = page.clone();
        async move {
            let head = format!("HTTP/1.1 200 OK\r\n\r\n{page}");
            let _ = stream.write_all(head.as_bytes()).await;
            // The rest of the page never comes.
            std::future::pending::<()>().await;
        }
    })
    .await;
    let refused = read(&strict, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(refused.starts_with("a web page instead of a calendar"), "{refused}");
}

#[tokio::test]
async fn s05_a_server_that_trickles_is_left() {
    let port = serving(|mut stream| async move {
        let mut often = tokio::time::interval(Duration::from_millis(5));
        let head = b"HTTP/1.1 200 OK\r\n\r\nBEGIN:VCALENDAR\r\n";
        if stream.write_all(head).await.is_err() {
            return;
        }
        // One byte after the other, for as long as anybody listens.
        while stream.write_all(b"x").await.is_ok() {
            often.tick().await;
        }
    })
    .await;
    let names = fickle(&[]);
    let hasty = reader(&names, |settings| settings.timeout = Duration::from_millis(300));
    let refused = read(&hasty, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(refused, "the server did not answer in time (calendar.timeout)");
}

/// Reads a hostile calendar from a file; what came of it, and how long it took.
async fn hostile(events: &str) -> (Result<usize, String>, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ics");
    let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n");
    std::fs::write(&path, text).unwrap();
    let names = fickle(&[]);
    let reader = reader(&names, |_| ());
    let request = CalendarRequest {
        source: CalendarSource::IcsFile(path.display().to_string()),
        email: "maya@example.com".to_owned(),
        zone: TimeZone::UTC,
        window: ("2026-03-01T00:00:00Z".parse().unwrap(), "2026-03-08T00:00:00Z".parse().unwrap()),
        known: None,
    };
    let began = Instant::now();
    let reading = reader.read(&request).await;
    let found = reading.map(|read| read.occurrences.len()).map_err(|error| error.reason);
    (found, began.elapsed())
}

fn event(body: &str) -> String {
    format!("BEGIN:VEVENT\r\n{body}\r\nEND:VEVENT\r\n")
}

/// Generous: the machine may be busy and the build slow.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn s06_rules_without_end_cost_little_and_hurt_only_themselves() {
    let fine = event("UID:fine\r\nDTSTART:20260303T100000Z\r\nDTEND:20260303T110000Z");
    for rule in [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;BYSECOND=1,2,3,4,5,6,7,8,9,10",
        "FREQ=SECONDLY;COUNT=2000000000",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYHOUR=1,2,3,4,5,6,7,8,9,10;BYSETPOS=366",
        "FREQ=DAILY;INTERVAL=65535;BYSETPOS=-1",
        "FREQ=WEEKLY;BYWEEKNO=53;BYDAY=MO;BYYEARDAY=1",
    ] {
        let bad = event(&format!("UID:bad\r\nDTSTART:19700101T000000Z\r\nRRULE:{rule}"));
        let (found, took) = hostile(&format!("{bad}{fine}")).await;
        assert_eq!(found, Ok(1), "{rule}");
        assert!(took < LONG, "{rule}: {took:?}");
    }
}

#[tokio::test]
async fn s06_what_no_calendar_needs_is_refused_as_a_whole() {
    let mut many = String::new();
    for number in 0..20_001 {
        write!(many, "BEGIN:VEVENT\r\nUID:{number}\r\nDTSTART:20260303T100000Z\r\nEND:VEVENT\r\n")
            .unwrap();
    }
    let (found, took) = hostile(&many).await;
    assert_eq!(found, Err("too many entries; publish fewer past events".into()));
    assert!(took < LONG, "{took:?}");
    let deep = format!("{}{}", "BEGIN:VEVENT\r\n".repeat(2000), "END:VEVENT\r\n".repeat(2000));
    let (found, _) = hostile(&deep).await;
    assert_eq!(found, Err("entries within entries, deeper than any calendar needs".into()));
}

#[tokio::test]
async fn s06_long_lines_and_heaps_of_dates_cost_an_event_only() {
    let fine = event("UID:fine\r\nDTSTART:20260303T100000Z\r\nDTEND:20260303T110000Z");
    // A line too long is left out, folded or not; the rest of its event stays.
    let long = format!("UID:long\r\nDTSTART:20260304T100000Z\r\nSUMMARY:{}", "x".repeat(70_000));
    let folded =
        format!("UID:b\r\nDTSTART:20260304T100000Z\r\nSUMMARY:{}", "y\r\n ".repeat(70_000));
    let (found, _) = hostile(&[event(&long), event(&folded), fine.clone()].concat()).await;
    assert_eq!(found, Ok(3));
    let dates = vec!["20260304T100000Z"; 3500].join(",");
    let dates = |name: &str| format!("{name}:{dates}\r\n").repeat(3);
    for name in ["EXDATE", "RDATE"] {
        let heap = format!("UID:h\r\n{}DTSTART:20260304T100000Z\r\nRRULE:FREQ=HOURLY", dates(name));
        let (found, took) = hostile(&[event(&heap), fine.clone()].concat()).await;
        assert_eq!(found, Ok(1), "{name}");
        assert!(took < LONG, "{name}: {took:?}");
    }
}

#[tokio::test]
async fn f37_a_hundred_megabytes_cost_no_more_than_the_limit() {
    let sent = Arc::new(Mutex::new(0_usize));
    let counted = Arc::clone(&sent);
    let port = serving(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            let head = b"HTTP/1.1 200 OK\r\n\r\nBEGIN:VCALENDAR\r\n";
            let line = vec![b'x'; 1 << 20];
            let mut left = 100;
            let mut going = stream.write_all(head).await.is_ok();
            while going && left > 0 {
                going = stream.write_all(&line).await.is_ok();
                *counted.lock().unwrap() += line.len();
                left -= 1;
            }
        }
    })
    .await;
    let names = fickle(&[]);
    let refused =
        read(&reader(&names, |_| ()), &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(refused.starts_with("larger than calendar.max_bytes"), "{refused}");
    // What lies in the buffers of the connection comes on top.
    let sent = *sent.lock().unwrap();
    assert!(sent < 40 << 20, "{sent} bytes were taken of a limit of 16 MiB");
}

#[tokio::test]
async fn s07_a_hostile_title_is_shown_as_it_is_and_pings_nobody() {
    let title = "<!channel> <@U0LEO> <https://evil.example|Salesforce> \u{202e}&amp; *b*";
    let long = format!("{title} {}", "<!here>".repeat(1500));
    let entry =
        meeting("acme", &long, "2026-03-10T14:00", "2026-03-10T14:45", "kim.lee@acme.example");
    let world = World::new(&[entry]).await;
    world.turn_to("2026-03-10T14:50").await;
    world.press(MAYA, "Nice chat, no step").await;
    world.playground.say(MAYA, "<!channel> <@U0LEO> was &lt;here&gt;");
    world.settle().await;
    world.turn_to("2026-03-16T08:00").await;
    assert_eq!(world.conversation(LEO).len(), 1, "the digest came");
    let mut seen = 0;
    for message in [world.playground.from_bot(MAYA), world.playground.from_bot(LEO)].concat() {
        let foreign = message.text.matches('<').count();
        assert_eq!(foreign, 0, "{}", message.text);
        assert!(message.text.encode_utf16().count() <= 4000);
        let blocks = message.blocks.to_string();
        assert!(!blocks.contains("mrkdwn") && !blocks.contains('\u{202e}'), "{blocks}");
        seen += usize::from(blocks.contains("<!channel>"));
    }
    assert!(seen >= 1, "shown literally, where nothing is markup");
}

#[test]
fn s19_nothing_listens_beyond_this_machine() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/debrief.example.toml"),
    )
    .unwrap();
    let config = Config::parse(&text, "example").unwrap();
    assert!(config.http_listen.unwrap().ip().is_loopback());
    for open in ["0.0.0.0:9464", "[::]:9464", "192.168.1.5:9464"] {
        let text = text.replace("127.0.0.1:9464", open);
        let refused = Config::parse(&text, "example").unwrap_err().to_string();
        assert!(refused.contains("can be reached from other machines"), "{refused}");
    }
}

const CANARY_ANSWER: &str = "Canary-answer would call earlier";
const CANARY_TITLE: &str = "Canary-title demo";

/// Everything that goes wrong or right with secrets in it: what it logs is searched below.
#[tokio::test]
async fn s14_a_story_full_of_secrets() {
    let guest = "kim@canary-guest.example";
    let entry = meeting("canary-uid", CANARY_TITLE, "2026-03-10T14:00", "2026-03-10T14:45", guest);
    let broken = format!("{CANARY_TITLE}\r\nRRULE:FREQ=CANARY-rule\r\nDTSTART:canary-start\r\n");
    let mut world = World::new(&[entry.clone(), format!("SUMMARY:{broken}")]).await;
    world.write_roster(&format!(
        "{ROSTER}bad@canary-roster.example,Canary-name,boss,,ics:http://127.0.0.1:9/canary-feed,\n\
         not-an-address,Canary-name,rep,x@canary-manager.example,webdav:canary-feed,Canary/Zone\n\
         moved@canary-roster.example,Canary-name,https://canary-feed.example/x,,,ics:canary-feed\n\
         nina@own.example,Canary-name,rep,,ics:http://127.0.0.1:9/canary-feed.ics?key=canary-key,\n"
    ));
    for fault in [
        Fault::Refused("canary said: Canary-answer".into()),
        Fault::Broken(500),
        Fault::RateLimited(1),
        Fault::CutAfter,
    ] {
        world.playground.fault("chat.postMessage", fault);
        world.pass(SignedDuration::from_mins(20)).await;
    }
    world.turn_to("2026-03-10T15:10").await;
    world.pass(SignedDuration::from_mins(5)).await;
    for person in [MAYA, LEO] {
        world.playground.fault("views.open", Fault::Refused("no: Canary-answer".into()));
        world.playground.say(person, CANARY_ANSWER);
        world.settle().await;
        for typed in [
            "/debrief history Canary-answer",
            "/debrief history @canary \"Canary-answer",
            "/debrief now Canary-account",
            "/debrief Canary-answer",
        ] {
            // One of them meets a fault.
            let _ = world.playground.command(person, typed).await;
            world.settle().await;
        }
    }
    world.answered(MAYA, "Canary-account", "No", CANARY_ANSWER).await;
    for text in ["<html>Canary-answer</html>", "BEGIN:VCALENDAR\r\nSUMMARY:Canary-title"] {
        world.playground.set_calendar("maya.ics", text);
        world.pass(SignedDuration::from_mins(31)).await;
    }
    world.turn_to("2026-03-16T08:05").await;
    world.playground.revoke_tokens();
    world.pass(SignedDuration::from_mins(5)).await;
    world.stop().await;
    let error = world.try_start().await.err().unwrap();
    assert!(!format!("{error:#?}").contains(world.playground.bot_token()));
}

/// Runs the stories once more with everything logged that can be logged, and searches the log.
#[test]
fn s14_no_answer_title_address_or_token_is_ever_logged() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["stories::", "wire::", "s14_a_story", "--skip", "simulation::"])
        .args(["--nocapture", "--test-threads=4"])
        .env(crate::world::SEARCHED, "1")
        .output()
        .unwrap();
    let log =
        [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned());
    let log = log.concat();
    assert!(output.status.success(), "the stories themselves fail:\n{log}");
    // It is the log, and it tells much.
    assert!(log.contains("debrief is at work") && log.contains("a row is left out"), "{log}");
    let secrets = [
        "anary-",
        "CANARY",
        "Acme",
        "acme",
        "Birk",
        "birk",
        "Call earlier",
        "Kim Lee",
        "kim.lee",
        "@own.example",
        "@firm",
        "maya.ics",
        "tom.ics",
        "xoxb-",
        "xapp-",
        "/response/",
        "/socket/",
        "hooks.slack",
    ];
    let lines = log.lines().filter(|line| !line.starts_with("test "));
    let leaks: Vec<&str> =
        lines.filter(|line| secrets.iter().any(|secret| line.contains(secret))).collect();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// `.ci/run` has cargo-deny look at licences and bans, too; this holds on every machine.
#[test]
fn s17_everything_that_is_built_in_has_one_source_and_a_checksum() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let mut sources = std::collections::BTreeSet::new();
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 100, "the lock file is not read as it should be");
    for package in packages {
        let name = value(package, "name").unwrap();
        if name != "debrief" {
            let checksum = value(package, "checksum");
            assert!(checksum.is_some_and(|sum| sum.len() == 64), "{name} has no checksum");
            sources.insert(value(package, "source").unwrap());
        }
    }
    assert_eq!(sources.len(), 1, "{sources:?}");
    assert!(sources.iter().all(|source| source.starts_with("registry+")), "{sources:?}");
    let rules = std::fs::read_to_string(root.join(".deny.toml")).unwrap();
    for rule in ["unknown-registry = \"deny\"", "unknown-git = \"deny\"", "wildcards = \"deny\""] {
        assert!(rules.contains(rule), ".deny.toml does not say {rule}");
    }
}
