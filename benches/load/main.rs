//! How fast the program starts and acknowledges, and how much memory it takes.
//!
//! `cargo bench --bench load` fills a store with people and open questions, starts the real program
//! on it beside a pretend workspace, and presses 200 buttons a second while the calendars are read
//! again and again. Each line ends in the ratio to its target: below 1 is good.
#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use debrief::app::{Running, SystemClock};
use debrief::config::Config;
use debrief::config::secrets::{Secret, Secrets};
use debrief::playground::clock::TurnableClock;
use debrief::playground::server::Playground;
use debrief::playground::{Member, Settings};
use debrief::ports::Clock;
use debrief::slack::manifest::{COMMANDS, SCOPES};
use debrief::slack::pace::Pace;

const REPS: usize = 1000;
const ASKED: usize = 100;
const PER_SECOND: u32 = 200;
const SECONDS: u32 = 10;

const START: Duration = Duration::from_secs(1);
const ACKNOWLEDGED: Duration = Duration::from_millis(50);
const RESIDENT_MIB: f64 = 64.0;

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let playground = workspace().await;
    write_files(folder.path(), &playground);
    fill(folder.path(), &playground).await;

    let began = Instant::now();
    let mut bot = start(folder.path(), &playground);
    playground.connected(1).await.unwrap();
    let started = began.elapsed();
    report("start to connected", started.as_secs_f64() * 1e3, "ms", START.as_secs_f64() * 1e3);
    playground.connected(2).await.unwrap();

    let mut times = press_buttons(&playground).await;
    times.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let place = (times.len() as f64 * share) as usize;
        times[place.min(times.len() - 1)].as_secs_f64() * 1e3
    };
    let target = ACKNOWLEDGED.as_secs_f64() * 1e3;
    println!("{} taps at {PER_SECOND}/s", times.len());
    report("acknowledged, median", at(0.5), "ms", target);
    report("acknowledged, 99th percentile", at(0.99), "ms", target);
    report("resident memory", resident_mib(&bot), "MiB", RESIDENT_MIB);
    bot.kill().unwrap();
    bot.wait().unwrap();
    playground.stop().await;
}

fn report(what: &str, found: f64, unit: &str, target: f64) {
    println!("{what:32} {found:8.1} {unit:4} {:6.2} of {target} {unit}", found / target);
}

fn id(number: usize) -> String {
    format!("U{number:05}")
}

async fn workspace() -> Playground {
    let member = |number: usize| Member {
        id: id(number),
        name: format!("Rep {number}"),
        email: format!("rep{number}@own.example"),
        zone: "Europe/Berlin".into(),
        ..Member::default()
    };
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        workspace: "Own".into(),
        zone: "Europe/Berlin".into(),
        people: (0..REPS).map(member).collect(),
        stops: vec![],
        commands: COMMANDS.iter().map(|name| ((*name).into(), String::new())).collect(),
        shortcuts: vec![],
        scopes: SCOPES.iter().map(|scope| (*scope).into()).collect(),
        haste: 1,
    };
    let clock = Arc::new(TurnableClock::running(SystemClock.now()));
    Playground::start(settings, clock).await.unwrap()
}

fn write_files(folder: &Path, playground: &Playground) {
    let mut roster = "email,name,role,manager_email,calendar,zone\n".to_owned();
    for number in 0..REPS {
        let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//b//EN\r\n".to_owned();
        for event in 0..40 {
            write!(
                text,
                "BEGIN:VEVENT\r\nUID:{number}-{event}\r\nSUMMARY:Weekly call {event}\r\n\
                 DTSTART;TZID=Europe/Berlin:202601{:02}T{:02}0000\r\nDURATION:PT30M\r\n\
                 RRULE:FREQ=WEEKLY\r\nATTENDEE:mailto:rep{number}@own.example\r\n\
                 ATTENDEE;CN=Kim Lee:mailto:kim@firm{event}.example\r\nEND:VEVENT\r\n",
                5 + event % 5,
                9 + event / 5
            )
            .unwrap();
        }
        text.push_str("END:VCALENDAR\r\n");
        let file = folder.join(format!("{number}.ics"));
        std::fs::write(&file, text).unwrap();
        let role = if number == 0 { "rep;manager" } else { "rep" };
        let manager = if number == 0 { "" } else { "rep0@own.example" };
        let file = file.display();
        writeln!(roster, "rep{number}@own.example,Rep {number},{role},{manager},ics:{file},")
            .unwrap();
    }
    std::fs::write(folder.join("roster.csv"), roster).unwrap();
    let path = |name: &str| format!("{:?}", folder.join(name).display().to_string());
    let config = format!(
        "[slack]\napi_url = {:?}\n[store]\npath = {}\n[roster]\nfile = {}\n\
         [meetings]\nown_domains = [\"own.example\"]\n[http]\nlisten = \"off\"\n\
         [calendar]\nrefresh = \"10s\"\n\
         [log]\nlevel = \"error\"\n",
        playground.api_url(),
        path("debrief.db"),
        path("roster.csv")
    );
    std::fs::write(folder.join("debrief.toml"), config).unwrap();
}

/// Everybody is known in Slack, every calendar was read, some people have an open question.
async fn fill(folder: &Path, playground: &Playground) {
    let config = Config::load(&folder.join("debrief.toml")).unwrap();
    let secrets = Secrets {
        bot_token: Secret::new(playground.bot_token()),
        app_token: Secret::new(playground.app_token()),
    };
    let running =
        Running::start(&config, &secrets, Arc::new(SystemClock), Pace::unlimited()).await.unwrap();
    playground.connected(1).await.unwrap();
    while playground.calls("users.lookupByEmail").len() < REPS {
        running.catch_up().await;
    }
    for number in 0..ASKED {
        playground.command(&id(number), "/debrief now Acme").await.unwrap();
    }
    playground
        .eventually("questions", |playground| {
            let asked = |number| !playground.from_bot(&id(number)).is_empty();
            (0..ASKED).all(asked).then_some(())
        })
        .await
        .unwrap();
    running.stop().await;
}

fn start(folder: &Path, playground: &Playground) -> Child {
    Command::new(env!("CARGO_BIN_EXE_debrief"))
        .args(["run", "--config"])
        .arg(folder.join("debrief.toml"))
        .env("DEBRIEF_SLACK_BOT_TOKEN", playground.bot_token())
        .env("DEBRIEF_SLACK_APP_TOKEN", playground.app_token())
        .spawn()
        .unwrap()
}

/// From each tap to its acknowledgement, as the workspace sees it.
async fn press_buttons(playground: &Playground) -> Vec<Duration> {
    let prompts: Vec<_> =
        (0..ASKED).map(|number| playground.from_bot(&id(number)).pop().unwrap()).collect();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut taps = tokio::task::JoinSet::new();
    for tap in 0..(PER_SECOND * SECONDS) as usize {
        ticks.tick().await;
        let playground = playground.clone();
        let (person, prompt) = (id(tap % ASKED), prompts[tap % ASKED].clone());
        let label = if (tap / ASKED).is_multiple_of(2) { "Firm yes" } else { "No" };
        taps.spawn(async move {
            let began = Instant::now();
            playground.press(&person, &prompt, label).await.unwrap();
            began.elapsed()
        });
    }
    taps.join_all().await
}

fn resident_mib(bot: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bot.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
