//! The roster as a sheet: records with their lines, and which value is which column.

use super::reading::quoted;

/// The columns of the file, in any order. The first three are required.
const COLUMNS: [&str; 6] = ["email", "name", "role", "manager_email", "calendar", "zone"];

/// One record of the file.
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) values: csv::StringRecord,
}

/// All records but comments and blank lines.
pub(super) fn rows(text: &str) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let (mut line, mut at) = (1, 0);
    // A record that cannot be read would not be UTF-8, which a `str` always is.
    for values in reader.records().flatten() {
        let start = values
            .position()
            .and_then(|position| usize::try_from(position.byte()).ok())
            .unwrap_or(at);
        line += text.get(at..start).map_or(0, |gone| gone.matches('\n').count());
        at = start;
        // The crate's positions lie before the comments and empty lines that it skips.
        let skipped = text
            .get(start..)
            .unwrap_or_default()
            .lines()
            .take_while(|line| line.is_empty() || line.starts_with('#'))
            .count();
        let comment = values.get(0).is_some_and(|first| first.starts_with('#'));
        if !comment && values.iter().any(|value| !value.is_empty()) {
            rows.push(Row { line: line + skipped, values });
        }
    }
    rows
}

/// Which value of a row is which column.
pub(super) struct Header {
    /// By the order of [`COLUMNS`].
    places: [Option<usize>; COLUMNS.len()],
    pub(super) width: usize,
}

impl Header {
    /// The header and what is odd about it, or why there is none.
    pub(super) fn read(row: Option<Row>) -> Result<(Self, Vec<(usize, String)>), String> {
        let wanted = COLUMNS.join(",");
        let Some(Row { line, values }) = row else {
            return Err(format!("line 1: the roster is empty; it begins with {wanted}"));
        };
        let names: Vec<String> = values.iter().map(str::to_lowercase).collect();
        let mut places = [None; COLUMNS.len()];
        let mut problems = Vec::new();
        for (place, name) in names.iter().enumerate() {
            match COLUMNS.iter().position(|column| column == name) {
                Some(column) if places[column].is_some() => {
                    return Err(format!("line {line}: the column {name} is there twice"));
                }
                Some(column) => places[column] = Some(place),
                None if name.is_empty() => {}
                None => problems.push((
                    line,
                    format!(
                        "line {line}, column {}: is unknown and ignored, allowed: {}",
                        quoted(name),
                        COLUMNS.join(", ")
                    ),
                )),
            }
        }
        if let Some(missing) = (0..3).find(|&column| places[column].is_none()) {
            let tip = if names.len() == 1 && names[0].contains([';', '\t']) {
                "; separate columns by commas"
            } else {
                ""
            };
            return Err(format!(
                "line {line}: the header lacks the column {}; write {wanted}{tip}",
                COLUMNS[missing]
            ));
        }
        let width = names.len();
        Ok((Self { places, width }, problems))
    }

    /// Which value of a row is `column`.
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        let column = COLUMNS.iter().position(|known| *known == column)?;
        self.places[column]
    }
}
