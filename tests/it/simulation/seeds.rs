//! Runs seeds, and tells of those that fail.
#![expect(clippy::print_stdout, reason = "whoever runs seeds reads what they did")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::bot::{murder, supervise};
use super::calendars::fill;
use super::trace::{Watch, complaints};
use super::verdict;
use super::world::{Plan, World};

const FIXED: u64 = 200;
/// Seeds that once found something: a number, then what it was.
const KNOWN: &str = include_str!("seeds.txt");
const REPS: usize = 10;

/// Everybody lives on one side of the Atlantic, so that their days, and the world, are short: what
/// costs time is a bot that turns its loops and finds nothing to do.
const ZONES: [[&str; 3]; 2] = [
    ["Europe/Berlin", "Europe/London", "Europe/Helsinki"],
    ["America/New_York", "America/Sao_Paulo", "America/Halifax"],
];
/// When the bot is started and when the faults end, in UTC; three hours of calm follow.
const HOURS: [(i64, i64); 2] = [(5, 15), (11, 20)];

/// How many days. Nights have little to tell, so few worlds have one.
fn days(seed: u64) -> i64 {
    if seed.is_multiple_of(50) { 3 } else { 1 }
}

/// What became of a seed.
pub(super) struct Outcome {
    seed: u64,
    hash: u64,
    pub(super) broken: Vec<String>,
    pub(super) story: Vec<String>,
    questions: usize,
    processes: u32,
}

#[test]
fn fixed_seeds_keep_every_promise() {
    if let Some(seed) = number("DEBRIEF_SIM_SEED") {
        let outcome = run(seed, true);
        println!("{}", outcome.story.join("\n"));
        return report(&[outcome]);
    }
    let known = KNOWN.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let mut seeds: Vec<u64> = (1..=FIXED).chain(known).collect();
    seeds.sort_unstable();
    seeds.dedup();
    report(&run_all(&seeds));
}

#[test]
fn fresh_seeds_keep_every_promise() {
    let Some(count) = number("DEBRIEF_SIM_FRESH") else { return };
    let first = fastrand::u64(1_000_000..u64::MAX / 2);
    report(&run_all(&(first..first + count).collect::<Vec<u64>>()));
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [3, 8] {
        let (one, other) = (run(seed, true), run(seed, true));
        let differs = one.story.iter().zip(&other.story).position(|(one, other)| one != other);
        assert_eq!(one.hash, other.hash, "first at line {differs:?}");
        assert!(one.story.len() > 200, "hardly anything happened");
    }
}

fn number(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "how a developer picks a seed")]
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

fn report(outcomes: &[Outcome]) {
    let questions: usize = outcomes.iter().map(|outcome| outcome.questions).sum();
    let processes: u32 = outcomes.iter().map(|outcome| outcome.processes).sum();
    println!("{} seeds, {questions} questions, {processes} starts", outcomes.len());
    let mut failed: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| !outcome.broken.is_empty()).collect();
    failed.sort_by_key(|outcome| outcome.seed);
    if let Some(outcome) = failed.first() {
        println!("SEED={}, the last lines before it:\n{}", outcome.seed, outcome.story.join("\n"));
    }
    assert!(failed.is_empty(), "{} of {} seeds failed", failed.len(), outcomes.len());
}

/// Two at a time or as many as there are cores; each on a thread of its own.
fn run_all(seeds: &[u64]) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(seed) =
                    seeds.get(usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap())
                {
                    let outcome = run(*seed, false);
                    if !outcome.broken.is_empty() {
                        println!("SEED={seed}\n  {}", outcome.broken.join("\n  "));
                    }
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

/// Days with a change of clocks on either side of the Atlantic, and plain ones.
fn first_day(seed: u64) -> Date {
    let days = [
        date(2026, 3, 10),
        date(2026, 3, 29),
        date(2026, 6, 8),
        date(2026, 10, 25),
        date(2026, 3, 8),
        date(2026, 11, 1),
    ];
    days[usize::try_from(seed % 6).unwrap()]
}

pub(super) fn run(seed: u64, trace_in_full: bool) -> Outcome {
    let days = days(seed);
    let side = usize::try_from(seed / 6 % 2).unwrap();
    let (begin, end) = HOURS[side];
    let budget = if seed.is_multiple_of(5) { 2 } else { 50 };
    let plan = Plan {
        seed,
        first_day: first_day(seed),
        zones: ZONES[side],
        reps: REPS,
        faults: true,
        people: true,
        config: format!("[prompt]\nmax_per_day = {budget}\n"),
        trace_in_full,
    };
    live(plan, |world| async move {
        world.sleep_until(world.hour(begin)).await;
        fill(&world, days);
        let last = world.hour(24 * (days - 1) + end);
        tokio::spawn(supervise(Arc::clone(&world)));
        tokio::spawn(murder(Arc::clone(&world)));
        tokio::spawn(bend_time(Arc::clone(&world), last));
        world.start().await;
        world.sleep_until(last).await;
        world.end_faults();
        sleep(Duration::from_hours(3)).await;
        world.crash("the end");
        sleep(Duration::from_secs(1)).await;
        verdict::judge(&world);
    })
}

/// The bot's clock jumps by two hours and back, at some time in some worlds.
async fn bend_time(world: Arc<World>, last: Timestamp) {
    for _ in 0..2 {
        sleep(world.chance.seconds(3600, 8 * 3600)).await;
        if world.now() + SignedDuration::from_hours(2) > last || world.chance.percent(30) {
            return;
        }
        world.set_skew(*world.chance.pick(&[-7200, 7200]));
        sleep(world.chance.seconds(600, 5400)).await;
        world.set_skew(0);
    }
}

/// Runs one world to its end, on this thread.
pub(super) fn live<F: Future<Output = ()>>(
    plan: Plan,
    story: impl FnOnce(Arc<World>) -> F,
) -> Outcome {
    let seed = plan.seed;
    let _watch = Watch::begin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = runtime.block_on(async { World::new(plan) });
    let told = Arc::clone(&world);
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(story(told))));
    drop(runtime);
    for complaint in complaints() {
        world.trace.broken(complaint);
    }
    let (broken, story) = world.trace.outcome();
    assert!(ended.is_ok() || !broken.is_empty(), "a panic without a word");
    Outcome {
        seed,
        hash: world.trace.hash(),
        broken,
        story,
        questions: world.slack.messages().len(),
        processes: world.processes(),
    }
}
