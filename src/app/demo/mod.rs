//! `debrief demo`: the whole bot in a pretend workspace, in one process, with a clock to turn.
//!
//! Nothing is kept: the store lies in a temporary folder that goes when the demo ends.

mod seed;
mod week;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use self::week::Week;
use super::Running;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::playground::clock::TurnableClock;
use crate::playground::server::Playground;
use crate::playground::{Member, Settings};
use crate::ports::Clock;
use crate::slack::manifest::{COMMANDS, LOG_SHORTCUT, SCOPES};
use crate::slack::pace::Pace;
use crate::store::Store;

/// Runs until `stop` ends.
///
/// # Errors
/// If the page's port or the temporary folder cannot be had.
pub async fn run(
    port: u16,
    out: &mut dyn Write,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let demo = Demo::start(port, folder.path()).await?;
    writeln!(out, "debrief demo: open {} (Ctrl-C ends it)", demo.playground.page_url())?;
    out.flush()?;
    stop.await;
    demo.stop().await;
    Ok(())
}

/// A running demo.
pub struct Demo {
    pub playground: Playground,
    pub running: Running,
}

impl Demo {
    /// Starts the workspace, fills a store in `folder` with what came before, and starts the bot.
    ///
    /// # Errors
    /// If no port or no store can be had.
    pub async fn start(port: u16, folder: &Path) -> anyhow::Result<Self> {
        let week = Week::load()?;
        let clock = Arc::new(TurnableClock::running(week.starts()?));
        let playground = workspace(port, &week, Arc::clone(&clock)).await?;
        for colleague in &week.people {
            let name = format!("{}.ics", colleague.key);
            playground.set_calendar(&name, &week.calendar(&colleague.key));
        }
        let roster = week.roster(playground.calendar_url("").trim_end_matches('/'));
        std::fs::write(folder.join("roster.csv"), &roster).context("write the roster")?;
        let config = config(&playground, folder, &week.domain)?;
        let store = Arc::new(Store::open(&config.store_path, clock.now())?);
        seed::fill(&store, week, &roster, config.questions.clone()).await?;
        let secrets = Secrets::for_sockets(playground.bot_token(), playground.app_token());
        let turned = clock.turned();
        let running =
            Running::start_with(&config, &secrets, clock, Pace::unlimited(), store).await?;
        running.follow(turned);
        Ok(Self { playground, running })
    }

    pub async fn stop(self) {
        self.running.stop().await;
        self.playground.stop().await;
    }
}

/// On `port`, or on any free one if that is taken.
async fn workspace(
    port: u16,
    week: &Week,
    clock: Arc<TurnableClock>,
) -> anyhow::Result<Playground> {
    let member = |colleague: &week::Colleague| Member {
        id: colleague.id.clone(),
        name: colleague.name.clone(),
        email: week.email(&colleague.key),
        zone: week.zone.clone(),
        title: colleague.title.clone(),
        ..Member::default()
    };
    let mut settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        workspace: week.workspace.clone(),
        zone: week.zone.clone(),
        people: week.people.iter().map(member).collect(),
        stops: week.stops()?,
        commands: COMMANDS
            .iter()
            .map(|name| {
                ((*name).to_owned(), "now Acme, me, history, who-saw, pause, help".to_owned())
            })
            .collect(),
        shortcuts: vec![(LOG_SHORTCUT.to_owned(), "Log a debrief".to_owned())],
        scopes: SCOPES.iter().map(|scope| (*scope).to_owned()).collect(),
        haste: 1,
    };
    match Playground::start(settings.clone(), Arc::clone(&clock)).await {
        Ok(playground) => Ok(playground),
        Err(_) if port != 0 => {
            settings.listen.set_port(0);
            Playground::start(settings, clock).await
        }
        Err(error) => Err(error),
    }
}

fn config(playground: &Playground, folder: &Path, domain: &str) -> anyhow::Result<Config> {
    let path = |name: &str| format!("{:?}", folder.join(name).display().to_string());
    let text = format!(
        "[slack]\napi_url = {:?}\n[store]\npath = {}\n[roster]\nfile = {}\n\
         [meetings]\nown_domains = [{domain:?}]\n[http]\nlisten = \"off\"\n\
         [backup]\nschedule = \"off\"\n",
        playground.api_url(),
        path("debrief.db"),
        path("roster.csv"),
    );
    Ok(Config::parse(&text, "demo")?)
}
