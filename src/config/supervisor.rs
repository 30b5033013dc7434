//! The service manager, if one started us and wants to know how we are (`sd_notify`).
//!
//! One datagram a word to a socket that it names in the environment; that is the whole protocol.

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Where to tell, and how often we must.
#[derive(Debug, Default)]
pub struct Supervisor {
    /// A path, or an abstract name that begins with `@`.
    socket: Option<OsString>,
    /// Without a word for so long, it takes us for dead.
    pub watchdog: Option<Duration>,
}

impl Supervisor {
    pub fn from_env() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the configuration is the one reader of the environment"
        )]
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()),
            watchdog: number("WATCHDOG_USEC").filter(|_| ours).map(Duration::from_micros),
        }
    }

    /// One that listens at `socket`.
    pub fn at(socket: impl Into<OsString>, watchdog: Option<Duration>) -> Self {
        Self { socket: Some(socket.into()), watchdog }
    }

    /// Whoever cannot be told does without: the work goes on.
    pub fn tell(&self, word: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = send(socket, word) {
            tracing::debug!(%error, "could not tell the service manager");
        }
    }
}

fn send(socket: &OsString, word: &str) -> std::io::Result<()> {
    let ours = UnixDatagram::unbound()?;
    ours.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        ours.send_to_addr(word.as_bytes(), &address)?;
        return Ok(());
    }
    ours.send_to(word.as_bytes(), socket)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_arrives_as_one_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::at(path, None);
        supervisor.tell("READY=1");
        let mut heard = [0; 32];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
        // Nobody listens any more: nothing happens.
        drop(manager);
        supervisor.tell("STOPPING=1");
        Supervisor::default().tell("READY=1");
    }
}
