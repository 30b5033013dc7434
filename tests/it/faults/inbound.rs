//! Slack, the network or people misbehave while we listen.

use std::fmt::Write as _;
use std::time::Duration;

use debrief::playground::deeds::Submitted;
use debrief::playground::faults::Fault;
use debrief::playground::{Member, plain};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::cli::beside;
use crate::world::{MAYA, TOM, World, acme, local, meeting, over_http};

/// The same where Slack posts signed requests.
macro_rules! and_over_http {
    ($($story:ident $again:ident;)+) => {
        $(#[test]
        fn $again() {
            over_http($story);
        })+
    };
}

and_over_http! {
    f17_what_was_written_while_the_bot_was_away_is_read_when_it_wakes
        f17_over_http_what_was_written_while_the_bot_was_away_is_read_when_it_wakes;
    f18_what_comes_twice_happens_once_and_is_answered_the_same
        f18_over_http_what_comes_twice_happens_once_and_is_answered_the_same;
    f19_a_correction_that_overtakes_its_message_counts
        f19_over_http_a_correction_that_overtakes_its_message_counts;
    f19_a_message_taken_away_afterwards_leaves_the_answer
        f19_over_http_a_message_taken_away_afterwards_leaves_the_answer;
    f20_what_cannot_be_read_is_kept_and_its_sender_told
        f20_over_http_what_cannot_be_read_is_kept_and_its_sender_told;
    f32_a_form_that_was_open_during_a_restart_is_taken
        f32_over_http_a_form_that_was_open_during_a_restart_is_taken;
    f33_a_click_that_came_too_late_is_explained_and_two_clicks_do_no_harm
        f33_over_http_a_click_that_came_too_late_is_explained_and_two_clicks_do_no_harm;
    f44_another_workspace_gets_nothing
        f44_over_http_another_workspace_gets_nothing;
}

async fn until(mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

fn count(world: &World, what: &str) -> i64 {
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    store.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn f16_one_socket_serves_while_the_other_is_renewed() {
    let world = World::asked_about_acme().await;
    world.playground.connected(2).await.unwrap();
    world.playground.drop_one_socket();
    world.press(MAYA, "No").await;
    assert!(world.conversation(MAYA)[0].contains("✓ No"), "at once, over the other one");
    world.playground.connected(2).await.unwrap();
    for reason in ["warning", "refresh_requested"] {
        world.playground.renew_sockets(reason);
        world.playground.say(MAYA, &format!("Call earlier, after a {reason}"));
        world.settle().await;
        until(|| world.running().health().up == 2).await;
    }
    world.playground.drop_sockets();
    world.playground.say(MAYA, "And then all was cut");
    world.playground.connected(1).await.unwrap();
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier, after a warning”"));
    assert_eq!(count(&world, "pending_text"), 1, "one answer");
    let seen = count(&world, "inbound_seen WHERE key LIKE 'msg:%'");
    assert_eq!(seen, 3, "nothing was lost");
}

#[tokio::test]
async fn f17_sends_go_on_while_no_socket_is_open_and_answers_are_read_afterwards() {
    let world = World::new(&[acme()]).await;
    let later = meeting("b", "Birk", "2026-03-10T14:30", "2026-03-10T14:50", "p@birk.example");
    let later = later.replace("maya@own.example", "tom@own.example");
    world.set_calendar("tom.ics", &[later]);
    world.turn_to("2026-03-10T14:50").await;
    assert!(world.conversation(TOM).is_empty());
    world.playground.connected(2).await.unwrap();
    // Each try of either socket is refused, for a few seconds of real time.
    for _ in 0..8 {
        world.playground.fault("apps.connections.open", Fault::Broken(503));
    }
    world.playground.drop_sockets();
    until(|| world.running().health().up == 0).await;
    world.playground.say_unheard(MAYA, "Let them lead", None);
    world.turn_to("2026-03-10T15:10").await;
    assert_eq!(world.conversation(TOM).len(), 1, "asked, although nothing can come in");
    world.playground.connected(1).await.unwrap();
    until(|| world.running().health().up > 0).await;
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Let them lead”"));
}

#[tokio::test]
async fn f17_what_was_written_while_the_bot_was_away_is_read_when_it_wakes() {
    let mut world = World::asked_about_acme().await;
    let prompt = world.last(MAYA);
    world.playground.say(MAYA, "hi");
    world.settle().await;
    let shown = world.conversation(MAYA).len();
    world.stop().await;
    world.playground.say_unheard(MAYA, "Let them lead", Some(&prompt.ts));
    world.playground.say_unheard(TOM, "nobody asked me", None);
    world.clock.set(local("2026-03-10T15:10"));
    world.start().await;
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Let them lead”"));
    assert_eq!(world.conversation(MAYA).len(), shown, "what was heard before is not heard again");
    assert!(world.conversation(TOM).is_empty(), "only where a question is open");
    // Delivered after all, it changes nothing.
    let again = json!({
        "type": "message", "channel_type": "im", "channel": prompt.channel, "user": MAYA,
        "text": "Something else", "thread_ts": prompt.ts,
        "ts": world.playground.messages(MAYA).last().unwrap().ts,
    });
    world.playground.tell_event(again);
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Let them lead”"));
}

#[tokio::test]
async fn f17_a_look_that_slack_refuses_is_taken_again() {
    let mut world = World::asked_about_acme().await;
    world.stop().await;
    world.playground.say_unheard(MAYA, "Let them lead", None);
    world.clock.set(local("2026-03-10T15:10"));
    for _ in 0..2 {
        world.playground.fault("conversations.history", Fault::Broken(503));
    }
    world.start().await;
    for _ in 0..4 {
        world.settle().await;
    }
    assert!(world.conversation(MAYA)[0].contains("“Let them lead”"));
}

#[tokio::test]
async fn f18_what_comes_twice_happens_once_and_is_answered_the_same() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    world.playground.deliver_twice(100);
    assert!(matches!(world.playground.submit(MAYA).await.unwrap(), Submitted::Errors(_)));
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Call earlier").await.unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    world.playground.say(MAYA, "What else is there");
    world.settle().await;
    world.playground.command(MAYA, "/debrief now Birk").await.unwrap();
    world.settle().await;
    assert_eq!(count(&world, "answer_version"), 0, "nothing was written twice");
    assert_eq!(count(&world, "debrief"), 2, "one was logged");
    assert_eq!(count(&world, "outbox WHERE kind = 'note'"), 1, "one line of help");
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
}

#[tokio::test]
async fn f19_a_correction_that_overtakes_its_message_counts() {
    let world = World::asked_about_acme().await;
    world.playground.hold_deliveries();
    let ts = world.playground.say(MAYA, "Call laiter");
    world.playground.edit(MAYA, &ts, "Call later");
    world.playground.release_reversed();
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call later”"), "{:?}", world.conversation(MAYA));
    world.playground.edit(MAYA, &ts, "Call earlier");
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
    // A chat of old that is corrected does not become an answer.
    let birk = meeting("b", "Birk", "2026-03-10T15:00", "2026-03-10T15:30", "p@birk.example");
    world.set_calendar("maya.ics", &[acme(), birk]);
    let chat = world.playground.say(MAYA, "hello");
    world.settle().await;
    world.turn_to("2026-03-10T15:36").await;
    world.playground.edit(MAYA, &chat, "hello there");
    world.settle().await;
    assert!(world.conversation(MAYA).last().unwrap().contains("How did it end?"));
}

#[tokio::test]
async fn f19_a_message_taken_away_afterwards_leaves_the_answer() {
    let world = World::asked_about_acme().await;
    let ts = world.playground.say(MAYA, "Call earlier");
    world.settle().await;
    world.playground.delete(MAYA, &ts);
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
    assert_eq!(count(&world, "dead_letter"), 0);
}

/// A form of a version that we do not know.
fn strange_form(trigger: &str) -> Value {
    json!({
        "type": "view_submission", "team": {"id": "T0PLAY"}, "user": {"id": MAYA},
        "trigger_id": trigger,
        "view": {
            "id": "V9", "hash": "9.a", "private_metadata": "{\"v\":99,\"form\":\"answer\"}",
            "blocks": [{"type": "input", "block_id": "ended"}],
            "state": {"values": {"ended": {"ended": {"type": "plain_text_input",
                "value": "words nobody may see"}}}},
        },
    })
}

#[tokio::test]
async fn f20_what_cannot_be_read_is_kept_and_its_sender_told() {
    let world = World::asked_about_acme().await;
    for _ in 0..2 {
        let answer = world.playground.tell("interactive", strange_form("1.1")).await.unwrap();
        assert_eq!(
            answer["errors"]["ended"],
            "I could not read this form. Please send me your answer as a message instead.",
            "the form stays open"
        );
    }
    world.settle().await;
    assert_eq!(count(&world, "dead_letter"), 1, "kept once");
    insta::assert_snapshot!(plain::message(&world.last(MAYA)), @"I could not read what you just sent me. It is kept for whoever runs me. If it was an answer, please write it here as a message.");
    // Other things that nobody understands: kept, and nobody is bothered again.
    let strange_press = json!({
        "type": "block_actions", "team": {"id": "T0PLAY"}, "user": {"id": MAYA},
        "actions": [{"action_id": "x", "type": "button", "value": "nonsense:1", "action_ts": "1"}],
    });
    assert_eq!(world.playground.tell("interactive", strange_press).await, Some(Value::Null));
    let of_the_future =
        json!({"type": "telepathy", "team": {"id": "T0PLAY"}, "user": {"id": MAYA}});
    assert_eq!(world.playground.tell("interactive", of_the_future).await, Some(Value::Null));
    world.playground.tell_event(json!({"type": "message", "text": "neither where nor when"}));
    world.settle().await;
    assert_eq!(count(&world, "dead_letter"), 4);
    assert_eq!(count(&world, "outbox WHERE kind = 'note'"), 1);
    world.playground.say(MAYA, "Call earlier");
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"), "as it was told");
}

#[tokio::test]
async fn f20_dead_letters_are_listed_without_their_content_and_read_again() {
    let mut world = World::asked_about_acme().await;
    world.playground.tell("interactive", strange_form("1.1")).await.unwrap();
    world.settle().await;
    let (code, list) = beside(&world, &["dead-letters", "list"]).await;
    assert!(list.contains("kept") && list.contains("view_submission"), "{list}");
    assert!(!list.contains("words") && code == Some(0), "{list}");
    let (code, shown) = beside(&world, &["dead-letters", "show", "1"]).await;
    assert!(shown.contains("add --reveal") && !shown.contains("words"), "{shown}");
    assert_eq!(code, Some(1));
    let (_, shown) = beside(&world, &["dead-letters", "show", "1", "--reveal"]).await;
    assert!(shown.contains("words nobody may see"), "{shown}");

    // Beside a running bot, which still does not understand it.
    let (_, said) = beside(&world, &["dead-letters", "replay", "1"]).await;
    assert!(said.starts_with("1 to be read again: the running bot reads them"), "{said}");
    world.settle().await;
    let (_, list) = beside(&world, &["dead-letters", "list"]).await;
    assert!(list.contains("unreadable"), "{list}");

    // A version that does: what it kept is a message that we can read.
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let readable = json!({
        "type": "event_callback", "team_id": "T0PLAY", "event_id": "Ev7", "event": {
            "type": "message", "channel_type": "im", "channel": "D0MAYA", "user": MAYA,
            "text": "Call earlier", "ts": "1773150900.000100",
        },
    });
    store.execute("UPDATE dead_letter SET raw = ?1", [readable.to_string()]).unwrap();
    drop(store);
    world.stop().await;
    let (_, said) = beside(&world, &["dead-letters", "replay"]).await;
    assert_eq!(
        said,
        "1 to be read again: the bot reads them when it starts; then see `debrief dead-letters list`\n"
    );
    world.start().await;
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
    let (_, list) = beside(&world, &["dead-letters", "list"]).await;
    assert!(list.contains("replayed"), "{list}");
    let (code, said) = beside(&world, &["dead-letters", "replay", "1"]).await;
    assert!(said.contains("none of these") && code == Some(1), "{said}");
    let (_, said) = beside(&world, &["dead-letters", "drop", "1"]).await;
    assert_eq!(said, "1 deleted\n");
    let (_, list) = beside(&world, &["dead-letters", "list"]).await;
    assert_eq!(list, "no dead letters: everything was understood\n");
}

#[tokio::test]
async fn f20_dead_letters_are_forgotten_after_a_month() {
    let world = World::new(&[]).await;
    world.playground.tell("interactive", strange_form("1.1")).await.unwrap();
    world.turn_to("2026-04-08T12:00").await;
    assert_eq!(count(&world, "dead_letter"), 1);
    world.turn_to("2026-04-09T15:00").await;
    assert_eq!(count(&world, "dead_letter"), 0);
}

#[tokio::test]
async fn f32_a_form_that_was_open_during_a_restart_is_taken() {
    let mut world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Call earlier").await.unwrap();
    world.stop().await;
    if !world.is_over_http() {
        // Nobody is there: the form stays open, with everything in it.
        assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Timeout);
    }
    world.start().await;
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Call earlier”"));
}

#[tokio::test]
async fn f33_a_click_that_came_too_late_is_explained_and_two_clicks_do_no_harm() {
    let world = World::asked_about_acme().await;
    world.playground.fault("views.open", Fault::Refused("expired_trigger_id".into()));
    world.press(MAYA, "Answer").await;
    assert_eq!(world.last_whisper(MAYA), "That took too long. Please press again.");
    let prompt = world.last(MAYA);
    let (one, other) = tokio::join!(
        world.playground.press(MAYA, &prompt, "Answer"),
        world.playground.press(MAYA, &prompt, "Answer"),
    );
    one.and(other).unwrap();
    world.settle().await;
    world.form(MAYA).await;
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Call earlier").await.unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    assert_eq!(count(&world, "answer WHERE slot = 'reflect'"), 1);
    assert_eq!(count(&world, "answer_version"), 0);
    assert_eq!(world.conversation(MAYA).len(), 1);
}

#[tokio::test]
async fn f44_another_workspace_gets_nothing() {
    let world = World::asked_about_acme().await;
    let prompt = world.last(MAYA);
    let modals = world.playground.calls("views.open").len();
    let elsewhere = json!({"id": "T0OTHER"});
    let press = |value: &str| {
        json!({
            "type": "block_actions", "team": elsewhere, "user": {"id": MAYA}, "trigger_id": "1.2",
            "container": {"type": "message", "message_ts": prompt.ts, "channel_id": prompt.channel},
            "actions": [{"action_id": "x", "type": "button", "value": value, "action_ts": "1"}],
        })
    };
    let stored = plain::message(&prompt);
    for value in ["answer:1", "skip:1", "log"] {
        world.playground.tell("interactive", press(value)).await.unwrap();
    }
    let command = json!({
        "command": "/debrief", "text": "history @maya", "team_id": "T0OTHER", "user_id": MAYA,
        "trigger_id": "1.3", "response_url": "https://hooks.slack.com/commands/T0OTHER/1/x",
    });
    world.playground.tell("slash_commands", command).await.unwrap();
    world.settle().await;
    assert_eq!(world.playground.calls("views.open").len(), modals, "nothing is even opened");
    assert_eq!(plain::message(&world.last(MAYA)), stored);
    // A guest of this workspace is told that it is not for them, and nothing else.
    let told = world.command("U0GUEST", "/debrief history @maya").await;
    assert_eq!(told, "You are not on debrief's roster. Ask whoever runs it to add you.");
    let refused = count(&world, "audit WHERE action = 'entry' AND result = 'refused'");
    assert!(refused > 0, "it is in the audit log");
    assert_eq!(count(&world, "audit WHERE action = 'history' AND result = 'done'"), 0);
}

#[tokio::test]
async fn f17_what_many_people_wrote_during_a_long_gap_is_read_in_parts_and_counts_once() {
    let others: Vec<Member> = (0..60)
        .map(|number| Member {
            id: format!("U0R{number}"),
            name: format!("Rep {number}"),
            email: format!("r{number}@own.example"),
            zone: "Europe/Berlin".into(),
            ..Member::default()
        })
        .collect();
    let mut roster = "email,name,role,manager_email,calendar,zone\n".to_owned();
    for member in &others {
        writeln!(roster, "{},{},rep,,ics:{{maya}},", member.email, member.name).unwrap();
    }
    let ids: Vec<String> = others.iter().map(|member| member.id.clone()).collect();
    let mut world = World::asleep_among(others, &[acme()], "").await;
    world.write_roster(&roster);
    world.start().await;
    world.turn_to("2026-03-10T14:50").await;
    for id in &ids {
        assert_eq!(world.conversation(id).len(), 1, "{id}");
    }
    world.stop().await;
    for id in &ids {
        world.playground.say_unheard(id, &format!("Words of {id}"), None);
    }
    // Slack lets us read a part, then asks for patience; one conversation is gone for good.
    world.playground.fault("conversations.history", Fault::Refused("channel_not_found".into()));
    world.clock.advance(SignedDuration::from_mins(12));
    world.start().await;
    world.playground.fault("conversations.history", Fault::RateLimited(30));
    for _ in 0..8 {
        world.pass(SignedDuration::from_mins(1)).await;
    }
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let mut rows = store.prepare("SELECT body FROM answer WHERE slot = 'reflect'").unwrap();
    let mut said: Vec<String> =
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    said.sort();
    let before = said.len();
    said.dedup();
    assert_eq!(said.len(), before, "each once");
    assert_eq!(before, ids.len() - 1, "everybody's whom Slack lets us read");
}
