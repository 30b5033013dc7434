//! People: the roster as it is today, reporting lines as they were, and who is who in Slack.

use std::collections::HashMap;

use anyhow::Context;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, named_params};

use super::erasure::Erased;
use super::{Tx, moment, seconds};
use crate::domain::person::{Person, PersonId};
use crate::domain::privacy::Relation;
use crate::domain::roster::{ChatId, RosterEntry};

/// As [`person_from`] reads them, by number: names would be compared one by one, for every row.
const PERSON: &str = "id, email, name, is_rep, is_manager, is_admin, roster_zone, chat_zone,
    chat_id, channel, paused_until";

/// How somebody stands in the workspace, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatStanding {
    Member,
    Gone,
    Outsider,
    /// Nobody there has that address.
    Missing,
}

impl ChatStanding {
    fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Gone => "gone",
            Self::Outsider => "outsider",
            Self::Missing => "missing",
        }
    }
}

impl Tx<'_> {
    /// Makes the roster of people equal to `entries`. Whoever is gone keeps their history and gets
    /// nothing more; a changed reporting line ends the old one now. Says which lines of the file
    /// are left out because they are about somebody who was erased.
    ///
    /// # Errors
    /// If the store fails.
    pub fn apply_roster(
        &self,
        entries: &[RosterEntry],
        now: Timestamp,
    ) -> anyhow::Result<Vec<(usize, Erased)>> {
        let before = self.roster_standing()?;
        let mut left_out = Vec::new();
        self.0.execute("UPDATE person SET is_active = 0", []).context("retire people")?;
        for entry in entries {
            match self.erased(&entry.email)? {
                Some(erased) => left_out.push((entry.line, erased)),
                None => self.upsert_person(entry, now)?,
            }
        }
        let ids: HashMap<String, i64> = self
            .0
            .prepare_cached("SELECT email, id FROM person WHERE is_active = 1")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()
            .context("list people")?;
        for entry in entries {
            let manager = entry.manager_email.as_ref().and_then(|email| ids.get(email)).copied();
            if let Some(&rep) = ids.get(&entry.email) {
                self.report_to(rep, manager, now)?;
            }
        }
        // Whoever left the roster reports to nobody: their old manager loses access today.
        self.0
            .execute(
                "UPDATE reporting_line SET valid_to = max(valid_from, ?1)
                 WHERE valid_to IS NULL
                   AND (rep_id IN (SELECT id FROM person WHERE is_active = 0)
                     OR manager_id IN (SELECT id FROM person WHERE is_active = 0))",
                [seconds(now)],
            )
            .context("end reporting lines")?;
        self.0
            .execute(
                "DELETE FROM feed WHERE person_id IN
                   (SELECT id FROM person WHERE is_active = 0 OR calendar IS NULL)",
                [],
            )
            .context("forget calendars")?;
        self.audit_roster(&before, now)?;
        Ok(left_out)
    }

    fn upsert_person(&self, entry: &RosterEntry, now: Timestamp) -> anyhow::Result<()> {
        let calendars: Vec<String> = entry.calendars.iter().map(ToString::to_string).collect();
        let calendar = (!calendars.is_empty()).then(|| calendars.join(";"));
        let known = self.people("SELECT {} FROM person WHERE email = ?1", [&entry.email])?.pop();
        let zone_before = known.map(|person| person.zone);
        let id: i64 = self
            .0
            .prepare_cached(
                "INSERT INTO person (email, name, is_rep, is_manager, is_admin, calendar,
                    roster_zone, created_at)
                 VALUES (:email, :name, :rep, :manager, :admin, :calendar, :zone, :now)
                 ON CONFLICT (email) DO UPDATE SET
                    name = excluded.name, is_rep = excluded.is_rep,
                    is_manager = excluded.is_manager, is_admin = excluded.is_admin,
                    calendar = excluded.calendar, roster_zone = excluded.roster_zone,
                    is_active = 1
                 RETURNING id",
            )?
            .query_row(
                named_params! {
                    ":email": entry.email, ":name": entry.name, ":rep": entry.roles.rep,
                    ":manager": entry.roles.manager, ":admin": entry.roles.admin,
                    ":calendar": calendar, ":zone": entry.zone, ":now": seconds(now),
                },
                |row| row.get(0),
            )
            .context("store a person")?;
        self.keep_feeds(PersonId(id), &entry.calendars)?;
        self.replan_in_new_zone(PersonId(id), zone_before.as_ref())
    }

    /// Whoever is in another zone than before is asked at other times: their calendars are read anew.
    fn replan_in_new_zone(
        &self,
        person: PersonId,
        before: Option<&TimeZone>,
    ) -> anyhow::Result<()> {
        let now = self.person(person)?.map(|person| person.zone);
        if now.as_ref() != before {
            self.0
                .prepare_cached("UPDATE feed SET next_at = patience_until WHERE person_id = ?1")?
                .execute([person.0])
                .context("have a calendar read anew")?;
        }
        Ok(())
    }

    fn report_to(&self, rep: i64, manager: Option<i64>, now: Timestamp) -> anyhow::Result<()> {
        let current: Option<i64> = self
            .0
            .prepare_cached(
                "SELECT manager_id FROM reporting_line WHERE rep_id = ?1 AND valid_to IS NULL",
            )?
            .query_row([rep], |row| row.get(0))
            .optional()
            .context("look up a reporting line")?;
        if current == manager {
            return Ok(());
        }
        self.0
            .prepare_cached(
                "UPDATE reporting_line SET valid_to = max(valid_from, ?2)
                 WHERE rep_id = ?1 AND valid_to IS NULL",
            )?
            .execute((rep, seconds(now)))
            .context("end a reporting line")?;
        if let Some(manager) = manager {
            self.0
                .prepare_cached(
                    "INSERT INTO reporting_line (rep_id, manager_id, valid_from)
                     VALUES (?1, ?2, ?3)",
                )?
                .execute((rep, manager, seconds(now)))
                .context("begin a reporting line")?;
        }
        Ok(())
    }

    /// People whose place in the workspace is unknown or was not looked at for a while.
    pub fn people_to_look_up(&self, now: Timestamp, most: u32) -> anyhow::Result<Vec<Person>> {
        self.people(
            "SELECT {} FROM person WHERE is_active = 1 AND lookup_at <= ?1
             ORDER BY lookup_at LIMIT ?2",
            (seconds(now), most),
        )
    }

    /// Remembers what the workspace says about somebody, and when to ask again.
    pub fn record_standing(
        &self,
        person: PersonId,
        found: Option<(&ChatId, Option<&str>)>,
        standing: ChatStanding,
        again_at: Timestamp,
    ) -> anyhow::Result<()> {
        let zone_before = self.person(person)?.map(|person| person.zone);
        let chat_id = found.map(|(id, _)| id.0.as_str());
        if let Some(chat_id) = chat_id {
            // An address moved to another account: the old holder is looked up anew.
            self.0
                .prepare_cached(
                    "UPDATE person SET chat_id = NULL, channel = NULL, standing = 'unknown',
                        lookup_at = 0
                     WHERE chat_id = ?1 AND id <> ?2",
                )?
                .execute((chat_id, person.0))?;
        }
        self.0
            .prepare_cached(
                "UPDATE person SET
                    channel = CASE WHEN chat_id IS :chat THEN channel END,
                    chat_id = :chat, chat_zone = coalesce(:zone, chat_zone),
                    standing = :standing, lookup_at = :again
                 WHERE id = :id AND is_active = 1",
            )?
            .execute(named_params! {
                ":chat": chat_id, ":zone": found.and_then(|(_, zone)| zone),
                ":standing": standing.as_str(), ":again": seconds(again_at), ":id": person.0,
            })
            .context("store a person's standing")?;
        self.replan_in_new_zone(person, zone_before.as_ref())
    }

    /// Looks somebody up again soon, because their profile changed.
    pub fn look_up_again(&self, who: &ChatId) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE person SET lookup_at = 0 WHERE chat_id = ?1")?
            .execute([&who.0])
            .context("ask for a lookup")?;
        Ok(())
    }

    /// Postpones a lookup that could not be made.
    pub fn look_up_later(&self, person: PersonId, at: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE person SET lookup_at = ?2 WHERE id = ?1")?
            .execute((person.0, seconds(at)))
            .context("postpone a lookup")?;
        Ok(())
    }

    /// Whoever was unreachable just now: nothing is sent until a lookup finds them again.
    pub fn mark_unreachable(&self, person: PersonId, now: Timestamp) -> anyhow::Result<()> {
        let again = now + SignedDuration::from_hours(6);
        self.0
            .prepare_cached(
                "UPDATE person SET standing = 'gone', channel = NULL, lookup_at = ?2 WHERE id = ?1",
            )?
            .execute((person.0, seconds(again)))
            .context("mark a person unreachable")?;
        Ok(())
    }

    /// People who can be written to and whose conversation is not open yet.
    pub fn people_to_open(&self, now: Timestamp, most: u32) -> anyhow::Result<Vec<Person>> {
        self.people(
            "SELECT {} FROM person
             WHERE is_active = 1 AND standing = 'member' AND channel IS NULL AND open_at <= ?1
             ORDER BY open_at LIMIT ?2",
            (seconds(now), most),
        )
    }

    /// Postpones the opening of a conversation.
    pub fn open_later(&self, person: PersonId, at: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE person SET open_at = ?2 WHERE id = ?1")?
            .execute((person.0, seconds(at)))
            .context("postpone the opening of a conversation")?;
        Ok(())
    }

    /// Who hears of trouble.
    pub fn admins(&self) -> anyhow::Result<Vec<PersonId>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id FROM person
             WHERE is_active = 1 AND is_admin = 1 AND standing = 'member' ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| row.get(0).map(PersonId))?;
        rows.collect::<rusqlite::Result<_>>().context("list administrators")
    }

    /// Off the roster, deactivated, a guest or unknown to the workspace: nothing is sent.
    pub fn is_gone(&self, person: PersonId) -> anyhow::Result<bool> {
        self.0
            .prepare_cached(
                "SELECT is_active = 0 OR standing IN ('gone', 'outsider', 'missing')
                 FROM person WHERE id = ?1",
            )?
            .query_row([person.0], |row| row.get(0))
            .context("see whether somebody is gone")
    }

    pub fn set_channel(&self, person: PersonId, channel: &str) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE person SET channel = ?2 WHERE id = ?1 AND is_active = 1")?
            .execute((person.0, channel))
            .context("store a conversation")?;
        Ok(())
    }

    /// Leaves somebody alone until then; `None` ends the pause.
    pub fn pause(&self, person: PersonId, until: Option<Timestamp>) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE person SET paused_until = ?2 WHERE id = ?1")?
            .execute((person.0, until.map(seconds)))
            .context("store a pause")?;
        Ok(())
    }

    pub fn person(&self, id: PersonId) -> anyhow::Result<Option<Person>> {
        Ok(self.people("SELECT {} FROM person WHERE id = ?1", [id.0])?.pop())
    }

    /// Somebody on today's roster, by messenger id.
    pub fn person_by_chat(&self, id: &ChatId) -> anyhow::Result<Option<Person>> {
        let found = self.people(
            "SELECT {} FROM person WHERE chat_id = ?1 AND is_active = 1 AND standing = 'member'",
            [&id.0],
        )?;
        Ok(found.into_iter().next())
    }

    /// Somebody on today's roster, by address.
    pub fn person_by_email(&self, email: &str) -> anyhow::Result<Option<Person>> {
        let sql = "SELECT {} FROM person WHERE email = ?1 AND is_active = 1";
        Ok(self.people(sql, [email.trim().to_lowercase()])?.pop())
    }

    /// Everybody on today's roster.
    pub fn everybody(&self) -> anyhow::Result<Vec<Person>> {
        self.people("SELECT {} FROM person WHERE is_active = 1 ORDER BY name, id", [])
    }

    /// A manager's reps today.
    pub fn team_of(&self, manager: PersonId) -> anyhow::Result<Vec<Person>> {
        self.people(
            "SELECT {} FROM person WHERE is_active = 1 AND id IN
               (SELECT rep_id FROM reporting_line WHERE manager_id = ?1 AND valid_to IS NULL)
             ORDER BY name, id",
            [manager.0],
        )
    }

    pub fn managers(&self) -> anyhow::Result<Vec<Person>> {
        self.people(
            "SELECT {} FROM person WHERE is_active = 1 AND id IN
               (SELECT manager_id FROM reporting_line WHERE valid_to IS NULL)
             ORDER BY id",
            [],
        )
    }

    /// A rep's manager today, and since when.
    pub fn manager_of(&self, rep: PersonId) -> anyhow::Result<Option<(Person, Timestamp)>> {
        let line: Option<(i64, i64)> = self
            .0
            .prepare_cached(
                "SELECT manager_id, valid_from FROM reporting_line
                 WHERE rep_id = ?1 AND valid_to IS NULL",
            )?
            .query_row([rep.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .context("look up a manager")?;
        let Some((manager, since)) = line else {
            return Ok(None);
        };
        Ok(self.person(PersonId(manager))?.map(|manager| (manager, moment(since))))
    }

    /// Who `reader` is to `rep`, and from when on they may read as their manager.
    pub fn relation(
        &self,
        reader: &Person,
        rep: PersonId,
    ) -> anyhow::Result<(Relation, Option<Timestamp>)> {
        let line = self.manager_of(rep)?.filter(|(manager, _)| manager.id == reader.id);
        let relation = Relation {
            same_person: reader.id == rep,
            reports_to: line.is_some(),
            reader_is_manager: reader.is_manager,
            reader_is_admin: reader.is_admin,
        };
        Ok((relation, line.map(|(_, since)| since)))
    }

    /// Marks that somebody opened their Home tab once.
    pub fn remember_home(&self, person: PersonId) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE person SET has_home = 1 WHERE id = ?1")?
            .execute([person.0])
            .context("remember a home tab")?;
        Ok(())
    }

    pub fn has_home(&self, person: PersonId) -> anyhow::Result<bool> {
        self.0
            .prepare_cached("SELECT has_home FROM person WHERE id = ?1")?
            .query_row([person.0], |row| row.get(0))
            .context("look for a home tab")
    }

    /// People on the roster whom the workspace does not know, for `check`.
    pub fn unmatched(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut statement = self.0.prepare(
            "SELECT email, standing FROM person
             WHERE is_active = 1 AND standing IN ('missing', 'gone', 'outsider') ORDER BY email",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>().context("list unmatched people")
    }

    fn people(&self, sql: &str, parameters: impl rusqlite::Params) -> anyhow::Result<Vec<Person>> {
        let mut statement = self.0.prepare_cached(&sql.replace("{}", PERSON))?;
        let rows = statement.query_map(parameters, person_from)?;
        rows.collect::<rusqlite::Result<_>>().context("read people")
    }
}

fn person_from(row: &Row<'_>) -> rusqlite::Result<Person> {
    let roster_zone: Option<String> = row.get(6)?;
    let chat_zone: Option<String> = row.get(7)?;
    let zone = [roster_zone, chat_zone]
        .into_iter()
        .flatten()
        .find_map(|name| TimeZone::get(&name).ok())
        .unwrap_or(TimeZone::UTC);
    Ok(Person {
        id: PersonId(row.get(0)?),
        email: row.get(1)?,
        name: row.get(2)?,
        is_rep: row.get(3)?,
        is_manager: row.get(4)?,
        is_admin: row.get(5)?,
        zone,
        chat_id: row.get::<_, Option<String>>(8)?.map(ChatId),
        channel: row.get(9)?,
        paused_until: row.get::<_, Option<i64>>(10)?.map(moment),
    })
}
