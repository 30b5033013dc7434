//! Erasing a person: nothing by or about them stays, and nothing brings them back.
//!
//! What stays is a row without a name, a tombstone (a salted hash of the address) and audit rows
//! with ids. The freed bytes are overwritten: `secure_delete` for tables, the option of the same
//! name for the search index, then [`traces`] writes the file anew. Each erasure is also a line of a
//! file beside the store, written before the commit, so that an older backup put in the store's
//! place is erased anew by [`replay`].

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, named_params, params};

use super::sidecar::{self, Held, Line};
use super::traces::{self, Progress};
use super::trouble::Trouble;
use super::{Tx, moment, peek, seconds, visit};
use crate::domain::audit::{Action, Actor, Entry, tombstone};
use crate::domain::mention::Names;
use crate::domain::person::{Person, PersonId};

/// Everything that goes: what it is called, its table, and which rows are the person's. `:id` is
/// the person; `:chat` and `:channel` are how Slack calls them, never empty; `:letters` are those
/// that name them.
const ROWS: [(&str, &str, &str); 15] = [
    (
        "texts written to the bot",
        "pending_text",
        "person_id = :id OR claimed_by IN (SELECT id FROM debrief WHERE rep_id = :id)",
    ),
    (
        "earlier versions of answers",
        "answer_version",
        "answer_id IN (SELECT id FROM answer WHERE rep_id = :id)",
    ),
    ("answers", "answer", "rep_id = :id"),
    ("debriefs", "debrief", "rep_id = :id"),
    (
        "meetings as organisers left them",
        "gathering",
        "(EXISTS (SELECT 1 FROM meeting AS own
            WHERE own.rep_id = :id AND own.uid = gathering.uid)
          OR EXISTS (SELECT 1 FROM sighting JOIN feed ON feed.id = feed_id
            WHERE person_id = :id AND sighting.uid = gathering.uid))
         AND NOT EXISTS (SELECT 1 FROM meeting AS other
           WHERE other.uid = gathering.uid AND other.rep_id <> :id)",
    ),
    (
        "meetings as calendars show them",
        "sighting",
        "feed_id IN (SELECT id FROM feed WHERE person_id = :id)
         OR meeting_id IN (SELECT id FROM meeting WHERE rep_id = :id)",
    ),
    ("absences", "absence", "feed_id IN (SELECT id FROM feed WHERE person_id = :id)"),
    ("meetings", "meeting", "rep_id = :id"),
    ("corrections of meetings", "correction", "rep_id = :id"),
    ("calendars", "feed", "person_id = :id"),
    ("digests", "digest", "manager_id = :id"),
    ("reporting lines", "reporting_line", "rep_id = :id OR manager_id = :id"),
    ("dead letters", "dead_letter", "id IN (SELECT value FROM json_each(:letters))"),
    ("keys of deliveries", "inbound_seen", "instr(key, :chat) OR instr(key, :channel)"),
    ("messages to them", "outbox", "person_id = :id AND delivery_key NOT LIKE 'erased-%'"),
];

/// What is kept instead of being deleted, see [`Tx::empty_messages`].
const MESSAGES: &str = "outbox";

/// A person who was erased, as far as anybody may still know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    pub person: Option<PersonId>,
    pub at: Timestamp,
}

/// What would go, or went: what it is called and how many.
pub type Footprint = Vec<(&'static str, u64)>;

impl Tx<'_> {
    /// Somebody by address, on the roster or off it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn person_ever(&self, email: &str) -> anyhow::Result<Option<Person>> {
        let id: Option<i64> = self
            .0
            .prepare_cached("SELECT id FROM person WHERE email = ?1")?
            .query_row([email.trim().to_lowercase()], |row| row.get(0))
            .optional()
            .context("look for a person")?;
        id.map_or(Ok(None), |id| self.person(PersonId(id)))
    }

    /// How much the store holds by and about a person.
    ///
    /// # Errors
    /// If the store fails.
    pub fn footprint(&self, person: &Person) -> anyhow::Result<Footprint> {
        ROWS.iter()
            .map(|(what, table, theirs)| {
                let sql = format!("SELECT count(*) FROM {table} WHERE {theirs}");
                let count = self.with_names(person, &sql, |statement, names| {
                    statement.query_row(names, |row| row.get(0))
                });
                Ok((*what, count.with_context(|| format!("count {what}"))?))
            })
            .collect()
    }

    /// Takes a person out. The line is to be beside the store before the commit.
    fn take_out(&self, person: &Person, actor: Actor, at: Timestamp) -> anyhow::Result<Line> {
        let stone = self.tombstone(&person.email)?;
        for (what, table, theirs) in ROWS {
            if table != MESSAGES {
                let sql = format!("DELETE FROM {table} WHERE {theirs}");
                self.with_names(person, &sql, |statement, names| statement.execute(names))
                    .with_context(|| format!("erase {what}"))?;
            }
        }
        self.empty_messages(person.id)?;
        self.unname(person.id, "erased")?;
        self.audit(&Entry::of(actor, Action::Erasure).about(person.id), at)?;
        self.bury(Some(person.id), &stone, at)?;
        Ok(Line::erased(person.id, stone, at))
    }

    /// Leaves of a person a row that the audit log can point at. `what` is said of them: "erased".
    pub(super) fn unname(&self, person: PersonId, what: &str) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "UPDATE person SET email = ?2 || ':' || id, name = ?2 || ' person ' || id,
                    is_rep = 0, is_manager = 0, is_admin = 0, is_active = 0, calendar = NULL,
                    roster_zone = NULL, chat_id = NULL, chat_zone = NULL, standing = 'gone',
                    channel = NULL, lookup_at = 0, paused_until = NULL, has_home = 0
                 WHERE id = ?1",
            )?
            .execute((person.0, what))
            .context("forget who somebody was")?;
        Ok(())
    }

    /// Messages keep a row without content, so that one on its way finds its own again, under a key
    /// that no later message can have.
    fn empty_messages(&self, person: PersonId) -> anyhow::Result<()> {
        self.0
            .execute(
                "UPDATE outbox SET body = '', channel = NULL, ts = NULL, problem = NULL,
                    delivery_key = 'erased-' || id, seq = 'erased ' || id,
                    state = CASE WHEN state IN ('sent', 'failed') THEN state ELSE 'dropped' END
                 WHERE person_id = ?1",
                [person.0],
            )
            .context("erase messages")?;
        Ok(())
    }

    fn bury(&self, person: Option<PersonId>, stone: &str, at: Timestamp) -> anyhow::Result<()> {
        self.0
            .execute(
                "INSERT INTO erasure_log (person_id, at, tombstone) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                params![person.map(|person| person.0), seconds(at), stone],
            )
            .context("write the log of erasures")?;
        Ok(())
    }

    /// Lets an erased address come back by the roster. Says whether it was erased.
    fn lift(&self, stone: &str, at: Timestamp) -> anyhow::Result<bool> {
        let lifted = self
            .0
            .execute(
                "UPDATE erasure_log SET lifted_at = ?2
                 WHERE tombstone = ?1 AND lifted_at IS NULL AND at <= ?2",
                (stone, seconds(at)),
            )
            .context("lift a tombstone")?;
        Ok(lifted > 0)
    }

    /// Whether this address belongs to somebody who was erased and may not come back.
    ///
    /// # Errors
    /// If the store fails.
    pub fn erased(&self, email: &str) -> anyhow::Result<Option<Erased>> {
        if !self.knows_erasures()? {
            return Ok(None);
        }
        self.0
            .prepare_cached(
                "SELECT person_id, at FROM erasure_log WHERE tombstone = ?1 AND lifted_at IS NULL
                 ORDER BY at DESC LIMIT 1",
            )?
            .query_row([self.tombstone(email)?], |row| {
                let person = row.get::<_, Option<i64>>(0)?.map(PersonId);
                Ok(Erased { person, at: moment(row.get(1)?) })
            })
            .optional()
            .context("look for a tombstone")
    }

    /// Hashing is for nothing where nobody was ever erased.
    fn knows_erasures(&self) -> anyhow::Result<bool> {
        self.0
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM erasure_log WHERE lifted_at IS NULL)")?
            .query_row([], |row| row.get(0))
            .context("look for tombstones")
    }

    /// The same in every copy of this store, for its salt is made with the store.
    fn tombstone(&self, email: &str) -> anyhow::Result<String> {
        let salt: String = self
            .0
            .prepare_cached("SELECT key FROM installation")?
            .query_row([], |row| row.get(0))
            .context("read the installation")?;
        Ok(tombstone(&format!("debrief tombstone {salt}"), email))
    }

    /// Whether an erasure, or its lifting, was done in this store.
    fn has_done(&self, line: &Line) -> anyhow::Result<bool> {
        let sql = match line {
            Line::Erased { .. } => {
                "SELECT EXISTS (SELECT 1 FROM erasure_log WHERE tombstone = ?1 AND at = ?2)"
            }
            Line::Lifted { .. } => {
                "SELECT NOT EXISTS (SELECT 1 FROM erasure_log
                 WHERE tombstone = ?1 AND at <= ?2 AND lifted_at IS NULL)"
            }
        };
        self.0
            .prepare_cached(sql)?
            .query_row((line.stone(), seconds(line.at())), |row| row.get(0))
            .context("look for an erasure")
    }

    /// Does what `line` says happened, to a store in which it did not.
    fn redo(&self, line: &Line) -> anyhow::Result<()> {
        let Line::Erased { tombstone, at, .. } = line else {
            return self.lift(line.stone(), line.at()).map(drop);
        };
        let mut found = None;
        for (id, email) in self.addresses()? {
            if self.tombstone(&email)? == *tombstone {
                found = self.person(PersonId(id))?;
            }
        }
        match found {
            Some(person) => self.take_out(&person, Actor::Roster, *at).map(drop),
            None => self.bury(None, tombstone, *at),
        }
    }

    fn addresses(&self) -> anyhow::Result<Vec<(i64, String)>> {
        let mut statement = self.0.prepare_cached("SELECT id, email FROM person")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>().context("list addresses")
    }

    /// Dead letters that name somebody, as far as one can tell of what nobody understands.
    fn letters_naming(&self, person: &Person) -> anyhow::Result<Vec<i64>> {
        let chat = person.chat_id.as_ref().map(|id| id.0.as_str());
        let ids = chat.into_iter().chain(person.channel.as_deref());
        let names = Names::new(ids, &person.email, &person.name);
        let mut statement = self.0.prepare_cached("SELECT id, raw FROM dead_letter")?;
        let mut rows = statement.query([]).context("look through dead letters")?;
        let mut naming = Vec::new();
        while let Some(row) = rows.next().context("look through dead letters")? {
            if names.are_in(row.get_ref(1)?.as_str()?) {
                naming.push(row.get(0)?);
            }
        }
        Ok(naming)
    }

    fn with_names<T>(
        &self,
        person: &Person,
        sql: &str,
        run: impl FnOnce(
            &mut rusqlite::CachedStatement<'_>,
            &[(&str, &dyn rusqlite::ToSql)],
        ) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        // A name that nothing contains stands for one that we do not know.
        let chat = person.chat_id.as_ref().map_or("\0", |id| id.0.as_str());
        let channel = person.channel.as_deref().unwrap_or("\0");
        let letters = if sql.contains(":letters") {
            serde_json::to_string(&self.letters_naming(person)?)?
        } else {
            String::new()
        };
        let names = named_params! {
            ":id": person.id.0, ":chat": chat, ":channel": channel, ":letters": letters,
        };
        let named: Vec<(&str, &dyn rusqlite::ToSql)> =
            names.iter().filter(|(name, _)| sql.contains(name)).copied().collect();
        Ok(run(&mut self.0.prepare_cached(sql)?, &named)?)
    }
}

/// Erases somebody now, while the bot runs or not. Says what went. Traces stay in the file until
/// [`traces::clean`] has run.
///
/// # Errors
/// If nobody has that address, or the store or the file beside it cannot be written: then nobody
/// was erased, unless the message says that it may still be done.
pub fn erase(path: &Path, email: &str, actor: Actor, now: Timestamp) -> anyhow::Result<Footprint> {
    with_line(path, |tx| {
        let Some(person) = tx.person_ever(email)? else {
            bail!("the store knows nobody of the address {email}");
        };
        let gone = tx.footprint(&person)?;
        Ok((gone, Some(tx.take_out(&person, actor, now)?)))
    })
}

/// Lets an erased address come back by the roster. Says whether it was erased.
///
/// # Errors
/// If the store or the file beside it cannot be written.
pub fn lift(path: &Path, email: &str, actor: Actor, now: Timestamp) -> anyhow::Result<bool> {
    with_line(path, |tx| {
        let stone = tx.tombstone(email)?;
        if !tx.lift(&stone, now)? {
            return Ok((false, None));
        }
        tx.audit(&Entry::of(actor, Action::TombstoneLifted), now)?;
        Ok((true, Some(Line::lifted(stone, now))))
    })
}

/// One transaction, with its line on disk before the commit: an older backup must never know more
/// than the file beside the store. If nothing was committed, the line goes again.
fn with_line<T>(
    path: &Path,
    work: impl FnOnce(&Tx<'_>) -> anyhow::Result<(T, Option<Line>)>,
) -> anyhow::Result<T> {
    super::peek(path, |_| Ok(()))?;
    let mut beside = Held::to_write(path)?;
    let done = visit(path, |tx| {
        let (done, line) = work(tx)?;
        if let Some(line) = line {
            beside.append(&line)?;
        }
        Ok(done)
    });
    done.map_err(|error| {
        if beside.has_added() && Trouble::may_be_committed(&error) {
            return error.context(
                "nobody knows whether it was saved; if not, it is done by the running bot or at \
                 the next start",
            );
        }
        match beside.take_back() {
            Ok(()) => error,
            Err(other) => error.context(format!(
                "not done yet, but it will be by the running bot or at the next start ({other:#})"
            )),
        }
    })
}

/// Erases anew whoever was erased from a store that this one, an older copy, has replaced, and
/// finishes what was cut off between its line and its commit. Says how many erasures and liftings
/// were missing; does nothing where none is, and where no traces are left.
///
/// # Errors
/// If the store is not current (`debrief migrate` first), or it or the file beside it is unreadable.
pub fn replay(path: &Path) -> anyhow::Result<u32> {
    let redone = repeat(path)?;
    if let Err(error) = traces::clean(path, &Progress::default(), || false) {
        // A bot that starts must not fail because another program, a replicating one say, reads the
        // store. It tries again while it runs.
        tracing::warn!(error = format!("{error:#}"), "traces of an erasure are left in the file");
    }
    Ok(redone)
}

/// The same without overwriting the traces.
///
/// # Errors
/// As [`replay`].
pub fn repeat(path: &Path) -> anyhow::Result<u32> {
    let Some(mut beside) = Held::to_read(path)? else {
        return Ok(0);
    };
    let lines = beside.lines()?;
    if !peek(path, |tx| misses_any(tx, &lines))? {
        return Ok(0);
    }
    visit(path, |tx| {
        let mut redone = 0;
        // One after the other: a lifting belongs to the erasures before it.
        for line in &lines {
            if !tx.has_done(line)? {
                tx.redo(line)?;
                redone += 1;
            }
        }
        Ok(redone)
    })
}

/// Whether an erasure is still to be done, or has left traces.
///
/// # Errors
/// As [`replay`].
pub fn is_anything_left(path: &Path) -> anyhow::Result<bool> {
    let lines = sidecar::glance(path)?;
    Ok(peek(path, |tx| misses_any(tx, &lines))? || traces::are_left(path)?)
}

fn misses_any(tx: &Tx<'_>, lines: &[Line]) -> anyhow::Result<bool> {
    for line in lines {
        if !tx.has_done(line)? {
            return Ok(true);
        }
    }
    Ok(false)
}
