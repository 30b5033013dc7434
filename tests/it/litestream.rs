//! Litestream beside a running bot: its own program where there is one, and without it what it
//! needs from us.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use debrief::store::backup;
use rusqlite::{Connection, OpenFlags};

use crate::cli::beside;
use crate::world::{LEO, MAYA, TOM, World};

/// The program, if this machine has it.
fn program() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/litestream/bin/litestream");
    [ours, "litestream".into()].into_iter().find(|program| {
        let asked = Command::new(program).arg("version").stdout(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    })
}

/// Ends with the test, however that ends.
struct Replicating(Child);

impl Drop for Replicating {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn litestream(program: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Restores from the replica until the copy holds `answers`, as seen on the bot's side. Its length
/// depends on Litestream's own clock, a second at most.
async fn caught_up(program: &Path, world: &World, answers: u64) -> PathBuf {
    let begun = Instant::now();
    loop {
        let copy = world.path("from-replica.db");
        let _ = std::fs::remove_file(&copy);
        let arguments =
            ["restore", "-config", "litestream.yml", "-o", "from-replica.db", "debrief.db"];
        let done = litestream(program, world.folder.path(), &arguments).status().unwrap();
        if done.success() && backup::look_over(&copy).is_ok_and(|found| found.answers == answers) {
            return copy;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "the replica does not catch up");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn what_litestream_replicated_comes_back_with_every_answer() {
    let Some(program) = program() else {
        eprintln!("SKIPPED: litestream is not installed; the properties it needs are tested below");
        return;
    };
    let mut world = World::new(&[]).await;
    // The example that ships, with a folder for a bucket.
    let example = include_str!("../../config/litestream.example.yml");
    let settings = example
        .replace("/var/lib/debrief/debrief.db", &world.path("debrief.db").display().to_string())
        .replace("/srv/debrief-replica", &world.path("replica").display().to_string());
    std::fs::write(world.path("litestream.yml"), settings).unwrap();
    let arguments = ["replicate", "-config", "litestream.yml"];
    let replicating = litestream(&program, world.folder.path(), &arguments).spawn().unwrap();
    let mut replicating = Replicating(replicating);
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    caught_up(&program, &world, 2).await;
    // A restart of the bot folds the log and opens the store anew, while Litestream goes on.
    world.restart().await;
    world.answered(TOM, "Corvo", "Nice chat, no step", "Ask for the date").await;
    let (_, said) = beside(&world, &["check"]).await;
    assert!(said.contains("ok    store "), "{said}");
    caught_up(&program, &world, 4).await;
    assert!(replicating.0.try_wait().unwrap().is_none(), "Litestream gave up");
    drop(replicating);

    world.stop().await;
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.path(&format!("debrief.db{ending}")));
    }
    let _ = std::fs::remove_dir_all(world.path(".debrief.db-litestream"));
    let (code, said) = beside(&world, &["restore", "from-replica.db"]).await;
    assert_eq!(code, Some(0), "{said}");
    world.start().await;
    for (rep, words) in [("@maya", "Bring the numbers"), ("@tom", "Ask for the date")] {
        let seen = world.command(LEO, &format!("/debrief history {rep}")).await;
        assert!(seen.contains(words), "{seen}");
    }
}

/// Does by hand what Litestream does: its two tables, a lock for reading held for long, its own
/// checkpoints, a copy of the file and of the log under that lock.
#[tokio::test]
async fn somebody_who_holds_a_view_and_folds_the_log_disturbs_nothing() {
    let mut world = World::new(&[]).await;
    world.answered(MAYA, "Birk", "No", "Bring the numbers").await;
    let path = world.path("debrief.db");
    let theirs = Connection::open(&path).unwrap();
    theirs
        .execute_batch(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 5000;
             CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
             CREATE TABLE _litestream_lock (id INTEGER);
             INSERT INTO _litestream_seq VALUES (1, 1);",
        )
        .unwrap();
    let view = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    view.execute_batch("BEGIN").unwrap();
    let before: i64 = view.query_row("SELECT count(*) FROM answer", [], |row| row.get(0)).unwrap();
    world.answered(TOM, "Corvo", "Nice chat, no step", "Ask for the date").await;
    theirs.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    // The file first, then the log, which no checkpoint can begin anew under the view.
    let replica = world.path("replica.db");
    for ending in ["", "-wal"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        std::fs::copy(name(&path), name(&replica)).unwrap();
    }
    let seen: i64 = view.query_row("SELECT count(*) FROM answer", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, before, "a view stays what it is");
    view.execute_batch("COMMIT").unwrap();
    theirs.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    world.answered(TOM, "Delphi", "No", "Say less").await;
    drop((view, theirs));

    let found = backup::look_over(&replica).unwrap();
    assert_eq!(found.answers, 4, "every answer that was acknowledged before the copy");
    world.restart().await;
    assert!(world.command(LEO, "/debrief history @tom").await.contains("Say less"));
    world.stop().await;
    let (code, said) = beside(&world, &["restore", "replica.db"]).await;
    assert_eq!(code, Some(0), "tables of others are tolerated: {said}");
    world.start().await;
    assert!(world.command(LEO, "/debrief history @tom").await.contains("Ask for the date"));
}
