//! Thousands of calendars: evenly, one of a person's at a time, and none at another's cost.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use debrief::domain::refresh::Refresh;
use debrief::domain::roster;
use debrief::flows::{Bot, Rules, collect};
use debrief::ports::{Calendar, CalendarError, CalendarRead, CalendarRequest, FeedState, Trouble};
use debrief::store::Store;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::world::World;

const PEOPLE: usize = 3000;
const EVERY: SignedDuration = SignedDuration::from_secs(100);

/// A provider that notes who asks; some of its servers do not answer until they are let go.
#[derive(Default)]
struct Provider {
    asked: Mutex<HashMap<String, Asked>>,
    all: Mutex<Asked>,
    hanging: Vec<String>,
    let_go: Notify,
}

#[derive(Default)]
struct Asked {
    times: usize,
    now: usize,
    most_at_once: usize,
}

impl Provider {
    fn sum(&self) -> usize {
        self.asked.lock().unwrap().values().map(|asked| asked.times).sum()
    }
}

#[async_trait]
impl Calendar for Provider {
    async fn read(&self, request: &CalendarRequest) -> Result<CalendarRead, CalendarError> {
        {
            let mut asked = self.asked.lock().unwrap();
            let asked = asked.entry(request.email.clone()).or_default();
            asked.times += 1;
            asked.now += 1;
            asked.most_at_once = asked.most_at_once.max(asked.now);
            let mut all = self.all.lock().unwrap();
            all.now += 1;
            all.most_at_once = all.most_at_once.max(all.now);
        }
        let hangs = self.hanging.contains(&request.email);
        if hangs {
            self.let_go.notified().await;
        } else {
            tokio::task::yield_now().await;
        }
        self.asked.lock().unwrap().get_mut(&request.email).unwrap().now -= 1;
        self.all.lock().unwrap().now -= 1;
        if hangs {
            let reason = "the server did not answer in time".to_owned();
            return Err(CalendarError { reason, retry_after: None, trouble: Trouble::Passing });
        }
        let state = FeedState { etag: None, last_modified: None, body: b"[]".to_vec() };
        let state = request.known.is_none().then_some(state);
        Ok(CalendarRead { occurrences: vec![], state, warnings: vec![] })
    }

    async fn read_known(&self, _: &CalendarRequest) -> Option<CalendarRead> {
        None
    }
}

/// A company of `people`, each with two calendars of one provider or with one, and its bot.
async fn company(world: &World, people: usize, more: &str, provider: Arc<Provider>) -> Bot {
    let mut csv = "email,name,role,manager_email,calendar,zone\n".to_owned();
    for number in 0..people {
        writeln!(csv, "r{number}@own.example,Rep {number},rep,,google{more},UTC").unwrap();
    }
    let roster = roster::parse(&csv);
    assert!(roster.problems.is_empty());
    let now = world.now();
    let store = Store::open(&world.path("company.db"), now).unwrap();
    store.transact(move |tx| tx.apply_roster(&roster.people, now).map(drop)).await.unwrap();
    let bot = world.running().bot();
    let rules = Rules { refresh: Refresh::every(EVERY), ..Rules::clone(&bot.rules) };
    Bot { store: Arc::new(store), calendar: provider, rules: Arc::new(rules), ..bot.clone() }
}

/// How many calendars are read in each of so many seconds from `now` on.
async fn seconds(bot: &Bot, provider: &Provider, now: &mut Timestamp, count: i64) -> Vec<usize> {
    let mut read = Vec::new();
    for _ in 0..count {
        let before = provider.sum();
        collect::run(bot, *now).await.unwrap();
        read.push(provider.sum() - before);
        *now += SignedDuration::from_secs(1);
    }
    read
}

#[tokio::test]
async fn thousands_of_calendars_are_read_evenly_from_the_second_time_on() {
    let world = World::new(&[]).await;
    let provider = Arc::new(Provider::default());
    let bot = company(&world, PEOPLE, "", Arc::clone(&provider)).await;
    let mut now = world.now();
    let first = seconds(&bot, &provider, &mut now, 62).await;
    assert!(first[1..].iter().all(|read| *read <= 85), "not all at once: {first:?}");
    assert!(first[0] <= 200);
    assert_eq!(provider.asked.lock().unwrap().len(), PEOPLE, "everybody within the minute");
    seconds(&bot, &provider, &mut now, 100).await;
    let even = seconds(&bot, &provider, &mut now, 100).await;
    assert_eq!(even.iter().sum::<usize>(), PEOPLE, "each once in an interval");
    assert!(provider.all.lock().unwrap().most_at_once <= 64, "in bounded memory");
    assert!(even.iter().all(|read| (28..=32).contains(read)), "thirty a second: {even:?}");
}

#[tokio::test]
async fn nobodys_provider_is_asked_twice_at_once() {
    let world = World::new(&[]).await;
    let provider = Arc::new(Provider::default());
    let bot = company(&world, 20, ";google:shared@own.example", Arc::clone(&provider)).await;
    let mut now = world.now();
    // Two calendars of each are due at the same moment.
    seconds(&bot, &provider, &mut now, 1).await;
    let asked = provider.asked.lock().unwrap();
    assert!(asked.values().all(|asked| asked.times == 2), "both are read");
    assert!(asked.values().all(|asked| asked.most_at_once == 1));
}

#[tokio::test]
async fn servers_that_hang_keep_nobody_else_waiting() {
    let world = World::new(&[]).await;
    let hanging: Vec<String> = (0..40).map(|number| format!("r{number}@own.example")).collect();
    let provider = Arc::new(Provider { hanging, ..Provider::default() });
    let bot = company(&world, 200, "", Arc::clone(&provider)).await;
    let mut now = world.now();
    let others = || {
        let asked = provider.asked.lock().unwrap();
        let fine = asked.iter().filter(|(email, _)| !provider.hanging.contains(email));
        fine.map(|(_, asked)| asked.times).sum::<usize>()
    };
    // Whoever failed once takes a part of the places only, so the second time all others come to
    // their end while those hang on.
    for turn in 1..=2 {
        let run = tokio::spawn({
            let bot = bot.clone();
            async move { collect::run(&bot, now).await.unwrap() }
        });
        while others() < 160 * turn {
            tokio::task::yield_now().await;
        }
        while !run.is_finished() {
            provider.let_go.notify_waiters();
            tokio::task::yield_now().await;
        }
        assert_eq!(run.await.unwrap(), 200);
        now += EVERY * 40;
    }
}
