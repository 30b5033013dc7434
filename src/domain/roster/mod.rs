//! The roster file: people, their roles, and who reports to whom.
//!
//! A bad row is left out and named; everybody else keeps working. Problems never show addresses or
//! calendar links, so they may be logged and shown to administrators.

mod reading;
mod reporting;
mod sheet;
pub mod source;

use std::collections::HashMap;

use self::reading::Reading;
use self::sheet::Header;
use self::source::CalendarSource;

/// A reading of the roster file.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// The good rows, in the order of the file. Empty if the header is unreadable; keep the last
    /// good roster then.
    pub people: Vec<RosterEntry>,
    /// One line each: where, what, what is allowed.
    pub problems: Vec<String>,
}

/// One person of the file.
#[derive(Debug, Clone)]
pub struct RosterEntry {
    /// In the file, from 1.
    pub line: usize,
    /// Lower case.
    pub email: String,
    pub name: String,
    pub roles: Roles,
    /// Lower case; always another good row with the role manager.
    pub manager_email: Option<String>,
    /// Several for whoever keeps several.
    pub calendars: Vec<CalendarSource>,
    /// A known IANA name.
    pub zone: Option<String>,
}

/// What somebody is; one person may be all three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles {
    pub rep: bool,
    pub manager: bool,
    pub admin: bool,
}

/// A person's id in the messenger (`U…`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId(pub String);

/// Reads the roster file: comma-separated, with a header; `#` begins a comment line.
pub fn parse(csv_text: &str) -> Roster {
    let mut lines = sheet::rows(csv_text.trim_start_matches('\u{feff}')).into_iter();
    let (header, mut problems) = match Header::read(lines.next()) {
        Ok(read) => read,
        Err(problem) => {
            return Roster { people: Vec::new(), problems: vec![problem] };
        }
    };
    let mut people = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut refused: HashMap<String, usize> = HashMap::new();
    for row in lines {
        let (entry, faults) = Reading::new(&header, &row).entry(&mut seen);
        if faults.is_empty() {
            people.extend(entry);
        } else if let Some(entry) = entry {
            refused.entry(entry.email).or_insert(row.line);
        }
        problems.extend(faults.into_iter().map(|fault| (row.line, fault)));
    }
    let (people, faults) = reporting::settle(people, &refused);
    problems.extend(faults);
    problems.sort_by_key(|(line, _)| *line);
    Roster { people, problems: problems.into_iter().map(|(_, problem)| problem).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "email,name,role,manager_email,calendar,zone\n";

    /// Tom manages Maya and Ben; `rows` come after them.
    fn team(rows: &str) -> Roster {
        parse(&format!(
            "{HEADER}tom@example.com,Tom Kern,manager,,,\n\
             maya@example.com,Maya Lind,rep,tom@example.com,,\n\
             {rows}"
        ))
    }

    fn names(roster: &Roster) -> Vec<&str> {
        roster.people.iter().map(|person| person.name.as_str()).collect()
    }

    #[test]
    fn a_spreadsheet_as_people_leave_it() {
        let roster = parse(
            "\u{feff}# our team\r\n\r\nZone, ROLE,name,Email,calendar\r\n\r\n# comment, \"odd\r\n\
             europe/berlin, rep; Admin ,\"Lind, Maya\", Maya@Example.com ,ics:https://c.example/m\r\n\
             ,,,,\r\n  # indented\r\n   \r\n,manager,Tom Kern,tom@example.com\r\n",
        );
        assert_eq!(roster.problems, [""; 0]);
        let [maya, tom] = roster.people.as_slice() else {
            panic!("{roster:?}");
        };
        assert_eq!((maya.line, tom.line), (6, 10));
        assert_eq!(maya.email, "maya@example.com");
        assert_eq!(maya.name, "Lind, Maya");
        assert_eq!(maya.zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(maya.calendars, [CalendarSource::IcsUrl("https://c.example/m".into())]);
        let roles = Roles { rep: true, admin: true, manager: false };
        assert_eq!(maya.roles, roles);
        assert_eq!((&tom.zone, &tom.calendars), (&None, &vec![]));
    }

    #[test]
    fn a_bad_value_is_named_and_its_row_left_out() {
        let cases = [
            (
                "ben@example.com,Ben,boss,,,",
                "role: \"boss\" is unknown, allowed: rep, manager, admin",
            ),
            ("ben@example.com,Ben", "role: is empty, allowed: rep, manager, admin"),
            ("ben@example.com,Ben,;,,,", "role: is empty, allowed: rep, manager, admin"),
            ("ben@example.com,,rep,,,", "name: is empty"),
            ("MAYA@example.com,Maya,rep,,,", "email: the same address as in line 3"),
            (",Ben,rep,,,", "email: is not an e-mail address; write name@example.com"),
            (
                "Ben <b@example.com>,Ben,rep,,,",
                "email: is not an e-mail address; write name@example.com",
            ),
            ("ben@localhost,Ben,rep,,,", "email: is not an e-mail address; write name@example.com"),
            (
                "ben@example.com,Ben,rep,tom,,",
                "manager_email: is not an e-mail address; write name@example.com",
            ),
            (
                "ben@example.com,Ben,rep,,https://c.example/b,",
                "calendar: is not a calendar; write google, microsoft, caldav:https://…, ics:https://… or ics:folder/file.ics",
            ),
            (
                "ben@example.com,Ben,rep,,ics:,",
                "calendar: is not a calendar; write google, microsoft, caldav:https://…, ics:https://… or ics:folder/file.ics",
            ),
            (
                "ben@example.com,Ben,rep,,,Berlin",
                "zone: \"Berlin\" is not a time zone; write an IANA name such as Europe/Berlin",
            ),
            (
                "ben@example.com,Ben,rep,,,+02:00",
                "zone: \"+02:00\" is not a time zone; write an IANA name such as Europe/Berlin",
            ),
        ];
        for (row, problem) in cases {
            let roster = team(row);
            assert_eq!(roster.problems, [format!("line 4, column {problem}")], "{row}");
            assert_eq!(names(&roster), ["Tom Kern", "Maya Lind"], "{row}");
        }
    }

    #[test]
    fn a_row_that_falls_apart_is_named() {
        let cases = [
            (
                "ben@example.com,Ben,rep,,,,Oops",
                "line 4: 7 values for 6 columns; put a value with a comma in quotation marks",
            ),
            (
                "ben@example.com,\"Ben,rep,,,\nx@example.com,X,rep,,,",
                "lines 4 to 5: a quotation mark is opened and not closed in its line",
            ),
        ];
        for (row, problem) in cases {
            assert_eq!(team(row).problems, [problem], "{row}");
        }
    }

    #[test]
    fn every_fault_of_a_row_is_told_and_the_next_row_counts() {
        let roster = team("ben,,boss,,,\nada@example.com,Ada,rep,,,");
        assert_eq!(roster.problems.len(), 3);
        assert_eq!(names(&roster), ["Tom Kern", "Maya Lind", "Ada"]);
    }

    #[test]
    fn without_a_header_there_is_nobody() {
        let cases = [
            (
                "",
                "line 1: the roster is empty; it begins with email,name,role,manager_email,calendar,zone",
            ),
            (
                "# nothing\n\n",
                "line 1: the roster is empty; it begins with email,name,role,manager_email,calendar,zone",
            ),
            (
                "a@example.com,Ada,rep\n",
                "line 1: the header lacks the column email; write email,name,role,manager_email,calendar,zone",
            ),
            (
                "\nemail,name\n",
                "line 2: the header lacks the column role; write email,name,role,manager_email,calendar,zone",
            ),
            (
                "email;name;role\n",
                "line 1: the header lacks the column email; write email,name,role,manager_email,calendar,zone; separate columns by commas",
            ),
            ("email,name,role,name\n", "line 1: the column name is there twice"),
        ];
        for (text, problem) in cases {
            let roster = parse(text);
            assert_eq!(roster.problems, [problem], "{text}");
            assert!(roster.people.is_empty());
        }
    }

    #[test]
    fn the_example_has_no_problems() {
        let roster = parse(include_str!("../../../config/roster.example.csv"));
        assert_eq!(roster.problems, [""; 0]);
        assert_eq!(roster.people.len(), 5);
    }

    #[test]
    fn an_unknown_column_is_named_and_ignored() {
        let roster = parse("email,name,role,boss,\nada@example.com,Ada,rep,x,y\n");
        assert_eq!(
            roster.problems,
            ["line 1, column \"boss\": is unknown and ignored, allowed: email, name, role, \
              manager_email, calendar, zone"]
        );
        assert_eq!(names(&roster), ["Ada"]);
    }
}
