//! Controls to `action_id` and `value`, and back.
//!
//! The value says everything; the `action_id` only has to be unique within its block, so whoever
//! builds a row may append to it. A history's query is percent-encoded, because Slack escapes some
//! values on their way back and not others.

use crate::domain::debrief::{DebriefId, Outcome, Snooze};
use crate::ports::inbound::Control;

/// What Slack takes in the value of a button.
const LONGEST_VALUE: usize = 2000;

/// A name for the control, good as an `action_id`.
pub(super) fn action_id(control: &Control) -> String {
    match control {
        Control::Ended { outcome, .. } => format!("ended.{}", outcome.as_str()),
        Control::Answer { .. } => "answer".into(),
        Control::Snooze { until, .. } => format!("snooze.{}", snooze_word(*until)),
        Control::Skip { .. } => "skip".into(),
        Control::Lock { .. } => "lock".into(),
        Control::Unlock { .. } => "unlock".into(),
        Control::Correct { .. } => "correct".into(),
        Control::Reworded { .. } => "reworded".into(),
        Control::Rough { .. } => "rough".into(),
        Control::Claim { debrief, .. } => format!("claim.{}", debrief.0),
        Control::Discard { .. } => "discard".into(),
        Control::History { .. } => "history".into(),
        Control::Log => "log".into(),
        Control::Resume => "resume".into(),
        Control::Nothing => "nothing".into(),
    }
}

/// At most 75 characters, except for a history's.
pub(super) fn value(control: &Control) -> String {
    match control {
        Control::Ended { debrief, outcome } => format!("ended:{}:{}", debrief.0, outcome.as_str()),
        Control::Answer { debrief } => format!("answer:{}", debrief.0),
        Control::Snooze { debrief, until } => {
            format!("snooze:{}:{}", debrief.0, snooze_word(*until))
        }
        Control::Skip { debrief } => format!("skip:{}", debrief.0),
        Control::Lock { debrief } => format!("lock:{}", debrief.0),
        Control::Unlock { debrief } => format!("unlock:{}", debrief.0),
        Control::Correct { debrief } => format!("correct:{}", debrief.0),
        Control::Reworded { debrief } => format!("reworded:{}", debrief.0),
        Control::Rough { debrief } => format!("rough:{}", debrief.0),
        Control::Claim { pending, debrief } => format!("claim:{pending}:{}", debrief.0),
        Control::Discard { pending } => format!("discard:{pending}"),
        Control::History { query, before } => {
            let before = before.map(|id| id.to_string()).unwrap_or_default();
            let mut value = format!("history:{before}:");
            encode(query, &mut value);
            value
        }
        Control::Log => "log".into(),
        Control::Resume => "resume".into(),
        Control::Nothing => "nothing".into(),
    }
}

/// The control that was written as `value`; `None` if it is none of ours.
pub(super) fn parse(value: &str) -> Option<Control> {
    let (name, rest) = value.split_once(':').unwrap_or((value, ""));
    let (first, second) = rest.split_once(':').unwrap_or((rest, ""));
    let debrief = || first.parse().ok().map(DebriefId);
    Some(match name {
        "ended" => Control::Ended { debrief: debrief()?, outcome: Outcome::parse(second)? },
        "answer" => Control::Answer { debrief: debrief()? },
        "snooze" => Control::Snooze { debrief: debrief()?, until: parse_snooze(second)? },
        "skip" => Control::Skip { debrief: debrief()? },
        "lock" => Control::Lock { debrief: debrief()? },
        "unlock" => Control::Unlock { debrief: debrief()? },
        "correct" => Control::Correct { debrief: debrief()? },
        "reworded" => Control::Reworded { debrief: debrief()? },
        "rough" => Control::Rough { debrief: debrief()? },
        "claim" => Control::Claim {
            pending: first.parse().ok()?,
            debrief: DebriefId(second.parse().ok()?),
        },
        "discard" => Control::Discard { pending: first.parse().ok()? },
        "history" => Control::History {
            query: decode(second)?,
            before: match first {
                "" => None,
                id => Some(id.parse().ok()?),
            },
        },
        "log" => Control::Log,
        "resume" => Control::Resume,
        "nothing" => Control::Nothing,
        _ => return None,
    })
}

fn snooze_word(snooze: Snooze) -> &'static str {
    match snooze {
        Snooze::OneHour => "one_hour",
        Snooze::AfterLunch => "after_lunch",
        Snooze::EndOfDay => "end_of_day",
    }
}

fn parse_snooze(word: &str) -> Option<Snooze> {
    Snooze::ALL.into_iter().find(|snooze| snooze_word(*snooze) == word)
}

/// Appends `text` percent-encoded, as much of it as fits a value.
fn encode(text: &str, out: &mut String) {
    use std::fmt::Write as _;

    for c in text.chars() {
        let before = out.len();
        if c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ':' | '@' | ',') {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02x}");
            }
        }
        if out.len() > LONGEST_VALUE {
            out.truncate(before);
            return;
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of each kind.
    pub(in crate::slack) fn all() -> Vec<Control> {
        let debrief = DebriefId(i64::MAX);
        let mut all = vec![
            Control::Answer { debrief },
            Control::Skip { debrief },
            Control::Lock { debrief },
            Control::Unlock { debrief },
            Control::Correct { debrief },
            Control::Reworded { debrief },
            Control::Rough { debrief },
            Control::Claim { pending: i64::MIN, debrief },
            Control::Discard { pending: 7 },
            Control::History {
                query: "@dana account:Acme \"100% <sure>\" since:30d ünï: &amp;".into(),
                before: Some(99),
            },
            Control::History { query: String::new(), before: None },
            Control::Log,
            Control::Resume,
            Control::Nothing,
        ];
        for outcome in Outcome::ALL {
            all.push(Control::Ended { debrief, outcome });
        }
        for until in Snooze::ALL {
            all.push(Control::Snooze { debrief, until });
        }
        all
    }

    #[test]
    fn every_control_comes_back() {
        for control in all() {
            let value = value(&control);
            assert_eq!(parse(&value).as_ref(), Some(&control), "{value}");
            assert!(action_id(&control).len() <= 100);
            if !matches!(control, Control::History { .. }) {
                assert!(value.len() <= 75, "{value}");
            }
        }
    }

    #[test]
    fn a_long_query_is_cut_between_characters() {
        let long = Control::History { query: "ü".repeat(2000), before: Some(i64::MIN) };
        let value = value(&long);
        assert!(value.len() <= LONGEST_VALUE);
        assert!(matches!(parse(&value), Some(Control::History { query, .. }) if query.len() > 500));
    }

    #[test]
    fn strange_values_are_no_controls() {
        for value in [
            "",
            "answer",
            "answer:x",
            "ended:1",
            "ended:1:maybe",
            "snooze:1:",
            "claim:1",
            "history::%",
            "history:x:",
            "history::%ff",
            "other:1",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
    }
}
