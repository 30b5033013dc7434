//! Power cuts, failing disks and kills: nothing that was acknowledged is lost.
//!
//! `shim.c` is a disk that loses what was not flushed. Its victims are this very test program,
//! started again as a child that writes debriefs and reports what was acknowledged (`child`), and
//! the real bot (`binary`). Linux only; without a C compiler the tests say that they were skipped.

mod binary;
mod child;
mod cuts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the next run of a program is to suffer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    /// The operation at which the power goes; 0 for never.
    cut_at: u64,
    /// Of what was not flushed, how much survives, in percent.
    keep: u64,
    seed: u64,
    /// Flushes do nothing.
    is_deaf: bool,
    /// Where to write how many operations there were.
    count_to: Option<PathBuf>,
}

/// The compiled disk; `None`, and a line that says so, if it cannot be had here.
pub(crate) fn shim() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    let library =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("power-{}.so", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power/shim.c");
    let compiled = cfg!(target_os = "linux").then(|| {
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        cc.args(["-ldl", "-lpthread"]).status()
    });
    let Some(Ok(status)) = compiled else {
        eprintln!("SKIPPED: power cuts need Linux and a C compiler (cc)");
        return None;
    };
    assert!(status.success(), "the shim does not compile");
    Some(library)
}

impl Disk {
    /// Lets `command` work on this disk, as far as `folder` goes. While a file named `eio` or `full`
    /// is in `triggers`, flushes or writes fail.
    pub(crate) fn under(&self, command: &mut Command, folder: &Path, triggers: &Path) {
        let Some(shim) = shim() else { panic!("there is no shim") };
        command
            .env("LD_PRELOAD", shim)
            .env("POWER_DIR", folder)
            .env("POWER_TRIGGERS", triggers)
            .env("POWER_CUT_AT", self.cut_at.to_string())
            .env("POWER_KEEP", self.keep.to_string())
            .env("POWER_SEED", self.seed.to_string());
        if self.is_deaf {
            command.env("POWER_DEAF", "1");
        }
        if let Some(file) = &self.count_to {
            command.env("POWER_COUNT", file);
        }
    }
}

/// Dice that fall the same way each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
