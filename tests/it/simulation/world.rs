//! The world around the bot: time, chance, and everything that outlives a process.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use debrief::config::Config;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::bot::{Life, Slip};
use super::calendars::{Calendars, Entry, Standing, Version};
use super::chance::Chance;
use super::people::People;
use super::slack::{Message, Slack};
use super::trace::Trace;

/// How often a process dies at a named point.
const SLIPS_PERCENT: u32 = 2;

/// How a world is to be.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) first_day: Date,
    /// Where the reps live, in turn.
    pub(super) zones: [&'static str; 3],
    pub(super) reps: usize,
    pub(super) faults: bool,
    pub(super) people: bool,
    /// More configuration.
    pub(super) config: String,
    pub(super) trace_in_full: bool,
}

pub(super) struct World {
    plan: Plan,
    pub(super) trace: Trace,
    pub(super) chance: Chance,
    pub(super) slack: Slack,
    pub(super) calendars: Calendars,
    pub(super) people: People,
    pub(super) config: Config,
    began: Instant,
    /// When the first day began, in UTC.
    midnight: Timestamp,
    /// How many seconds the bot's clock is ahead of the true time.
    skew: AtomicI64,
    faults: AtomicBool,
    folder: TempDir,
    life: Mutex<Option<Life>>,
    dying: Notify,
    calm: Notify,
    processes: AtomicU32,
    births: Mutex<BTreeMap<u32, Timestamp>>,
    deaths: Mutex<BTreeMap<u32, Timestamp>>,
    /// When the bot's clock was set back, and what it had shown.
    set_back: Mutex<Vec<(Timestamp, Timestamp)>>,
    bent: AtomicBool,
    slips: Mutex<VecDeque<Slip>>,
}

impl World {
    pub(super) fn new(plan: Plan) -> Arc<Self> {
        let trace = if plan.trace_in_full { Trace::in_full() } else { Trace::default() };
        let world = Arc::new(Self {
            trace,
            chance: Chance::new(plan.seed),
            slack: Slack::default(),
            calendars: Calendars::default(),
            people: People::default(),
            config: config(&plan.config),
            began: Instant::now(),
            midnight: plan.first_day.to_zoned(TimeZone::UTC).unwrap().timestamp(),
            skew: AtomicI64::new(0),
            faults: AtomicBool::new(plan.faults),
            folder: folder(),
            life: Mutex::default(),
            dying: Notify::new(),
            calm: Notify::new(),
            processes: AtomicU32::new(0),
            births: Mutex::default(),
            deaths: Mutex::default(),
            set_back: Mutex::default(),
            bent: AtomicBool::new(false),
            slips: Mutex::default(),
            plan,
        });
        world.write_roster();
        world
    }

    fn write_roster(&self) {
        let mut csv = "email,name,role,manager_email,calendar,zone\n".to_owned();
        for rep in 0..self.reps() {
            let manager = rep % 2;
            writeln!(
                csv,
                "r{rep}@own.example,Rep {rep},rep,m{manager}@own.example,\
                 ics:https://calendar.example/{rep}.ics,"
            )
            .unwrap();
        }
        for manager in 0..2 {
            writeln!(csv, "m{manager}@own.example,Manager {manager},manager,,,").unwrap();
        }
        std::fs::write(self.path("roster.csv"), csv).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn reps(&self) -> usize {
        self.plan.reps
    }

    /// True time: what Slack and the calendars go by.
    pub(super) fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap();
        self.midnight + passed
    }

    /// So many hours after the first day began, in UTC.
    pub(super) fn hour(&self, hours: i64) -> Timestamp {
        self.midnight + SignedDuration::from_hours(hours)
    }

    /// What the bot's clock shows.
    pub(super) fn wall(&self) -> Timestamp {
        self.now() + SignedDuration::from_secs(self.skew.load(Ordering::SeqCst))
    }

    /// Sets the bot's clock so many seconds ahead of the truth.
    pub(super) fn set_skew(&self, seconds: i64) {
        let shown = self.wall();
        self.bent.store(true, Ordering::SeqCst);
        self.skew.store(seconds, Ordering::SeqCst);
        self.note(format!("clock: {shown} becomes {}", self.wall()));
        if self.wall() < shown {
            lock(&self.set_back).push((self.now(), shown));
        }
    }

    /// Whether the bot's clock was ever wrong.
    pub(super) fn was_bent(&self) -> bool {
        self.bent.load(Ordering::SeqCst)
    }

    pub(super) fn set_backs(&self) -> Vec<(Timestamp, Timestamp)> {
        lock(&self.set_back).clone()
    }

    pub(super) async fn sleep_until(&self, when: Timestamp) {
        let left = Duration::try_from(when.duration_since(self.now())).unwrap_or_default();
        sleep(left).await;
    }

    /// So many minutes after midnight, where the rep lives.
    pub(super) fn local(&self, rep: usize, day: i64, minutes: i64) -> Timestamp {
        let midnight = self
            .plan
            .first_day
            .checked_add(day.days())
            .unwrap()
            .to_datetime(jiff::civil::Time::midnight());
        let at = midnight.checked_add(minutes.minutes()).unwrap();
        self.zone(rep).to_ambiguous_timestamp(at).compatible().unwrap()
    }

    /// The zone of a rep or manager by the local part of their address.
    pub(super) fn zone_name(&self, name: &str) -> &'static str {
        self.plan.zones[name[1..].parse::<usize>().unwrap() % self.plan.zones.len()]
    }

    pub(super) fn zone(&self, person: usize) -> TimeZone {
        TimeZone::get(self.plan.zones[person % self.plan.zones.len()]).unwrap()
    }

    pub(super) fn has_faults(&self) -> bool {
        self.faults.load(Ordering::SeqCst)
    }

    pub(super) fn end_faults(&self) {
        self.note("no more faults");
        self.faults.store(false, Ordering::SeqCst);
        self.calm.notify_waiters();
    }

    /// Waits for the faults to end.
    pub(super) async fn calmed(&self) {
        self.calm.notified().await;
    }

    pub(super) fn has_people(&self) -> bool {
        self.plan.people
    }

    pub(super) fn note(&self, line: impl std::fmt::Display) {
        let now = self.now();
        self.trace.note(format!("{} {line}", now.strftime("%d %H:%M:%S%.3f")));
    }

    /// Whether the bot dies at this point.
    pub(super) fn slips(&self, slip: Slip) -> bool {
        let mut planned = lock(&self.slips);
        if planned.front() == Some(&slip) {
            planned.pop_front();
            return true;
        }
        drop(planned);
        self.has_faults() && self.chance.percent(SLIPS_PERCENT)
    }

    /// The bot dies at these points, one after the other.
    pub(super) fn plan_slips(&self, slips: &[Slip]) {
        lock(&self.slips).extend(slips);
    }

    pub(super) fn next_process(&self) -> u32 {
        let number = self.processes.fetch_add(1, Ordering::SeqCst) + 1;
        lock(&self.births).insert(number, self.now());
        number
    }

    pub(super) fn processes(&self) -> u32 {
        self.processes.load(Ordering::SeqCst)
    }

    pub(super) fn put(&self, life: Life) {
        *lock(&self.life) = Some(life);
    }

    pub(super) fn take_life(&self) -> Option<Life> {
        lock(&self.life).take()
    }

    pub(super) fn with_life<T>(&self, look: impl FnOnce(&Life) -> T) -> Option<T> {
        lock(&self.life).as_ref().map(look)
    }

    pub(super) fn has_died(&self, process: u32) {
        let now = self.now();
        lock(&self.deaths).insert(process, now);
        self.dying.notify_one();
    }

    pub(super) async fn died(&self) {
        self.dying.notified().await;
    }

    pub(super) fn died_at(&self, process: u32) -> Option<Timestamp> {
        lock(&self.deaths).get(&process).copied()
    }

    /// Whether a process lived for half an hour between these times.
    pub(super) fn was_up(&self, from: Timestamp, to: Timestamp) -> bool {
        let half_an_hour = SignedDuration::from_mins(30);
        lock(&self.births).iter().any(|(number, born)| {
            let died = self.died_at(*number).unwrap_or_else(|| self.now());
            from.max(*born) + half_an_hour <= to.min(died)
        })
    }

    /// Puts a customer meeting of the first rep on today's calendar, by local clock times.
    pub(super) fn meeting(&self, uid: &str, from: &str, to: &str) -> Version {
        let version = Version {
            since: self.now(),
            start: self.at(from),
            end: self.at(to),
            standing: Standing::Takes,
        };
        self.calendars.add(Entry {
            rep: 0,
            uid: uid.to_owned(),
            customer: true,
            versions: vec![version],
        });
        version
    }

    /// `14:30`, or `+1 08:00` for the day after, where the first rep lives.
    pub(super) fn at(&self, clock: &str) -> Timestamp {
        let (day, clock) = match clock.strip_prefix('+').and_then(|rest| rest.split_once(' ')) {
            Some((days, clock)) => (days.parse().unwrap(), clock),
            None => (0, clock),
        };
        let (hours, minutes) = clock.split_once(':').unwrap();
        self.local(0, day, hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap())
    }

    pub(super) async fn until(&self, clock: &str) {
        self.sleep_until(self.at(clock)).await;
    }

    /// The questions about a meeting that stand in its rep's conversation.
    pub(super) fn questions(&self, debrief: i64) -> Vec<Message> {
        let key = format!("prompt-{debrief}-");
        self.slack.messages().into_iter().filter(|message| message.key.starts_with(&key)).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In memory where there is room for it: the promise under test is not the disk's.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn config(more: &str) -> Config {
    let digest =
        if more.contains("[digest]") { "" } else { "[digest]\nschedule = \"0 9 * * *\"\n" };
    let text = format!(
        "[store]\npath = \"debrief.db\"\n[roster]\nfile = \"roster.csv\"\n\
         [meetings]\nown_domains = [\"own.example\"]\n[calendar]\nrefresh = \"30m\"\n\
         [http]\nlisten = \"off\"\n{digest}{more}"
    );
    Config::parse(&text, "simulation.toml").unwrap()
}
