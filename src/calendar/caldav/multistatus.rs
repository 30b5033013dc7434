//! What a server says of several things at once (207).
//!
//! A property counts only where the server says that it found it. Servers differ in how they say that
//! they left something out; each way of it is a status 507 here.

use super::xml::{Element, NOT_XML, read};

/// Not everything that was asked for is told.
pub(super) const CUT_SHORT: u16 = 507;

/// A whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) responses: Vec<Response>,
    /// What a later `sync-collection` begins with.
    pub(super) token: Option<String>,
}

/// What is said of one thing.
#[derive(Debug, Default)]
pub(super) struct Response {
    /// As it stands in the answer.
    pub(super) href: String,
    /// Of the thing as a whole; `None` where its properties are told.
    pub(super) status: Option<u16>,
    pub(super) props: Props,
}

/// The properties that were found.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub(super) struct Props {
    pub(super) etag: Option<String>,
    /// An entry of a calendar.
    pub(super) data: Option<String>,
    pub(super) token: Option<String>,
    /// Changes whenever the calendar does.
    pub(super) ctag: Option<String>,
    /// Who we are.
    pub(super) principal: Option<String>,
    /// Where that person's calendars are.
    pub(super) homes: Vec<String>,
    /// Whose it is.
    pub(super) owner: Option<String>,
    pub(super) is_collection: bool,
    pub(super) is_calendar: bool,
    /// A feed of somebody else's.
    pub(super) is_subscribed: bool,
    /// Or it does not tell what it holds.
    pub(super) holds_events: bool,
    /// Or it does not tell what we may do.
    pub(super) may_read: bool,
    /// What is in it does not make its owner busy.
    pub(super) is_free: bool,
}

impl Answer {
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        let root = read(body)?;
        if root.name != "D:multistatus" {
            return Err(NOT_XML);
        }
        let mut answer =
            Self { token: root.word("D:sync-token").map(str::to_owned), ..Self::default() };
        for response in root.all("D:response") {
            let status = status(response);
            for href in response.all("D:href") {
                answer.responses.push(Response {
                    href: href.text.trim().to_owned(),
                    status,
                    props: props(response),
                });
            }
        }
        Ok(answer)
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.responses.iter().any(|response| response.status == Some(CUT_SHORT))
    }
}

fn status(response: &Element) -> Option<u16> {
    let limited = |error: &Element| error.child("D:number-of-matches-within-limits").is_some();
    if response.child("D:error").is_some_and(limited) {
        return Some(CUT_SHORT);
    }
    code(response)
}

/// `HTTP/1.1 404 Not Found` → 404.
fn code(element: &Element) -> Option<u16> {
    element.word("D:status")?.split_whitespace().nth(1)?.parse().ok()
}

fn props(response: &Element) -> Props {
    let mut props = Props { holds_events: true, may_read: true, ..Props::default() };
    let is_found = |part: &&Element| code(part).is_none_or(|code| (200..300).contains(&code));
    for part in response.all("D:propstat").filter(is_found) {
        for prop in part.all("D:prop").flat_map(|prop| &prop.children) {
            take(prop, &mut props);
        }
    }
    props
}

fn take(prop: &Element, props: &mut Props) {
    let text = || Some(prop.text.trim().to_owned()).filter(|text| !text.is_empty());
    let has = |name: &str| prop.child(name).is_some();
    match prop.name {
        "D:getetag" => props.etag = text(),
        "C:calendar-data" => props.data = text(),
        "D:sync-token" => props.token = text(),
        "S:getctag" => props.ctag = text(),
        // Some servers tell it of every calendar, empty.
        "S:source" => props.is_subscribed |= prop.word("D:href").is_some(),
        "D:current-user-principal" => props.principal = prop.word("D:href").map(str::to_owned),
        "D:owner" => props.owner = prop.word("D:href").map(str::to_owned),
        "C:calendar-home-set" => {
            props.homes = prop.all("D:href").map(|href| href.text.trim().to_owned()).collect();
        }
        "D:resourcetype" => {
            props.is_collection = has("D:collection");
            props.is_calendar =
                has("C:calendar") && !has("C:schedule-inbox") && !has("C:schedule-outbox");
            props.is_subscribed |= has("S:subscribed");
        }
        "C:supported-calendar-component-set" => {
            let mut all = prop.all("C:comp").peekable();
            props.holds_events =
                all.peek().is_none() || all.any(|comp| comp.text.eq_ignore_ascii_case("VEVENT"));
        }
        "D:current-user-privilege-set" => {
            let mut all = prop.all("D:privilege").peekable();
            props.may_read = all.peek().is_none()
                || all.any(|one| one.child("D:read").is_some() || one.child("D:all").is_some());
        }
        "C:schedule-calendar-transp" => props.is_free = has("C:transparent"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(responses: &str) -> Answer {
        let body = format!(
            "<multistatus xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav' \
             xmlns:S='http://calendarserver.org/ns/'>{responses}</multistatus>"
        );
        Answer::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_was_found_counts() {
        let all = answer(
            "<response><href> /a/ </href><propstat><prop><resourcetype><collection/><C:calendar/>\
             </resourcetype><getetag>\"1\"</getetag></prop><status>HTTP/1.1 200 OK</status>\
             </propstat><propstat><prop><S:getctag>x</S:getctag><owner><href>/o</href></owner>\
             </prop><status>HTTP/1.1 404 Not Found</status></propstat></response>\
             <response><href>/b</href><href>/c</href><status>HTTP/1.1 404 Not Found</status>\
             </response>",
        );
        let [first, second, third] = all.responses.as_slice() else { panic!("{all:?}") };
        assert_eq!((first.href.as_str(), first.status), ("/a/", None));
        assert!(first.props.is_calendar && first.props.holds_events && first.props.may_read);
        assert_eq!(first.props.etag.as_deref(), Some("\"1\""));
        assert_eq!((&first.props.ctag, &first.props.owner), (&None, &None));
        assert_eq!((second.status, third.status), (Some(404), Some(404)));
        assert!(!all.is_cut_short());
    }

    #[test]
    fn collections_tell_what_they_are() {
        let props = |text: &str| {
            let text = format!(
                "<response><href>/</href><propstat><prop>{text}</prop></propstat></response>"
            );
            answer(&text).responses.remove(0).props
        };
        let comps = |name: &str| {
            let comp = format!("<C:comp name='{name}'/>");
            props(&format!(
                "<C:supported-calendar-component-set>{comp}</C:supported-calendar-component-set>"
            ))
        };
        assert!(comps("vevent").holds_events && !comps("VTODO").holds_events);
        let may = |what: &str| {
            let one = format!("<privilege>{what}</privilege>");
            props(&format!("<current-user-privilege-set>{one}</current-user-privilege-set>"))
                .may_read
        };
        assert!(may("<read/>") && may("<all/>") && !may("<C:read-free-busy/>"));
        let kind = |what: &str| props(&format!("<resourcetype><collection/>{what}</resourcetype>"));
        assert!(kind("<C:calendar/><S:subscribed/>").is_subscribed);
        assert!(!kind("<C:schedule-inbox/>").is_calendar);
        let free = "<C:schedule-calendar-transp><C:transparent/></C:schedule-calendar-transp>";
        assert!(props(free).is_free);
    }

    #[test]
    fn each_way_of_leaving_out_is_seen() {
        for way in [
            "<status>HTTP/1.1 507 Insufficient Storage</status>",
            "<status>HTTP/1.1 403 Forbidden</status><error><number-of-matches-within-limits/></error>",
        ] {
            assert!(answer(&format!("<response><href>/c/</href>{way}</response>")).is_cut_short());
        }
    }
}
