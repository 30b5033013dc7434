//! Looking a rep's debriefs up: who, which, page by page.
//!
//! Whether the reader may is decided by `domain::privacy`; what they may not see never leaves the
//! store. Somebody who may not, and somebody who asks for a person who does not exist, read the
//! same line.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::command::{closest, span};
use super::respond::says;
use super::{Bot, Rules, card, words};
use crate::domain::audit::{self, Action, Actor};
use crate::domain::debrief::DebriefId;
use crate::domain::person::{Person, PersonId};
use crate::domain::privacy::{Item, Lock, Viewer, may_see};
use crate::domain::roster::ChatId;
use crate::ports::inbound::Control;
use crate::ports::outbound::{Entry, Piece, Span, Whisper};
use crate::store::Tx;
use crate::store::answers::Slot;
use crate::store::debriefs::Debrief;
use crate::store::history::{HistoryEntry, HistoryFilter, HistoryScope};

const PAGE: usize = 5;
/// The query travels in the paging button, so it has to fit.
const LONGEST_QUERY: usize = 300;
const REFUSAL: &str = "I can't show you that. You can look up your own debriefs, and those of \
                       people who report to you.";

/// What `history` was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    who: Option<Who>,
    account: Option<String>,
    since: Option<Since>,
    words: Vec<String>,
}

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// Picked from Slack's list: `<@U1|maya>`.
    Chat(ChatId),
    /// Typed: `@maya`.
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Since {
    Ago(SignedDuration),
    Date(Date),
}

/// Why there is nobody whose history could be shown.
enum Nobody {
    /// It has to be asked for in another way.
    Unclear(Whisper),
    Refused(Whisper),
}

/// One page of a history, newest first. A look at somebody else's, or the refusal of one, is in the
/// audit log before the page leaves.
///
/// # Errors
/// If the store fails.
pub async fn page(
    bot: &Bot,
    reader: PersonId,
    query: &str,
    before: Option<DebriefId>,
    request: String,
    now: Timestamp,
) -> anyhow::Result<Whisper> {
    let parsed = match parse(query) {
        Ok(parsed) => parsed,
        Err(problem) => return Ok(says(&problem)),
    };
    let looking = || {
        let (rules, query, parsed) = (Arc::clone(&bot.rules), query.to_owned(), parsed.clone());
        bot.store.read(move |tx| look(tx, &rules, reader, parsed, &query, before, now))
    };
    let mut seen = looking().await?;
    if let Some(rep) = seen.unindexed {
        match bot.store.transact(move |tx| tx.index_words_of(rep)).await {
            Ok(()) => seen = looking().await?,
            // Better without the newest words than nothing.
            Err(error) => tracing::warn!(error = format!("{error:#}"), "could not index words"),
        }
    }
    let Seen { whisper, entry, .. } = seen;
    if let Some(entry) = entry.map(|entry| entry.for_request(request)) {
        let write = move |tx: &Tx<'_>| {
            if entry.refused { tx.audit_refusal(entry.clone(), now) } else { tx.audit(&entry, now) }
        };
        bot.store.transact(write).await?;
    }
    Ok(whisper)
}

/// What the reader may see.
struct Seen {
    whisper: Whisper,
    /// What is to be written down before they do.
    entry: Option<audit::Entry>,
    /// Somebody whose words were searched while the index did not hold all of them.
    unindexed: Option<PersonId>,
}

impl Seen {
    fn refused(whisper: Whisper, entry: Option<audit::Entry>) -> Self {
        Self { whisper, entry, unindexed: None }
    }
}

fn look(
    tx: &Tx<'_>,
    rules: &Rules,
    reader: PersonId,
    parsed: Query,
    query: &str,
    before: Option<DebriefId>,
    now: Timestamp,
) -> anyhow::Result<Seen> {
    let entry = audit::Entry::of(Actor::Person(reader), Action::History);
    let Some(reader) = tx.person(reader)? else {
        return Ok(Seen::refused(says(REFUSAL), None));
    };
    let rep = match whose(tx, &reader, parsed.who.as_ref())? {
        Ok(rep) => rep,
        Err(Nobody::Unclear(question)) => return Ok(Seen::refused(question, None)),
        Err(Nobody::Refused(refusal)) => return Ok(Seen::refused(refusal, Some(entry.refused()))),
    };
    let (relation, since) = tx.relation(&reader, rep.id)?;
    let viewer = relation.viewer();
    if !may_see(viewer, Item::Ending, Lock::Open) {
        return Ok(Seen::refused(says(REFUSAL), Some(entry.about(rep.id).refused())));
    }
    let scope = HistoryScope { rep: rep.id, viewer, from: since };
    let filter = filter(parsed, before, now, &reader.zone);
    let is_searched = !filter.words.is_empty() && tx.has_unindexed_words(rep.id)?;
    let open_taps = rules.questions.open_taps();
    let found = tx.history(scope, &filter, &open_taps, u32::try_from(PAGE + 1)?)?;
    let whisper = show(rules, &reader, &rep, query, before, found);
    let since = since.map_or_else(String::new, |since| format!("since {}", since.strftime("%F")));
    let entry = entry.about(rep.id).within(since);
    let entry = (viewer != Viewer::Rep).then_some(entry);
    Ok(Seen { whisper, entry, unindexed: is_searched.then_some(rep.id) })
}

/// Finds the rep; the reader without a name. Names are only completed within the reader's team.
fn whose(
    tx: &Tx<'_>,
    reader: &Person,
    who: Option<&Who>,
) -> anyhow::Result<Result<Person, Nobody>> {
    let name = match who {
        None if reader.is_rep || !reader.is_manager => return Ok(Ok(reader.clone())),
        None => {
            let team = tx.team_of(reader.id)?;
            let names: Vec<&str> = team.iter().map(Person::first_name).collect();
            let whom = format!("Whose? `/debrief history @name`: {}.", names.join(", "));
            return Ok(Err(Nobody::Unclear(says(&whom))));
        }
        Some(Who::Chat(id)) => {
            return Ok(tx.person_by_chat(id)?.ok_or_else(|| Nobody::Refused(says(REFUSAL))));
        }
        Some(Who::Named(name)) => name.to_lowercase(),
    };
    let mut known = tx.team_of(reader.id)?;
    known.push(reader.clone());
    let is_called = |person: &&Person| {
        let email = person.email.as_str();
        let local = email.split('@').next().unwrap_or_default();
        [person.name.to_lowercase().as_str(), &person.first_name().to_lowercase(), email, local]
            .contains(&name.as_str())
    };
    let mut called = known.iter().filter(is_called);
    Ok(match (called.next(), called.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => {
            let two = "Two people are called that. Pick one from Slack's list after typing @.";
            Err(Nobody::Unclear(says(two)))
        }
        (None, _) => {
            let names: Vec<String> =
                known.iter().map(|person| person.first_name().to_lowercase()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Err(Nobody::Refused(match closest(&name, &names) {
                Some(close) => says(&format!("{REFUSAL} Did you mean @{close}?")),
                None => says(REFUSAL),
            }))
        }
    })
}

fn filter(
    query: Query,
    before: Option<DebriefId>,
    now: Timestamp,
    zone: &TimeZone,
) -> HistoryFilter {
    let since = query.since.map(|since| match since {
        Since::Ago(span) => now - span,
        Since::Date(date) => {
            date.to_zoned(zone.clone()).map_or(now, |midnight| midnight.timestamp())
        }
    });
    HistoryFilter { account: query.account, since, words: query.words, before }
}

fn show(
    rules: &Rules,
    reader: &Person,
    rep: &Person,
    query: &str,
    before: Option<DebriefId>,
    mut found: Vec<HistoryEntry>,
) -> Whisper {
    let own = reader.id == rep.id;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    if found.is_empty() {
        let whose = if own { "your".to_owned() } else { format!("{}'s", rep.first_name()) };
        return says(&match (before, is_plain(query)) {
            (Some(_), _) => "That was all.".to_owned(),
            (None, true) if own => "You have no debriefs yet.".to_owned(),
            (None, true) => format!("{} has no debriefs yet that you can see.", rep.first_name()),
            (None, false) => format!("None of {whose} debriefs match that."),
        });
    }
    let title = if own { "Your debriefs".to_owned() } else { format!("{}'s debriefs", rep.name) };
    let mut body = vec![Piece::Text(vec![Span::Bold(title)])];
    body.extend(found.iter().map(|seen| Piece::Entry(entry(rules, seen, &reader.zone, own))));
    if let (true, Some(last)) = (more, found.last()) {
        let older = Control::History { query: query.to_owned(), before: Some(last.debrief.id.0) };
        body.push(Piece::Buttons(vec![card::button("Older", older, false)]));
    }
    if !own {
        body.push(Piece::Small("Looking is logged. Ask before you tell.".into()));
    }
    Whisper { replaces: false, body }
}

/// Whether nothing but the person was asked for.
fn is_plain(query: &str) -> bool {
    parse(query).is_ok_and(|query| query == Query { who: query.who.clone(), ..Query::default() })
}

/// One past debrief as the reader may see it; `own` ones can be edited.
pub(super) fn entry(rules: &Rules, seen: &HistoryEntry, zone: &TimeZone, own: bool) -> Entry {
    let HistoryEntry { debrief, answers, withheld } = seen;
    let questions = &rules.questions;
    let mut shown = Vec::new();
    if let Some(reflect) = answers.get(&Slot::Reflect) {
        shown.push((
            questions.reflect_text(&reflect.question).to_owned(),
            format!("“{}”", reflect.body),
        ));
    }
    if let (Some(cue), Some(action)) = (answers.get(&Slot::Cue), answers.get(&Slot::Action)) {
        let cue = questions.cue_text(&cue.body).unwrap_or(&cue.body);
        shown.push(("Next time".to_owned(), format!("when {cue}, I will {}", action.body)));
    }
    for slot in [Slot::Turn, Slot::Tap] {
        shown.extend(
            answers
                .get(&slot)
                .and_then(|answer| questions.tap_words(&answer.question, &answer.body)),
        );
    }
    if *withheld {
        shown.push((String::new(), "The words are kept private.".to_owned()));
    }
    Entry {
        title: debrief.account.clone(),
        facts: facts(rules, debrief, zone),
        answers: shown,
        control: own.then(|| card::button("Edit", Control::Answer { debrief: debrief.id }, false)),
    }
}

/// "Tue 10 Mar · demo · they act by a date · by 20 Mar"
fn facts(rules: &Rules, debrief: &Debrief, zone: &TimeZone) -> String {
    let questions = &rules.questions;
    let mut facts = vec![words::day(debrief.end, zone), debrief.kind.as_str().to_owned()];
    facts.extend(debrief.outcome.map(|outcome| questions.ending.label(outcome).to_lowercase()));
    facts.extend(debrief.next_step_on.map(|date| format!("by {}", date.strftime("%-d %b"))));
    if debrief.locked {
        facts.push("only the rep reads the words".to_owned());
    }
    facts.join(" · ")
}

/// Reads `[@rep] [account:…] [since:30d] [words…]`, in any order.
pub(super) fn parse(text: &str) -> Result<Query, String> {
    if text.chars().count() > LONGEST_QUERY {
        return Err("That is too long to look for. A few words are enough.".into());
    }
    let mut query = Query::default();
    for token in tokens(text) {
        if let Some(id) = token.strip_prefix("<@").and_then(|rest| rest.strip_suffix('>')) {
            let id = id.split('|').next().unwrap_or(id);
            query.who = Some(Who::Chat(ChatId(id.to_owned())));
        } else if let Some(name) = token.strip_prefix('@') {
            query.who = Some(Who::Named(name.to_owned()));
        } else if let Some((key, value)) = keyed(&token) {
            match key {
                "account" => query.account = Some(value.to_owned()),
                "since" => query.since = Some(since(value)?),
                other => {
                    let known = closest(other, &["account", "since"]);
                    let hint = known.map_or_else(
                        || "There is `account:acme` and `since:30d`.".to_owned(),
                        |known| format!("Did you mean `{known}:{value}`?"),
                    );
                    return Err(format!("I don't know “{other}:”. {hint}"));
                }
            }
        } else if !token.is_empty() {
            query.words.push(token);
        }
    }
    Ok(query)
}

/// `key:value`, where the key is a plain word; "10:30" is none.
fn keyed(token: &str) -> Option<(&str, &str)> {
    let (key, value) = token.split_once(':')?;
    let plain = !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphabetic());
    (plain && !value.is_empty()).then_some((key, value))
}

fn since(value: &str) -> Result<Since, String> {
    span(value).map(Since::Ago).or_else(|| value.parse().ok().map(Since::Date)).ok_or_else(|| {
        format!("“{value}” is no time. Write since:30d, since:2w or since:2026-03-01.")
    })
}

/// Splits at spaces; quotes of any kind keep words together.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' | '“' | '”' | '„' => quoted = !quoted,
            space if space.is_whitespace() && !quoted => tokens.push(String::new()),
            other => tokens.last_mut().into_iter().for_each(|token| token.push(other)),
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_in_any_order() {
        let query = parse("price <@U1|maya> account:“Acme Corp” since:30d lead").unwrap();
        assert_eq!(query.who, Some(Who::Chat(ChatId("U1".into()))));
        assert_eq!(query.account.as_deref(), Some("Acme Corp"));
        assert_eq!(query.since, Some(Since::Ago(SignedDuration::from_hours(720))));
        assert_eq!(query.words, ["price", "lead"]);
        assert_eq!(parse("@Maya").unwrap().who, Some(Who::Named("Maya".into())));
        assert_eq!(parse("at 10:30").unwrap().words, ["at", "10:30"]);
        assert!(matches!(parse("since:2026-03-01").unwrap().since, Some(Since::Date(_))));
    }

    #[test]
    fn mistakes_get_one_line() {
        assert_eq!(
            parse("acount:acme").unwrap_err(),
            "I don't know “acount:”. Did you mean `account:acme`?"
        );
        assert_eq!(
            parse("since:yesterday").unwrap_err(),
            "“yesterday” is no time. Write since:30d, since:2w or since:2026-03-01."
        );
        assert!(parse(&"x".repeat(301)).is_err());
    }
}
