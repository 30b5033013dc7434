//! Who reports to whom in a roster: lines that lead nowhere or in a circle.
//!
//! Whoever claims an impossible manager is left out, since guessing could show debriefs to the wrong
//! person. Whoever's manager is left out for another reason stays, without a manager until then.

use std::collections::{BTreeSet, HashMap};

use super::RosterEntry;

/// A problem and the line it is sorted by.
type Fault = (usize, String);

/// Keeps the entries whose manager makes sense. `refused` are the addresses, and lines, of rows that
/// were left out before. Addresses are unique.
pub(super) fn settle(
    people: Vec<RosterEntry>,
    refused: &HashMap<String, usize>,
) -> (Vec<RosterEntry>, Vec<Fault>) {
    let places: HashMap<&str, usize> =
        people.iter().enumerate().map(|(place, person)| (person.email.as_str(), place)).collect();
    let mut faults: Vec<Fault> = Vec::new();
    let mut out: BTreeSet<usize> = BTreeSet::new();
    let mut managers: Vec<Option<usize>> = vec![None; people.len()];
    for (place, person) in people.iter().enumerate() {
        match manager_of(person, &people, &places, refused) {
            Ok(manager) => managers[place] = manager,
            Err(what) => {
                out.insert(place);
                let line = person.line;
                faults.push((line, format!("line {line}, column manager_email: {what}")));
            }
        }
    }
    for circle in circles(&managers) {
        faults.push(told(&circle, &people));
        out.extend(circle);
    }
    let gone: HashMap<String, usize> = out
        .iter()
        .map(|&place| (people[place].email.clone(), people[place].line))
        .chain(refused.iter().map(|(email, line)| (email.clone(), *line)))
        .collect();
    let mut kept = Vec::new();
    for (_, mut person) in (0..).zip(people).filter(|(place, _)| !out.contains(place)) {
        let manager = person.manager_email.as_ref();
        if let Some(manager_line) = manager.and_then(|email| gone.get(email)) {
            let line = person.line;
            faults.push((
                line,
                format!(
                    "line {line}, column manager_email: the manager's own row, line \
                     {manager_line}, has a problem; kept without a manager until then"
                ),
            ));
            person.manager_email = None;
        }
        kept.push(person);
    }
    (kept, faults)
}

/// The manager's place in `people`; `None` without one or if their row was refused.
fn manager_of(
    person: &RosterEntry,
    people: &[RosterEntry],
    places: &HashMap<&str, usize>,
    refused: &HashMap<String, usize>,
) -> Result<Option<usize>, String> {
    let Some(email) = &person.manager_email else {
        return Ok(None);
    };
    if *email == person.email {
        return Err("nobody is their own manager".into());
    }
    match places.get(email.as_str()) {
        Some(&place) if people[place].roles.manager => Ok(Some(place)),
        Some(&place) => Err(format!(
            "{}, line {}, does not have the role manager",
            people[place].name, people[place].line
        )),
        None if refused.contains_key(email) => Ok(None),
        None => Err("nobody on the roster has this address".into()),
    }
}

/// All circles in "place reports to place", each once.
fn circles(managers: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut first_seen_from: Vec<Option<usize>> = vec![None; managers.len()];
    let mut circles = Vec::new();
    for start in 0..managers.len() {
        let mut path = Vec::new();
        let mut next = Some(start);
        while let Some(place) = next {
            if first_seen_from[place] == Some(start) {
                circles.extend(
                    path.iter().position(|&seen| seen == place).map(|from| path.split_off(from)),
                );
                break;
            }
            if first_seen_from[place].is_some() {
                break;
            }
            first_seen_from[place] = Some(start);
            path.push(place);
            next = managers[place];
        }
    }
    circles
}

fn told(circle: &[usize], people: &[RosterEntry]) -> Fault {
    let mut lines: Vec<usize> = circle.iter().map(|&place| people[place].line).collect();
    lines.sort_unstable();
    let lines_told: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let names: Vec<&str> =
        circle.iter().chain(circle.first()).map(|&place| people[place].name.as_str()).collect();
    (
        lines.first().copied().unwrap_or_default(),
        format!(
            "lines {}, column manager_email: a circle: {}",
            lines_told.join(", "),
            names.join(" reports to ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use crate::domain::roster;

    /// Rows "name role manager" → who is kept, with their managers, and the problems.
    fn settled(rows: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut text = String::from("email,name,role,manager_email,zone\n");
        for row in rows {
            let words: Vec<&str> = row.split(' ').collect();
            let &[name, role, manager, ..] = words.as_slice() else {
                panic!("{row}");
            };
            let manager = match manager {
                "-" => String::new(),
                name => format!("{name}@example.com"),
            };
            let zone = words.get(3).unwrap_or(&"");
            text.extend([name, "@example.com,", name, ",", role, ",", &manager, ",", zone, "\n"]);
        }
        let roster = roster::parse(&text);
        let kept = roster.people.into_iter().map(|person| {
            let manager = person.manager_email.unwrap_or_else(|| "-".into());
            format!("{} {}", person.name, manager.replace("@example.com", ""))
        });
        (kept.collect(), roster.problems)
    }

    #[test]
    fn a_chain_of_managers_is_fine() {
        let rows = ["Maya rep Tom", "Tom manager Eva", "Eva manager;admin -"];
        let (kept, problems) = settled(&rows);
        assert_eq!(kept, ["Maya tom", "Tom eva", "Eva -"]);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn impossible_managers_are_refused() {
        let rows = ["Eva manager -", "Ada rep Ada", "Ben rep Nobody", "Cem rep Dan", "Dan rep Eva"];
        let (kept, problems) = settled(&rows);
        assert_eq!(kept, ["Eva -", "Dan eva"]);
        assert_eq!(
            problems,
            [
                "line 3, column manager_email: nobody is their own manager",
                "line 4, column manager_email: nobody on the roster has this address",
                "line 5, column manager_email: Dan, line 6, does not have the role manager",
            ]
        );
    }

    #[test]
    fn a_circle_names_its_members_and_spares_their_people() {
        let rows = [
            "Maya rep Tom",
            "Eva manager Kim",
            "Tom manager Eva",
            "Kim manager Tom",
            "Ben rep Lea",
            "Lea manager -",
        ];
        let (kept, problems) = settled(&rows);
        assert_eq!(kept, ["Maya -", "Ben lea", "Lea -"]);
        assert_eq!(
            problems,
            [
                "line 2, column manager_email: the manager's own row, line 4, has a problem; kept \
                 without a manager until then",
                "lines 3, 4, 5, column manager_email: a circle: Tom reports to Eva reports to Kim \
                 reports to Tom",
            ]
        );
    }

    #[test]
    fn a_typo_in_a_managers_row_costs_the_team_nothing_but_the_manager() {
        let (kept, problems) = settled(&["Tom manager - Berlin", "Maya rep Tom", "Ben rep Tom"]);
        assert_eq!(kept, ["Maya -", "Ben -"]);
        assert_eq!(problems.len(), 3);
    }
}
