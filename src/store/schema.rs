//! Opening a store: settings, identity, migrations.
//!
//! Migrations are numbered, forward only and applied in one transaction.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rusqlite::Connection;

/// `DBRF`: how we tell our file from somebody else's.
const APPLICATION_ID: i64 = 0x4442_5246;

/// Every migration, oldest first; its place is its number.
pub const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_first.sql")];

pub(super) const EVERY_CONNECTION: &str = "
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8000;
";

/// More than there are: by default only sixteen are remembered, and every turn parses them anew.
pub(super) const STATEMENTS: usize = 256;

const WRITER: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 67108864;
";

/// Makes a new store, or brings an old one up to date.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    now: Timestamp,
) -> anyhow::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let empty = pragma(connection, "schema_version")? == 0;
    if empty {
        connection
            .execute_batch("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;")
            .context("set up a new store")?;
    } else {
        expect_ours(connection, path)?;
    }
    connection
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .context("switch the store to a write-ahead log")?;
    connection.execute_batch(EVERY_CONNECTION).context("apply the store's settings")?;
    connection.execute_batch(WRITER).context("apply the writer's settings")?;
    migrate(connection)?;
    connection
        .execute(
            "INSERT INTO installation (id, key, created_at)
             VALUES (1, lower(hex(randomblob(6))), ?1) ON CONFLICT DO NOTHING",
            [now.as_second()],
        )
        .context("mark the installation")?;
    Ok(())
}

/// For looking only: refuses what [`prepare`] would have to change.
pub(super) fn expect_current(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    expect_ours(connection, path)?;
    let version = pragma(connection, "user_version")?;
    if usize::try_from(version).ok() != Some(MIGRATIONS.len()) {
        bail!(
            "the store {} is at version {version}, this program needs {}; run `debrief migrate`",
            path.display(),
            MIGRATIONS.len()
        );
    }
    Ok(())
}

/// The version of a store, 0 for an empty one.
pub fn version(connection: &Connection) -> anyhow::Result<i64> {
    pragma(connection, "user_version")
}

fn expect_ours(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    if pragma(connection, "application_id")? != APPLICATION_ID {
        bail!(
            "{} is a database of another program; point store.path somewhere else",
            path.display()
        );
    }
    let version = pragma(connection, "user_version")?;
    if version > i64::try_from(MIGRATIONS.len())? {
        bail!(
            "the store {} was written by a newer debrief (version {version}, this one knows {}); \
             install that one again or restore a backup",
            path.display(),
            MIGRATIONS.len()
        );
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    let version = usize::try_from(pragma(connection, "user_version")?)?;
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction().context("begin the migration")?;
    for (number, sql) in MIGRATIONS.iter().enumerate().skip(version) {
        transaction
            .execute_batch(sql)
            .with_context(|| format!("apply migration {:04}", number + 1))?;
    }
    transaction
        .execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
            MIGRATIONS.len()
        ))
        .context("number the migration")?;
    transaction.commit().context("commit the migration")
}

fn pragma(connection: &Connection, name: &str) -> anyhow::Result<i64> {
    connection
        .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        .with_context(|| format!("read {name} of the store (is it a database at all?)"))
}
