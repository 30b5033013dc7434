//! Looking things up and building digests in a store with a million answers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use debrief::config::Config;
use debrief::domain::person::PersonId;
use debrief::domain::privacy::Viewer;
use debrief::flows::{Rules, digest, home};
use debrief::store::history::{HistoryEntry, HistoryFilter, HistoryScope};
use debrief::store::{Store, Tx};
use jiff::{SignedDuration, Timestamp};

use crate::crowd::{COMMON, MANAGERS, RARE, REPS, TEAM, id};
use crate::report::{Report, ms, quantile};

const LOOKS: usize = 1500;
const PAGE: u32 = 20;
const HISTORY: f64 = 5.0;
const SEARCH: f64 = 20.0;
const DIGESTS: f64 = 1.0;

pub(crate) async fn measure(path: &Path, config: &Config, now: Timestamp, report: &mut Report) {
    report.part("Looking things up, with a million answers");
    let store = Store::open(path, now).unwrap();
    let filter = HistoryFilter::default;
    let words = |words: &[&str]| HistoryFilter {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        ..filter()
    };
    let account = HistoryFilter { account: Some("firm 7".into()), ..filter() };
    for (what, filter, target) in [
        ("history, first page", filter(), HISTORY),
        ("history, one account", account, HISTORY),
        ("search, a rare word", words(&[RARE]), SEARCH),
        ("search, a common word", words(&[COMMON]), SEARCH),
        ("search, two common words", words(&[COMMON, "early"]), SEARCH),
    ] {
        let mut times = look(&store, &filter, 1).await;
        report.fact(&format!("{what}, median"), ms(quantile(&mut times, 0.5)), "ms");
        report.at_most("  99th percentile", ms(quantile(&mut times, 0.99)), "ms", target);
    }
    let mut times = look(&store, &words(&[COMMON]), TEAM).await;
    report.fact(
        "search in a team of ten, a common word, median",
        ms(quantile(&mut times, 0.5)),
        "ms",
    );
    report.at_most("  99th percentile", ms(quantile(&mut times, 0.99)), "ms", SEARCH);
    paging(&store, report).await;
    homes_and_digests(&store, config, now, report).await;
    store.close();
}

/// Who looks at whom differs each time, and so nothing is in a cache because of the last look.
fn somebody(look: usize) -> usize {
    look * 7919 % REPS
}

fn page(tx: &Tx<'_>, rep: usize, filter: &HistoryFilter) -> anyhow::Result<Vec<HistoryEntry>> {
    let scope = HistoryScope { rep: PersonId(id(rep)), viewer: Viewer::Rep, from: None };
    tx.history(scope, filter, &[], PAGE)
}

async fn look(store: &Store, filter: &HistoryFilter, people: usize) -> Vec<Duration> {
    let filter = Arc::new(filter.clone());
    let mut times = Vec::new();
    for number in 0..LOOKS / people {
        let filter = Arc::clone(&filter);
        let began = Instant::now();
        let read = store.read(move |tx| {
            for rep in 0..people {
                page(tx, (somebody(number) + rep) % REPS, &filter)?;
            }
            Ok(())
        });
        read.await.unwrap();
        times.push(began.elapsed());
    }
    times
}

async fn paging(store: &Store, report: &mut Report) {
    let mut times = Vec::new();
    for number in 0..LOOKS {
        let rep = somebody(number);
        let first = store.read(move |tx| page(tx, rep, &HistoryFilter::default())).await.unwrap();
        let before = first.last().map(|entry| entry.debrief.id);
        assert_eq!(first.len(), PAGE as usize);
        let filter = HistoryFilter { before, ..HistoryFilter::default() };
        let began = Instant::now();
        let next = store.read(move |tx| page(tx, rep, &filter)).await.unwrap();
        times.push(began.elapsed());
        assert!(!next.is_empty());
    }
    report.at_most("history, next page, 99 %", ms(quantile(&mut times, 0.99)), "ms", HISTORY);
}

async fn homes_and_digests(store: &Store, config: &Config, now: Timestamp, report: &mut Report) {
    let rules = Arc::new(rules(config));
    let mut times = Vec::new();
    for number in 0..300 {
        let rules = Arc::clone(&rules);
        let began = Instant::now();
        let drawn = store.read(move |tx| {
            let person = tx.person(PersonId(id(somebody(number))))?.unwrap();
            home::home(tx, &rules, &person, now)
        });
        drawn.await.unwrap();
        times.push(began.elapsed());
    }
    report.at_most("a Home tab, 99 %", ms(quantile(&mut times, 0.99)), "ms", SEARCH);
    let began = Instant::now();
    let mut letters = 0;
    for team in 0..MANAGERS {
        let rules = Arc::clone(&rules);
        let built = store.read(move |tx| {
            let manager = tx.person(PersonId(id(team * TEAM)))?.unwrap();
            digest::preview(tx, &rules, &manager, now)
        });
        let (built, _) = built.await.unwrap();
        assert!(!built.sections.is_empty());
        letters += built.text.len();
    }
    let took = began.elapsed().as_secs_f64();
    report.at_most("a thousand digests built", took, "s", DIGESTS);
    report.fact("  their text", crate::report::number(letters) / 1e6, "MB");
}

fn rules(config: &Config) -> Rules {
    Rules {
        prompt: config.prompt.clone(),
        meetings: config.meetings.clone(),
        digest: config.digest_schedule.clone(),
        questions: config.questions.clone(),
        refresh: debrief::domain::refresh::Refresh::every(SignedDuration::from_mins(5)),
        max_calendar_age: SignedDuration::from_hours(12),
    }
}
