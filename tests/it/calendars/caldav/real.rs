//! `CalDAV` servers that others wrote, started here: Radicale and Xandikos, where this machine has them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use tempfile::TempDir;

use super::PASSWORD;
use crate::world::install_tls;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Radicale,
    Xandikos,
}

/// A server of its own for one test. It ends with the test, however that ends.
pub(super) struct Server {
    pub(super) kind: Kind,
    child: Child,
    port: u16,
    folder: TempDir,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every server that this machine has.
pub(super) async fn all() -> Vec<Server> {
    let mut servers = Vec::new();
    for kind in [Kind::Radicale, Kind::Xandikos] {
        servers.extend(Server::start(kind).await);
    }
    servers
}

/// Python with the server's folder, if that has the server.
fn python(kind: Kind) -> Option<Command> {
    let name = kind.module();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    let set_up = || {
        let mut command = Command::new("python3");
        if ours.is_dir() {
            command.env("PYTHONPATH", &ours);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let there = set_up().args(["-c", &format!("import {name}")]).status();
    there.is_ok_and(|status| status.success()).then(set_up)
}

impl Kind {
    fn module(self) -> &'static str {
        match self {
            Self::Radicale => "radicale",
            Self::Xandikos => "xandikos",
        }
    }
}

impl Server {
    /// A server with nothing in it; `None`, with a line that says so, where it is not installed.
    pub(super) async fn start(kind: Kind) -> Option<Self> {
        install_tls();
        if python(kind).is_none() {
            eprintln!("SKIPPED: {kind:?} is not installed; CalDAV is tried on our own server only");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["maya", "tom"] {
            std::fs::create_dir_all(folder.path().join("files").join(name)).unwrap();
        }
        let users = format!("maya@own.example:{PASSWORD}\ntom:{PASSWORD}\n");
        std::fs::write(folder.path().join("users"), users).unwrap();
        let begun = Instant::now();
        loop {
            // Somebody else may take the port in between.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = launched(kind, folder.path(), port);
            while child.try_wait().unwrap().is_none() {
                if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    let client = Client::new();
                    return Some(Self { kind, child, port, folder, client });
                }
                assert!(begun.elapsed() < Duration::from_mins(1), "{kind:?} does not come up");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{kind:?} does not stay up");
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Where Maya's calendars are.
    pub(super) fn home(&self) -> &'static str {
        match self.kind {
            Kind::Radicale => "/maya@own.example/",
            Kind::Xandikos => "/maya/calendars/",
        }
    }

    /// Maya herself, as a server sees her.
    pub(super) fn principal(&self) -> &'static str {
        match self.kind {
            Kind::Radicale => "/maya@own.example/",
            Kind::Xandikos => "/maya/",
        }
    }

    pub(super) async fn make_calendar(&self, name: &str, component: &str) {
        let body = format!(
            "<C:mkcalendar xmlns:D='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><D:set><D:prop>\
             <C:supported-calendar-component-set><C:comp name='{component}'/>\
             </C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>"
        );
        self.ask("MKCALENDAR", &format!("{}{name}/", self.home()), body).await;
    }

    pub(super) async fn put(&self, entry: &str, text: String) {
        self.ask("PUT", &format!("{}{entry}", self.home()), text).await;
    }

    pub(super) async fn delete(&self, entry: &str) {
        self.ask("DELETE", &format!("{}{entry}", self.home()), String::new()).await;
    }

    async fn ask(&self, method: &str, path: &str, body: String) {
        let request = self
            .client
            .request(Method::from_bytes(method.as_bytes()).unwrap(), self.url(path))
            .basic_auth("maya@own.example", Some(PASSWORD))
            .header("content-type", if method == "PUT" { "text/calendar" } else { "text/xml" })
            .body(body);
        let status: StatusCode = request.send().await.unwrap().status();
        assert!(status.is_success(), "{method} {path}: {status}");
    }

    /// Forgets which changes it told of.
    pub(super) fn lose_tokens(&self) {
        let mut folders: Vec<PathBuf> = vec![self.folder.path().join("files")];
        let mut lost = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && path.ends_with("sync-token") {
                    std::fs::remove_dir_all(&path).unwrap();
                    lost += 1;
                } else if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        assert!(lost > 0, "there was no token");
    }
}

fn launched(kind: Kind, folder: &Path, port: u16) -> Child {
    let files = folder.join("files").display().to_string();
    let mut command = python(kind).unwrap();
    command.current_dir(folder).args(["-m", kind.module()]);
    match kind {
        Kind::Radicale => command
            .arg("--config=")
            .arg(format!("--server-hosts=127.0.0.1:{port}"))
            .arg(format!("--storage-filesystem-folder={files}"))
            .args(["--auth-type=htpasswd", "--auth-htpasswd-filename=users"])
            .args(["--auth-htpasswd-encryption=plain", "--auth-delay=0"]),
        Kind::Xandikos => command
            .args(["serve", "--autocreate", "--listen-address=127.0.0.1"])
            .args(["--current-user-principal=/maya/", &format!("--port={port}")])
            .args(["-d", &files]),
    };
    command.spawn().unwrap()
}
