//! The commands about what is stored of people: `export`, `erase`, `audit`.
//!
//! They work while the bot runs. What they show or change is in the audit log before it leaves.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::operator::operator;
use super::tools::peek;
use crate::config::Config;
use crate::domain::audit::{Action, Entry};
use crate::flows::export;
use crate::store;
use crate::store::audit::Verification;
use crate::store::erasure::{self, Footprint};
use crate::store::traces::{self, Progress};

/// Writes everything by and about a person into a new folder that only its owner can read.
///
/// # Errors
/// If nobody has that address, the folder exists, or something cannot be written.
pub fn export(
    config: &Config,
    email: &str,
    to: Option<PathBuf>,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let path = &config.store_path;
    let (person, tables) = peek(path, |tx| {
        let person = tx.person_ever(email)?.with_context(|| nobody(email))?;
        let tables = tx.dossier(person.id)?;
        Ok((person, tables))
    })?;
    let folder = to.unwrap_or_else(|| format!("debrief-export-{}", person.email).into());
    let files = export::files(&person, &tables, now)?;
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("create the folder {} (it must be new)", folder.display()))?;
    let entry = Entry::of(operator(), Action::Export).about(person.id);
    store::visit(path, |tx| tx.audit(&entry, now))?;
    for file in &files {
        let path = folder.join(&file.name);
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut to| to.write_all(&file.content))
            .with_context(|| format!("write {}", path.display()))?;
    }
    writeln!(
        out,
        "{}: {} files, for the owner of this account only",
        folder.display(),
        files.len()
    )?;
    writeln!(out, "{}", export::NOT_FOR)?;
    Ok(())
}

/// Whether to erase, or only to say what would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    Look,
    Erase,
}

/// Erases a person for good, or says what would go.
///
/// # Errors
/// If nobody has that address, or the store cannot be written.
pub fn erase(
    config: &Config,
    email: &str,
    resolve: Resolve,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let path = &config.store_path;
    if resolve == Resolve::Look {
        let footprint = peek(path, |tx| {
            let person = tx.person_ever(email)?.with_context(|| nobody(email))?;
            tx.footprint(&person)
        })?;
        say(&footprint, out)?;
        writeln!(
            out,
            "Nothing was erased. This would go for good, with name, address and Slack id; add \
             --confirm to do it."
        )?;
        return Ok(());
    }
    expect_store(path)?;
    let footprint = erasure::erase(path, email, operator(), now)?;
    say(&footprint, out)?;
    writeln!(
        out,
        "Erased, with name, address and Slack id. What stays: a row without a name, a hash of \
         the address so that the roster cannot bring it back, and numbers in the audit log.\n\
         Take the row out of {}. Messages in Slack are Slack's: delete them there. Backups \
         hold the person for up to 30 days, as do copies from before a migration or restore; one that is restored is erased again.",
        config.roster_file.display()
    )?;
    // What follows may take a while, and may be cut short.
    out.flush()?;
    overwrite_traces(path, out)
}

fn say(footprint: &Footprint, out: &mut dyn Write) -> anyhow::Result<()> {
    for (what, count) in footprint.iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "{count:>6} {what}")?;
    }
    Ok(())
}

/// What cannot be done now is no error: it is done later, by itself.
fn overwrite_traces(path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let Err(error) = traces::clean(path, &Progress::default(), || false) else {
        writeln!(out, "The freed bytes in the store's file are overwritten.")?;
        return Ok(());
    };
    let later = if store::is_in_use(path) {
        "The file will be cleaned by the running bot, within the hour or so"
    } else {
        "The file will be cleaned when the bot is started the next time"
    };
    writeln!(
        out,
        "The freed bytes in the store's file could not be overwritten yet ({error:#}). {later}; \
         until then somebody who reads the raw file may find some of them."
    )?;
    Ok(())
}

/// Lets an erased address come back by the roster.
///
/// # Errors
/// If nobody of that address was erased, or the store cannot be written.
pub fn forget_tombstone(
    config: &Config,
    email: &str,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    expect_store(&config.store_path)?;
    if !erasure::lift(&config.store_path, email, operator(), now)? {
        bail!("nobody of that address was erased");
    }
    writeln!(out, "The roster may bring this address back, as somebody new. Nothing returns.")?;
    Ok(())
}

/// Walks the audit log. Says whether it is whole.
///
/// # Errors
/// If there is no store yet or it cannot be read.
pub fn verify_audit(
    config: &Config,
    noted: Option<&str>,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let noted = noted.map(|noted| noted.trim().to_lowercase());
    match peek(&config.store_path, |tx| tx.verify_audit(noted.as_deref()))? {
        Verification::Whole { rows, head } => {
            writeln!(out, "ok: {rows} rows, each follows the one before")?;
            writeln!(out, "head {head}")?;
            Ok(true)
        }
        Verification::Broken { row, what } => {
            writeln!(out, "TAMPERED at row {row}: {what}")?;
            Ok(false)
        }
    }
}

/// Prints the audit log as a line of JSON for each row.
///
/// # Errors
/// If there is no store yet or it cannot be read.
pub fn export_audit(config: &Config, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    expect_store(&config.store_path)?;
    let entry = Entry::of(operator(), Action::AuditExport);
    store::visit(&config.store_path, |tx| tx.audit(&entry, now))?;
    peek(&config.store_path, |tx| {
        tx.each_audit_row(|row| {
            serde_json::to_writer(&mut *out, row)?;
            Ok(writeln!(out)?)
        })
    })
}

fn nobody(email: &str) -> String {
    format!("the store knows nobody of the address {email}")
}

fn expect_store(path: &Path) -> anyhow::Result<()> {
    peek(path, |_| Ok(()))
}
