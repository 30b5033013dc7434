//! Slack fails while we send: what people see of it.

use debrief::playground::faults::Fault;
use debrief::playground::plain;
use debrief::slack::pace::Pace;
use debrief::store::outbox::{OutKind, Queue};
use jiff::SignedDuration;

use crate::world::{MAYA, PRIYA, TOM, World, acme, local, meeting};

const POST: &str = "chat.postMessage";

async fn about_to_ask() -> World {
    about_to_ask_with("").await
}

async fn about_to_ask_with(config: &str) -> World {
    let world = World::with(&[acme()], config).await;
    world.turn_to("2026-03-10T14:40").await;
    world
}

/// Tom's meeting ends with Maya's.
async fn about_to_ask_two(config: &str) -> World {
    let world = World::asleep(&[acme()], config).await;
    let theirs = meeting("b", "Birk", "2026-03-10T14:00", "2026-03-10T14:45", "a@birk.example");
    world.set_calendar("tom.ics", &[theirs.replace("maya@", "tom@")]);
    let mut world = world;
    world.start().await;
    world.turn_to("2026-03-10T14:40").await;
    world
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

/// One value out of the store, as text.
fn stored(world: &World, sql: &str) -> String {
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let value: rusqlite::types::Value = store.query_row(sql, [], |row| row.get(0)).unwrap();
    match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    }
}

fn posts(world: &World) -> usize {
    world.playground.calls(POST).len()
}

#[tokio::test]
async fn f08_a_429_holds_up_messages_alone_and_for_as_long_as_told() {
    let world = about_to_ask_two("").await;
    world.playground.fault(POST, Fault::RateLimited(30));
    world.turn_to("2026-03-10T14:50").await;
    // Both may have been on their way when the first was refused.
    let (asked, delivered) = (posts(&world), world.conversation(TOM).len());
    assert!(world.conversation(MAYA).is_empty() || delivered == 0);
    let attempts = "SELECT max(attempts) FROM outbox WHERE state = 'queued'";
    assert_eq!(stored(&world, attempts), "0", "a refusal is no attempt");
    assert!(world.home(MAYA).await.contains("Acme"), "other calls go on");
    assert!(world.command(MAYA, "/debrief").await.contains("Acme"), "and so do replies");
    world.pass(seconds(29)).await;
    assert_eq!(posts(&world), asked);
    world.pass(seconds(10)).await;
    assert_eq!((world.conversation(MAYA).len(), world.conversation(TOM).len()), (1, 1));
}

#[tokio::test]
async fn f08_what_a_429_taught_outlives_the_process() {
    let mut world = World::asleep(&[acme()], "").await;
    world.pace = Pace::slack;
    world.start().await;
    world.turn_to("2026-03-10T14:40").await;
    world.playground.fault(POST, Fault::RateLimited(1));
    world.turn_to("2026-03-10T14:50").await;
    world.pass(seconds(10)).await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    let figures = world.running().figures();
    let figures = figures.iter().find(|figures| figures.method == POST).unwrap();
    assert_eq!((figures.rate_limited, figures.requests["ok"]), (1, 1));
    world.stop().await;
    let learnt = "SELECT CAST(round(per_minute) AS INTEGER) FROM learnt_rate
                  WHERE method = 'chat.postMessage'";
    assert_eq!(stored(&world, learnt), "211", "seven tenths of 300, and a good call since");
    world.start().await;
    world.press(MAYA, "Skip").await;
    world.answered(MAYA, "Birk", "No", "Call earlier").await;
    let figures = world.running().figures();
    let figures = figures.iter().find(|figures| figures.method == POST).unwrap();
    assert_eq!(figures.learnt_per_minute.map(f64::round), Some(211.0));
}

#[tokio::test]
async fn f10_a_broken_slack_is_tried_again_until_the_deadline_and_then_somebody_is_told() {
    let config = "[prompt]\nremind_after = \"20m\"\nexpire_after = \"30m\"\n";
    let world = about_to_ask_with(config).await;
    for _ in 0..100 {
        world.playground.fault(POST, Fault::Broken(503));
    }
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..16 {
        world.pass(seconds(125)).await;
    }
    let tries = posts(&world);
    assert!((4..=16).contains(&tries), "{tries} tries within half an hour");
    assert!(world.conversation(MAYA).is_empty());
    assert_eq!(stored(&world, "SELECT state FROM outbox WHERE kind = 'prompt'"), "failed");
    assert_eq!(stored(&world, "SELECT state FROM debrief"), "expired");
    assert!(world.command(MAYA, "/debrief").await.contains("Acme"), "it can be answered");
    world.playground.heal(POST);
    // Silence is waited out for five minutes at most; the note may wait behind it.
    for _ in 0..4 {
        world.pass(SignedDuration::from_mins(5)).await;
    }
    insta::assert_snapshot!(world.conversation(PRIYA).join("\n===\n"), @"Messages that could not be delivered in the last day: 1 (1 × deadline). Questions among them wait in `/debrief`. `debrief check` shows who cannot be reached.");
    world.pass(SignedDuration::from_hours(1)).await;
    assert_eq!(world.conversation(PRIYA).len(), 1, "once a day");
    assert!(world.conversation(MAYA).is_empty());
}

#[tokio::test]
async fn f10_a_slack_that_breaks_for_everybody_is_not_asked_for_everybody() {
    let world = about_to_ask_with("").await;
    for _ in 0..100 {
        world.playground.fault(POST, Fault::Broken(502));
    }
    for number in 0..5 {
        let typed = format!("/debrief now Firm{number}");
        world.playground.command(TOM, &typed).await.unwrap();
        world.settle().await;
    }
    let tries = posts(&world);
    assert!((3..=4).contains(&tries), "{tries} tries for five messages");
    world.playground.heal(POST);
    for _ in 0..4 {
        world.pass(seconds(130)).await;
    }
    assert_eq!(world.conversation(TOM).len(), 5);
}

#[tokio::test]
async fn f11_a_post_without_an_answer_is_never_repeated_blindly() {
    let world = about_to_ask().await;
    world.playground.fault(POST, Fault::CutAfter);
    // Not even while nobody can be asked whether it arrived.
    for _ in 0..6 {
        world.playground.fault("conversations.history", Fault::Broken(500));
    }
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..14 {
        world.pass(seconds(130)).await;
    }
    assert_eq!((posts(&world), world.conversation(MAYA).len()), (1, 1));
    assert_eq!(stored(&world, "SELECT state FROM outbox WHERE kind = 'prompt'"), "sent");
    assert!(world.playground.calls("conversations.history").len() >= 7);
    world.press(MAYA, "No").await;
    assert!(world.conversation(MAYA)[0].contains("✓ No"));
}

#[tokio::test]
async fn f12_a_message_that_slack_delivers_late_stands_there_once() {
    let world = about_to_ask().await;
    world.playground.fault(POST, Fault::Late);
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..10 {
        world.pass(seconds(11)).await;
    }
    assert_eq!(posts(&world), 1, "110 s are not enough to give it up");
    assert!(world.playground.calls("conversations.history").len() >= 3);
    world.playground.arrive();
    for _ in 0..4 {
        world.pass(seconds(70)).await;
    }
    assert_eq!((posts(&world), world.conversation(MAYA).len()), (1, 1));
}

#[tokio::test]
async fn f12_a_message_that_was_lost_is_sent_again_after_two_minutes() {
    let world = about_to_ask().await;
    world.playground.fault(POST, Fault::CutBefore);
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..10 {
        world.pass(seconds(11)).await;
    }
    assert_eq!(posts(&world), 1);
    world.pass(seconds(30)).await;
    assert_eq!((posts(&world), world.conversation(MAYA).len()), (2, 1));
}

#[tokio::test]
async fn f13_what_cannot_be_looked_up_is_not_sent_again_and_somebody_is_told() {
    let world = about_to_ask().await;
    world.playground.take_scope("im:history");
    world.playground.fault(POST, Fault::CutBefore);
    world.turn_to("2026-03-10T14:50").await;
    for _ in 0..5 {
        world.pass(SignedDuration::from_mins(40)).await;
    }
    assert!(world.conversation(MAYA).is_empty());
    assert_eq!(stored(&world, "SELECT state FROM outbox WHERE kind = 'prompt'"), "uncertain");
    insta::assert_snapshot!(world.conversation(PRIYA).join("\n===\n"), @"Messages that may or may not have arrived: 1. Slack does not let me look, so I do not send them again. Does the app have the scope `im:history`? Whoever was to be asked finds the question in `/debrief`.");
    let waiting = world.command(MAYA, "/debrief").await;
    assert!(waiting.contains("Acme") && waiting.contains("[Answer]"), "{waiting}");
    let whisper = world.playground.whispers(MAYA).pop().unwrap();
    world.playground.press(MAYA, &whisper, "Answer").await.unwrap();
    assert!(world.form(MAYA).await.contains("How did it end?"));
    assert!(world.running().bot().circuit.refusal().is_none(), "sending goes on");
    world.turn_to("2026-03-11T14:00").await;
    assert_eq!(world.conversation(PRIYA).len(), 2, "once a day");
    let asked = world.playground.calls(POST);
    let asked = asked.iter().filter(|call| call.arguments["channel"] == "D0MAYA").count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn f14_whoever_cannot_be_reached_is_left_alone_until_a_lookup_finds_them() {
    for code in ["channel_not_found", "user_not_found", "account_inactive", "is_bot"] {
        let again =
            meeting("n", "Acme again", "2026-03-11T14:00", "2026-03-11T14:45", "k@acme.example");
        let world = World::new(&[acme(), again]).await;
        world.turn_to("2026-03-10T14:40").await;
        world.playground.fault(POST, Fault::Refused(code.into()));
        world.turn_to("2026-03-10T14:50").await;
        world.pass(SignedDuration::from_mins(10)).await;
        let to_maya = || {
            let calls = world.playground.calls(POST);
            calls.iter().filter(|call| call.arguments["channel"] == "D0MAYA").count()
        };
        assert_eq!((to_maya(), world.conversation(MAYA).len()), (1, 0), "{code}");
        let standing = "SELECT standing FROM person WHERE email LIKE 'maya@%'";
        assert_eq!(stored(&world, standing), "gone", "{code}");
        assert!(world.running().bot().circuit.refusal().is_none(), "{code} is not about us");
        world.turn_to("2026-03-10T21:00").await;
        assert_eq!(stored(&world, standing), "member", "{code}");
        world.turn_to("2026-03-11T14:50").await;
        assert_eq!(world.conversation(MAYA).len(), 1, "{code}");
    }
}

#[tokio::test]
async fn f15_a_refused_token_stops_everything_until_it_works_again() {
    let config = "[http]\nlisten = \"127.0.0.1:0\"\n";
    let world = about_to_ask_two(config).await;
    let health = || async {
        let address = world.running().web_address().unwrap();
        let health = reqwest::get(format!("http://{address}/healthz")).await.unwrap();
        (health.status().as_u16(), health.text().await.unwrap())
    };
    assert_eq!(health().await.0, 200);
    // A socket that is still to be opened would be refused, too, and end the program.
    world.playground.connected(2).await.unwrap();
    world.playground.revoke_tokens();
    world.turn_to("2026-03-10T14:50").await;
    let first = posts(&world);
    let (status, text) = health().await;
    assert!(status == 503 && text.contains("invalid_auth"), "{status} {text}");
    for _ in 0..5 {
        world.pass(seconds(70)).await;
    }
    let probes = posts(&world) - first;
    assert!((1..=5).contains(&probes), "{probes} tries in six minutes");
    assert_eq!(stored(&world, "SELECT count(*) FROM outbox WHERE state = 'queued'"), "2");
    world.playground.accept_tokens();
    world.pass(seconds(70)).await;
    assert_eq!((world.conversation(MAYA).len(), world.conversation(TOM).len()), (1, 1));
    let (status, text) = health().await;
    assert_eq!(status, 200, "{text}");
}

#[tokio::test]
async fn f15_questions_that_waited_too_long_for_a_token_are_not_asked_any_more() {
    let world = about_to_ask_with("[prompt]\nremind_after = \"1h\"\nexpire_after = \"2h\"\n").await;
    world.playground.take_scope("chat:write");
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.running().bot().circuit.refusal().as_deref(), Some("missing_scope"));
    world.turn_to("2026-03-10T16:55").await;
    world.playground.give_scope("chat:write");
    world.pass(seconds(70)).await;
    world.pass(seconds(70)).await;
    assert!(world.conversation(MAYA).is_empty());
    assert_eq!(stored(&world, "SELECT state FROM debrief"), "expired");
    // Somebody else's try shows that the scope is back.
    world.answered(TOM, "Birk", "No", "Call earlier").await;
    world.pass(seconds(70)).await;
    assert_eq!((world.conversation(TOM).len(), world.conversation(MAYA).len()), (1, 0));
    assert!(world.running().bot().circuit.refusal().is_none());
}

#[tokio::test]
async fn f15_rows_with_nothing_to_send_do_not_wait_for_the_token() {
    let config = "[prompt]\nremind_after = \"1h\"\nexpire_after = \"2h\"\n";
    let world = about_to_ask_two(config).await;
    world.playground.take_scope("chat:write");
    world.turn_to("2026-03-10T14:50").await;
    let tried = posts(&world);
    world.turn_to("2026-03-10T16:55").await;
    assert_eq!(stored(&world, "SELECT count(*) FROM debrief WHERE state = 'expired'"), "2");
    assert_eq!(stored(&world, "SELECT count(*) FROM outbox WHERE state = 'queued'"), "0");
    assert_eq!(posts(&world), tried, "it took no call");
    assert!(world.running().bot().circuit.refusal().is_some());
}

#[tokio::test]
async fn f25_a_question_held_up_until_the_night_waits_for_the_morning() {
    let late = meeting("a", "Acme", "2026-03-10T17:00", "2026-03-10T17:50", "k@acme.example");
    let world = World::new(&[late]).await;
    world.turn_to("2026-03-10T17:40").await;
    world.playground.fault(POST, Fault::RateLimited(600));
    world.turn_to("2026-03-10T17:55").await;
    assert_eq!(posts(&world), 1);
    for time in ["2026-03-10T18:06", "2026-03-11T03:00", "2026-03-11T07:59"] {
        world.turn_to(time).await;
        assert!(world.conversation(MAYA).is_empty(), "{time}");
    }
    world.turn_to("2026-03-11T08:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f25_what_ended_while_the_bot_was_down_is_asked_by_day_and_not_too_late() {
    let mut world = about_to_ask().await;
    world.stop().await;
    world.clock.set(local("2026-03-11T03:00"));
    world.start().await;
    world.pass(SignedDuration::from_hours(1)).await;
    assert!(world.conversation(MAYA).is_empty(), "not at night");
    world.turn_to("2026-03-11T08:00").await;
    assert_eq!(world.conversation(MAYA).len(), 1);

    let mut world = about_to_ask().await;
    world.stop().await;
    world.clock.set(local("2026-03-12T09:00"));
    world.start().await;
    world.pass(SignedDuration::from_hours(1)).await;
    assert!(world.conversation(MAYA).is_empty(), "not two days later");
    assert_eq!(stored(&world, "SELECT state FROM debrief"), "expired");
}

#[tokio::test]
async fn a_form_that_slack_is_too_busy_to_open_is_apologised_for_and_the_tap_is_kept() {
    let world = World::asked_about_acme().await;
    world.press(MAYA, "Nice chat, no step").await;
    world.playground.fault("views.open", Fault::RateLimited(5));
    let prompt = world.last(MAYA);
    world.playground.press(MAYA, &prompt, "Answer").await.unwrap();
    world.settle().await;
    assert_eq!(world.last_whisper(MAYA), "Slack is busy. Please open it again in a moment.");
    let tapped = plain::message(&world.last(MAYA));
    assert!(tapped.contains("[✓ Nice chat, no step]"), "{tapped}");
    world.open_form(MAYA).await;
    assert!(world.form(MAYA).await.contains("✓ Nice chat, no step"));
}

#[tokio::test]
async fn changes_of_a_message_that_have_to_wait_become_one() {
    let world = World::asked_about_acme().await;
    world.playground.fault("chat.update", Fault::RateLimited(30));
    world.press(MAYA, "Nice chat, no step").await;
    world.press(MAYA, "No").await;
    world.press(MAYA, "Firm yes").await;
    assert_eq!(world.playground.calls("chat.update").len(), 1);
    world.pass(seconds(40)).await;
    assert_eq!(world.playground.calls("chat.update").len(), 2);
    assert!(world.conversation(MAYA)[0].contains("[✓ Firm yes]"));
}

#[tokio::test]
async fn conversations_are_open_before_anybody_is_asked() {
    let world = about_to_ask().await;
    assert_eq!(stored(&world, "SELECT count(*) FROM person WHERE channel IS NULL"), "0");
    let opened = world.playground.calls("conversations.open").len();
    assert_eq!(opened, 5);
    world.turn_to("2026-03-10T14:50").await;
    assert_eq!(world.conversation(MAYA).len(), 1);
    assert_eq!(world.playground.calls("conversations.open").len(), opened);
}

#[tokio::test]
async fn questions_go_before_digests_but_not_for_ever() {
    let (now, late) = (local("2026-03-10T15:00"), local("2026-03-10T20:01"));
    let world = about_to_ask().await;
    let bot = world.running().bot();
    let order = bot
        .store
        .transact(move |tx| {
            let maya = tx.person_by_email("maya@own.example")?.unwrap().id;
            let kinds = [OutKind::Digest, OutKind::Reminder, OutKind::Prompt, OutKind::Note];
            for kind in kinds {
                tx.enqueue(kind, 77, "x", maya, "", now)?;
            }
            tx.enqueue(OutKind::Prompt, 78, "x", maya, "", late)?;
            let mut order = Vec::new();
            for at in [now, late] {
                let claimed = tx.claim_due(Queue::Posts, at, 10)?;
                order.push(claimed.iter().map(|row| row.kind).collect::<Vec<_>>());
                for row in claimed {
                    tx.put_back(&row)?;
                }
            }
            for row in tx.claim_due(Queue::Posts, late, 10)? {
                tx.drop_message(row.id)?;
            }
            Ok(order)
        })
        .await
        .unwrap();
    let (digest, note) = (OutKind::Digest, OutKind::Note);
    let (prompt, reminder) = (OutKind::Prompt, OutKind::Reminder);
    assert_eq!(order[0], [note, prompt, reminder, digest]);
    assert_eq!(order[1], [digest, note, prompt, prompt, reminder]);
}

#[test]
fn the_outbox_is_claimed_along_an_index() {
    let store = rusqlite::Connection::open_in_memory().unwrap();
    for migration in debrief::store::schema::MIGRATIONS {
        store.execute_batch(migration).unwrap();
    }
    for sql in [
        "SELECT id FROM outbox WHERE state IN ('queued', 'uncertain') AND lane = 1
            AND not_before <= 5 ORDER BY not_before, id LIMIT 3",
        "SELECT min(not_before) FROM outbox WHERE state IN ('queued', 'uncertain') AND lane = 1",
        "SELECT count(*) FROM outbox WHERE state = 'failed'",
        "SELECT count(*) FROM outbox WHERE state = 'uncertain' AND problem IS NOT NULL",
        "SELECT id FROM person WHERE is_active = 1 AND standing = 'member' AND channel IS NULL
            AND open_at <= 5 ORDER BY open_at LIMIT 3",
    ] {
        let mut plan = store.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let is_indexed = |step: &String| step.contains("INDEX") && !step.contains("TEMP");
        assert!(steps.iter().all(is_indexed), "{sql}: {steps:?}");
    }
}
