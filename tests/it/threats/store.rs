//! What lies on the disk.

use std::os::unix::fs::PermissionsExt;

use crate::world::{MAYA, World};

#[tokio::test]
async fn s04_the_files_of_the_store_are_for_their_owner_alone() {
    let mut world = World::asked_about_acme().await;
    world.press(MAYA, "No").await;
    let modes = |world: &World| {
        let files = ["debrief.db", "debrief.db-wal", "debrief.db-shm", "debrief.db.lock"];
        for file in files.into_iter().chain(["debrief.db.expected"]) {
            let mode = std::fs::metadata(world.path(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    };
    modes(&world);
    // Whoever opened them up finds them closed at the next start.
    world.stop().await;
    for file in ["debrief.db", "debrief.db.lock"] {
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(world.path(file), open).unwrap();
    }
    world.start().await;
    modes(&world);
}

#[tokio::test]
async fn s04_no_token_is_in_the_store() {
    let mut world = World::asked_about_acme().await;
    world.press(MAYA, "No").await;
    world.command(MAYA, "/debrief history").await;
    world.home(MAYA).await;
    let tokens = [world.playground.bot_token(), world.playground.app_token()].map(str::to_owned);
    let look = |world: &World| {
        let mut read = 0;
        for file in std::fs::read_dir(world.folder.path()).unwrap() {
            let path = file.unwrap().path();
            if !path.file_name().unwrap().to_string_lossy().starts_with("debrief.db") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            read += bytes.len();
            for token in &tokens {
                let found = bytes.windows(token.len()).any(|part| part == token.as_bytes());
                assert!(!found, "{} holds a token", path.display());
            }
        }
        assert!(read > 50_000, "the store was looked for in the wrong place");
    };
    look(&world);
    world.stop().await;
    look(&world);
}
