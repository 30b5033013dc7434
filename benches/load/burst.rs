//! Ten thousand meetings end at the same moment, in a store with a million answers; meanwhile people
//! go on pressing buttons.
//!
//! How fast the questions drain is Slack's decision; `slack::pace` proves in virtual time how close we
//! come to it. Here it is about everything else: memory, and that nobody who presses a button waits.

use std::path::Path;
use std::time::{Duration, Instant};

use debrief::app::SystemClock;
use debrief::playground::server::Playground;
use debrief::playground::state::Message;
use debrief::ports::Clock;
use jiff::SignedDuration;
use rusqlite::{Connection, params};

use crate::bot::{Bot, configure, press, workspace};
use crate::crowd::{REPS, chat_id, id, roster};
use crate::report::{Report, ms, number, quantile};

const PER_SECOND: u32 = 200;
const SECONDS: u32 = 8;
/// Who presses buttons.
const AWAKE: usize = 8;

const START_MS: f64 = 300.0;
const ACKNOWLEDGED_MS: f64 = 25.0;
const IDLE_MIB: f64 = 40.0;
const BURST_MIB: f64 = 80.0;

/// `folder` holds the big store.
pub(crate) async fn measure(folder: &Path, report: &mut Report) {
    report.part("Ten thousand questions at once, with ten thousand reps and a million answers");
    let playground = workspace(REPS).await;
    let config = configure(folder, &playground);
    std::fs::write(folder.join("roster.csv"), roster()).unwrap();
    let due_at = SystemClock.now() + SignedDuration::from_secs(14);
    plan(&folder.join("debrief.db"), due_at);

    let began = Instant::now();
    let bot = Bot::start(&config, &playground);
    playground.connected(1).await.unwrap();
    report.at_most("start to connected", ms(began.elapsed()), "ms", START_MS);
    playground.connected(2).await.unwrap();
    let prompts = ask(&playground).await;
    report.at_most("resident, nothing to do", bot.memory("VmRSS"), "MiB", IDLE_MIB);
    let (mut times, _) = press(&playground, &prompts, PER_SECOND, 3).await;
    let idle = quantile(&mut times, 0.99);
    report.at_most("acknowledged before, 99 %", ms(idle), "ms", ACKNOWLEDGED_MS);

    let left = Duration::try_from(due_at.duration_since(SystemClock.now())).unwrap_or_default();
    tokio::time::sleep(left).await;
    let posted = playground.calls("chat.postMessage").len();
    let (mut times, lost) = press(&playground, &prompts, PER_SECOND, SECONDS).await;
    report.fact("taps without acknowledgement", number(lost), "");
    report.at_most(
        "acknowledged during, 99 %",
        ms(quantile(&mut times, 0.99)),
        "ms",
        ACKNOWLEDGED_MS,
    );
    report.at_most("resident, at most", bot.memory("VmHWM"), "MiB", BURST_MIB);
    let posted = playground.calls("chat.postMessage").len() - posted;
    report.fact("questions posted meanwhile", number(posted), "");
    drop(bot);
    playground.stop().await;
}

/// Everybody but those who press buttons has a meeting that has just ended.
fn plan(path: &Path, due_at: jiff::Timestamp) {
    let mut connection = Connection::open(path).unwrap();
    let tx = connection.transaction().unwrap();
    let due_at = due_at.as_second();
    for rep in AWAKE..REPS {
        tx.prepare_cached(
            "INSERT INTO meeting (rep_id, uid, original_start, title, starts_at, ends_at, is_busy,
                is_customer, kind, account_key, account_name, guests)
             VALUES (?1, 'by-hand:burst', ?2, 'Call', ?2, ?3, 1, 1, 'demo', 'acme.example', 'Acme',
                'Kim Lee')",
        )
        .unwrap()
        .execute(params![id(rep), due_at - 3900, due_at - 300])
        .unwrap();
        let meeting = tx.last_insert_rowid();
        tx.prepare_cached(
            "INSERT INTO debrief (meeting_id, rep_id, state, due_at) VALUES (?1, ?2, 'planned', ?3)",
        )
        .unwrap()
        .execute(params![meeting, id(rep), due_at])
        .unwrap();
    }
    tx.commit().unwrap();
}

/// Some people have a question in front of them.
async fn ask(playground: &Playground) -> Vec<(String, Message)> {
    // Few enough that our own pace with Slack lets them through at once.
    let people = 0..AWAKE;
    for rep in people.clone() {
        playground.command(&chat_id(rep), "/debrief now Acme").await.unwrap();
    }
    let asked = playground.eventually("questions", |playground| {
        people
            .clone()
            .map(|rep| Some((chat_id(rep), playground.from_bot(&chat_id(rep)).pop()?)))
            .collect()
    });
    asked.await.unwrap()
}
