//! Reads people and their Do Not Disturb from Slack's answers.
//!
//! From loose JSON, because `profile.fields` comes as a map, an empty list or nothing, and we need
//! none of it.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::roster::ChatId;
use crate::ports::{Profile, Standing};

pub(super) type QuietTimes = HashMap<ChatId, (Timestamp, Timestamp)>;

/// `None` without an id, which no member lacks.
pub(super) fn profile(user: &Value, our_team: &str) -> Option<Profile> {
    let id = user["id"].as_str()?;
    let names = [
        &user["profile"]["real_name"],
        &user["real_name"],
        &user["profile"]["display_name"],
        &user["name"],
    ];
    let name = names
        .iter()
        .filter_map(|name| name.as_str().map(str::trim))
        .find(|name| !name.is_empty())
        .unwrap_or(id);
    Some(Profile {
        id: ChatId(id.to_owned()),
        name: name.to_owned(),
        zone: user["tz"].as_str().filter(|zone| !zone.is_empty()).map(str::to_owned),
        standing: standing(user, id, our_team),
    })
}

fn standing(user: &Value, id: &str, our_team: &str) -> Standing {
    const OUTSIDE: [&str; 5] =
        ["is_bot", "is_workflow_bot", "is_restricted", "is_ultra_restricted", "is_stranger"];
    if user["deleted"] == true {
        Standing::Gone
    } else if OUTSIDE.iter().any(|mark| user[*mark] == true)
        || id == "USLACKBOT"
        || is_foreign(user, our_team)
    {
        Standing::Outsider
    } else {
        Standing::Member
    }
}

/// Of another workspace. In an Enterprise Grid `team_id` is only one of the workspaces of a person.
fn is_foreign(user: &Value, our_team: &str) -> bool {
    let ours = |team: &Value| team == our_team;
    match user["team_id"].as_str() {
        None | Some("") => false,
        Some(team) if team == our_team => false,
        Some(_) => {
            !user["enterprise_user"]["teams"].as_array().is_some_and(|teams| teams.iter().any(ours))
        }
    }
}

/// The `users` of `dnd.teamInfo`.
pub(super) fn quiet_times(users: &Value) -> QuietTimes {
    users
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(id, dnd)| Some((ChatId(id.clone()), quiet_time(dnd)?)))
        .collect()
}

/// The current or next quiet time of one person, if they have one.
pub(super) fn quiet_time(dnd: &Value) -> Option<(Timestamp, Timestamp)> {
    let at = |name: &str| Timestamp::from_second(dnd[name].as_i64()?).ok();
    let (start, end) = (at("next_dnd_start_ts")?, at("next_dnd_end_ts")?);
    (dnd["dnd_enabled"] == true && start < end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn standing_of(more: &Value) -> Standing {
        let mut user = json!({"id": "U1", "team_id": "T1", "name": "dana"});
        let map = user.as_object_mut().unwrap();
        map.extend(more.as_object().unwrap().clone());
        profile(&user, "T1").unwrap().standing
    }

    #[test]
    fn profiles_survive_every_shape_of_fields() {
        for fields in [json!([]), json!({}), json!(null), json!({"Xf1": {"value": "U9"}})] {
            let user = json!({"id": "U1", "team_id": "T1", "name": "dana", "tz": "Europe/Berlin",
                "profile": {"real_name": "Dana Ito", "display_name": "dana", "fields": fields}});
            let profile = profile(&user, "T1").unwrap();
            assert_eq!(profile.name, "Dana Ito");
            assert_eq!(profile.zone.as_deref(), Some("Europe/Berlin"));
            assert_eq!(profile.standing, Standing::Member);
        }
    }

    #[test]
    fn names_and_zones_may_be_missing() {
        let user =
            json!({"id": "U1", "profile": {"real_name": " ", "display_name": ""}, "tz": null});
        let profile = profile(&user, "T1").unwrap();
        assert_eq!((profile.name.as_str(), profile.zone), ("U1", None));
        assert_eq!(super::profile(&json!({}), "T1"), None);
    }

    #[test]
    fn standing_follows_slack() {
        for (more, standing) in [
            (json!({}), Standing::Member),
            (json!({"is_app_user": true}), Standing::Member),
            (json!({"deleted": true, "is_bot": true}), Standing::Gone),
            (json!({"is_bot": true}), Standing::Outsider),
            (json!({"is_restricted": true}), Standing::Outsider),
            (json!({"is_ultra_restricted": true}), Standing::Outsider),
            (json!({"is_stranger": true}), Standing::Outsider),
            (json!({"id": "USLACKBOT"}), Standing::Outsider),
            (json!({"team_id": "T2"}), Standing::Outsider),
            (
                json!({"team_id": "T2", "enterprise_user": {"teams": ["T2", "T1"]}}),
                Standing::Member,
            ),
        ] {
            assert_eq!(standing_of(&more), standing, "{more}");
        }
    }

    #[test]
    fn quiet_times_need_all_their_parts() {
        let users = json!({
            "U1": {"dnd_enabled": true, "next_dnd_start_ts": 100, "next_dnd_end_ts": 200},
            "U2": {"dnd_enabled": false, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1},
            "U3": {"dnd_enabled": true, "next_dnd_start_ts": 200, "next_dnd_end_ts": 200},
            "U4": {"dnd_enabled": true},
        });
        let quiet = quiet_times(&users);
        assert_eq!(quiet.len(), 1);
        assert_eq!(quiet[&ChatId("U1".into())].1.as_second(), 200);
        assert_eq!(quiet_times(&json!(null)).len(), 0);
    }
}
