//! `views.*`: modals, stacked three deep, and Home tabs.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::api::{Arguments, Done, Refused};
use super::kit;
use super::state::{APP, BOT, Slack, TEAM, View};

const DEEPEST_STACK: usize = 3;

pub(super) fn open(slack: &mut Slack, arguments: &Arguments) -> Result<Done, Refused> {
    let body = body(arguments, "modal")?;
    let person = pulled(slack, arguments)?;
    let view = add(slack, &person, body, None);
    slack.modals.insert(person, vec![view.id.clone()]);
    Ok(shown(&view))
}

pub(super) fn push(slack: &mut Slack, arguments: &Arguments) -> Result<Done, Refused> {
    let body = body(arguments, "modal")?;
    let person = pulled(slack, arguments)?;
    let stack = slack.modals.entry(person.clone()).or_default().clone();
    let Some(top) = stack.last() else {
        return Err(Refused::code("not_found"));
    };
    if stack.len() >= DEEPEST_STACK {
        return Err(Refused::code("push_limit_reached"));
    }
    let view = add(slack, &person, body, Some(top.clone()));
    slack.modals.entry(person).or_default().push(view.id.clone());
    Ok(shown(&view))
}

/// What was typed stays where block and action id stay.
pub(super) fn update(slack: &mut Slack, arguments: &Arguments) -> Result<Done, Refused> {
    let body = body(arguments, "modal")?;
    let id = arguments.text("view_id").unwrap_or_default().to_owned();
    let number = slack.number();
    let is_open = slack.modals.values().any(|stack| stack.contains(&id));
    let view = slack.views.get_mut(&id).filter(|_| is_open);
    let view = view.ok_or_else(|| Refused::code("not_found"))?;
    if arguments.text("hash").is_some_and(|hash| hash != view.hash) {
        return Err(Refused::code("hash_conflict"));
    }
    let fields = fields(&body);
    view.typed.retain(|field, _| fields.contains(field));
    view.body = body;
    view.hash = format!("{number}.hash");
    Ok(shown(&view.clone()))
}

pub(super) fn publish(slack: &mut Slack, arguments: &Arguments) -> Result<Done, Refused> {
    let body = body(arguments, "home")?;
    let person = arguments.text("user_id").unwrap_or_default().to_owned();
    if slack.member(&person).is_none_or(|member| member.is_bot || member.is_deleted) {
        return Err(Refused::code("user_not_found"));
    }
    let old = slack.homes.get(&person).and_then(|id| slack.views.get(id));
    let expected = old.map(|view| view.hash.clone());
    if arguments.text("hash").is_some_and(|hash| expected.as_deref() != Some(hash)) {
        return Err(Refused::code("hash_conflict"));
    }
    if let Some(old) = slack.homes.remove(&person) {
        slack.views.remove(&old);
    }
    let view = add(slack, &person, body, None);
    slack.homes.insert(person, view.id.clone());
    Ok(shown(&view))
}

/// Closes a person's topmost modal, or all of them.
pub(super) fn close(slack: &mut Slack, person: &str, whole_stack: Whole) {
    let Some(stack) = slack.modals.get_mut(person) else {
        return;
    };
    let gone = match whole_stack {
        Whole::Stack => std::mem::take(stack),
        Whole::Top => stack.pop().into_iter().collect(),
    };
    for id in gone {
        slack.views.remove(&id);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Stack,
    Top,
}

fn body(arguments: &Arguments, kind: &str) -> Result<Value, Refused> {
    let view = arguments.get("view").ok_or_else(|| Refused::code("invalid_arguments"))?;
    let mut problems = kit::check_view(view);
    if view["type"] != kind {
        problems.push(format!("[ERROR] must be of type {kind} [json-pointer:/view/type]"));
    }
    if problems.is_empty() {
        return Ok(view.clone());
    }
    Err(Refused::with_messages("invalid_arguments", &problems))
}

fn pulled(slack: &mut Slack, arguments: &Arguments) -> Result<String, Refused> {
    let trigger = arguments.text("trigger_id").unwrap_or_default().to_owned();
    slack.pull_trigger(&trigger).map_err(Refused::code)
}

fn add(slack: &mut Slack, person: &str, body: Value, previous: Option<String>) -> View {
    let number = slack.number();
    let id = format!("V{number}");
    let root = previous
        .as_ref()
        .and_then(|previous| slack.views.get(previous))
        .map_or_else(|| id.clone(), |view| view.root.clone());
    let view = View {
        id: id.clone(),
        hash: format!("{number}.hash"),
        person: person.to_owned(),
        body,
        typed: HashMap::new(),
        root,
        previous,
    };
    slack.views.insert(id, view.clone());
    view
}

fn shown(view: &View) -> Done {
    Done::answer(json!({ "view": as_json(view, &json!({})) }))
}

/// The fields of a view: block id and action id.
fn fields(body: &Value) -> HashSet<(String, String)> {
    let blocks = body["blocks"].as_array().into_iter().flatten();
    let of = |block: &Value| {
        let block_id = block["block_id"].as_str().unwrap_or_default().to_owned();
        let mut elements: Vec<&Value> =
            block["elements"].as_array().into_iter().flatten().collect();
        elements.extend([&block["element"], &block["accessory"]]);
        let ids = elements.into_iter().filter_map(|element| element["action_id"].as_str());
        ids.map(|action| (block_id.clone(), action.to_owned())).collect::<Vec<_>>()
    };
    blocks.flat_map(of).collect()
}

/// A view as answers and interactions show it, with `values` as its state.
pub(super) fn as_json(view: &View, values: &Value) -> Value {
    let mut shown = view.body.clone();
    let more = json!({
        "id": view.id, "team_id": TEAM, "hash": view.hash, "state": { "values": values },
        "root_view_id": view.root, "previous_view_id": view.previous, "app_id": APP,
        "app_installed_team_id": TEAM, "bot_id": BOT,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        shown[key] = value.clone();
    }
    for (key, missing) in [
        ("private_metadata", json!("")),
        ("callback_id", json!("")),
        ("external_id", json!("")),
        ("clear_on_close", json!(false)),
        ("notify_on_close", json!(false)),
        ("close", Value::Null),
        ("submit", Value::Null),
    ] {
        if shown.get(key).is_none() {
            shown[key] = missing;
        }
    }
    shown
}
