//! How SQLite would look for the rows that some work asks for.
//!
//! The tests use it to prove that nobody ever waits for a table to be read from end to end: the
//! statements are caught as they run, so the proof is about the ones in use and not about copies.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::Tx;

/// One statement and SQLite's steps to its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub sql: String,
    /// As `EXPLAIN QUERY PLAN` words them.
    pub steps: Vec<String>,
}

/// Runs `work` on a store that nobody else has open, takes it back, and explains its statements.
///
/// # Errors
/// If the work fails or a statement cannot be explained.
pub fn plans(
    path: &Path,
    work: impl FnOnce(&Tx<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Plan>> {
    let mut connection = Connection::open(path).context("open the store")?;
    let caught: Arc<Mutex<Vec<String>>> = Arc::default();
    let catching = Arc::clone(&caught);
    let catch = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(_, sql) = event {
            catching.lock().unwrap_or_else(PoisonError::into_inner).push(sql.to_owned());
        }
    };
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(catch))?;
    let tx = connection.unchecked_transaction()?;
    work(&Tx(&tx))?;
    tx.rollback()?;
    connection
        .trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, None::<fn(TraceEvent<'_>)>)
        .context("stop catching statements")?;
    let caught = std::mem::take(&mut *caught.lock().unwrap_or_else(PoisonError::into_inner));
    caught.into_iter().filter(|sql| is_query(sql)).map(|sql| explain(&connection, sql)).collect()
}

/// Triggers appear as comments, and transactions need no plan.
fn is_query(sql: &str) -> bool {
    let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first.as_str())
}

fn explain(connection: &Connection, sql: String) -> anyhow::Result<Plan> {
    // Parameters stay unbound: the plan does not depend on them.
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().context("explain a statement")? {
        steps.push(row.get(3)?);
    }
    drop(rows);
    drop(statement);
    Ok(Plan { sql, steps })
}
