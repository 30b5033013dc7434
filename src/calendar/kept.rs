//! What is kept of a calendar whose provider works series out itself: the occurrences, as JSON.
//!
//! As with the text of a feed, of a private entry only its times are kept.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::domain::meeting::Occurrence;
use crate::ports::{CalendarRead, FeedState};

/// A reading of `occurrences`, in any order. There is nothing new to keep if they are as `known`.
pub(super) fn reading(
    mut occurrences: Vec<Occurrence>,
    known: Option<&FeedState>,
    warnings: Vec<String>,
) -> CalendarRead {
    occurrences.sort_by(|a, b| (a.start, a.end, &a.uid).cmp(&(b.start, b.end, &b.uid)));
    let kept: Vec<Occurrence> = occurrences.iter().cloned().map(discreet).collect();
    // Nothing in an occurrence can fail to be written.
    let body = serde_json::to_vec(&kept).unwrap_or_default();
    let seal = Some(seal(&body));
    let is_known = known.is_some_and(|known| known.etag == seal);
    let state = FeedState { etag: seal, last_modified: None, body };
    CalendarRead { occurrences, state: (!is_known).then_some(state), warnings }
}

/// What was kept, as far as it overlaps `window`; `None` if it cannot be read.
pub(super) fn known(state: &FeedState, window: (Timestamp, Timestamp)) -> Option<Vec<Occurrence>> {
    let mut kept: Vec<Occurrence> = serde_json::from_slice(&state.body).ok()?;
    kept.retain(|meeting| meeting.start < window.1 && meeting.end > window.0);
    Some(kept)
}

fn discreet(mut meeting: Occurrence) -> Occurrence {
    if meeting.private {
        meeting.title.clear();
        meeting.attendees.clear();
        meeting.organizer = None;
        meeting.link = None;
    }
    meeting
}

/// The same for the same bytes only.
pub(super) fn seal(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold("sha256:".to_owned(), |seal, byte| format!("{seal}{byte:02x}"))
}
