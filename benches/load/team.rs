//! A thousand reps with calendars of their own: how many buttons a second the program takes while
//! all calendars are read every ten seconds, and its memory.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use debrief::app::{Running, SystemClock};
use debrief::config::Config;
use debrief::config::secrets::Secrets;
use debrief::playground::server::Playground;
use debrief::playground::state::Message;
use debrief::slack::pace::Pace;
use rusqlite::Connection;

use crate::bot::{Bot, configure, press, workspace};
use crate::crowd::{chat_id, email};
use crate::report::{Report, ms, number, quantile};

const REPS: usize = 1000;
const ASKED: usize = 100;
const START_MS: f64 = 1000.0;
/// Taps a second, for how long, and what the 99th percentile may be in milliseconds.
const RATES: [(u32, u32, f64); 2] = [(200, 8, 25.0), (2000, 5, 100.0)];
const RESIDENT_MIB: f64 = 64.0;

pub(crate) async fn measure(report: &mut Report) {
    report.part("A thousand reps whose calendars are read all the time");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = folder.path();
    let playground = workspace(REPS).await;
    let config = configure(folder, &playground);
    write_calendars(folder);
    let prompts = fill(&config, &playground).await;

    let before = taps_stored(folder);
    let began = Instant::now();
    let bot = Bot::start(&config, &playground);
    playground.connected(1).await.unwrap();
    report.at_most("start to connected", ms(began.elapsed()), "ms", START_MS);
    playground.connected(2).await.unwrap();
    let mut taps = 0;
    for (per_second, seconds, target) in RATES {
        let cpu = bot.cpu();
        let (mut times, lost) = press(&playground, &prompts, per_second, seconds).await;
        let cpu = bot.cpu().saturating_sub(cpu) / u32::try_from(times.len()).unwrap();
        taps += times.len() - lost;
        report.fact("taps without acknowledgement", number(lost), "");
        let what = format!("{per_second} taps/s over sockets, acknowledged, median");
        report.fact(&what, ms(quantile(&mut times, 0.5)), "ms");
        report.at_most("  99th percentile", ms(quantile(&mut times, 0.99)), "ms", target);
        report.fact("  processor for each, calendars included", ms(cpu), "ms");
    }
    // Every tap that was acknowledged is in the store, once.
    let stored = taps_stored(folder) - before;
    report.at_least("acknowledged taps stored", number(stored) / number(taps), "of 1", 1.0);
    report.at_most("resident", bot.memory("VmRSS"), "MiB", RESIDENT_MIB);
    drop(bot);
    playground.stop().await;
}

fn write_calendars(folder: &Path) {
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
        let manager = if number == 0 { String::new() } else { email(0) };
        let (email, file) = (email(number), file.display());
        writeln!(roster, "{email},Rep {number},{role},{manager},ics:{file},").unwrap();
    }
    std::fs::write(folder.join("roster.csv"), roster).unwrap();
}

/// Everybody is known in Slack, every calendar was read, some people have an open question.
async fn fill(config: &Path, playground: &Playground) -> Vec<(String, Message)> {
    let config = Config::load(config).unwrap();
    let secrets = Secrets::for_sockets(playground.bot_token(), playground.app_token());
    let running =
        Running::start(&config, &secrets, Arc::new(SystemClock), Pace::unlimited()).await.unwrap();
    playground.connected(1).await.unwrap();
    while playground.calls("users.lookupByEmail").len() < REPS {
        running.catch_up().await;
    }
    for number in 0..ASKED {
        playground.command(&chat_id(number), "/debrief now Acme").await.unwrap();
    }
    let asked = playground.eventually("questions", |playground| {
        let question = |rep| Some((chat_id(rep), playground.from_bot(&chat_id(rep)).pop()?));
        (0..ASKED).map(question).collect()
    });
    let asked = asked.await.unwrap();
    running.stop().await;
    asked
}

fn taps_stored(folder: &Path) -> usize {
    let store = Connection::open(folder.join("debrief.db")).unwrap();
    store.query_row("SELECT count(*) FROM inbound_seen", [], |row| row.get(0)).unwrap()
}
