//! The whole program with a `CalDAV` calendar: what an administrator and a rep see.

use std::process::Command;

use super::PASSWORD;
use super::dialect::{Dialect, Quirks};
use crate::world::{ROSTER, World};

/// Runs a command with a password or without.
async fn said(world: &World, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    std::fs::write(world.path("c.toml"), world.config_text()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_debrief"));
    command
        .args(["--config", "c.toml"])
        .args(arguments)
        .current_dir(world.folder.path())
        .env("DEBRIEF_SLACK_BOT_TOKEN", world.playground.bot_token())
        .env("DEBRIEF_SLACK_APP_TOKEN", world.playground.app_token())
        .envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part)).concat();
    assert!(!text.contains(PASSWORD), "{text}");
    text
}

#[tokio::test]
async fn check_and_explain_open_the_calendar_with_the_password_of_the_environment() {
    let server = Dialect::start(Quirks::default()).await;
    server.meeting("Acme", "2026-03-10T14:00");
    let world = World::asleep(&[], "").await;
    let address = server.url("/").replace("http://", "http://maya@");
    world.write_roster(&ROSTER.replace("ics:{maya}", &format!("caldav:{address}")));
    let none = said(&world, &["check"], &[]).await;
    assert!(none.contains("WRONG calendar  maya@own.example: no password is known for"), "{none}");
    assert!(none.contains("ok    calendar  tom@own.example"), "{none}");
    let common = [("DEBRIEF_CALDAV_PASSWORD", PASSWORD)];
    std::fs::write(world.path("words"), format!("maya {PASSWORD}\n")).unwrap();
    let own = [("DEBRIEF_CALDAV_PASSWORDS_FILE", "words")];
    for known in [common, own] {
        let all = said(&world, &["check"], &known).await;
        assert!(all.contains("ok    calendar  maya@own.example: "), "{all}");
    }
    let missing = [("DEBRIEF_CALDAV_PASSWORDS_FILE", "no-file")];
    let fault = said(&world, &["check"], &missing).await;
    let line = "WRONG calendar  DEBRIEF_CALDAV_PASSWORDS_FILE: the file \"no-file\" cannot be read";
    assert!(fault.contains(line), "{fault}");
    let explain = ["explain", "--rep", "maya@own.example", "--day", "2026-03-10"];
    let day = said(&world, &explain, &own).await;
    assert!(day.contains("meeting with Acme (external guest at acme.example)"), "{day}");
}
