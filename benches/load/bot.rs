//! The real program beside a pretend workspace, and what `/proc` says of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use debrief::app::SystemClock;
use debrief::playground::clock::TurnableClock;
use debrief::playground::server::Playground;
use debrief::playground::state::Message;
use debrief::playground::{Member, Settings};
use debrief::ports::Clock;
use debrief::slack::manifest::{COMMANDS, SCOPES};

use crate::crowd::{chat_id, email};

pub(crate) async fn workspace(people: usize) -> Playground {
    let member = |number: usize| Member {
        id: chat_id(number),
        name: format!("Rep {number}"),
        email: email(number),
        zone: "Europe/Berlin".into(),
        ..Member::default()
    };
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        workspace: "Own".into(),
        zone: "Europe/Berlin".into(),
        people: (0..people).map(member).collect(),
        stops: vec![],
        commands: COMMANDS.iter().map(|name| ((*name).into(), String::new())).collect(),
        shortcuts: vec![],
        scopes: SCOPES.iter().map(|scope| (*scope).into()).collect(),
        haste: 1,
    };
    let clock = Arc::new(TurnableClock::running(SystemClock.now()));
    Playground::start(settings, clock).await.unwrap()
}

/// Writes a configuration for a bot in `folder`; people are asked at any hour.
pub(crate) fn configure(folder: &Path, playground: &Playground) -> PathBuf {
    configure_with(folder, playground, "")
}

/// The same with more about Slack.
pub(crate) fn configure_with(folder: &Path, playground: &Playground, slack: &str) -> PathBuf {
    let path = |name: &str| format!("{:?}", folder.join(name).display().to_string());
    let config = format!(
        "[slack]\napi_url = {:?}\n{slack}[store]\npath = {}\n[roster]\nfile = {}\n\
         [meetings]\nown_domains = [\"own.example\"]\n[http]\nlisten = \"off\"\n\
         [prompt]\nhours = \"00:00-23:59\"\ndays = \"MON-SUN\"\n\
         [calendar]\nrefresh = \"10s\"\n[log]\nlevel = \"error\"\n",
        playground.api_url(),
        path("debrief.db"),
        path("roster.csv")
    );
    let file = folder.join("debrief.toml");
    std::fs::write(&file, config).unwrap();
    file
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// A running program; it ends with us.
pub(crate) struct Bot(Child);

impl Bot {
    pub(crate) fn start(config: &Path, playground: &Playground) -> Self {
        Self::start_on(None, config, playground, "")
    }

    /// On one core alone, or on all; `secret` signs what is posted to it.
    pub(crate) fn start_on(
        core: Option<&str>,
        config: &Path,
        playground: &Playground,
        secret: &str,
    ) -> Self {
        // It ends with us, however we end.
        let mut words = vec!["setpriv", "--pdeathsig", "KILL"];
        if !is_there("setpriv") {
            words.clear();
        }
        words.extend(core.into_iter().flat_map(|core| ["taskset", "-c", core]));
        words.push(env!("CARGO_BIN_EXE_debrief"));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        let child = command
            .args(["run", "--config"])
            .arg(config)
            .env("DEBRIEF_SLACK_BOT_TOKEN", playground.bot_token())
            .env("DEBRIEF_SLACK_APP_TOKEN", playground.app_token())
            .env("DEBRIEF_SLACK_SIGNING_SECRET", secret)
            .spawn();
        Self(child.unwrap())
    }

    /// In MiB: now (`VmRSS`), or the most there ever was (`VmHWM`).
    pub(crate) fn memory(&self, which: &str) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
        let kib = line.trim_start_matches(':').split_whitespace().next().unwrap();
        kib.parse::<f64>().unwrap() / 1024.0
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.0.id())).unwrap()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From the moment at which each tap should be made to its acknowledgement, as the workspace sees
/// it, and how many got none. Taps are made at their time, however long earlier ones take.
pub(crate) async fn press(
    playground: &Playground,
    prompts: &[(String, Message)],
    per_second: u32,
    seconds: u32,
) -> (Vec<Duration>, usize) {
    let began = tokio::time::Instant::now();
    let mut taps = tokio::task::JoinSet::new();
    for tap in 0..per_second * seconds {
        let planned = began + Duration::from_secs(1) * tap / per_second;
        tokio::time::sleep_until(planned).await;
        let playground = playground.clone();
        let place = tap as usize % prompts.len();
        let (person, prompt) = prompts[place].clone();
        let label =
            if (tap as usize / prompts.len()).is_multiple_of(2) { "Firm yes" } else { "No" };
        taps.spawn(async move {
            // One that is not acknowledged took three seconds, which is what its person waited.
            let lost = playground.press(&person, &prompt, label).await.is_err();
            (planned.elapsed(), lost)
        });
    }
    let taps = taps.join_all().await;
    let lost = taps.iter().filter(|(_, lost)| *lost).count();
    (taps.into_iter().map(|(time, _)| time).collect(), lost)
}
