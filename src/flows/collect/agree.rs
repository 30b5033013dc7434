//! One meeting, several calendars: what holds.
//!
//! A meeting that two calendars of one rep show is one meeting; a meeting that several reps are in is
//! one of each, and what its organiser says of it, moved or cancelled, holds for all of them as soon
//! as the first calendar tells. Which calendar knows last is decided in [`crate::domain::latest`].

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};

use sha2::{Digest, Sha256};

use super::{Reader, follow};
use crate::domain::latest::{Said, Voice, holds_for_all};
use crate::domain::meeting::{MeetingRules, Occurrence};
use crate::flows::tally::Tally;
use crate::store::Tx;
use crate::store::meetings::JudgedMeeting;
use crate::store::sightings::{Identity, Sighting};

/// Takes in what a calendar shows of one meeting; `before` is what it showed last, if that was in the
/// same window. Costs nothing while nothing changes.
pub(super) fn look_at(
    tx: &Tx<'_>,
    tally: &Tally,
    reader: &Reader<'_>,
    meeting: &Occurrence,
    before: Option<&Sighting>,
    rules: &MeetingRules,
) -> anyhow::Result<()> {
    let shown = follow::judged(meeting, reader.rep, rules);
    let seal = seal(&shown, meeting, reader);
    if before.is_some_and(|before| before.seal == seal) {
        return Ok(());
    }
    let identity: Identity = (meeting.uid.clone(), meeting.original_start);
    let before = match before {
        Some(before) => Some((before.said, before.meeting)),
        None => tx.last_said(reader.feed, &identity)?,
    };
    let says = said(meeting, before.map(|(said, _)| said).as_ref(), reader);
    let word = settle_for_all(tx, reader, meeting, &identity, before.map(|(said, _)| said), &says)?;
    let known = match before {
        Some((_, meeting)) => Some(meeting),
        None => row_of(tx, reader, &identity, &shown)?,
    };
    let is_customer = shown.customer.is_some();
    let id = match known {
        Some(id) if another_knows_better(tx, reader, id, &says, is_customer)? => id,
        _ => {
            let holds = word.filter(|word| word.is_later_than(&says)).unwrap_or(says);
            let meeting = Occurrence {
                start: holds.start,
                end: holds.end,
                cancelled: holds.cancelled,
                ..meeting.clone()
            };
            let judged = follow::judged(&meeting, reader.rep, rules);
            follow::follow(tx, tally, reader, known, &judged)?
        }
    };
    let sighting = Sighting {
        meeting: id,
        said: says,
        is_customer,
        seal,
        matters: true,
        is_shared: false,
        is_organisers: is_theirs(meeting, reader),
    };
    tx.note_sighting(reader.feed, &identity, &sighting)
}

/// The same as long as nothing of it changes that we go by; never 0. Another version of the program
/// may seal in another way: then everything is looked at once more.
fn seal(shown: &JudgedMeeting, meeting: &Occurrence, reader: &Reader<'_>) -> i64 {
    let mut hasher = DefaultHasher::new();
    let theirs = is_theirs(meeting, reader);
    (shown, meeting.cancelled, meeting.sequence, reader.rep.is_rep, theirs).hash(&mut hasher);
    positive(hasher.finish())
}

fn positive(hash: u64) -> i64 {
    (hash >> 1).max(1).cast_signed()
}

fn said(meeting: &Occurrence, before: Option<&Said>, reader: &Reader<'_>) -> Said {
    let (start, end, cancelled) = (meeting.start, meeting.end, meeting.cancelled);
    let said = Said { start, end, cancelled, sequence: meeting.sequence, news_at: reader.now };
    Said::after(before, reader.now, said)
}

/// The organiser's last word, with what this calendar adds to it.
fn settle_for_all(
    tx: &Tx<'_>,
    reader: &Reader<'_>,
    meeting: &Occurrence,
    identity: &Identity,
    before: Option<Said>,
    says: &Said,
) -> anyhow::Result<Option<Said>> {
    let organiser = organiser(meeting);
    let word = match tx.organisers_word(identity)? {
        // Another meeting under the same uid, or a calendar that names nobody: it speaks for itself.
        Some((_, other)) if other != organiser => return Ok(None),
        word => word.map(|(word, _)| word),
    };
    let voice = if is_theirs(meeting, reader) { Voice::Organiser } else { Voice::Guest };
    if !holds_for_all(says, before.as_ref(), word.as_ref(), voice) {
        return Ok(word);
    }
    let said = match word {
        None => *says,
        // The count never goes back, or calendars that know the old one would win.
        Some(word) if voice == Voice::Organiser => {
            Said { news_at: reader.now, sequence: says.sequence.max(word.sequence), ..*says }
        }
        Some(_) => Said { news_at: reader.now, ..*says },
    };
    tx.note_organisers_word(identity, &said, organiser)?;
    Ok(Some(said))
}

fn is_theirs(meeting: &Occurrence, reader: &Reader<'_>) -> bool {
    meeting.organizer.as_deref() == Some(reader.rep.email.as_str())
}

/// Tells organisers apart, by every version of the program alike; 0 if the calendar names none.
fn organiser(meeting: &Occurrence) -> i64 {
    meeting.organizer.as_ref().map_or(0, |address| {
        let seal = Sha256::digest(address);
        let first = seal.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        positive(first)
    })
}

/// An organiser took a meeting out of their calendar, and it stands in no other one of theirs: that is
/// a cancellation, though nobody calls it so.
pub(super) fn organiser_dropped(
    tx: &Tx<'_>,
    reader: &Reader<'_>,
    identity: &Identity,
    lost: &Sighting,
) -> anyhow::Result<()> {
    if !lost.is_organisers || lost.is_shared {
        return Ok(());
    }
    let Some((word, organiser)) = tx.organisers_word(identity)? else {
        return Ok(());
    };
    let word = Said { cancelled: true, news_at: reader.now, ..word };
    tx.note_organisers_word(identity, &word, organiser)
}

/// The meeting that another calendar of the same person shows already, or that was known before.
fn row_of(
    tx: &Tx<'_>,
    reader: &Reader<'_>,
    identity: &Identity,
    shown: &JudgedMeeting,
) -> anyhow::Result<Option<i64>> {
    if let Some(id) = tx.meeting(reader.rep.id, identity)? {
        return Ok(Some(id));
    }
    match &shown.customer {
        Some(guess) => tx.twin_of(
            reader.rep.id,
            reader.feed,
            (&guess.account.key, &shown.title),
            (shown.start, shown.end),
        ),
        None => Ok(None),
    }
}

/// Whether the person's other calendars know more of a meeting than this one: later news, or, where
/// all say the same, that they can be read, or that it is one with customers; else the first counts.
fn another_knows_better(
    tx: &Tx<'_>,
    reader: &Reader<'_>,
    meeting: i64,
    says: &Said,
    is_customer: bool,
) -> anyhow::Result<bool> {
    let here = (!reader.is_failing, is_customer, Reverse(reader.feed));
    Ok(tx.other_sightings(meeting, reader.feed)?.iter().any(|other| {
        other.said.is_later_than(says)
            || (!says.is_later_than(&other.said)
                && (!other.is_failing, other.is_customer, Reverse(other.feed)) > here)
    }))
}
