//! Backup, restore, erasure: what goes wrong while keeping.

use debrief::playground::deeds::Submitted;

use crate::cli::beside as debrief;
use crate::threats::keeping::bytes;
use crate::world::{LEO, MAYA, NINA, ROSTER, World};

fn moved_to_nina() -> String {
    ROSTER.replace("Maya Brandt,rep,leo@own.example", "Maya Brandt,rep,nina@own.example")
}

#[tokio::test]
async fn f40_an_answer_after_the_erasure_is_refused_politely() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    let arguments = ["erase", "--person", "maya@own.example", "--confirm"];
    let (code, said) = debrief(&world, &arguments).await;
    assert_eq!(code, Some(0), "{said}");

    // The form that was open.
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Mention zqpricexw earlier").await.unwrap();
    let submitted = world.playground.submit(MAYA).await.unwrap();
    let Submitted::Errors(errors) = submitted else { panic!("{submitted:?}") };
    assert!(format!("{errors:?}").contains("You are not on debrief's roster."), "{errors:?}");
    // The message that still stands in Slack, and a text.
    let prompt = world.playground.from_bot(MAYA).remove(0);
    world.playground.press(MAYA, &prompt, "Skip").await.unwrap();
    world.settle().await;
    assert!(world.last_whisper(MAYA).starts_with("You are not on debrief's roster."));
    let before = world.conversation(MAYA).len();
    world.playground.say(MAYA, "zqpricexw again");
    world.settle().await;
    assert_eq!(world.conversation(MAYA).len(), before);
    for name in ["debrief.db", "debrief.db-wal"] {
        let bytes = bytes(&world.path(name));
        let found = bytes.windows(9).any(|place| place == b"zqpricexw");
        assert!(!found, "{name} holds what came after the erasure");
    }
}

#[tokio::test]
async fn f40_an_answer_after_the_manager_changed_is_for_the_new_one() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    world.write_roster(&moved_to_nina());
    world.turn_to("2026-03-10T15:00").await;
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Mention the price earlier").await.unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    // Stored under today's rules.
    let said = world.command(LEO, "/debrief history <@U0MAYA|maya>").await;
    assert!(said.starts_with("I can't show you that."), "{said}");
    let said = world.command(NINA, "/debrief history <@U0MAYA|maya>").await;
    assert!(said.contains("Mention the price earlier"), "{said}");
    world.turn_to("2026-03-16T08:05").await;
    let old = world.conversation(LEO).join("\n");
    assert!(!old.contains("price") && !old.contains("Acme"), "{old}");
    assert!(world.conversation(NINA).join("\n").contains("Mention the price earlier"));
}
