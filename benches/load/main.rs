//! How fast the bot saves, looks up, starts and acknowledges, and how much memory it takes.
//!
//! `cargo bench --bench load`, about three minutes on two idle cores. What depends on the disk is
//! told as a share of what the bare disk can do, measured in the same run; everything with a target
//! ends in its share of it: at most 1 is good. The targets are for a quiet machine.
#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod bot;
mod burst;
mod crowd;
mod disk;
mod looking;
mod report;
mod saving;
mod signed;
mod team;

use std::path::Path;
use std::time::Instant;

use debrief::app::SystemClock;
use debrief::config::Config;
use debrief::ports::Clock;

use crate::report::{Report, number};

const BINARY_MB: f64 = 15.0;

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let (began, mut report) = (Instant::now(), Report::default());
    let report = &mut report;
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = |part: &str| only.as_ref().is_none_or(|only| part.contains(only.as_str()));
    // On the disk that the program would use, not in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = folder.path();
    let now = SystemClock.now();

    if wanted("disk saving") {
        let raw = disk::measure(folder, report);
        saving::measure(folder, raw, now, report).await;
    }
    if wanted("looking burst") {
        report.part("A store with a million answers");
        let began = Instant::now();
        let answers = crowd::fill(&folder.join("debrief.db"), now);
        report.fact("answers", number(answers), "");
        report.fact("written in", began.elapsed().as_secs_f64(), "s");
        report.fact("file", megabytes(&folder.join("debrief.db")), "MB");
        let config = "[meetings]\nown_domains = [\"own.example\"]\n";
        let config = Config::parse(config, "bench.toml").unwrap();
        looking::measure(&folder.join("debrief.db"), &config, now, report).await;
    }
    if wanted("burst") {
        burst::measure(folder, report).await;
    }
    if wanted("team") {
        team::measure(report).await;
    }
    if wanted("signed") {
        signed::measure(report).await;
    }
    if wanted("binary") {
        report.part("The program");
        let size = megabytes(Path::new(env!("CARGO_BIN_EXE_debrief")));
        report.at_most("binary", size, "MB", BINARY_MB);
    }
    report.end(began.elapsed());
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files")]
fn megabytes(path: &Path) -> f64 {
    std::fs::metadata(path).unwrap().len() as f64 / 1e6
}
