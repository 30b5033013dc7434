//! Looking things up, and who may.

use debrief::domain::debrief::DebriefId;
use debrief::domain::person::PersonId;
use debrief::playground::plain;
use debrief::ports::Clock;
use debrief::store::answers::{Answer, Slot};
use rusqlite::Connection;

use crate::world::{LEO, MAYA, NINA, PRIYA, TOM, World};

const REFUSAL: &str = "I can't show you that. You can look up your own debriefs, and those of \
                       people who report to you.";

async fn with_answers() -> World {
    let world = World::new(&[]).await;
    world.answered(MAYA, "Acme", "They act by a date", "I nearly forgot the price list").await;
    world.turn_to("2026-03-11T10:00").await;
    world.answered(MAYA, "Birk", "Nice chat, no step", "Let them lead the café tour").await;
    world.answered(TOM, "Corvo", "No", "Mention the price earlier").await;
    world
}

#[tokio::test]
pub(super) async fn a_rep_reads_all_of_their_own() {
    let world = with_answers().await;
    insta::assert_snapshot!(world.command(MAYA, "/debrief me").await, @"
    *Your debriefs*
    *Birk*
    Wed 11 Mar · meeting · nice chat, no step
    If you ran it again, what would you do differently? “Let them lead the café tour”
    [Edit]
    *Acme*
    Tue 10 Mar · meeting · they act by a date · by 30 Mar
    It worked. What nearly went wrong? “I nearly forgot the price list”
    [Edit]
    ");
    let found = world.command(MAYA, "/debrief history price").await;
    assert!(found.contains("Acme") && !found.contains("Birk") && !found.contains("Corvo"));
    assert!(world.command(MAYA, "/debrief history cafe").await.contains("Birk"));
    let found = world.command(MAYA, "/debrief history forg price").await;
    assert!(found.contains("Acme"), "the beginning of a word is enough: {found}");
    assert!(world.command(MAYA, "/debrief history account:bir").await.contains("Birk"));
    assert!(
        !world.command(MAYA, "/debrief history since:1h account:acme").await.contains("[Edit]")
    );
    let nothing = world.command(MAYA, "/debrief history \"OR 1=1\" ' ) NEAR(").await;
    assert_eq!(nothing, "None of your debriefs match that.");
}

#[tokio::test]
pub(super) async fn a_manager_reads_their_own_team_and_the_look_is_logged() {
    let world = with_answers().await;
    insta::assert_snapshot!(world.command(LEO, "/debrief history @maya").await, @"
    *Maya Brandt's debriefs*
    *Birk*
    Wed 11 Mar · meeting · nice chat, no step
    If you ran it again, what would you do differently? “Let them lead the café tour”
    *Acme*
    Tue 10 Mar · meeting · they act by a date · by 30 Mar
    It worked. What nearly went wrong? “I nearly forgot the price list”
    (Looking is logged. Ask before you tell.)
    ");
    insta::assert_snapshot!(world.command(LEO, "/debrief history @tom price").await, @"
    *Tom Okafor's debriefs*
    *Corvo*
    Wed 11 Mar · meeting · no
    If you ran it again, what would you do differently? “Mention the price earlier”
    (Looking is logged. Ask before you tell.)
    ");
    insta::assert_snapshot!(world.command(LEO, "/debrief history").await, @"Whose? `/debrief history @name`: Maya, Tom.");
    let looks = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let sql = "SELECT count(*) FROM audit WHERE action = 'history' AND result = 'done'";
    let count: i64 = looks.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2);
}

#[tokio::test]
pub(super) async fn nobody_else_reads_anything_and_nobody_learns_who_exists() {
    let world = with_answers().await;
    for reader in [TOM, NINA, PRIYA] {
        for whom in ["<@U0MAYA|maya>", "@maya", "<@U0NOBODY>", "@nobody", "maya@own.example"] {
            let typed = format!("/debrief history {whom}");
            let said = world.command(reader, &typed).await;
            assert!(!said.contains("Acme") && !said.contains("Birk"), "{reader} {whom}: {said}");
            if whom.starts_with(['<', '@']) {
                assert_eq!(said, REFUSAL, "{reader} {whom}");
            }
        }
    }
}

#[tokio::test]
pub(super) async fn a_stranger_to_the_roster_is_told_so() {
    let world = World::new(&[]).await;
    let said = world.command("U0GUEST", "/debrief history").await;
    assert_eq!(said, "You are not on debrief's roster. Ask whoever runs it to add you.");
    // A modal that was opened before anybody was looked up says so too.
    world.playground.shortcut("U0GUEST", "debrief_log").await.unwrap();
    world.settle().await;
    let modal = plain::view(&world.playground.modal("U0GUEST").unwrap());
    assert!(modal.contains("You are not on debrief's roster."), "{modal}");
}

#[tokio::test]
pub(super) async fn a_new_manager_reads_from_their_first_day_on_and_the_former_one_nothing() {
    let world = with_answers().await;
    world.turn_to("2026-03-12T09:00").await;
    let moved = crate::world::ROSTER
        .replace("maya@own.example,Maya Brandt,rep,leo@", "maya@own.example,Maya Brandt,rep,nina@");
    world.write_roster(&moved);
    world.settle().await;
    assert_eq!(world.command(LEO, "/debrief history @maya").await, REFUSAL);
    let said = world.command(NINA, "/debrief history @maya").await;
    assert_eq!(said, "Maya has no debriefs yet that you can see.");
    world.answered(MAYA, "Delphi", "No", "Start with the date").await;
    let said = world.command(NINA, "/debrief history @maya").await;
    assert!(said.contains("Delphi") && !said.contains("Acme"), "{said}");
}

#[tokio::test]
pub(super) async fn a_long_history_is_read_page_by_page() {
    let world = World::new(&[]).await;
    for number in 0..7 {
        world.answered(MAYA, &format!("Firm{number}"), "No", "Call earlier").await;
        world.pass(jiff::SignedDuration::from_mins(10)).await;
    }
    let first = world.command(MAYA, "/debrief history earlier").await;
    assert_eq!(first.matches("[Edit]").count(), 5, "{first}");
    let page = world.playground.whispers(MAYA).pop().unwrap();
    world.playground.press(MAYA, &page, "Older").await.unwrap();
    world.settle().await;
    let second = plain::message(&world.playground.whispers(MAYA).pop().unwrap());
    assert_eq!(second.matches("[Edit]").count(), 2, "{second}");
    assert!(second.contains("Firm0") && second.contains("Firm1") && !second.contains("Firm2"));
}

#[tokio::test]
pub(super) async fn typos_get_a_suggestion_and_help_is_short() {
    let world = World::new(&[]).await;
    let said = world.command(MAYA, "/debrief histroy @maya").await;
    assert_eq!(said, "I don't know “histroy”. Did you mean `/debrief history`?");
    let said = world.command(MAYA, "/debrief history acount:acme").await;
    assert_eq!(said, "I don't know “acount:”. Did you mean `account:acme`?");
    insta::assert_snapshot!(world.command(LEO, "/debrief help").await, @"
    /debrief  what is waiting for you
    /debrief now Acme  debrief a call that is in no calendar
    /debrief me  your last debriefs
    /debrief history account:acme since:30d price  search yours
    /debrief history @maya  somebody on your team
    /debrief who-saw  who looked at your debriefs
    /debrief pause until Mon  quiet until then; also 3d, tomorrow, 2026-03-30
    /debrief resume  ask again
    (Nobody else sees these replies. Your manager reads how meetings ended and what you write, unless you lock it.)
    ");
    insta::assert_snapshot!(world.command(MAYA, "/debrief").await, @"Nothing is waiting. I'll ask after your next customer meeting; `/debrief now Acme` is for calls in no calendar.");
    insta::assert_snapshot!(world.command(MAYA, "/debrief pause until soon").await, @"Until when? `/debrief pause until Mon`, `tomorrow`, `2026-03-30` or `3d`.");
}

#[tokio::test]
pub(super) async fn the_home_tab_is_the_calm_place() {
    let world = with_answers().await;
    for (person, text) in [
        (MAYA, world.home(MAYA).await),
        (LEO, world.home(LEO).await),
        (PRIYA, world.home(PRIYA).await),
    ] {
        assert!(!text.is_empty(), "{person}");
    }
    insta::assert_snapshot!(world.home(MAYA).await, @"
    # Waiting for you
    Nothing. I'll ask after your next customer meeting.
    [Log a call]
    # Your last debriefs
    *Birk*
    Wed 11 Mar · meeting · nice chat, no step
    If you ran it again, what would you do differently? “Let them lead the café tour”
    [Edit]
    *Acme*
    Tue 10 Mar · meeting · they act by a date · by 30 Mar
    It worked. What nearly went wrong? “I nearly forgot the price list”
    [Edit]
    ---
    (Leo Marsh reads how it ended and what you write, unless you tick “Only me”. Self-ratings are only for you. No ranking, nobody sees what you skip.)
    ");
    insta::assert_snapshot!(world.home(LEO).await, @"
    # Your team
    Your next digest comes Mon 16 Mar 08:00.
    Maya, Tom. Their words are theirs: ask, don't tell.
    /debrief history @maya shows what somebody shared.
    ---
    (You see what people who report to you share; every look is logged.)
    ");
    insta::assert_snapshot!(world.home(PRIYA).await, @"
    # How debrief is doing
    2 of 2 calendars read fine.
    On the server, debrief check says what to do.
    ---
    (You see how debrief is doing, and nobody's answers.)
    ");
}

#[tokio::test]
pub(super) async fn very_long_answers_still_fit_on_a_page() {
    let world = World::new(&[]).await;
    for number in 0..6 {
        world.playground.command(MAYA, &format!("/debrief now Firm{number}")).await.unwrap();
        world.form(MAYA).await;
        world.playground.say(MAYA, &format!("{number} {}", "word ".repeat(1000)));
        world.settle().await;
        world.pass(jiff::SignedDuration::from_mins(10)).await;
    }
    let page = world.command(MAYA, "/debrief me").await;
    assert_eq!(page.matches("[Edit]").count(), 5, "{page}");
    assert!(world.home(MAYA).await.contains("Firm5"));
}

#[tokio::test]
async fn words_are_found_although_the_index_follows_behind() {
    let world = with_answers().await;
    let look = |sql: &str| -> i64 {
        Connection::open(world.path("debrief.db"))
            .unwrap()
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    };
    let unindexed = "SELECT count(*) FROM answer WHERE is_unindexed = 1";
    assert_eq!(look(unindexed), 0, "the background has done it");
    let forgot = "SELECT debrief_id FROM answer WHERE body LIKE 'I nearly forgot%'";
    let rep = look("SELECT id FROM person WHERE email = 'maya@own.example'");
    let (debrief, rep, now) = (DebriefId(look(forgot)), PersonId(rep), world.clock.now());
    for body in ["I nearly forgot the samovar", "I nearly forgot the papaya"] {
        let answer = Answer { question: "nearly".into(), body: body.into() };
        let write = move |tx: &debrief::store::Tx<'_>| {
            tx.write_answer(debrief, rep, Slot::Reflect, &answer, now)
        };
        world.running().bot().store.transact(write).await.unwrap();
    }
    assert_eq!(look(unindexed), 1);
    assert!(world.command(MAYA, "/debrief history papaya").await.contains("Acme"));
    assert_eq!(look(unindexed), 0);
    assert_eq!(look("SELECT count(*) FROM outdated_words"), 0);
    for gone in ["samovar", "price"] {
        let found = world.command(MAYA, &format!("/debrief history {gone}")).await;
        assert_eq!(found, "None of your debriefs match that.");
    }
}
