//! Whether what people do now would be stored and answered; and `debrief health`, which asks a
//! running bot.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path does not fit every lifetime of a view"
)]

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::metrics::Parts;
use crate::config::Config;

pub(super) const STARTING: &str = "starting: Slack has not answered yet";
/// A commit that is younger proves that the store can be written to.
const FRESH: Duration = Duration::from_secs(10);
/// A commit takes a few milliseconds.
const COMMIT: Duration = Duration::from_secs(2);
const ASK: Duration = Duration::from_secs(4);

/// Remembers when we last saw a commit reach the disk.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    committed: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Why we are not ready, with what to do; none if we are.
    pub(super) async fn reasons(&self, parts: &Parts) -> Vec<String> {
        let mut reasons = Vec::new();
        // An open store has all its migrations.
        if let Err(error) = self.prove_writable(parts).await {
            tracing::warn!(error = format!("{error:#}"), "the store cannot be written to");
            reasons.push("store: nothing can be saved; is the disk full?".to_owned());
        }
        if parts.is_refused() {
            reasons.push("auth: Slack refuses our tokens; install the app again".to_owned());
        } else if !parts.door.health().is_open() {
            reasons.push("slack: no socket is open; the network or Slack is down".to_owned());
        }
        reasons
    }

    /// One small commit, unless there was one just before. Whoever asks meanwhile waits for it.
    async fn prove_writable(&self, parts: &Parts) -> anyhow::Result<()> {
        let mut committed = self.committed.lock().await;
        if committed.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        *committed = None;
        let proof = parts.store.transact(|tx| tx.prove_writable());
        tokio::time::timeout(COMMIT, proof).await.context("a commit takes too long")??;
        *committed = Some(Instant::now());
        Ok(())
    }
}

/// What `/readyz` answers.
#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    reasons: Vec<String>,
}

/// Asks the running bot whether it is ready, for container runtimes. Says whether it is.
///
/// # Errors
/// If health is served nowhere, or nobody answers.
pub async fn ask(config: &Config, out: &mut dyn Write) -> anyhow::Result<bool> {
    let Some(listen) = config.http_listen else {
        bail!("http.listen is \"off\": health is served nowhere");
    };
    let address = reachable(listen);
    // Through no proxy: it is this machine.
    let client = reqwest::Client::builder().no_proxy().timeout(ASK).build()?;
    let answer = client
        .get(format!("http://{address}/readyz"))
        .send()
        .await
        .with_context(|| format!("ask {address}; is debrief running?"))?;
    let answer = answer.bytes().await.with_context(|| format!("read what {address} says"))?;
    let answer: Answer = serde_json::from_slice(&answer)
        .with_context(|| format!("{address} is served by another program"))?;
    writeln!(out, "{}", answer.status)?;
    for reason in &answer.reasons {
        writeln!(out, "{reason}")?;
    }
    Ok(answer.reasons.is_empty())
}

/// Where a listener on all addresses is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_this_machine() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(asked("[::]:9464"), "[::1]:9464");
        assert_eq!(asked("127.0.0.2:9464"), "127.0.0.2:9464");
    }
}
