//! Setting Microsoft 365 up, as an administrator meets it.

use std::process::Command;

use serde_json::json;

use super::graph::{CLIENT, Graph, SECRET, TENANT, entry};
use crate::world::World;

const SECRET_KEY: &str = "DEBRIEF_MICROSOFT_CLIENT_SECRET";
const ROSTER: &str = "\
email,name,role,manager_email,calendar,zone
maya@own.example,Maya Brandt,rep,,microsoft,
";

/// A bot that is not running, and a Microsoft 365 that it is told of.
async fn told_of(graph: &Graph) -> World {
    let config = format!(
        "[microsoft]\ntenant = \"{TENANT}\"\nclient_id = \"{CLIENT}\"\n\
         graph_url = \"{0}\"\nlogin_url = \"{0}/\"\n",
        graph.url
    );
    let world = World::asleep(&[], &config).await;
    world.write_roster(ROSTER);
    std::fs::write(world.path("debrief.toml"), world.config_text()).unwrap();
    world
}

/// What a command says, and how it ends.
async fn debrief(world: &World, command: &str, secret: Option<&str>) -> (Option<i32>, String) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_debrief"));
    run.args(["--config", "debrief.toml", command])
        .current_dir(world.folder.path())
        .env("DEBRIEF_SLACK_BOT_TOKEN", world.playground.bot_token())
        .env("DEBRIEF_SLACK_APP_TOKEN", world.playground.app_token())
        .env_remove(SECRET_KEY)
        .envs(secret.map(|secret| (SECRET_KEY, secret)));
    let output = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let said = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part)).concat();
    assert!(secret.is_none_or(|secret| !said.contains(secret)), "{said}");
    (output.status.code(), said)
}

#[tokio::test]
async fn check_says_how_microsoft_is() {
    let graph =
        Graph::with(vec![vec![entry("a", "2026-03-10T13:00", "2026-03-10T14:00", &json!({}))]])
            .await;
    let world = told_of(&graph).await;
    let (code, said) = debrief(&world, "check", Some(SECRET)).await;
    for line in [
        &*format!("ok    microsoft app {CLIENT} of the tenant {TENANT}"),
        "ok    calendar  maya@own.example: 0 meetings in the next 7 days",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!((code, graph.asked().len()), (Some(0), 1));
    let (code, said) = debrief(&world, "check", Some("hush-hush")).await;
    let line = "WRONG calendar  maya@own.example: the client secret is wrong; put its value";
    assert!(said.contains(line), "{said}");
    assert_eq!(code, Some(1));
    let (code, said) = debrief(&world, "check", None).await;
    for line in [
        "WRONG microsoft DEBRIEF_MICROSOFT_CLIENT_SECRET is not set; the client secret's value",
        "WRONG calendar  maya@own.example: microsoft calendars are not set up",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn the_bot_does_not_start_without_the_secret() {
    let graph = Graph::with(vec![]).await;
    let world = told_of(&graph).await;
    let (code, said) = debrief(&world, "run", None).await;
    let line = "debrief: DEBRIEF_MICROSOFT_CLIENT_SECRET is not set; the client secret's value is \
                shown once, when it is made on the app's page in the Microsoft Entra admin center \
                under Certificates & secrets; or name a file that holds it in \
                DEBRIEF_MICROSOFT_CLIENT_SECRET_FILE\n";
    assert_eq!((code, said.as_str()), (Some(2), line));
}
