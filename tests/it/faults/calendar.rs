//! Calendars that fail, lie or change.

use debrief::store::feeds::FeedHealth;
use jiff::SignedDuration;

use crate::world::{LEO, MAYA, ROSTER, TOM, World, acme, meeting};

/// An entry for Tom, who is asked about 14:00 to 14:30.
fn birk() -> String {
    meeting("t", "Birk", "2026-03-10T14:00", "2026-03-10T14:30", "p@birk.example")
        .replace("maya@", "tom@")
}

fn weekly(rule: &str) -> String {
    format!("{}RRULE:{rule}\r\n", acme())
}

/// How Maya's calendar is doing.
async fn health(world: &World) -> FeedHealth {
    let store = &world.running().bot().store;
    let found = store.read(|tx| {
        let mut all = tx.feeds_health()?.into_iter();
        Ok(all.find(|feed| feed.email == "maya@own.example"))
    });
    found.await.unwrap().unwrap()
}

fn states(world: &World) -> Vec<String> {
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let mut rows = store.prepare("SELECT state FROM debrief ORDER BY id").unwrap();
    let states = rows.query_map([], |row| row.get(0)).unwrap();
    states.map(Result::unwrap).collect()
}

#[tokio::test]
async fn f23_an_instance_moved_before_we_asked_moves_its_question() {
    let world = World::new(&[weekly("FREQ=DAILY;COUNT=2")]).await;
    let moved = format!(
        "{}RECURRENCE-ID;TZID=Europe/Berlin:20260310T140000\r\n",
        meeting("acme", "Acme demo", "2026-03-10T15:00", "2026-03-10T15:45", "k@acme.example")
    );
    world.set_calendar("maya.ics", &[weekly("FREQ=DAILY;COUNT=2"), moved]);
    world.turn_to("2026-03-10T15:49").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T15:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f23_an_instance_cancelled_before_we_asked_is_not_asked_about() {
    let world = World::new(&[weekly("FREQ=DAILY;COUNT=2")]).await;
    let out = format!("{}EXDATE;TZID=Europe/Berlin:20260310T140000\r\n", weekly("FREQ=DAILY"));
    world.set_calendar("maya.ics", &[out]);
    world.turn_to("2026-03-10T16:00").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-11T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f23_what_is_cancelled_after_we_asked_closes_and_makes_no_second_message() {
    let series = weekly("FREQ=DAILY;COUNT=2");
    let world = World::new(std::slice::from_ref(&series)).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    let cancelled = format!(
        "{}RECURRENCE-ID;TZID=Europe/Berlin:20260310T140000\r\nSTATUS:CANCELLED\r\n",
        acme()
    );
    world.set_calendar("maya.ics", &[series, cancelled]);
    world.turn_to("2026-03-10T15:30").await;
    let shown = world.conversation(MAYA);
    assert_eq!(shown.len(), 1);
    assert!(!shown[0].contains("How did it end?"), "{}", shown[0]);
}

#[tokio::test]
async fn f23_what_is_moved_after_we_asked_is_asked_about_again_at_its_new_end() {
    let world = World::new(&[acme()]).await;
    world.turn_to("2026-03-10T14:50").await;
    assert!(world.conversation(MAYA)[0].contains("How did it end?"));
    let later = acme().replace("T140000", "T160000").replace("T144500", "T164500");
    world.set_calendar("maya.ics", &[later]);
    world.turn_to("2026-03-10T15:30").await;
    let shown = world.conversation(MAYA);
    assert_eq!(shown.len(), 1);
    assert!(!shown[0].contains("How did it end?"), "the early question is closed: {}", shown[0]);
    world.turn_to("2026-03-10T16:49").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.turn_to("2026-03-10T16:50").await;
    let shown = world.conversation(MAYA);
    assert_eq!(shown.iter().filter(|text| text.contains("How did it end?")).count(), 1);
    world.press(MAYA, "No").await;
    // What was answered stays answered, wherever the meeting goes.
    let tomorrow = acme().replace("20260310", "20260311");
    world.set_calendar("maya.ics", &[tomorrow]);
    world.turn_to("2026-03-11T14:00").await;
    world.turn_to("2026-03-11T15:30").await;
    let shown = world.conversation(MAYA);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[1].contains("[✓ No]"), "{}", shown[1]);
}

#[tokio::test]
async fn f23_a_series_that_is_deleted_after_we_asked_is_not_asked_about_again() {
    let world = World::new(&[weekly("FREQ=DAILY;COUNT=9")]).await;
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    world.set_calendar("maya.ics", &[]);
    world.turn_to("2026-03-10T15:30").await;
    world.turn_to("2026-03-10T16:00").await;
    let shown = world.conversation(MAYA);
    assert!(!shown[0].contains("How did it end?"), "{}", shown[0]);
    world.turn_to("2026-03-12T17:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f24_one_meeting_twice_in_a_calendar_is_asked_about_once_and_two_reps_are_asked_each() {
    let both = format!(
        "{}ATTENDEE;PARTSTAT=ACCEPTED:mailto:tom@own.example\r\n",
        meeting("acme", "Acme", "2026-03-10T14:00", "2026-03-10T14:45", "k@acme.example")
    );
    let world = World::new(&[both.clone(), both.clone()]).await;
    world.set_calendar("tom.ics", &[both]);
    world.turn_to("2026-03-10T14:50").await;
    for person in [MAYA, TOM] {
        assert_eq!(world.conversation(person).len(), 1, "{person}");
    }
    world.turn_to("2026-03-10T15:30").await;
    for person in [MAYA, TOM] {
        assert_eq!(world.conversation(person).len(), 1, "{person}");
    }
}

#[tokio::test]
async fn f34_a_calendar_that_is_gone_is_told_of_once_and_what_is_known_stays() {
    let world = World::new(&[weekly("FREQ=DAILY;COUNT=3")]).await;
    world.playground.forget_calendar("maya.ics");
    world.turn_to("2026-03-10T13:36").await;
    world.turn_to("2026-03-10T13:52").await;
    assert_eq!(health(&world).await.gone, 2);
    assert!(world.conversation(MAYA).is_empty(), "twice may be an accident");
    world.turn_to("2026-03-10T14:30").await;
    let feed = health(&world).await;
    assert_eq!(feed.gone, 3);
    let problem = feed.problem.unwrap();
    assert!(problem.starts_with("not found (HTTP 404 or 410)"), "{problem}");
    assert!(feed.good_at.is_some());
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"I can no longer read your calendar: its address is not known any more. Please ask your administrator for a new one. Until then I go by what I know, and `/debrief now` works as ever.");
    // The meetings that we know of are asked about, today's and tomorrow's.
    world.turn_to("2026-03-10T15:10").await;
    assert_eq!(world.conversation(MAYA).len(), 2);
    world.press(MAYA, "Skip").await;
    world.turn_to("2026-03-11T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 3);
    assert!(!states(&world).contains(&"withdrawn".to_owned()), "{:?}", states(&world));
    // It comes back and goes again: that is news.
    world.set_calendar("maya.ics", &[weekly("FREQ=DAILY;COUNT=3")]);
    world.turn_to("2026-03-11T15:30").await;
    assert_eq!(health(&world).await.problem, None);
    world.playground.forget_calendar("maya.ics");
    for minute in [40, 50, 58] {
        world.turn_to(&format!("2026-03-11T15:{minute}")).await;
    }
    world.turn_to("2026-03-11T16:30").await;
    let told = world.conversation(MAYA).iter().filter(|text| text.contains("no longer")).count();
    assert_eq!(told, 2);
}

#[tokio::test]
async fn f34_errors_of_another_kind_in_between_begin_the_count_anew() {
    let world = World::new(&[acme()]).await;
    world.playground.forget_calendar("maya.ics");
    world.turn_to("2026-03-10T13:36").await;
    world.turn_to("2026-03-10T13:50").await;
    world.playground.set_calendar("maya.ics", "<html>maintenance</html>");
    world.turn_to("2026-03-10T14:15").await;
    assert_eq!(health(&world).await.gone, 0);
    world.playground.forget_calendar("maya.ics");
    world.turn_to("2026-03-10T14:44").await;
    assert_eq!(health(&world).await.gone, 1);
    assert!(world.conversation(MAYA).is_empty());
}

#[tokio::test]
async fn f35_a_failing_calendar_backs_off_to_half_an_hour_and_hurts_nobody_else() {
    let world = World::new(&[acme()]).await;
    world.set_calendar("tom.ics", &[birk()]);
    let nowhere = ROSTER.replace("ics:{maya}", "ics:http://127.0.0.1:9/secret.ics");
    world.playground.break_calendar("maya.ics");
    let mut last = world.playground.calendar_asked("maya.ics");
    let mut gaps = Vec::new();
    let mut quiet = 0;
    for _ in 0..240 {
        world.clock.advance(SignedDuration::from_mins(1));
        world.running().catch_up().await;
        quiet += 1;
        let asked = world.playground.calendar_asked("maya.ics");
        if asked > last {
            gaps.push(quiet);
            (last, quiet) = (asked, 0);
        }
    }
    assert!(gaps.iter().all(|gap| *gap <= 30), "{gaps:?}");
    assert!(gaps.iter().filter(|gap| **gap >= 29).count() >= 3, "{gaps:?}");
    assert_eq!(world.conversation(TOM).len(), 1, "somebody else's calendar is read");
    assert_eq!(world.conversation(MAYA).len(), 1, "the last good state stays in use");
    let feed = health(&world).await;
    assert_eq!(feed.good_at.unwrap().to_string(), "2026-03-10T12:30:00Z");
    assert!(feed.problem.unwrap().starts_with("the server has a problem of its own"));
    // A server that is not there at all is no different.
    world.write_roster(&nowhere);
    world.pass(SignedDuration::from_mins(1)).await;
    assert_eq!(health(&world).await.problem.as_deref(), Some("the server cannot be reached"));
    assert!(world.conversation(LEO).is_empty());
}

#[tokio::test]
async fn f36_what_is_no_whole_calendar_changes_nothing() {
    let entry = |text: &str| format!("BEGIN:VCALENDAR\r\n{text}");
    let whole = entry("END:VCALENDAR\r\n");
    let cut = entry(&format!("BEGIN:VEVENT\r\n{}", &acme()[..60]));
    // The first calendar of two is whole, the second is not.
    let half = format!("{whole}{cut}");
    let world = World::new(&[acme()]).await;
    for (minute, (text, reason)) in (32..).step_by(3).zip([
        ("", "the calendar is empty"),
        ("<!doctype html><title>Log in</title>", "a web page instead of a calendar"),
        ("\u{0}\u{1}\u{2}nonsense", "not an iCalendar file"),
        (&cut, "the calendar breaks off in the middle"),
        (&half, "the calendar breaks off in the middle"),
    ]) {
        world.playground.set_calendar("maya.ics", text);
        world.write_roster(&format!("{ROSTER}# {minute}\n"));
        let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
        store.execute("UPDATE feed SET next_at = 0, failures = 0", []).unwrap();
        world.turn_to(&format!("2026-03-10T13:{minute}")).await;
        let problem = health(&world).await.problem.unwrap();
        assert!(problem.starts_with(reason), "{text:?}: {problem}");
        assert_eq!(states(&world), ["planned"]);
    }
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f36_absence_counts_only_where_half_of_what_is_to_come_is_still_there() {
    let day = |hour: u8| {
        let guest = format!("a@firm{hour}.example");
        let (from, to) = (format!("2026-03-10T{hour}:00"), format!("2026-03-10T{hour}:30"));
        meeting(&format!("m{hour}"), "Call", &from, &to, &guest)
    };
    let all: Vec<String> = (14..18).map(day).collect();
    // Two of four: that is somebody's afternoon off.
    let world = World::new(&all).await;
    world.set_calendar("maya.ics", &all[..2]);
    world.turn_to("2026-03-10T13:36").await;
    assert_eq!(states(&world), ["planned", "planned", "withdrawn", "withdrawn"]);
    // One of one: it takes a second reading.
    world.set_calendar("maya.ics", &[]);
    world.turn_to("2026-03-10T13:42").await;
    assert_eq!(states(&world)[..2], ["planned", "planned"]);
    let problem = health(&world).await.problem.unwrap();
    assert!(problem.starts_with("most known meetings were missing"), "{problem}");
    world.turn_to("2026-03-10T13:48").await;
    assert_eq!(states(&world), ["withdrawn"; 4]);
    // What comes back is asked about after all.
    world.set_calendar("maya.ics", &all[..1]);
    world.turn_to("2026-03-10T14:35").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f37_a_calendar_too_large_is_cut_off_and_flagged() {
    let world = World::with(&[acme()], "[calendar]\nmax_bytes = \"64KiB\"\n").await;
    let long = format!("{}DESCRIPTION:{}\r\n", acme(), "x".repeat(100_000));
    world.set_calendar("maya.ics", &[long]);
    world.turn_to("2026-03-10T13:36").await;
    let problem = health(&world).await.problem.unwrap();
    assert_eq!(problem, "larger than calendar.max_bytes; publish fewer past events");
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1, "what is known stays");
}
