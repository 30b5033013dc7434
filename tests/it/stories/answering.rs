//! From a question to a stored answer.

use std::collections::BTreeMap;

use debrief::playground::deeds::Submitted;
use debrief::playground::plain;
use debrief::store::answers::Slot;

use crate::world::{LEO, MAYA, TOM, World, acme, meeting};

#[tokio::test]
pub(super) async fn a_tap_is_saved_at_once_and_a_restart_keeps_it() {
    let mut world = World::asked_about_acme().await;
    world.press(MAYA, "Nice chat, no step").await;
    let tapped = plain::message(&world.last(MAYA));
    assert!(tapped.contains("[✓ Nice chat, no step]"), "{tapped}");
    world.restart().await;
    insta::assert_snapshot!(world.command(MAYA, "/debrief history").await, @"
    *Your debriefs*
    *Acme*
    Tue 10 Mar · demo · nice chat, no step
    [Edit]
    ");
    // A tap is an answer: no reminder, and at the end it stands.
    world.turn_to("2026-03-10T18:00").await;
    world.turn_to("2026-03-11T15:00").await;
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"
    ✓ Acme · nice chat, no step
    [Edit] [Only me]
    ");
}

#[tokio::test]
pub(super) async fn the_form_words_its_question_after_the_ending_and_keeps_what_was_typed() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    insta::assert_snapshot!(world.form(MAYA).await, @r#"
    # Acme
    *Acme demo · demo · Tue 10 Mar 14:00–14:45 · with Kim Lee*
    Leo Marsh reads how it ended and what you write, unless you tick “Only me”. Self-ratings are only for you.
    How did it end?: [Firm yes | They act by a date | Nice chat, no step | No | Didn't happen]
    If you ran it again, what would you do differently?: []
    Make it a rule: next time, when … (optional): [we open the meeting | they ask for price | a new person joins | they go quiet | they say "send me something" | they ask about a competitor | the last five minutes begin | something else happens]
    … I will … (optional): []
    How much did you have to think about it? (optional): [Automatic | A little | Some | A lot | Every step]
    Who reads it (optional): [Only me]
    [Save]
    "#);
    world.playground.fill(MAYA, "differently", "Let them lead").await.unwrap();
    world.playground.fill(MAYA, "How did it end?", "They act by a date").await.unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.form(MAYA).await, @r#"
    # Acme
    *Acme demo · demo · Tue 10 Mar 14:00–14:45 · with Kim Lee*
    Leo Marsh reads how it ended and what you write, unless you tick “Only me”. Self-ratings are only for you.
    How did it end?: [✓ They act by a date]
    By when do they act?: [date]
    It worked. What nearly went wrong?: [Let them lead]
    Make it a rule: next time, when … (optional): [we open the meeting | they ask for price | a new person joins | they go quiet | they say "send me something" | they ask about a competitor | the last five minutes begin | something else happens]
    … I will … (optional): []
    How much did you have to think about it? (optional): [Automatic | A little | Some | A lot | Every step]
    Who reads it (optional): [Only me]
    [Save]
    "#);

    let nothing_yet = world.playground.submit(MAYA).await.unwrap();
    let missing = BTreeMap::from([("by".into(), "Pick the date they act by.".into())]);
    assert_eq!(nothing_yet, Submitted::Errors(missing));
    world.playground.fill(MAYA, "By when", "2026-03-20").await.unwrap();
    world.playground.fill(MAYA, "next time", "they go quiet").await.unwrap();
    world.playground.fill(MAYA, "I will", "wait").await.unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"
    ✓ Acme · they act by a date · “Let them lead”
    [Edit] [Only me]
    ");
}

#[tokio::test]
pub(super) async fn mistakes_are_shown_under_their_fields() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    let errors = world.playground.submit(MAYA).await.unwrap();
    let expected = [("ended", "Pick how it ended.")];
    let expected = expected.map(|(field, line)| (field.to_owned(), line.to_owned()));
    assert_eq!(errors, Submitted::Errors(BTreeMap::from(expected)));
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "  ").await.unwrap();
    world.playground.fill(MAYA, "I will", "ask first").await.unwrap();
    let expected =
        [("reflect", "One sentence is enough, but one is needed."), ("cue", "When does it apply?")];
    let expected = expected.map(|(field, line)| (field.to_owned(), line.to_owned()));
    let errors = world.playground.submit(MAYA).await.unwrap();
    assert_eq!(errors, Submitted::Errors(BTreeMap::from(expected)));
    assert!(world.playground.modal(MAYA).is_some(), "the form stays open");
}

#[tokio::test]
pub(super) async fn an_answer_can_be_edited_any_time_and_versions_are_kept() {
    let world = World::asked_about_acme().await;
    world.open_form(MAYA).await;
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    world.playground.fill(MAYA, "differently", "Ask about budget").await.unwrap();
    world.playground.submit(MAYA).await.unwrap();
    world.turn_to("2026-03-12T10:00").await;
    world.press(MAYA, "Edit").await;
    assert!(world.form(MAYA).await.contains("[Ask about budget]"));
    world.playground.fill(MAYA, "differently", "Ask about budget earlier").await.unwrap();
    world.playground.submit(MAYA).await.unwrap();
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Ask about budget earlier”"));
    let versions = world
        .running()
        .bot()
        .store
        .read(|tx| tx.versions(debrief::domain::debrief::DebriefId(1), Slot::Reflect))
        .await
        .unwrap();
    assert_eq!(versions, ["Ask about budget", "Ask about budget earlier"]);
}

#[tokio::test]
pub(super) async fn a_plain_reply_is_an_answer_and_correcting_it_corrects_the_answer() {
    let world = World::asked_about_acme().await;
    let ts = world.playground.say(MAYA, "Let them <lead> & listen");
    world.settle().await;
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"
    ✓ Acme · “Let them <lead> & listen”
    [Firm yes] [They act by a date] [Nice chat, no step] [No] [Didn't happen]
    [Edit] [Only me]
    ");
    world.playground.edit(MAYA, &ts, "Let them lead");
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("“Let them lead”"));
    // The ending is asked once more, where it stands.
    world.press(MAYA, "No").await;
    insta::assert_snapshot!(world.conversation(MAYA).join("\n===\n"), @"
    ✓ Acme · no · “Let them lead”
    [Edit] [Only me]
    ");
}

#[tokio::test]
pub(super) async fn editing_a_long_reply_cuts_nothing() {
    let world = World::asked_about_acme().await;
    let long = format!("{} end", "I should have listened. ".repeat(40));
    world.playground.say(MAYA, &long);
    world.settle().await;
    world.press(MAYA, "Edit").await;
    assert!(world.form(MAYA).await.contains("listened.  end]"), "all of it is in the form");
    world.playground.fill(MAYA, "How did it end?", "No").await.unwrap();
    assert_eq!(world.playground.submit(MAYA).await.unwrap(), Submitted::Accepted);
    world.settle().await;
    let shown = world.command(LEO, "/debrief history @maya").await;
    assert!(shown.contains(long.trim()), "{shown}");
}

#[tokio::test]
pub(super) async fn a_reply_in_the_thread_answers_that_prompt() {
    let world = with_two_open_questions().await;
    let prompts = world.playground.from_bot(MAYA);
    assert_eq!(prompts.len(), 2);
    world.playground.reply(MAYA, &prompts[0].ts, "Bring the numbers");
    world.settle().await;
    let shown = world.conversation(MAYA);
    assert!(shown[0].contains("Acme") && shown[0].contains("“Bring the numbers”"), "{}", shown[0]);
    assert!(shown[1].contains("How did it end?"));
}

/// Maya was asked about Acme and then about Birk.
async fn with_two_open_questions() -> World {
    let birk = meeting("b", "Birk", "2026-03-10T15:00", "2026-03-10T15:30", "p@birk.example");
    let world = World::new(&[acme(), birk]).await;
    world.turn_to("2026-03-10T14:50").await;
    world.turn_to("2026-03-10T15:35").await;
    world
}

#[tokio::test]
pub(super) async fn with_two_open_questions_a_plain_message_is_asked_about() {
    let world = with_two_open_questions().await;
    world.playground.say(MAYA, "Ask for the date");
    world.settle().await;
    insta::assert_snapshot!(plain::message(&world.last(MAYA)), @"
    “Ask for the date”: which meeting is this about?
    [Birk 15:30] [Acme 14:45] [None of them]
    ");
    world.press(MAYA, "Acme 14:45").await;
    let shown = world.conversation(MAYA);
    assert!(shown[0].contains("“Ask for the date”"), "{}", shown[0]);
    assert_eq!(shown[2], "Saved for Acme.");
}

#[tokio::test]
pub(super) async fn whoever_writes_many_lines_is_asked_about_one_after_another() {
    let world = with_two_open_questions().await;
    let before = world.conversation(MAYA).len();
    for line in ["Ask for the date", "Bring Kim", "Talk less"] {
        world.playground.say(MAYA, line);
        world.settle().await;
    }
    let asked = |world: &World| world.conversation(MAYA).len() - before;
    assert_eq!(asked(&world), 1, "one question, however many lines");
    world.press(MAYA, "Acme 14:45").await;
    assert_eq!(asked(&world), 2);
    assert!(world.conversation(MAYA)[before + 1].contains("“Bring Kim”"));
    world.press(MAYA, "None of them").await;
    assert!(world.conversation(MAYA)[before + 2].contains("“Talk less”"));
    world.press(MAYA, "Birk 15:30").await;
    assert_eq!(asked(&world), 3, "each was asked about once");
    let shown = world.conversation(MAYA);
    assert!(shown[0].contains("“Ask for the date”"), "{}", shown[0]);
    assert!(shown[1].contains("“Talk less”"), "{}", shown[1]);
}

#[tokio::test]
pub(super) async fn a_question_about_a_text_that_is_left_alone_does_not_hold_the_next_one_for_ever()
{
    let world = with_two_open_questions().await;
    world.playground.say(MAYA, "Ask for the date");
    world.settle().await;
    world.turn_to("2026-03-10T16:40").await;
    let before = world.conversation(MAYA).len();
    world.playground.say(MAYA, "Bring Kim");
    world.settle().await;
    assert!(world.conversation(MAYA)[before].contains("“Bring Kim”"));
}

#[tokio::test]
pub(super) async fn a_lock_keeps_the_words_from_the_manager() {
    let world = World::asked_about_acme().await;
    world.playground.say(MAYA, "I talked too much");
    world.settle().await;
    let seen = world.command(LEO, "/debrief history @maya").await;
    assert!(seen.contains("I talked too much"), "{seen}");
    world.press(MAYA, "Only me").await;
    let seen = world.command(LEO, "/debrief history @maya").await;
    assert!(!seen.contains("talked"), "{seen}");
    assert!(seen.contains("kept private"), "{seen}");
    let searched = world.command(LEO, "/debrief history @maya talked").await;
    assert!(!searched.contains("Acme"), "{searched}");
    world.press(MAYA, "Unlock").await;
    let seen = world.command(LEO, "/debrief history @maya").await;
    assert!(seen.contains("I talked too much"), "{seen}");
}

#[tokio::test]
pub(super) async fn a_rough_one_is_asked_about_more_kindly() {
    let world = World::asked_about_acme().await;
    world.press(MAYA, "No").await;
    world.press(MAYA, "Rough one").await;
    let shown = plain::message(&world.last(MAYA));
    assert!(shown.contains("What did you get right?"), "{shown}");
    world.open_form(MAYA).await;
    assert!(world.form(MAYA).await.contains("Where did it turn?"));
}

#[tokio::test]
pub(super) async fn a_call_in_no_calendar_is_logged_by_hand() {
    let world = World::new(&[]).await;
    world.answered(TOM, "Acme", "No", "Call earlier").await;
    insta::assert_snapshot!(world.conversation(TOM).join("\n===\n"), @"
    ✓ Acme · no · “Call earlier”
    [Edit] [Only me]
    ");
    world.playground.shortcut(TOM, "debrief_log").await.unwrap();
    insta::assert_snapshot!(world.form(TOM).await, @"
    # Log a debrief
    *For a call or a meeting that is in no calendar.*
    Account: []
    What kind of meeting?: [discovery | demo | negotiation | exec | check-in | ✓ meeting]
    (The questions come as a message right after.)
    [Next]
    ");
    world.playground.fill(TOM, "Account", "birk.com").await.unwrap();
    world.playground.fill(TOM, "kind", "demo").await.unwrap();
    world.playground.submit(TOM).await.unwrap();
    world.settle().await;
    assert!(world.conversation(TOM)[1].contains("*Birk*"), "{}", world.conversation(TOM)[1]);
}

#[tokio::test]
pub(super) async fn a_wrong_account_is_corrected_for_the_whole_series() {
    let weekly = format!("{}RRULE:FREQ=DAILY;COUNT=2\r\n", acme());
    let world = World::new(&[weekly]).await;
    world.turn_to("2026-03-10T14:50").await;
    world.press(MAYA, "Wrong account or kind").await;
    world.form(MAYA).await;
    world.playground.fill(MAYA, "Account", "Acme Holding").await.unwrap();
    world.playground.fill(MAYA, "kind", "negotiation").await.unwrap();
    world.playground.submit(MAYA).await.unwrap();
    world.settle().await;
    assert!(world.conversation(MAYA)[0].contains("*Acme Holding*"));
    world.press(MAYA, "Skip").await;
    world.turn_to("2026-03-11T14:50").await;
    let next = plain::message(&world.last(MAYA));
    assert!(next.contains("*Acme Holding*") && next.contains("negotiation"), "{next}");
}

#[tokio::test]
pub(super) async fn a_trigger_that_is_too_old_is_explained() {
    let world = World::asked_about_acme().await;
    let refused = debrief::playground::faults::Fault::Refused("expired_trigger_id".into());
    world.playground.fault("views.open", refused);
    world.press(MAYA, "Answer").await;
    assert_eq!(world.last_whisper(MAYA), "That took too long. Please press again.");
}

#[tokio::test]
pub(super) async fn somebody_elses_debrief_cannot_be_touched() {
    let world = World::asked_about_acme().await;
    world.command(TOM, "/debrief history").await;
    let prompt = world.last(MAYA);
    // Tom sends what Maya's button carries, from a message of his own.
    world.playground.say(TOM, "hello");
    world.settle().await;
    let own = world.last(TOM);
    world.playground.forge(TOM, &own, &prompt, "No").await.unwrap();
    world.settle().await;
    assert!(world.last_whisper(TOM).contains("belongs to somebody else"));
    assert!(!plain::message(&world.last(MAYA)).contains("✓"));
}
