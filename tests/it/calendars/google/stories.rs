//! Google Calendar as reps and administrators meet it.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use debrief::ports::Clock;
use debrief::store::feeds::FeedHealth;

use super::server::{Google, KEY, answer, refusal};
use super::{MAYA_AT, cancelled, demo, instance};
use crate::cli::beside;
use crate::world::{MAYA, ROSTER, TOM, World, meeting};

/// Maya's calendar is Google's, Tom's an iCalendar feed.
async fn world(google: &Google) -> World {
    let folder = tempfile::tempdir().unwrap().keep();
    let key = folder.join("key.json");
    std::fs::write(&key, KEY).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = format!(
        "[google]\nkey_file = {:?}\napi_url = {:?}\ntoken_url = {:?}\n",
        key.display().to_string(),
        google.api_url(),
        google.token_url()
    );
    let world = World::asleep(&[], &config).await;
    world.write_roster(&ROSTER.replace("ics:{maya}", "google"));
    world
}

async fn awake(google: &Google) -> World {
    let mut world = world(google).await;
    let clock = Arc::clone(&world.clock);
    google.check_times(move || clock.now());
    world.start().await;
    world
}

async fn health(world: &World) -> FeedHealth {
    let store = &world.running().bot().store;
    let found = store.read(|tx| {
        let mut all = tx.feeds_health()?.into_iter();
        Ok(all.find(|feed| feed.email == MAYA_AT))
    });
    found.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_meeting_in_google_calendar_is_asked_about_when_it_has_ended() {
    let google = Google::start().await;
    google.set(MAYA_AT, vec![demo("demo", "2026-03-10T14:00", 45)]);
    let world = awake(&google).await;
    world.turn_to("2026-03-10T14:49").await;
    assert!(world.conversation(MAYA).is_empty());
    // It takes a quarter of an hour longer.
    google.set(MAYA_AT, vec![demo("demo", "2026-03-10T14:00", 60)]);
    world.turn_to("2026-03-10T14:50").await;
    world.turn_to("2026-03-10T14:56").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-10T15:05").await;
    let shown = world.conversation(MAYA);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].contains("Acme"), "{}", shown[0]);
    world.turn_to("2026-03-10T17:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn a_cancelled_instance_of_which_google_tells_next_to_nothing_is_not_asked_about() {
    let google = Google::start().await;
    google.set(MAYA_AT, vec![instance("2026-03-10"), instance("2026-03-11")]);
    let world = awake(&google).await;
    google.set(MAYA_AT, vec![cancelled("2026-03-10"), instance("2026-03-11")]);
    world.turn_to("2026-03-10T16:00").await;
    assert!(world.conversation(MAYA).is_empty());
    world.turn_to("2026-03-11T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f38_a_demand_for_a_full_reading_is_met_with_the_next_one() {
    let google = Google::start().await;
    google.set(MAYA_AT, vec![demo("demo", "2026-03-10T14:00", 45)]);
    let world = awake(&google).await;
    google.next(refusal(410, "calendar", "fullSyncRequired", "Sync token is no longer valid"));
    world.turn_to("2026-03-10T13:36").await;
    let feed = health(&world).await;
    assert_eq!(feed.gone, 0, "the calendar is there");
    assert!(feed.problem.unwrap().starts_with("Google wants the calendar read as a whole"));
    world.turn_to("2026-03-10T13:50").await;
    assert_eq!(health(&world).await.problem, None);
    world.turn_to("2026-03-10T14:50").await;
    world.turn_to("2026-03-10T16:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1, "asked once");
}

#[tokio::test]
async fn f39_a_delegation_that_ends_stops_one_provider_and_loses_nothing_known() {
    let google = Google::start().await;
    google.set(MAYA_AT, vec![demo("demo", "2026-03-10T14:00", 45)]);
    // Each reading needs a token of its own.
    google.tokens_live(1);
    let world = awake(&google).await;
    let birk = meeting("t", "Birk", "2026-03-10T14:00", "2026-03-10T14:30", "p@birk.example");
    world.set_calendar("tom.ics", &[birk.replace("maya@", "tom@")]);
    google.end_delegation();
    world.turn_to("2026-03-10T13:36").await;
    let problem = health(&world).await.problem.unwrap();
    assert!(problem.starts_with("the service account may not act for people yet"), "{problem}");
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1, "what is known is asked about");
    assert_eq!(world.conversation(TOM).len(), 1, "other providers go on");
}

#[tokio::test]
async fn check_says_what_is_wrong_with_the_key_and_goes_on() {
    let google = Google::start().await;
    google.set(MAYA_AT, vec![]);
    let world = world(&google).await;
    let key = world.config().google.unwrap().key_file;
    let lines = |text: &str| -> Vec<String> {
        let about = |line: &&str| line.contains(" google ") || line.contains(" calendar ");
        let shown = key.display().to_string();
        text.lines().filter(about).map(|line| line.replace(&shown, "KEY")).collect()
    };
    let (_, text) = beside(&world, &["check"]).await;
    insta::assert_snapshot!(lines(&text).join("\n"), @"
    ok    google    service account debrief@debrief-test.iam.gserviceaccount.com; its client ID 104857600000000000001 needs the scope https://www.googleapis.com/auth/calendar.events.readonly
    ok    calendar  maya@own.example: 0 meetings in the next 7 days
    ok    calendar  tom@own.example: 0 meetings in the next 7 days
    ");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    google.always(Some(answer(503, &[], "")));
    let (_, text) = beside(&world, &["check"]).await;
    insta::assert_snapshot!(lines(&text).join("\n"), @"
    ok    google    service account debrief@debrief-test.iam.gserviceaccount.com; its client ID 104857600000000000001 needs the scope https://www.googleapis.com/auth/calendar.events.readonly
    note  google    KEY can be read by others on this machine; chmod 600 KEY
    WRONG calendar  maya@own.example: Google has a problem of its own; it is tried again [503]
    ok    calendar  tom@own.example: 0 meetings in the next 7 days
    ");
    std::fs::write(&key, r#"{"installed":{"client_secret":"GOCSPX-1"}}"#).unwrap();
    let (code, text) = beside(&world, &["check"]).await;
    insta::assert_snapshot!(lines(&text).join("\n"), @"
    WRONG google    google.key_file: KEY: the file of an OAuth client, not a service account's key; make a new key of type JSON on the service account's page under Keys
    WRONG calendar  maya@own.example: google calendars are not set up; see [google] in the configuration file
    ok    calendar  tom@own.example: 0 meetings in the next 7 days
    ");
    assert_eq!(code, Some(1));
    // The bot does not start with it: the configuration is wrong.
    let (code, text) = beside(&world, &["run"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("google.key_file") && !text.contains("GOCSPX"), "{text}");
}
