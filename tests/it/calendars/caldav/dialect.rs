//! A small `CalDAV` server of our own that can have the quirks of many, and counts what it is asked.
//!
//! Written from the RFCs, independently of the adapter: it reads questions by their words.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use super::{Reader, event};

/// Where Maya's calendar of work is.
pub(super) const HOME: &str = "/dav/calendars/maya/";
pub(super) const WORK: &str = "/dav/calendars/maya/work/";

/// What is answered to a question (`PROPFIND /dav/`) in place of the right answer.
pub(super) type Fault = Arc<dyn Fn(&str) -> Option<Response> + Send + Sync>;

/// In what this server differs from the next one.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a quirk of its own")]
pub(super) struct Quirks {
    /// What hrefs begin with, such as another host.
    pub(super) hrefs: &'static str,
    /// `sync-collection` and its token.
    pub(super) syncs: bool,
    pub(super) ctag: bool,
    /// Changes are handed out so many at a time, with a 507.
    pub(super) page: usize,
    /// What becomes of a token that is not known: a status and a body, or an empty success.
    pub(super) lost: Option<(u16, &'static str)>,
    /// What a success says is the next token.
    pub(super) next_token: Option<&'static str>,
    /// Texts come along with changes.
    pub(super) inline: bool,
    pub(super) lists_itself: bool,
    /// Queries miss what repeats.
    pub(super) misses_series: bool,
    /// Entries that a multiget leaves out without a word.
    pub(super) forgets: &'static str,
    /// More of the home's listing.
    pub(super) more_in_home: String,
    /// More properties of the calendar.
    pub(super) more_of_work: &'static str,
    /// The person's calendars are said to be here.
    pub(super) home: String,
    /// What the root answers, in place of a principal.
    pub(super) root: Option<(u16, &'static str)>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            hrefs: "",
            syncs: true,
            ctag: true,
            page: usize::MAX,
            lost: Some((403, "<error xmlns='DAV:'><valid-sync-token/></error>")),
            next_token: None,
            inline: false,
            lists_itself: false,
            misses_series: false,
            forgets: "",
            more_in_home: String::new(),
            more_of_work: "",
            home: HOME.into(),
            root: None,
        }
    }
}

#[derive(Default)]
struct Files {
    quirks: Quirks,
    fault: Option<Fault>,
    entries: BTreeMap<String, (u32, String)>,
    /// Names in the order of their changes; the revision is how many there were.
    changes: Vec<String>,
    /// Tokens of before are lost.
    era: u32,
    asked: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Dialect {
    files: Arc<Mutex<Files>>,
    port: u16,
}

impl Dialect {
    pub(super) async fn start(quirks: Quirks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let files = Arc::new(Mutex::new(Files { quirks, ..Files::default() }));
        let dialect = Self { files, port };
        let routes = Router::new().fallback(answer).with_state(dialect.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        dialect
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn reader(&self, path: &str) -> Reader {
        Reader::new(self.url(path))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut self.files().quirks);
    }

    pub(super) fn fail(&self, fault: impl Fn(&str) -> Option<Response> + Send + Sync + 'static) {
        self.files().fault = Some(Arc::new(fault));
    }

    pub(super) fn recover(&self) {
        self.files().fault = None;
    }

    pub(super) fn put(&self, name: &str, text: String) {
        let mut files = self.files();
        files.changes.push(name.to_owned());
        let revision = u32::try_from(files.changes.len()).unwrap();
        files.entries.insert(name.to_owned(), (revision, text));
    }

    pub(super) fn meeting(&self, name: &str, start: &str) {
        self.put(&format!("{name}.ics"), event(name, name, start, ""));
    }

    pub(super) fn delete(&self, name: &str) {
        let mut files = self.files();
        assert!(files.entries.remove(name).is_some());
        files.changes.push(name.to_owned());
    }

    pub(super) fn lose_tokens(&self) {
        self.files().era += 1;
    }

    /// What was asked since the last time, such as `PROPFIND /dav/` or `sync-collection …/work/`.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.files().asked)
    }
}

async fn answer(
    State(dialect): State<Dialect>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let mut files = dialect.files();
    let path = uri.path();
    let kinds = ["sync-collection", "calendar-multiget", "calendar-query"];
    let kind = kinds
        .into_iter()
        .find(|kind| body.contains(&format!("<C:{kind}")) || body.contains(&format!("<D:{kind}")));
    let kind = kind.unwrap_or(method.as_str()).to_owned();
    let question = format!("{kind} {path}");
    files.asked.push(question.clone());
    if let Some(answer) = files.fault.as_ref().and_then(|fault| fault(&question)) {
        return answer;
    }
    assert!(headers.contains_key("authorization"));
    let is_deep = headers.get("depth").is_some_and(|depth| depth == "1");
    match (kind.as_str(), path.trim_end_matches('/')) {
        ("PROPFIND", "") if files.quirks.root.is_some() => {
            let (status, body) = files.quirks.root.unwrap();
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        ("PROPFIND", "/.well-known/caldav") => {
            (StatusCode::MOVED_PERMANENTLY, [("location", "/dav/")]).into_response()
        }
        ("PROPFIND", "" | "/dav") => {
            let to = "<current-user-principal><href>/dav/p/maya/</href></current-user-principal>";
            several(&one(path, to), "")
        }
        ("PROPFIND", "/dav/p/maya") => {
            let home = &files.quirks.home;
            let to = format!("<C:calendar-home-set><href>{home}</href></C:calendar-home-set>");
            several(&one(path, &to), "")
        }
        ("PROPFIND", "/dav/calendars/maya") if is_deep => several(&files.home(), ""),
        ("PROPFIND", "/dav/calendars/maya") => {
            several(&one(HOME, "<resourcetype><collection/></resourcetype>"), "")
        }
        ("PROPFIND", "/dav/calendars/maya/work") if !is_deep => several(&files.work(), ""),
        ("PROPFIND", "/dav/calendars/maya/work") => several(&files.listed(|_, _| true), ""),
        ("sync-collection", _) => files.changed(&body),
        ("calendar-query", _) => {
            let misses = files.quirks.misses_series && body.contains("time-range");
            several(&files.listed(|_, text| !misses || !text.contains("RRULE:FREQ=W")), "")
        }
        ("calendar-multiget", _) => files.asked_for(&body),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Files {
    fn token(&self) -> String {
        format!("urn:token:{}:{}", self.era, self.changes.len())
    }

    fn work(&self) -> String {
        let mut props = format!(
            "<resourcetype><collection/><C:calendar/></resourcetype>{}",
            self.quirks.more_of_work
        );
        if self.quirks.syncs {
            write!(props, "<sync-token>{}</sync-token>", self.token()).unwrap();
        }
        if self.quirks.ctag {
            write!(props, "<S:getctag>{}</S:getctag>", self.changes.len()).unwrap();
        }
        one(&format!("{}{WORK}", self.quirks.hrefs), &props)
    }

    fn home(&self) -> String {
        let itself =
            "<resourcetype><collection/></resourcetype><owner><href>/dav/p/maya/</href></owner>";
        let home = one(&format!("{}{HOME}", self.quirks.hrefs), itself);
        home + &self.work() + &self.quirks.more_in_home
    }

    fn href(&self, name: &str) -> String {
        format!("{}{WORK}{name}", self.quirks.hrefs)
    }

    fn entry(&self, name: &str, with_text: bool) -> String {
        let Some((revision, text)) = self.entries.get(name) else {
            let gone = "<status>HTTP/1.1 404 Not Found</status>";
            return format!("<response><href>{}</href>{gone}</response>", self.href(name));
        };
        let mut props = format!("<getetag>\"{revision}\"</getetag>");
        if with_text {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('\r', "&#13;");
            write!(props, "<C:calendar-data>{text}</C:calendar-data>").unwrap();
        }
        one(&self.href(name), &props)
    }

    fn listed(&self, which: impl Fn(&str, &str) -> bool) -> String {
        let itself = if self.quirks.lists_itself { self.work() } else { String::new() };
        let all = self.entries.iter().filter(|(name, (_, text))| which(name, text));
        itself + &all.map(|(name, _)| self.entry(name, false)).collect::<String>()
    }

    fn changed(&self, body: &str) -> Response {
        let quirks = &self.quirks;
        if !quirks.syncs {
            return StatusCode::NOT_IMPLEMENTED.into_response();
        }
        let token = between(body, "<D:sync-token>", "</D:sync-token>").next().unwrap();
        let since = token.strip_prefix(&format!("urn:token:{}:", self.era));
        let since: usize = match (token, since.and_then(|count| count.parse().ok())) {
            ("", _) => 0,
            (_, Some(count)) => count,
            (_, None) => match quirks.lost {
                Some((status, body)) => {
                    return (StatusCode::from_u16(status).unwrap(), body).into_response();
                }
                // Accepted, and nothing is told.
                None => self.changes.len(),
            },
        };
        let until = self.changes.len().min(since.saturating_add(quirks.page));
        let mut names: Vec<&String> = self.changes[since..until].iter().collect();
        names.sort();
        names.dedup();
        if token.is_empty() {
            names.retain(|name| self.entries.contains_key(*name));
        }
        let mut all = if quirks.lists_itself { self.work() } else { String::new() };
        for name in names {
            all.push_str(&self.entry(name, quirks.inline && body.contains("calendar-data")));
        }
        if until < self.changes.len() {
            let cut = "<status>HTTP/1.1 507 Insufficient Storage</status><error>\
                       <number-of-matches-within-limits/></error>";
            write!(all, "<response><href>{WORK}</href>{cut}</response>").unwrap();
        }
        let next = format!("urn:token:{}:{until}", self.era);
        several(&all, quirks.next_token.unwrap_or(&next))
    }

    fn asked_for(&self, body: &str) -> Response {
        let with_text = body.contains("calendar-data");
        let names = between(body, "<D:href>", "</D:href>").map(|href| {
            assert!(href.starts_with(WORK), "{href}");
            href.strip_prefix(WORK).unwrap()
        });
        let known = names.filter(|name| *name != self.quirks.forgets);
        several(&known.map(|name| self.entry(name, with_text)).collect::<String>(), "")
    }
}

fn between<'t>(text: &'t str, from: &'t str, to: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(from).skip(1).map(move |rest| rest.split(to).next().unwrap())
}

/// What is said of one thing.
pub(super) fn one(href: &str, props: &str) -> String {
    format!(
        "<response><href>{href}</href><propstat><prop>{props}</prop>\
         <status>HTTP/1.1 200 OK</status></propstat></response>"
    )
}

pub(super) fn several(responses: &str, token: &str) -> Response {
    let token =
        if token.is_empty() { String::new() } else { format!("<sync-token>{token}</sync-token>") };
    let body = format!(
        "<?xml version='1.0'?>\n<multistatus xmlns='DAV:' xmlns:S='http://calendarserver.org/ns/' \
         xmlns:C='urn:ietf:params:xml:ns:caldav'>{responses}{token}</multistatus>"
    );
    (StatusCode::MULTI_STATUS, [("content-type", "application/xml")], body).into_response()
}
