//! The way in for what Slack delivers: sockets that we open, or a port where Slack posts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::http::Listener;
use super::socket::Socket;

/// One of the two ways in. Everything after it is the same.
#[derive(Debug)]
pub enum Door {
    Socket(Socket),
    Http(Listener),
}

/// How the way in is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Sockets that are open, and how many there should be: none where Slack posts to us.
    pub up: usize,
    pub wanted: usize,
    /// Since anything came; `None` before the first.
    pub since_frame: Option<Duration>,
    /// Since a socket was last opened.
    pub since_hello: Option<Duration>,
    /// Slack's code for why it will never let us in again; nothing is tried any more.
    pub refused: Option<String>,
    /// Sockets that ended, by reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Requests turned away because their signature did not hold.
    pub forged: Forged,
}

/// Requests whose signature did not hold, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forged {
    /// Without a signature, or with something else in its place.
    pub unsigned: u64,
    /// Signed by somebody else.
    pub wrong: u64,
    /// Signed by Slack, at another time.
    pub out_of_time: u64,
}

impl Forged {
    /// Every reason, and how often it was one.
    pub fn by_reason(self) -> [(&'static str, u64); 3] {
        [("unsigned", self.unsigned), ("wrong", self.wrong), ("out_of_time", self.out_of_time)]
    }
}

impl Health {
    /// Whether anything could come in now, as far as we can tell.
    pub fn is_open(&self) -> bool {
        self.refused.is_none() && (self.wanted == 0 || self.up > 0)
    }
}

impl Door {
    pub fn health(&self) -> Health {
        match self {
            Self::Socket(socket) => socket.health(),
            Self::Http(listener) => listener.health(),
        }
    }

    /// Waits until Slack refuses us for good, and says with which code. Only sockets are refused.
    pub async fn refused(&self) -> String {
        match self {
            Self::Socket(socket) => socket.refused().await,
            Self::Http(_) => std::future::pending().await,
        }
    }

    /// Where Slack, or a proxy before us, is to post.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(_) => None,
            Self::Http(listener) => Some(listener.address()),
        }
    }

    /// Takes nothing more in, lets what came in be finished and acknowledged, and closes.
    pub async fn stop(&self) {
        match self {
            Self::Socket(socket) => socket.stop().await,
            Self::Http(listener) => listener.stop().await,
        }
    }
}
