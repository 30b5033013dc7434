//! Composition: builds the adapters, keeps the loops going, stops them in order.
//!
//! The only place that reads the clock. [`Running`] is the whole bot; the demo, the integration
//! tests and `debrief run` start the very same thing.

mod aftermath;
pub mod beat;
pub mod check;
pub mod core;
pub mod demo;
mod ear;
mod google;
pub mod guard;
pub mod keep;
pub mod letters;
mod listen;
pub mod log;
mod lookout;
mod metrics;
pub mod operator;
pub mod pulse;
mod rates;
pub mod readiness;
pub mod records;
pub mod roster;
mod rounds;
pub mod tools;
pub mod web;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::beat::Waker;
use self::core::Core;
use self::keep::Keeper;
use self::metrics::{Metrics, Parts};
use self::pulse::Pulse;
use self::rates::Rates;
use self::roster::RosterFile;
use self::rounds::Kit;
use self::web::Web;
use crate::calendar::CalendarSettings;
use crate::calendar::providers::Calendars;
use crate::config::secrets::{DoorKey, Secret, Secrets};
use crate::config::{CalendarConfig, Config, SlackMode};
use crate::domain::refresh::Refresh;
use crate::flows::{Bot, Rules};
use crate::ports::{Clock, Identity, Messenger, SendError};
use crate::slack::client::{SlackMessenger, SlackSettings, Token};
use crate::slack::desk::Handler;
use crate::slack::door::{Door, Health};
use crate::slack::figures::MethodFigures;
use crate::slack::http::Listener;
use crate::slack::inbound::Us;
use crate::slack::pace::Pace;
use crate::slack::socket::Socket;
use crate::store::place::Missing;
use crate::store::{Store, erasure};

/// How long work in hand may take when we are told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How long we wait for Slack to answer at all before trying again, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Which program this is.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// From which commit it was built, if whoever built it said so.
pub(crate) const COMMIT: &str = match option_env!("DEBRIEF_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The time that clocks on walls show.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The bot, at work.
pub struct Running {
    bot: Bot,
    messenger: Arc<SlackMessenger>,
    identity: Identity,
    door: Arc<Door>,
    core: Core,
    web: Option<Web>,
    at_stop: AtStop,
}

/// What is needed once more at the end.
struct AtStop {
    clock: Arc<dyn Clock>,
    rates: Arc<Rates>,
}

impl Running {
    /// Opens the store, greets Slack, reads the roster and starts the loops.
    ///
    /// # Errors
    /// If the store is in use or not ours, if Slack refuses our tokens, or if the port for health
    /// and metrics is taken. Each says what to do.
    pub async fn start(
        config: &Config,
        secrets: &Secrets,
        clock: Arc<dyn Clock>,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let store = Store::open_or(&config.store_path, missing_store(config), clock.now())?;
        let store = Arc::new(store);
        Self::start_with(config, secrets, clock, pace, store).await
    }

    /// The same with a store that is open already.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub async fn start_with(
        config: &Config,
        secrets: &Secrets,
        clock: Arc<dyn Clock>,
        pace: Pace,
        store: Arc<Store>,
    ) -> anyhow::Result<Self> {
        replay_erasures(&config.store_path)?;
        let metrics = Arc::new(Metrics::default());
        let stopping = CancellationToken::new();
        let web = match config.http_listen {
            Some(address) => Some(Web::start(address, Arc::clone(&metrics)).await?),
            None => None,
        };
        let calendar = Arc::new(calendar(config, &clock)?);
        let messenger = Arc::new(messenger(config, secrets, pace)?);
        let identity = greet(messenger.as_ref(), config.slack_mode).await?;
        let bot = Bot {
            store,
            calendar,
            messenger: Arc::clone(&messenger) as Arc<dyn Messenger>,
            rules: Arc::new(rules(config)),
            circuit: Arc::default(),
            team_id: identity.team_id.clone(),
            turns: Arc::default(),
            tally: Arc::default(),
        };
        let roster = RosterFile::new(config.roster_file.clone());
        let rates = Arc::new(Rates::recall(&bot.store, messenger.pace()).await?);
        let kit = Kit {
            roster,
            metrics: Arc::clone(&metrics),
            keeper: Some(Keeper::new(config, &stopping)),
            rates: Some(Arc::clone(&rates)),
        };
        let mut core = Core::start_with(&bot, &clock, kit, stopping.clone()).await?;
        let door = Arc::new(open_door(config, secrets, &messenger, core.handler(), &clock).await?);
        if let Some(web) = &web {
            let parts = Parts {
                store: Arc::clone(&bot.store),
                store_path: config.store_path.clone(),
                door: Arc::clone(&door),
                messenger: Arc::clone(&messenger),
                tally: Arc::clone(&bot.tally),
                clock: Arc::clone(&clock),
                backup: config.backup.clone(),
                circuit: Arc::clone(&bot.circuit),
            };
            web.is_up(parts, core.pulse());
        }
        tokio::spawn(lookout::run(metrics, Arc::clone(&messenger), stopping.clone()));
        core.listen_again(&bot, Us::new(&identity), &door);
        tracing::info!(team = %identity.team_name, "debrief is at work");
        let at_stop = AtStop { clock, rates };
        Ok(Self { bot, messenger, identity, door, core, web, at_stop })
    }

    pub fn bot(&self) -> &Bot {
        &self.bot
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn health(&self) -> Health {
        self.door.health()
    }

    /// How calling Slack goes, for the metrics.
    pub fn figures(&self) -> Vec<MethodFigures> {
        self.messenger.figures()
    }

    /// Whether the loops go on.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.core.pulse()
    }

    /// Waits until Slack refuses us for good, and says with which code.
    pub async fn refused(&self) -> String {
        self.door.refused().await
    }

    /// Waits until we cannot go on, and says why: the store has failed, or a loop has died. What is
    /// in hand cannot be finished then; the process should end at once and be started again.
    pub async fn failed(&self) -> String {
        tokio::select! {
            why = self.bot.store.failed() => format!("the store has failed: {why}"),
            name = self.core.died() => format!("the loop of {name} has died; this is a bug"),
        }
    }

    /// Wakes every loop: the clock was turned, or something else changed.
    pub fn waker(&self) -> Waker {
        self.core.waker()
    }

    /// Wakes the loops whenever `turned` changes, for a clock that can be turned.
    pub fn follow(&self, mut turned: watch::Receiver<u64>) {
        let (waker, stopping) = (self.waker(), self.core.stopping());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    changed = turned.changed() => match changed {
                        Ok(()) => waker.wake(),
                        Err(_) => return,
                    },
                }
            }
        });
    }

    /// Does everything that is due now, to the end, and waits for it: the tests' way of letting
    /// time pass.
    pub async fn catch_up(&self) {
        self.core.catch_up().await;
    }

    /// Where Slack posts to, if it does.
    pub fn slack_address(&self) -> Option<std::net::SocketAddr> {
        self.door.address()
    }

    /// Takes the signing secrets as they are now: whoever changes them keeps the old one beside the
    /// new one for a while.
    ///
    /// # Errors
    /// If there is none.
    pub fn renew(&self, secrets: &Secrets) -> anyhow::Result<()> {
        match (&*self.door, &secrets.door) {
            (Door::Http(listener), DoorKey::Signing(signing)) => listener.accept(&tokens(signing)),
            _ => Ok(()),
        }
    }

    /// Where health and metrics are served.
    pub fn web_address(&self) -> Option<std::net::SocketAddr> {
        self.web.as_ref().map(Web::address)
    }

    /// Finishes the work in hand: no more deliveries, then what follows from those taken, then the
    /// loops, then the store.
    pub async fn stop(self) {
        let Self { bot, messenger, door, core, web, at_stop, .. } = self;
        door.stop().await;
        core.stopping().cancel();
        messenger.pace().stop();
        if tokio::time::timeout(STOP_WITHIN, core.stop()).await.is_err() {
            tracing::warn!("some work was cut short; it is looked up at the next start");
        }
        if let Some(web) = web {
            web.stop().await;
        }
        if let Err(error) = at_stop.rates.keep_all(&bot.store, at_stop.clock.now()).await {
            tracing::warn!(error = format!("{error:#}"), "could not keep what was learnt");
        }
        let store = Arc::clone(&bot.store);
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("the store was not closed in order");
        }
    }
}

/// Whoever was erased stays so, even if an older copy was put in the store's place.
fn replay_erasures(path: &Path) -> anyhow::Result<()> {
    let erased = erasure::replay(path).context("erase again who was erased")?;
    if erased > 0 {
        tracing::warn!(erased, "this store is an older copy; its erasures were done again");
    }
    Ok(())
}

fn missing_store(config: &Config) -> Missing {
    if config.store_may_be_made { Missing::Create } else { Missing::Refuse }
}

fn messenger(config: &Config, secrets: &Secrets, pace: Pace) -> anyhow::Result<SlackMessenger> {
    SlackMessenger::new(SlackSettings {
        api_url: config.slack_api_url.clone(),
        bot_token: Token::new(secrets.bot_token.reveal()),
        app_token: match &secrets.door {
            DoorKey::AppToken(token) => Some(Token::new(token.reveal())),
            DoorKey::Signing(_) => None,
        },
        pace: Arc::new(pace),
    })
}

fn tokens(secrets: &[Secret]) -> Vec<Token> {
    secrets.iter().map(|secret| Token::new(secret.reveal())).collect()
}

async fn open_door(
    config: &Config,
    secrets: &Secrets,
    messenger: &SlackMessenger,
    handler: Handler,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Door> {
    Ok(match (config.slack_mode, &secrets.door) {
        (SlackMode::Http { listen }, DoorKey::Signing(signing)) => {
            let (keys, clock) = (tokens(signing), Arc::clone(clock));
            Door::Http(Listener::start(listen, messenger, &keys, handler, clock).await?)
        }
        _ => Door::Socket(Socket::start(messenger, handler).await?),
    })
}

/// Every provider that is set up.
fn calendar(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Calendars> {
    let CalendarConfig { timeout, max_bytes, allow_private, allow_http, allowed_hosts, .. } =
        &config.calendar;
    let settings = CalendarSettings {
        timeout: Duration::try_from(*timeout).context("calendar.timeout")?,
        max_bytes: *max_bytes,
        allow_private: *allow_private,
        allow_http: *allow_http,
        allowed_hosts: allowed_hosts.clone(),
    };
    let calendars = Calendars::new(&settings)?;
    Ok(match &config.google {
        Some(google) => calendars.with_google(google::calendar(google, &settings, clock)?),
        None => calendars,
    })
}

fn rules(config: &Config) -> Rules {
    Rules {
        prompt: config.prompt.clone(),
        meetings: config.meetings.clone(),
        digest: config.digest_schedule.clone(),
        questions: config.questions.clone(),
        refresh: Refresh::every(config.calendar.refresh),
        max_calendar_age: config.calendar.max_age,
    }
}

/// Waits until Slack answers; a refusal is final.
async fn greet(messenger: &SlackMessenger, mode: SlackMode) -> anyhow::Result<Identity> {
    let mut wait = Duration::from_secs(1);
    loop {
        let error = match messenger.preflight().await {
            Ok(identity) => {
                check_scopes(&identity)?;
                return Ok(identity);
            }
            Err(error) => error,
        };
        match error {
            SendError::Later { after } => wait = wait.max(Duration::from_secs(after)),
            SendError::Unknown => {}
            refused => return Err(anyhow::Error::new(refused)).context(refusal_help(mode)),
        }
        tracing::warn!(seconds = wait.as_secs(), "Slack does not answer; trying again");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Without some scopes nobody can be asked; without others only a part is missing.
fn check_scopes(identity: &Identity) -> anyhow::Result<()> {
    const NEEDED: [&str; 4] = ["chat:write", "im:write", "users:read", "users:read.email"];
    let missing = &identity.missing_scopes;
    if missing.is_empty() {
        return Ok(());
    }
    let said = format!(
        "the bot token lacks the scopes {}; add them under “OAuth & Permissions” and install the \
         app again",
        missing.join(", ")
    );
    if missing.iter().any(|scope| NEEDED.contains(&scope.as_str())) {
        bail!(said);
    }
    tracing::error!("{said}");
    Ok(())
}

fn refusal_help(mode: SlackMode) -> &'static str {
    match mode {
        SlackMode::Socket => {
            "Slack refused our tokens. Install the app again and put the new tokens into \
             DEBRIEF_SLACK_BOT_TOKEN (xoxb-…) and DEBRIEF_SLACK_APP_TOKEN (xapp-…)"
        }
        SlackMode::Http { .. } => {
            "Slack refused our token. Install the app again and put the new token into \
             DEBRIEF_SLACK_BOT_TOKEN (xoxb-…)"
        }
    }
}
