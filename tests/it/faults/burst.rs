//! Everybody's meeting ends at the same moment, in a workspace that counts calls.

use std::collections::HashMap;
use std::fmt::Write as _;

use debrief::domain::meeting::{Account, Guess, Kind};
use debrief::domain::roster;
use debrief::domain::roster::ChatId;
use debrief::playground::Member;
use debrief::slack::pace::Pace;
use debrief::store::Store;
use debrief::store::meetings::JudgedMeeting;
use debrief::store::people::ChatStanding;
use jiff::SignedDuration;

use crate::world::{LEO, World, local};

const PEOPLE: usize = 300;
const PER_MINUTE: u32 = 6000;

fn id(number: usize) -> String {
    format!("U1{number:04}")
}

/// Three hundred reps who are known and were in a meeting until 14:45.
async fn crowd() -> World {
    let people = (0..PEOPLE).map(|number| Member {
        id: id(number),
        name: format!("Rep {number}"),
        email: format!("rep{number}@own.example"),
        zone: "Europe/Berlin".into(),
        ..Member::default()
    });
    let world = World::asleep_among(people.collect(), &[], "").await;
    let mut csv = "email,name,role,manager_email,calendar,zone\n\
                   leo@own.example,Leo Marsh,manager,,,\n"
        .to_owned();
    for number in 0..PEOPLE {
        writeln!(csv, "rep{number}@own.example,Rep {number},rep,leo@own.example,,").unwrap();
    }
    world.write_roster(&csv);
    let now = local("2026-03-10T13:30");
    let store = Store::open(&world.path("debrief.db"), now).unwrap();
    store
        .transact(move |tx| {
            tx.apply_roster(&roster::parse(&csv).people, now)?;
            let again = now + SignedDuration::from_hours(24);
            for number in 0..PEOPLE {
                let email = format!("rep{number}@own.example");
                let rep = tx.person_by_email(&email)?.unwrap().id;
                let found = (&ChatId(id(number)), Some("Europe/Berlin"));
                tx.record_standing(rep, Some(found), ChatStanding::Member, again)?;
                tx.set_channel(rep, &format!("D1{number:04}"))?;
                let (start, end) = (local("2026-03-10T14:00"), local("2026-03-10T14:45"));
                let meeting = tx.upsert_meeting(
                    rep,
                    &JudgedMeeting {
                        uid: format!("m{number}"),
                        original_start: start,
                        title: "Demo".into(),
                        start,
                        end,
                        busy: true,
                        customer: Some(Guess {
                            kind: Kind::Demo,
                            account: Account { key: "acme.example".into(), name: "Acme".into() },
                        }),
                        guests: vec![],
                    },
                )?;
                tx.plan(meeting, rep, local("2026-03-10T14:50"))?;
            }
            Ok(())
        })
        .await
        .unwrap();
    store.close();
    world
}

/// As fast as the workspace allows, as if learnt yesterday.
fn pace() -> Pace {
    let pace = Pace::slack();
    let fast = |method: &str| (method.to_owned(), f64::from(PER_MINUTE));
    pace.recall(["chat.postMessage", "conversations.open", "users.lookupByEmail"].map(fast));
    pace
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f41_a_burst_reaches_everybody_once_within_the_limit_while_people_are_answered() {
    let mut world = crowd().await;
    world.pace = pace;
    world.playground.limit("chat.postMessage", PER_MINUTE, 20);
    world.clock.set(local("2026-03-10T14:50"));
    world.try_start().await.unwrap();
    world.playground.connected(1).await.unwrap();
    let store = rusqlite::Connection::open(world.path("debrief.db")).unwrap();
    let count = |sql: &str| -> usize {
        let count: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    };
    let sent = || count("SELECT count(*) FROM outbox WHERE kind = 'prompt' AND state = 'sent'");
    let (mut most_under_way, mut answered) = (0, 0);
    let drained = async {
        while sent() < PEOPLE {
            // Every command is acknowledged within Slack's three seconds, or this fails.
            world.playground.command(LEO, "/debrief help").await.unwrap();
            answered += 1;
            let under_way = count("SELECT count(*) FROM outbox WHERE state = 'sending'");
            most_under_way = most_under_way.max(under_way);
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), drained).await.unwrap();
    assert!((1..=44).contains(&most_under_way), "{most_under_way} claimed at once");
    assert!(answered > 3, "{answered} commands answered meanwhile");
    world.settle().await;
    world.stop().await;
    let mut received: HashMap<String, usize> = HashMap::new();
    for call in world.playground.calls("chat.postMessage") {
        *received.entry(call.arguments["channel"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let tried: usize = received.values().sum();
    assert_eq!(received.len(), PEOPLE);
    assert!(tried - PEOPLE <= PEOPLE / 50, "{} refusals", tried - PEOPLE);
    for number in 0..PEOPLE {
        assert_eq!(world.playground.from_bot(&id(number)).len(), 1, "rep {number}");
    }
    assert_eq!(sent(), PEOPLE);
}
