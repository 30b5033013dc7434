//! Out of office, and calendars that nobody could read for long.

use crate::world::{MAYA, World, acme, meeting};

/// An entry that says "out of office", with nobody invited.
fn away(from: &str, to: &str) -> String {
    let entry = meeting("away", "Away", from, to, "nobody@own.example");
    let alone: String =
        entry.split_inclusive("\r\n").filter(|line| !line.starts_with("ATTENDEE")).collect();
    format!("{alone}X-MICROSOFT-CDO-BUSYSTATUS:OOF\r\n")
}

#[tokio::test]
async fn an_afternoon_out_of_office_puts_the_question_off_until_its_end() {
    let world = World::new(&[acme(), away("2026-03-10T14:30", "2026-03-10T16:00")]).await;
    world.turn_to("2026-03-10T15:59").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T16:01").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn a_holiday_brings_no_question_and_no_flood_afterwards() {
    let mut world =
        World::asleep(&[acme(), away("2026-03-10T14:30", "2026-03-12T10:00")], "").await;
    world.start().await;
    for time in ["2026-03-10T15:00", "2026-03-11T10:00", "2026-03-12T09:59", "2026-03-12T11:00"] {
        world.turn_to(time).await;
        assert!(world.conversation(MAYA).is_empty(), "{time}");
    }
    let home = world.home(MAYA).await;
    assert!(home.contains("Acme"), "it can still be taken up: {home}");
}

#[tokio::test]
async fn nobody_is_reminded_while_out_of_office() {
    let world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.set_calendar("maya.ics", &[acme(), away("2026-03-10T15:00", "2026-03-11T09:00")]);
    world.turn_to("2026-03-10T15:30").await;
    world.turn_to("2026-03-10T17:55").await;
    world.turn_to("2026-03-11T08:59").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.turn_to("2026-03-11T09:05").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
}

#[tokio::test]
async fn a_visit_to_a_customer_shown_as_out_of_office_is_a_meeting() {
    let visit = format!("{}X-MICROSOFT-CDO-BUSYSTATUS:OOF\r\n", acme());
    let world = World::new(&[visit]).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn nobody_is_asked_about_a_meeting_that_may_be_stale() {
    let entry = meeting("late", "Acme", "2026-03-11T09:00", "2026-03-11T09:45", "k@acme.example");
    let world = World::with(std::slice::from_ref(&entry), "[calendar]\nmax_age = \"2h\"\n").await;
    world.playground.break_calendar("maya.ics");
    for time in ["2026-03-10T15:00", "2026-03-11T08:30", "2026-03-11T09:50", "2026-03-11T10:20"] {
        world.turn_to(time).await;
        assert!(world.conversation(MAYA).is_empty(), "{time}");
    }
    world.set_calendar("maya.ics", &[entry]);
    world.turn_to("2026-03-11T11:00").await;
    world.turn_to("2026-03-11T11:10").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn a_friday_afternoon_off_puts_the_question_off_until_monday() {
    let call = meeting("fri", "Acme", "2026-03-13T12:00", "2026-03-13T13:00", "k@acme.example");
    let world = World::new(&[call, away("2026-03-13T13:00", "2026-03-13T18:00")]).await;
    for time in ["2026-03-13T13:10", "2026-03-13T17:59", "2026-03-14T12:00", "2026-03-16T07:59"] {
        world.turn_to(time).await;
        assert!(world.conversation(MAYA).is_empty(), "{time}");
    }
    world.turn_to("2026-03-16T08:01").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn a_meeting_that_nobody_could_check_for_days_is_not_asked_about_any_more() {
    let entry = meeting("late", "Acme", "2026-03-11T09:00", "2026-03-11T09:45", "k@acme.example");
    let world = World::with(std::slice::from_ref(&entry), "[calendar]\nmax_age = \"2h\"\n").await;
    world.playground.break_calendar("maya.ics");
    for time in ["2026-03-10T15:00", "2026-03-11T09:50", "2026-03-11T17:00", "2026-03-12T10:00"] {
        world.turn_to(time).await;
    }
    world.set_calendar("maya.ics", &[entry]);
    world.turn_to("2026-03-12T11:00").await;
    world.turn_to("2026-03-12T12:00").await;
    assert!(world.conversation(MAYA).is_empty(), "{:?}", world.conversation(MAYA));
}
