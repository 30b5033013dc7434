//! The command line.
//!
//! Exit codes: 0 fine, 1 something went wrong (or `check` found something), 2 the configuration or
//! the command line is wrong, 70 part of the bot stood still and it must be started again.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use debrief::app::guard::Guard;
use debrief::app::tools::{self, Form};
use debrief::app::{Running, SystemClock, check, demo, readiness};
use debrief::config::secrets::Secrets;
use debrief::config::supervisor::Supervisor;
use debrief::config::{Config, ConfigError, LogFormat};
use debrief::ports::Clock;
use debrief::slack::pace::Pace;
use jiff::civil::Date;
use tracing_subscriber::EnvFilter;

/// A self-hosted Slack bot that asks reps, right after a customer meeting, what they would do
/// differently.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// The configuration file; paths in it are relative to the working directory.
    #[arg(long, global = true, value_name = "FILE", default_value = "config/debrief.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the bot.
    Run,
    /// Try it: a pretend workspace in the browser, no account and no configuration.
    Demo {
        /// Where the page is served; any free port if this one is taken.
        #[arg(long, default_value_t = 7878)]
        port: u16,
    },
    /// Is everything in order? One line each, with the remedy.
    Check,
    /// Which meetings of a rep's day are asked about, and why.
    Explain {
        /// The rep's address, as in the roster.
        #[arg(long, value_name = "EMAIL")]
        rep: String,
        /// YYYY-MM-DD in the rep's zone; today without it.
        #[arg(long, value_name = "DATE")]
        day: Option<Date>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a manager's digest of the last seven days without sending it.
    Digest {
        /// The manager's address, as in the roster.
        #[arg(long, value_name = "EMAIL")]
        manager: String,
    },
    /// Create the store, or bring it up to date.
    Migrate,
    /// Is the running bot ready? Exit code 0 or 1, for container runtimes.
    Health,
}

/// Not one of the codes that tell a supervisor to leave us down.
const STALLED: i32 = 70;

fn main() -> ExitCode {
    // slack-morphism and reqwest share one TLS provider; it must be there before the first use.
    let provider = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let outcome = provider
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))
        .and_then(|()| {
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Into::into)
        })
        .and_then(|runtime| runtime.block_on(perform(cli)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = writeln!(std::io::stderr(), "debrief: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}

async fn perform(cli: Cli) -> anyhow::Result<ExitCode> {
    let out = &mut std::io::stdout();
    if let Command::Demo { port } = cli.command {
        log(LogFormat::Human, "warn")?;
        demo::run(port, out, stop_signal()?).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(&cli.config)?;
    let now = SystemClock.now();
    match cli.command {
        Command::Run => {
            log(config.log.format, config.log.level.as_str())?;
            let secrets = Secrets::from_env()?;
            return run(&config, &secrets).await;
        }
        Command::Check => {
            log(config.log.format, "off")?;
            let fine = check::run(&cli.config, &config, Secrets::from_env(), now, out).await?;
            return Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Explain { rep, day, json } => {
            let form = if json { Form::Json } else { Form::Text };
            tools::explain(&config, &rep, day, form, now, out).await?;
        }
        Command::Digest { manager } => tools::digest(&config, &manager, now, out)?,
        Command::Migrate => tools::migrate(&config, now, out)?,
        Command::Health => {
            let ready = readiness::ask(&config, out).await?;
            return Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Demo { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs until told to stop, or until Slack refuses us for good.
async fn run(config: &Config, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let starting = Running::start(config, secrets, Arc::new(SystemClock), Pace::slack());
    let running = tokio::select! {
        running = starting => running?,
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let guard = Guard::start(running.pulse(), Supervisor::from_env(), end_at_once)?;
    let refused = tokio::select! {
        () = stop => None,
        code = running.refused() => Some(code),
    };
    tracing::info!("stopping: finishing the work in hand");
    guard.stopping();
    running.stop().await;
    match refused {
        None => Ok(ExitCode::SUCCESS),
        Some(code) => {
            anyhow::bail!("Slack refuses us ({code}): install the app again and renew its tokens")
        }
    }
}

/// Part of the bot stands still and would not stop in order either. What was acknowledged is in the
/// store, so nothing is lost by leaving like this.
fn end_at_once(which: &'static str) {
    tracing::error!(which, "a loop has stalled; ending, to be started afresh");
    std::process::exit(STALLED);
}

/// Ends at Ctrl-C or SIGTERM.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The library that talks to Slack logs addresses that are as good as tokens: it stays silent.
fn log(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{level},slack_morphism=off,hyper=warn,reqwest=warn"))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => subscriber.json().init(),
        LogFormat::Human => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}
