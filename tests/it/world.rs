//! A bot, a workspace and a clock, all real but in one process.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use debrief::app::Running;
use debrief::config::Config;
use debrief::config::secrets::Secrets;
use debrief::playground::clock::TurnableClock;
use debrief::playground::server::Playground;
use debrief::playground::state::Message;
use debrief::playground::{Member, Settings, plain};
use debrief::ports::Clock;
use debrief::slack::manifest::{COMMANDS, LOG_SHORTCUT, SCOPES};
use debrief::slack::pace::Pace;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub(crate) const MAYA: &str = "U0MAYA";
pub(crate) const TOM: &str = "U0TOM";
pub(crate) const LEO: &str = "U0LEO";
pub(crate) const PRIYA: &str = "U0PRIYA";
pub(crate) const NINA: &str = "U0NINA";

const ZONE: &str = "Europe/Berlin";

/// Maya and Tom report to Leo, Nina manages nobody here, Priya administers.
pub(crate) const ROSTER: &str = "\
email,name,role,manager_email,calendar,zone
maya@own.example,Maya Brandt,rep,leo@own.example,ics:{maya},
tom@own.example,Tom Okafor,rep,leo@own.example,ics:{tom},
leo@own.example,Leo Marsh,manager,,,
nina@own.example,Nina Falk,manager,,,
priya@own.example,Priya Nair,admin,,,
";

/// What Slack signs with.
pub(crate) const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

/// How Slack reaches the bot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Socket,
    Http,
}

thread_local! {
    /// Each test has a thread of its own.
    static MODE: Cell<Mode> = const { Cell::new(Mode::Socket) };
}

/// Tells a story once more in a world where Slack posts signed requests.
pub(crate) fn over_http(story: fn()) {
    let _mode = http_mode();
    insta::allow_duplicates! { story() };
}

/// Until it is dropped, worlds are of this kind.
pub(crate) fn http_mode() -> impl Drop {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            MODE.set(Mode::Socket);
        }
    }
    MODE.set(Mode::Http);
    Back
}

pub(crate) struct World {
    mode: Mode,
    pub(crate) playground: Playground,
    pub(crate) clock: Arc<TurnableClock>,
    pub(crate) folder: TempDir,
    running: Option<Running>,
    more_config: String,
    /// How the next bot that starts paces itself.
    pub(crate) pace: fn() -> Pace,
}

/// An entry of a calendar: everything after `BEGIN:VEVENT`.
pub(crate) fn meeting(uid: &str, title: &str, from: &str, to: &str, guest: &str) -> String {
    let ics =
        |local: &str| local.parse::<DateTime>().unwrap().strftime("%Y%m%dT%H%M%S").to_string();
    format!(
        "UID:{uid}\r\nDTSTAMP:20260301T000000Z\r\nSUMMARY:{title}\r\n\
         DTSTART;TZID={ZONE}:{}\r\nDTEND;TZID={ZONE}:{}\r\n\
         ATTENDEE;PARTSTAT=ACCEPTED:mailto:maya@own.example\r\n\
         ATTENDEE;CN=Kim Lee;PARTSTAT=ACCEPTED:mailto:{guest}\r\n",
        ics(from),
        ics(to)
    )
}

/// Maya's 14:00 demo with Acme.
pub(crate) fn acme() -> String {
    meeting("acme", "Acme demo", "2026-03-10T14:00", "2026-03-10T14:45", "kim.lee@acme.example")
}

pub(crate) fn local(at: &str) -> Timestamp {
    let at: DateTime = at.parse().unwrap();
    at.to_zoned(TimeZone::get(ZONE).unwrap()).unwrap().timestamp()
}

pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
}

/// Set for a run whose log is searched: everything that the program can be told to log goes to
/// standard error, unscrubbed.
pub(crate) const SEARCHED: &str = "DEBRIEF_TEST_LOG";

fn log_if_searched() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os(SEARCHED).is_some() {
            let filter: Targets = debrief::app::log::filter("trace").parse().unwrap();
            let lines = fmt::layer().with_ansi(false).with_writer(std::io::stderr);
            tracing_subscriber::registry().with(lines.with_filter(filter)).init();
        }
    });
}

fn member(id: &str, name: &str) -> Member {
    let first = name.split(' ').next().unwrap().to_lowercase();
    Member {
        id: id.into(),
        name: name.into(),
        email: format!("{first}@own.example"),
        zone: ZONE.into(),
        ..Member::default()
    }
}

impl World {
    /// Tuesday 10 March 2026, 13:30 in Berlin; Maya's calendar has `entries`.
    pub(crate) async fn new(entries: &[String]) -> Self {
        Self::with(entries, "").await
    }

    /// The same, with more in the configuration.
    pub(crate) async fn with(entries: &[String], config: &str) -> Self {
        let mut world = Self::asleep(entries, config).await;
        world.start().await;
        world
    }

    /// The same before the bot was started.
    pub(crate) async fn asleep(entries: &[String], config: &str) -> Self {
        Self::asleep_among(vec![], entries, config).await
    }

    /// The same in a workspace with more people.
    pub(crate) async fn asleep_among(
        others: Vec<Member>,
        entries: &[String],
        config: &str,
    ) -> Self {
        install_tls();
        log_if_searched();
        let clock = Arc::new(TurnableClock::standing(local("2026-03-10T13:30")));
        let mut people = vec![
            member(MAYA, "Maya Brandt"),
            member(TOM, "Tom Okafor"),
            member(LEO, "Leo Marsh"),
            member(NINA, "Nina Falk"),
            member(PRIYA, "Priya Nair"),
            member("U0GUEST", "Olaf Guest"),
            member("U0OLGA", "Olga Former"),
            member("U0BERT", "Bert Boss"),
            member("U0ADA", "Ada Mint"),
            member("U0LENA", "Lena Gone"),
            member("U0SVEN", "Sven Stranger"),
        ];
        people.extend(others);
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            workspace: "Own".into(),
            zone: ZONE.into(),
            people,
            stops: vec![],
            commands: COMMANDS.iter().map(|name| ((*name).into(), String::new())).collect(),
            shortcuts: vec![(LOG_SHORTCUT.into(), "Log".into())],
            scopes: SCOPES.iter().map(|scope| (*scope).into()).collect(),
            haste: 20,
        };
        let playground = Playground::start(settings, Arc::clone(&clock)).await.unwrap();
        let world = Self {
            mode: MODE.get(),
            playground,
            clock,
            folder: tempfile::tempdir().unwrap(),
            running: None,
            more_config: config.to_owned(),
            pace: Pace::unlimited,
        };
        world.set_calendar("maya.ics", entries);
        world.set_calendar("tom.ics", &[]);
        world.write_roster(ROSTER);
        world
    }

    pub(crate) fn set_calendar(&self, name: &str, entries: &[String]) {
        let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\n".to_owned();
        for entry in entries {
            write!(text, "BEGIN:VEVENT\r\n{entry}END:VEVENT\r\n").unwrap();
        }
        text.push_str("END:VCALENDAR\r\n");
        self.playground.set_calendar(name, &text);
    }

    /// Writes the roster, with the addresses of the calendars filled in.
    pub(crate) fn write_roster(&self, csv: &str) {
        let csv = csv
            .replace("{maya}", &self.playground.calendar_url("maya.ics"))
            .replace("{tom}", &self.playground.calendar_url("tom.ics"));
        std::fs::write(self.path("roster.csv"), csv).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration as a file holds it.
    pub(crate) fn config_text(&self) -> String {
        let listen = if self.more_config.contains("[http]") {
            String::new()
        } else {
            "[http]\nlisten = \"off\"\n".to_owned()
        };
        let mode = match self.mode {
            Mode::Socket => "",
            Mode::Http => "mode = \"http\"\nlisten = \"127.0.0.1:0\"\n",
        };
        format!(
            "[slack]\napi_url = {:?}\n{mode}[store]\npath = {:?}\n[roster]\nfile = {:?}\n\
             [meetings]\nown_domains = [\"own.example\"]\n{listen}{}",
            self.playground.api_url(),
            self.path("debrief.db").display().to_string(),
            self.path("roster.csv").display().to_string(),
            self.more_config
        )
    }

    pub(crate) fn config(&self) -> Config {
        Config::parse(&self.config_text(), "test.toml").unwrap()
    }

    pub(crate) fn secrets(&self) -> Secrets {
        let (bot, app) = (self.playground.bot_token(), self.playground.app_token());
        match self.mode {
            Mode::Socket => Secrets::for_sockets(bot, app),
            Mode::Http => Secrets::for_http(bot, SIGNING_SECRET),
        }
    }

    pub(crate) async fn try_start(&mut self) -> anyhow::Result<()> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let running = Running::start(&self.config(), &self.secrets(), clock, (self.pace)()).await?;
        if let Some(address) = running.slack_address() {
            self.playground.post_to(&format!("http://{address}/slack"), SIGNING_SECRET);
        }
        self.running = Some(running);
        Ok(())
    }

    pub(crate) async fn start(&mut self) {
        self.try_start().await.unwrap();
        self.playground.connected(1).await.unwrap();
        self.settle().await;
    }

    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    pub(crate) fn is_over_http(&self) -> bool {
        self.mode == Mode::Http
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Lets everything that was begun come to its end.
    pub(crate) async fn settle(&self) {
        for _ in 0..2 {
            self.playground.settled().await;
            if let Some(running) = &self.running {
                running.catch_up().await;
            }
        }
    }

    /// Turns the clock and lets what is due happen.
    pub(crate) async fn turn_to(&self, at: &str) {
        self.clock.set(local(at));
        self.settle().await;
    }

    pub(crate) async fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
        self.settle().await;
    }

    /// The bot's messages to somebody, as they read.
    pub(crate) fn conversation(&self, person: &str) -> Vec<String> {
        self.playground.from_bot(person).iter().map(plain::message).collect()
    }

    pub(crate) fn last(&self, person: &str) -> Message {
        self.playground.from_bot(person).pop().expect("no message from the bot")
    }

    pub(crate) fn last_whisper(&self, person: &str) -> String {
        plain::message(&self.playground.whispers(person).pop().expect("no whisper"))
    }

    pub(crate) async fn press(&self, person: &str, label: &str) {
        let message = self.last(person);
        self.playground.press(person, &message, label).await.unwrap();
        self.settle().await;
    }

    pub(crate) async fn command(&self, person: &str, typed: &str) -> String {
        self.playground.command(person, typed).await.unwrap();
        self.settle().await;
        self.last_whisper(person)
    }

    /// What somebody's Home tab shows once they opened it.
    pub(crate) async fn home(&self, person: &str) -> String {
        self.playground.open_home(person);
        self.settle().await;
        plain::view(&self.playground.home(person).unwrap())
    }

    /// Maya's 14:00 demo has ended and she was asked.
    pub(crate) async fn asked_about_acme() -> Self {
        let world = Self::new(&[acme()]).await;
        world.turn_to("2026-03-10T14:50").await;
        assert_eq!(world.conversation(MAYA).len(), 1);
        world
    }

    /// Presses *Answer* and waits for the form.
    pub(crate) async fn open_form(&self, person: &str) {
        self.press(person, "Answer").await;
        self.form(person).await;
    }

    /// Waits until the form has come in place of the loading view.
    pub(crate) async fn form(&self, person: &str) -> String {
        let form = self.playground.eventually("a form", |playground| {
            playground.modal(person).filter(|view| view.body["submit"].is_object())
        });
        plain::view(&form.await.unwrap())
    }

    /// A meeting logged by hand and answered in one go.
    pub(crate) async fn answered(&self, person: &str, account: &str, ended: &str, words: &str) {
        self.playground.command(person, &format!("/debrief now {account}")).await.unwrap();
        self.form(person).await;
        self.playground.fill(person, "How did it end?", ended).await.unwrap();
        self.settle().await;
        let view = plain::view(&self.playground.modal(person).unwrap());
        let question = if view.contains("nearly") { "nearly" } else { "differently" };
        if view.contains("By when") {
            self.playground.fill(person, "By when", "2026-03-30").await.unwrap();
        }
        self.playground.fill(person, question, words).await.unwrap();
        let submitted = self.playground.submit(person).await.unwrap();
        assert_eq!(submitted, debrief::playground::deeds::Submitted::Accepted);
        self.settle().await;
    }
}
