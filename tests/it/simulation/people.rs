//! The reps: they tap, fill forms, write, change their minds, and press again until it is saved.
//!
//! Slack between them and the bot delivers late, twice and out of order. A person does one thing
//! about a debrief after the other, so the last thing that was accepted is what must be stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use debrief::domain::debrief::{DebriefId, MessageRef, Outcome, Snooze};
use debrief::domain::roster::ChatId;
use debrief::ports::inbound::{
    Ack, Control, FormValue, FormValues, Inbound, ReplyTo, Tap, What, message_key,
};
use debrief::ports::outbound::{Card, Form, Input, Modal};
use tokio::time::sleep;

use super::slack::{Message, TEAM, View};
use super::world::World;

/// What somebody wrote about a debrief.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pub(super) debrief: DebriefId,
    pub(super) text: String,
    /// The form closed, or Slack stopped sending the message again: it counts.
    pub(super) accepted: bool,
    /// What a later edit of the same message replaced.
    pub(super) edited: bool,
}

#[derive(Default)]
pub(super) struct People(Mutex<Diary>);

#[derive(Default)]
struct Diary {
    words: Vec<Words>,
    /// Who waits at a debrief; one deed after the other.
    busy: BTreeMap<DebriefId, Arc<tokio::sync::Mutex<()>>>,
}

impl People {
    pub(super) fn words(&self) -> Vec<Words> {
        self.diary().words.clone()
    }

    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is about to be sent, not accepted yet; its place in the diary.
    fn writes(&self, debrief: DebriefId, text: &str) -> usize {
        let mut diary = self.diary();
        diary.words.push(Words { debrief, text: text.to_owned(), accepted: false, edited: false });
        diary.words.len() - 1
    }

    fn accepted(&self, place: usize) {
        self.diary().words[place].accepted = true;
    }
}

/// Somebody sees a new message of the bot's.
pub(super) fn saw(world: &Arc<World>, message: Message) {
    let Card::Prompt(card) = &message.card else { return };
    if !world.has_people() {
        return;
    }
    let (world, debrief) = (Arc::clone(world), card.debrief);
    tokio::spawn(async move {
        let lock = Arc::clone(world.people.diary().busy.entry(debrief).or_default());
        let _turn = lock.lock().await;
        let pause = if world.chance.percent(30) { (5, 120) } else { (120, 5400) };
        sleep(world.chance.seconds(pause.0, pause.1)).await;
        react(&world, &message, debrief).await;
    });
}

async fn react(world: &Arc<World>, message: &Message, debrief: DebriefId) {
    match world.chance.between(0, 99) {
        0..=54 => {
            answer(world, message, debrief).await;
            // Second thoughts; an old delivery of the first ones must not undo them.
            while world.chance.percent(40) {
                sleep(world.chance.seconds(20, 1500)).await;
                answer(world, message, debrief).await;
            }
        }
        55..=69 => write_in_thread(world, message, debrief).await,
        70..=79 => {
            let outcome = *world.chance.pick(&[Outcome::Yes, Outcome::NiceChat, Outcome::No]);
            tap(world, message, Control::Ended { debrief, outcome }).await;
            if world.chance.percent(50) {
                sleep(world.chance.seconds(10, 600)).await;
                answer(world, message, debrief).await;
            }
        }
        80..=84 => tap(world, message, Control::Skip { debrief }).await,
        85..=89 => tap(world, message, Control::Snooze { debrief, until: Snooze::OneHour }).await,
        90..=92 => {
            open_home(world, message).await;
        }
        _ => {}
    }
}

/// Presses until the tap is acknowledged: Slack shows a warning sign until then.
pub(super) async fn tap(world: &Arc<World>, message: &Message, control: Control) {
    for _ in 0..20 {
        let inbound = tap_of(world, message, control.clone()).0;
        if frame(world, inbound).await.is_some() {
            return;
        }
        sleep(world.chance.seconds(4, 60)).await;
    }
}

/// Opens the form, fills it and presses *Save* until it closes.
pub(super) async fn answer(world: &Arc<World>, message: &Message, debrief: DebriefId) {
    let Some((view, form)) = open_form(world, message, debrief).await else {
        world.note(format!("person: no form for {debrief:?}"));
        return;
    };
    sleep(world.chance.seconds(5, 240)).await;
    let text = format!("words {}", world.slack.number());
    let place = world.people.writes(debrief, &text);
    let submission = Inbound {
        keys: vec![format!("sub:{}:{place}", view.id)],
        team_id: TEAM.into(),
        who: who(message),
        what: What::Submitted { form: form.id, values: filled(world, &form, &text) },
    };
    submit(world, submission, place).await;
}

/// Presses *Save* on the same view until Slack closes it.
pub(super) async fn submit(world: &Arc<World>, submission: Inbound, place: usize) {
    for _ in 0..100 {
        match frame(world, submission.clone()).await {
            Some(Ack::Plain) => {
                world.note(format!("person: saved {place}"));
                return world.people.accepted(place);
            }
            Some(Ack::FormErrors(errors)) => {
                world.trace.broken(format!("a good form was refused: {errors:?}"));
                return;
            }
            None => {}
        }
        let pause = if world.has_faults() { (2, 90) } else { (1, 3) };
        sleep(world.chance.seconds(pause.0, pause.1)).await;
    }
}

/// Notes what would be said in a form, for scenarios that submit by hand.
pub(super) fn by_hand(world: &World, debrief: DebriefId, text: &str) -> usize {
    world.people.writes(debrief, text)
}

/// Presses *Answer* until a form comes.
pub(super) async fn open_form(
    world: &Arc<World>,
    message: &Message,
    debrief: DebriefId,
) -> Option<(View, Form)> {
    for _ in 0..30 {
        let (inbound, trigger) = tap_of(world, message, Control::Answer { debrief });
        frame(world, inbound).await;
        for _ in 0..12 {
            sleep(Duration::from_secs(2)).await;
            let Some(view) = world.slack.view(&trigger) else { continue };
            match view.modal.clone() {
                Modal::Form(form) => return Some((view, form)),
                Modal::Sorry { .. } => return None,
                Modal::Loading { .. } => {}
            }
        }
        sleep(world.chance.seconds(10, 300)).await;
    }
    None
}

async fn write_in_thread(world: &Arc<World>, message: &Message, debrief: DebriefId) {
    let text = format!("words {}", world.slack.number());
    let ts = format!("{}.{:06}", world.now().as_second(), world.slack.number());
    let at = MessageRef { channel: message.at.channel.clone(), ts };
    let place = world.people.writes(debrief, &text);
    let wrote = What::Wrote { message: at.clone(), thread: Some(message.at.ts.clone()), text };
    let key = message_key(&at);
    let first = tokio::spawn(event(Arc::clone(world), who(message), key, wrote));
    if world.chance.percent(40) {
        // Maybe so soon that Slack delivers the correction first.
        sleep(world.chance.millis(300, 20_000)).await;
        let text = format!("words {}", world.slack.number());
        let edit = world.people.writes(debrief, &text);
        let key = format!("edit:{}:{}:{}", at.channel, at.ts, world.slack.number());
        let rewrote = What::Rewrote { message: at, text };
        world.people.diary().words[place].edited = true;
        event(Arc::clone(world), who(message), key, rewrote).await;
        world.people.accepted(edit);
    }
    first.await.unwrap();
    world.people.accepted(place);
}

async fn open_home(world: &Arc<World>, message: &Message) {
    let key = format!("home:{}", world.slack.number());
    event(Arc::clone(world), who(message), key, What::HomeOpened).await;
}

/// An event: Slack sends it until it is acknowledged.
pub(super) async fn event(world: Arc<World>, who: ChatId, key: String, what: What) {
    let id = world.slack.number();
    let inbound = Inbound { keys: vec![format!("ev:{id}"), key], team_id: TEAM.into(), who, what };
    sleep(world.chance.millis(50, 4000)).await;
    for wait in [2, 60, 300].into_iter().chain(std::iter::repeat_n(3600, 24)) {
        if frame(&world, inbound.clone()).await.is_some() {
            return;
        }
        sleep(Duration::from_secs(wait)).await;
    }
}

/// One frame, and perhaps the same one again much later, under another event id.
async fn frame(world: &Arc<World>, inbound: Inbound) -> Option<Ack> {
    if world.has_faults() && world.chance.percent(15) {
        let (world, mut again) = (Arc::clone(world), inbound.clone());
        tokio::spawn(async move {
            sleep(world.chance.seconds(0, 1800)).await;
            if again.keys.len() > 1 && world.chance.percent(50) {
                again.keys[0] = format!("ev:{}", world.slack.number());
            }
            world.note(format!("slack: once more {}", again.keys.join(" ")));
            world.deliver(again).await;
        });
    }
    let keys = inbound.keys.join(" ");
    let ack = world.deliver(inbound).await;
    world.note(format!("frame {keys} → {}", if ack.is_some() { "ack" } else { "nothing" }));
    ack
}

pub(super) fn tap_of(world: &World, message: &Message, control: Control) -> (Inbound, String) {
    let trigger = world.slack.new_trigger();
    let inbound = Inbound {
        keys: vec![format!("act:{}", world.slack.number())],
        team_id: TEAM.into(),
        who: who(message),
        what: What::Tap(Tap {
            control,
            message: Some(message.at.clone()),
            view: None,
            trigger: Some(trigger.clone()),
            reply_to: Some(ReplyTo(format!("reply to {}", trigger.0))),
            values: FormValues::new(),
        }),
    };
    (inbound, trigger.0)
}

pub(super) fn who(message: &Message) -> ChatId {
    ChatId(format!("U{}", &message.at.channel[1..]))
}

pub(super) fn filled(world: &World, form: &Form, text: &str) -> FormValues {
    let mut values = FormValues::new();
    for field in &form.fields {
        let value = match (&*field.id, &field.input) {
            ("ended", _) => {
                let outcome = world.chance.pick(&["yes", "nice_chat", "no"]);
                FormValue::Choice((*outcome).to_owned())
            }
            ("reflect", _) => FormValue::Text(text.to_owned()),
            (_, Input::Date { value: Some(date) }) => FormValue::Date(*date),
            _ => continue,
        };
        values.insert(field.id.clone(), value);
    }
    // A form that was opened before the ending was known asks for the words in the next step.
    values.entry("reflect".into()).or_insert_with(|| FormValue::Text(text.to_owned()));
    values
}
