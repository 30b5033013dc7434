//! The metrics tell what has happened.

use debrief::playground::deeds::Submitted;
use debrief::playground::faults::Fault;
use jiff::SignedDuration;

use super::{SERVED, scrape};
use crate::world::{LEO, MAYA, PRIYA, TOM, World, acme};

fn is(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() < 1e-9
}

async fn served() -> World {
    World::with(&[acme()], SERVED).await
}

fn store(world: &World) -> rusqlite::Connection {
    rusqlite::Connection::open(world.path("debrief.db")).unwrap()
}

#[tokio::test]
async fn a_question_that_is_late_is_seen_and_then_counted_as_late() {
    let world = served().await;
    world.turn_to("2026-03-10T14:49").await;
    assert!(is(scrape(&world).await.value("debrief_prompts_due"), 0.0));
    world.playground.fault("chat.postMessage", Fault::RateLimited(120));
    world.turn_to("2026-03-10T14:50").await;
    world.clock.advance(SignedDuration::from_secs(100));
    let page = scrape(&world).await;
    assert!(is(page.value("debrief_prompts_due"), 1.0));
    assert!(is(page.value("debrief_prompt_oldest_due_age_seconds"), 100.0));
    assert!(is(page.value("debrief_outbox_oldest_age_seconds{kind=\"prompt\"}"), 100.0));
    world.pass(SignedDuration::from_secs(21)).await;
    world.pass(SignedDuration::from_secs(200)).await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    let page = scrape(&world).await;
    assert!(is(page.value("debrief_prompts_due"), 0.0));
    assert!(is(page.value("debrief_prompt_oldest_due_age_seconds"), 0.0));
    assert!(is(page.value("debrief_prompts_total{result=\"sent\"}"), 1.0));
    assert!(is(page.value("debrief_prompt_latency_seconds_bucket{le=\"60.0\"}"), 0.0));
    assert!(is(page.value("debrief_prompt_latency_seconds_bucket{le=\"900.0\"}"), 1.0));
    assert!(is(page.value("debrief_prompt_latency_seconds_count"), 1.0));
}

#[tokio::test]
async fn a_message_of_unknown_fate_is_seen_until_it_is_found() {
    let world = served().await;
    world.playground.fault("chat.postMessage", Fault::CutAfter);
    world.turn_to("2026-03-10T14:50").await;
    assert!(is(scrape(&world).await.value("debrief_prompts_unknown"), 1.0));
    world.pass(SignedDuration::from_secs(11)).await;
    let page = scrape(&world).await;
    assert!(is(page.value("debrief_prompts_unknown"), 0.0));
    assert!(is(page.value("debrief_prompts_total{result=\"reconciled\"}"), 1.0));
    assert!(is(page.value("debrief_prompts_total{result=\"sent\"}"), 0.0));
}

#[tokio::test]
async fn what_people_do_is_counted_by_what_became_of_it() {
    let world = served().await;
    world.turn_to("2026-03-10T14:50").await;
    world.press(MAYA, "No").await;
    world.playground.deliver_twice(1);
    world.answered(TOM, "Birk", "No", "Call earlier").await;
    world.playground.command(LEO, "/debrief help").await.unwrap();
    world.settle().await;
    world.home(PRIYA).await;
    world.playground.deliver_twice(2);
    world.open_form(MAYA).await;
    world.playground.fill(MAYA, "differently", "Ask about the budget").await.unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    store(&world)
        .execute("INSERT INTO dead_letter (received_at, kind, raw) VALUES (1, 'frame', '{')", [])
        .unwrap();
    let page = scrape(&world).await;
    let acknowledged = |kind: &str| {
        page.value(&format!("debrief_interaction_ack_seconds_count{{kind=\"{kind}\"}}"))
    };
    assert!(acknowledged("tap") >= 2.0 && acknowledged("submission") >= 2.0);
    assert!(is(acknowledged("home"), 1.0) && acknowledged("command") >= 2.0);
    let submissions =
        |result: &str| page.value(&format!("debrief_submissions_total{{result=\"{result}\"}}"));
    assert!(submissions("stored") >= 2.0);
    assert!(is(submissions("refused"), 0.0) && is(submissions("dead_letter"), 0.0));
    assert!(page.value("debrief_answers_stored_total") >= 3.0);
    assert!(is(page.value("debrief_dead_letters"), 1.0));
    assert!(is(page.value("debrief_prompt_duplicates_total"), 0.0));
    assert!(is(page.value("debrief_slack_auth_ok"), 1.0));
    assert!(page.value("debrief_slack_socket_connected") >= 1.0);
    assert!(page.value("debrief_job_runs_total{job=\"deliveries\",result=\"ok\"}") >= 1.0);
    assert!(page.value("debrief_db_size_bytes") >= 4096.0);
    assert!(page.value("debrief_db_disk_free_bytes") > 0.0);
}

#[tokio::test]
async fn a_question_that_stands_twice_is_found_by_the_daily_recount() {
    let world = served().await;
    world.turn_to("2026-03-10T14:50").await;
    world.pass(SignedDuration::from_hours(25)).await;
    assert!(is(scrape(&world).await.value("debrief_prompt_duplicates_total"), 0.0));
    // As no code of ours writes it: two messages, asked about once.
    let changed = store(&world)
        .execute(
            "INSERT INTO outbox (delivery_key, kind, subject, seq, person_id, state, created_at,
                not_before, channel, ts)
             SELECT delivery_key || 'x', kind, subject, 'x', person_id, state, created_at,
                not_before, channel, '1.2' FROM outbox WHERE kind = 'prompt'",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    world.pass(SignedDuration::from_hours(1)).await;
    assert!(is(scrape(&world).await.value("debrief_prompt_duplicates_total"), 0.0));
    world.pass(SignedDuration::from_hours(24)).await;
    assert!(is(scrape(&world).await.value("debrief_prompt_duplicates_total"), 1.0));
}

#[tokio::test]
async fn calendars_are_counted_by_how_they_are() {
    let world = served().await;
    let page = scrape(&world).await;
    assert!(is(page.value("debrief_calendar_feeds{state=\"ok\"}"), 2.0));
    assert!(is(page.value("debrief_calendar_feeds_stale"), 0.0));
    assert!(is(page.value("debrief_calendar_events_changed_total{kind=\"planned\"}"), 1.0));
    world.playground.set_calendar("tom.ics", "<html>Please log in</html>");
    world.pass(SignedDuration::from_mins(6)).await;
    world.pass(SignedDuration::from_mins(31)).await;
    let page = scrape(&world).await;
    assert!(is(page.value("debrief_calendar_feeds{state=\"failing\"}"), 1.0));
    assert!(is(page.value("debrief_calendar_feeds_stale"), 1.0));
    assert!(page.value("debrief_calendar_sync_age_seconds") >= 1800.0);
    let failed = "debrief_calendar_sync_total{provider=\"ics\",result=\"failed\"}";
    assert!(page.value(failed) >= 1.0);
    // That everything is gone is believed at the second reading.
    world.set_calendar("maya.ics", &[]);
    world.pass(SignedDuration::from_mins(6)).await;
    world.pass(SignedDuration::from_mins(6)).await;
    let page = scrape(&world).await;
    assert!(is(page.value("debrief_calendar_events_changed_total{kind=\"withdrawn\"}"), 1.0));
}

#[tokio::test]
async fn no_label_names_a_person() {
    let world = served().await;
    world.turn_to("2026-03-10T14:50").await;
    world.press(MAYA, "No").await;
    let page = scrape(&world).await;
    let people = ["maya", "tom", "leo", "priya", "nina", "own.example", "acme", "U0"];
    for value in page.label_values() {
        let named = people.iter().find(|name| value.to_lowercase().contains(&name.to_lowercase()));
        assert!(named.is_none(), "{value}");
    }
}

#[tokio::test]
async fn our_clock_is_held_against_slacks() {
    let world = served().await;
    let skew = scrape(&world).await.value("debrief_clock_skew_seconds");
    // The pretend workspace answers with the machine's date; our clock was turned to March.
    let real = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let ours = debrief::ports::Clock::now(&*world.clock).as_second() as f64;
    assert!((skew - (ours - real)).abs() < 120.0, "{skew}");
}
