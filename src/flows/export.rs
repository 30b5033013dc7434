//! What is stored by and about a person → files that they can read.
//!
//! JSON for programs; CSV for spreadsheets, in which no cell is ever taken for a formula.

use anyhow::Context;
use csv::{QuoteStyle, Terminator, WriterBuilder};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::person::Person;
use crate::store::dossier::Table;

/// What the data is not for; stands in every export.
pub const NOT_FOR: &str = "Not to be used for pay, promotion or discipline.";

/// A file of an export.
#[derive(Debug, Clone)]
pub struct ExportFile {
    pub name: String,
    pub content: Vec<u8>,
}

/// The files of an export.
///
/// # Errors
/// If the data cannot be written as JSON or CSV.
pub fn files(person: &Person, tables: &[Table], now: Timestamp) -> anyhow::Result<Vec<ExportFile>> {
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut files = vec![
        ExportFile { name: "README.txt".into(), content: about(person, tables, &at).into() },
        ExportFile { name: "export.json".into(), content: as_json(tables, &at)? },
    ];
    for table in tables {
        let content = as_csv(table).with_context(|| format!("write {}.csv", table.name))?;
        files.push(ExportFile { name: format!("{}.csv", table.name), content });
    }
    Ok(files)
}

fn about(person: &Person, tables: &[Table], at: &str) -> String {
    let tables: Vec<String> = tables
        .iter()
        .map(|table| format!("  {}.csv: {} rows", table.name, table.rows.len()))
        .collect();
    format!(
        "Everything that debrief stores by and about {}, as of {at}.\n\n{NOT_FOR}\n\n\
         export.json holds all of it; the same is in one CSV file a table:\n{}\n\n\
         In the CSV files, an apostrophe stands before a text that a spreadsheet would take for a \
         formula.\n",
        person.name,
        tables.join("\n")
    )
}

fn as_json(tables: &[Table], at: &str) -> anyhow::Result<Vec<u8>> {
    let mut all = Map::new();
    all.insert("notice".into(), NOT_FOR.into());
    all.insert("exported_at".into(), at.into());
    for table in tables {
        let rows = table.rows.iter().map(|row| {
            let cells = table.columns.iter().cloned().zip(row.iter().cloned());
            Value::Object(cells.collect())
        });
        all.insert(table.name.into(), json!(rows.collect::<Vec<_>>()));
    }
    let mut text = serde_json::to_vec_pretty(&all)?;
    text.push(b'\n');
    Ok(text)
}

/// RFC 4180: every text is quoted, lines end with CR LF.
///
/// # Errors
/// If it cannot be written.
pub fn as_csv(table: &Table) -> anyhow::Result<Vec<u8>> {
    let mut csv = WriterBuilder::new()
        .quote_style(QuoteStyle::NonNumeric)
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    csv.write_record(&table.columns)?;
    for row in &table.rows {
        csv.write_record(row.iter().map(cell))?;
    }
    csv.into_inner().context("finish a file")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// A text that no spreadsheet takes for a formula.
pub fn harmless(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\0') => format!("'{text}"),
        _ => text.to_owned(),
    }
}
