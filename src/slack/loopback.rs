//! A small pretend Slack on 127.0.0.1, for the tests of the client and the socket.
//!
//! Answers to a method are given in the order in which a test put them; without any, Slack says
//! yes. Every socket that is opened is handed to the test.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{SlackMessenger, SlackSettings, Token};
use super::pace::Pace;

/// No test waits longer for anything.
pub(super) const SOON: Duration = Duration::from_secs(5);

pub(super) enum Answer {
    Json(Value),
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Half an answer, then the connection breaks.
    CutOff,
    Never,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) token: Option<String>,
    pub(super) query: String,
    pub(super) body: Value,
}

#[derive(Clone)]
struct Pretend {
    url: String,
    answers: Arc<Mutex<HashMap<String, VecDeque<Answer>>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    sockets: mpsc::UnboundedSender<WebSocket>,
}

pub(super) struct Loopback {
    pub(super) url: String,
    pretend: Pretend,
    sockets: mpsc::UnboundedReceiver<WebSocket>,
}

impl Loopback {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, sockets) = mpsc::unbounded_channel();
        let pretend = Pretend {
            url: url.clone(),
            answers: Arc::default(),
            requests: Arc::default(),
            sockets: tell,
        };
        let router = Router::new()
            .route("/socket", get(open_socket))
            .route("/api/{method}", any(call))
            .with_state(pretend.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, pretend, sockets }
    }

    pub(super) fn messenger(&self) -> SlackMessenger {
        self.paced_messenger(Pace::unlimited())
    }

    pub(super) fn paced_messenger(&self, pace: Pace) -> SlackMessenger {
        SlackMessenger::new(SlackSettings {
            api_url: format!("{}/api", self.url),
            bot_token: Token::new("xoxb-bot"),
            app_token: Some(Token::new("xapp-app")),
            pace: Arc::new(pace),
        })
        .unwrap()
    }

    /// The next call of `method` that has no answer yet gets this one.
    pub(super) fn will_answer(&self, method: &str, answer: Answer) {
        let mut answers = self.pretend.answers.lock().unwrap();
        answers.entry(method.into()).or_default().push_back(answer);
    }

    pub(super) fn will_say(&self, method: &str, answer: Value) {
        self.will_answer(method, Answer::Json(answer));
    }

    pub(super) fn requests(&self, method: &str) -> Vec<Request> {
        let requests = self.pretend.requests.lock().unwrap();
        let same = requests.iter().filter(|request| request.method == method);
        same.cloned().collect()
    }

    pub(super) async fn socket(&mut self) -> Peer {
        self.socket_within(SOON).await
    }

    pub(super) async fn socket_within(&mut self, patience: Duration) -> Peer {
        let socket = tokio::time::timeout(patience, self.sockets.recv()).await;
        Peer(socket.unwrap().unwrap())
    }
}

/// Slack's end of a socket.
pub(super) struct Peer(pub(super) WebSocket);

impl Peer {
    pub(super) async fn say(&mut self, frame: &Value) {
        let text = Message::Text(frame.to_string().into());
        self.0.send(text).await.unwrap();
    }

    pub(super) async fn hello(&mut self) {
        self.say(&json!({
            "type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"},
            "debug_info": {"host": "applink-7", "approximate_connection_time": 18060},
        }))
        .await;
    }

    /// What the bot says next; `None` once it has closed.
    pub(super) async fn hear(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(SOON, self.0.recv()).await.unwrap();
            match message {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).ok(),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            }
        }
    }
}

async fn open_socket(State(pretend): State<Pretend>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| {
        let _ = pretend.sockets.send(socket);
    })
}

async fn call(
    State(pretend): State<Pretend>,
    Path(method): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = headers.get("authorization");
    pretend.requests.lock().unwrap().push(Request {
        method: method.clone(),
        token: token.map(|token| token.to_str().unwrap().to_owned()),
        query: query.unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    let answer = {
        let mut answers = pretend.answers.lock().unwrap();
        answers.get_mut(&method).and_then(VecDeque::pop_front)
    };
    match answer.unwrap_or_else(|| Answer::Json(yes(&method, &pretend.url))) {
        Answer::Json(answer) => (
            [("content-type", "application/json"), ("x-oauth-scopes", "chat:write,commands")],
            answer.to_string(),
        )
            .into_response(),
        Answer::Status(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Answer::Never => std::future::pending().await,
        Answer::CutOff => {
            let parts =
                [Ok(Bytes::from_static(b"{\"ok\":true,")), Err(std::io::Error::other("cut"))];
            let body = Body::from_stream(futures_util::stream::iter(parts));
            ([("content-type", "application/json")], body).into_response()
        }
    }
}

fn yes(method: &str, url: &str) -> Value {
    match method {
        "auth.test" => json!({"ok": true, "url": "https://acme.slack.com/", "team": "Acme",
            "user": "debrief", "team_id": "T1", "user_id": "UBOT", "bot_id": "B1"}),
        "apps.connections.open" => {
            json!({"ok": true, "url": format!("{}/socket", url.replace("http://", "ws://"))})
        }
        "conversations.open" => json!({"ok": true, "channel": {"id": "D1"}}),
        "chat.postMessage" | "chat.update" => {
            json!({"ok": true, "channel": "D1", "ts": "1795446000.000100", "message": {"metadata":
                {"event_type": "x", "event_payload": {"n": 1}}}})
        }
        "views.open" => json!({"ok": true, "view": {"id": "V1"}}),
        _ => json!({"ok": true}),
    }
}
