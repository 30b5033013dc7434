//! Never half alive: a thread of its own that looks whether the loops go on, and tells the service
//! manager.
//!
//! Apart from the runtime, because a runtime that is stuck is what it is there to notice. While all
//! is well it feeds systemd's watchdog; once a loop has stalled it stops feeding and lets the program
//! end: everything is in the store, so a fresh start is always the better state.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::pulse::Pulse;
use crate::config::supervisor::Supervisor;

const LOOK: Duration = Duration::from_secs(5);

/// Guards until it is dropped.
#[derive(Debug)]
pub struct Guard {
    supervisor: Arc<Supervisor>,
    _ending: Sender<()>,
}

impl Guard {
    /// Says that we are ready, and begins. `stalled` is called with the name of a loop that stands
    /// still; it is not expected to return.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(
        pulse: Arc<Pulse>,
        supervisor: Supervisor,
        stalled: impl FnOnce(&'static str) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let supervisor = Arc::new(supervisor);
        supervisor.tell("READY=1");
        let every = supervisor.watchdog.map_or(LOOK, |limit| (limit / 3).min(LOOK));
        let (ending, ended) = channel::<()>();
        let told = Arc::clone(&supervisor);
        std::thread::Builder::new()
            .name("guard".into())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
                    match pulse.stalled(Instant::now()) {
                        None => told.tell("WATCHDOG=1"),
                        Some(which) => return stalled(which.name()),
                    }
                }
            })
            .context("start the guard's thread")?;
        Ok(Self { supervisor, _ending: ending })
    }

    /// We finish the work in hand and go.
    pub fn stopping(&self) {
        self.supervisor.tell("STOPPING=1");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const PATIENTLY: Duration = Duration::from_secs(30);

    /// A service manager, what it hears, and a supervisor that tells it.
    fn manager(folder: &tempfile::TempDir) -> (UnixDatagram, Supervisor) {
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(PATIENTLY)).unwrap();
        (manager, Supervisor::at(path, Some(Duration::from_millis(30))))
    }

    fn hear(manager: &UnixDatagram) -> String {
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    }

    #[test]
    fn the_service_manager_hears_how_we_are() {
        let folder = tempfile::tempdir().unwrap();
        let (manager, supervisor) = manager(&folder);
        let pulse = Arc::new(Pulse::new(Arc::default()));
        let guard = Guard::start(pulse, supervisor, |which| panic!("{which} is fine")).unwrap();
        assert_eq!(hear(&manager), "READY=1");
        assert_eq!(hear(&manager), "WATCHDOG=1");
        assert_eq!(hear(&manager), "WATCHDOG=1");
        guard.stopping();
        while hear(&manager) != "STOPPING=1" {}
    }

    #[test]
    fn f42_a_stalled_loop_ends_the_program_and_the_watchdog_is_not_fed() {
        let folder = tempfile::tempdir().unwrap();
        let (manager, supervisor) = manager(&folder);
        let pulse = Pulse::begun(Duration::from_hours(1), Arc::default());
        let (ended, end) = channel();
        let stalled = move |which| ended.send(which).unwrap();
        let _guard = Guard::start(Arc::new(pulse), supervisor, stalled).unwrap();
        assert_eq!(hear(&manager), "READY=1");
        assert_eq!(end.recv_timeout(PATIENTLY).unwrap(), "people");
        manager.set_nonblocking(true).unwrap();
        assert!(manager.recv(&mut [0; 64]).is_err(), "the watchdog was fed");
    }
}
