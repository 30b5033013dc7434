//! A week → the facts a manager reads and the questions worth asking.
//!
//! It has no table of people, no rank and no list of who stayed silent, on purpose.

use std::collections::BTreeMap;

use super::debrief::Outcome;

/// One debrief of the week, as the manager may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeekDebrief {
    pub rep: String,
    pub account: String,
    pub outcome: Option<Outcome>,
    /// The rep's own words, unless locked.
    pub words: Option<String>,
    /// When their rule applies, in words: "they ask for price".
    pub cue: Option<String>,
    /// Where it turned, in words.
    pub turn: Option<String>,
}

/// Everything a digest is computed from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Week {
    pub debriefs: Vec<WeekDebrief>,
    pub meetings: u32,
    pub reps: u32,
    /// Reps with at least one debrief.
    pub reps_heard: u32,
    /// Endings of earlier weeks and this one, oldest first: label and counts by [`ENDINGS`].
    pub endings: Vec<(String, [u32; 4])>,
}

/// The endings that are charted, in the order of the bars.
pub const ENDINGS: [Outcome; 4] = [Outcome::Yes, Outcome::Dated, Outcome::NiceChat, Outcome::No];

/// What the manager reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// "23 debriefs from 31 customer meetings · 5 of 6 reps"
    pub summary: String,
    pub questions: Vec<Question>,
    /// "4 meetings with no next step: Acme, Birk, Corvo, Delphi"
    pub no_next_step: Option<String>,
    /// "they ask for price 3", most frequent first.
    pub themes: Vec<(String, u32)>,
    /// (who, account, words)
    pub quotes: Vec<(String, String, String)>,
}

/// Something worth asking one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub rep: String,
    pub because: String,
    pub ask: String,
}

/// At most this many questions and quotes: a minute is all a Monday has.
const MOST_QUESTIONS: usize = 3;
const MOST_QUOTES: usize = 5;

/// Turns a week into a digest; the same week always gives the same one.
pub fn digest(week: &Week) -> Digest {
    let no_step: Vec<&WeekDebrief> =
        week.debriefs.iter().filter(|debrief| debrief.outcome == Some(Outcome::NiceChat)).collect();
    Digest {
        summary: summary(week),
        questions: questions(&week.debriefs),
        no_next_step: (!no_step.is_empty()).then(|| {
            let accounts: Vec<&str> =
                no_step.iter().map(|debrief| debrief.account.as_str()).collect();
            let count = counted(no_step.len(), "meeting", "meetings");
            format!("{count} with no next step: {}", accounts.join(", "))
        }),
        themes: themes(&week.debriefs),
        quotes: quotes(&week.debriefs),
    }
}

fn summary(week: &Week) -> String {
    let debriefs = counted(week.debriefs.len(), "debrief", "debriefs");
    let meetings = counted(week.meetings as usize, "customer meeting", "customer meetings");
    let reps = counted(week.reps as usize, "rep", "reps");
    format!("{debriefs} from {meetings} · {} of {reps}", week.reps_heard)
}

/// The rules, in order of what a manager can do most about. One question a person.
///
/// 1. A meeting ended in a nice chat, and the rep wrote what they would change.
/// 2. A meeting was lost, and the rep wrote what was right all the same.
/// 3. It worked: what made it work is worth knowing.
/// 4. A nice chat without words.
fn questions(debriefs: &[WeekDebrief]) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for rule in [1, 2, 3, 4] {
        // The latest of a rep's debriefs is the one they remember.
        for debrief in debriefs.iter().rev() {
            let asked = questions.iter().any(|question| question.rep == debrief.rep);
            if asked || questions.len() == MOST_QUESTIONS {
                continue;
            }
            questions.extend(question(rule, debrief));
        }
    }
    questions
}

fn question(rule: u8, debrief: &WeekDebrief) -> Option<Question> {
    let WeekDebrief { rep, account, outcome, words, .. } = debrief;
    let wrote = |words: &str| format!("They wrote: “{}”", shortened(words, 140));
    let (because, ask) = match (rule, outcome, words) {
        (1, Some(Outcome::NiceChat), Some(words)) => (
            format!("{account} ended without a next step. {}", wrote(words)),
            "What would you need to hear to know they'll act?",
        ),
        (2, Some(Outcome::No), Some(words)) => (
            format!("{account} said no. {}", wrote(words)),
            "Where did it turn, and what would you try there?",
        ),
        (3, Some(Outcome::Yes | Outcome::Dated), Some(words)) => {
            (format!("{account} moved forward. {}", wrote(words)), "What made it work?")
        }
        (4, Some(Outcome::NiceChat), None) => (
            format!("{account} ended without a next step."),
            "What do you think they will do next, and by when?",
        ),
        _ => return None,
    };
    Some(Question { rep: rep.clone(), because, ask: ask.to_owned() })
}

/// What reps would change, counted by the cue of their rule and by where it turned.
fn themes(debriefs: &[WeekDebrief]) -> Vec<(String, u32)> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for theme in debriefs.iter().flat_map(|debrief| [&debrief.cue, &debrief.turn]).flatten() {
        *counts.entry(theme).or_default() += 1;
    }
    let mut themes: Vec<(String, u32)> =
        counts.into_iter().map(|(theme, count)| (theme.to_owned(), count)).collect();
    themes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    themes.truncate(MOST_QUOTES);
    themes
}

/// One quote a rep before a second one of anybody, latest first.
fn quotes(debriefs: &[WeekDebrief]) -> Vec<(String, String, String)> {
    let mut rounds: Vec<(usize, &WeekDebrief, &String)> = Vec::new();
    let mut by_rep: BTreeMap<&str, usize> = BTreeMap::new();
    for debrief in debriefs.iter().rev() {
        let Some(words) = &debrief.words else {
            continue;
        };
        let round = by_rep.entry(&debrief.rep).or_default();
        rounds.push((*round, debrief, words));
        *round += 1;
    }
    rounds.sort_by_key(|(round, ..)| *round);
    rounds
        .into_iter()
        .take(MOST_QUOTES)
        .map(|(_, debrief, words)| {
            (debrief.rep.clone(), debrief.account.clone(), shortened(words, 280))
        })
        .collect()
}

/// "1 debrief", "2 debriefs".
pub fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// At most `most` characters on one line.
pub fn shortened(text: &str, most: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= most {
        return flat;
    }
    flat.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debrief(rep: &str, account: &str, outcome: Outcome, words: Option<&str>) -> WeekDebrief {
        WeekDebrief {
            rep: rep.into(),
            account: account.into(),
            outcome: Some(outcome),
            words: words.map(Into::into),
            cue: None,
            turn: None,
        }
    }

    #[test]
    fn the_questions_go_to_different_people_and_the_stalled_deals_first() {
        let week = Week {
            debriefs: vec![
                debrief("Tom", "Birk", Outcome::Yes, Some("almost forgot the agenda")),
                debrief("Maya", "Acme", Outcome::NiceChat, Some("let them lead the last minutes")),
                debrief("Maya", "Corvo", Outcome::No, Some("asked good questions")),
                debrief("Ines", "Delphi", Outcome::NiceChat, None),
            ],
            ..Week::default()
        };
        let asked: Vec<String> = digest(&week)
            .questions
            .into_iter()
            .map(|question| format!("{}: {} → {}", question.rep, question.because, question.ask))
            .collect();
        insta::assert_snapshot!(asked.join("\n"), @"
        Maya: Acme ended without a next step. They wrote: “let them lead the last minutes” → What would you need to hear to know they'll act?
        Tom: Birk moved forward. They wrote: “almost forgot the agenda” → What made it work?
        Ines: Delphi ended without a next step. → What do you think they will do next, and by when?
        ");
    }

    #[test]
    fn the_summary_counts_people_without_naming_the_silent() {
        let week = Week {
            debriefs: vec![debrief("Tom", "Birk", Outcome::Yes, None)],
            meetings: 3,
            reps: 2,
            reps_heard: 1,
            endings: vec![],
        };
        assert_eq!(digest(&week).summary, "1 debrief from 3 customer meetings · 1 of 2 reps");
    }

    #[test]
    fn nobody_is_quoted_twice_before_everybody_was_once() {
        let week = Week {
            debriefs: vec![
                debrief("Tom", "Birk", Outcome::Yes, Some("one")),
                debrief("Maya", "Acme", Outcome::No, Some("two")),
                debrief("Maya", "Corvo", Outcome::No, Some("three")),
            ],
            ..Week::default()
        };
        let words: Vec<String> = digest(&week).quotes.into_iter().map(|quote| quote.2).collect();
        assert_eq!(words, ["three", "one", "two"]);
    }

    #[test]
    fn themes_are_counted_most_frequent_first() {
        let mut price = debrief("Tom", "Birk", Outcome::No, None);
        price.cue = Some("they ask for price".into());
        let mut turned = price.clone();
        turned.turn = Some("Opening".into());
        let week = Week { debriefs: vec![turned, price], ..Week::default() };
        let themes = digest(&week).themes;
        assert_eq!(themes, [("they ask for price".to_owned(), 2), ("Opening".to_owned(), 1)]);
    }
}
