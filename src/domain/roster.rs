//! People, teams, dated reporting lines.

use std::fmt;

/// Where a person's calendar is, as the roster's `calendar` column says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CalendarSource {
    /// An iCalendar feed at an `http(s)` address.
    IcsUrl(String),
    /// An iCalendar file, relative to the working directory.
    IcsFile(String),
}

impl CalendarSource {
    /// Reads the roster's spelling, `ics:<http(s) address or file>`; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let place = text.trim().strip_prefix("ics:")?.trim();
        let has_scheme = |scheme: &str| {
            place
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        match place {
            "" => None,
            _ if has_scheme("http://") || has_scheme("https://") => {
                Some(Self::IcsUrl(place.to_owned()))
            }
            _ if has_scheme("webcal://") => Some(Self::IcsUrl(format!("https://{}", &place[9..]))),
            _ => Some(Self::IcsFile(place.to_owned())),
        }
    }
}

impl fmt::Display for CalendarSource {
    /// The roster's own spelling. An address is a secret: never log it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IcsUrl(place) | Self::IcsFile(place) => write!(f, "ics:{place}"),
        }
    }
}

/// A person's id in the messenger (`U…`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId(pub String);

/// TEMP until merge
#[derive(Debug, Clone)]
pub struct RosterEntry {
    pub line: usize,
    pub email: String,
    pub name: String,
    pub roles: Roles,
    pub manager_email: Option<String>,
    pub calendar: Option<CalendarSource>,
    pub zone: Option<String>,
}
#[derive(Debug, Clone, Copy, Default)]
pub struct Roles {
    pub rep: bool,
    pub manager: bool,
    pub admin: bool,
}
