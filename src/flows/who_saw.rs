//! `/debrief who-saw`: the person concerned sees who looked at their debriefs.

use super::respond::says;
use super::words;
use crate::domain::audit::Action;
use crate::domain::person::{Person, PersonId};
use crate::ports::outbound::{Piece, Span, Whisper};
use crate::store::Tx;
use crate::store::audit::Look;

/// How many looks are read, and how many days of them are shown.
const LOOKS: u32 = 500;
const DAYS: usize = 20;

/// Who looked, newest first, day by day.
///
/// # Errors
/// If the store fails.
pub fn whisper(tx: &Tx<'_>, person: PersonId) -> anyhow::Result<Whisper> {
    let Some(person) = tx.person(person)? else {
        return Ok(nobody());
    };
    let looks = tx.looks_at(person.id, LOOKS)?;
    let mut days: Vec<(String, Vec<Line>)> = Vec::new();
    for look in looks {
        let day = words::day(look.at, &person.zone);
        if days.last().is_none_or(|(last, _)| *last != day) {
            days.push((day, Vec::new()));
        }
        if let Some((_, lines)) = days.last_mut() {
            add(lines, &look, &words::clock(look.at, &person.zone));
        }
    }
    if days.is_empty() {
        return Ok(nobody());
    }
    let more = days.len() > DAYS;
    let mut body = vec![Piece::Text(vec![Span::Bold("Who looked at your debriefs".into())])];
    body.extend(days.into_iter().take(DAYS).map(|(day, lines)| {
        let lines: String = lines.iter().map(Line::text).collect();
        Piece::Text(vec![Span::Bold(day), Span::Plain(lines)])
    }));
    let older =
        if more { " Older looks are left out; whoever runs debrief can list them." } else { "" };
    let small = format!("Every look is written down before anything is shown.{older}");
    body.push(Piece::Small(small));
    Ok(Whisper { replaces: false, body })
}

/// "Last looked at by Leo, Mon 16 Mar · /debrief who-saw"
///
/// # Errors
/// If the store fails.
pub(super) fn last_look(tx: &Tx<'_>, person: &Person) -> anyhow::Result<Option<String>> {
    let last = tx.looks_at(person.id, 1)?.pop();
    Ok(last.map(|look| {
        let by = look.by.as_deref().unwrap_or(OPERATOR);
        let day = words::day(look.at, &person.zone);
        format!("Last looked at by {by}, {day} · /debrief who-saw")
    }))
}

const OPERATOR: &str = "whoever runs debrief";

/// Looks of one person in one way on one day.
struct Line {
    /// The latest of them.
    clock: String,
    by: String,
    how: &'static str,
    times: u32,
}

impl Line {
    fn text(&self) -> String {
        let Self { clock, by, how, times } = self;
        let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
        format!("\n{clock} {by}, {how}{times}")
    }
}

fn add(lines: &mut Vec<Line>, look: &Look, clock: &str) {
    let how = match look.action {
        Action::Digest => "digest",
        Action::DigestPrinted => "digest, printed on the server",
        Action::Export => "export",
        _ => "history",
    };
    let by = look.by.as_deref().unwrap_or(OPERATOR);
    if let Some(line) = lines.iter_mut().find(|line| line.by == by && line.how == how) {
        line.times += 1;
        return;
    }
    lines.push(Line { clock: clock.to_owned(), by: by.to_owned(), how, times: 1 });
}

fn nobody() -> Whisper {
    says("Nobody but you has looked at your debriefs. Whoever does is listed here.")
}
