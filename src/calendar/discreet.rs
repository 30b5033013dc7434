//! What is kept of a calendar until it is read again: what the reading needs, and of private events
//! only when they are.
//!
//! The text is kept so that a server may answer "not modified" and a series goes on while its
//! calendar cannot be read. Descriptions, places and alarms are of no use for that, and the title
//! and the guests of a private event are nobody's business.

use super::parse::unfolded;

/// Properties of an event that say when it is, or which one.
const TIMES: [&str; 16] = [
    "CLASS",
    "DTEND",
    "DTSTAMP",
    "DTSTART",
    "DURATION",
    "EXDATE",
    "EXRULE",
    "LAST-MODIFIED",
    "RDATE",
    "RECURRENCE-ID",
    "RRULE",
    "SEQUENCE",
    "STATUS",
    "TRANSP",
    "UID",
    "X-MICROSOFT-CDO-BUSYSTATUS",
];
/// What is read of an event that is not private, besides.
const OPEN: [&str; 5] = ["ATTENDEE", "CONFERENCE", "ORGANIZER", "SUMMARY", "URL"];
/// Of the calendar itself.
const CALENDAR: [&str; 5] = ["CALSCALE", "METHOD", "PRODID", "VERSION", "X-WR-TIMEZONE"];

/// The text with what need not be kept left out. It reads the same, private titles and guests apart.
pub(super) fn discreet(text: &[u8]) -> Vec<u8> {
    let text = unfolded(text).text;
    let mut kept = String::with_capacity(text.len());
    // The components that are open, and the lines of the event that is.
    let mut open: Vec<String> = Vec::new();
    let mut event: Vec<&str> = Vec::new();
    for line in text.lines() {
        let (name, value) = split(line);
        match name.as_str() {
            "BEGIN" => open.push(value.to_uppercase()),
            "END" => {
                let ended = value.to_uppercase();
                if let Some(place) = open.iter().rposition(|name| *name == ended) {
                    let is_event = ended == "VEVENT" && event_depth(&open) == Some(place);
                    open.truncate(place);
                    if is_event {
                        write_event(&event, &mut kept);
                        event.clear();
                        continue;
                    }
                    let in_zone = open.iter().any(|name| name == "VTIMEZONE");
                    if matches!(ended.as_str(), "VCALENDAR" | "VTIMEZONE") || in_zone {
                        push(line, &mut kept);
                    }
                }
                continue;
            }
            _ => {}
        }
        let innermost = open.last().map(String::as_str);
        if open.iter().any(|name| name == "VTIMEZONE") {
            push(line, &mut kept);
        } else if event_depth(&open).is_some_and(|depth| depth + 1 == open.len()) {
            if name != "BEGIN" {
                event.push(line);
            }
        } else if innermost == Some("VCALENDAR")
            && (name == "BEGIN" || CALENDAR.contains(&name.as_str()))
        {
            push(line, &mut kept);
        }
    }
    kept.into_bytes()
}

/// Where among the open components the event is.
fn event_depth(open: &[String]) -> Option<usize> {
    open.iter().position(|name| name == "VEVENT")
}

fn write_event(lines: &[&str], kept: &mut String) {
    let is_private = lines.iter().any(|line| {
        let (name, value) = split(line);
        name == "CLASS" && !value.eq_ignore_ascii_case("PUBLIC")
    });
    push("BEGIN:VEVENT", kept);
    for line in lines {
        let (name, _) = split(line);
        let name = name.as_str();
        if TIMES.contains(&name) || (!is_private && OPEN.contains(&name)) {
            push(line, kept);
        }
    }
    push("END:VEVENT", kept);
}

fn push(line: &str, kept: &mut String) {
    kept.push_str(line);
    kept.push_str("\r\n");
}

/// The name in upper case and what stands after the first colon; parameters are left out.
fn split(line: &str) -> (String, &str) {
    let name = line.split([':', ';']).next().unwrap_or_default().trim().to_uppercase();
    (name, line.split_once(':').map_or("", |(_, value)| value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_private_event_only_its_times_are_kept() {
        let text = "BEGIN:VCALENDAR\nVERSION:2.0\nX-WR-CALNAME:Maya at the doctor's\n\
            BEGIN:VTIMEZONE\nTZID:Here\nBEGIN:STANDARD\nDTSTART:19700101T000000\n\
            TZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\n\
            BEGIN:VTODO\nSUMMARY:Lose weight\nEND:VTODO\n\
            BEGIN:VEVENT\nUID:1\nDTSTART:20260310T100000Z\nclass:private\nSUMMARY:Ther\n apy\n\
            ATTENDEE:mailto:dr@clinic.example\nLOCATION:Clinic\nBEGIN:VALARM\nSUMMARY:Go to \
            therapy\nEND:VALARM\nTRANSP:OPAQUE\nEND:VEVENT\n\
            BEGIN:VEVENT\nUID:2\nDTSTART:20260310T110000Z\nCLASS:PUBLIC\nSUMMARY:Acme\n\
            DESCRIPTION:Secret plan\nATTENDEE:mailto:kim@acme.example\nEND:VEVENT\n\
            END:VCALENDAR\n";
        let kept = String::from_utf8(discreet(text.as_bytes())).unwrap();
        insta::assert_snapshot!(kept.replace("\r\n", "\n"), @"
        BEGIN:VCALENDAR
        VERSION:2.0
        BEGIN:VTIMEZONE
        TZID:Here
        BEGIN:STANDARD
        DTSTART:19700101T000000
        TZOFFSETFROM:+0100
        TZOFFSETTO:+0100
        END:STANDARD
        END:VTIMEZONE
        BEGIN:VEVENT
        UID:1
        DTSTART:20260310T100000Z
        class:private
        TRANSP:OPAQUE
        END:VEVENT
        BEGIN:VEVENT
        UID:2
        DTSTART:20260310T110000Z
        CLASS:PUBLIC
        SUMMARY:Acme
        ATTENDEE:mailto:kim@acme.example
        END:VEVENT
        END:VCALENDAR
        ");
        assert_eq!(discreet(kept.as_bytes()), kept.as_bytes(), "what is kept stays as it is");
    }

    #[test]
    fn what_never_ends_keeps_nothing_private() {
        let text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Therapy\nCLASS:PRIVATE\nEND:VCALENDAR\n";
        let kept = String::from_utf8(discreet(text.as_bytes())).unwrap();
        assert!(!kept.contains("Therapy"), "{kept}");
    }
}
