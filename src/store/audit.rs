//! The audit log: written in the transaction of what it records, or before the result leaves.
//!
//! Its rows are numbered without gaps and chained by [`Row::hash`]; triggers refuse every change.
//! Writing looks at the last row only, so it costs the same however long the log is.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension, named_params, params};
use serde::Serialize;

use super::{Tx, moment, schema, seconds};
use crate::domain::audit::{Action, Actor, BEGINNING, Entry, Row};
use crate::domain::person::PersonId;

/// A refusal that repeats one of the last [`LATELY`] entries within this time is not written again,
/// so that nobody can fill the disk by asking.
const REFUSED_AGAIN: SignedDuration = SignedDuration::from_mins(1);
const LATELY: u32 = 50;

const ROW: &str = "id, at, actor, action, subject, scope, result, request, prev_hash, hash";

/// A row with its place in the chain.
#[derive(Debug, Clone, Serialize)]
pub struct Chained {
    pub id: i64,
    pub at: String,
    pub actor: String,
    pub action: String,
    pub subject: Option<i64>,
    pub scope: String,
    pub result: String,
    pub request: String,
    pub prev_hash: Option<String>,
    pub hash: Option<String>,
}

/// What walking the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    Whole {
        rows: i64,
        head: String,
    },
    /// The first row at which the chain does not hold, and what is wrong there.
    Broken {
        row: i64,
        what: &'static str,
    },
}

/// How far a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub rows: i64,
    /// The hash of the last row.
    pub head: String,
}

/// How far the log of the store at `path` goes; `None` if that cannot be read. Changes nothing.
pub(super) fn standing(path: &Path) -> Option<Standing> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    schema::settle(&connection).ok()?;
    schema::expect_ours(&connection, path).ok()?;
    let (rows, head) = Tx(&connection).audit_head().ok()?;
    Some(Standing { rows, head })
}

/// Somebody else's look at a person's debriefs.
#[derive(Debug, Clone)]
pub struct Look {
    pub at: Timestamp,
    /// By name; `None` if it was somebody on the server.
    pub by: Option<String>,
    pub action: Action,
}

impl Tx<'_> {
    /// Adds an entry to the log.
    ///
    /// # Errors
    /// If the store fails: what was to be recorded must not happen then.
    pub fn audit(&self, entry: &Entry, now: Timestamp) -> anyhow::Result<()> {
        let (last, previous) = self.audit_head()?;
        let row = Row {
            id: last + 1,
            at: seconds(now),
            actor: entry.actor.to_string(),
            action: entry.action.as_str().to_owned(),
            subject: entry.subject.map(|subject| subject.0),
            scope: entry.scope.clone(),
            result: if entry.refused { "refused" } else { "done" }.to_owned(),
            request: entry.request.clone(),
        };
        self.0
            .prepare_cached(
                "INSERT INTO audit (id, at, actor, action, subject, scope, result, request,
                    prev_hash, hash)
                 VALUES (:id, :at, :actor, :action, :subject, :scope, :result, :request, :previous,
                    :hash)",
            )?
            .execute(named_params! {
                ":id": row.id, ":at": row.at, ":actor": row.actor, ":action": row.action,
                ":subject": row.subject, ":scope": row.scope, ":result": row.result,
                ":request": row.request, ":previous": previous, ":hash": row.hash(&previous),
            })
            .context("write the audit log")?;
        Ok(())
    }

    /// Adds a refusal, unless the same was written a moment ago.
    ///
    /// # Errors
    /// If the store fails.
    pub fn audit_refusal(&self, entry: Entry, now: Timestamp) -> anyhow::Result<()> {
        let repeats: bool = self
            .0
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM
                    (SELECT at, actor, action, subject, result FROM audit
                     ORDER BY id DESC LIMIT :lately)
                 WHERE at > :since AND actor = :actor AND action = :action AND subject IS :subject
                   AND result = 'refused')",
            )?
            .query_row(
                named_params! {
                    ":lately": LATELY, ":since": seconds(now - REFUSED_AGAIN),
                    ":actor": entry.actor.to_string(), ":action": entry.action.as_str(),
                    ":subject": entry.subject.map(|subject| subject.0),
                },
                |row| row.get(0),
            )
            .context("look for the same refusal")?;
        if repeats { Ok(()) } else { self.audit(&entry.refused(), now) }
    }

    /// The same entry is not written twice for one thing, which the scope names.
    ///
    /// # Errors
    /// If the store fails.
    pub fn audit_once(&self, entry: &Entry, now: Timestamp) -> anyhow::Result<()> {
        let known: bool = self
            .0
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM audit
                 WHERE subject IS ?1 AND actor = ?2 AND action = ?3 AND scope = ?4)",
            )?
            .query_row(
                params![
                    entry.subject.map(|subject| subject.0),
                    entry.actor.to_string(),
                    entry.action.as_str(),
                    entry.scope
                ],
                |row| row.get(0),
            )
            .context("look for an audit entry")?;
        if known { Ok(()) } else { self.audit(entry, now) }
    }

    /// Number and hash of the last row.
    fn audit_head(&self) -> anyhow::Result<(i64, String)> {
        let head: Option<(i64, Option<String>)> = self
            .0
            .prepare_cached("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .context("read the end of the audit log")?;
        match head {
            None => Ok((0, BEGINNING.to_owned())),
            Some((id, Some(hash))) => Ok((id, hash)),
            Some((id, None)) => {
                bail!("row {id} of the audit log is not chained: it was tampered with")
            }
        }
    }

    /// Versions before the log have none.
    pub(super) fn has_audit_log(&self) -> anyhow::Result<bool> {
        self.0
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'audit')",
                [],
                |row| row.get(0),
            )
            .context("look for the audit log")
    }

    /// Rows that were taken over from the log before are chained, once: right after the migration that
    /// took them over.
    pub(super) fn chain_the_unchained(&self) -> anyhow::Result<()> {
        let mut previous: String = self
            .0
            .query_row(
                "SELECT hash FROM audit WHERE hash IS NOT NULL ORDER BY id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?
            .unwrap_or_else(|| BEGINNING.to_owned());
        let mut statement =
            self.0.prepare(&format!("SELECT {ROW} FROM audit WHERE hash IS NULL ORDER BY id"))?;
        let rows: Vec<Row> = statement
            .query_map([], |row| row_from(row).map(|(row, ..)| row))?
            .collect::<rusqlite::Result<_>>()
            .context("read the log before")?;
        for row in rows {
            let hash = row.hash(&previous);
            self.0
                .prepare_cached("UPDATE audit SET prev_hash = ?2, hash = ?3 WHERE id = ?1")?
                .execute((row.id, &previous, &hash))
                .context("chain the log before")?;
            previous = hash;
        }
        Ok(())
    }

    /// Walks the whole chain. `noted` is a head that somebody wrote down earlier: it must be in it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn verify_audit(&self, noted: Option<&str>) -> anyhow::Result<Verification> {
        let broken = |row: i64, what| Ok(Verification::Broken { row, what });
        let mut statement = self.0.prepare(&format!("SELECT {ROW} FROM audit ORDER BY id"))?;
        let mut rows = statement.query([])?;
        let (mut last, mut head) = (0, BEGINNING.to_owned());
        let mut found = noted.is_none_or(|noted| noted == head);
        let mut replaced = None;
        while let Some(row) = rows.next().context("walk the audit log")? {
            let (row, previous, hash) = row_from(row)?;
            if row.id != last + 1 {
                return broken(last + 1, "it is missing");
            }
            last = row.id;
            let Some(hash) = hash else {
                return broken(last, "it is not chained");
            };
            if previous.as_deref() != Some(head.as_str()) {
                return broken(last, "it does not follow the row before it");
            }
            if row.hash(&head) != hash {
                return broken(last, "it was changed");
            }
            head = hash;
            found |= noted == Some(head.as_str());
            let is_restore = row.action == Action::Restore.as_str();
            if is_restore && noted.is_some_and(|noted| row.scope.ends_with(noted)) {
                replaced = Some(last);
            }
        }
        match replaced {
            _ if found => Ok(Verification::Whole { rows: last, head }),
            // Not whole: what led to that head is no longer in here.
            Some(row) => broken(row, "the noted head is of the log that this restore replaced"),
            None => broken(
                last + 1,
                "the noted head is not in the log: its end was cut off or rewritten",
            ),
        }
    }

    /// Hands every row to `take`, oldest first.
    ///
    /// # Errors
    /// If the store or `take` fails.
    pub fn each_audit_row(
        &self,
        mut take: impl FnMut(&Chained) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut statement = self.0.prepare(&format!("SELECT {ROW} FROM audit ORDER BY id"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next().context("read the audit log")? {
            let (row, prev_hash, hash) = row_from(row)?;
            let Row { id, at, actor, action, subject, scope, result, request } = row;
            let at = moment(at).to_string();
            take(&Chained {
                id,
                at,
                actor,
                action,
                subject,
                scope,
                result,
                request,
                prev_hash,
                hash,
            })?;
        }
        Ok(())
    }

    /// Who else looked at somebody's debriefs, newest first, at most `most`.
    ///
    /// # Errors
    /// If the store fails.
    pub fn looks_at(&self, person: PersonId, most: u32) -> anyhow::Result<Vec<Look>> {
        let looks = Action::LOOKS.map(|action| format!("'{}'", action.as_str())).join(", ");
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT at, actor, action FROM audit
             WHERE subject = ?1 AND result = 'done' AND actor <> 'person:' || ?1
               AND action IN ({looks})
             ORDER BY id DESC LIMIT ?2"
        ))?;
        let rows = statement.query_map((person.0, most), |row| {
            Ok((moment(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        let rows: Vec<(Timestamp, String, String)> =
            rows.collect::<rusqlite::Result<_>>().context("list who looked")?;
        let mut looks = Vec::new();
        for (at, actor, action) in rows {
            let by = match Actor::parse(&actor) {
                Some(Actor::Person(id)) => self.person(id)?.map(|person| person.name),
                _ => None,
            };
            looks.extend(Action::parse(&action).map(|action| Look { at, by, action }));
        }
        Ok(looks)
    }
}

type RowAndHashes = (Row, Option<String>, Option<String>);

fn row_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<RowAndHashes> {
    let found = Row {
        id: row.get("id")?,
        at: row.get("at")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        scope: row.get("scope")?,
        result: row.get("result")?,
        request: row.get("request")?,
    };
    Ok((found, row.get("prev_hash")?, row.get("hash")?))
}
