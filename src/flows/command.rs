//! `/debrief …`: one command, every reply for the asker alone.
//!
//! What changes something is done in the transaction that stores the delivery; what only looks
//! something up is done after the acknowledgement.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::respond::{Filling, Then, says};
use super::{Bot, Rules, card, history, log, who_saw, words};
use crate::domain::digest::shortened;
use crate::domain::meeting::{Guess, Kind, account_from_text};
use crate::domain::person::{Person, PersonId};
use crate::ports::inbound::{Control, ReplyTo};
use crate::ports::outbound::{Entry, Piece, Span, Whisper};
use crate::store::Tx;
use crate::store::debriefs::Debrief;
use crate::store::outbox::OutKind;

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// What is waiting.
    Waiting,
    /// A debrief by hand.
    Now {
        account: Option<String>,
    },
    /// One's own last debriefs.
    Me,
    /// The text after `history`, as typed.
    History {
        query: String,
    },
    /// The text after `pause`, without `until`.
    Pause {
        until: String,
    },
    Resume,
    /// Who looked at one's own debriefs.
    WhoSaw,
    Help,
}

/// The words that begin a command.
const WORDS: [&str; 7] = ["now", "me", "history", "who-saw", "pause", "resume", "help"];
/// Nobody is left alone for longer by accident.
const LONGEST_PAUSE_DAYS: i64 = 92;
/// How far back `/debrief` offers what was never answered.
const WAITING_DAYS: i64 = 7;

/// Reads what was typed after `/debrief`.
///
/// # Errors
/// One line that says what was not understood, with a suggestion.
pub fn parse(text: &str) -> Result<Command, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    Ok(match word.to_lowercase().as_str() {
        "" => Command::Waiting,
        "now" => Command::Now { account: (!rest.is_empty()).then(|| rest.to_owned()) },
        "me" => Command::Me,
        "history" => Command::History { query: rest.to_owned() },
        "pause" => {
            let (first, others) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let until = if first.eq_ignore_ascii_case("until") { others.trim() } else { rest };
            Command::Pause { until: until.to_owned() }
        }
        "resume" => Command::Resume,
        "who-saw" | "whosaw" | "who" => Command::WhoSaw,
        "help" | "?" => Command::Help,
        other => {
            let known = closest(other, &WORDS);
            let hint = known.map_or_else(
                || "`/debrief help` lists what I understand.".to_owned(),
                |known| format!("Did you mean `/debrief {known}`?"),
            );
            return Err(format!("I don't know “{}”. {hint}", shortened(other, 40)));
        }
    })
}

/// The known word that somebody may have meant.
pub(super) fn closest<'w>(typed: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(typed, word), *word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Does what a command changes; `key` tells deliveries apart.
///
/// # Errors
/// If the store fails.
pub fn take(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    text: &str,
    reply_to: &ReplyTo,
    key: &str,
    now: Timestamp,
) -> anyhow::Result<Then> {
    let whisper = |whisper: Whisper| Then::Whisper { to: Some(reply_to.clone()), whisper };
    let command = match parse(text) {
        Ok(command) => command,
        Err(problem) => return Ok(whisper(says(&problem))),
    };
    Ok(match command {
        Command::Now { account } => {
            let filling = match account.as_deref().and_then(account_from_text) {
                Some(account) => {
                    let guess = Guess { kind: Kind::Other, account };
                    Filling::Answer(log::start(tx, person, guess, key, now)?)
                }
                None => Filling::Log,
            };
            Then::Fill { filling, reply_to: Some(reply_to.clone()) }
        }
        Command::Pause { until } => {
            let opens = rules.prompt.hours.from;
            match pause_until(&until, now, opens, &person.zone) {
                Ok(until) => {
                    tx.pause(person.id, Some(until))?;
                    if tx.has_home(person.id)? {
                        tx.enqueue_again(OutKind::Home, person.id.0, "", person.id, now)?;
                    }
                    whisper(paused(until, now, &person.zone))
                }
                Err(problem) => whisper(says(&problem)),
            }
        }
        Command::Resume => {
            tx.pause(person.id, None)?;
            if tx.has_home(person.id)? {
                tx.enqueue_again(OutKind::Home, person.id.0, "", person.id, now)?;
            }
            whisper(says("Welcome back. I'll ask after your next customer meeting."))
        }
        Command::Help => whisper(help(person)),
        Command::Waiting | Command::Me | Command::WhoSaw | Command::History { .. } => {
            let (to, request) = (reply_to.clone(), key.to_owned());
            Then::Reply { to, reader: person.id, command, request }
        }
    })
}

/// Looks up what a command asks for.
///
/// # Errors
/// If the store fails.
pub async fn reply(
    bot: &Bot,
    reader: PersonId,
    command: Command,
    request: String,
    now: Timestamp,
) -> anyhow::Result<Whisper> {
    match command {
        Command::History { query } => history::page(bot, reader, &query, None, request, now).await,
        Command::Me => history::page(bot, reader, "", None, request, now).await,
        Command::WhoSaw => bot.store.read(move |tx| who_saw::whisper(tx, reader)).await,
        _ => waiting(bot, reader, now).await,
    }
}

async fn waiting(bot: &Bot, reader: PersonId, now: Timestamp) -> anyhow::Result<Whisper> {
    bot.store
        .read(move |tx| {
            let Some(person) = tx.person(reader)? else {
                return Ok(says("Nothing is waiting."));
            };
            let open = tx.waiting(reader, waiting_since(now))?;
            if open.is_empty() {
                let what = if person.is_rep {
                    "Nothing is waiting. I'll ask after your next customer meeting; \
                     `/debrief now Acme` is for calls in no calendar."
                } else {
                    "Nothing is waiting. `/debrief help` shows what you can look up."
                };
                return Ok(says(what));
            }
            let body = open.iter().map(|debrief| waiting_entry(debrief, &person.zone, now));
            Ok(Whisper { replaces: false, body: body.collect() })
        })
        .await
}

pub(super) fn waiting_since(now: Timestamp) -> Timestamp {
    now - SignedDuration::from_hours(24 * WAITING_DAYS)
}

/// One debrief that waits, with the button that answers it.
pub(super) fn waiting_entry(debrief: &Debrief, zone: &TimeZone, now: Timestamp) -> Piece {
    Piece::Entry(Entry {
        title: debrief.account.clone(),
        facts: format!("{}, ended {}", debrief.kind.as_str(), words::soon(debrief.end, now, zone)),
        answers: vec![],
        control: Some(card::button("Answer", Control::Answer { debrief: debrief.id }, false)),
    })
}

fn paused(until: Timestamp, now: Timestamp, zone: &TimeZone) -> Whisper {
    let text = format!("Quiet until {}. Nobody is told.", words::soon(until, now, zone));
    let mut whisper = says(&text);
    whisper.body.push(Piece::Buttons(vec![card::button("Resume now", Control::Resume, false)]));
    whisper
}

fn help(person: &Person) -> Whisper {
    let mut lines = vec![
        ("/debrief", "what is waiting for you"),
        ("/debrief now Acme", "debrief a call that is in no calendar"),
        ("/debrief me", "your last debriefs"),
        ("/debrief history account:acme since:30d price", "search yours"),
    ];
    if person.is_manager {
        lines.push(("/debrief history @maya", "somebody on your team"));
    }
    lines.push(("/debrief who-saw", "who looked at your debriefs"));
    lines.push(("/debrief pause until Mon", "quiet until then; also 3d, tomorrow, 2026-03-30"));
    lines.push(("/debrief resume", "ask again"));
    let body = lines.into_iter().map(|(command, what)| {
        Piece::Text(vec![Span::Code(command.into()), Span::Plain(format!("  {what}"))])
    });
    let mut body: Vec<Piece> = body.collect();
    let small = "Nobody else sees these replies. Your manager reads how meetings ended and what \
                 you write, unless you lock it.";
    body.push(Piece::Small(small.into()));
    Whisper { replaces: false, body }
}

/// Reads "Mon", "tomorrow", "2026-03-30", "3d", "2h", "14:00".
pub(super) fn pause_until(
    text: &str,
    now: Timestamp,
    opens: Time,
    zone: &TimeZone,
) -> Result<Timestamp, String> {
    const HOW: &str = "Until when? `/debrief pause until Mon`, `tomorrow`, `2026-03-30` or `3d`.";
    let today = now.to_zoned(zone.clone()).date();
    let text = text.to_lowercase();
    let morning = |date: Date| {
        let at = date.to_datetime(opens).to_zoned(zone.clone());
        at.map(|zoned| zoned.timestamp()).map_err(|_| HOW.to_owned())
    };
    let until = if text == "tomorrow" {
        morning(today.saturating_add(1.day()))?
    } else if let Some(weekday) = weekday(&text) {
        morning(today.nth_weekday(1, weekday).map_err(|_| HOW.to_owned())?)?
    } else if let Ok(date) = text.parse::<Date>() {
        morning(date)?
    } else if let Some(span) = span(&text) {
        now + span
    } else if let Ok(time) = text.parse::<Time>() {
        crate::domain::debrief::next_local(now, time, zone)
    } else {
        return Err(HOW.to_owned());
    };
    let longest = now + SignedDuration::from_hours(24 * LONGEST_PAUSE_DAYS);
    if until <= now {
        Err(format!("That has passed already. {HOW}"))
    } else if until > longest {
        Err(format!("At most {LONGEST_PAUSE_DAYS} days. {HOW}"))
    } else {
        Ok(until)
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let names = [
        ("monday", Monday),
        ("tuesday", Tuesday),
        ("wednesday", Wednesday),
        ("thursday", Thursday),
        ("friday", Friday),
        ("saturday", Saturday),
        ("sunday", Sunday),
    ];
    let known = names.into_iter().find(|(name, _)| text.len() >= 3 && name.starts_with(text));
    known.map(|(_, weekday)| weekday)
}

/// "3d", "2w", "12h": at most a year.
pub(super) fn span(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 24 * 7,
        'm' => 24 * 30,
        'y' => 24 * 365,
        _ => return None,
    };
    let hours = i64::from(count).checked_mul(hours).filter(|hours| *hours > 0)?;
    (hours <= 24 * 3660).then(|| SignedDuration::from_hours(hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_typos_get_a_suggestion() {
        assert_eq!(parse("  "), Ok(Command::Waiting));
        assert_eq!(parse("now Acme Corp"), Ok(Command::Now { account: Some("Acme Corp".into()) }));
        assert_eq!(parse("who-saw"), Ok(Command::WhoSaw));
        assert_eq!(parse("NOW"), Ok(Command::Now { account: None }));
        assert_eq!(parse("pause until Mon"), Ok(Command::Pause { until: "Mon".into() }));
        assert_eq!(parse("pause 3d"), Ok(Command::Pause { until: "3d".into() }));
        assert_eq!(
            parse("histroy @maya"),
            Err("I don't know “histroy”. Did you mean `/debrief history`?".into())
        );
        assert_eq!(
            parse("zzzz"),
            Err("I don't know “zzzz”. `/debrief help` lists what I understand.".into())
        );
    }

    #[test]
    fn a_pause_ends_in_the_morning() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-03-10T13:00:00Z".parse().unwrap();
        let until = |text: &str| {
            pause_until(text, now, Time::constant(8, 0, 0, 0), &zone)
                .map(|at| at.to_zoned(zone.clone()).datetime().to_string())
        };
        assert_eq!(until("Mon").unwrap(), "2026-03-16T08:00:00");
        assert_eq!(until("tuesday").unwrap(), "2026-03-17T08:00:00");
        assert_eq!(until("tomorrow").unwrap(), "2026-03-11T08:00:00");
        assert_eq!(until("2026-03-30").unwrap(), "2026-03-30T08:00:00");
        assert_eq!(until("2h").unwrap(), "2026-03-10T16:00:00");
        assert_eq!(until("16:30").unwrap(), "2026-03-10T16:30:00");
        assert!(until("2026-03-01").unwrap_err().starts_with("That has passed"));
        assert!(until("2028-01-01").unwrap_err().starts_with("At most 92 days"));
        assert!(until("soon").unwrap_err().starts_with("Until when?"));
        assert!(until("").is_err());
    }
}
