//! `debrief dead-letters`: what could not be understood, without showing it unasked.
//!
//! All of it works beside a running bot as well as without one. Reading again is the bot's business,
//! which has the messenger for what follows: the command only says what is wanted, and the bot does
//! it within half a minute, or when it starts.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;

use super::operator::operator;
use crate::domain::audit::{Action, Entry};
use crate::store::{self, Tx};

/// Prints them, one a line.
///
/// # Errors
/// If there is no store yet.
pub fn list(path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let letters = super::tools::peek(path, |tx| tx.letters())?;
    if letters.is_empty() {
        writeln!(out, "no dead letters: everything was understood")?;
        return Ok(());
    }
    writeln!(out, "{:>6}  {:20}  {:10}  {:>7}  kind", "id", "received", "state", "bytes")?;
    for letter in letters {
        writeln!(
            out,
            "{:>6}  {:20}  {:10}  {:>7}  {}",
            letter.id,
            letter.received_at.to_string(),
            letter.state,
            letter.bytes,
            letter.kind
        )?;
    }
    Ok(())
}

/// Has them read again; without ids, all that were not understood.
///
/// # Errors
/// If there is no store yet, or no such letter.
pub fn replay(path: &Path, ids: &[i64], out: &mut dyn Write) -> anyhow::Result<()> {
    let wanted = amend(path, |tx| tx.want_letters(ids))?;
    let when = if store::is_in_use(path) {
        "the running bot reads them within half a minute"
    } else {
        "the bot reads them when it starts"
    };
    if wanted == 0 {
        ensure!(ids.is_empty(), "none of these is there and not understood yet");
        writeln!(out, "nothing to read again")?;
    } else {
        writeln!(out, "{wanted} to be read again: {when}; then see `debrief dead-letters list`")?;
    }
    Ok(())
}

/// Prints one as it came.
///
/// # Errors
/// If there is no such letter, or nobody said that they may see it.
pub fn show(
    path: &Path,
    id: i64,
    reveal: Reveal,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if reveal == Reveal::Nothing {
        bail!(
            "it may hold what somebody wrote in confidence, and an address that answers them; add \
             --reveal if you may read that"
        );
    }
    let text = super::tools::peek(path, |tx| tx.letter_text(id))?;
    let text = text.with_context(|| format!("there is no dead letter {id}"))?;
    let shown = Entry::of(operator(), Action::DeadLetterShown).within(id.to_string());
    amend(path, |tx| tx.audit(&shown, now))?;
    writeln!(out, "{text}")?;
    Ok(())
}

/// Whether a letter's content is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    Nothing,
    Everything,
}

/// Deletes them.
///
/// # Errors
/// If there is no store yet.
pub fn drop(path: &Path, ids: &[i64], out: &mut dyn Write) -> anyhow::Result<()> {
    let gone = amend(path, |tx| tx.drop_letters(ids))?;
    writeln!(out, "{gone} deleted")?;
    Ok(())
}

fn amend<T>(path: &Path, work: impl FnOnce(&Tx<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if !path.exists() {
        bail!("there is no store {} yet; `debrief run` makes it", path.display());
    }
    store::visit(path, work)
}
