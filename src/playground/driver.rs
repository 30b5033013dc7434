//! For tests: a person's hands and eyes.
//!
//! Controls are found by what is written on them. Waiting ends with the change that is waited for.

use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};

use super::deeds::{self, Place, Submitted};
use super::delivery::{self, Acknowledged};
use super::faults::{Fault, Limit};
use super::server::Playground;
use super::state::{Call, Message, Slack, View};
use super::{Member, api};

/// How long a test waits for something that should happen, in real time.
const PATIENCE: Duration = Duration::from_secs(20);

impl Playground {
    /// What stands in the conversation of `person` with the bot, oldest first.
    pub fn messages(&self, person: &str) -> Vec<Message> {
        let slack = self.inner.slack();
        let channel = Slack::channel_of(person);
        let messages = slack.messages.iter().filter(|message| message.channel == channel);
        messages.filter(|message| !message.is_deleted).cloned().collect()
    }

    /// The bot's lasting messages to `person`.
    pub fn from_bot(&self, person: &str) -> Vec<Message> {
        let mut messages = self.messages(person);
        messages.retain(|message| message.is_from_bot() && !message.is_ephemeral);
        messages
    }

    /// What only `person` sees, newest last.
    pub fn whispers(&self, person: &str) -> Vec<Message> {
        let mut messages = self.messages(person);
        messages.retain(|message| message.is_ephemeral);
        messages
    }

    pub fn home(&self, person: &str) -> Option<View> {
        let slack = self.inner.slack();
        slack.homes.get(person).and_then(|id| slack.views.get(id)).cloned()
    }

    /// The topmost open modal.
    pub fn modal(&self, person: &str) -> Option<View> {
        let slack = self.inner.slack();
        let id = slack.modals.get(person)?.last()?;
        slack.views.get(id).cloned()
    }

    /// Every call of `method` so far.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        let slack = self.inner.slack();
        slack.calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    /// Presses the button, or picks the option, that reads `label` in a message.
    pub async fn press(&self, person: &str, message: &Message, label: &str) -> anyhow::Result<()> {
        let action = control(&message.blocks, label)
            .with_context(|| format!("no control {label:?} in the message"))?;
        self.act(person, Place::Message(message.ts.clone()), action).await
    }

    /// Sends a control of `source` as if it stood in `place`: what an attacker would try.
    pub async fn forge(
        &self,
        person: &str,
        place: &Message,
        source: &Message,
        label: &str,
    ) -> anyhow::Result<()> {
        let action = control(&source.blocks, label)
            .with_context(|| format!("no control {label:?} in the message"))?;
        self.act(person, Place::Message(place.ts.clone()), action).await
    }

    /// Presses a control in the open modal.
    pub async fn press_in_modal(&self, person: &str, label: &str) -> anyhow::Result<()> {
        let view = self.modal(person).context("no modal is open")?;
        self.press_in(person, &view, label).await
    }

    /// The same on the Home tab.
    pub async fn press_at_home(&self, person: &str, label: &str) -> anyhow::Result<()> {
        let view = self.home(person).context("there is no Home tab")?;
        self.press_in(person, &view, label).await
    }

    async fn press_in(&self, person: &str, view: &View, label: &str) -> anyhow::Result<()> {
        let action = control(&view.body["blocks"], label)
            .with_context(|| format!("no control {label:?} in the view"))?;
        self.act(person, Place::View(view.id.clone()), action).await
    }

    async fn act(&self, person: &str, place: Place, action: Value) -> anyhow::Result<()> {
        let values = match &place {
            Place::View(id) => {
                let slack = self.inner.slack();
                slack.views.get(id).map(values).unwrap_or_default()
            }
            Place::Message(_) => json!({}),
        };
        match deeds::act(&self.inner, person, &place, action, &values).await {
            Some(true) => Ok(()),
            Some(false) => Err(anyhow!("the app did not respond")),
            None => Err(anyhow!("the place of the control is gone")),
        }
    }

    /// Fills in a field of the open modal, found by its label: a text, a date, or an option's
    /// label. A field that reports changes does so.
    pub async fn fill(&self, person: &str, label: &str, content: &str) -> anyhow::Result<()> {
        let view = self.modal(person).context("no modal is open")?;
        let blocks = view.body["blocks"].as_array().cloned().unwrap_or_default();
        let is_called = |block: &&Value| {
            let shown = block["label"]["text"].as_str().unwrap_or_default();
            block["type"] == "input" && shown.contains(label)
        };
        let block = blocks.iter().find(is_called);
        let block = block.with_context(|| format!("no field {label:?} in the modal"))?;
        let value = filled(&block["element"], content)
            .with_context(|| format!("{content:?} cannot be chosen in {label:?}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (block_id, action_id) =
            (text(&block["block_id"]), text(&block["element"]["action_id"]));
        if let Some(view) = self.inner.slack().views.get_mut(&view.id) {
            view.typed.insert((block_id.clone(), action_id.clone()), value.clone());
        }
        if block["dispatch_action"] == true && block["element"]["type"] != "plain_text_input" {
            let mut action = value;
            action["block_id"] = json!(block_id);
            action["action_id"] = json!(action_id);
            self.act(person, Place::View(view.id), action).await?;
        }
        Ok(())
    }

    /// Sends the open modal off.
    pub async fn submit(&self, person: &str) -> anyhow::Result<Submitted> {
        let view = self.modal(person).context("no modal is open")?;
        let values = values(&view);
        deeds::submit(&self.inner, person, &view.id, &values).await.context("the form is gone")
    }

    /// `/debrief …`
    pub async fn command(&self, person: &str, typed: &str) -> anyhow::Result<()> {
        if deeds::command(&self.inner, person, typed).await {
            return Ok(());
        }
        Err(anyhow!("the app did not respond to {typed}"))
    }

    /// A plain message; returns its timestamp.
    pub fn say(&self, person: &str, text: &str) -> String {
        deeds::say(&self.inner, person, text, None)
    }

    /// A reply in a thread; returns its timestamp.
    pub fn reply(&self, person: &str, root: &str, text: &str) -> String {
        deeds::say(&self.inner, person, text, Some(root))
    }

    pub fn edit(&self, person: &str, ts: &str, text: &str) {
        deeds::edit(&self.inner, person, ts, text);
    }

    /// Takes a message of one's own away.
    pub fn delete(&self, person: &str, ts: &str) {
        deeds::delete(&self.inner, person, ts);
    }

    /// `/debrief …`, typed in some channel.
    pub async fn command_in(&self, person: &str, channel: &str, typed: &str) -> anyhow::Result<()> {
        if deeds::command_in(&self.inner, person, channel, typed).await {
            return Ok(());
        }
        Err(anyhow!("the app did not respond to {typed}"))
    }

    /// Tells the app something that nobody did, as it stands: `interactive` or `slash_commands`.
    /// Returns what it answered, `null` if that was nothing, `None` if it did not acknowledge.
    pub async fn tell(&self, kind: &'static str, payload: Value) -> Option<Value> {
        match delivery::deliver(&self.inner, kind, payload).await {
            Acknowledged::Yes(answer) => Some(answer),
            Acknowledged::No(_) => None,
        }
    }

    /// The same with an event.
    pub fn tell_event(&self, event: Value) {
        delivery::deliver_event(&self.inner, event);
    }

    pub fn open_home(&self, person: &str) {
        deeds::open_home(&self.inner, person);
    }

    pub async fn shortcut(&self, person: &str, callback_id: &str) -> anyhow::Result<()> {
        if deeds::shortcut(&self.inner, person, callback_id).await {
            return Ok(());
        }
        Err(anyhow!("the app did not respond to the shortcut"))
    }

    /// Changes a member and tells the app.
    pub fn change_member(&self, person: &str, change: impl FnOnce(&mut Member)) {
        {
            let mut slack = self.inner.slack();
            let mut people = slack.settings.people.iter_mut();
            if let Some(member) = people.find(|member| member.id == person) {
                change(member);
            }
        }
        deeds::profile_changed(&self.inner, person);
    }

    /// The next call of `method` meets this.
    pub fn fault(&self, method: &str, fault: Fault) {
        self.inner.slack().faults.add(method, fault);
    }

    /// No more faults of `method`.
    pub fn heal(&self, method: &str) {
        self.inner.slack().faults.clear(method);
    }

    /// What was on its way arrives.
    pub fn arrive(&self) {
        api::arrive(&self.inner);
    }

    /// From now on `method` may be called so often a minute, and so many times at once.
    pub fn limit(&self, method: &str, per_minute: u32, at_once: u32) {
        let limit = Limit::new(per_minute, at_once);
        self.inner.slack().limits.insert(method.to_owned(), limit);
    }

    pub fn revoke_tokens(&self) {
        self.inner.slack().is_revoked = true;
    }

    pub fn accept_tokens(&self) {
        self.inner.slack().is_revoked = false;
    }

    /// Takes a scope from the bot token.
    pub fn take_scope(&self, scope: &str) {
        self.inner.slack().settings.scopes.retain(|granted| granted != scope);
    }

    pub fn give_scope(&self, scope: &str) {
        self.inner.slack().settings.scopes.push(scope.to_owned());
    }

    pub fn expire_triggers(&self) {
        self.inner.slack().expire_triggers();
    }

    /// Something that the app is never told of: Slack tried for a while and gave up.
    pub fn say_unheard(&self, person: &str, text: &str, thread: Option<&str>) -> String {
        let (ts, _) = deeds::written(&self.inner, person, text, thread);
        ts
    }

    /// Cuts one socket.
    pub fn drop_one_socket(&self) {
        self.inner.sockets.drop_one();
    }

    /// Cuts every socket.
    pub fn drop_sockets(&self) {
        self.inner.sockets.drop_all();
    }

    /// Asks the app to renew its sockets: `refresh_requested` or `warning`.
    pub fn renew_sockets(&self, reason: &str) {
        self.inner.sockets.ask_to_renew(reason);
    }

    pub fn refuse_sockets(&self, refuses: bool) {
        self.inner.sockets.refuse(refuses);
    }

    /// The next deliveries come twice.
    pub fn deliver_twice(&self, next: u32) {
        self.inner.deliveries.deliver_twice(next);
    }

    /// Keeps deliveries back until [`Playground::release_reversed`].
    pub fn hold_deliveries(&self) {
        self.inner.deliveries.hold();
    }

    pub fn release_reversed(&self) {
        self.inner.deliveries.release_reversed();
    }

    /// Waits until at least `count` sockets are open, if there are to be any.
    pub async fn connected(&self, count: usize) -> anyhow::Result<()> {
        if self.inner.deliveries.is_posting() {
            return Ok(());
        }
        let mut connected = self.inner.sockets.connected();
        let waiting = connected.wait_for(|open| *open >= count);
        let waited = tokio::time::timeout(PATIENCE, waiting).await.map(|waited| waited.is_ok());
        anyhow::ensure!(waited == Ok(true), "the app did not connect");
        Ok(())
    }

    /// Waits until every delivery was acknowledged or given up.
    pub async fn settled(&self) {
        let mut outstanding = self.inner.deliveries.outstanding();
        // After the patience the test's own assertion says what is missing.
        let _ = tokio::time::timeout(PATIENCE, outstanding.wait_for(|count| *count == 0)).await;
    }

    /// Waits until `look` finds something.
    pub async fn eventually<T>(
        &self,
        what: &str,
        look: impl Fn(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut revision = self.inner.revision();
        let looking = async {
            loop {
                revision.borrow_and_update();
                if let Some(found) = look(self) {
                    return Some(found);
                }
                revision.changed().await.ok()?;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.ok().flatten().with_context(|| format!("it never came to this: {what}"))
    }
}

/// The control that reads `label`, as an action with what it carries.
fn control(blocks: &Value, label: &str) -> Option<Value> {
    for block in blocks.as_array()? {
        let mut elements: Vec<&Value> =
            block["elements"].as_array().into_iter().flatten().collect();
        elements.push(&block["accessory"]);
        for element in elements {
            let mut action = if element["type"] == "button" {
                let reads = element["text"]["text"].as_str()?;
                if reads.trim_start_matches("✓ ") != label {
                    continue;
                }
                json!({ "type": "button", "text": element["text"], "value": element["value"] })
            } else {
                let Some(chosen) = filled(element, label) else {
                    continue;
                };
                chosen
            };
            action["action_id"] = element["action_id"].clone();
            action["block_id"] = block["block_id"].clone();
            return Some(action);
        }
    }
    None
}

/// What an element holds once `content` was typed or chosen.
fn filled(element: &Value, content: &str) -> Option<Value> {
    let kind = element["type"].as_str()?;
    let option = || {
        let mut options = element["options"].as_array()?.iter();
        options.find(|option| option["text"]["text"] == content).cloned()
    };
    Some(match kind {
        "plain_text_input" => {
            let value = if content.is_empty() { Value::Null } else { json!(content) };
            json!({ "type": kind, "value": value })
        }
        "datepicker" => json!({ "type": kind, "selected_date": content }),
        "checkboxes" if content.is_empty() => json!({ "type": kind, "selected_options": [] }),
        "checkboxes" => json!({ "type": kind, "selected_options": [option()?] }),
        _ => json!({ "type": kind, "selected_option": option()? }),
    })
}

/// `state.values` of a view: what was typed over what the fields held at first.
fn values(view: &View) -> Value {
    let mut values = json!({});
    for block in view.body["blocks"].as_array().into_iter().flatten() {
        if block["type"] != "input" {
            continue;
        }
        let element = &block["element"];
        let (Some(block_id), Some(action_id)) =
            (block["block_id"].as_str(), element["action_id"].as_str())
        else {
            continue;
        };
        let typed = view.typed.get(&(block_id.to_owned(), action_id.to_owned()));
        values[block_id][action_id] = typed.cloned().unwrap_or_else(|| at_first(element));
    }
    values
}

fn at_first(element: &Value) -> Value {
    let kind = &element["type"];
    match kind.as_str().unwrap_or_default() {
        "plain_text_input" => json!({ "type": kind, "value": element["initial_value"] }),
        "datepicker" => json!({ "type": kind, "selected_date": element["initial_date"] }),
        "checkboxes" => {
            let ticked = element["initial_options"].as_array().cloned().unwrap_or_default();
            json!({ "type": kind, "selected_options": ticked })
        }
        _ => json!({ "type": kind, "selected_option": element["initial_option"] }),
    }
}

/// A filled-in value as one reads it.
pub(super) fn in_words(value: &Value) -> String {
    let option = |option: &Value| option["text"]["text"].as_str().unwrap_or_default().to_owned();
    match value["type"].as_str().unwrap_or_default() {
        "plain_text_input" => format!("[{}]", value["value"].as_str().unwrap_or_default()),
        "datepicker" => format!("[{}]", value["selected_date"].as_str().unwrap_or_default()),
        "checkboxes" => {
            let ticked = value["selected_options"].as_array().into_iter().flatten().map(option);
            format!("[✓ {}]", ticked.collect::<Vec<_>>().join(" | ✓ "))
        }
        _ => format!("[✓ {}]", option(&value["selected_option"])),
    }
}
