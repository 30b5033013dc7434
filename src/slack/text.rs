//! The one place that makes text safe for Slack, and the one that undoes Slack's own escaping.
//!
//! Top-level message text is markup and must be escaped; `plain_text` and `rich_text` show what they
//! are given, so it is only cleaned and cut. Slack does not say in which unit it counts; we count
//! UTF-16 units, of which no text has fewer than characters.

const ELLIPSIS: char = '…';

/// Escapes for message text, within `max` units after escaping.
pub(super) fn escape(text: &str, max: usize) -> String {
    let mut whole = String::with_capacity(text.len());
    for c in cleaned(text) {
        push_escaped(&mut whole, c);
    }
    if units(&whole) <= max {
        return whole;
    }
    let mut out = String::new();
    let mut left = max.saturating_sub(1);
    for c in cleaned(text) {
        let before = out.len();
        push_escaped(&mut out, c);
        let Some(rest) = left.checked_sub(units(&out[before..])) else {
            out.truncate(before);
            break;
        };
        left = rest;
    }
    out.push(ELLIPSIS);
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

/// Cleans and cuts for a place that takes text literally.
pub(super) fn literal(text: &str, max: usize) -> String {
    cut(&cleaned(text).collect::<String>(), max)
}

/// As [`literal`], on one line and never empty: Slack refuses empty labels.
pub(super) fn label(text: &str, max: usize) -> String {
    let line: String = cleaned(text).map(|c| if c == '\n' { ' ' } else { c }).collect();
    let line = cut(line.trim(), max);
    if line.is_empty() { "–".into() } else { line }
}

/// Cuts to `max` units, the ellipsis included, and not between a letter and what modifies it.
fn cut(text: &str, max: usize) -> String {
    if units(text) <= max {
        return text.to_owned();
    }
    let mut left = max.saturating_sub(1);
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let Some(rest) = left.checked_sub(c.len_utf16()) else {
            break;
        };
        left = rest;
        end = at + c.len_utf8();
    }
    while let Some(c) = text[end..].chars().next()
        && (modifies(c) || text[..end].ends_with('\u{200d}'))
    {
        let Some(last) = text[..end].chars().next_back() else {
            break;
        };
        end -= last.len_utf8();
    }
    let mut out = text[..end].trim_end().to_owned();
    out.push(ELLIPSIS);
    out
}

/// Belongs to the character before it: accents, joiners, variation selectors, skin tones.
fn modifies(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// Leaves out what can turn a line around or hide in it; keeps line breaks and emoji joiners.
fn cleaned(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter_map(|c| match c {
        '\n' => Some('\n'),
        '\t' => Some(' '),
        '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => None,
        c if c.is_control() => None,
        c => Some(c),
    })
}

pub(super) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// What a person typed, from `event.text`: Slack's links become what the person saw, and its three
/// escapes are undone once. A `<` that the person typed arrives escaped, so every raw one is Slack's.
pub(super) fn typed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&unescape(&rest[..open]));
        let Some(close) = rest[open..].find('>') else {
            rest = &rest[open..];
            break;
        };
        out.push_str(&unescape(&seen(&rest[open + 1..open + close])));
        rest = &rest[open + close + 1..];
    }
    out.push_str(&unescape(rest));
    out
}

/// What Slack shows for the inside of a `<…>`. People keep their id: names change.
fn seen(inside: &str) -> String {
    let (target, name) = inside.split_once('|').unwrap_or((inside, ""));
    match (target.chars().next(), name) {
        (Some('#'), name) if !name.is_empty() => format!("#{name}"),
        (Some('@' | '#'), _) => format!("<{target}>"),
        (Some('!'), "") => format!("@{}", &target[1..]),
        (_, "") => target.to_owned(),
        (_, name) => name.to_owned(),
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_of_a_person_is_markup() {
        for (raw, safe) in [
            ("<!channel> & co", "&lt;!channel&gt; &amp; co"),
            ("<http://evil|Bank>", "&lt;http://evil|Bank&gt;"),
            ("&amp;", "&amp;amp;"),
            ("a\u{202e}b\u{2066}c\u{0}d\r\ne", "abcd\ne"),
        ] {
            assert_eq!(escape(raw, 100), safe);
        }
    }

    #[test]
    fn cutting_respects_characters() {
        assert_eq!(literal("abcdef", 6), "abcdef");
        assert_eq!(literal("abcdefg", 6), "abcde…");
        assert_eq!(literal("ééééééé", 4), "ééé…");
        assert_eq!(literal("ab👍🏽cd", 5), "ab…");
        assert_eq!(literal("a👩\u{200d}🚀bcdef", 6), "a…");
        assert_eq!(escape("<<<<", 9), "&lt;&lt;…");
        assert_eq!(label(" a\nb ", 9), "a b");
        assert_eq!(label("\u{202e}\n", 9), "–");
    }

    #[test]
    fn what_was_typed_comes_back() {
        for (slack, person) in [
            ("it went well &amp; fast", "it went well & fast"),
            ("&amp;lt; 3", "&lt; 3"),
            ("a &lt;b&gt;", "a <b>"),
            ("see <http://acme.com|acme.com>.", "see acme.com."),
            ("<https://acme.com/?a=1&amp;b=2>", "https://acme.com/?a=1&b=2"),
            ("<mailto:a@b.c|a@b.c>", "a@b.c"),
            ("<@U1|dana> in <#C1|sales>, <!here>", "<@U1> in #sales, @here"),
            ("odd < end", "odd < end"),
        ] {
            assert_eq!(typed(slack), person);
        }
    }

    proptest! {
        #[test]
        fn escaped_text_is_short_and_without_markup(text in any::<String>(), max in 1_usize..60) {
            let out = escape(&text, max);
            prop_assert!(units(&out) <= max);
            prop_assert!(!out.contains(['<', '>']));
        }

        #[test]
        fn literal_text_is_short(text in any::<String>(), max in 1_usize..60) {
            prop_assert!(units(&literal(&text, max)) <= max);
            let label = label(&text, max);
            prop_assert!(units(&label) <= max && !label.is_empty());
        }

        #[test]
        fn typing_survives_the_way_there_and_back(text in "[a-z&<>;#@ ]{0,30}") {
            prop_assert_eq!(typed(&escape(&text, 10_000)), text);
        }
    }
}
