//! The audit log: who looked, seen by the person concerned; and what tampering with it looks like.

use super::{audit, beside, person};
use crate::cli::beside as debrief;
use crate::world::{LEO, MAYA, NINA, ROSTER, TOM, World};

async fn looked_at() -> World {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Mention the price earlier").await;
    world.command(LEO, "/debrief history @maya").await;
    world
}

#[tokio::test]
async fn s20_every_look_is_written_down_and_the_person_concerned_sees_it() {
    let world = looked_at().await;
    let said = world.command(TOM, "/debrief who-saw").await;
    assert_eq!(said, "Nobody but you has looked at your debriefs. Whoever does is listed here.");
    world.command(LEO, "/debrief history @maya price").await;
    world.command(MAYA, "/debrief me").await;
    world.turn_to("2026-03-16T08:01").await;
    assert!(world.conversation(LEO).last().unwrap().contains("price earlier"));
    insta::assert_snapshot!(world.command(MAYA, "/debrief who-saw").await, @"
    *Who looked at your debriefs*
    *Mon 16 Mar*
    08:01 Leo Marsh, digest
    *Tue 10 Mar*
    13:30 Leo Marsh, history (2 times)
    (Every look is written down before anything is shown.)
    ");
    let home = world.home(MAYA).await;
    assert!(home.contains("Last looked at by Leo Marsh, Mon 16 Mar · /debrief who-saw"), "{home}");
    // Printed by an administrator on the server: the real clock is far from this week.
    let (code, _) = debrief(&world, &["digest", "--manager", "leo@own.example"]).await;
    assert_eq!(code, Some(0));
    // What is refused is written down too, once a minute.
    for _ in 0..3 {
        world.command(NINA, "/debrief history <@U0MAYA|maya>").await;
    }
    world.command("U0GUEST", "/debrief history").await;
    let log = audit(&world);
    let maya = person(&world, "maya@own.example").await.0;
    let nina = person(&world, "nina@own.example").await.0;
    let refused = format!("person:{nina} history {maya} refused");
    assert_eq!(log.iter().filter(|line| **line == refused).count(), 1, "{log:#?}");
    assert_eq!(log.last().unwrap(), "chat:U0GUEST entry - refused");
}

#[tokio::test]
async fn s20_nothing_is_shown_that_could_not_be_written_down() {
    let world = looked_at().await;
    let before = world.playground.whispers(LEO).len();
    let digests = world.conversation(LEO).len();
    let block = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN
                 SELECT raise(ABORT, 'no'); END";
    beside(&world).execute_batch(block).unwrap();
    world.playground.command(LEO, "/debrief history @maya").await.unwrap();
    world.settle().await;
    assert_eq!(world.playground.whispers(LEO).len(), before);
    world.turn_to("2026-03-16T08:01").await;
    assert_eq!(world.conversation(LEO).len(), digests);
    // As soon as it can be written again, the digest goes out.
    beside(&world).execute_batch("DROP TRIGGER full").unwrap();
    world.turn_to("2026-03-16T08:05").await;
    assert_eq!(world.conversation(LEO).len(), digests + 1);
}

#[tokio::test]
async fn s20_the_roster_s_changes_are_written_down() {
    let world = World::new(&[]).await;
    let known = audit(&world).len();
    let moved = ROSTER
        .replace("maya@own.example,Maya Brandt,rep,leo@", "maya@own.example,Maya Brandt,rep,nina@")
        .replace("priya@own.example,Priya Nair,admin,,,\n", "")
        .replace(
            "nina@own.example,Nina Falk,manager,",
            "nina@own.example,Nina Falk,manager;admin,",
        );
    world.write_roster(&format!("{moved}olaf@own.example,Olaf,rep,leo@own.example,,\n"));
    world.turn_to("2026-03-10T13:31").await;
    insta::assert_snapshot!(audit(&world)[known..].join("\n"), @"
    roster line_ended 1 done
    roster line_begun 1 done
    roster roles_changed 4 done
    roster person_left 5 done
    roster person_added 6 done
    roster line_begun 6 done
    ");
    world.write_roster(ROSTER);
    world.turn_to("2026-03-10T13:32").await;
    let log = audit(&world);
    assert!(log.contains(&"roster person_back 5 done".to_owned()), "{log:#?}");
}

/// A way to tamper, once the triggers are out of the way, and the row at which it must show.
type Deed = (&'static str, &'static str, i64);

const DEEDS: [Deed; 8] = [
    ("changed", "UPDATE audit SET actor = 'person:4' WHERE id = 4", 4),
    ("whitewashed", "UPDATE audit SET result = 'refused' WHERE id = 2", 2),
    ("removed", "DELETE FROM audit WHERE id = 3", 3),
    ("first removed", "DELETE FROM audit WHERE id = 1", 1),
    (
        "reordered",
        "UPDATE audit SET id = -1 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 4;
             UPDATE audit SET id = 4 WHERE id = -1",
        3,
    ),
    (
        "inserted",
        "UPDATE audit SET id = -id - 1 WHERE id >= 3; UPDATE audit SET id = -id WHERE id < 0;
             INSERT INTO audit SELECT 3, at, actor, action, subject, scope, result, request,
                prev_hash, hash FROM audit WHERE id = 2",
        3,
    ),
    ("all unchained", "UPDATE audit SET hash = NULL, prev_hash = NULL, actor = 'person:4'", 1),
    ("unchained in the middle", "UPDATE audit SET hash = NULL, prev_hash = NULL WHERE id = 2", 2),
];

#[tokio::test]
async fn s20_tampering_breaks_the_chain_at_the_row() {
    let world = looked_at().await;
    for _ in 0..3 {
        world.command(LEO, "/debrief history @maya").await;
    }
    let (code, said) = debrief(&world, &["audit", "verify"]).await;
    assert_eq!(code, Some(0), "{said}");
    let head = said.lines().find_map(|line| line.strip_prefix("head ")).unwrap().to_owned();
    let rows = i64::try_from(audit(&world).len()).unwrap();
    assert!(said.contains(&format!("ok: {rows} rows")), "{said}");
    world.command(LEO, "/debrief history @maya").await;
    // The log has grown; what was noted is still in it.
    let (code, said) = debrief(&world, &["audit", "verify", "--expect-head", &head]).await;
    assert_eq!(code, Some(0), "{said}");

    // The store itself refuses.
    for deed in [
        "UPDATE audit SET at = 1",
        "DELETE FROM audit WHERE id = 3",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 2",
        "INSERT INTO audit (id, at, actor, action, scope, result, request)
         VALUES (99, 1, 'roster', 'history', '', 'done', '')",
    ] {
        assert!(beside(&world).execute_batch(deed).is_err(), "{deed}");
    }
    // Whoever owns the file can get around that.
    for (what, deed, row) in DEEDS {
        tampered(&world, deed, |world| {
            let path = world.path("tampered.db");
            let text = verify(&path, None);
            assert!(text.contains(&format!("row: {row},")), "{what}: {text}");
        });
    }
    tampered(&world, &format!("DELETE FROM audit WHERE id >= {rows}"), |world| {
        let path = world.path("tampered.db");
        assert!(verify(&path, None).contains("Whole"), "a cut end shows only to who noted a head");
        let text = verify(&path, Some(&head));
        assert!(text.contains(&format!("row: {rows},")) && text.contains("cut off"), "{text}");
    });
    let (code, said) = debrief(&world, &["audit", "verify", "--expect-head", "00ff"]).await;
    assert!(said.contains("TAMPERED at row"), "{said}");
    assert_eq!(code, Some(1));
}

/// Does something to a copy of the store.
fn tampered(world: &World, deed: &str, look: impl Fn(&World)) {
    let path = world.path("tampered.db");
    let _ = std::fs::remove_file(&path);
    let copy = format!("VACUUM INTO '{}'", path.display());
    beside(world).execute_batch(&copy).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DROP TRIGGER audit_grows; DROP TRIGGER audit_stays; DROP TRIGGER audit_kept",
        )
        .unwrap();
    connection.execute_batch(deed).unwrap();
    drop(connection);
    look(world);
}

fn verify(path: &std::path::Path, noted: Option<&str>) -> String {
    let found = debrief::store::peek(path, |tx| tx.verify_audit(noted)).unwrap();
    format!("{found:?}")
}

#[tokio::test]
async fn s20_the_log_can_be_checked_without_us() {
    use sha2::{Digest, Sha256};

    let world = looked_at().await;
    let (code, text) = debrief(&world, &["audit", "export"]).await;
    assert_eq!(code, Some(0), "{text}");
    let mut head = "0".repeat(64);
    let mut rows = 0;
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let at: jiff::Timestamp = row["at"].as_str().unwrap().parse().unwrap();
        let fields = serde_json::json!([
            row["id"],
            at.as_second(),
            row["actor"],
            row["action"],
            row["subject"],
            row["scope"],
            row["result"],
            row["request"]
        ]);
        let hash = Sha256::digest(format!("{head}\n{fields}"));
        head = hash.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!(row["hash"], head, "{line}");
        rows += 1;
    }
    assert!(rows > 5, "{text}");
    assert!(text.contains("\"action\":\"audit_export\""), "{text}");
    assert!(!text.contains("Acme") && !text.contains("price") && !text.contains('@'), "{text}");
}
