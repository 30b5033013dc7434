//! The shipped alerts, dashboard and run book fit each other, and name only what is there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use super::{SERVED, scrape};
use crate::world::{MAYA, World, acme};

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap()
}

/// The rules of the file, parsed.
fn alerts() -> Vec<Yaml> {
    let pages = YamlLoader::load_from_str(&file("config/monitoring/alerts.yml")).unwrap();
    let [page] = pages.as_slice() else { panic!("one document") };
    let groups = page["groups"].as_vec().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_vec().unwrap().clone()).collect()
}

/// Names of metrics in a query: words of ours, and those of every process.
fn named(query: &str) -> BTreeSet<String> {
    let words = query.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let ours = words.filter(|word| word.starts_with("debrief_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

async fn exposed() -> BTreeSet<String> {
    let world = World::with(&[acme()], SERVED).await;
    world.turn_to("2026-03-10T14:50").await;
    world.press(MAYA, "No").await;
    scrape(&world).await.names()
}

#[tokio::test]
async fn every_alert_asks_for_metrics_that_are_there() {
    let exposed = exposed().await;
    let alerts = alerts();
    assert!(alerts.len() >= 15, "{}", alerts.len());
    let mut seen = BTreeSet::new();
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(seen.insert(name), "{name} comes twice");
        let query = alert["expr"].as_str().unwrap();
        let unknown: Vec<_> = named(query).difference(&exposed).cloned().collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}");
        assert!(!named(query).is_empty() || query.starts_with("up{"), "{name}: {query}");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&severity), "{name}: {severity}");
        assert!(alert["annotations"]["summary"].as_str().is_some(), "{name}");
    }
}

/// One long run is work, and must wake nobody.
#[test]
fn failing_loops_are_told_by_their_failures() {
    let alerts = alerts();
    let failing = alerts.iter().find(|alert| alert["alert"].as_str() == Some("DebriefJobFailing"));
    let query = failing.unwrap()["expr"].as_str().unwrap();
    assert_eq!(named(query).into_iter().collect::<Vec<_>>(), ["debrief_job_runs_total"]);
    assert!(query.starts_with("increase(") && query.contains("result=\"failed\""), "{query}");
}

#[test]
fn every_alert_has_its_entry_in_the_run_book() {
    let book = file("docs/runbook.md");
    let entries: BTreeSet<&str> =
        book.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut known = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap().to_owned();
        let link = format!("docs/runbook.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"].as_str(), Some(link.as_str()));
        let (_, entry) = book.split_once(&format!("## {name}\n")).unwrap_or_else(|| {
            panic!("{name} is not in the run book");
        });
        let entry = entry.split("\n## ").next().unwrap();
        for part in ["**Means:**", "**People notice:**", "**Do:**"] {
            assert!(entry.contains(part), "{name} lacks {part}");
        }
        known.insert(name);
    }
    let stray: Vec<_> = entries.iter().filter(|entry| !known.contains(**entry)).collect();
    assert!(stray.is_empty(), "no alert is called {stray:?}");
}

#[tokio::test]
async fn the_run_book_and_the_dashboard_name_metrics_that_are_there() {
    let exposed = exposed().await;
    // The run book speaks of histograms by their name alone.
    let mut spoken = exposed.clone();
    spoken
        .extend(exposed.iter().filter_map(|name| name.strip_suffix("_bucket")).map(str::to_owned));
    let unknown: Vec<_> = named(&file("docs/runbook.md")).difference(&spoken).cloned().collect();
    assert!(unknown.is_empty(), "the run book names {unknown:?}");

    let board: Value = serde_json::from_str(&file("config/monitoring/grafana.json")).unwrap();
    let mut ids = BTreeSet::new();
    let panels = board["panels"].as_array().unwrap();
    assert!(panels.len() >= 15);
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(panel["gridPos"]["w"].as_u64().is_some_and(|width| width <= 24), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let unknown: Vec<_> = named(query).difference(&exposed).cloned().collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", panel["title"]);
            assert!(!named(query).is_empty(), "{}: {query}", panel["title"]);
        }
    }
}
