//! Rows of the fault table, each at the one instant that matters.
//!
//! The same world without chance: one rep in Berlin, one meeting, one fault. Every story ends with
//! the same verdict as the seeds.

use std::sync::Arc;
use std::time::Duration;

use debrief::domain::debrief::{DebriefId, Outcome};
use debrief::ports::inbound::{Ack, Control, Inbound, What, message_key};
use debrief::ports::outbound::{Card, PromptStage};
use debrief::store::answers::Slot;
use jiff::SignedDuration;
use jiff::civil::{Date, date};
use tokio::time::sleep;

use super::bot::{Slip, supervise};
use super::calendars::{Standing, Version};
use super::people;
use super::seeds::live;
use super::slack::{Fate, Message, TEAM};
use super::verdict;
use super::world::{Plan, World};

const ACME: DebriefId = DebriefId(1);

/// Tuesday, 10 March 2026. The bot is up since 08:00 and comes back by itself.
fn tuesday<F: Future<Output = ()>>(story: impl FnOnce(Arc<World>) -> F) {
    day(date(2026, 3, 10), "", |world| async move {
        tokio::spawn(supervise(Arc::clone(&world)));
        world.until("08:00").await;
        world.start().await;
        // The digests are out of the way.
        world.until("14:01").await;
        story(Arc::clone(&world)).await;
        sleep(Duration::from_mins(15)).await;
        world.crash("the end");
        verdict::judge(&world);
    });
}

fn day<F: Future<Output = ()>>(first_day: Date, config: &str, story: impl FnOnce(Arc<World>) -> F) {
    let plan = Plan {
        seed: 1,
        first_day,
        zones: ["Europe/Berlin"; 3],
        reps: 1,
        faults: false,
        people: false,
        config: config.to_owned(),
        trace_in_full: true,
    };
    let outcome = live(plan, story);
    assert!(outcome.broken.is_empty(), "{:#?}\n{}", outcome.broken, outcome.story.join("\n"));
}

/// The one question about the one meeting.
fn question(world: &World) -> Message {
    let mut asked = world.questions(ACME.0);
    assert_eq!(asked.len(), 1, "questions");
    asked.remove(0)
}

fn looks_open(message: &Message) -> bool {
    let Card::Prompt(card) = &message.card else { panic!("not a question") };
    matches!(card.stage, PromptStage::Open { .. })
}

/// Opens the form and hands back what *Save* would send.
async fn submission(world: &Arc<World>, text: &str) -> (Inbound, usize) {
    let message = question(world);
    let (view, form) = people::open_form(world, &message, ACME).await.unwrap();
    let place = people::by_hand(world, ACME, text);
    let submission = Inbound {
        keys: vec![format!("sub:{}", view.id)],
        team_id: TEAM.into(),
        who: people::who(&message),
        what: What::Submitted { form: form.id, values: people::filled(world, &form, text) },
    };
    (submission, place)
}

async fn words(world: &World) -> Vec<String> {
    let store = world.with_life(|life| Arc::clone(&life.store)).unwrap();
    store.read(|tx| tx.versions(ACME, Slot::Reflect)).await.unwrap()
}

#[test]
fn f01_killed_before_the_commit_the_form_stays_and_is_saved_once() {
    tuesday(|world| async move {
        world.meeting("acme", "14:00", "14:45");
        world.until("15:00").await;
        let (submission, place) = submission(&world, "ask about the budget").await;
        world.plan_slips(&[Slip::BeforeCommit]);
        assert_eq!(world.deliver(submission.clone()).await, None, "acknowledged, not stored");
        people::submit(&world, submission, place).await;
        assert_eq!(words(&world).await, ["ask about the budget"]);
        assert_eq!(world.processes(), 2);
    });
}

#[test]
fn f02_killed_before_the_acknowledgement_the_same_form_is_not_saved_twice() {
    tuesday(|world| async move {
        world.meeting("acme", "14:00", "14:45");
        world.until("15:00").await;
        let (submission, place) = submission(&world, "ask about the budget").await;
        world.plan_slips(&[Slip::AfterCommit]);
        assert_eq!(world.deliver(submission.clone()).await, None);
        people::submit(&world, submission, place).await;
        assert_eq!(words(&world).await, ["ask about the budget"]);
        assert_eq!(world.processes(), 2);
    });
}

#[test]
fn f03_killed_after_claiming_before_the_request_the_question_comes_once() {
    tuesday(|world| async move {
        world.meeting("acme", "14:00", "14:45");
        world.plan_slips(&[Slip::BeforePost]);
        world.until("15:30").await;
        let sent = question(&world).requested.0;
        assert!(sent >= world.at("14:52"), "sent again at {sent} without the quiet wait");
        assert_eq!(world.processes(), 2);
    });
}

#[test]
fn f04_killed_after_slack_took_the_question_it_is_found_and_works() {
    for slips in [&[Slip::AfterPost][..], &[Slip::AfterPost, Slip::AfterLook]] {
        tuesday(|world| async move {
            world.meeting("acme", "14:00", "14:45");
            world.plan_slips(slips);
            let before = world.slack.calls("post");
            world.until("15:30").await;
            assert_eq!(world.slack.calls("post") - before, 1);
            people::answer(&world, &question(&world), ACME).await;
            sleep(Duration::from_mins(1)).await;
            assert!(!looks_open(&question(&world)));
            assert_eq!(world.processes(), 1 + u32::try_from(slips.len()).unwrap());
        });
    }
}

#[test]
fn f10_a_server_error_is_looked_up_and_then_tried_again() {
    for (fate, posts) in [(Fate::Refused, 2), (Fate::RefusedAfter, 1)] {
        tuesday(|world| async move {
            world.meeting("acme", "14:00", "14:45");
            world.slack.script("post", &[fate]);
            let before = world.slack.calls("post");
            world.until("15:30").await;
            question(&world);
            assert_eq!(world.slack.calls("post") - before, posts, "after {fate:?}");
            assert!(world.slack.calls("find") >= 1);
        });
    }
}

#[test]
fn f11_silence_after_the_request_is_never_answered_by_a_blind_retry() {
    for (fate, posts) in [(Fate::ReplyLost, 1), (Fate::Reset, 2)] {
        tuesday(|world| async move {
            world.meeting("acme", "14:00", "14:45");
            world.slack.script("post", &[fate]);
            world.slack.script("find", &[Fate::Refused]);
            let before = world.slack.calls("post");
            world.until("15:30").await;
            question(&world);
            assert_eq!(world.slack.calls("post") - before, posts, "after {fate:?}");
        });
    }
}

#[test]
fn f12_a_question_that_slack_delivers_late_comes_once() {
    for seconds in [11, 45, 105] {
        tuesday(|world| async move {
            world.meeting("acme", "14:00", "14:45");
            world.slack.script("post", &[Fate::Late(seconds)]);
            let before = world.slack.calls("post");
            world.until("15:30").await;
            question(&world);
            assert_eq!(world.slack.calls("post") - before, 1, "late by {seconds} s");
        });
    }
}

#[test]
fn f18_a_form_delivered_again_changes_nothing_not_even_after_an_edit() {
    tuesday(|world| async move {
        world.meeting("acme", "14:00", "14:45");
        world.until("15:00").await;
        let (first, place) = submission(&world, "first").await;
        people::submit(&world, first.clone(), place).await;
        let (second, place) = submission(&world, "second").await;
        people::submit(&world, second, place).await;
        assert_eq!(
            world.deliver(first).await,
            Some(Ack::Plain),
            "a duplicate gets the same answer"
        );
        assert_eq!(words(&world).await, ["first", "second"]);
    });
}

#[test]
fn f19_an_answer_that_comes_before_the_question_is_recorded_stays() {
    tuesday(|world| async move {
        world.meeting("acme", "14:00", "14:45");
        world.slack.script("post", &[Fate::ReplyLost]);
        world.slack.script("find", &[Fate::Refused, Fate::Refused]);
        world.sleep_until(world.at("14:50") + SignedDuration::from_secs(3)).await;
        let outcome = Outcome::NiceChat;
        people::tap(&world, &question(&world), Control::Ended { debrief: ACME, outcome }).await;
        let (form, place) = submission(&world, "listen more").await;
        people::submit(&world, form, place).await;
        world.until("15:30").await;
        assert!(!looks_open(&question(&world)), "what was sent later undid the answer");
        assert_eq!(words(&world).await, ["listen more"]);
    });
}

#[test]
fn f19_a_correction_that_overtakes_its_message_is_what_counts() {
    tuesday(|world| async move {
        world.meeting("acme", "14:00", "14:45");
        world.until("15:00").await;
        let root = question(&world);
        let message = debrief::domain::debrief::MessageRef {
            channel: root.at.channel.clone(),
            ts: "1773151300.000100".into(),
        };
        let rewrote = What::Rewrote { message: message.clone(), text: "listen more".into() };
        let thread = Some(root.at.ts.clone());
        let key = message_key(&message);
        let wrote = What::Wrote { message, thread, text: "lisen mor".into() };
        people::event(Arc::clone(&world), people::who(&root), "edit".into(), rewrote).await;
        people::event(Arc::clone(&world), people::who(&root), key, wrote).await;
        assert_eq!(words(&world).await, ["listen more"]);
    });
}

#[test]
fn f21_after_the_clock_jumped_forward_what_is_overdue_comes_once_and_soon() {
    tuesday(|world| async move {
        world.meeting("acme", "14:30", "15:30");
        world.until("14:10").await;
        assert!(world.questions(ACME.0).is_empty());
        world.set_skew(2 * 3600);
        sleep(Duration::from_mins(1)).await;
        question(&world);
        sleep(Duration::from_hours(1)).await;
        question(&world);
    });
}

#[test]
fn f21_after_the_clock_was_set_back_nobody_is_asked_twice_or_early() {
    tuesday(|world| async move {
        world.meeting("acme", "14:00", "14:45");
        world.meeting("corvo", "15:00", "15:30");
        world.slack.script("post", &[Fate::ReplyLost]);
        world.sleep_until(world.at("14:50") + SignedDuration::from_secs(5)).await;
        world.set_skew(-2 * 3600);
        world.until("17:30").await;
        question(&world);
        assert!(world.questions(2).is_empty(), "by its clock that meeting has only just ended");
        world.until("17:40").await;
        assert_eq!(world.questions(2).len(), 1);
    });
}

#[test]
fn f22_a_digest_whose_hour_is_skipped_or_doubled_comes_once() {
    for (first_day, at) in
        [(date(2026, 3, 29), "2026-03-29T01:30:00Z"), (date(2026, 10, 25), "2026-10-25T00:30:00Z")]
    {
        day(first_day, "[digest]\nschedule = \"30 2 * * *\"\n", |world| async move {
            world.start().await;
            for _ in 0..20 {
                sleep(Duration::from_mins(29)).await;
                world.crash("a restart");
                sleep(Duration::from_mins(1)).await;
                world.start().await;
            }
            let digests: Vec<Message> = world
                .slack
                .messages()
                .into_iter()
                .filter(|message| message.at.channel == "Dm0")
                .filter(|message| message.key.ends_with(&first_day.to_string()))
                .collect();
            assert_eq!(digests.len(), 1);
            let late = digests[0].requested.0.duration_since(at.parse().unwrap());
            assert!((0..=61).contains(&late.as_secs()), "{late} late");
        });
    }
}

#[test]
fn f23_a_meeting_moved_or_cancelled_before_the_question_takes_it_along() {
    tuesday(|world| async move {
        let first = world.meeting("acme", "14:20", "14:50");
        world.meeting("corvo", "15:00", "15:30");
        world.until("14:40").await;
        let (start, end) = (world.at("16:00"), world.at("16:30"));
        world.calendars.change("acme", Version { since: world.now(), start, end, ..first });
        let gone =
            Version { standing: Standing::Cancelled, ..world.calendars.entry("corvo").latest() };
        world.calendars.change("corvo", Version { since: world.now(), ..gone });
        world.until("16:34").await;
        assert!(world.slack.messages().iter().all(|message| !message.key.starts_with("prompt")));
        world.until("16:40").await;
        question(&world);
    });
}

#[test]
fn f23_a_meeting_cancelled_after_the_question_closes_it() {
    tuesday(|world| async move {
        let first = world.meeting("acme", "14:20", "14:50");
        world.until("15:00").await;
        assert!(looks_open(&question(&world)));
        let gone = Version { since: world.now(), standing: Standing::Cancelled, ..first };
        world.calendars.change("acme", gone);
        world.until("16:00").await;
        assert!(!looks_open(&question(&world)));
    });
}

#[test]
fn f23_a_question_in_doubt_whose_meeting_is_cancelled_is_not_sent_again() {
    tuesday(|world| async move {
        let first = world.meeting("acme", "14:20", "14:50");
        world.slack.script("post", &[Fate::Reset]);
        // Some forty minutes: long enough for the calendar to be read once more.
        world.slack.script("find", &[Fate::Refused; 15]);
        world.until("14:56").await;
        let gone = Version { since: world.now(), standing: Standing::Cancelled, ..first };
        world.calendars.change("acme", gone);
        world.until("16:30").await;
        assert!(world.questions(ACME.0).is_empty());
    });
}

#[test]
fn f25_a_meeting_that_ended_while_the_bot_was_down_is_asked_about_unless_too_late() {
    day(date(2026, 3, 10), "[prompt]\nexpire_after = \"4h\"\n", |world| async move {
        world.meeting("acme", "11:00", "11:30");
        world.meeting("corvo", "14:00", "14:30");
        world.until("10:00").await;
        world.start().await;
        world.until("10:30").await;
        world.crash("down");
        world.until("17:00").await;
        world.start().await;
        world.until("17:30").await;
        let asked: Vec<String> = world
            .slack
            .messages()
            .into_iter()
            .map(|message| message.key)
            .filter(|key| key.starts_with("prompt"))
            .collect();
        assert_eq!(asked, ["prompt-2-1"], "only the one within the four hours");
    });
}
