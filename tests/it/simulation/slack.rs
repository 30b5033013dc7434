//! A pretend Slack: keeps the workspace's messages, and fails like the real one.
//!
//! It outlives the bot, and so does a request: a task of the world carries it out even if the
//! process that sent it is dead by then. That one detail is what makes double questions appear.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use debrief::domain::debrief::MessageRef;
use debrief::domain::roster::ChatId;
use debrief::ports::inbound::{ReplyTo, Trigger};
use debrief::ports::outbound::{Card, Home, Modal, Whisper};
use debrief::ports::{Identity, Messenger, Profile, SendError, Standing, ViewId};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::bot::{Process, Slip};
use super::people;
use super::world::World;

pub(super) const TEAM: &str = "T0SIM";
/// How long the real client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A trigger lives this long.
const TRIGGER_LIFE: Duration = Duration::from_secs(3);
/// Posts a minute, and how many at once.
const POSTS_A_MINUTE: f64 = 60.0;
const BURST: f64 = 20.0;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// A server error, and nothing was done.
    Refused,
    /// The connection broke before it arrived.
    Reset,
    /// It was done; the answer was lost.
    ReplyLost,
    /// It is done so many seconds after it was sent; the client has given up by then.
    Late(u64),
    /// A server error, although it was done.
    RefusedAfter,
    /// Too many.
    Limited(u64),
}

/// A message of the bot's in somebody's conversation.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) at: MessageRef,
    /// The delivery key without its first part, which is the store's own.
    pub(super) key: String,
    pub(super) card: Card,
    /// When the request was sent, in true time and by the bot's clock.
    pub(super) requested: (Timestamp, Timestamp),
    /// Slack's time.
    pub(super) posted: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) modal: Modal,
}

#[derive(Default)]
pub(super) struct Slack(Mutex<Workspace>);

#[derive(Default)]
struct Workspace {
    messages: Vec<Message>,
    /// By trigger.
    views: BTreeMap<String, View>,
    triggers: HashMap<String, Instant>,
    /// What happens to the next requests of a method, in place of chance.
    script: HashMap<&'static str, VecDeque<Fate>>,
    calls: Vec<&'static str>,
    counter: u64,
    tokens: f64,
    filled: Option<Instant>,
}

impl Slack {
    pub(super) fn messages(&self) -> Vec<Message> {
        self.workspace().messages.clone()
    }

    pub(super) fn view(&self, trigger: &str) -> Option<View> {
        self.workspace().views.get(trigger).cloned()
    }

    /// Something that happens once: a trigger, an event.
    pub(super) fn number(&self) -> u64 {
        let mut workspace = self.workspace();
        workspace.counter += 1;
        workspace.counter
    }

    pub(super) fn new_trigger(&self) -> Trigger {
        let trigger = format!("t{}", self.number());
        self.workspace().triggers.insert(trigger.clone(), Instant::now());
        Trigger(trigger)
    }

    pub(super) fn script(&self, method: &'static str, fates: &[Fate]) {
        self.workspace().script.entry(method).or_default().extend(fates);
    }

    pub(super) fn calls(&self, method: &str) -> usize {
        self.workspace().calls.iter().filter(|call| **call == method).count()
    }

    fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the fate of a request.
    fn fate(&self, world: &World, method: &'static str) -> Fate {
        let mut workspace = self.workspace();
        workspace.calls.push(method);
        if let Some(fate) = workspace.script.get_mut(method).and_then(VecDeque::pop_front) {
            return fate;
        }
        if method == "post"
            && let Some(wait) = workspace.take_token()
        {
            return Fate::Limited(wait);
        }
        if !world.has_faults() {
            return Fate::Fine;
        }
        if method == "find" {
            let fails = world.chance.percent(10);
            return if fails { Fate::Refused } else { Fate::Fine };
        }
        match world.chance.between(0, 99) {
            0..=5 => Fate::Refused,
            6..=9 => Fate::Reset,
            // An edit that comes later than the next one is beyond what anybody can do about it.
            18..=22 if method == "post" => Fate::Late(world.chance.between(11, 105)),
            10..=22 => Fate::ReplyLost,
            23..=25 => Fate::RefusedAfter,
            _ => Fate::Fine,
        }
    }
}

impl Workspace {
    /// How long to wait, if there is no token.
    fn take_token(&mut self) -> Option<u64> {
        let passed = self.filled.map_or(Duration::MAX, |filled| filled.elapsed());
        self.filled = Some(Instant::now());
        let fresh = passed.as_secs_f64() * POSTS_A_MINUTE / 60.0;
        self.tokens = (self.tokens + fresh).min(BURST);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        Some(2)
    }
}

/// Sends a request into the world. It goes on even if nobody waits for the answer any more.
async fn request<T: Send + 'static>(
    world: &Arc<World>,
    method: &'static str,
    about: String,
    patience: Duration,
    effect: impl FnOnce(&Arc<World>) -> Result<T, SendError> + Send + 'static,
) -> Result<T, SendError> {
    let fate = world.slack.fate(world, method);
    world.note(format!("slack: {method} {about} → {fate:?}"));
    let (answer, answered) = oneshot::channel();
    let world = Arc::clone(world);
    tokio::spawn(async move {
        sleep(world.chance.millis(20, 250)).await;
        let result = match fate {
            Fate::Fine => {
                let result = effect(&world);
                sleep(world.chance.millis(20, 250)).await;
                result
            }
            Fate::Refused | Fate::Reset => Err(SendError::Unknown),
            Fate::ReplyLost => {
                let _ = effect(&world);
                sleep(patience).await;
                Err(SendError::Unknown)
            }
            Fate::RefusedAfter => {
                let _ = effect(&world);
                Err(SendError::Unknown)
            }
            Fate::Limited(after) => Err(SendError::Later { after }),
            Fate::Late(seconds) => {
                sleep(patience).await;
                let _ = answer.send(Err(SendError::Unknown));
                sleep(Duration::from_secs(seconds).saturating_sub(patience)).await;
                let _ = effect(&world);
                return;
            }
        };
        let _ = answer.send(result);
    });
    answered.await.unwrap_or(Err(SendError::Unknown))
}

/// How a process of the bot sees Slack. It dies at the named points.
pub(super) struct Line(pub(super) Process);

impl Line {
    async fn ask<T: Send + 'static>(
        &self,
        method: &'static str,
        about: String,
        effect: impl FnOnce(&Arc<World>) -> Result<T, SendError> + Send + 'static,
    ) -> Result<T, SendError> {
        let answer = request(&self.0.world, method, about, PATIENCE, effect).await;
        self.0.survived(answer).await
    }
}

#[async_trait]
impl Messenger for Line {
    async fn preflight(&self) -> Result<Identity, SendError> {
        unreachable!("the loops do not ask who they are")
    }

    async fn conversation(&self, person: &ChatId) -> Result<String, SendError> {
        let channel = format!("D{}", &person.0[1..]);
        self.ask("conversation", person.0.clone(), move |_| Ok(channel)).await
    }

    async fn post(&self, channel: &str, card: &Card, key: &str) -> Result<MessageRef, SendError> {
        self.0.may_die(Slip::BeforePost).await;
        let world = &self.0.world;
        let requested = (world.now(), world.wall());
        let key = short(key);
        let (about, channel, card) = (key.clone(), channel.to_owned(), card.clone());
        let answer = self
            .ask("post", about, move |world| Ok(post(world, channel, card, key, requested)))
            .await;
        self.0.may_die(Slip::AfterPost).await;
        answer
    }

    async fn find(
        &self,
        channel: &str,
        key: &str,
        since: Timestamp,
    ) -> Result<Option<MessageRef>, SendError> {
        let (key, channel) = (short(key), channel.to_owned());
        let answer = self
            .ask("find", key.clone(), move |world| {
                // Slack goes by its own clock, and the real client leaves two minutes of margin.
                let oldest = since - SignedDuration::from_mins(2);
                let workspace = world.slack.workspace();
                let found = workspace.messages.iter().find(|message| {
                    message.at.channel == channel && message.key == key && message.posted >= oldest
                });
                Ok(found.map(|message| message.at.clone()))
            })
            .await;
        self.0.may_die(Slip::AfterLook).await;
        answer
    }

    async fn edit(&self, at: &MessageRef, card: &Card) -> Result<(), SendError> {
        let (at, card) = (at.clone(), card.clone());
        self.ask("edit", format!("{} {}", at.channel, at.ts), move |world| {
            let mut workspace = world.slack.workspace();
            match workspace.messages.iter_mut().find(|message| message.at == at) {
                Some(message) => {
                    message.card = card;
                    Ok(())
                }
                None => Err(SendError::Never { code: "message_not_found".into() }),
            }
        })
        .await
    }

    async fn open(&self, trigger: &Trigger, modal: &Modal) -> Result<ViewId, SendError> {
        let (trigger, modal) = (trigger.0.clone(), modal.clone());
        let patience = Duration::from_millis(2500);
        let world = &self.0.world;
        let answer = request(world, "open", trigger.clone(), patience, move |world| {
            let mut workspace = world.slack.workspace();
            let made = workspace.triggers.remove(&trigger);
            if made.is_none_or(|made| made.elapsed() > TRIGGER_LIFE) {
                return Err(SendError::Never { code: "expired_trigger_id".into() });
            }
            workspace.counter += 1;
            let id = format!("V{}", workspace.counter);
            workspace.views.insert(trigger, View { id: id.clone(), modal });
            Ok(ViewId(id))
        })
        .await;
        self.0.survived(answer).await
    }

    async fn replace(&self, view: &ViewId, modal: &Modal) -> Result<(), SendError> {
        let (view, modal) = (view.0.clone(), modal.clone());
        self.ask("replace", view.clone(), move |world| {
            let mut workspace = world.slack.workspace();
            match workspace.views.values_mut().find(|known| known.id == view) {
                Some(known) => {
                    known.modal = modal;
                    Ok(())
                }
                None => Err(SendError::Never { code: "not_found".into() }),
            }
        })
        .await
    }

    async fn publish_home(&self, person: &ChatId, _home: &Home) -> Result<(), SendError> {
        self.ask("home", person.0.clone(), |_| Ok(())).await
    }

    async fn whisper(&self, to: &ReplyTo, _whisper: &Whisper) -> Result<(), SendError> {
        self.ask("whisper", to.0.clone(), |_| Ok(())).await
    }

    async fn person_by_email(&self, email: &str) -> Result<Option<Profile>, SendError> {
        let name = email.split('@').next().unwrap().to_owned();
        self.ask("lookup", name.clone(), move |world| Ok(Some(profile(world, &name)))).await
    }

    async fn profile(&self, person: &ChatId) -> Result<Option<Profile>, SendError> {
        let name = person.0[1..].to_owned();
        self.ask("lookup", name.clone(), move |world| Ok(Some(profile(world, &name)))).await
    }

    async fn quiet_times(
        &self,
        _people: &[ChatId],
    ) -> Result<HashMap<ChatId, (Timestamp, Timestamp)>, SendError> {
        self.ask("quiet", String::new(), |_| Ok(HashMap::new())).await
    }
}

/// Puts a message into the conversation, whoever still waits to hear of it.
fn post(
    world: &Arc<World>,
    channel: String,
    card: Card,
    key: String,
    requested: (Timestamp, Timestamp),
) -> MessageRef {
    let ts = format!("{}.{:06}", world.now().as_second(), world.slack.number());
    let message =
        Message { at: MessageRef { channel, ts }, key, card, requested, posted: world.now() };
    let at = message.at.clone();
    world.note(format!("visible: {} in {}", message.key, at.channel));
    if world.slack.messages().iter().any(|known| known.key == message.key) {
        world.trace.broken(format!("{} is there twice", message.key));
    }
    world.slack.workspace().messages.push(message.clone());
    people::saw(world, message);
    at
}

/// `U` and the local part of the address: `Ur3`, `Um0`.
fn profile(world: &World, name: &str) -> Profile {
    Profile {
        id: ChatId(format!("U{name}")),
        name: name.to_owned(),
        zone: Some(world.zone_name(name).to_owned()),
        standing: Standing::Member,
    }
}

fn short(key: &str) -> String {
    key.split_once('-').map_or(key, |(_, rest)| rest).to_owned()
}
