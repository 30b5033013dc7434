//! The audit log: what an entry says, and how entries are chained.
//!
//! An entry holds ids and words of ours, never a title, an answer or an address. Its hash covers
//! the hash of the entry before it, so that a change, a gap or another order shows; a cut end shows
//! to whoever has noted a later hash.

use std::fmt;

use sha2::{Digest, Sha256};

use super::person::PersonId;
use super::roster::ChatId;

/// What the first entry follows.
pub const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    Person(PersonId),
    /// Somebody in the workspace who is not on the roster.
    Chat(ChatId),
    /// Whoever works on the server, by the name they have there.
    Operator(String),
    /// The roster file, when it was read.
    Roster,
}

impl Actor {
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        Some(match kind {
            "person" => Self::Person(PersonId(name.parse().ok()?)),
            "chat" => Self::Chat(ChatId(name.to_owned())),
            "operator" => Self::Operator(name.to_owned()),
            "roster" => Self::Roster,
            _ => return None,
        })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person:{}", id.0),
            Self::Chat(id) => write!(f, "chat:{}", id.0),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Roster => f.write_str("roster"),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Debriefs were looked up.
    History,
    /// A digest with their words or endings went to their manager.
    Digest,
    /// The same, printed on the server.
    DigestPrinted,
    /// Everything about them was written to files.
    Export,
    /// The audit log itself was written out.
    AuditExport,
    Erasure,
    /// An erased person may come back by the roster.
    TombstoneLifted,
    /// A backup took the place of the store.
    Restore,
    /// A frame that nobody understood was printed; it may hold what somebody wrote.
    DeadLetterShown,
    PersonAdded,
    PersonLeft,
    PersonBack,
    RolesChanged,
    /// The scope says to whom they report.
    LineBegun,
    LineEnded,
    /// Somebody who is not on the roster, or from elsewhere, asked for something.
    Entry,
}

impl Action {
    pub const ALL: [Self; 16] = [
        Self::History,
        Self::Digest,
        Self::DigestPrinted,
        Self::Export,
        Self::AuditExport,
        Self::Erasure,
        Self::TombstoneLifted,
        Self::Restore,
        Self::DeadLetterShown,
        Self::PersonAdded,
        Self::PersonLeft,
        Self::PersonBack,
        Self::RolesChanged,
        Self::LineBegun,
        Self::LineEnded,
        Self::Entry,
    ];

    /// The ways in which somebody's debriefs are shown to others.
    pub const LOOKS: [Self; 4] = [Self::History, Self::Digest, Self::DigestPrinted, Self::Export];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Digest => "digest",
            Self::DigestPrinted => "digest_printed",
            Self::Export => "export",
            Self::AuditExport => "audit_export",
            Self::Erasure => "erasure",
            Self::TombstoneLifted => "tombstone_lifted",
            Self::Restore => "restore",
            Self::DeadLetterShown => "dead_letter_shown",
            Self::PersonAdded => "person_added",
            Self::PersonLeft => "person_left",
            Self::PersonBack => "person_back",
            Self::RolesChanged => "roles_changed",
            Self::LineBegun => "line_begun",
            Self::LineEnded => "line_ended",
            Self::Entry => "entry",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// One entry, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub actor: Actor,
    pub action: Action,
    /// Whom it is about.
    pub subject: Option<PersonId>,
    /// How much of them, or what else belongs to the action: dates, ids and roles only.
    pub scope: String,
    /// Asked for and not given.
    pub refused: bool,
    /// What it came with: the key of a delivery, so that it can be followed through the logs.
    pub request: String,
}

impl Entry {
    /// Something that was done, about nobody yet.
    pub fn of(actor: Actor, action: Action) -> Self {
        let (scope, request) = (String::new(), String::new());
        Self { actor, action, subject: None, scope, refused: false, request }
    }

    #[must_use]
    pub fn about(self, subject: impl Into<Option<PersonId>>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    #[must_use]
    pub fn within(self, scope: impl Into<String>) -> Self {
        Self { scope: scope.into(), ..self }
    }

    #[must_use]
    pub fn for_request(self, request: impl Into<String>) -> Self {
        Self { request: request.into(), ..self }
    }

    #[must_use]
    pub fn refused(self) -> Self {
        Self { refused: true, ..self }
    }
}

/// An entry as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    /// Unix seconds.
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject: Option<i64>,
    pub scope: String,
    pub result: String,
    pub request: String,
}

impl Row {
    /// The hash of this row when it follows the row with the hash `previous`: SHA-256 over
    /// `previous`, a line feed, and the row as a JSON array without spaces.
    pub fn hash(&self, previous: &str) -> String {
        let row = serde_json::json!([
            self.id,
            self.at,
            self.actor,
            self.action,
            self.subject,
            self.scope,
            self.result,
            self.request
        ]);
        hexadecimal(&Sha256::digest(format!("{previous}\n{row}")))
    }
}

/// What is left of an erased person's address: the same for the same address in one installation,
/// and no way back.
pub fn tombstone(salt: &str, email: &str) -> String {
    hexadecimal(&Sha256::digest(format!("{salt}\n{}", email.trim().to_lowercase())))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            id: 1,
            at: 1_773_150_800,
            actor: "person:2".into(),
            action: "history".into(),
            subject: Some(1),
            scope: "since 2026-03-02".into(),
            result: "done".into(),
            request: "cmd:1".into(),
        }
    }

    #[test]
    fn every_field_and_the_row_before_change_the_hash() {
        // printf '%064d\n[1,1773150800,"person:2",…,"cmd:1"]' 0 | sha256sum
        let hash = row().hash(BEGINNING);
        assert_eq!(hash, "28a3dcd453a48af4b6f308d996e08d0c52e27d1c7014daec48e67b942128c1da");
        let changed: [fn(&mut Row); 8] = [
            |row| row.id = 2,
            |row| row.at += 1,
            |row| row.actor.push('0'),
            |row| row.action.push('s'),
            |row| row.subject = None,
            |row| row.scope.clear(),
            |row| row.result = "refused".into(),
            |row| row.request.push('0'),
        ];
        for change in changed {
            let mut other = row();
            change(&mut other);
            assert_ne!(other.hash(BEGINNING), hash);
        }
        assert_ne!(row().hash(&hash), hash);
        // Text cannot move from one field to its neighbour.
        let moved = Row { scope: "since".into(), request: " 2026-03-02cmd:1".into(), ..row() };
        assert_ne!(moved.hash(BEGINNING), hash);
    }

    #[test]
    fn actors_and_actions_come_back() {
        for actor in [
            Actor::Person(PersonId(7)),
            Actor::Chat(ChatId("U1".into())),
            Actor::Operator("alice as root".into()),
            Actor::Roster,
        ] {
            assert_eq!(Actor::parse(&actor.to_string()), Some(actor));
        }
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
        assert_eq!(Actor::parse("person:x"), None);
    }

    #[test]
    fn a_tombstone_knows_the_address_again_however_it_is_typed() {
        let stone = tombstone("salt", "maya@own.example");
        assert_eq!(tombstone("salt", " Maya@Own.example "), stone);
        assert_ne!(tombstone("other", "maya@own.example"), stone);
        assert_eq!(stone.len(), 64);
    }
}
