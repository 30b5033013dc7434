//! Opening a store: settings, identity, health, migrations.
//!
//! Migrations are numbered, forward only and applied in one transaction, after a copy was put
//! beside the store. What is damaged, of another program, of a newer version or changed by hand is
//! refused with the remedy, and left as it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::place::{self, LastStop, Place, beside, size, sync_folder};
use super::rescue::{self, CHECKED_UP_TO};
use super::trouble::{self, Trouble, Unusable};
use super::{Tx, wal};

/// `DBRF`: how we tell our file from somebody else's.
pub(super) const APPLICATION_ID: i64 = 0x4442_5246;

/// Every migration, oldest first; its place is its number.
pub const MIGRATIONS: [&str; 9] = [
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_audit.sql"),
    include_str!("../../migrations/0003_upkeep.sql"),
    include_str!("../../migrations/0004_pacing.sql"),
    include_str!("../../migrations/0005_inbound.sql"),
    include_str!("../../migrations/0006_gone_calendars.sql"),
    include_str!("../../migrations/0007_watch.sql"),
    include_str!("../../migrations/0008_calendars.sql"),
    include_str!("../../migrations/0009_search.sql"),
];

const EVERY_CONNECTION: &str = "
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8000;
";

/// The log is folded into the store by [`super::desk`], not by SQLite inside a commit.
const WRITER: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
";

/// Stores up to this size are checked at every start: it takes a fraction of a second.
const ALWAYS_CHECKED: u64 = 32 << 20;

/// Opens the store that was claimed: makes a new one, or brings an old one up to date.
pub(super) fn open(place: &Place, now: Timestamp) -> anyhow::Result<Connection> {
    let path = place.path();
    if wal::is_damaged(&beside(path, "-wal"))? {
        return Err(damaged(path, "its write-ahead log has lost saved answers").into());
    }
    let mut connection =
        Connection::open(path).with_context(|| format!("open the store {}", path.display()))?;
    prepare(&mut connection, place, now).map_err(|error| blame(path, error))?;
    place.expect_from_now_on(now)?;
    Ok(connection)
}

/// Refuses, in the same words, what [`open`] would refuse, and changes nothing. While a bot runs,
/// its log is being written and says nothing about damage.
pub(super) fn expect_startable(path: &Path) -> anyhow::Result<()> {
    if !place::is_held(path) && wal::is_damaged(&beside(path, "-wal"))? {
        return Err(damaged(path, "its write-ahead log has lost saved answers").into());
    }
    let look = || {
        let connection = super::readers::connect(path)?;
        expect_current(&connection, path)?;
        if size(path) < ALWAYS_CHECKED
            && let Err(found) = check(&connection)
        {
            return Err(damaged(path, &found).into());
        }
        expect_schema(&super::readers::connect(path)?, path, &MIGRATIONS)
    };
    look().map_err(|error| blame(path, error))
}

/// What SQLite calls damage, with the remedy.
pub(super) fn blame(path: &Path, error: anyhow::Error) -> anyhow::Error {
    match Trouble::within(&error) {
        Some(Trouble::Damage) => damaged(path, &trouble::plainly(&error)).into(),
        _ => error,
    }
}

/// Whether a store that was just opened is still to be checked, while it is in use.
pub(super) fn is_check_owed(place: &Place) -> bool {
    !is_checked_at_start(place)
}

fn is_checked_at_start(place: &Place) -> bool {
    let limit = match place.last_stop {
        LastStop::InOrder => ALWAYS_CHECKED,
        LastStop::Unclean => CHECKED_UP_TO,
    };
    size(place.path()) < limit
}

fn prepare(connection: &mut Connection, place: &Place, now: Timestamp) -> anyhow::Result<()> {
    let path = place.path();
    settle(connection).context("apply the store's settings")?;
    if is_empty(connection)? {
        connection
            .execute_batch("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;")
            .context("set up a new store")?;
    } else {
        expect_ours(connection, path)?;
        if is_checked_at_start(place)
            // Apart: the check of the search index leaves its connection in the middle of reading.
            && let Err(found) = check(&super::readers::connect(path)?)
        {
            return Err(damaged(path, &found).into());
        }
    }
    let journal: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .context("switch the store to a write-ahead log")?;
    if journal != "wal" {
        bail!("the disk of the store {} cannot hold a write-ahead log", path.display());
    }
    settle_writer(connection)?;
    // Nothing of an earlier life stays in the log: `wal` relies on it.
    fold_all(connection)?;
    migrate(connection, path, &MIGRATIONS)?;
    connection
        .execute(
            "INSERT INTO installation (id, key, created_at)
             VALUES (1, lower(hex(randomblob(6))), ?1) ON CONFLICT DO NOTHING",
            [now.as_second()],
        )
        .context("mark the installation")?;
    fold_all(connection)?;
    // Longer, and whoever waits for an acknowledgement had better be told.
    connection.busy_timeout(Duration::from_secs(2)).context("set how long to wait for others")
}

/// More statements than there are: by default sixteen are remembered, and every turn would parse them
/// anew.
const STATEMENTS: usize = 256;

/// What every connection gets.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Otherwise a statement is planned anew whenever other values are bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(EVERY_CONNECTION)
}

/// Folds the whole write-ahead log into the store and empties it, unless somebody is reading.
pub(super) fn fold_all(connection: &Connection) -> anyhow::Result<()> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .context("fold the write-ahead log into the store")
}

/// Reads the whole file. Says what is wrong with it, in SQLite's words, which hold no content.
pub(super) fn check(connection: &Connection) -> Result<(), String> {
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(found),
        Err(error) => Err(error.to_string()),
    }
}

fn damaged(path: &Path, found: &str) -> Unusable {
    let found = found.replace('\n', " ");
    Unusable(format!(
        "the store {} is damaged ({found}). {}. The damaged file is left as it is",
        path.display(),
        rescue::advice(path)
    ))
}

/// No table yet, and nobody's mark: new, or cut off while it was being made.
fn is_empty(connection: &Connection) -> anyhow::Result<bool> {
    for name in ["schema_version", "application_id", "user_version"] {
        if pragma(connection, name)? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How every connection that writes is set up.
pub(super) fn settle_writer(connection: &Connection) -> anyhow::Result<()> {
    settle(connection).context("apply the store's settings")?;
    connection.execute_batch(WRITER).context("apply the writer's settings")
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

pub(super) fn expect_ours(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    if pragma(connection, "application_id")? != APPLICATION_ID {
        return Err(Unusable(format!(
            "{} is a database of another program; point store.path somewhere else",
            path.display()
        ))
        .into());
    }
    let version = pragma(connection, "user_version")?;
    if version > i64::try_from(MIGRATIONS.len())? {
        return Err(Unusable(format!(
            "the store {} was written by a newer debrief (version {version}, this one knows {}); \
             install that one again or restore a backup",
            path.display(),
            MIGRATIONS.len()
        ))
        .into());
    }
    Ok(())
}

/// Brings the store to the newest of `migrations`, or leaves it exactly as it was.
fn migrate(connection: &mut Connection, path: &Path, migrations: &[&str]) -> anyhow::Result<()> {
    let version = usize::try_from(pragma(connection, "user_version")?)?;
    if version == migrations.len() {
        return expect_schema(connection, path, migrations);
    }
    if version > 0 {
        let name = format!("pre-v{}.db", migrations.len());
        copy(connection, &path.with_file_name(name))
            .context("copy the store before its migration (is there room for it?)")?;
    }
    let transaction = connection.transaction().context("begin the migration")?;
    for (number, sql) in migrations.iter().enumerate().skip(version) {
        transaction
            .execute_batch(sql)
            .with_context(|| format!("apply migration {:04}", number + 1))?;
    }
    let tx = Tx(&transaction);
    if tx.has_audit_log()? {
        tx.chain_the_unchained()?;
    }
    transaction
        .execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
            migrations.len()
        ))
        .context("number the migration")?;
    expect_schema(&transaction, path, migrations)?;
    transaction.commit().context("commit the migration")
}

/// A checked copy of the store under another name; a copy that is cut off never has that name.
fn copy(connection: &Connection, to: &Path) -> anyhow::Result<()> {
    let part = beside(to, ".part");
    let _ = std::fs::remove_file(&part);
    let file = super::place::create_private(&part)?;
    let mut target = Connection::open_with_flags(&part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    target.execute_batch("PRAGMA synchronous = OFF")?;
    Backup::new(connection, &mut target)?.run_to_completion(4096, Duration::ZERO, None)?;
    if let Err(found) = check(&target) {
        bail!("the copy is damaged: {found}");
    }
    target.close().map_err(|(_, error)| error)?;
    file.sync_all()?;
    std::fs::rename(&part, to)?;
    sync_folder(to)
}

/// Refuses a store whose tables were changed by somebody else: our statements would misread it.
fn expect_schema(connection: &Connection, path: &Path, migrations: &[&str]) -> anyhow::Result<()> {
    let (expected, found) = (pattern(migrations)?, objects(connection)?);
    let names = expected.keys().chain(found.keys());
    let Some(name) = names.into_iter().find(|&name| expected.get(name) != found.get(name)) else {
        return Ok(());
    };
    let how = match (expected.contains_key(name), found.contains_key(name)) {
        (true, false) => "is missing",
        (false, true) => "is not ours",
        _ => "was changed",
    };
    Err(Unusable(format!(
        "the store {} was changed by another program: {name} {how}. Undo that, or restore a backup. \
         {}",
        path.display(),
        rescue::advice(path)
    ))
    .into())
}

/// What the schema should be, worked out once: it takes longer than everything else at a start.
fn pattern(migrations: &[&str]) -> anyhow::Result<BTreeMap<String, String>> {
    static NEWEST: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let is_newest = migrations == MIGRATIONS;
    if let Some(known) = NEWEST.get().filter(|_| is_newest) {
        return Ok(known.clone());
    }
    let pattern = Connection::open_in_memory().context("make a pattern")?;
    for sql in migrations {
        pattern.execute_batch(sql).context("make a pattern")?;
    }
    let found = objects(&pattern)?;
    if is_newest {
        // Somebody else may have been first, with the same.
        let _ = NEWEST.set(found.clone());
    }
    Ok(found)
}

/// Every table, index and trigger by name, with its text, comments and spacing left out.
/// Litestream's own tables do not count.
fn objects(connection: &Connection) -> anyhow::Result<BTreeMap<String, String>> {
    let mut statement = connection
        .prepare("SELECT type || ' ' || name, name, coalesce(sql, '') FROM sqlite_schema")
        .context("read the schema")?;
    let rows = statement
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .context("read the schema")?;
    let mut found = BTreeMap::new();
    for row in rows {
        let (whole, name, sql) = row.context("read the schema")?;
        if name.starts_with("_litestream_") || name.starts_with("sqlite_") {
            continue;
        }
        let lines = sql.lines().map(|line| line.split("--").next().unwrap_or(line));
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        found.insert(whole, words.join(" "));
    }
    Ok(found)
}

fn pragma(connection: &Connection, name: &str) -> anyhow::Result<i64> {
    connection
        .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        .with_context(|| format!("read {name} of the store (is it a database at all?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "ALTER TABLE dead_letter ADD COLUMN note TEXT;";
    const BROKEN: &str = "CREATE TABLE half (id INTEGER) STRICT; CREATE TABLE answer (id);";

    fn store(folder: &Path) -> Connection {
        let mut store = Connection::open(folder.join("debrief.db")).unwrap();
        settle(&store).unwrap();
        migrate(&mut store, &folder.join("debrief.db"), &MIGRATIONS).unwrap();
        store
    }

    #[test]
    fn f05_a_migration_that_fails_leaves_the_old_schema_and_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, path) = (store(folder.path()), folder.path().join("debrief.db"));
        let old = objects(&store).unwrap();
        let newest: Vec<&str> = MIGRATIONS.iter().copied().chain([NEXT]).collect();
        let broken: Vec<&str> = newest.iter().copied().chain([BROKEN]).collect();
        assert!(migrate(&mut store, &path, &broken).is_err());
        assert_eq!(objects(&store).unwrap(), old);
        assert_eq!(usize::try_from(version(&store).unwrap()).unwrap(), MIGRATIONS.len());
        let copy = folder.path().join(format!("pre-v{}.db", broken.len()));
        assert_eq!(objects(&Connection::open(copy).unwrap()).unwrap(), old);
        migrate(&mut store, &path, &newest).unwrap();
        assert_ne!(objects(&store).unwrap(), old);
        assert!(!folder.path().join(format!("pre-v{}.db.part", newest.len())).exists());
    }

    #[test]
    fn a_store_changed_by_hand_is_refused_but_not_for_litestream() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, path) = (store(folder.path()), folder.path().join("debrief.db"));
        store.execute_batch("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY)").unwrap();
        migrate(&mut store, &path, &MIGRATIONS).unwrap();
        store.execute_batch("DROP INDEX outbox_next").unwrap();
        let error = migrate(&mut store, &path, &MIGRATIONS).unwrap_err();
        assert!(error.is::<Unusable>());
        assert!(format!("{error:#}").contains("index outbox_next is missing"), "{error:#}");
    }
}
