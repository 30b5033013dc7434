//! What can happen between us and Slack, and what people see of it: nothing.

use std::time::Duration;

use debrief::playground::faults::Fault;
use debrief::playground::plain;
use jiff::SignedDuration;

use crate::world::{LEO, MAYA, World, acme, local};

async fn about_to_ask() -> World {
    let world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:40").await;
    world
}

#[tokio::test]
async fn an_answer_cut_off_after_the_message_was_stored_makes_no_second_one() {
    for fault in [
        Fault::CutAfter,
        Fault::RefusedAfter("internal_error".into()),
        Fault::RefusedAfter("fatal_error".into()),
    ] {
        let world = about_to_ask().await;
        world.playground.fault("chat.postMessage", fault);
        world.turn_to("2026-03-10T14:50").await;
        world.pass(SignedDuration::from_secs(11)).await;
        world.pass(SignedDuration::from_mins(5)).await;
        assert_eq!(world.conversation(MAYA).len(), 1);
        assert_eq!(world.playground.calls("chat.postMessage").len(), 1);
        world.press(MAYA, "No").await;
        assert!(world.conversation(MAYA)[0].contains("✓ No"));
    }
}

#[tokio::test]
async fn a_message_that_never_arrived_is_sent_again_after_a_look() {
    let world = about_to_ask().await;
    world.playground.fault("chat.postMessage", Fault::CutBefore);
    world.turn_to("2026-03-10T14:50").await;
    assert!(world.conversation(MAYA).is_empty());
    for _ in 0..5 {
        world.pass(SignedDuration::from_secs(31)).await;
    }
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn a_crash_between_sending_and_noting_it_makes_no_second_message() {
    let mut world = about_to_ask().await;
    world.playground.fault("chat.postMessage", Fault::CutAfter);
    world.turn_to("2026-03-10T14:50").await;
    world.stop().await;
    // As a process leaves it that died while sending.
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let changed =
        store.execute("UPDATE outbox SET state = 'sending' WHERE kind = 'prompt'", []).unwrap();
    assert_eq!(changed, 1);
    drop(store);
    world.start().await;
    world.pass(SignedDuration::from_mins(3)).await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.press(MAYA, "Skip").await;
}

#[tokio::test]
async fn a_click_proves_a_message_that_we_were_not_sure_of() {
    let world = about_to_ask().await;
    world.playground.fault("chat.postMessage", Fault::CutAfter);
    world.playground.fault("conversations.history", Fault::Broken(500));
    world.turn_to("2026-03-10T14:50").await;
    world.press(MAYA, "Nice chat, no step").await;
    world.pass(SignedDuration::from_mins(5)).await;
    let shown = world.conversation(MAYA);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].contains("[✓ Nice chat, no step]"), "{}", shown[0]);
}

#[tokio::test]
async fn being_told_to_wait_delays_and_loses_nothing() {
    let world = about_to_ask().await;
    world.playground.fault("chat.postMessage", Fault::RateLimited(30));
    world.turn_to("2026-03-10T14:50").await;
    assert!(world.conversation(MAYA).is_empty());
    world.pass(SignedDuration::from_secs(40)).await;
    world.pass(SignedDuration::from_secs(40)).await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn an_outage_delays_and_loses_nothing() {
    let world = about_to_ask().await;
    for _ in 0..3 {
        world.playground.fault("chat.postMessage", Fault::Broken(503));
        world.playground.fault("conversations.history", Fault::Broken(503));
    }
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..8 {
        world.pass(SignedDuration::from_secs(130)).await;
    }
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn what_slack_delivers_twice_happens_once() {
    let world = World::asked_about_acme().await;
    world.playground.deliver_twice(20);
    world.press(MAYA, "No").await;
    world.playground.say(MAYA, "Call earlier");
    world.settle().await;
    world.playground.command(MAYA, "/debrief now Birk").await.unwrap();
    world.settle().await;
    let shown = world.conversation(MAYA);
    assert_eq!(shown.len(), 2, "{}", shown.join("\n===\n"));
    assert!(shown[0].contains("“Call earlier”"));
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let versions: i64 =
        store.query_row("SELECT count(*) FROM answer_version", [], |row| row.get(0)).unwrap();
    assert_eq!(versions, 0, "nothing was written twice");
}

#[tokio::test]
async fn what_slack_delivers_in_another_order_still_ends_well() {
    let world = World::asked_about_acme().await;
    world.playground.hold_deliveries();
    world.playground.say(MAYA, "Call earlier");
    world.playground.open_home(MAYA);
    world.playground.release_reversed();
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
    assert!(plain::view(&world.playground.home(MAYA).unwrap()).contains("Call earlier"));
}

#[tokio::test]
async fn dropped_connections_come_back_and_lose_nothing() {
    let world = World::asked_about_acme().await;
    world.playground.connected(2).await.unwrap();
    world.playground.drop_sockets();
    world.playground.say(MAYA, "Call earlier");
    world.playground.connected(1).await.unwrap();
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
    world.playground.renew_sockets("refresh_requested");
    world.playground.connected(1).await.unwrap();
    world.press(MAYA, "No").await;
    assert!(world.conversation(MAYA)[0].contains("no"));
}

#[tokio::test]
async fn a_refused_token_stops_the_start_with_a_clear_reason() {
    let mut world = World::asleep(&[acme()], "").await;
    world.playground.revoke_tokens();
    let error = format!("{:#}", world.try_start().await.err().unwrap());
    assert!(error.starts_with("Slack refused our tokens. Install the app again"), "{error}");
    assert!(error.contains("invalid_auth") && !error.contains("xoxb-0"), "{error}");
}

#[tokio::test]
async fn somebody_who_cannot_be_reached_hurts_nobody_else() {
    let world = about_to_ask().await;
    world.playground.fault("chat.postMessage", Fault::Refused("channel_not_found".into()));
    world.turn_to("2026-03-10T14:50").await;
    world.answered(LEO, "Birk", "No", "Call earlier").await;
    assert_eq!(world.conversation(LEO).len(), 1);
    assert!(world.conversation(MAYA).is_empty());
}

#[tokio::test]
async fn stopping_finishes_what_was_begun() {
    let mut world = World::asked_about_acme().await;
    world.playground.fault("chat.update", Fault::Slow(Duration::from_millis(300)));
    let prompt = world.last(MAYA);
    world.playground.press(MAYA, &prompt, "Skip").await.unwrap();
    world.stop().await;
    world.clock.set(local("2026-03-10T14:55"));
    world.start().await;
    assert!(world.conversation(MAYA)[0].contains("skipped"), "{}", world.conversation(MAYA)[0]);
}
