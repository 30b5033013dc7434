//! The Home tab: the calm place, for those who mute the conversation.

use jiff::Timestamp;

use super::command::{waiting_entry, waiting_since};
use super::{Rules, card, history, who_saw, words};
use crate::domain::person::Person;
use crate::domain::privacy::Viewer;
use crate::ports::inbound::Control;
use crate::ports::outbound::{Home, Piece, Span};
use crate::store::Tx;
use crate::store::answers::Slot;
use crate::store::history::{HistoryEntry, HistoryFilter, HistoryScope};

const RECENT: u32 = 5;
/// Where rules are looked for, and how many are shown.
const LOOK_BACK: u32 = 20;
const RULES: usize = 5;

/// What somebody's Home tab shows now.
///
/// # Errors
/// If the store fails.
pub fn home(tx: &Tx<'_>, rules: &Rules, person: &Person, now: Timestamp) -> anyhow::Result<Home> {
    let mut body = Vec::new();
    if let Some(until) = person.paused_until.filter(|until| *until > now) {
        body.push(line(&format!("Quiet until {}.", words::soon(until, now, &person.zone))));
        body.push(Piece::Buttons(vec![card::button("Resume now", Control::Resume, true)]));
    }
    if person.is_rep {
        rep(tx, rules, person, now, &mut body)?;
    }
    if person.is_manager {
        manager(tx, rules, person, now, &mut body)?;
    }
    if person.is_admin {
        admin(tx, now, &mut body)?;
    }
    body.push(Piece::Divider);
    body.push(Piece::Small(promise(tx, person)?));
    body.extend(who_saw::last_look(tx, person)?.map(Piece::Small));
    Ok(Home { body })
}

fn rep(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    now: Timestamp,
    body: &mut Vec<Piece>,
) -> anyhow::Result<()> {
    body.push(Piece::Heading("Waiting for you".into()));
    let open = tx.waiting(person.id, waiting_since(now))?;
    if open.is_empty() {
        body.push(line("Nothing. I'll ask after your next customer meeting."));
    }
    body.extend(open.iter().map(|debrief| waiting_entry(debrief, &person.zone, now)));
    let by_hand = card::button("Log a call", Control::Log, false);
    body.push(Piece::Buttons(vec![by_hand]));

    let scope = HistoryScope { rep: person.id, viewer: Viewer::Rep, from: None };
    let open_taps = rules.questions.open_taps();
    let past = tx.history(scope, &HistoryFilter::default(), &open_taps, LOOK_BACK)?;
    let live: Vec<Piece> =
        past.iter().filter_map(|seen| live_rule(rules, seen)).take(RULES).collect();
    if !live.is_empty() {
        body.push(Piece::Heading("Next time".into()));
        body.extend(live);
    }
    if !past.is_empty() {
        body.push(Piece::Heading("Your last debriefs".into()));
        let recent = past.iter().take(RECENT as usize);
        body.extend(
            recent.map(|seen| Piece::Entry(history::entry(rules, seen, &person.zone, true))),
        );
    }
    Ok(())
}

/// "When they ask for price, I will ask what they compare it with."
fn live_rule(rules: &Rules, seen: &HistoryEntry) -> Option<Piece> {
    let cue = &seen.answers.get(&Slot::Cue)?.body;
    let action = &seen.answers.get(&Slot::Action)?.body;
    let cue = rules.questions.cue_text(cue).unwrap_or(cue);
    Some(Piece::Text(vec![Span::Plain(format!("When {cue}, I will ")), Span::Bold(action.clone())]))
}

fn manager(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    now: Timestamp,
    body: &mut Vec<Piece>,
) -> anyhow::Result<()> {
    let team = tx.team_of(person.id)?;
    body.push(Piece::Heading("Your team".into()));
    if team.is_empty() {
        body.push(line("The roster names nobody who reports to you."));
        return Ok(());
    }
    if let Some(next) = rules.digest.next(now, &person.zone) {
        let when = words::soon(next.at, now, &person.zone);
        body.push(line(&format!("Your next digest comes {when}.")));
    }
    let names: Vec<&str> = team.iter().map(Person::first_name).collect();
    body.push(line(&format!("{}. Their words are theirs: ask, don't tell.", names.join(", "))));
    let example = team.first().map_or("maya".to_owned(), |rep| rep.first_name().to_lowercase());
    body.push(Piece::Text(vec![
        Span::Code(format!("/debrief history @{example}")),
        Span::Plain(" shows what somebody shared.".into()),
    ]));
    Ok(())
}

fn admin(tx: &Tx<'_>, now: Timestamp, body: &mut Vec<Piece>) -> anyhow::Result<()> {
    let feeds = tx.feed_counts(now)?;
    let outbox = tx.outbox_health()?;
    let missing = tx.unmatched()?.len();
    body.push(Piece::Heading("How debrief is doing".into()));
    let mut facts = vec![format!("{} of {} calendars read fine", feeds.fine(), feeds.total)];
    if missing > 0 {
        facts.push(format!("{missing} people on the roster are not in Slack"));
    }
    if outbox.failed > 0 {
        facts.push(format!("{} messages could not be sent", outbox.failed));
    }
    body.push(line(&format!("{}.", facts.join(" · "))));
    body.push(Piece::Text(vec![
        Span::Plain("On the server, ".into()),
        Span::Code("debrief check".into()),
        Span::Plain(" says what to do.".into()),
    ]));
    Ok(())
}

fn promise(tx: &Tx<'_>, person: &Person) -> anyhow::Result<String> {
    Ok(if person.is_rep {
        format!("{} No ranking, nobody sees what you skip.", card::readers(tx, person)?)
    } else if person.is_manager {
        "You see what people who report to you share; every look is logged.".to_owned()
    } else {
        "You see how debrief is doing, and nobody's answers.".to_owned()
    })
}

fn line(text: &str) -> Piece {
    Piece::Text(vec![Span::Plain(text.to_owned())])
}
