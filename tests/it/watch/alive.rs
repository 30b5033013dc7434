//! Probes, `debrief health`, and what the service manager is told.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{SERVED, address, get, json};
use crate::world::{World, acme};

const PATIENTLY: Duration = Duration::from_mins(1);

async fn served() -> World {
    World::with(&[acme()], SERVED).await
}

#[tokio::test]
async fn all_probes_are_well_while_the_bot_is() {
    let world = served().await;
    let (status, health) = get(&world, "/healthz").await;
    assert_eq!(status, 200);
    assert!(health.contains("\"status\":\"ok\""), "{health}");
    let (status, ready) = json(&world, "/readyz").await;
    assert_eq!((status, ready["status"].as_str()), (200, Some("ready")), "{ready}");
    let (status, alive) = json(&world, "/livez").await;
    assert_eq!((status, alive["status"].as_str()), (200, Some("alive")), "{alive}");
    for name in ["calendars", "questions", "deliveries"] {
        assert!(alive["seconds_since_progress"][name].is_u64(), "{alive}");
    }
    let (status, version) = json(&world, "/version").await;
    assert_eq!((status, version["version"].as_str()), (200, Some(env!("CARGO_PKG_VERSION"))));
    assert!(version["commit"].is_string());
}

#[tokio::test]
async fn a_store_that_takes_nothing_makes_the_bot_not_ready() {
    let world = served().await;
    let theirs = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    theirs.busy_timeout(PATIENTLY).unwrap();
    theirs.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, ready) = json(&world, "/readyz").await;
    assert_eq!(status, 503, "{ready}");
    assert_eq!(ready["reasons"][0], "store: nothing can be saved; is the disk full?");
    // Reading goes on, and a restart would not help.
    assert_eq!(get(&world, "/livez").await.0, 200);
    assert_eq!(get(&world, "/metrics").await.0, 200);
    theirs.execute_batch("ROLLBACK").unwrap();
    assert_eq!(get(&world, "/readyz").await.0, 200);
}

#[tokio::test]
async fn without_a_socket_the_bot_is_not_ready_and_says_so() {
    let world = served().await;
    world.playground.refuse_sockets(true);
    world.playground.drop_sockets();
    let mut found = json(&world, "/readyz").await;
    for _ in 0..1000 {
        if found.0 == 503 {
            break;
        }
        tokio::task::yield_now().await;
        found = json(&world, "/readyz").await;
    }
    let (status, ready) = found;
    assert_eq!(status, 503, "{ready}");
    let reason = ready["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("slack: ") || reason.starts_with("auth: "), "{reason}");
}

fn command(world: &World, config: &str, words: &[&str]) -> Command {
    std::fs::write(world.path("health.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_debrief"));
    command
        .args(["--config", "health.toml"])
        .args(words)
        .current_dir(world.folder.path())
        .env("DEBRIEF_SLACK_BOT_TOKEN", world.playground.bot_token())
        .env("DEBRIEF_SLACK_APP_TOKEN", world.playground.app_token());
    command
}

async fn health(world: &World, listen: &str) -> (Option<i32>, String) {
    let config = world.config_text().replace("127.0.0.1:0", listen);
    let mut command = command(world, &config, &["health"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn health_answers_for_containers() {
    let mut world = served().await;
    let listen = address(&world).to_string();
    assert_eq!(health(&world, &listen).await, (Some(0), "ready\n".to_owned()));
    let theirs = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    theirs.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (code, said) = health(&world, &listen).await;
    // The commit just before still counts for ten seconds; a slow machine may be past them.
    assert!(code == Some(0) || said.contains("store: nothing can be saved"), "{said}");
    drop(theirs);
    world.stop().await;
    let (code, said) = health(&world, &listen).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("is debrief running?"), "{said}");
    let (code, said) = health(&world, "off").await;
    assert_eq!(code, Some(1));
    assert!(said.contains("served nowhere"), "{said}");
}

/// A running program that is ended whatever the test comes to.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hear(manager: &UnixDatagram) -> String {
    let mut heard = [0; 64];
    let length = manager.recv(&mut heard).unwrap();
    String::from_utf8_lossy(&heard[..length]).into_owned()
}

#[tokio::test]
async fn the_service_manager_is_told_of_start_watchdog_and_stop() {
    let world = World::asleep(&[acme()], SERVED).await;
    let manager = UnixDatagram::bind(world.path("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENTLY)).unwrap();
    let config = world.config_text();
    let mut command = command(&world, &config, &["run"]);
    command
        .env("NOTIFY_SOCKET", world.path("notify"))
        .env("WATCHDOG_USEC", "150000")
        .env_remove("WATCHDOG_PID")
        .stderr(Stdio::null());
    let code = tokio::task::spawn_blocking(move || {
        let mut running = Ended(command.spawn().unwrap());
        assert_eq!(hear(&manager), "READY=1");
        assert_eq!(hear(&manager), "WATCHDOG=1");
        let pid = running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        while hear(&manager) != "STOPPING=1" {}
        running.0.wait().unwrap().code()
    });
    assert_eq!(code.await.unwrap(), Some(0));
}
