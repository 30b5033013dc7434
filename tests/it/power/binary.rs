//! The real bot, killed and starved, as seen from Slack.
//!
//! Its clock is the real one, so meetings are made around now.

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use debrief::app::SystemClock;
use debrief::playground::deeds::Submitted;
use debrief::playground::plain;
use debrief::ports::Clock as _;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::{Dice, Disk};
use crate::world::{MAYA, ROSTER, TOM, World};

/// Questions come at any hour, as soon as a meeting is over.
const AT_ONCE: &str = "min_length = \"0s\"\n[http]\nlisten = \"off\"\n[prompt]\ndelay = \"0s\"\n\
                       min_gap = \"0s\"\nmax_per_day = 100\nhours = \"00:00-23:59\"\n\
                       days = \"MON-SUN\"\n[calendar]\nrefresh = \"1s\"\n";
const MEETINGS: usize = 10;
const KILLS: u64 = 15;

/// The program, running.
struct Bot(Child);

impl Bot {
    fn start(world: &World, disk: Option<&Disk>) -> Self {
        std::fs::write(world.path("debrief.toml"), world.config_text()).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(world.path("bot.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_debrief"));
        command
            .arg("--config")
            .arg(world.path("debrief.toml"))
            .arg("run")
            .env("DEBRIEF_SLACK_BOT_TOKEN", world.playground.bot_token())
            .env("DEBRIEF_SLACK_APP_TOKEN", world.playground.app_token())
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        if let Some(disk) = disk {
            disk.under(&mut command, world.folder.path(), &world.path("triggers"));
        }
        Self(command.spawn().unwrap())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    async fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the bot goes on");
            pause(20).await;
        }
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Meetings of a second each, one after the other, beginning soon.
fn meetings(who: &str, from: Timestamp) -> Vec<String> {
    let meeting = |number: usize| {
        let start = from + SignedDuration::from_secs(i64::try_from(number).unwrap());
        let ics = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
        format!(
            "UID:{who}{number}\r\nDTSTAMP:20260301T000000Z\r\nSUMMARY:Demo\r\nDTSTART:{}\r\n\
             DTEND:{}\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{who}@own.example\r\n\
             ATTENDEE;CN=Kim;PARTSTAT=ACCEPTED:mailto:kim@{who}{number}x.example\r\n",
            ics(start),
            ics(start + SignedDuration::from_secs(1))
        )
    };
    (0..MEETINGS).map(meeting).collect()
}

/// The account as the bot names it.
fn account(who: &str, number: usize) -> String {
    format!("{}{}{number}x", who[..1].to_uppercase(), &who[1..])
}

/// Fills in the open form about `account` and sends it off; `false` if that did not work out.
async fn fill_and_submit(world: &World, person: &str, account: &str) -> bool {
    let playground = &world.playground;
    let form = playground.eventually("a form", |playground| {
        let view = playground.modal(person).filter(|view| view.body["submit"].is_object())?;
        plain::view(&view).contains(account).then_some(())
    });
    if !tokio::time::timeout(Duration::from_secs(2), form).await.is_ok_and(|form| form.is_ok()) {
        return false;
    }
    let words = format!("words-{account}");
    if playground.fill(person, "differently", &words).await.is_err()
        || playground.fill(person, "How did it end?", "No").await.is_err()
    {
        return false;
    }
    // The form stays open until it was taken: a person presses again.
    for _ in 0..20 {
        match playground.submit(person).await {
            Ok(Submitted::Accepted) => return true,
            Ok(Submitted::Errors(_) | Submitted::Timeout) => pause(100).await,
            Err(_) => return false,
        }
    }
    false
}

/// Questions that were cut off while they were sent: the bot looks for them for a minute or more
/// before it asks again, which is not waited for.
fn in_doubt(world: &World, who: &str) -> usize {
    let store = Connection::open(world.path("debrief.db")).unwrap();
    let doubtful = "SELECT count(*) FROM outbox JOIN person ON person.id = person_id
                    WHERE kind = 'prompt' AND state IN ('sending', 'uncertain') AND email = ?1";
    usize::try_from(count(&store, doubtful, &format!("{who}@own.example"))).unwrap()
}

/// Answers questions as they come, by a tap or by a form in turns. Returns what was acknowledged:
/// the account, and whether by a form.
async fn answer(
    world: &World,
    person: &str,
    who: &str,
    survived: &AtomicBool,
) -> BTreeMap<String, bool> {
    let mut acked = BTreeMap::new();
    let until = Instant::now() + Duration::from_secs(100);
    loop {
        assert!(Instant::now() < until, "{who} was not asked everything: {acked:?}");
        if survived.load(Ordering::Relaxed) && acked.len() + in_doubt(world, who) >= MEETINGS {
            break;
        }
        for number in 0..MEETINGS {
            let account = account(who, number);
            let asked = world.playground.from_bot(person).into_iter().find(|message| {
                let text = plain::message(message);
                text.contains(&account) && !acked.contains_key(&account)
            });
            let Some(message) = asked else { continue };
            let by_form = number % 2 == 0;
            let label = if by_form { "Answer" } else { "No" };
            if world.playground.press(person, &message, label).await.is_ok()
                && (!by_form || fill_and_submit(world, person, &account).await)
            {
                acked.insert(account, by_form);
            }
        }
        pause(50).await;
    }
    acked
}

async fn kill_again_and_again(world: &World) {
    for kill in 0..KILLS {
        let mut dice = Dice::new(kill + 1);
        let mut bot = Bot::start(world, None);
        pause(250 + dice.below(900)).await;
        bot.kill();
    }
}

fn count(store: &Connection, sql: &str, about: &str) -> i64 {
    store.query_row(sql, [about], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f02_killed_fifteen_times_the_bot_loses_no_answer_and_asks_nobody_twice() {
    let world = World::asleep(&[], AT_ONCE).await;
    let from = SystemClock.now() + SignedDuration::from_secs(2);
    // The question must not wait for tomorrow: nobody's day ends during the test.
    let hour = from.to_zoned(TimeZone::UTC).hour();
    let zone = if hour == 23 { "Asia/Tokyo" } else { "UTC" };
    world.write_roster(
        &ROSTER
            .replace("{maya},", &format!("{{maya}},{zone}"))
            .replace("{tom},", &format!("{{tom}},{zone}")),
    );
    world.set_calendar("maya.ics", &meetings("maya", from));
    world.set_calendar("tom.ics", &meetings("tom", from));
    let survived = AtomicBool::new(false);
    let surviving = async {
        kill_again_and_again(&world).await;
        let bot = Bot::start(&world, None);
        world.playground.connected(1).await.unwrap();
        survived.store(true, Ordering::Relaxed);
        bot
    };
    let (bot, maya, tom) = tokio::join!(
        surviving,
        answer(&world, MAYA, "maya", &survived),
        answer(&world, TOM, "tom", &survived)
    );
    for (person, who, acked) in [(MAYA, "maya", &maya), (TOM, "tom", &tom)] {
        // How many get through between the kills depends on the machine; some must, or nothing is shown.
        assert!(acked.len() >= 2, "hardly anything was acknowledged: {acked:?}");
        let shown = world.conversation(person);
        for account in (0..MEETINGS).map(|number| account(who, number)) {
            let about = shown.iter().filter(|message| message.contains(&account)).count();
            assert!(about <= 1, "asked twice about {account}:\n{}", shown.join("\n"));
        }
    }
    drop(bot);
    let store = Connection::open(world.path("debrief.db")).unwrap();
    for (account, by_form) in maya.iter().chain(&tom) {
        let answered = "SELECT count(*) FROM debrief JOIN meeting ON meeting.id = meeting_id
                        WHERE account_name = ?1 AND outcome = 'no' AND answered_at IS NOT NULL";
        assert_eq!(count(&store, answered, account), 1, "the answer about {account} is lost");
        let words = "SELECT count(*) FROM answer WHERE body = 'words-' || ?1";
        assert_eq!(count(&store, words, account), i64::from(*by_form), "{account}");
    }
    let changed = "SELECT count(*) FROM answer_version WHERE ?1 = ''";
    assert_eq!(count(&store, changed, ""), 0, "nothing was written twice");
    let well: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(well, "ok");
}

/// A bot on a disk that can be made to fail, and a filled form that is not sent off yet.
async fn about_to_submit() -> (World, Bot) {
    let world = World::asleep(&[], AT_ONCE).await;
    std::fs::create_dir(world.path("triggers")).unwrap();
    let bot = Bot::start(&world, Some(&Disk::default()));
    world.playground.connected(1).await.unwrap();
    // At first the bot does not know yet who is who.
    let form = async {
        loop {
            world.playground.command(MAYA, "/debrief now Acme").await.unwrap();
            let opened = tokio::time::timeout(Duration::from_millis(500), world.form(MAYA));
            if opened.await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), form).await.unwrap();
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Call earlier").await.unwrap();
    world.playground.settled().await;
    until_nothing_is_written(&world).await;
    (world, bot)
}

/// The next thing on the disk is to be the submission, not a look at who else is there.
async fn until_nothing_is_written(world: &World) {
    let wal = || std::fs::metadata(world.path("debrief.db-wal")).and_then(|wal| wal.modified());
    let (mut seen, mut quiet) = (wal().ok(), 0);
    while quiet < 15 {
        pause(50).await;
        let now = wal().ok();
        quiet = if now == seen { quiet + 1 } else { 0 };
        seen = now;
    }
}

fn stored(world: &World) -> i64 {
    let store = Connection::open(world.path("debrief.db")).unwrap();
    count(&store, "SELECT count(*) FROM answer WHERE body = ?1", "Call earlier")
}

fn set(world: &World, trigger: &str) {
    std::fs::write(world.path("triggers").join(trigger), "").unwrap();
}

fn unset(world: &World, trigger: &str) {
    std::fs::remove_file(world.path("triggers").join(trigger)).unwrap();
}

/// Submits while the power goes; the person presses again once the bot is back. Returns how many
/// answers were on disk in between.
async fn submit_through_a_cut(trigger: &str) -> i64 {
    let (world, mut bot) = about_to_submit().await;
    set(&world, trigger);
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Timeout);
    assert_eq!(bot.ended().await.code(), Some(86));
    unset(&world, trigger);
    let between = stored(&world);
    let _bot = Bot::start(&world, None);
    submit_until_accepted(&world).await;
    assert_eq!(stored(&world), 1);
    let store = Connection::open(world.path("debrief.db")).unwrap();
    let rewritten = "SELECT count(*) FROM answer_version WHERE ?1 = ''";
    assert_eq!(count(&store, rewritten, ""), 0, "it was written twice");
    between
}

async fn submit_until_accepted(world: &World) {
    let accepted = async {
        while world.playground.submit(MAYA).await.unwrap() != Submitted::Accepted {
            pause(50).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), accepted).await.unwrap();
}

#[tokio::test]
async fn f01_cut_off_before_the_commit_the_form_stays_and_is_taken_the_second_time() {
    if super::shim().is_some() {
        assert_eq!(submit_through_a_cut("cut").await, 0);
    }
}

#[tokio::test]
async fn f02_cut_off_between_commit_and_acknowledgement_one_set_of_answers_is_stored() {
    if super::shim().is_some() {
        assert_eq!(submit_through_a_cut("cut-after-flush").await, 1);
    }
}

#[tokio::test]
async fn f26_on_a_full_disk_the_person_is_told_and_tries_again_later() {
    if super::shim().is_none() {
        return;
    }
    let (world, mut bot) = about_to_submit().await;
    set(&world, "full");
    let Submitted::Errors(errors) = world.playground.submit(MAYA).await.unwrap() else {
        panic!("it was taken");
    };
    let told: Vec<&String> = errors.values().collect();
    assert_eq!(told, ["That could not be saved. Please try again in a moment."]);
    assert_eq!(stored(&world), 0);
    assert!(bot.0.try_wait().unwrap().is_none(), "the bot goes on");
    unset(&world, "full");
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    assert_eq!(stored(&world), 1);
}

#[tokio::test]
async fn f30_after_a_failed_flush_nothing_is_acknowledged_and_the_bot_ends() {
    if super::shim().is_none() {
        return;
    }
    let (world, mut bot) = about_to_submit().await;
    set(&world, "eio");
    let submitted = world.playground.submit(MAYA).await.unwrap();
    assert_ne!(submitted, Submitted::Accepted);
    let status = bot.ended().await;
    assert_eq!(status.code(), Some(1));
    let log = std::fs::read_to_string(world.path("bot.log")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("debrief: the store has failed: "), "{last}");
    unset(&world, "eio");
    let _bot = Bot::start(&world, None);
    submit_until_accepted(&world).await;
    assert_eq!(stored(&world), 1);
}
