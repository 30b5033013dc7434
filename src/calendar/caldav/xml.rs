//! The XML of `WebDAV` answers, read into elements, within limits.
//!
//! Nothing is ever expanded: a document type is refused, and of references only characters and the
//! five names of XML are known. What is not in the list of names is skipped with all that it holds.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

/// Answers need nine.
const DEEPEST: usize = 24;
/// Each entry of a calendar takes about eight.
const MOST_ELEMENTS: usize = 400_000;

/// Why an answer is not read, in words for an administrator.
pub(super) const CUT: &str = "the server's answer breaks off in the middle";
pub(super) const NOT_XML: &str = "the server's answer is not understood; is it a CalDAV server?";
const DECLARES: &str = "the server's answer declares a document type, which is refused";
const TOO_DEEP: &str = "the server's answer is nested deeper than any calendar needs";
const TOO_MANY: &str = "the server's answer has too many parts; publish fewer past events";

const SPACES: [(&str, &str); 3] = [
    ("DAV:", "D:"),
    ("urn:ietf:params:xml:ns:caldav", "C:"),
    ("http://calendarserver.org/ns/", "S:"),
];

/// Every element that means something to us.
const NAMES: [&str; 30] = [
    "D:multistatus",
    "D:response",
    "D:href",
    "D:status",
    "D:propstat",
    "D:prop",
    "D:error",
    "D:number-of-matches-within-limits",
    "D:sync-token",
    "D:getetag",
    "D:resourcetype",
    "D:collection",
    "D:current-user-principal",
    "D:owner",
    "D:current-user-privilege-set",
    "D:privilege",
    "D:all",
    "D:read",
    "C:calendar",
    "C:calendar-data",
    "C:calendar-home-set",
    "C:comp",
    "C:schedule-calendar-transp",
    "C:schedule-inbox",
    "C:schedule-outbox",
    "C:supported-calendar-component-set",
    "C:transparent",
    "S:getctag",
    "S:source",
    "S:subscribed",
];

/// An element with what it holds.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// One of [`NAMES`].
    pub(super) name: &'static str,
    /// Its own text; of a `C:comp` the name of the component.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of a child without the space around it, if there is any.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }
}

/// Reads a whole document; its root.
pub(super) fn read(body: &[u8]) -> Result<Element, &'static str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let mut reader = NsReader::from_str(&text);
    let mut tree = Tree::default();
    loop {
        let Ok((space, event)) = reader.read_resolved_event() else {
            // What came so far says whether it was XML at all.
            return Err(if tree.open.is_empty() { NOT_XML } else { CUT });
        };
        match event {
            Event::Start(start) => tree.open(known(&space, &start), &start)?,
            Event::Empty(start) => {
                tree.open(known(&space, &start), &start)?;
                tree.close();
            }
            Event::End(_) => tree.close(),
            Event::Text(text) => tree.text(&text.xml10_content()),
            Event::CData(text) => tree.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let letter = match reference.resolve_char_ref() {
                    Ok(Some(letter)) => letter,
                    _ => named(&reference).ok_or(NOT_XML)?,
                };
                tree.text(letter.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(DECLARES),
            Event::Eof => break,
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
        }
        if tree.root.is_some() {
            break;
        }
    }
    match tree.root {
        Some(root) => Ok(root),
        None if tree.open.is_empty() => Err(NOT_XML),
        None => Err(CUT),
    }
}

fn named(reference: &str) -> Option<char> {
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn known(space: &ResolveResult<'_>, start: &BytesStart<'_>) -> Option<&'static str> {
    let ResolveResult::Bound(Namespace(space)) = space else {
        return None;
    };
    let (_, prefix) = SPACES.iter().find(|(known, _)| known == space)?;
    let name = start.local_name().into_inner();
    NAMES.into_iter().find(|known| known.strip_prefix(prefix) == Some(name))
}

/// What was read so far.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    /// How many elements are open that we do not know.
    skipped: usize,
    count: usize,
    root: Option<Element>,
}

impl Tree {
    fn open(
        &mut self,
        name: Option<&'static str>,
        start: &BytesStart<'_>,
    ) -> Result<(), &'static str> {
        self.count += 1;
        if self.count > MOST_ELEMENTS {
            return Err(TOO_MANY);
        }
        if self.open.len() + self.skipped >= DEEPEST {
            return Err(TOO_DEEP);
        }
        let Some(name) = name.filter(|_| self.skipped == 0) else {
            // A document that begins with something else is not what was asked for.
            if self.open.is_empty() {
                return Err(NOT_XML);
            }
            self.skipped += 1;
            return Ok(());
        };
        let mut element = Element { name, ..Element::default() };
        if name == "C:comp" {
            let component = start.try_get_attribute("name").ok().flatten();
            element.text = component.map(|one| one.value.to_string()).unwrap_or_default();
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut().filter(|_| self.skipped == 0) {
            element.text.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<d:multistatus xmlns:d='DAV:' xmlns:c='urn:ietf:params:xml:ns:caldav'>";

    fn refusal(body: &str) -> &'static str {
        read(body.as_bytes()).err().unwrap_or("none")
    }

    #[test]
    fn texts_are_read_in_every_spelling() {
        let body = format!(
            "\u{feff}<?xml version='1.0'?>{HEAD}<d:response><x><d:href>no</d:href></x><d:href>/a&amp;b\
             &#233;<![CDATA[<c>]]></d:href><c:comp name='VEVENT'/></d:response></d:multistatus>"
        );
        let root = read(body.as_bytes()).unwrap();
        let response = root.child("D:response").unwrap();
        assert_eq!(response.word("D:href"), Some("/a&bé<c>"));
        assert_eq!(response.word("C:comp"), Some("VEVENT"));
        assert_eq!(response.children.len(), 2, "what is unknown is skipped with all it holds");
        // The default namespace is as good.
        let root = read(b"<multistatus xmlns='DAV:'><sync-token> 7\n</sync-token></multistatus>");
        assert_eq!(root.unwrap().word("D:sync-token"), Some("7"));
    }

    #[test]
    fn s06_xml_that_tries_to_grow_is_refused() {
        let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>";
        assert_eq!(refusal(&format!("{bomb}{HEAD}<d:href>&b;</d:href></d:multistatus>")), DECLARES);
        assert_eq!(refusal(&format!("{HEAD}<d:href>&b;</d:href></d:multistatus>")), NOT_XML);
        let file = "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>";
        assert_eq!(refusal(&format!("{file}{HEAD}</d:multistatus>")), DECLARES);
        assert_eq!(refusal(&format!("{HEAD}{}", "<d:prop>".repeat(100_000))), TOO_DEEP);
        assert_eq!(refusal(&format!("{HEAD}{}", "<x>".repeat(100_000))), TOO_DEEP);
        assert_eq!(refusal(&format!("{HEAD}{}", "<x/>".repeat(MOST_ELEMENTS))), TOO_MANY);
    }

    #[test]
    fn what_is_no_answer_says_so() {
        for (body, reason) in [
            ("", NOT_XML),
            ("Please log in", NOT_XML),
            ("<html><body>Log in<br></body></html>", NOT_XML),
            ("<multistatus/>", NOT_XML),
            ("<d:multistatus xmlns:d='DAV:'><d:response>", CUT),
            ("<d:multistatus xmlns:d='DAV:'><d:response></d:multi", CUT),
            ("<d:multistatus xmlns:d='DAV:'><d:response></d:href>", CUT),
        ] {
            assert_eq!(refusal(body), reason, "{body}");
        }
    }
}
