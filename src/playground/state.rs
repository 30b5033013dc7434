//! Everything the workspace remembers.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::faults::{Faults, Limit};
use super::{Member, Settings};

pub(super) const TEAM: &str = "T0PLAY";
pub(super) const APP: &str = "A0PLAY";
pub(super) const BOT: &str = "B0PLAY";
pub(super) const BOT_USER: &str = "U0BOT";
pub(super) const BOT_NAME: &str = "debrief";
const TRIGGER_LIFE: Duration = Duration::from_secs(3);
const ANSWER_LIFE: Duration = Duration::from_mins(30);
const ANSWER_USES: u8 = 5;

/// A message in the conversation of one person with the bot.
#[derive(Debug, Clone)]
pub struct Message {
    /// Slack's timestamp: its identity within the channel.
    pub ts: String,
    pub channel: String,
    /// `U…` of whoever wrote it.
    pub author: String,
    pub text: String,
    /// The blocks as they were sent; `null` if there were none.
    pub blocks: Value,
    pub metadata: Value,
    pub thread_ts: Option<String>,
    /// Seen by one person, not part of the history.
    pub is_ephemeral: bool,
    pub is_edited: bool,
    /// Of the last time that its author corrected it.
    pub edited_ts: Option<String>,
    pub is_deleted: bool,
}

impl Message {
    pub fn is_from_bot(&self) -> bool {
        self.author == BOT_USER
    }
}

/// A modal or a Home tab.
#[derive(Debug, Clone)]
pub struct View {
    pub id: String,
    pub hash: String,
    /// `U…` of whoever sees it.
    pub person: String,
    /// As it was sent.
    pub body: Value,
    /// What was typed and chosen: block id, action id, value.
    pub typed: HashMap<(String, String), Value>,
    pub(super) root: String,
    pub(super) previous: Option<String>,
}

/// Opens one modal within three seconds.
struct Trigger {
    person: String,
    made: Instant,
    is_used: bool,
}

/// Where `response_url` leads.
pub(super) struct AnswerPlace {
    pub(super) person: String,
    /// The message that carried the control.
    pub(super) message: Option<String>,
    made: Instant,
    uses: u8,
}

/// A recorded call of the Web API.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub arguments: Value,
}

pub(super) struct Slack {
    pub(super) settings: Settings,
    pub(super) messages: Vec<Message>,
    pub(super) views: HashMap<String, View>,
    /// Open modals of each person, the topmost last.
    pub(super) modals: HashMap<String, Vec<String>>,
    pub(super) homes: HashMap<String, String>,
    triggers: HashMap<String, Trigger>,
    pub(super) answers: HashMap<String, AnswerPlace>,
    pub(super) calendars: HashMap<String, (u64, String)>,
    /// How often each calendar was asked for, and the status that its server answers with instead.
    pub(super) calendar_calls: HashMap<String, usize>,
    pub(super) calendar_faults: HashMap<String, u16>,
    pub(super) faults: Faults,
    /// Of some methods; the others may be called as often as one likes.
    pub(super) limits: HashMap<String, Limit>,
    pub(super) calls: Vec<Call>,
    /// Calls that are still on their way.
    pub(super) late: Vec<Call>,
    pub(super) is_revoked: bool,
    /// Recent posts of each channel, in real time.
    pub(super) posts: HashMap<String, VecDeque<Instant>>,
    counter: u64,
    last_ts: (i64, u64),
}

impl Slack {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            messages: Vec::new(),
            views: HashMap::new(),
            modals: HashMap::new(),
            homes: HashMap::new(),
            triggers: HashMap::new(),
            answers: HashMap::new(),
            calendars: HashMap::new(),
            calendar_calls: HashMap::new(),
            calendar_faults: HashMap::new(),
            faults: Faults::default(),
            limits: HashMap::new(),
            calls: Vec::new(),
            late: Vec::new(),
            is_revoked: false,
            posts: HashMap::new(),
            counter: 0,
            last_ts: (0, 0),
        }
    }

    /// A number that was not given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// A timestamp later than every one before.
    pub(super) fn ts(&mut self, now: Timestamp) -> String {
        let second = now.as_second();
        let (last, count) = self.last_ts;
        self.last_ts = if second > last { (second, 100) } else { (last, count + 100) };
        format!("{}.{:06}", self.last_ts.0, self.last_ts.1)
    }

    pub(super) fn member(&self, id: &str) -> Option<&Member> {
        self.settings.people.iter().find(|member| member.id == id)
    }

    /// The conversation of a person with the bot.
    pub(super) fn channel_of(person: &str) -> String {
        format!("D{}", person.trim_start_matches('U'))
    }

    /// Whose conversation a channel is.
    pub(super) fn person_of(&self, channel: &str) -> Option<&Member> {
        let mut people = self.settings.people.iter();
        people.find(|member| Self::channel_of(&member.id) == channel)
    }

    pub(super) fn message(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        let mut newest_first = self.messages.iter_mut().rev();
        newest_first
            .find(|message| message.channel == channel && message.ts == ts && !message.is_deleted)
    }

    /// A trigger for something that `person` just did.
    pub(super) fn trigger(&mut self, person: &str) -> String {
        let id = format!("{}.play", self.number());
        let trigger = Trigger { person: person.to_owned(), made: Instant::now(), is_used: false };
        self.triggers.insert(id.clone(), trigger);
        id
    }

    /// Uses a trigger up; says whose it was, or Slack's error code.
    pub(super) fn pull_trigger(&mut self, id: &str) -> Result<String, &'static str> {
        let trigger = self.triggers.get_mut(id).ok_or("invalid_trigger_id")?;
        if trigger.is_used {
            return Err("exchanged_trigger_id");
        }
        if trigger.made.elapsed() > TRIGGER_LIFE {
            return Err("expired_trigger_id");
        }
        trigger.is_used = true;
        Ok(trigger.person.clone())
    }

    /// Makes every trigger look older than it may be.
    pub(super) fn expire_triggers(&mut self) {
        self.triggers.clear();
    }

    /// A `response_url`'s last part.
    pub(super) fn answer_place(&mut self, person: &str, message: Option<&str>) -> String {
        let id = format!("r{}", self.number());
        let place = AnswerPlace {
            person: person.to_owned(),
            message: message.map(str::to_owned),
            made: Instant::now(),
            uses: 0,
        };
        self.answers.insert(id.clone(), place);
        id
    }

    /// Whose a `response_url` is and which message it may replace, if it may still be used.
    pub(super) fn use_answer_place(&mut self, id: &str) -> Option<(String, Option<String>)> {
        let place = self.answers.get_mut(id)?;
        if place.uses >= ANSWER_USES || place.made.elapsed() > ANSWER_LIFE {
            return None;
        }
        place.uses += 1;
        Some((place.person.clone(), place.message.clone()))
    }

    pub(super) fn team(&self) -> Value {
        json!({ "id": TEAM, "domain": self.settings.workspace.to_lowercase() })
    }
}
