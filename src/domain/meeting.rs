//! Which meetings deserve a debrief, of what kind, with which account.
//!
//! An [`Occurrence`] is what a calendar says; everything else in this file is our reading of it.

use jiff::Timestamp;

/// One instance of a calendar event, already expanded from its recurrence and mapped to UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The event's UID; all instances of one series share it.
    pub uid: String,
    /// When this instance would have started had nobody moved it: with `uid`, its identity.
    pub original_start: Timestamp,
    pub title: String,
    pub start: Timestamp,
    /// Never before `start`.
    pub end: Timestamp,
    pub all_day: bool,
    /// The event, or this instance of it, was cancelled by its organiser.
    pub cancelled: bool,
    /// Marked private or confidential by its owner.
    pub private: bool,
    /// Does not block time (`TRANSP:TRANSPARENT`, "show as free").
    pub free: bool,
    /// Part of a series.
    pub recurring: bool,
    /// Lower-case address of the organiser, if the calendar tells.
    pub organizer: Option<String>,
    pub attendees: Vec<Attendee>,
    /// A link to join or to read more, if the calendar carries one.
    pub link: Option<String>,
}

/// Somebody, or some room, that is invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendee {
    /// Lower-case address without `mailto:`.
    pub email: String,
    /// Display name; empty if the calendar gives none.
    pub name: String,
    pub response: Response,
    pub kind: AttendeeKind,
}

/// An attendee's answer to the invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    Accepted,
    Declined,
    Tentative,
    NoAnswer,
}

/// What sort of attendee this is (`CUTYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttendeeKind {
    Person,
    Room,
    Group,
}
