//! Everything by and about one person, table by table, as they may have it.

use anyhow::Context;
use rusqlite::types::ValueRef;
use serde_json::Value;

use super::Tx;
use crate::domain::person::PersonId;

/// One table of a dossier.
#[derive(Debug, Clone)]
pub struct Table {
    /// Good as the name of a file.
    pub name: &'static str,
    pub columns: Vec<String>,
    /// Texts, whole numbers and nulls.
    pub rows: Vec<Vec<Value>>,
}

/// Times are told in UTC, as `{column}` asks for. A calendar's address is a key to it, so a dossier
/// says only that there is one.
const TABLES: [(&str, &str); 14] = [
    (
        "profile",
        "SELECT id, email, name, is_rep, is_manager, is_admin, is_active,
            CASE WHEN calendar LIKE '%://%' THEN 'at an address' ELSE calendar END AS calendar,
            roster_zone, chat_id, chat_zone, standing, {paused_until}, {created_at}
         FROM person WHERE id = ?1",
    ),
    (
        "reporting_lines",
        "SELECT rep.name AS rep, manager.name AS manager, {valid_from}, {valid_to}
         FROM reporting_line JOIN person AS rep ON rep.id = rep_id
            JOIN person AS manager ON manager.id = manager_id
         WHERE rep_id = ?1 OR manager_id = ?1 ORDER BY reporting_line.id",
    ),
    (
        "calendar",
        "SELECT {good_at}, {tried_at}, problem, failures, length(body) AS bytes_kept
         FROM feed WHERE person_id = ?1 ORDER BY id",
    ),
    (
        "absences",
        "SELECT {starts_at}, {ends_at} FROM feed JOIN absence ON feed_id = feed.id
         WHERE person_id = ?1 ORDER BY absence.starts_at",
    ),
    (
        "calendar_entries",
        "SELECT meeting_id, sighting.uid, {starts_at}, {ends_at}, is_cancelled, sequence, is_gone
         FROM feed JOIN sighting ON feed_id = feed.id
         WHERE person_id = ?1 ORDER BY sighting.starts_at, meeting_id",
    ),
    (
        "meetings",
        "SELECT id, uid, title, {starts_at}, {ends_at}, is_busy, is_customer, kind, account_name,
            account_key, guests
         FROM meeting WHERE rep_id = ?1 ORDER BY starts_at, id",
    ),
    (
        "corrections",
        "SELECT uid, kind, account_name, account_key FROM correction WHERE rep_id = ?1
         ORDER BY uid",
    ),
    (
        "debriefs",
        "SELECT id, meeting_id, state, outcome, next_step_on, is_rough, is_locked, asks, reminders,
            {due_at}, {asked_at}, {remind_at}, {expires_at}, {answered_at}
         FROM debrief WHERE rep_id = ?1 ORDER BY id",
    ),
    (
        "answers",
        "SELECT debrief_id, slot, question, body, version, {written_at}
         FROM answer WHERE rep_id = ?1 ORDER BY id",
    ),
    (
        "answer_versions",
        "SELECT debrief_id, slot, answer_version.question, answer_version.body,
            answer_version.version,
            strftime('%Y-%m-%dT%H:%M:%SZ', answer_version.written_at, 'unixepoch') AS written_at
         FROM answer_version JOIN answer ON answer.id = answer_id
         WHERE rep_id = ?1 ORDER BY answer_id, answer_version.version",
    ),
    (
        "texts_to_the_bot",
        "SELECT body, {written_at}, claimed_by AS debrief_id FROM pending_text
         WHERE person_id = ?1 ORDER BY id",
    ),
    (
        "messages_from_the_bot",
        "SELECT kind, body, state, {created_at} FROM outbox WHERE person_id = ?1 ORDER BY id",
    ),
    (
        "digests",
        "SELECT local_date, {created_at} FROM digest WHERE manager_id = ?1 ORDER BY local_date",
    ),
    (
        "audit",
        "SELECT audit.id, {at}, coalesce(reader.name, actor) AS actor, action,
            about.name AS subject, scope, result
         FROM audit LEFT JOIN person AS reader
                ON actor LIKE 'person:%' AND reader.id = CAST(substr(actor, 8) AS INTEGER)
            LEFT JOIN person AS about ON about.id = subject
         WHERE subject = ?1 OR actor = 'person:' || ?1 ORDER BY audit.id",
    ),
];

impl Tx<'_> {
    /// Everything by and about a person.
    ///
    /// # Errors
    /// If the store fails.
    pub fn dossier(&self, person: PersonId) -> anyhow::Result<Vec<Table>> {
        let tables = TABLES.iter();
        tables
            .map(|(name, sql)| {
                self.table(name, sql, person).with_context(|| format!("read {name}"))
            })
            .collect()
    }

    fn table(&self, name: &'static str, sql: &str, person: PersonId) -> anyhow::Result<Table> {
        let mut statement = self.0.prepare(&with_times(sql))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let width = columns.len();
        let rows = statement.query_map([person.0], |row| {
            (0..width).map(|place| Ok(value(row.get_ref(place)?))).collect()
        })?;
        let rows = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Table { name, columns, rows })
    }
}

/// `{due_at}` → the column as a time in words.
fn with_times(sql: &str) -> String {
    let mut parts = sql.split('{');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (column, rest) = part.split_once('}').unwrap_or((part, ""));
        let time = format!("strftime('%Y-%m-%dT%H:%M:%SZ', {column}, 'unixepoch') AS {column}");
        whole.push_str(&time);
        whole.push_str(rest);
    }
    whole
}

fn value(found: ValueRef<'_>) -> Value {
    match found {
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
    }
}
