//! Where a person's calendars are, as the roster's `calendar` column says.

use std::fmt;

/// Where one calendar of a person is, as the roster's `calendar` column says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CalendarSource {
    /// An iCalendar feed at an `http(s)` address.
    IcsUrl(String),
    /// An iCalendar file, relative to the working directory.
    IcsFile(String),
    /// In Google Calendar, under the person's own address or another one.
    Google(Option<String>),
    /// In Microsoft 365, likewise.
    Microsoft(Option<String>),
    /// A calendar, or whose calendars, at a `CalDAV` server's `http(s)` address.
    CalDav(String),
}

impl CalendarSource {
    /// Reads one calendar in the roster's spelling; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, place) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        let place = place.trim();
        let has_scheme = |scheme: &str| {
            place.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        let is_web = has_scheme("http://") || has_scheme("https://");
        // Without a place it is the person's own.
        let mailbox = || match place {
            "" if !text.contains(':') => Some(None),
            _ if is_address(place) => Some(Some(place.to_lowercase())),
            _ => None,
        };
        match kind {
            "google" => Some(Self::Google(mailbox()?)),
            "microsoft" => Some(Self::Microsoft(mailbox()?)),
            "caldav" if is_web => Some(Self::CalDav(place.to_owned())),
            "ics" if place.is_empty() => None,
            "ics" if is_web => Some(Self::IcsUrl(place.to_owned())),
            "ics" if has_scheme("webcal://") => {
                Some(Self::IcsUrl(format!("https://{}", &place[9..])))
            }
            "ics" => Some(Self::IcsFile(place.to_owned())),
            _ => None,
        }
    }

    /// Reads a whole cell: calendars with `;` between them, each once. `None` if one of them is not
    /// understood. A `;` that no calendar follows belongs to the address before it.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        let mut parts: Vec<String> = Vec::new();
        for piece in text.split(';') {
            match parts.last_mut() {
                Some(last) if !begins_a_source(piece) => {
                    last.push(';');
                    last.push_str(piece);
                }
                _ => parts.push(piece.to_owned()),
            }
        }
        let mut sources = Vec::new();
        for part in parts {
            let part = part.trim().trim_end_matches([';', ' ']);
            if part.is_empty() {
                continue;
            }
            let source = Self::parse(part)?;
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        Some(sources)
    }

    /// Who keeps it, as the metrics and the configuration call them.
    pub fn provider(&self) -> Provider {
        match self {
            Self::IcsUrl(_) | Self::IcsFile(_) => Provider::Ics,
            Self::Google(_) => Provider::Google,
            Self::Microsoft(_) => Provider::Microsoft,
            Self::CalDav(_) => Provider::CalDav,
        }
    }
}

/// Whether a piece between two `;` names a calendar of its own.
fn begins_a_source(piece: &str) -> bool {
    let kind = piece.trim().split(':').next().unwrap_or_default();
    matches!(kind, "ics" | "google" | "microsoft" | "caldav")
}

/// Whether it may be an e-mail address.
pub(super) fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty()
            && domain.split('.').count() > 1
            && domain.split('.').all(|label| !label.is_empty())
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
            && !domain.contains('@')
            && !text.contains(['<', '>', ',', ';', ':', '"'])
    })
}

/// Who keeps calendars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    Ics,
    Google,
    Microsoft,
    CalDav,
}

impl Provider {
    pub const ALL: [Self; 4] = [Self::Ics, Self::Google, Self::Microsoft, Self::CalDav];

    /// The word of the roster, the metrics and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ics => "ics",
            Self::Google => "google",
            Self::Microsoft => "microsoft",
            Self::CalDav => "caldav",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CalendarSource {
    /// The roster's own spelling. An address is a secret: never log it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.provider().as_str();
        match self {
            Self::IcsUrl(place) | Self::IcsFile(place) | Self::CalDav(place) => {
                write!(f, "{kind}:{place}")
            }
            Self::Google(Some(mailbox)) | Self::Microsoft(Some(mailbox)) => {
                write!(f, "{kind}:{mailbox}")
            }
            Self::Google(None) | Self::Microsoft(None) => f.write_str(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each calendar of a cell, spelt anew.
    fn cell(text: &str) -> Option<Vec<String>> {
        let sources = CalendarSource::parse_all(text)?;
        Some(sources.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_cell_holds_one_calendar_or_several() {
        for (text, sources) in [
            ("", &[] as &[&str]),
            (" google ", &["google"]),
            ("google:Maya@Corp.example", &["google:maya@corp.example"]),
            ("microsoft;google", &["microsoft", "google"]),
            ("google; google ;", &["google"]),
            ("caldav:https://dav.example/maya/", &["caldav:https://dav.example/maya/"]),
            ("ics:https://c.example/a;b=1.ics", &["ics:https://c.example/a;b=1.ics"]),
            ("ics:webcal://c.example/a;ics:x.ics", &["ics:https://c.example/a", "ics:x.ics"]),
            ("ics:folder/a google.ics", &["ics:folder/a google.ics"]),
        ] {
            assert_eq!(cell(text).unwrap(), sources, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_calendar() {
        for text in [
            "x",
            "ics:",
            "ics",
            "Google Calendar",
            "google:",
            "google:maya",
            "microsoft:a@b",
            "caldav:dav.example",
            "caldav",
            "https://c.example/a.ics",
            "google;outlook",
        ] {
            assert_eq!(cell(text), None, "{text}");
        }
    }
}
