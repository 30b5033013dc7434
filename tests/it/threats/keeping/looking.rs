//! Every kind of person × every command, button, form and view: who sees what of whom.

use debrief::domain::debrief::{DebriefId, Outcome, Snooze};
use debrief::flows::command::{self, Command};
use debrief::flows::respond::{Filling, Response, Then};
use debrief::flows::{history, respond};
use debrief::ports::Clock;
use debrief::ports::inbound::{
    Control, FormValue, FormValues, Inbound, ReplyTo, Tap, Trigger, What,
};
use debrief::ports::outbound::FormId;
use jiff::SignedDuration;

use super::beside;
use crate::world::{LEO, MAYA, NINA, PRIYA, TOM, World};

const OLGA: &str = "U0OLGA";
const ADA: &str = "U0ADA";
const BERT: &str = "U0BERT";
const LENA: &str = "U0LENA";
const GUEST: &str = "U0GUEST";
const SVEN: &str = "U0SVEN";

/// On the first day Maya reports to Olga, from the second on to Leo, who reports to Bert. Tom has
/// always reported to Ada, who administers too. Lena will be deactivated, Olaf is a guest in Slack,
/// Sven is on no roster.
const FIRST: &str = "\
email,name,role,manager_email,calendar,zone
maya@own.example,Maya Brandt,rep,olga@own.example,,
tom@own.example,Tom Okafor,rep,ada@own.example,,
lena@own.example,Lena Gone,rep,leo@own.example,,
olaf@own.example,Olaf Guest,rep,leo@own.example,,
leo@own.example,Leo Marsh,manager,bert@own.example,,
olga@own.example,Olga Former,manager,,,
bert@own.example,Bert Boss,manager,,,
nina@own.example,Nina Falk,manager,,,
ada@own.example,Ada Mint,manager;admin,,,
priya@own.example,Priya Nair,admin,,,
";

const EVERYBODY: [(&str, &str); 12] = [
    ("the rep", MAYA),
    ("a peer, a rep too", TOM),
    ("the manager of today, new with a date", LEO),
    ("the former manager", OLGA),
    ("the manager's manager", BERT),
    ("a manager of nobody", NINA),
    ("an administrator who is Tom's direct manager", ADA),
    ("an administrator", PRIYA),
    ("somebody deactivated", LENA),
    ("a guest", GUEST),
    ("a stranger", SVEN),
    ("somebody who does not exist", "U0NOBODY"),
];

/// A secret, and who may read it.
const SECRETS: [(&str, &[&str]); 8] = [
    // Maya's, before Leo was her manager.
    ("Alphafirm", &[MAYA]),
    ("alphawords", &[MAYA]),
    // And after.
    ("Bravofirm", &[MAYA, LEO]),
    ("bravowords", &[MAYA, LEO]),
    // Locked: how it ended is no secret, the words are.
    ("Charliefirm", &[MAYA, LEO]),
    ("charliewords", &[MAYA]),
    // Tom's.
    ("Tangofirm", &[TOM, ADA]),
    ("tangowords", &[TOM, ADA]),
];

fn expect_no_leak(who: &str, person: &str, what: &str, seen: &str) {
    let seen = seen.to_lowercase();
    for (secret, readers) in SECRETS {
        let leaks = seen.contains(&secret.to_lowercase()) && !readers.contains(&person);
        assert!(!leaks, "{who} reads {secret} by {what}: {seen}");
    }
}

/// Everybody has what they have on a Wednesday noon.
async fn world() -> World {
    let mut world = World::asleep(&[], "").await;
    world.write_roster(FIRST);
    world.playground.change_member(GUEST, |member| member.is_guest = true);
    world.start().await;
    world.answered(MAYA, "Alphafirm", "No", "alphawords are private to me").await;
    world.answered(TOM, "Tangofirm", "No", "tangowords for my manager").await;
    world.turn_to("2026-03-11T09:00").await;
    world.write_roster(&FIRST.replace("rep,olga@own.example", "rep,leo@own.example"));
    world.playground.change_member(LENA, |member| member.is_deleted = true);
    world.turn_to("2026-03-11T09:30").await;
    world.answered(MAYA, "Bravofirm", "No", "bravowords for my manager").await;
    world.answered(MAYA, "Charliefirm", "No", "charliewords for nobody").await;
    world.press(MAYA, "Only me").await;
    world.turn_to("2026-03-11T12:00").await;
    world
}

/// Something to type for each command; a new one does not compile without its line here.
fn typed() -> Vec<String> {
    let words = |command: &Command| match command {
        Command::Waiting => vec![""],
        Command::Now { .. } => vec!["now", "now Zulu"],
        Command::Me => vec!["me"],
        Command::History { .. } => vec![
            "history",
            "history alphawords",
            "history charliewords",
            "history account:firm since:60d",
            "history <@U0MAYA|maya>",
            "history <@U0MAYA|maya> account:alpha",
            "history <@U0MAYA> charliewords",
            "history <@U0MAYA> \"scope:r1\" OR",
            "history <@U0TOM>",
            "history @maya",
            "history @tom tangowords",
            "history maya@own.example",
        ],
        Command::Pause { .. } => vec!["pause until Mon"],
        Command::Resume => vec!["resume"],
        Command::WhoSaw => vec!["who-saw", "who-saw <@U0MAYA|maya>"],
        Command::Help => vec!["help", "zulu"],
    };
    ["", "now", "me", "history", "pause 1d", "resume", "who-saw", "help"]
        .into_iter()
        .flat_map(|text| words(&command::parse(text).unwrap()))
        .map(|text| format!("/debrief {text}").trim().to_owned())
        .collect()
}

#[tokio::test]
async fn s08_no_command_shows_anybody_what_they_may_not_see() {
    let world = world().await;
    for (who, person) in EVERYBODY {
        if person == "U0NOBODY" {
            continue;
        }
        for typed in typed() {
            // Nobody gets answers faster than this.
            world.clock.advance(SignedDuration::from_secs(3));
            let before = world.playground.whispers(person).len();
            world.playground.command(person, &typed).await.unwrap();
            world.settle().await;
            let whispers = world.playground.whispers(person);
            for whisper in &whispers[before..] {
                let seen = debrief::playground::plain::message(whisper);
                expect_no_leak(who, person, &typed, &seen);
            }
            if let Some(modal) = world.playground.modal(person) {
                expect_no_leak(who, person, &typed, &debrief::playground::plain::view(&modal));
            }
        }
    }
    // The test would notice: those who may, do read it.
    let leo = world.command(LEO, "/debrief history <@U0MAYA|maya>").await;
    assert!(leo.contains("bravowords") && leo.contains("Charliefirm"), "{leo}");
    let ada = world.command(ADA, "/debrief history @tom").await;
    assert!(ada.contains("tangowords"), "{ada}");
    let maya = world.command(MAYA, "/debrief me").await;
    assert!(maya.contains("alphawords") && maya.contains("charliewords"), "{maya}");
}

#[tokio::test]
async fn s08_what_is_not_allowed_reads_like_what_does_not_exist() {
    let world = world().await;
    for (who, person) in EVERYBODY {
        if [MAYA, LEO, "U0NOBODY"].contains(&person) {
            continue;
        }
        let of = |id: &str| format!("/debrief history <@{id}> account:firm");
        let refused = world.command(person, &of("U0MAYA")).await;
        assert_eq!(refused, world.command(person, &of("U0NOBODY")).await, "{who}");
        assert_eq!(refused, world.command(person, &of(LENA)).await, "{who}");
        let named = |name: &str| format!("/debrief history @{name}");
        let refused = world.command(person, &named("maya.brandt")).await;
        assert_eq!(refused, world.command(person, &named("xaver.nobody")).await, "{who}");
    }
}

#[tokio::test]
async fn s08_no_view_and_no_digest_shows_anybody_what_they_may_not_see() {
    let world = world().await;
    for (who, person) in EVERYBODY {
        world.playground.open_home(person);
        world.settle().await;
        if let Some(home) = world.playground.home(person) {
            let home = debrief::playground::plain::view(&home);
            expect_no_leak(who, person, "the Home tab", &home);
        }
    }
    world.turn_to("2026-03-16T08:05").await;
    for (who, person) in EVERYBODY {
        for message in world.conversation(person) {
            expect_no_leak(who, person, "a message", &message);
        }
    }
    let digest = world.conversation(LEO).join("\n");
    assert!(digest.contains("bravowords"), "{digest}");
    assert!(world.conversation(ADA).join("\n").contains("tangowords"));
}

/// One of each control that carries `debrief`; a new one does not compile without its line here.
fn controls(debrief: DebriefId) -> Vec<Control> {
    let query = || "<@U0MAYA> words".to_owned();
    let all = vec![
        Control::Ended { debrief, outcome: Outcome::Yes },
        Control::Answer { debrief },
        Control::Snooze { debrief, until: Snooze::OneHour },
        Control::Skip { debrief },
        Control::Lock { debrief },
        Control::Unlock { debrief },
        Control::Correct { debrief },
        Control::Reworded { debrief },
        Control::Rough { debrief },
        Control::Claim { pending: 1, debrief },
        Control::Discard { pending: 1 },
        Control::History { query: query(), before: None },
        Control::History { query: query(), before: Some(debrief.0 + 1) },
        Control::History { query: "<@U0TOM>".into(), before: Some(debrief.0) },
        Control::Log,
        Control::Resume,
        Control::Nothing,
    ];
    for control in &all {
        match control {
            Control::Ended { .. }
            | Control::Answer { .. }
            | Control::Snooze { .. }
            | Control::Skip { .. }
            | Control::Lock { .. }
            | Control::Unlock { .. }
            | Control::Correct { .. }
            | Control::Reworded { .. }
            | Control::Rough { .. }
            | Control::Claim { .. }
            | Control::Discard { .. }
            | Control::History { .. }
            | Control::Log
            | Control::Resume
            | Control::Nothing => {}
        }
    }
    all
}

/// Everything that the store holds of debriefs, to see whether anything changed.
fn state(world: &World) -> String {
    let connection = beside(world);
    let sql = "SELECT group_concat(line, '\n') FROM (
        SELECT debrief.id || state || is_locked || is_rough || coalesce(outcome, '') || account_name
            || coalesce((SELECT group_concat(body) FROM answer WHERE debrief_id = debrief.id), '')
            || (SELECT count(*) FROM pending_text) AS line
        FROM debrief JOIN meeting ON meeting.id = meeting_id ORDER BY debrief.id)";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

async fn done(world: &World, person: &str, number: usize, what: What) -> Response {
    let inbound = Inbound {
        keys: vec![format!("matrix:{person}:{number}")],
        team_id: world.running().identity().team_id.clone(),
        who: debrief::domain::roster::ChatId(person.to_owned()),
        what,
    };
    respond::receive(world.running().bot(), inbound, world.clock.now()).await
}

#[tokio::test]
async fn s08_no_button_of_somebody_else_s_shows_or_changes_anything() {
    let world = world().await;
    let bot = world.running().bot();
    let mayas: i64 =
        beside(&world).query_row("SELECT min(id) FROM debrief", [], |row| row.get(0)).unwrap();
    let before = state(&world);
    let mut number = 0;
    for (who, person) in EVERYBODY.into_iter().filter(|(_, person)| *person != MAYA) {
        for control in controls(DebriefId(mayas)) {
            number += 1;
            let what = format!("{control:?}");
            let tap = Tap {
                control,
                message: None,
                view: Some("V1".into()),
                trigger: Some(Trigger("1".into())),
                reply_to: Some(ReplyTo("reply".into())),
                values: FormValues::new(),
            };
            let response = done(&world, person, number, What::Tap(tap)).await;
            expect_no_leak(who, person, &what, &format!("{response:?}"));
            match response.then {
                Then::HistoryPage { reader, query, before, request, .. } => {
                    let now = world.clock.now();
                    let page = history::page(bot, reader, &query, before, request, now).await;
                    let page = format!("{:?}", page.unwrap());
                    expect_no_leak(who, person, &what, &page);
                }
                Then::Fill { filling, .. } => {
                    assert!(matches!(filling, Filling::Log), "{who} opens {filling:?}");
                }
                Then::Reword { .. } => panic!("{who} rewords Maya's form"),
                Then::Nothing | Then::Whisper { .. } | Then::Reply { .. } => {}
            }
        }
    }
    assert_eq!(state(&world), before, "somebody changed what is not theirs");
}

#[tokio::test]
async fn s08_no_form_of_somebody_else_s_is_taken() {
    let world = world().await;
    let mayas: i64 =
        beside(&world).query_row("SELECT min(id) FROM debrief", [], |row| row.get(0)).unwrap();
    let before = state(&world);
    let values: FormValues = [
        ("ended".to_owned(), FormValue::Choice("no".into())),
        ("reflect".to_owned(), FormValue::Text("Overwritten".into())),
        ("account".to_owned(), FormValue::Text("Overwritten".into())),
        ("kind".to_owned(), FormValue::Choice("demo".into())),
    ]
    .into();
    let mut number = 1000;
    for (who, person) in EVERYBODY.into_iter().filter(|(_, person)| *person != MAYA) {
        for form in [FormId::Answer(DebriefId(mayas)), FormId::Correct(DebriefId(mayas))] {
            // A form that never was, and one that is somebody else's, are refused alike.
            let never = match form {
                FormId::Answer(_) => FormId::Answer(DebriefId(9999)),
                FormId::Correct(_) => FormId::Correct(DebriefId(9999)),
                FormId::Log => FormId::Log,
            };
            let mut answers = Vec::new();
            for form in [form, never] {
                number += 1;
                let values = values.clone();
                let response = done(&world, person, number, What::Submitted { form, values }).await;
                expect_no_leak(who, person, "a form", &format!("{response:?}"));
                answers.push(format!("{:?}", response.ack));
            }
            assert_eq!(answers[0], answers[1], "{who}");
            assert!(answers[0].contains("FormErrors"), "{who}: {}", answers[0]);
        }
    }
    assert_eq!(state(&world), before, "somebody changed what is not theirs");
}
