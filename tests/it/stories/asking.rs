//! From a calendar to a question.

use debrief::playground::plain;
use jiff::SignedDuration;

use crate::world::{MAYA, World, acme, local, meeting};

#[tokio::test]
pub(super) async fn a_meeting_ends_and_the_rep_is_asked_once() {
    let world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:49").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T14:50").await;
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"
    *Acme*
    Acme demo · demo · Tue 10 Mar 14:00–14:45 · with Kim Lee
    *How did it end?*
    [Firm yes] [They act by a date] [Nice chat, no step] [No] [Didn't happen]
    *If you ran it again, what would you do differently?*
    [Answer] [Ask in 1 hour] [Skip] [… After lunch (tomorrow 13:00) | End of day (today 17:30) | Wrong account or kind]
    (Leo Marsh reads how it ended and what you write, unless you tick “Only me”. Self-ratings are only for you.)
    ");
    world.turn_to("2026-03-10T15:20").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
pub(super) async fn one_reminder_then_silence_then_the_end() {
    let world = World::asked_about_acme().await;
    world.turn_to("2026-03-10T17:49").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.turn_to("2026-03-10T17:50").await;
    insta::assert_snapshot!(world.conversation(MAYA)[1], @"
    Acme, ended 14:45: one sentence while it is fresh?
    [Answer] [Skip]
    ");
    world.turn_to("2026-03-11T14:00").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
    world.turn_to("2026-03-11T14:51").await;
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"
    Acme: closed for now. Late is fine.
    [Answer]
    ===
    Acme: closed for now.
    ");
}

#[tokio::test]
pub(super) async fn nobody_is_asked_in_the_middle_of_the_next_meeting() {
    let next = meeting("b", "Corvo", "2026-03-10T14:50", "2026-03-10T15:30", "a@corvo.example");
    let world = World::new(&[acme(), next]).await;
    world.turn_to("2026-03-10T15:29").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T15:35").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
}

#[tokio::test]
pub(super) async fn the_plan_follows_the_meeting_until_we_asked() {
    let world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:10").await;
    let longer =
        meeting("acme", "Acme demo", "2026-03-10T14:00", "2026-03-10T15:30", "k@acme.example");
    world.set_calendar("maya.ics", &[longer]);
    world.turn_to("2026-03-10T15:34").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T15:35").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
pub(super) async fn a_meeting_cancelled_at_the_last_minute_is_not_asked_about() {
    let world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:44").await;
    world.set_calendar("maya.ics", &[format!("{}STATUS:CANCELLED\r\n", acme())]);
    world.turn_to("2026-03-10T14:50").await;
    world.turn_to("2026-03-10T16:00").await;
    assert!(world.conversation(MAYA).is_empty());
}

#[tokio::test]
pub(super) async fn one_instance_of_a_series_is_moved_and_another_one_is_out() {
    let weekly = format!(
        "{}RRULE:FREQ=DAILY;COUNT=3\r\nEXDATE;TZID=Europe/Berlin:20260311T140000\r\n",
        acme()
    );
    let moved = format!(
        "{}RECURRENCE-ID;TZID=Europe/Berlin:20260312T140000\r\n",
        meeting("acme", "Acme demo", "2026-03-12T10:00", "2026-03-12T10:30", "k@acme.example")
    );
    let world = World::new(&[weekly, moved]).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.press(MAYA, "Skip").await;
    world.turn_to("2026-03-11T17:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.turn_to("2026-03-12T10:35").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
    world.press(MAYA, "Skip").await;
    world.turn_to("2026-03-12T17:00").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
}

#[tokio::test]
pub(super) async fn nobody_is_asked_outside_working_hours() {
    let late = meeting("a", "Acme", "2026-03-10T17:30", "2026-03-10T18:30", "k@acme.example");
    let world = World::new(&[late]).await;
    world.turn_to("2026-03-10T18:40").await;
    world.turn_to("2026-03-11T07:59").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-11T08:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
pub(super) async fn a_rep_who_travels_is_asked_in_their_new_zone() {
    let late = meeting("a", "Acme", "2026-03-10T20:30", "2026-03-10T21:00", "k@acme.example");
    let world = World::new(&[late]).await;
    world.playground.change_member(MAYA, |maya| maya.zone = "America/Los_Angeles".into());
    world.turn_to("2026-03-10T21:04").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T21:05").await;
    assert_eq!(world.conversation(MAYA).len(), 1, "it is early afternoon where she is");
}

#[tokio::test]
pub(super) async fn do_not_disturb_is_respected() {
    let world = World::new(&[acme()]).await;
    let quiet = Some((local("2026-03-10T14:30"), local("2026-03-10T16:00")));
    world.playground.change_member(MAYA, |maya| maya.quiet = quiet);
    world.turn_to("2026-03-10T14:50").await;
    world.turn_to("2026-03-10T15:59").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T16:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
pub(super) async fn a_pause_is_quiet_and_leaves_nothing_to_flood() {
    let world = World::new(&[acme()]).await;
    let said = world.command(MAYA, "/debrief pause until Thu").await;
    insta::assert_snapshot!(said, @"
    Quiet until Thu 12 Mar 08:00. Nobody is told.
    [Resume now]
    ");
    world.turn_to("2026-03-10T14:50").await;
    world.turn_to("2026-03-12T08:30").await;
    assert!(world.conversation(MAYA).is_empty());
    insta::assert_snapshot!(world.command(MAYA, "/debrief").await, @"
    *Acme*
    demo, ended Tue 10 Mar 14:45
    [Answer]
    ");
}

#[tokio::test]
pub(super) async fn snooze_skip_and_did_not_happen() {
    let world = World::asked_about_acme().await;
    world.press(MAYA, "Ask in 1 hour").await;
    insta::assert_snapshot!(world.last_whisper(MAYA), @"OK, I'll come back to Acme today 15:50.");
    world.turn_to("2026-03-10T15:49").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.turn_to("2026-03-10T15:50").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
    let prompt = world.playground.from_bot(MAYA).remove(0);
    world.playground.press(MAYA, &prompt, "Didn't happen").await.unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"
    Acme: did not happen. Noted.
    [It did happen]
    ===
    Acme: taken care of.
    ");
    world.turn_to("2026-03-11T12:00").await;
    assert_eq!(world.conversation(MAYA).len(), 2);

    let world = World::asked_about_acme().await;
    world.press(MAYA, "Skip").await;
    insta::assert_snapshot!(world.conversation(MAYA)[0], @"
    Acme: skipped. Nobody is told.
    [Answer]
    ");
    world.turn_to("2026-03-11T12:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
pub(super) async fn the_day_has_a_budget_and_the_rest_waits() {
    let hours = [8, 9, 10, 11].map(|hour| {
        let (from, to) = (format!("2026-03-11T{hour:02}:00"), format!("2026-03-11T{hour:02}:30"));
        meeting(&format!("m{hour}"), "Call", &from, &to, &format!("a@firm{hour}.example"))
    });
    let world = World::with(&hours, "[prompt]\nmax_per_day = 2\nremind_after = \"20h\"\n").await;
    for hour in 8..12 {
        world.turn_to(&format!("2026-03-11T{hour:02}:40")).await;
    }
    assert_eq!(world.conversation(MAYA).len(), 2);
    let waiting = world.command(MAYA, "/debrief").await;
    assert_eq!(waiting.matches("[Answer]").count(), 4, "{waiting}");
}

#[tokio::test]
pub(super) async fn a_restart_changes_nothing() {
    let mut world = World::asked_about_acme().await;
    let before = world.playground.from_bot(MAYA);
    world.restart().await;
    world.pass(SignedDuration::from_mins(5)).await;
    let after = world.playground.from_bot(MAYA);
    assert_eq!(after.len(), 1);
    assert_eq!(plain::message(&before[0]), plain::message(&after[0]));
    world.turn_to("2026-03-10T17:50").await;
    world.restart().await;
    assert_eq!(world.conversation(MAYA).len(), 2);
}

#[tokio::test]
pub(super) async fn what_ended_while_the_bot_was_down_is_asked_about_when_it_wakes() {
    let mut world = World::new(&[acme()]).await;
    world.stop().await;
    world.clock.set(local("2026-03-10T16:30"));
    world.start().await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}
