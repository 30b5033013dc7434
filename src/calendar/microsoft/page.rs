//! The pages of one reading.

use std::collections::HashSet;

use jiff::Timestamp;

pub(in crate::calendar) use super::entry::Whose;
use super::entry::{is_master, occurrence};
use super::wire::{Entry, Page};
use crate::domain::meeting::Occurrence;

/// Of one reading, on all pages.
const MOST_OCCURRENCES: usize = 20_000;
const TOO_MANY: &str = "too many entries in the window that is read";
pub(super) const NOT_GRAPH: &str = "a web page or something else instead of Microsoft Graph's \
                                    answer; is something in between, or microsoft.graph_url wrong?";
const CUT: &str = "Microsoft Graph's answer breaks off in the middle; it is tried again";

/// What was read so far.
#[derive(Debug, Default)]
pub(in crate::calendar) struct Pages {
    occurrences: Vec<Occurrence>,
    broken: usize,
}

impl Pages {
    /// Takes a page in; returns where the next one is.
    pub(in crate::calendar) fn take(
        &mut self,
        body: &[u8],
        whose: &Whose,
    ) -> Result<Option<String>, &'static str> {
        let page: Page<'_> = serde_json::from_slice(body).map_err(|_| no_page(body))?;
        let entries = page.value.ok_or(NOT_GRAPH)?;
        if !entries.is_whole || self.occurrences.len() + entries.kept.len() > MOST_OCCURRENCES {
            return Err(TOO_MANY);
        }
        for raw in entries.kept {
            let entry = serde_json::from_str::<Entry>(raw.get()).ok();
            if entry.as_ref().is_some_and(is_master) {
                continue;
            }
            match entry.and_then(|entry| occurrence(&entry, whose)) {
                Some(occurrence) => self.occurrences.push(occurrence),
                None => self.broken += 1,
            }
        }
        Ok(page.next.filter(|next| !next.is_empty()))
    }

    /// What overlaps `window`, and what could not be understood.
    pub(in crate::calendar) fn done(
        mut self,
        window: (Timestamp, Timestamp),
    ) -> (Vec<Occurrence>, Vec<String>) {
        self.occurrences.retain(|meeting| {
            let begins_within = meeting.start >= window.0;
            meeting.start < window.1 && (meeting.end > window.0 || begins_within)
        });
        // A meeting that stands there twice is one.
        let mut seen = HashSet::new();
        self.occurrences
            .retain(|meeting| seen.insert((meeting.uid.clone(), meeting.original_start)));
        let warnings = match self.broken {
            0 => Vec::new(),
            broken => vec![format!("{broken} entries could not be understood and are left out")],
        };
        (self.occurrences, warnings)
    }
}

/// What came in place of a page.
fn no_page(body: &[u8]) -> &'static str {
    let is_cut = serde_json::from_slice::<serde::de::IgnoredAny>(body)
        .is_err_and(|error| error.is_eof() && body.trim_ascii_start().starts_with(b"{"));
    if is_cut { CUT } else { NOT_GRAPH }
}
