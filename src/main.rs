//! The command line.
//!
//! Exit codes: 0 fine, 1 something went wrong (or `check` or `audit verify` found something), 2 the
//! configuration or the command line is wrong, 70 part of the bot stood still and it must be started
//! again, 78 the store cannot be used until somebody acts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use debrief::app::guard::Guard;
use debrief::app::letters::{self, Reveal};
use debrief::app::records::{self, Resolve};
use debrief::app::tools::{self, Form};
use debrief::app::{Running, SystemClock, check, demo, keep, log, readiness};
use debrief::config::secrets::Secrets;
use debrief::config::supervisor::Supervisor;
use debrief::config::{Config, ConfigError, LogFormat};
use debrief::ports::Clock;
use debrief::slack::manifest;
use debrief::slack::pace::Pace;
use debrief::store::trouble::Unusable;
use jiff::Timestamp;
use jiff::civil::Date;

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
    Check {
        /// Only this person's calendars: connect, and say what is decided about the next meetings.
        #[arg(long, value_name = "EMAIL")]
        calendar: Option<String>,
    },
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
    /// Write everything by and about a person into a new folder, as JSON and CSV.
    Export {
        /// The person's address.
        #[arg(long, value_name = "EMAIL")]
        person: String,
        /// The folder to make; `debrief-export-EMAIL` without it.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
    /// Erase a person for good; without --confirm, say what would go.
    Erase {
        /// The person's address.
        #[arg(long, value_name = "EMAIL", required_unless_present = "forget_tombstone")]
        person: Option<String>,
        /// Do it.
        #[arg(long)]
        confirm: bool,
        /// Let the roster bring back an address that was erased.
        #[arg(long, value_name = "EMAIL", conflicts_with_all = ["person", "confirm"])]
        forget_tombstone: Option<String>,
    },
    /// The log of who looked at what and who changed what.
    Audit {
        #[command(subcommand)]
        what: Audit,
    },
    /// Create the store, or bring it up to date.
    Migrate,
    /// Make a checked copy of the store; the bot may go on meanwhile.
    Backup {
        /// Where to; without it, into the folder of backups, where old ones are removed in turn.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Put a backup in the place of the store; the bot must be stopped.
    Restore {
        /// Only say whether it is good and what is in it.
        #[arg(long)]
        verify: bool,
        #[arg(value_name = "FILE")]
        from: PathBuf,
    },
    /// What came from Slack and could not be understood.
    DeadLetters {
        #[command(subcommand)]
        what: Letters,
    },
    /// Print the app's manifest, to be pasted at <https://api.slack.com/apps>.
    Manifest {
        /// For slack.mode = "http": where Slack reaches this bot, such as <https://debrief.example.com>.
        #[arg(long, value_name = "ADDRESS")]
        url: Option<String>,
    },
    /// Is the running bot ready? Exit code 0 or 1, for container runtimes.
    Health,
}

#[derive(Subcommand)]
enum Audit {
    /// Walk the chain: was a row changed, removed, moved or put in?
    Verify {
        /// A head that was noted earlier and must be in the log: shows that its end was not cut.
        #[arg(long, value_name = "HASH")]
        expect_head: Option<String>,
    },
    /// Print every row as a line of JSON.
    Export,
}

#[derive(Subcommand)]
enum Letters {
    /// Number, time, kind and size of each; no content.
    List,
    /// Have the bot read them again: those named, or all that were not understood.
    Replay { ids: Vec<i64> },
    /// Print one as it came. It may hold what somebody wrote.
    Show {
        id: i64,
        /// Yes, show what is in it.
        #[arg(long)]
        reveal: bool,
    },
    /// Delete them.
    Drop {
        #[arg(required = true)]
        ids: Vec<i64>,
    },
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
        .and_then(|runtime| {
            let outcome = runtime.block_on(perform(cli));
            // After a failure, what hangs must not keep us; otherwise nothing is left to wait for.
            runtime.shutdown_timeout(Duration::from_secs(1));
            outcome
        });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = writeln!(std::io::stderr(), "debrief: {error:#}");
            exit_code(&error)
        }
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() {
        ExitCode::from(2)
    } else if error.is::<Unusable>() {
        ExitCode::from(78)
    } else {
        ExitCode::FAILURE
    }
}

async fn perform(cli: Cli) -> anyhow::Result<ExitCode> {
    let out = &mut std::io::stdout();
    if let Command::Demo { port } = cli.command {
        log::start(LogFormat::Human, "warn")?;
        demo::run(port, out, stop_signal()?).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Manifest { url } = &cli.command {
        writeln!(out, "{}", manifest::text(url.as_deref())?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(&cli.config)?;
    let now = SystemClock.now();
    match cli.command {
        Command::Run => {
            log::start(config.log.format, config.log.level.as_str())?;
            let secrets = Secrets::from_env(config.slack_mode)?;
            return run(&config, &secrets).await;
        }
        Command::Check { calendar: Some(person) } => {
            let fine = tools::check_calendar(&config, &person, now, out).await?;
            return Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Check { calendar: None } => {
            log::start(config.log.format, "off")?;
            let secrets = Secrets::from_env(config.slack_mode);
            let fine = check::run(&cli.config, &config, secrets, now, out).await?;
            return Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Explain { rep, day, json } => {
            let form = if json { Form::Json } else { Form::Text };
            tools::explain(&config, &rep, day, form, now, out).await?;
        }
        Command::Digest { manager } => tools::digest(&config, &manager, now, out)?,
        Command::Export { person, to } => records::export(&config, &person, to, now, out)?,
        Command::Erase { person, confirm, forget_tombstone } => {
            let resolve = if confirm { Resolve::Erase } else { Resolve::Look };
            match (person, forget_tombstone) {
                (_, Some(email)) => records::forget_tombstone(&config, &email, now, out)?,
                (Some(email), None) => records::erase(&config, &email, resolve, now, out)?,
                (None, None) => {}
            }
        }
        Command::Audit { what: Audit::Export } => records::export_audit(&config, now, out)?,
        Command::Audit { what: Audit::Verify { expect_head } } => {
            let whole = records::verify_audit(&config, expect_head.as_deref(), out)?;
            return Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Migrate => tools::migrate(&config, now, out)?,
        Command::Backup { to } => keep::back_up(&config, to.as_deref(), now, out)?,
        Command::Restore { verify: true, from } => keep::verify(&from, out)?,
        Command::Restore { verify: false, from } => keep::restore(&config, &from, now, out)?,
        Command::DeadLetters { what } => dead_letters(&config.store_path, &what, now, out)?,
        Command::Health => {
            let ready = readiness::ask(&config, out).await?;
            return Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Demo { .. } | Command::Manifest { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn dead_letters(
    store: &Path,
    what: &Letters,
    now: Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match what {
        Letters::List => letters::list(store, out),
        Letters::Replay { ids } => letters::replay(store, ids, out),
        Letters::Show { id, reveal } => {
            let reveal = if *reveal { Reveal::Everything } else { Reveal::Nothing };
            letters::show(store, *id, reveal, now, out)
        }
        Letters::Drop { ids } => letters::drop(store, ids, out),
    }
}

/// Runs until told to stop, or until Slack refuses us for good or the store fails.
async fn run(config: &Config, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let pace = Pace::slack().at_most(config.slack_rate);
    let starting = Running::start(config, secrets, Arc::new(SystemClock), pace);
    let running = tokio::select! {
        running = starting => running?,
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let guard = Guard::start(running.pulse(), Supervisor::from_env(), end_at_once)?;
    let refused = tokio::select! {
        () = stop => None,
        code = running.refused() => Some(code),
        why = running.failed() => anyhow::bail!("{why}; start debrief again, it reads what is saved"),
        never = renew_when_told(config, &running) => never?,
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

/// Reads the secrets anew at each SIGHUP. What cannot be used changes nothing.
async fn renew_when_told(config: &Config, running: &Running) -> anyhow::Result<Option<String>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut told = signal(SignalKind::hangup())?;
    while told.recv().await.is_some() {
        let renewed = Secrets::from_env(config.slack_mode)
            .map_err(anyhow::Error::from)
            .and_then(|secrets| running.renew(&secrets));
        match renewed {
            Ok(()) => tracing::info!("the signing secrets were read anew"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the secrets cannot be used; the old ones stay");
            }
        }
    }
    std::future::pending().await
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
