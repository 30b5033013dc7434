//! The log: what goes in, and what is taken out of it again.
//!
//! Nothing secret is logged in the first place: errors of libraries are mapped to codes where they
//! enter, and libraries themselves are heard from `warn` upwards only, because at `trace` some print
//! every frame with what people wrote. [`scrubbed`] is the second line of defence: whatever looks
//! like a token, an address of a person or a secret address of a calendar is cut out of each line,
//! wherever it came from.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::LogFormat;

/// Begins to log to standard error. `level` is for our own lines.
///
/// # Errors
/// If `level` is none.
pub fn start(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let lines = fmt::layer().with_writer(Scrubbing(io::stderr));
    let lines = match format {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Human => lines.with_ansi(io::stderr().is_terminal()).boxed(),
    };
    registry().with(lines.with_filter(filter(level).parse::<Targets>()?)).init();
    Ok(())
}

/// What is let through: our own lines from `level` on, those of libraries from `warn` on. The
/// library that talks to Slack logs addresses that are as good as tokens: it stays silent.
pub fn filter(level: &str) -> String {
    match level {
        "off" | "error" => level.to_owned(),
        _ => format!("warn,debrief={level},slack_morphism=off"),
    }
}

/// Scrubs whatever is written through it; a line comes in one piece.
#[derive(Debug, Clone, Copy)]
pub struct Scrubbing<W>(pub W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Scrubbing<W> {
    type Writer = Scrubbed<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Scrubbed(self.0.make_writer())
    }
}

/// Where lines go once they are clean.
#[derive(Debug)]
pub struct Scrubbed<W>(W);

impl<W: Write> Write for Scrubbed<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(scrubbed(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// `text` without tokens, without what follows the server in web addresses, without the addresses
/// of people.
pub fn scrubbed(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for (mark, clean) in RULES {
        if text.contains(mark) {
            text = Cow::Owned(clean(&text, mark));
        }
    }
    text
}

type Rule = (&'static str, fn(&str, &str) -> String);

/// Web addresses first: they may hold the other things.
const RULES: [Rule; 6] = [
    ("://", without_paths),
    ("hooks.slack.com/", without_rest),
    ("xox", without_tokens),
    ("xapp-", without_tokens),
    ("@", without_people),
    ("%40", without_people),
];

fn ends_an_address(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`' | '|')
}

/// `https://me@host/secret?x` → `https://host/…`
fn without_paths(text: &str, mark: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        let (before, after) = rest.split_at(at + mark.len());
        out.push_str(before);
        let end = after.find(ends_an_address).unwrap_or(after.len());
        let (address, after) = after.split_at(end);
        let host = address.split(['/', '?', '#']).next().unwrap_or_default();
        let place = host.rsplit_once('@').map_or(host, |(_, place)| place);
        out.push_str(place);
        if address.len() > host.len() {
            out.push_str("/…");
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn without_rest(text: &str, mark: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        let (before, after) = rest.split_at(at + mark.len());
        out.push_str(before);
        out.push('…');
        rest = &after[after.find(ends_an_address).unwrap_or(after.len())..];
    }
    out.push_str(rest);
    out
}

/// `xoxb-1-2` → `xoxb-…`, and the same for the other kinds.
fn without_tokens(text: &str, mark: &str) -> String {
    let is_body = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '%');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        let (before, after) = rest.split_at(at + mark.len());
        out.push_str(before);
        let end = after.find(|c: char| !is_body(c)).unwrap_or(after.len());
        let (body, after) = after.split_at(end);
        // A kind of its own letters comes before the dash: `xoxb-`, `xoxe.xoxp-`.
        let kind =
            if mark.ends_with('-') { Some("") } else { body.find('-').map(|at| &body[..=at]) };
        match kind {
            Some(kind) if kind.len() <= 8 && body.len() > kind.len() => {
                out.push_str(kind);
                out.push('…');
            }
            _ => out.push_str(body),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `kim@acme.example` → `…@…`
fn without_people(text: &str, mark: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || "._+-!#$&*/=?^{}~".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        let (before, after) = (&rest[..at], &rest[at + mark.len()..]);
        let name = before.trim_end_matches(is_name);
        let domain = &after[..after.find(|c| !is_domain(c)).unwrap_or(after.len())];
        if name.len() < before.len() && domain.trim_matches('.').contains('.') {
            out.push_str(name);
            out.push_str("…@…");
            rest = &after[domain.len()..];
        } else {
            out.push_str(&rest[..at + mark.len()]);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[test]
    fn s14_secrets_are_cut_out_of_a_line_wherever_they_stand() {
        for (said, shown) in [
            ("token xoxb-1234-abcDEF!", "token xoxb-…!"),
            ("{\"t\":\"xoxp-9\",\"u\":\"xapp-1-A0-9-f\"}", "{\"t\":\"xoxp-…\",\"u\":\"xapp-…\"}"),
            ("xoxe.xoxp-1-Mi0y and xoxs-1", "xoxe.xoxp-… and xoxs-…"),
            ("boxed xoxo and foxes", "boxed xoxo and foxes"),
            (
                "posting to hooks.slack.com/services/T0/B0/x, again",
                "posting to hooks.slack.com/… again",
            ),
            ("(wss://wss.slack.com/link/?ticket=a&app_id=b)", "(wss://wss.slack.com/…"),
            ("https://cal.example/private-0f3c/basic.ics", "https://cal.example/…"),
            ("webcal://me:pw@cal.example:8443?key=1", "webcal://cal.example:8443/…"),
            ("listening on http://127.0.0.1:9464", "listening on http://127.0.0.1:9464"),
            ("to kim.lee+x@acme.example.", "to …@…"),
            ("mailto:kim@bücher.example now", "mailto:…@… now"),
            ("kim%40acme.example", "…@…"),
            ("@here and a@b and 12@", "@here and a@b and 12@"),
            ("nothing at all – ünïcode 👍", "nothing at all – ünïcode 👍"),
        ] {
            assert_eq!(scrubbed(said), shown);
        }
    }

    #[test]
    fn s14_libraries_are_heard_from_warnings_on() {
        assert_eq!(filter("trace"), "warn,debrief=trace,slack_morphism=off");
        assert_eq!(filter("off"), "off");
        assert_eq!(filter("error"), "error");
    }

    #[test]
    fn s14_whole_lines_go_through_the_scrubber() {
        let scrubbing = Scrubbing(std::sync::Mutex::new(Vec::new()));
        let line = b"WARN lib: sent xoxb-1-2 to https://cal.example/a.ics\n";
        scrubbing.make_writer().write_all(line).unwrap();
        let lines = String::from_utf8(scrubbing.0.into_inner().unwrap()).unwrap();
        assert_eq!(lines, "WARN lib: sent xoxb-… to https://cal.example/…\n");
    }

    proptest! {
        #[test]
        fn s14_scrubbing_never_panics_and_leaves_no_token(
            before in any::<String>(),
            after in "[ -~é]{0,20}",
        ) {
            let line = format!("{before} xoxb-12345-secret {after} k@acme.example");
            let clean = scrubbed(&line);
            prop_assert!(!clean.contains("secret") && !clean.contains("acme.example"));
        }
    }
}
