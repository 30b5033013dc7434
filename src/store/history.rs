//! Looking things up: one rep's debriefs, page by page, with search.
//!
//! What the reader may not see is filtered here, in the query, so it never leaves the store.

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::named_params;

use super::answers::{Answers, Slot};
use super::debriefs::Debrief;
use super::{Tx, seconds};
use crate::domain::debrief::DebriefId;
use crate::domain::person::PersonId;
use crate::domain::privacy::{Item, Lock, Viewer, may_see};

/// What to look for in one rep's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Part of the account's name or domain.
    pub account: Option<String>,
    pub since: Option<Timestamp>,
    /// All of these words, in what was written.
    pub words: Vec<String>,
    /// Continue after this one.
    pub before: Option<DebriefId>,
}

/// Who reads whose history.
#[derive(Debug, Clone, Copy)]
pub struct HistoryScope {
    pub rep: PersonId,
    pub viewer: Viewer,
    /// A manager sees what was answered from then on.
    pub from: Option<Timestamp>,
}

/// One debrief as far as the reader may see it.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    pub debrief: Debrief,
    pub answers: Answers,
    /// There are words, but they are only for the rep.
    pub withheld: bool,
}

/// A word of a search.
#[derive(Debug, Clone, Copy)]
enum Word<'w> {
    Whole(&'w str),
    /// What words begin with: "negotiat" is in "negotiation".
    Beginning(&'w str),
}

impl<'w> Word<'w> {
    fn text(self) -> &'w str {
        match self {
            Self::Whole(text) | Self::Beginning(text) => text,
        }
    }
}

impl Tx<'_> {
    /// Newest first, at most `most`. `open_taps` names the taps a manager may see.
    pub fn history(
        &self,
        scope: HistoryScope,
        filter: &HistoryFilter,
        open_taps: &[String],
        most: u32,
    ) -> anyhow::Result<Vec<HistoryEntry>> {
        if !may_see(scope.viewer, Item::Ending, Lock::Open) {
            return Ok(Vec::new());
        }
        let words = self.as_found(scope, filter)?;
        self.matching(scope, filter, match_expression(scope.rep, &words).as_deref(), most)?
            .into_iter()
            .map(|debrief| self.as_seen_by(scope.viewer, debrief, open_taps))
            .collect::<anyhow::Result<_>>()
            .context("read a history")
    }

    /// A word that stands somewhere in what the viewer may read is looked for as it is, any other
    /// one as the beginning of words: the index has to gather all words that begin alike, of
    /// everybody, which for a common one takes longer than anybody wants to wait. It is the same on
    /// every page.
    fn as_found<'f>(
        &self,
        scope: HistoryScope,
        filter: &'f HistoryFilter,
    ) -> anyhow::Result<Vec<Word<'f>>> {
        let anywhere = HistoryFilter { before: None, ..filter.clone() };
        let as_found = |word: &'f String| {
            let whole = match_expression(scope.rep, &[Word::Whole(word)]);
            let is_there = !self.matching(scope, &anywhere, whole.as_deref(), 1)?.is_empty();
            Ok(if is_there { Word::Whole(word) } else { Word::Beginning(word) })
        };
        filter.words.iter().map(as_found).collect()
    }

    /// The debriefs that the viewer may see, with an answer that matches the expression `words`.
    fn matching(
        &self,
        scope: HistoryScope,
        filter: &HistoryFilter,
        words: Option<&str>,
        most: u32,
    ) -> anyhow::Result<Vec<Debrief>> {
        let account = filter.account.as_deref().map(like_pattern);
        self.debriefs(
            "WHERE debrief.rep_id = :rep AND answered_at IS NOT NULL
               AND answered_at >= :from AND answered_at >= :since
               AND (:before IS NULL OR (answered_at, debrief.id) <
                    (SELECT answered_at, id FROM debrief WHERE id = :before))
               AND (:account IS NULL OR account_name LIKE :account ESCAPE '\\'
                    OR account_key LIKE :account ESCAPE '\\')
               AND (:words IS NULL
                    OR ((:all OR is_locked = 0) AND debrief.id IN
                        (SELECT debrief_id FROM answer WHERE id IN
                            (SELECT rowid FROM answer_fts WHERE answer_fts MATCH :words))))
             ORDER BY answered_at DESC, debrief.id DESC LIMIT :most",
            named_params! {
                ":rep": scope.rep.0,
                ":from": scope.from.map_or(i64::MIN, seconds),
                ":since": filter.since.map_or(i64::MIN, seconds),
                ":before": filter.before.map(|id| id.0),
                ":account": account,
                ":words": words,
                ":all": may_see(scope.viewer, Item::Words, Lock::OnlyMe),
                ":most": most,
            },
        )
    }

    /// Leaves out what `viewer` may not see of one debrief.
    pub fn as_seen_by(
        &self,
        viewer: Viewer,
        debrief: Debrief,
        open_taps: &[String],
    ) -> anyhow::Result<HistoryEntry> {
        let lock = if debrief.locked { Lock::OnlyMe } else { Lock::Open };
        let mut answers = self.answers(debrief.id)?;
        let before = answers.len();
        answers.retain(|slot, answer| {
            let item = match slot {
                Slot::Ended => Item::Ending,
                Slot::Reflect | Slot::Cue | Slot::Action => Item::Words,
                Slot::Tap | Slot::Turn if is_open(&answer.question, open_taps) => Item::Ending,
                Slot::Tap | Slot::Turn => Item::SelfRating,
            };
            may_see(viewer, item, lock)
        });
        let withheld = debrief.locked && answers.len() < before;
        Ok(HistoryEntry { debrief, answers, withheld })
    }
}

fn is_open(tap: &str, open_taps: &[String]) -> bool {
    let tap = tap.split_once(':').map_or(tap, |(tap, _)| tap);
    open_taps.iter().any(|open| open == tap)
}

fn like_pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// An FTS5 expression in which the rep's scope is a token of its own and every word of the user is
/// quoted, so that nothing they type is syntax.
fn match_expression(rep: PersonId, words: &[Word<'_>]) -> Option<String> {
    let quoted: Vec<String> = words
        .iter()
        .filter(|word| word.text().chars().any(char::is_alphanumeric))
        .map(|word| {
            let text = word.text().replace('"', "\"\"").replace('\0', "");
            let rest = if matches!(word, Word::Whole(_)) { "" } else { " *" };
            format!("body : \"{text}\"{rest}")
        })
        .collect();
    if quoted.is_empty() {
        // Words without a letter match nothing, unlike no words at all.
        return (!words.is_empty()).then(|| "scope : \"nobody\"".to_owned());
    }
    Some(format!("scope : \"r{}\" AND {}", rep.0, quoted.join(" AND ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_user_types_is_search_syntax() {
        let words = [Word::Beginning("scope:r2\" OR \"x"), Word::Whole("price\" *")];
        assert_eq!(
            match_expression(PersonId(1), &words).unwrap(),
            "scope : \"r1\" AND body : \"scope:r2\"\" OR \"\"x\" * AND body : \"price\"\" *\""
        );
        assert_eq!(match_expression(PersonId(1), &[]), None);
        assert!(match_expression(PersonId(1), &[Word::Whole("--")]).unwrap().contains("nobody"));
    }

    #[test]
    fn like_wildcards_are_literal() {
        assert_eq!(like_pattern("50%_a\\b"), "%50\\%\\_a\\\\b%");
    }
}
