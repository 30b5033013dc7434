//! One meeting in several calendars.

use jiff::SignedDuration;

use crate::world::{MAYA, TOM, World, acme, meeting};

/// Maya keeps two calendars, Tom none.
const BOTH: &str = "\
email,name,role,manager_email,calendar,zone
maya@own.example,Maya Brandt,rep,leo@own.example,ics:{maya};ics:{tom},
tom@own.example,Tom Okafor,rep,leo@own.example,,
leo@own.example,Leo Marsh,manager,,,
";

/// Everybody at Acme's: Maya, Tom, and whoever called the meeting.
fn joint(from: &str, to: &str, more: &str) -> String {
    let meeting = meeting("joint", "Acme demo", from, to, "kim.lee@acme.example");
    format!("{meeting}ATTENDEE;PARTSTAT=ACCEPTED:mailto:tom@own.example\r\n{more}")
}

const FROM: &str = "2026-03-10T14:00";
const TO: &str = "2026-03-10T14:45";

/// Maya with two calendars.
async fn both(first: &[String], second: &[String]) -> World {
    let mut world = World::asleep(first, "").await;
    world.set_calendar("tom.ics", second);
    world.write_roster(BOTH);
    world.start().await;
    world
}

/// Maya and Tom, each with their own.
async fn each(maya: &[String], tom: &[String]) -> World {
    let mut world = World::asleep(maya, "").await;
    world.set_calendar("tom.ics", tom);
    world.start().await;
    world
}

fn asked(world: &World, person: &str) -> usize {
    let conversation = world.conversation(person);
    conversation.iter().filter(|message| message.contains("How did it end?")).count()
}

#[tokio::test]
async fn one_meeting_in_two_calendars_of_one_rep_is_asked_about_once() {
    let world = both(&[acme()], &[acme()]).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(asked(&world, MAYA), 1);
    world.turn_to("2026-03-10T16:00").await;
    assert_eq!(asked(&world, MAYA), 1);
}

#[tokio::test]
async fn a_copy_under_another_uid_is_the_same_meeting() {
    let copy = acme().replace("UID:acme", "UID:copied-by-outlook");
    let world = both(&[acme()], std::slice::from_ref(&copy)).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    // Moved in both, it is still one.
    let later = |entry: String| entry.replace("T140000", "T160000").replace("T144500", "T164500");
    world.set_calendar("maya.ics", &[later(acme())]);
    world.set_calendar("tom.ics", &[later(copy)]);
    world.turn_to("2026-03-10T17:00").await;
    world.turn_to("2026-03-10T17:10").await;
    assert_eq!(asked(&world, MAYA), 1, "{:?}", world.conversation(MAYA));
}

#[tokio::test]
async fn two_meetings_at_one_time_with_different_customers_stay_two() {
    let other = meeting("birk", "Acme demo", FROM, TO, "p@birk.example");
    let world = both(&[acme()], &[other]).await;
    world.turn_to("2026-03-10T15:10").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
}

#[tokio::test]
async fn a_meeting_taken_out_of_one_calendar_stays_as_long_as_another_shows_it() {
    let world = both(&[acme()], &[acme()]).await;
    world.set_calendar("maya.ics", &[]);
    world.turn_to("2026-03-10T13:40").await;
    world.turn_to("2026-03-10T13:49").await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(asked(&world, MAYA), 1);
}

#[tokio::test]
async fn a_move_that_one_calendar_shows_late_is_not_undone_by_it() {
    let world = both(&[acme()], &[acme()]).await;
    let moved = acme().replace("T140000", "T150000").replace("T144500", "T154500");
    world.set_calendar("maya.ics", std::slice::from_ref(&moved));
    for time in ["2026-03-10T13:40", "2026-03-10T13:50", "2026-03-10T14:50", "2026-03-10T15:49"] {
        world.turn_to(time).await;
        assert!(world.conversation(MAYA).is_empty(), "{time}");
    }
    world.set_calendar("tom.ics", &[moved]);
    world.turn_to("2026-03-10T15:50").await;
    assert_eq!(asked(&world, MAYA), 1);
}

#[tokio::test]
async fn what_the_organiser_cancelled_holds_for_a_rep_whose_calendar_is_late() {
    let world = each(&[joint(FROM, TO, "")], &[joint(FROM, TO, "")]).await;
    let cancelled = joint(FROM, TO, "SEQUENCE:1\r\nSTATUS:CANCELLED\r\n");
    world.set_calendar("maya.ics", &[cancelled]);
    world.turn_to("2026-03-10T13:40").await;
    world.turn_to("2026-03-10T15:30").await;
    assert!(world.conversation(MAYA).is_empty());
    assert!(world.conversation(TOM).is_empty(), "{:?}", world.conversation(TOM));
}

#[tokio::test]
async fn what_the_organiser_moved_holds_for_a_rep_whose_calendar_is_late() {
    let mut world = World::asleep(&[joint(FROM, TO, "SEQUENCE:2\r\n")], "").await;
    let moved = joint("2026-03-10T15:00", "2026-03-10T15:45", "SEQUENCE:3\r\n");
    world.set_calendar("tom.ics", &[moved]);
    world.start().await;
    world.turn_to("2026-03-10T14:50").await;
    assert!(world.conversation(MAYA).is_empty(), "{:?}", world.conversation(MAYA));
    world.turn_to("2026-03-10T15:49").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T15:50").await;
    assert_eq!((asked(&world, MAYA), asked(&world, TOM)), (1, 1));
}

#[tokio::test]
async fn a_rep_who_calls_the_meeting_speaks_for_all_even_without_a_count() {
    let organiser = "ORGANIZER:mailto:maya@own.example\r\n";
    let world = each(&[joint(FROM, TO, organiser)], &[joint(FROM, TO, organiser)]).await;
    world.set_calendar("maya.ics", &[joint(FROM, TO, &format!("{organiser}STATUS:CANCELLED\r\n"))]);
    world.turn_to("2026-03-10T13:40").await;
    world.turn_to("2026-03-10T15:30").await;
    assert!(world.conversation(TOM).is_empty(), "{:?}", world.conversation(TOM));
}

#[tokio::test]
async fn a_guest_who_deletes_their_copy_takes_nobody_else_out_of_the_meeting() {
    let world = each(&[joint(FROM, TO, "")], &[joint(FROM, TO, "")]).await;
    world.set_calendar("maya.ics", &[joint(FROM, TO, "STATUS:CANCELLED\r\n")]);
    world.turn_to("2026-03-10T13:40").await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!((asked(&world, MAYA), asked(&world, TOM)), (0, 1));
}

#[tokio::test]
async fn a_calendar_that_hangs_costs_nobody_else_anything_and_changing_it_doubles_nothing() {
    let mut world = World::asleep(&[acme()], "[calendar]\ntimeout = \"1s\"\n").await;
    let nowhere = "ics:http://127.0.0.1:1/none.ics";
    let first = BOTH.replace("ics:{tom}", nowhere);
    world.write_roster(&first);
    world.start().await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(asked(&world, MAYA), 1);
    world.write_roster(&first.replace("ics:{maya};", "ics:{maya};google;"));
    world.pass(SignedDuration::from_mins(10)).await;
    world.write_roster(&first.replace(&format!("ics:{{maya}};{nowhere}"), "ics:{maya}"));
    world.pass(SignedDuration::from_mins(10)).await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    assert_eq!(asked(&world, MAYA), 1);
}

#[tokio::test]
async fn what_an_organiser_takes_out_of_their_calendar_is_cancelled_for_all() {
    let organiser = "ORGANIZER:mailto:maya@own.example\r\n";
    let world = each(&[joint(FROM, TO, organiser)], &[joint(FROM, TO, organiser)]).await;
    world.set_calendar("maya.ics", &[]);
    // That everything is gone is believed at the second reading.
    for time in ["2026-03-10T13:40", "2026-03-10T13:48", "2026-03-10T14:50", "2026-03-10T15:30"] {
        world.turn_to(time).await;
    }
    assert!(world.conversation(MAYA).is_empty());
    assert!(world.conversation(TOM).is_empty(), "{:?}", world.conversation(TOM));
}

#[tokio::test]
async fn somebody_elses_meeting_under_the_same_uid_changes_nothing() {
    let of = |who: &str, more: &str| format!("ORGANIZER:mailto:{who}@acme.example\r\n{more}");
    let mine = joint(FROM, TO, &of("kim", "SEQUENCE:1\r\n"));
    let world = each(std::slice::from_ref(&mine), &[]).await;
    let hostile = joint(FROM, TO, &of("eve", "SEQUENCE:2147483647\r\nSTATUS:CANCELLED\r\n"));
    world.set_calendar("tom.ics", &[hostile]);
    world.turn_to("2026-03-10T13:40").await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(asked(&world, MAYA), 1);
}

#[tokio::test]
async fn a_calendar_that_fails_no_longer_speaks_for_one_that_works() {
    let world = both(&[acme()], &[acme()]).await;
    world.playground.break_calendar("maya.ics");
    let declined = acme().replace("PARTSTAT=ACCEPTED:mailto:maya", "PARTSTAT=DECLINED:mailto:maya");
    world.set_calendar("tom.ics", &[declined]);
    for time in ["2026-03-10T13:40", "2026-03-10T13:50", "2026-03-10T14:50", "2026-03-10T15:10"] {
        world.turn_to(time).await;
        assert!(world.conversation(MAYA).is_empty(), "{time}: declined where it can be read");
    }
}

#[tokio::test]
async fn a_calendar_that_is_replaced_asks_nobody_twice() {
    let world = both(&[acme()], &[]).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(asked(&world, MAYA), 1);
    world.playground.forget_calendar("new.ics");
    let new = world.playground.calendar_url("new.ics");
    world.write_roster(&BOTH.replace("ics:{maya}", &format!("ics:{new}")));
    for minute in [52, 56, 58] {
        world.turn_to(&format!("2026-03-10T14:{minute}")).await;
    }
    world.set_calendar("new.ics", &[acme()]);
    for time in ["2026-03-10T15:10", "2026-03-10T15:20", "2026-03-10T15:40"] {
        world.turn_to(time).await;
    }
    assert_eq!(world.conversation(MAYA).len(), 1, "{:?}", world.conversation(MAYA));
    assert_eq!(asked(&world, MAYA), 1);
}
