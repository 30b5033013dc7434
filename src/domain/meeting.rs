//! Which meetings deserve a debrief, of what kind, with which account.
//!
//! An [`Occurrence`] is what a calendar says; everything else in this file is our reading of it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One instance of a calendar event, already expanded from its recurrence and mapped to UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own in calendars")]
pub struct Occurrence {
    /// The event's UID; all instances of one series share it.
    pub uid: String,
    /// When this instance would have started had nobody moved it: with `uid`, its identity. The
    /// Unix epoch for an event that does not repeat, so that it keeps its identity when moved.
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
    pub nature: Nature,
    /// How often the organiser changed it (`SEQUENCE`), if the calendar tells.
    pub sequence: Option<u32>,
    /// Lower-case address of the organiser, if the calendar tells.
    pub organizer: Option<String>,
    pub attendees: Vec<Attendee>,
    /// A link to join or to read more, if the calendar carries one.
    pub link: Option<String>,
}

/// What an entry of a calendar stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nature {
    #[default]
    Meeting,
    /// Out of office. With others invited it is a meeting elsewhere, see [`is_absence`].
    Absence,
    /// Focus time, a working place, a birthday: nothing that anybody meets in.
    Marker,
}

/// Somebody, or some room, that is invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendee {
    /// Lower-case address without `mailto:`.
    pub email: String,
    /// Display name; empty if the calendar gives none.
    pub name: String,
    pub response: Response,
    pub kind: AttendeeKind,
}

/// An attendee's answer to the invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    Accepted,
    Declined,
    Tentative,
    NoAnswer,
}

/// What sort of attendee this is (`CUTYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttendeeKind {
    Person,
    Room,
    Group,
}

/// What the organisation counts as a customer meeting (`[meetings]` in the configuration).
#[derive(Debug, Clone)]
pub struct MeetingRules {
    /// Our own domains; subdomains count too.
    pub own_domains: Vec<String>,
    /// Partners and agencies: neither ours nor customers.
    pub partner_domains: Vec<String>,
    /// Words that rule a meeting out when its title contains one, lower case.
    pub ignored_titles: Vec<String>,
    pub min_length: SignedDuration,
}

/// What we make of an occurrence for one rep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A customer meeting, worth a debrief.
    Customer(Guess),
    Skip(SkipReason),
}

/// Our guess of what the meeting was; the rep can correct both halves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guess {
    pub kind: Kind,
    pub account: Account,
}

/// A customer, as far as a calendar can tell: a domain, or a person with a private address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// Identity: the mail domain, or the whole address for private mail providers.
    pub key: String,
    /// What people call it.
    pub name: String,
}

/// Why a meeting is not asked about. The text is shown to people by `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    #[error("cancelled")]
    Cancelled,
    #[error("declined by the rep")]
    Declined,
    #[error("out of office")]
    Absence,
    #[error("no meeting: focus time, a working place or a birthday")]
    Marker,
    #[error("all-day event")]
    AllDay,
    #[error("shown as free")]
    Free,
    #[error("private")]
    Private,
    #[error("shorter than meetings.min_length")]
    TooShort,
    #[error("title is in meetings.ignored_titles")]
    IgnoredTitle,
    #[error("the calendar lists no guests")]
    NoGuests,
    #[error("no external guest")]
    NoExternalGuest,
    #[error("every external guest declined")]
    AllDeclined,
}

/// The kinds of customer meeting we tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Discovery,
    Demo,
    Negotiation,
    Exec,
    CheckIn,
    Other,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Discovery, Self::Demo, Self::Negotiation, Self::Exec, Self::CheckIn, Self::Other];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Demo => "demo",
            Self::Negotiation => "negotiation",
            Self::Exec => "exec",
            Self::CheckIn => "check-in",
            Self::Other => "meeting",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The first keyword that the title contains wins.
    fn from_title(title: &str) -> Self {
        let title = title.to_lowercase();
        let words: Vec<&str> =
            title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        // Short keywords are whole words ("exec", not "execution plan"); long ones may be stems.
        let says = |word: &&str| {
            if word.len() <= 4 { words.contains(word) } else { title.contains(*word) }
        };
        KEYWORDS
            .into_iter()
            .find(|(_, keywords)| keywords.iter().any(says))
            .map_or(Self::Other, |(kind, _)| kind)
    }
}

/// Words that give a kind away, the rarer meaning first. Up to four letters they must stand alone.
const KEYWORDS: [(Kind, &[&str]); 5] = [
    (
        Kind::Negotiation,
        &["negotiat", "contract", "pricing", "proposal", "redline", "procurement", "quote"],
    ),
    (Kind::Demo, &["demo", "walkthrough", "walk-through", "walk through", "presentation", "poc"]),
    (
        Kind::Discovery,
        &["discovery", "intro", "first call", "kennenlern", "qualification", "scoping"],
    ),
    (Kind::Exec, &["exec", "ceo", "cfo", "cto", "cio", "board", "steering", "qbr"]),
    (
        Kind::CheckIn,
        &["check-in", "check in", "checkin", "follow-up", "follow up", "sync", "catch up"],
    ),
];

/// Decides whether `rep` should be asked about `meeting`.
///
/// The order of the checks is the order in which a person would give the reason.
pub fn judge(meeting: &Occurrence, rep_email: &str, rules: &MeetingRules) -> Verdict {
    if let Some(reason) = ruled_out(meeting, rep_email, rules) {
        return Verdict::Skip(reason);
    }
    let people: Vec<&Attendee> =
        meeting.attendees.iter().filter(|guest| is_a_person(guest)).collect();
    if people.is_empty() {
        return Verdict::Skip(SkipReason::NoGuests);
    }
    let external: Vec<&Attendee> =
        people.into_iter().filter(|guest| is_external(&guest.email, rep_email, rules)).collect();
    if external.is_empty() {
        return Verdict::Skip(SkipReason::NoExternalGuest);
    }
    let Some(guest) = external
        .iter()
        .filter(|guest| guest.response != Response::Declined)
        .min_by_key(|guest| is_private_mail(domain_of(&guest.email)))
    else {
        return Verdict::Skip(SkipReason::AllDeclined);
    };
    Verdict::Customer(Guess { kind: Kind::from_title(&meeting.title), account: account_of(guest) })
}

/// Whether `rep` is away meanwhile. Many who visit a customer show that time as out of office too, so
/// an entry that somebody else is invited to is a meeting.
pub fn is_absence(meeting: &Occurrence, rep_email: &str) -> bool {
    let invites_others =
        meeting.attendees.iter().any(|guest| is_a_person(guest) && guest.email != rep_email);
    meeting.nature == Nature::Absence && !meeting.cancelled && !invites_others
}

/// Whether a meeting takes the rep's time, so that nobody is asked during it.
pub fn is_busy(meeting: &Occurrence, rep_email: &str) -> bool {
    !(meeting.all_day
        || meeting.free
        || meeting.cancelled
        || has_declined(meeting, rep_email)
        || is_absence(meeting, rep_email))
}

fn has_declined(meeting: &Occurrence, rep_email: &str) -> bool {
    let mut guests = meeting.attendees.iter();
    guests.any(|guest| guest.email == rep_email && guest.response == Response::Declined)
}

/// The external people who did not decline, for the facts shown above the questions.
pub fn guests<'m>(
    meeting: &'m Occurrence,
    rep_email: &str,
    rules: &MeetingRules,
) -> Vec<&'m Attendee> {
    meeting
        .attendees
        .iter()
        .filter(|guest| is_a_person(guest) && guest.response != Response::Declined)
        .filter(|guest| is_external(&guest.email, rep_email, rules))
        .collect()
}

fn ruled_out(meeting: &Occurrence, rep_email: &str, rules: &MeetingRules) -> Option<SkipReason> {
    let title = meeting.title.to_lowercase();
    let checks = [
        (meeting.cancelled, SkipReason::Cancelled),
        (has_declined(meeting, rep_email), SkipReason::Declined),
        (is_absence(meeting, rep_email), SkipReason::Absence),
        (meeting.nature == Nature::Marker, SkipReason::Marker),
        (meeting.all_day, SkipReason::AllDay),
        (meeting.free, SkipReason::Free),
        (meeting.private, SkipReason::Private),
        (meeting.end.duration_since(meeting.start) < rules.min_length, SkipReason::TooShort),
        (
            rules.ignored_titles.iter().any(|word| title.contains(word.as_str())),
            SkipReason::IgnoredTitle,
        ),
    ];
    checks.into_iter().find_map(|(applies, reason)| applies.then_some(reason))
}

/// Rooms, groups and note-taking bots are invited, but nobody sells to them.
fn is_a_person(guest: &Attendee) -> bool {
    const BOTS: [&str; 8] = [
        "resource.calendar.google.com",
        "group.calendar.google.com",
        "fireflies.ai",
        "otter.ai",
        "read.ai",
        "fathom.video",
        "tldv.io",
        "avoma.com",
    ];
    guest.kind == AttendeeKind::Person
        && guest.email.contains('@')
        && !BOTS.iter().any(|bot| belongs_to(&guest.email, bot))
}

fn is_external(email: &str, rep_email: &str, rules: &MeetingRules) -> bool {
    let home = domain_of(rep_email);
    let ours = !is_private_mail(home) && belongs_to(email, home);
    email != rep_email
        && !ours
        && !rules
            .own_domains
            .iter()
            .chain(&rules.partner_domains)
            .any(|domain| belongs_to(email, domain))
}

fn belongs_to(email: &str, domain: &str) -> bool {
    let host = domain_of(email);
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn domain_of(email: &str) -> &str {
    email.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn is_private_mail(domain: &str) -> bool {
    const PROVIDERS: [&str; 16] = [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "icloud.com",
        "me.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "proton.me",
        "protonmail.com",
        "aol.com",
        "fastmail.com",
    ];
    PROVIDERS.contains(&domain)
}

fn account_of(guest: &Attendee) -> Account {
    let domain = domain_of(&guest.email);
    if is_private_mail(domain) {
        let name = if guest.name.is_empty() { &guest.email } else { &guest.name };
        return Account { key: guest.email.clone(), name: name.clone() };
    }
    Account { key: domain.to_owned(), name: company_name(domain) }
}

/// `mail.blue-harbor.co.uk` reads as "Blue Harbor".
fn company_name(domain: &str) -> String {
    const SECOND_LEVEL: [&str; 7] = ["co", "com", "org", "net", "ac", "gov", "or"];
    let labels: Vec<&str> = domain.split('.').collect();
    let tail = match labels.as_slice() {
        [.., second, country] if country.len() == 2 && SECOND_LEVEL.contains(second) => 2,
        _ => 1,
    };
    let name = labels.get(labels.len().saturating_sub(tail + 1)).copied().unwrap_or(domain);
    name.split(['-', '_']).map(capitalised).collect::<Vec<_>>().join(" ")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// An account typed by a person: the same key as the calendar's when it is a domain.
pub fn account_from_text(text: &str) -> Option<Account> {
    let name = text.trim();
    if name.is_empty() {
        return None;
    }
    let key = name.to_lowercase();
    let name =
        if key.contains('.') && !key.contains(' ') { company_name(&key) } else { name.into() };
    Some(Account { key, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> MeetingRules {
        MeetingRules {
            own_domains: vec!["northwind.example".into()],
            partner_domains: vec!["agency.example".into()],
            ignored_titles: vec!["interview".into()],
            min_length: SignedDuration::from_mins(15),
        }
    }

    fn guest(email: &str) -> Attendee {
        Attendee {
            email: email.into(),
            name: String::new(),
            response: Response::Accepted,
            kind: AttendeeKind::Person,
        }
    }

    fn demo() -> Occurrence {
        let start: Timestamp = "2026-03-10T13:00:00Z".parse().unwrap();
        Occurrence {
            uid: "u1".into(),
            original_start: start,
            title: "Acme demo".into(),
            start,
            end: start + SignedDuration::from_mins(45),
            all_day: false,
            cancelled: false,
            private: false,
            free: false,
            recurring: false,
            nature: Nature::Meeting,
            sequence: None,
            organizer: None,
            attendees: vec![guest("maya@northwind.example"), guest("kim@acme.example")],
            link: None,
        }
    }

    fn skip(change: impl FnOnce(&mut Occurrence)) -> SkipReason {
        let mut meeting = demo();
        change(&mut meeting);
        match judge(&meeting, "maya@northwind.example", &rules()) {
            Verdict::Skip(reason) => reason,
            Verdict::Customer(_) => panic!("was not skipped"),
        }
    }

    #[test]
    fn a_demo_with_a_customer_is_asked_about() {
        let verdict = judge(&demo(), "maya@northwind.example", &rules());
        let account = Account { key: "acme.example".into(), name: "Acme".into() };
        assert_eq!(verdict, Verdict::Customer(Guess { kind: Kind::Demo, account }));
    }

    #[test]
    fn each_reason_to_stay_silent() {
        let ours = "tom@eu.northwind.example";
        assert_eq!(skip(|m| m.cancelled = true), SkipReason::Cancelled);
        assert_eq!(skip(|m| m.attendees[0].response = Response::Declined), SkipReason::Declined);
        assert_eq!(skip(|m| m.all_day = true), SkipReason::AllDay);
        assert_eq!(skip(|m| m.free = true), SkipReason::Free);
        assert_eq!(skip(|m| m.private = true), SkipReason::Private);
        assert_eq!(skip(|m| m.end = m.start), SkipReason::TooShort);
        assert_eq!(skip(|m| m.title = "Interview Kim".into()), SkipReason::IgnoredTitle);
        assert_eq!(skip(|m| m.attendees.clear()), SkipReason::NoGuests);
        assert_eq!(skip(|m| m.attendees[1] = guest(ours)), SkipReason::NoExternalGuest);
        assert_eq!(
            skip(|m| m.attendees[1] = guest("a@agency.example")),
            SkipReason::NoExternalGuest
        );
        assert_eq!(skip(|m| m.attendees[1].kind = AttendeeKind::Room), SkipReason::NoExternalGuest);
        assert_eq!(skip(|m| m.attendees[1].response = Response::Declined), SkipReason::AllDeclined);
    }

    #[test]
    fn a_meeting_of_exactly_the_minimum_length_counts() {
        let mut meeting = demo();
        meeting.end = meeting.start + SignedDuration::from_mins(15);
        assert!(matches!(
            judge(&meeting, "maya@northwind.example", &rules()),
            Verdict::Customer(_)
        ));
    }

    #[test]
    fn a_domain_that_only_ends_like_ours_is_a_customer() {
        let mut meeting = demo();
        meeting.attendees[1] = guest("kim@notnorthwind.example");
        assert!(matches!(
            judge(&meeting, "maya@northwind.example", &rules()),
            Verdict::Customer(_)
        ));
    }

    #[test]
    fn titles_tell_the_kind() {
        let kinds = [
            ("Intro call with Birk", Kind::Discovery),
            ("Product DEMO", Kind::Demo),
            ("Pricing & contract", Kind::Negotiation),
            ("Exec alignment", Kind::Exec),
            ("Execution workshop", Kind::Other),
            ("Weekly check-in", Kind::CheckIn),
            ("Async kick-off", Kind::Other),
            ("Lunch", Kind::Other),
        ];
        for (title, kind) in kinds {
            assert_eq!(Kind::from_title(title), kind, "{title}");
        }
    }

    #[test]
    fn domains_read_as_company_names() {
        let names = [
            ("acme.com", "Acme"),
            ("mail.blue-harbor.co.uk", "Blue Harbor"),
            ("corvo.example", "Corvo"),
            ("localhost", "Localhost"),
        ];
        for (domain, name) in names {
            assert_eq!(company_name(domain), name);
        }
    }

    #[test]
    fn somebody_with_private_mail_is_an_account_of_their_own() {
        let mut pat = guest("pat@gmail.com");
        pat.name = "Pat Quinn".into();
        let account = account_of(&pat);
        assert_eq!((account.key.as_str(), account.name.as_str()), ("pat@gmail.com", "Pat Quinn"));
    }
}
