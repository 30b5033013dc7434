//! A manager's week.
//!
//! Charts are new in Slack and may be refused, so there are five looks: chart, sortable table, plain
//! table, bars of text, and text alone.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Look;
use super::blocks::{
    MESSAGE, Style, bullets, fit, header, line, named, quote, rich, runs, top_text,
};
use crate::ports::outbound::{Chart, DigestCard, DigestSection};
use crate::slack::text;

/// Text in all blocks together: Slack splits longer messages, and we could not edit the rest.
const MOST_TEXT: usize = 9000;
const LONGEST_LINE: usize = 400;
const LONGEST_QUOTE: usize = 600;
/// Charts in one message; further ones are bars of text.
const MOST_CHARTS: usize = 2;
const MOST_CATEGORIES: usize = 20;
const MOST_SERIES: usize = 6;
const LONGEST_NAME: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChartLook {
    Chart,
    DataTable,
    Table,
    Bars,
}

pub(super) fn looks(card: &DigestCard) -> Vec<Look> {
    let said = if card.text.trim().is_empty() {
        top_text([card.title.as_str(), &card.summary])
    } else {
        top_text([card.text.as_str()])
    };
    let mut looks: Vec<Look> =
        [ChartLook::Chart, ChartLook::DataTable, ChartLook::Table, ChartLook::Bars]
            .into_iter()
            .map(|look| Look { text: said.clone(), blocks: blocks(card, look) })
            .collect();
    looks.push(Look { text: said, blocks: Vec::new() });
    looks
}

fn blocks(card: &DigestCard, look: ChartLook) -> Vec<Value> {
    let mut room = Room { left: MOST_TEXT };
    let mut charts = 0;
    let mut blocks =
        vec![header(&card.title), line(&[(&room.take(&card.summary, LONGEST_QUOTE), Style::None)])];
    for section in &card.sections {
        match section {
            DigestSection::Lines { heading, lines } => {
                blocks.extend(listed(heading, lines, &mut room));
            }
            DigestSection::Quotes { heading, quotes } => {
                let quotes: Vec<(String, String)> =
                    quotes.iter().map(|quote| (quote.words.clone(), quote.who.clone())).collect();
                blocks.extend(quoted(heading, &quotes, &mut room));
            }
            DigestSection::Chart(chart) => {
                let Some(chart) = Plot::new(chart) else {
                    continue;
                };
                charts += 1;
                blocks.push(if charts > MOST_CHARTS {
                    chart.show(ChartLook::Bars)
                } else {
                    chart.show(look)
                });
            }
        }
    }
    fit(blocks, MESSAGE)
        .into_iter()
        .enumerate()
        .map(|(at, block)| named(block, &format!("digest.{at}")))
        .collect()
}

/// What is left of a message's text.
struct Room {
    left: usize,
}

impl Room {
    fn take(&mut self, words: &str, longest: usize) -> String {
        let taken = text::literal(words, longest.min(self.left));
        // Many short lines are long, too.
        self.left = self.left.saturating_sub(text::units(&taken).max(10));
        taken
    }

    fn is_full(&self) -> bool {
        self.left < 20
    }
}

fn listed(heading: &str, lines: &[String], room: &mut Room) -> Option<Value> {
    if room.is_full() {
        return None;
    }
    let mut parts = vec![runs(&[(&room.take(heading, LONGEST_LINE), Style::Bold)])];
    let mut shown = Vec::new();
    for words in lines {
        if room.is_full() {
            break;
        }
        shown.push(room.take(words, LONGEST_LINE));
    }
    if shown.len() < lines.len() {
        shown.push(format!("… and {} more", lines.len() - shown.len()));
    }
    if !shown.is_empty() {
        parts.push(bullets(&shown));
    }
    Some(rich(&parts))
}

fn quoted(heading: &str, quotes: &[(String, String)], room: &mut Room) -> Option<Value> {
    if room.is_full() {
        return None;
    }
    let mut parts = vec![runs(&[(&room.take(heading, LONGEST_LINE), Style::Bold)])];
    for (words, who) in quotes {
        if room.is_full() {
            break;
        }
        let words = room.take(words, LONGEST_QUOTE);
        let who = format!("\n– {}", room.take(who, 100));
        parts.push(quote(&[(&words, Style::None), (&who, Style::Italic)]));
    }
    Some(rich(&parts))
}

/// A chart within Slack's limits: names are short and occur once, and each series has a value for
/// each category.
struct Plot {
    title: String,
    categories: Vec<String>,
    series: Vec<(String, Vec<u32>)>,
}

impl Plot {
    /// `None` if there is nothing to draw.
    fn new(chart: &Chart) -> Option<Self> {
        let shown = chart.categories.len().min(MOST_CATEGORIES);
        let categories = distinct(chart.categories.iter().take(shown));
        let names = distinct(chart.series.iter().map(|(name, _)| name).take(MOST_SERIES));
        let values = chart.series.iter().map(|(_, values)| {
            let mut values = values.clone();
            values.resize(shown, 0);
            values
        });
        let series: Vec<_> = names.into_iter().zip(values).collect();
        (!categories.is_empty() && !series.is_empty()).then(|| Self {
            title: text::label(&chart.title, 50),
            categories,
            series,
        })
    }

    fn show(&self, look: ChartLook) -> Value {
        match look {
            ChartLook::Chart => self.chart(),
            ChartLook::DataTable => self.data_table(),
            ChartLook::Table => self.table(),
            ChartLook::Bars => self.bars(),
        }
    }

    /// Slack knows no option for stacking: it draws several series as it sees fit.
    fn chart(&self) -> Value {
        let series: Vec<Value> = self
            .series
            .iter()
            .map(|(name, values)| {
                let data: Vec<Value> = self
                    .categories
                    .iter()
                    .zip(values)
                    .map(|(label, value)| json!({"label": label, "value": value}))
                    .collect();
                json!({"name": name, "data": data})
            })
            .collect();
        json!({
            "type": "data_visualization",
            "title": self.title,
            "chart": {
                "type": "bar",
                "series": series,
                "axis_config": {"categories": self.categories},
            },
        })
    }

    fn data_table(&self) -> Value {
        let number =
            |value: u32| json!({"type": "raw_number", "value": value, "text": value.to_string()});
        json!({
            "type": "data_table",
            "caption": self.title,
            "page_size": MOST_CATEGORIES,
            "row_header_column_index": 0,
            "rows": self.rows(number),
        })
    }

    fn table(&self) -> Value {
        json!({"type": "table", "rows": self.rows(|value| cell(&value.to_string()))})
    }

    fn rows(&self, number: impl Fn(u32) -> Value) -> Vec<Vec<Value>> {
        let mut first = vec![cell(&self.title)];
        first.extend(self.series.iter().map(|(name, _)| cell(name)));
        let mut rows = vec![first];
        for (at, category) in self.categories.iter().enumerate() {
            let mut row = vec![cell(category)];
            row.extend(self.series.iter().map(|(_, values)| number(values[at])));
            rows.push(row);
        }
        rows
    }

    fn bars(&self) -> Value {
        let lines: Vec<String> = self
            .categories
            .iter()
            .enumerate()
            .map(|(at, category)| {
                let parts: Vec<String> = self
                    .series
                    .iter()
                    .filter(|(_, values)| values[at] > 0)
                    .map(|(name, values)| format!("{} {name} {}", bar(values[at]), values[at]))
                    .collect();
                format!("{category}: {}", parts.join(", "))
            })
            .collect();
        rich(&[runs(&[(&self.title, Style::Bold)]), bullets(&lines)])
    }
}

fn cell(words: &str) -> Value {
    json!({"type": "raw_text", "text": words})
}

fn bar(value: u32) -> String {
    "▮".repeat(value.min(10) as usize)
}

/// Short names; those that are the same once cut are numbered.
fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names
        .map(|name| {
            let mut unique = text::label(name, LONGEST_NAME);
            let mut number = 1;
            while !seen.insert(unique.clone()) {
                number += 1;
                unique = format!("{} {number}", text::label(name, LONGEST_NAME - 3));
            }
            unique
        })
        .collect()
}
