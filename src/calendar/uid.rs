//! One name for one meeting, whoever keeps the calendar.
//!
//! Exchange names meetings by global object ids, in hexadecimal ([MS-OXOCAL] 2.2.1.27,
//! [MS-OXCICAL] 2.1.3.1.1.20.26). Such an id holds the day of an instance, which the UID of the
//! series has not, and it may be wrapped around the UID that another calendar gave.

/// How every such id begins, and how many digits it has at least.
const PREFIX: &str = "040000008200E00074C5B7101A82E008";
const FEWEST_DIGITS: usize = 82;
/// Where the day stands: year, month, day.
const DAY: std::ops::Range<usize> = 32..40;
/// Where the data begins, after the time of creation, eight zeros and the data's length.
const DATA: usize = 80;
/// Says that a foreign UID follows: `vCal-Uid`, then a 1.
const FOREIGN: &str = "7643616C2D55696401000000";

/// The UID as all calendars of one meeting and all instances of one series share it.
pub(super) fn shared(raw: &str) -> String {
    let mut uid = raw.trim().to_owned();
    // What is wrapped is shorter than its wrapping, so this ends.
    while let Some(mut id) = object_id(&uid) {
        let Some(inner) = foreign(&id) else {
            id.replace_range(DAY, "00000000");
            return id;
        };
        uid = inner;
    }
    uid
}

/// Whether it is the id of a single instance of a series. To somebody who is invited to nothing
/// else of the series this is all that tells.
pub(super) fn names_an_instance(raw: &str) -> bool {
    object_id(raw.trim()).is_some_and(|id| id[DAY] != *"00000000")
}

/// In capitals, if it is one.
fn object_id(uid: &str) -> Option<String> {
    let is_hex = uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || uid.len() < FEWEST_DIGITS || !uid.len().is_multiple_of(2) {
        return None;
    }
    let id = uid.to_ascii_uppercase();
    id.starts_with(PREFIX).then_some(id)
}

/// The UID that an id is wrapped around: text that a zero ends.
fn foreign(id: &str) -> Option<String> {
    let digits = id.get(DATA..)?.strip_prefix(FOREIGN)?;
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let bytes = bytes?;
    let uid = String::from_utf8(bytes.split(|byte| *byte == 0).next()?.to_vec()).ok()?;
    let uid = uid.trim();
    (!uid.is_empty() && !uid.contains(char::is_control)).then(|| uid.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: &str = "040000008200E00074C5B7101A82E008000000002CFCE63DC56CDA0100000000000000001\
                          0000000B5A2FFF2E86E5348B133D05386CDDD04";
    const INSTANCE: &str = "040000008200E00074C5B7101A82E00807EA030A2CFCE63DC56CDA010000000000000000\
                            10000000B5A2FFF2E86E5348B133D05386CDDD04";

    fn wrapped(day: &str, uid: &str) -> String {
        let text = uid.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!(
            "{PREFIX}{day}000000000000000000000000000000000{:07x}{FOREIGN}{text}00",
            uid.len() + 13
        )
    }

    #[test]
    fn every_instance_has_the_uid_of_its_series() {
        for raw in [SERIES, INSTANCE, &INSTANCE.to_lowercase(), &format!(" {INSTANCE}\r\n")] {
            assert_eq!(shared(raw), SERIES, "{raw}");
        }
        assert!(names_an_instance(INSTANCE) && names_an_instance(&INSTANCE.to_lowercase()));
        assert!(!names_an_instance(SERIES) && !names_an_instance("4711@acme.example"));
    }

    #[test]
    fn a_foreign_uid_is_what_its_own_calendar_calls_it() {
        for uid in ["4f2k@google.com", "é 1", "8E5C-A1"] {
            for day in ["00000000", "07ea030a"] {
                let raw = wrapped(day, uid);
                assert_eq!(shared(&raw), uid);
                assert_eq!(shared(&raw.to_uppercase()), uid);
            }
        }
        assert!(names_an_instance(&wrapped("07ea030a", "4f2k@google.com")));
        // Wrapped on its way through two servers.
        assert_eq!(shared(&wrapped("00000000", &wrapped("07EA030A", "x@y"))), "x@y");
        assert_eq!(shared(&wrapped("00000000", INSTANCE)), SERIES);
    }

    #[test]
    fn what_is_no_such_id_stays_as_it_is() {
        for raw in [
            "4711@acme.example",
            "",
            "040000008200E00074C5B7101A82E008",
            // An odd digit, a letter too much, another beginning.
            &SERIES[..SERIES.len() - 1],
            &format!("{SERIES}XY"),
            &SERIES.replacen("04", "05", 1),
            "ümläut",
        ] {
            assert_eq!(shared(raw), raw);
        }
        // Wrapped around nothing, or around what is no text: the id itself is the name.
        for text in ["", "\u{1}"] {
            let raw = wrapped("07EA030A", text).to_uppercase();
            assert_eq!(shared(&raw), raw.replacen("07EA030A", "00000000", 1));
        }
    }

    #[test]
    fn naming_twice_is_naming_once() {
        let nested = wrapped("07EA030A", &wrapped("07EA030A", INSTANCE));
        for raw in [SERIES, INSTANCE, &nested, "x@y", " x ", &wrapped("00000000", " x ")] {
            let once = shared(raw);
            assert_eq!(shared(&once), once, "{raw}");
        }
    }
}
