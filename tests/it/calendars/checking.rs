//! What an administrator sees of one person's calendars.

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::cli::beside;
use crate::world::{ROSTER, World, meeting};

/// An entry so many days after today, which is the machine's: the command line has its clock.
fn in_days(days: i64, title: &str, guest: &str) -> String {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let now = debrief::ports::Clock::now(&debrief::app::SystemClock);
    let day = (now + SignedDuration::from_hours(24 * days)).to_zoned(zone).date();
    meeting(title, title, &format!("{day}T14:00"), &format!("{day}T14:45"), guest)
}

/// The lines without their dates, which depend on today.
fn undated(said: &str) -> String {
    let lines = said.lines().map(|line| match line.get(10..) {
        Some(rest) if line.as_bytes()[0].is_ascii_uppercase() && !line.starts_with("WRONG") => {
            format!("DAY{rest}")
        }
        _ => {
            let ask = line.find(" ask ").zip(line.find(": "));
            ask.map_or(line.to_owned(), |(from, to)| {
                format!("{} ask WHEN{}", &line[..from], &line[to..])
            })
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_next_meetings_are_shown_with_what_is_decided_about_each() {
    let entries = [
        in_days(1, "Acme demo", "kim@acme.example"),
        in_days(2, "Team", "tom@own.example"),
        in_days(3, "Birk intro", "p@birk.example"),
        in_days(4, "Cargo", "c@cargo.example"),
        in_days(5, "Delta", "d@delta.example"),
        in_days(6, "Elm", "e@elm.example"),
    ];
    let world = World::asleep(&entries, "").await;
    let calendars = "ics:{maya};google;ics:nowhere.ics,Europe/Berlin";
    world.write_roster(&ROSTER.replace("ics:{maya},", calendars));
    let (code, said) = beside(&world, &["check", "--calendar", "maya@own.example"]).await;
    insta::assert_snapshot!(undated(&said), @r"
    ok    ics: 6 meetings in the next 7 days
    WRONG google: google calendars are not set up; see [google] in the configuration file
    WRONG ics: the file does not exist
    DAY  14:00–14:45  Acme demo
                             ask WHEN: demo with Acme (external guest at acme.example)
    DAY  14:00–14:45  Team
                             skip: no external guest
    DAY  14:00–14:45  Birk intro
                             ask WHEN: discovery with Birk (external guest at birk.example)
    DAY  14:00–14:45  Cargo
                             ask WHEN: meeting with Cargo (external guest at cargo.example)
    DAY  14:00–14:45  Delta
                             ask WHEN: meeting with Delta (external guest at delta.example)
    ");
    assert_eq!(code, Some(1), "one of three can be read");
    let (code, _) = beside(&world, &["check", "--calendar", "tom@own.example"]).await;
    assert_eq!(code, Some(0));
    let (code, said) = beside(&world, &["check", "--calendar", "leo@own.example"]).await;
    insta::assert_snapshot!(said, @"debrief: leo@own.example has no calendar in …/roster.csv");
    assert_eq!(code, Some(1));
}
