//! `users.*` and `dnd.*`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::Member;
use super::api::{Arguments, Done, Refused};
use super::state::{Slack, TEAM};

pub(super) fn info(slack: &Slack, arguments: &Arguments, now: Timestamp) -> Result<Done, Refused> {
    let id = arguments.text("user").unwrap_or_default();
    let member = slack.member(id).ok_or_else(|| Refused::code("user_not_found"))?;
    Ok(Done::answer(json!({ "user": as_json(member, now) })))
}

/// Deactivated people are not found by their address.
pub(super) fn lookup_by_email(
    slack: &Slack,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Done, Refused> {
    let email = arguments.text("email").unwrap_or_default();
    let mut people = slack.settings.people.iter();
    let member = people
        .find(|member| member.email.eq_ignore_ascii_case(email) && !member.is_deleted)
        .ok_or_else(|| Refused::code("users_not_found"))?;
    Ok(Done::answer(json!({ "user": as_json(member, now) })))
}

pub(super) fn list(slack: &Slack, now: Timestamp) -> Done {
    let members: Vec<Value> =
        slack.settings.people.iter().map(|member| as_json(member, now)).collect();
    Done::answer(json!({ "members": members, "response_metadata": { "next_cursor": "" } }))
}

pub(super) fn quiet(slack: &Slack, arguments: &Arguments, now: Timestamp) -> Result<Done, Refused> {
    let id = arguments.text("user").unwrap_or_default();
    let member = slack.member(id).ok_or_else(|| Refused::code("user_not_found"))?;
    Ok(Done::answer(quiet_times(member, now)))
}

pub(super) fn team_quiet(
    slack: &Slack,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Done, Refused> {
    let ids: Vec<&str> = arguments.text("users").unwrap_or_default().split(',').collect();
    if ids.len() > 50 {
        return Err(Refused::code("too_many_users"));
    }
    let known = ids.into_iter().filter_map(|id| slack.member(id));
    let users: Map<String, Value> =
        known.map(|member| (member.id.clone(), quiet_times(member, now))).collect();
    Ok(Done::answer(json!({ "users": users })))
}

fn quiet_times(member: &Member, now: Timestamp) -> Value {
    match member.quiet.filter(|(_, until)| *until > now) {
        Some((from, until)) => json!({
            "dnd_enabled": true, "next_dnd_start_ts": from.as_second(),
            "next_dnd_end_ts": until.as_second(),
        }),
        None => json!({ "dnd_enabled": false, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1 }),
    }
}

/// A member as the Web API and `user_change` show them.
pub(super) fn as_json(member: &Member, now: Timestamp) -> Value {
    let zone = TimeZone::get(&member.zone).unwrap_or(TimeZone::UTC);
    json!({
        "id": member.id, "team_id": member.team.as_deref().unwrap_or(TEAM), "name": member.email.split('@').next(),
        "real_name": member.name, "deleted": member.is_deleted, "tz": member.zone,
        "tz_label": member.zone, "tz_offset": zone.to_offset(now).seconds(),
        "is_bot": member.is_bot, "is_app_user": false, "is_restricted": member.is_guest,
        "is_ultra_restricted": member.is_ultra_restricted, "is_stranger": member.is_stranger,
        "updated": now.as_second(), "locale": "en-US",
        "profile": {
            "real_name": member.name, "display_name": member.name, "email": member.email,
            "title": member.title, "fields": [], "team": TEAM,
        },
    })
}
