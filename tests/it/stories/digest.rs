//! A manager's Monday.

use debrief::playground::faults::Fault;

use crate::world::{LEO, MAYA, NINA, TOM, World, acme, local};

async fn a_week() -> World {
    let world = World::new(&[acme()]).await;
    world.answered(MAYA, "Birk", "They act by a date", "I nearly skipped the agenda").await;
    world.answered(MAYA, "Corvo", "Nice chat, no step", "Ask for the date").await;
    world.answered(TOM, "Delphi", "No", "Bring the numbers").await;
    world.answered(TOM, "Echo", "Nice chat, no step", "Say less").await;
    let echo = world.last(TOM);
    world.playground.press(TOM, &echo, "Only me").await.unwrap();
    world
}

#[tokio::test]
async fn a_manager_gets_the_week_on_monday_at_eight() {
    let world = a_week().await;
    world.turn_to("2026-03-16T07:59").await;
    assert!(world.conversation(LEO).is_empty());
    world.turn_to("2026-03-16T08:00").await;
    insta::assert_snapshot!(world.conversation(LEO).join("\n===\n"), @"
    # Your team, 9–15 March
    4 debriefs from 5 customer meetings · 2 of 2 reps
    *Worth asking*
    • Maya: Corvo ended without a next step. They wrote: “Ask for the date” → What would you need to hear to know they'll act?
    • Tom: Delphi said no. They wrote: “Bring the numbers” → Where did it turn, and what would you try there?
    <chart How meetings ended, by week>
      Firm yes: 9 Mar 0
      Dated step: 9 Mar 1
      Nice chat: 9 Mar 2
      No: 9 Mar 1
    *No next step*
    • 2 meetings with no next step: Corvo, Echo
    *What they would do differently*
    > Bring the numbers
    – Tom, Delphi
    > Ask for the date
    – Maya, Corvo
    > I nearly skipped the agenda
    – Maya, Birk
    ");
    assert!(!world.conversation(LEO)[0].contains("Say less"), "locked words stay with the rep");
    assert!(world.conversation(NINA).is_empty(), "nobody reports to Nina");
    world.turn_to("2026-03-16T12:00").await;
    assert_eq!(world.conversation(LEO).len(), 1);
}

#[tokio::test]
async fn a_bot_that_slept_through_the_slot_sends_it_once_when_it_wakes() {
    let mut world = a_week().await;
    world.stop().await;
    world.clock.set(local("2026-03-16T11:00"));
    world.start().await;
    assert_eq!(world.conversation(LEO).len(), 1);
    world.restart().await;
    assert_eq!(world.conversation(LEO).len(), 1);
    world.turn_to("2026-03-23T08:00").await;
    assert_eq!(world.conversation(LEO).len(), 2);
    insta::assert_snapshot!(world.conversation(LEO)[1], @"
    # Your team, 16–22 March
    A quiet week, no customer meetings.
    ");
}

#[tokio::test]
async fn the_digest_comes_in_the_managers_own_zone() {
    let world = a_week().await;
    world.playground.change_member(LEO, |leo| leo.zone = "America/New_York".into());
    world.turn_to("2026-03-16T08:00").await;
    assert!(world.conversation(LEO).is_empty());
    // New York changed its clocks a week ago, Berlin has not yet.
    world.turn_to("2026-03-16T13:00").await;
    assert_eq!(world.conversation(LEO).len(), 1);
}

#[tokio::test]
async fn a_workspace_that_takes_no_charts_gets_the_numbers_as_text() {
    let world = a_week().await;
    world.playground.fault("chat.postMessage", Fault::Refused("invalid_blocks".into()));
    world.turn_to("2026-03-16T08:00").await;
    let digest = world.conversation(LEO).join("\n===\n");
    assert!(digest.contains("Your team, 9–15 March") && !digest.contains("<chart"), "{digest}");
}
