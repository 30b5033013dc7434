//! Who takes part, and calendars that misbehave.

use crate::world::{MAYA, ROSTER, TOM, World, acme, meeting};

#[tokio::test]
async fn whoever_joins_the_roster_takes_part_without_a_restart() {
    let world = World::new(&[acme()]).await;
    world.write_roster(&ROSTER.replace("maya@own.example,Maya Brandt,rep", "x@own.example,X,rep"));
    world.settle().await;
    world.turn_to("2026-03-10T14:55").await;
    assert!(world.conversation(MAYA).is_empty(), "she left the roster");
    world.write_roster(ROSTER);
    world.turn_to("2026-03-10T15:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn a_bad_row_leaves_the_rest_working() {
    let world = World::new(&[acme()]).await;
    world.write_roster(&format!("{ROSTER}nobody,No Address,boss,,,\n"));
    world.settle().await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn a_broken_calendar_keeps_its_last_good_state_and_stops_nobody() {
    let world = World::new(&[acme()]).await;
    let own = meeting("t", "Birk", "2026-03-10T14:00", "2026-03-10T14:30", "p@birk.example");
    world.set_calendar("tom.ics", &[own.replace("maya@", "tom@")]);
    world.playground.set_calendar("maya.ics", "<!doctype html><title>Please log in</title>");
    world.turn_to("2026-03-10T14:35").await;
    assert_eq!(world.conversation(TOM).len(), 1);
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    let store = &world.running().bot().store;
    let maya = store
        .read(|tx| {
            let mut feeds = tx.feeds_health()?.into_iter();
            Ok(feeds.find(|feed| feed.email == "maya@own.example"))
        })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        maya.problem.as_deref(),
        Some("a web page instead of a calendar; the address may need a log-in")
    );
}

#[tokio::test]
async fn a_reading_that_lost_most_meetings_needs_a_second_one() {
    let calls: Vec<String> = (0..5)
        .map(|day| {
            let on = format!("2026-03-1{}", day.min(2));
            let hour = 14 + day;
            meeting(
                &format!("m{day}"),
                "Call",
                &format!("{on}T{hour}:00"),
                &format!("{on}T{hour}:30"),
                &format!("a@firm{day}.example"),
            )
        })
        .collect();
    let world = World::new(&calls).await;
    world.set_calendar("maya.ics", &[]);
    world.turn_to("2026-03-10T14:35").await;
    assert_eq!(world.conversation(MAYA).len(), 1, "one empty answer is not believed");
    world.press(MAYA, "Skip").await;
    world.turn_to("2026-03-10T17:35").await;
    world.turn_to("2026-03-11T15:35").await;
    assert_eq!(world.conversation(MAYA).len(), 1, "the second one is");
}
