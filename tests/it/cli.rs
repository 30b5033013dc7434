//! The program as an administrator meets it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::world::{MAYA, ROSTER, World, acme, meeting};

fn debrief(folder: &Path, arguments: &[&str], tokens: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_debrief"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("DEBRIEF_SLACK_BOT_TOKEN")
        .env_remove("DEBRIEF_SLACK_APP_TOKEN")
        .envs(tokens.iter().copied())
        .output()
        .unwrap()
}

/// Both streams, the folder's name taken out.
fn said(output: &Output, world: &World) -> String {
    let text = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part)).concat();
    let text = text.replace(&world.folder.path().display().to_string(), "…");
    text.replace(&world.playground.api_url(), "API")
}

/// The program with so many KiB of memory for data, beside the world's own configuration.
pub(crate) fn with_little_memory(world: &World, kib: u32, arguments: &str) -> Output {
    configure(world);
    Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -d {kib} && exec \"$0\" {arguments}"))
        .arg(env!("CARGO_BIN_EXE_debrief"))
        .current_dir(world.folder.path())
        .output()
        .unwrap()
}

fn configure(world: &World) {
    std::fs::create_dir_all(world.path("config")).unwrap();
    std::fs::write(world.path("config/debrief.toml"), world.config_text()).unwrap();
}

/// Runs a command beside the world's own configuration, while the world's server goes on.
pub(crate) async fn beside(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    configure(world);
    let folder = world.folder.path().to_owned();
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let tokens = [
        ("DEBRIEF_SLACK_BOT_TOKEN", world.playground.bot_token().to_owned()),
        ("DEBRIEF_SLACK_APP_TOKEN", world.playground.app_token().to_owned()),
    ];
    let output = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let tokens: Vec<(&str, &str)> =
            tokens.iter().map(|(name, value)| (*name, value.as_str())).collect();
        debrief(&folder, &arguments, &tokens)
    });
    let output = output.await.unwrap();
    (output.status.code(), said(&output, world))
}

#[tokio::test]
async fn f43_a_wrong_configuration_is_one_line_and_exit_code_2() {
    let world = World::asleep(&[], "[prompt]\ndelay = \"5 minutes\"\n").await;
    let (code, said) = beside(&world, &["check"]).await;
    insta::assert_snapshot!(said, @r#"debrief: config/debrief.toml:12: prompt.delay: "5 minutes" is not a duration; write 90s, 5m or 24h"#);
    assert_eq!(code, Some(2));
    let folder = tempfile::tempdir().unwrap();
    let output = debrief(folder.path(), &["run"], &[]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr), @"debrief: config/debrief.toml: not found; copy config/debrief.example.toml to config/debrief.toml and change what you need");
}

#[tokio::test]
async fn missing_tokens_are_named() {
    let world = World::asleep(&[], "").await;
    std::fs::write(world.path("c.toml"), world.config_text()).unwrap();
    let output = debrief(world.folder.path(), &["--config", "c.toml", "run"], &[]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(said(&output, &world), @"debrief: DEBRIEF_SLACK_BOT_TOKEN is not set; the bot token (xoxb-…) is on the app's page at https://api.slack.com/apps under OAuth & Permissions; or name a file that holds it in DEBRIEF_SLACK_BOT_TOKEN_FILE");
}

#[tokio::test]
async fn check_says_of_each_part_how_it_is() {
    let world = World::asleep(&[acme()], "").await;
    world.write_roster(&format!("{ROSTER}pat@own.example,Pat,boss,,,\n"));
    let (code, text) = beside(&world, &["check"]).await;
    // The next digests depend on today.
    let text: Vec<&str> = text.lines().filter(|line| !line.contains(" digest ")).collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    ok    config    config/debrief.toml
    WRONG roster    …/roster.csv: line 7, column role: "boss" is unknown, allowed: rep, manager, admin
    ok    roster    …/roster.csv: 5 people, 2 reps, 2 calendars
    ok    store     …/debrief.db: made at the first run
    ok    slack     workspace Own, scopes complete
    ok    calendar  maya@own.example: 0 meetings in the next 7 days
    ok    calendar  tom@own.example: 0 meetings in the next 7 days
    "#);
    assert_eq!(code, Some(1));
    world.write_roster(ROSTER);
    world.playground.set_calendar("tom.ics", "nonsense");
    let (code, text) = beside(&world, &["check"]).await;
    assert!(text.contains("WRONG calendar  tom@own.example: not an iCalendar file"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(" digest ")).count(), 1, "{text}");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn check_refuses_a_store_that_a_start_would_refuse_in_the_same_words() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    let (_, text) = beside(&world, &["check"]).await;
    assert!(text.contains("ok    store     "), "{text}");
    world.stop().await;
    let store = world.path("debrief.db");
    let sound = std::fs::read(&store).unwrap();
    let damages = [
        ("index outbox_next is missing", "DROP INDEX outbox_next"),
        ("table notes is not ours", "CREATE TABLE notes (text TEXT)"),
        ("was changed", "ALTER TABLE dead_letter ADD COLUMN note TEXT"),
        ("is damaged (", "a page"),
        ("is damaged (", "everything"),
    ];
    for (what, deed) in damages {
        let mut bytes = sound.clone();
        match deed {
            "a page" => bytes[5 * 4096..5 * 4096 + 64].fill(0xa5),
            "everything" => bytes.fill(0xa5),
            _ => {}
        }
        std::fs::write(&store, bytes).unwrap();
        if what != "is damaged (" {
            rusqlite::Connection::open(&store).unwrap().execute_batch(deed).unwrap();
        }
        let (code, text) = beside(&world, &["check"]).await;
        assert_eq!(code, Some(1), "{text}");
        let refused = debrief::store::Store::open(&store, crate::world::local("2026-03-11T10:00"));
        let refused = format!("{:#}", refused.err().expect(what));
        assert!(refused.contains(what), "{refused}");
        let refused = refused.replace(&world.folder.path().display().to_string(), "…");
        let line = text.lines().find(|line| line.starts_with("WRONG store "));
        assert_eq!(line, Some(format!("WRONG store     {refused}").as_str()), "{text}");
    }
}

#[tokio::test]
async fn explain_gives_a_reason_for_every_meeting() {
    let entries = [
        acme(),
        meeting("s", "Stand-up", "2026-03-10T09:00", "2026-03-10T09:15", "tom@own.example"),
        meeting("q", "Quick one", "2026-03-10T10:00", "2026-03-10T10:05", "a@birk.example"),
        format!(
            "{}CLASS:PRIVATE\r\n",
            meeting("p", "Secret", "2026-03-10T11:00", "2026-03-10T12:00", "a@birk.example")
        ),
        format!(
            "{}STATUS:CANCELLED\r\n",
            meeting("c", "Off", "2026-03-10T16:00", "2026-03-10T17:00", "a@birk.example")
        ),
        "UID:day\r\nDTSTART;VALUE=DATE:20260310\r\nSUMMARY:Fair\r\n".to_owned(),
        meeting("m", "Release", "2026-03-09T23:00", "2026-03-10T00:00", "tom@own.example"),
    ];
    let world = World::new(&entries).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    let arguments = ["explain", "--rep", "maya@own.example", "--day", "2026-03-10"];
    let (code, text) = beside(&world, &arguments).await;
    insta::assert_snapshot!(text, @"
    Tuesday 10 March 2026 (Europe/Berlin)
    all day      Fair
                 skip: all-day event
    09:00–09:15  Stand-up
                 skip: no external guest
    10:00–10:05  Quick one
                 skip: shorter than meetings.min_length
    11:00–12:00  (no title)
                 skip: private
    14:00–14:45  Acme demo
                 ask today 14:50: demo with Acme (external guest at acme.example); now asked
    16:00–17:00  Off
                 skip: cancelled
    ");
    assert_eq!(code, Some(0));
    let (code, text) = beside(&world, &["explain", "--rep", "x@own.example"]).await;
    assert_eq!(text, "debrief: x@own.example is not in …/roster.csv; `debrief check` tells more\n");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn digest_prints_without_sending() {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Call earlier").await;
    let (code, text) = beside(&world, &["digest", "--manager", "leo@own.example"]).await;
    // The real clock is far from the world's, so the week is another one.
    assert!(text.starts_with("Your team, "), "{text}");
    assert_eq!(code, Some(0));
    let (code, text) = beside(&world, &["digest", "--manager", "nina@own.example"]).await;
    assert_eq!(text, "debrief: the roster names nobody who reports to nina@own.example\n");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn a_second_bot_on_the_same_store_is_refused() {
    let world = World::new(&[]).await;
    let (code, text) = beside(&world, &["run"]).await;
    assert!(text.contains("is in use by another debrief process"), "{text}");
    assert_eq!(code, Some(1));
}

#[cfg(unix)]
#[test]
fn the_demo_prints_one_line_and_ends_cleanly() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_debrief"))
        .args(["demo", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("debrief demo: open http://127.0.0.1:"), "{line}");
    let killed = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(lines.next().is_none(), "one line is enough");
    let output = demo.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
