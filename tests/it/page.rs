//! The demo's page in a real browser. Skipped, with a word, where there is no Chromium.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use debrief::app::demo::Demo;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1280,800",
    "about:blank",
];

/// A browser with one page, spoken to through its debugging protocol.
struct Browser {
    process: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    calls: u64,
    /// What the page complained of.
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// `None` if there is no browser on this machine.
    async fn start() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let started = ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| {
            Command::new(name)
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .args(FLAGS)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .ok()
        });
        let mut process = started?;
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let listening = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once("DevTools listening on ws://").map(|(_, address)| address.to_owned())
        });
        // Whatever else it says is of no interest, but it must be able to say it.
        std::thread::spawn(move || lines.for_each(drop));
        let host = listening.unwrap().split('/').next().unwrap().to_owned();
        let pages = reqwest::get(format!("http://{host}/json")).await.unwrap();
        let pages: Vec<Value> = serde_json::from_str(&pages.text().await.unwrap()).unwrap();
        let page = pages.iter().find(|page| page["type"] == "page").unwrap();
        let address = page["webSocketDebuggerUrl"].as_str().unwrap();
        let (socket, _) = connect_async(address).await.unwrap();
        let mut browser = Self { process, socket, calls: 0, complaints: vec![], _profile: profile };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({})).await;
        }
        Some(browser)
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let call = json!({ "id": self.calls, "method": method, "params": parameters });
        self.socket.send(Message::text(call.to_string())).await.unwrap();
        loop {
            let frame = self.socket.next().await.unwrap().unwrap();
            let Ok(answer) = serde_json::from_str::<Value>(frame.to_text().unwrap()) else {
                continue;
            };
            let told = ["Runtime.exceptionThrown", "Log.entryAdded"];
            if told.iter().any(|method| answer["method"] == *method) {
                self.complaints.push(answer["params"].to_string());
            }
            if answer["id"] == self.calls {
                return answer["result"].clone();
            }
        }
    }

    /// What an expression in the page comes to.
    async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        self.call("Runtime.evaluate", parameters).await["result"]["value"].clone()
    }

    /// Waits until `condition` holds in the page.
    async fn until(&mut self, condition: &str) {
        let expression = format!(
            "new Promise((done, failed) => {{
                const holds = () => {{ try {{ return {condition}; }} catch {{ return false; }} }};
                if (holds()) return done(true);
                const watch = new MutationObserver(() => holds() && (watch.disconnect(), done(true)));
                watch.observe(document, {{
                    subtree: true, childList: true, attributes: true, characterData: true,
                }});
                setTimeout(() => done(document.body.innerText), 20000);
            }})"
        );
        let held = self.evaluate(&expression).await;
        assert_eq!(held, json!(true), "never: {condition}\n{held}\n{:?}", self.complaints);
    }

    async fn press(&mut self, label: &str) {
        let button = format!(
            "[...document.querySelectorAll('button')].findLast((one) =>
                one.checkVisibility() && one.innerText.trim().startsWith({label:?}))"
        );
        self.until(&format!("!!({button})")).await;
        self.evaluate(&format!("{button}.click()")).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_visitor_answers_as_maya_and_reads_the_digest_as_leo() {
    crate::world::install_tls();
    let Some(mut browser) = Browser::start().await else {
        eprintln!("SKIPPED: there is no chromium on this machine; `.ci/run` installs it");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(0, folder.path()).await.unwrap();
    browser.call("Page.navigate", json!({ "url": demo.playground.page_url() })).await;

    browser.press("Maya's 14:00 demo has ended").await;
    browser.until("document.querySelector('#list').innerText.includes('How did it end?')").await;
    browser.press("Answer").await;
    browser.until("!!document.querySelector('dialog[open] textarea')").await;
    browser.press("Save").await;
    browser.until("!!document.querySelector('dialog .error')").await;

    // The wording follows the ending, and what was typed stays.
    let typing = "(() => {
        const box = document.querySelector('dialog textarea');
        box.value = 'Let them <b>lead</b>';
        box.dispatchEvent(new Event('input', { bubbles: true }));
        [...document.querySelectorAll('dialog .choices label')]
            .find((one) => one.innerText.includes('act by a date')).querySelector('input').click();
    })()";
    browser.evaluate(typing).await;
    browser.until("!!document.querySelector('dialog input[type=date]')").await;
    let kept = browser.evaluate("document.querySelector('dialog textarea').value").await;
    assert_eq!(kept, json!("Let them <b>lead</b>"));
    let dating = "(() => {
        const date = document.querySelector('dialog input[type=date]');
        date.value = '2026-03-20';
        date.dispatchEvent(new Event('change', { bubbles: true }));
    })()";
    browser.evaluate(dating).await;
    browser.press("Save").await;
    browser.until("!document.querySelector('dialog[open]')").await;
    browser.until("document.querySelector('#list').innerText.includes('<b>lead</b>')").await;
    let smuggled = browser.evaluate("!!document.querySelector('#list b')").await;
    assert_eq!(smuggled, json!(false), "words never become markup");

    browser.press("Next Monday 08:00").await;
    browser.press("LM").await;
    browser
        .until("document.querySelector('#list').innerText.includes('Your team, 9–15 March')")
        .await;
    browser.until("document.querySelectorAll('#list .chart rect').length > 10").await;
    browser.press("Home").await;
    browser.until("document.querySelector('#home').innerText.includes('Your next digest')").await;
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    demo.stop().await;
}
