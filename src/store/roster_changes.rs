//! What applying a roster changed, for the audit log: who came and went, roles, reporting lines.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::Timestamp;

use super::Tx;
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::person::PersonId;

/// The roster as the store holds it, as far as it decides who may see what.
pub(super) struct Standing {
    people: BTreeMap<PersonId, Place>,
}

#[derive(PartialEq, Eq)]
struct Place {
    is_active: bool,
    /// "rep manager"
    roles: String,
    manager: Option<PersonId>,
}

impl Tx<'_> {
    /// Everybody's place as it is now.
    pub(super) fn roster_standing(&self) -> anyhow::Result<Standing> {
        let mut statement = self.0.prepare_cached(
            "SELECT person.id, is_active, is_rep, is_manager, is_admin, manager_id
             FROM person LEFT JOIN reporting_line ON rep_id = person.id AND valid_to IS NULL",
        )?;
        let rows = statement.query_map([], |row| {
            let mut roles = Vec::new();
            for (place, role) in [(2, "rep"), (3, "manager"), (4, "admin")] {
                if row.get(place)? {
                    roles.push(role);
                }
            }
            let manager = row.get::<_, Option<i64>>(5)?.map(PersonId);
            let place = Place { is_active: row.get(1)?, roles: roles.join(" "), manager };
            Ok((PersonId(row.get(0)?), place))
        })?;
        let people = rows.collect::<rusqlite::Result<_>>().context("read the roster as it was")?;
        Ok(Standing { people })
    }

    /// Writes down what is different from `before`.
    pub(super) fn audit_roster(&self, before: &Standing, now: Timestamp) -> anyhow::Result<()> {
        let after = self.roster_standing()?;
        for (id, place) in &after.people {
            for (action, scope) in changes(before.people.get(id), place) {
                let entry = Entry::of(Actor::Roster, action).about(*id).within(scope);
                self.audit(&entry, now)?;
            }
        }
        Ok(())
    }
}

fn changes(was: Option<&Place>, is: &Place) -> Vec<(Action, String)> {
    let mut changes = Vec::new();
    let was_active = was.is_some_and(|was| was.is_active);
    let roles = || is.roles.clone();
    match (was, was_active, is.is_active) {
        (None, _, true) => changes.push((Action::PersonAdded, roles())),
        (Some(_), false, true) => changes.push((Action::PersonBack, roles())),
        (_, true, false) => changes.push((Action::PersonLeft, String::new())),
        _ => {}
    }
    if was_active && is.is_active && was.is_some_and(|was| was.roles != is.roles) {
        changes.push((Action::RolesChanged, roles()));
    }
    let manager = was.and_then(|was| was.manager);
    if manager != is.manager {
        let to = |manager: PersonId| format!("person:{}", manager.0);
        changes.extend(manager.map(|manager| (Action::LineEnded, to(manager))));
        changes.extend(is.manager.map(|manager| (Action::LineBegun, to(manager))));
    }
    changes
}
