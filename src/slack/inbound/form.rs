//! What stands in a modal's fields.

use serde_json::Value;

use super::word;
use crate::ports::inbound::{FormValue, FormValues};

/// `state.values`: block by block, one field in each.
pub(super) fn values(state: &Value) -> FormValues {
    state
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(block, fields)| {
            let value = fields.as_object()?.values().find_map(value)?;
            Some((block.clone(), value))
        })
        .collect()
}

/// Empty fields come as `null`, as an empty text or list, or not at all.
fn value(field: &Value) -> Option<FormValue> {
    if let Some(options) = field["selected_options"].as_array() {
        let ticks: Vec<String> =
            options.iter().filter_map(|option| word(option, "value").map(str::to_owned)).collect();
        return (!ticks.is_empty()).then_some(FormValue::Ticks(ticks));
    }
    if let Some(choice) = word(&field["selected_option"], "value") {
        return Some(FormValue::Choice(choice.to_owned()));
    }
    if let Some(date) = word(field, "selected_date") {
        return date.parse().ok().map(FormValue::Date);
    }
    let text = word(field, "value")?;
    (!text.trim().is_empty()).then(|| FormValue::Text(text.to_owned()))
}

/// The block ids under which an error may stand.
pub(super) fn fields(view: &Value) -> Vec<String> {
    view["blocks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|block| block["type"] == "input")
        .filter_map(|block| word(block, "block_id").map(str::to_owned))
        .collect()
}
