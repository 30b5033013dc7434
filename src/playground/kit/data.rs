//! Charts and tables.

use serde_json::Value;

use super::Report;

const MOST_CHARTS: usize = 2;
/// Of all tables of a message together.
const MOST_TABLE_TEXT: usize = 10_000;

pub(super) fn chart(report: &mut Report, place: &str, block: &Value) -> &'static [&'static str] {
    report.text(&format!("{place}/title"), &block["title"], 50);
    let chart = &block["chart"];
    let place = format!("{place}/chart");
    match chart["type"].as_str() {
        Some("bar" | "line" | "area") => series(report, &place, chart),
        Some("pie") => {
            let segments = report.list(&format!("{place}/segments"), &chart["segments"], 1, 6);
            for (at, segment) in segments.iter().enumerate() {
                let place = format!("{place}/segments/{at}");
                report.text(&format!("{place}/label"), &segment["label"], 20);
                if segment["value"].as_f64().is_none_or(|value| value <= 0.0) {
                    report.wrong(&format!("{place}/value"), "must be more than 0");
                }
            }
        }
        _ => report.wrong(&format!("{place}/type"), "unsupported type"),
    }
    &["title", "chart"]
}

/// Every series has one value for every category.
fn series(report: &mut Report, place: &str, chart: &Value) {
    let axis = &chart["axis_config"];
    let place_of = format!("{place}/axis_config/categories");
    let categories = report.list(&place_of, &axis["categories"], 1, 20);
    for (at, category) in categories.iter().enumerate() {
        report.text(&format!("{place_of}/{at}"), category, 20);
    }
    for label in ["x_label", "y_label"] {
        report.optional_text(&format!("{place}/axis_config/{label}"), &axis[label], 50);
    }
    let all = report.list(&format!("{place}/series"), &chart["series"], 1, 6);
    for (at, one) in all.iter().enumerate() {
        let place = format!("{place}/series/{at}");
        report.text(&format!("{place}/name"), &one["name"], 20);
        let data = report.list(&format!("{place}/data"), &one["data"], 1, 20);
        let labels: Vec<&Value> = data.iter().map(|point| &point["label"]).collect();
        if labels != categories.iter().collect::<Vec<_>>() {
            report.wrong(&format!("{place}/data"), "must have a value for every category");
        }
        if data.iter().any(|point| !point["value"].is_number()) {
            report.wrong(&format!("{place}/data"), "values must be numbers");
        }
    }
}

pub(super) fn table(report: &mut Report, place: &str, block: &Value) -> &'static [&'static str] {
    let rows = report.list(&format!("{place}/rows"), &block["rows"], 1, 101);
    let width = rows.first().and_then(Value::as_array).map_or(0, Vec::len);
    for (at, row) in rows.iter().enumerate() {
        let place = format!("{place}/rows/{at}");
        if report.list(&place, row, 1, 20).len() != width {
            report.wrong(&place, "must have as many cells as the first row");
        }
    }
    report.optional_text(&format!("{place}/caption"), &block["caption"], 150);
    &["rows", "caption", "page_size", "row_header_column_index", "column_settings"]
}

/// What counts for the message as a whole.
pub(super) fn check_totals(report: &mut Report, blocks: &[Value]) {
    let is = |kind: &'static str| move |block: &&Value| block["type"] == kind;
    if blocks.iter().filter(is("data_visualization")).count() > MOST_CHARTS {
        report.wrong("/blocks", "no more than 2 data_visualization blocks allowed");
    }
    let tables = blocks.iter().filter(|one| is("table")(one) || is("data_table")(one));
    if tables.map(super::words).sum::<usize>() > MOST_TABLE_TEXT {
        report.wrong("/blocks", "tables hold more than 10000 characters");
    }
    let markdown = blocks.iter().filter(is("markdown")).map(super::words).sum::<usize>();
    if markdown > 12_000 {
        report.wrong("/blocks", "markdown blocks hold more than 12000 characters");
    }
}
