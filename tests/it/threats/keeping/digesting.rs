//! Digests go to whoever manages now, and show what they may see now.

use debrief::domain::roster;
use debrief::playground::faults::Fault;
use debrief::ports::Clock;

use super::{audit, beside, person};
use crate::world::{LEO, MAYA, NINA, ROSTER, TOM, World, local};

async fn answered() -> World {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "No", "Mention the price earlier").await;
    world.answered(TOM, "Corvo", "No", "Let them lead").await;
    world
}

fn moved_to_nina() -> String {
    ROSTER.replace("leo@own.example,ics", "nina@own.example,ics")
}

#[tokio::test]
async fn s09_a_manager_changed_between_queueing_and_posting_gets_nothing() {
    let world = answered().await;
    let before = world.conversation(LEO).len();
    // Slack is busy when the digest is due; meanwhile both reps get another manager.
    world.playground.fault("chat.postMessage", Fault::RateLimited(30));
    world.turn_to("2026-03-16T08:00").await;
    assert_eq!(world.conversation(LEO).len(), before);
    world.write_roster(&moved_to_nina());
    world.turn_to("2026-03-16T08:02").await;
    assert_eq!(world.conversation(LEO).len(), before, "the old manager got the digest");
    // Nor does the new one see what was written before their time.
    let hers = world.conversation(NINA).join("\n");
    assert!(!hers.contains("price") && !hers.contains("Acme"), "{hers}");
}

#[tokio::test]
async fn s09_a_digest_that_waited_shows_what_is_true_when_it_is_posted() {
    let world = answered().await;
    // His conversation is not open, and Slack asks to open it later.
    let closed = "UPDATE person SET channel = NULL, open_at = 4000000000 WHERE chat_id = ?1";
    assert_eq!(beside(&world).execute(closed, [LEO]).unwrap(), 1);
    world.playground.fault("conversations.open", Fault::RateLimited(30));
    world.turn_to("2026-03-16T08:00").await;
    // Only Maya moves: Leo's digest is about Tom alone.
    let moved = ROSTER
        .replace("maya@own.example,Maya Brandt,rep,leo@", "maya@own.example,Maya Brandt,rep,nina@");
    world.write_roster(&moved);
    world.turn_to("2026-03-16T08:02").await;
    let digest = world.conversation(LEO).pop().unwrap();
    assert!(digest.contains("Let them lead"), "{digest}");
    assert!(!digest.contains("Mention the price") && !digest.contains("Maya"), "{digest}");
    let (leo, maya, tom) = (
        person(&world, "leo@own.example").await.0,
        person(&world, "maya@own.example").await.0,
        person(&world, "tom@own.example").await.0,
    );
    let log = audit(&world);
    assert!(log.contains(&format!("person:{leo} digest {tom} done")), "{log:#?}");
    assert!(!log.contains(&format!("person:{leo} digest {maya} done")), "{log:#?}");
}

#[tokio::test]
async fn s09_a_manager_changed_between_putting_together_and_posting_gets_nothing() {
    let world = answered().await;
    let slow = std::time::Duration::from_secs(2);
    world.playground.fault("conversations.open", Fault::Slow(slow));
    world.clock.set(local("2026-03-16T08:00"));
    world.running().waker().wake();
    let opening = world.playground.eventually("a conversation for the digest", |playground| {
        playground
            .calls("conversations.open")
            .iter()
            .any(|call| call.arguments["users"] == LEO)
            .then_some(())
    });
    opening.await.unwrap();
    // It is put together, and its conversation not open yet.
    let people = roster::parse(&moved_to_nina().replace("ics:{maya}", "").replace("ics:{tom}", ""));
    let now = world.clock.now();
    let store = &world.running().bot().store;
    store.transact(move |tx| tx.apply_roster(&people.people, now)).await.unwrap();
    world.settle().await;
    world.turn_to("2026-03-16T08:02").await;
    assert!(world.conversation(LEO).is_empty(), "{:?}", world.conversation(LEO));
    assert!(!audit(&world).iter().any(|line| line.contains(" digest ")));
}

#[tokio::test]
async fn s09_who_sees_whom_is_written_once_however_often_it_is_tried() {
    let world = answered().await;
    world.playground.fault("chat.postMessage", Fault::Broken(503));
    world.playground.fault("chat.postMessage", Fault::RateLimited(5));
    world.turn_to("2026-03-16T08:00").await;
    for _ in 0..6 {
        world.pass(jiff::SignedDuration::from_secs(45)).await;
    }
    assert!(world.conversation(LEO).pop().unwrap().contains("Let them lead"));
    let looks = audit(&world).into_iter().filter(|line| line.contains(" digest ")).count();
    assert_eq!(looks, 2, "one for each rep");
}
