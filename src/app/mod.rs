//! Composition: builds the adapters, keeps the loops going, stops them in order.
//!
//! The only place that reads the clock. [`Running`] is the whole bot; the demo, the integration
//! tests and `debrief run` start the very same thing.

pub mod beat;
pub mod check;
pub mod core;
pub mod demo;
mod listen;
pub mod roster;
pub mod tools;
pub mod web;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::sync::watch;

use self::beat::Waker;
use self::core::Core;
use self::roster::RosterFile;
use self::web::{Metrics, Web};
use crate::calendar::CalendarSettings;
use crate::calendar::ics::IcsCalendar;
use crate::config::secrets::Secrets;
use crate::config::{CalendarConfig, Config};
use crate::flows::{Bot, Rules};
use crate::ports::{Clock, Identity, Messenger, SendError};
use crate::slack::client::{SlackMessenger, SlackSettings, Token};
use crate::slack::pace::Pace;
use crate::slack::socket::{Health, Socket};
use crate::store::Store;

/// How long work in hand may take when we are told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How long we wait for Slack to answer at all before trying again, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
    identity: Identity,
    socket: Arc<Socket>,
    core: Core,
    web: Option<Web>,
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
        let store = Arc::new(Store::open(&config.store_path, clock.now())?);
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
        let metrics = Arc::new(Metrics::default());
        let web = match config.http_listen {
            Some(address) => Some(Web::start(address, Arc::clone(&metrics)).await?),
            None => None,
        };
        let messenger = Arc::new(messenger(config, secrets, pace)?);
        let identity = greet(messenger.as_ref()).await?;
        let bot = Bot {
            store,
            calendar: Arc::new(calendar(config)?),
            messenger: Arc::clone(&messenger) as Arc<dyn Messenger>,
            rules: Arc::new(rules(config)),
            team_id: identity.team_id.clone(),
        };
        let roster = RosterFile::new(config.roster_file.clone());
        let core = Core::start(&bot, &clock, roster, &metrics).await?;
        let socket = Arc::new(Socket::start(&messenger, core.handler()).await?);
        if let Some(web) = &web {
            web.is_up(Arc::clone(&bot.store), Arc::clone(&socket));
        }
        tracing::info!(team = %identity.team_name, "debrief is at work");
        Ok(Self { bot, identity, socket, core, web })
    }

    pub fn bot(&self) -> &Bot {
        &self.bot
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn health(&self) -> Health {
        self.socket.health()
    }

    /// Waits until Slack refuses us for good, and says with which code.
    pub async fn refused(&self) -> String {
        self.socket.refused().await
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

    /// Where health and metrics are served.
    pub fn web_address(&self) -> Option<std::net::SocketAddr> {
        self.web.as_ref().map(Web::address)
    }

    /// Finishes the work in hand: no more deliveries, then what follows from those taken, then the
    /// loops, then the store.
    pub async fn stop(self) {
        let Self { bot, socket, core, web, .. } = self;
        socket.stop().await;
        if tokio::time::timeout(STOP_WITHIN, core.stop()).await.is_err() {
            tracing::warn!("some work was cut short; it is looked up at the next start");
        }
        if let Some(web) = web {
            web.stop().await;
        }
        let store = Arc::clone(&bot.store);
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("the store was not closed in order");
        }
    }
}

fn messenger(config: &Config, secrets: &Secrets, pace: Pace) -> anyhow::Result<SlackMessenger> {
    SlackMessenger::new(SlackSettings {
        api_url: config.slack_api_url.clone(),
        bot_token: Token::new(secrets.bot_token.reveal()),
        app_token: Token::new(secrets.app_token.reveal()),
        pace,
    })
}

fn calendar(config: &Config) -> anyhow::Result<IcsCalendar> {
    let CalendarConfig { timeout, max_bytes, .. } = &config.calendar;
    let timeout = Duration::try_from(*timeout).context("calendar.timeout")?;
    IcsCalendar::new(&CalendarSettings { timeout, max_bytes: *max_bytes })
}

fn rules(config: &Config) -> Rules {
    Rules {
        prompt: config.prompt.clone(),
        meetings: config.meetings.clone(),
        digest: config.digest_schedule.clone(),
        questions: config.questions.clone(),
        refresh: config.calendar.refresh,
    }
}

/// Waits until Slack answers; a refusal is final.
async fn greet(messenger: &SlackMessenger) -> anyhow::Result<Identity> {
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
            refused => return Err(anyhow::Error::new(refused)).context(refusal_help()),
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

fn refusal_help() -> &'static str {
    "Slack refused our tokens. Install the app again and put the new tokens into \
     DEBRIEF_SLACK_BOT_TOKEN (xoxb-…) and DEBRIEF_SLACK_APP_TOKEN (xapp-…)"
}
