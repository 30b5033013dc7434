//! Whether raw text from outside names a person, for whoever must find all of it.
//!
//! The text could not be understood, so it is not parsed: whatever escapes it holds, those of forms
//! (`%40`, `+`) and of JSON (`\u00e4`, `\"`), are undone layer by layer, and each reading is looked
//! through. What is looked for must stand there whole. An id of one person can begin that of
//! another, and a short name is a word of its own in somebody's language: a name counts if it has
//! two words or five letters, whatever stands between its words (`maya.brandt`). Whoever acts in
//! Slack is there by id, so a short name alone is seldom all there is.

use std::borrow::Cow;
use std::collections::HashSet;

/// JSON in a string of JSON in a field of a form, and one to spare.
const LAYERS: usize = 4;
const LETTERS: usize = 5;

/// How the outside calls a person.
#[derive(Debug, Clone, Default)]
pub struct Names {
    ids: Vec<String>,
    email: String,
    /// The words of the name, if it is one to go by.
    name: Vec<String>,
}

impl Names {
    /// `ids` of Slack's: the person's and that of their conversation.
    pub fn new<'n>(ids: impl IntoIterator<Item = &'n str>, email: &str, name: &str) -> Self {
        let ids = ids.into_iter().filter(|id| !id.is_empty()).map(str::to_owned).collect();
        let name = name.to_lowercase();
        let of_letters = |word: &&str| word.contains(char::is_alphabetic);
        let is_distinct = name.split_whitespace().filter(of_letters).count() > 1
            || name.chars().filter(|c| c.is_alphabetic()).count() >= LETTERS;
        let name = words(&name).filter(|_| is_distinct).map(str::to_owned).collect();
        Self { ids, email: email.trim().to_lowercase(), name }
    }

    /// Whether `raw` holds one of these, however it is wrapped.
    pub fn are_in(&self, raw: &str) -> bool {
        let mut seen = HashSet::new();
        let mut readings = vec![raw.to_owned()];
        for _ in 0..=LAYERS {
            if readings.iter().any(|text| self.are_plainly_in(text)) {
                return true;
            }
            let deeper: Vec<String> = readings
                .iter()
                .flat_map(|text| [without_form(text), without_json(text)])
                .filter_map(|read| match read {
                    Cow::Owned(read) => Some(read),
                    Cow::Borrowed(_) => None,
                })
                .filter(|read| seen.insert(read.clone()))
                .collect();
            readings = deeper;
        }
        false
    }

    fn are_plainly_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        self.ids.iter().any(|id| has_id(text, id))
            || has_address(&lower, &self.email)
            || has_phrase(&lower, &self.name)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Where `what` stands in `text`, with what is before and behind it.
fn places<'t>(text: &'t str, what: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let found = text.match_indices(what).filter(|_| !what.is_empty());
    found.map(|(at, _)| (&text[..at], &text[at + what.len()..]))
}

fn has_id(text: &str, id: &str) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    places(text, id).any(|(before, after)| {
        !goes_on(before.chars().next_back()) && !goes_on(after.chars().next())
    })
}

/// A dot or a dash belongs to an address only if it goes on behind it.
fn has_address(text: &str, email: &str) -> bool {
    fn goes_on(mut away: impl Iterator<Item = char>) -> bool {
        match away.next() {
            Some('.' | '-' | '+' | '_') => away.next().is_some_and(char::is_alphanumeric),
            next => next.is_some_and(char::is_alphanumeric),
        }
    }
    places(text, email)
        .any(|(before, after)| !goes_on(before.chars().rev()) && !goes_on(after.chars()))
}

fn has_phrase(text: &str, name: &[String]) -> bool {
    let Some(first) = name.first() else {
        return false;
    };
    let mut rest = words(text);
    while let Some(word) = rest.next() {
        if word == first && rest.clone().take(name.len() - 1).eq(name[1..].iter()) {
            return true;
        }
    }
    false
}

/// With the escapes of a form undone; borrowed if there are none.
fn without_form(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let bytes = text.as_bytes();
    let mut read = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        read.push(match (escaped, byte) {
            (Some(escaped), _) => escaped,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&read).into_owned())
}

/// With the escapes of JSON undone; borrowed if there are none.
fn without_json(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        read.push_str(before);
        let mut units = Vec::new();
        rest = escape;
        // Letters beyond the first plane are two escapes.
        while let Some((unit, after)) = unit(rest) {
            units.push(unit);
            let next = after.strip_prefix('\\').filter(|next| next.starts_with('u'));
            rest = next.unwrap_or(after);
            if next.is_none() {
                break;
            }
        }
        read.push_str(&String::from_utf16_lossy(&units));
        if units.is_empty() {
            let mut letters = rest.chars();
            match letters.next() {
                Some('n' | 'r' | 't' | 'b' | 'f') => read.push('\n'),
                Some(other) => read.push(other),
                None => {}
            }
            rest = letters.as_str();
        }
    }
    read.push_str(rest);
    Cow::Owned(read)
}

/// `u00e4…` → 0xe4 and what follows.
fn unit(text: &str) -> Option<(u16, &str)> {
    let digits = text.strip_prefix('u')?;
    let unit = u16::from_str_radix(digits.get(..4)?, 16).ok()?;
    Some((unit, &digits[4..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn maya() -> Names {
        Names::new(["U0MAYA", "D0MAYA"], "maya@own.example", "Maya Bränd")
    }

    #[test]
    fn s20_a_person_is_found_however_they_are_wrapped() {
        for raw in [
            r#"{"user":"U0MAYA""#,
            r#"{"channel":"D0MAYA"}"#,
            "payload=%7B%22user%22%3A%22U0MAYA%22",
            "user_id=U0MAYA&x",
            r"<@U0MAYA|maya>",
            "user%3DU0MAYA",
            r#""text":"hi\nU0MAYA""#,
            r#"{"email":"Maya@Own.Example"}"#,
            "text=ask+maya%40own.example.",
            "<mailto:maya@own.example|her>",
            r#""email":"maya\u0040own.example""#,
            r#""value":"{\"email\":\"maya\\u0040own.example\"}""#,
            "payload=%7B%22name%22%3A%22Maya+Br%5Cu00e4nd%22%7D",
            "text=Maya%20Br%C3%A4nd%27s",
            r#""name":"MAYA BR\u00c4ND""#,
            "maya.bränd",
            "broken % + \\ \\u12 %zz but Maya Bränd",
        ] {
            assert!(maya().are_in(raw), "{raw}");
        }
    }

    #[test]
    fn s20_others_are_not_taken_for_them() {
        for raw in [
            "",
            r#"{"user":"U0MAYA2","channel":"XD0MAYA"}"#,
            "user=u0maya",
            "email=xmaya%40own.example",
            "maya@own.example.org",
            "x.maya@own.example",
            "Maya Brändle",
            "Amaya Bränd",
            "Maya said so, Bränd did not",
            "brand maya",
        ] {
            assert!(!maya().are_in(raw), "{raw}");
        }
    }

    #[test]
    fn s20_a_short_name_is_not_gone_by() {
        let named = |name| Names::new([], "x@own.example", name);
        assert!(!named("Bo").are_in("tell Bo about it") && !named("").are_in("x"));
        assert!(!named("7 8").are_in("7 8"));
        assert!(named("Bo Li").are_in("tell bo-li about it"));
        assert!(named("Sören").are_in(r"tell S\u00f6ren") && !named("Sören").are_in("Sörens"));
        assert!(named("Bo \u{1d4d0}").are_in(r"Bo \ud835\udcd0"));
    }

    proptest! {
        #[test]
        fn s20_no_text_makes_the_search_panic(raw in r"[\\u%+0-9a-fü\PC]{0,80}") {
            maya().are_in(&raw);
        }

        #[test]
        fn s20_a_form_around_json_hides_nobody(before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
            let json = serde_json::json!({ "a": before, "user": "U0MAYA", "z": after }).to_string();
            let form: Vec<String> = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let form = format!("payload={}", form.concat());
            prop_assert!(maya().are_in(&json) && maya().are_in(&form));
        }
    }
}
