//! The messenger: sends to people in Slack, and looks them up.
//!
//! A post is never repeated here, except in a plainer form after Slack has refused the first one:
//! repeating is the outbox's business, after a look with [`Messenger::find`].

mod lookup;
mod missed;
mod send;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use self::send::Destination;
use super::api::{Api, CALL, Call, Done, TRIGGERED};
use super::figures::MethodFigures;
use super::pace::{Lane, Pace};
use super::reply::ReplyPlaces;
use super::views;
use crate::domain::debrief::MessageRef;
use crate::domain::roster::ChatId;
use crate::ports::inbound::{Inbound, ReplyTo, Trigger};
use crate::ports::outbound::{Card, Home, Modal, Whisper};
use crate::ports::{Identity, Messenger, Profile, SendError, ViewId};

/// Where Slack is and who we are there.
#[derive(Debug)]
pub struct SlackSettings {
    /// `https://slack.com/api`, or another workspace's; `http` is allowed.
    pub api_url: String,
    pub bot_token: Token,
    /// Only for sockets.
    pub app_token: Option<Token>,
    pub pace: Arc<Pace>,
}

/// A secret that does not show when printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// [`Messenger`] for one Slack workspace.
#[derive(Debug)]
pub struct SlackMessenger {
    pub(super) api: Arc<Api>,
    me: OnceLock<Identity>,
    /// The look of a digest that the workspace last took.
    rung: AtomicUsize,
    warned_of_dnd: AtomicBool,
    /// Copies of messages that were found.
    doubles: AtomicU64,
    replies: ReplyPlaces,
}

#[derive(Debug, Deserialize)]
struct Opened {
    channel: OpenedChannel,
}

#[derive(Debug, Deserialize)]
struct OpenedChannel {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Viewed {
    view: View,
}

#[derive(Debug, Deserialize)]
struct View {
    id: String,
}

impl SlackMessenger {
    pub fn new(settings: SlackSettings) -> anyhow::Result<Self> {
        let SlackSettings { api_url, bot_token, app_token, pace } = settings;
        Ok(Self {
            api: Arc::new(Api::new(&api_url, &bot_token, app_token.as_ref(), pace)?),
            me: OnceLock::new(),
            rung: AtomicUsize::new(0),
            warned_of_dnd: AtomicBool::new(false),
            doubles: AtomicU64::new(0),
            replies: ReplyPlaces::of(&api_url),
        })
    }

    /// How many copies of messages were found where one should have stood.
    pub fn doubles(&self) -> u64 {
        self.doubles.load(Ordering::Relaxed)
    }

    /// How calling Slack goes.
    pub fn figures(&self) -> Vec<MethodFigures> {
        self.api.figures()
    }

    /// Our pace, whose learnt rates are to be kept.
    pub fn pace(&self) -> Arc<Pace> {
        Arc::clone(self.api.pace())
    }

    /// Slack's word that an account is inactive may mean ours or theirs: ours is asked about.
    async fn whose_account<T>(&self, result: Result<T, SendError>) -> Result<T, SendError> {
        match result {
            Err(SendError::Halt { code }) if code == "account_inactive" => {
                match self.api.who_am_i().await {
                    Ok(_) => Err(SendError::Gone { code }),
                    Err(SendError::Halt { code }) => Err(SendError::Halt { code }),
                    Err(_) => Err(SendError::Later { after: 30 }),
                }
            }
            other => other,
        }
    }

    /// Asks Slack anew who we are: whether our token still works, and what time it is there.
    pub async fn greet(&self) -> Result<(), SendError> {
        self.api.who_am_i().await.map(|_| ())
    }

    /// Whether Slack refused our token when we last asked who we are.
    pub fn is_refused(&self) -> bool {
        self.api.is_refused()
    }

    /// What Slack's clock shows, to the second; `None` if it never told.
    pub fn time_there(&self) -> Option<Timestamp> {
        self.api.time_there()
    }
}

#[async_trait]
impl Messenger for SlackMessenger {
    async fn preflight(&self) -> Result<Identity, SendError> {
        let me = self.me().await?.clone();
        self.api.try_socket().await?;
        Ok(me)
    }

    async fn conversation(&self, person: &ChatId) -> Result<String, SendError> {
        let call = Call::new("conversations.open");
        let body = json!({"users": person.0});
        let opened: Result<Opened, SendError> = self.api.post(call, &body).await;
        Ok(self.whose_account(opened).await?.channel.id)
    }

    async fn post(&self, channel: &str, card: &Card, key: &str) -> Result<MessageRef, SendError> {
        // Whatever went wrong before: nothing of anybody's is ever posted where others read.
        if !channel.starts_with('D') {
            return Err(SendError::Never { code: "not_a_direct_conversation".into() });
        }
        let to = Destination::New { channel, key, lane: lane(card) };
        let posted = self.show(&views::card(card), to).await;
        let posted = self.whose_account(posted).await?;
        Ok(MessageRef { channel: posted.channel, ts: posted.ts })
    }

    async fn find(
        &self,
        channel: &str,
        key: &str,
        since: Timestamp,
    ) -> Result<Option<MessageRef>, SendError> {
        let mut found = self.matches(channel, key, since).await?.into_iter();
        let kept = found.next();
        let copies = found.len();
        if copies > 0 {
            self.doubles.fetch_add(copies as u64, Ordering::Relaxed);
            tracing::warn!(copies, "a message stood more than once; removing the later ones");
        }
        for ts in found {
            let call = Call::to(channel, "chat.delete");
            let body = json!({"channel": channel, "ts": ts});
            // Its failure was logged; the copy that we keep is the one that counts.
            let _ = self.api.post::<Done>(call, &body).await;
        }
        Ok(kept.map(|ts| MessageRef { channel: channel.to_owned(), ts }))
    }

    async fn edit(&self, at: &MessageRef, card: &Card) -> Result<(), SendError> {
        let shown = self.show(&views::card(card), Destination::Existing(at)).await;
        self.whose_account(shown).await.map(|_| ())
    }

    async fn open(&self, trigger: &Trigger, modal: &Modal) -> Result<ViewId, SendError> {
        let call = Call::urgent("views.open", TRIGGERED);
        let body = json!({"trigger_id": trigger.0, "view": views::modal(modal)});
        let opened: Viewed = self.api.post(call, &body).await?;
        Ok(ViewId(opened.view.id))
    }

    async fn replace(&self, view: &ViewId, modal: &Modal) -> Result<(), SendError> {
        let call = Call::urgent("views.update", CALL);
        let body = json!({"view_id": view.0, "view": views::modal(modal)});
        self.api.post::<Done>(call, &body).await.map(|_| ())
    }

    async fn publish_home(&self, person: &ChatId, home: &Home) -> Result<(), SendError> {
        let call = Call::new("views.publish");
        // Without a hash: it is drawn from the store each time, so the last one is the right one.
        let body = json!({"user_id": person.0, "view": views::home(home)});
        self.api.post::<Done>(call, &body).await.map(|_| ())
    }

    async fn whisper(&self, to: &ReplyTo, whisper: &Whisper) -> Result<(), SendError> {
        if !self.replies.allows(&to.0) {
            return Err(SendError::Never { code: "foreign_response_url".into() });
        }
        self.api.respond(&to.0, &views::whisper(whisper)).await
    }

    async fn missed(
        &self,
        channel: &str,
        threads: &[&str],
        since: Timestamp,
    ) -> Result<Vec<Inbound>, SendError> {
        self.written(channel, threads, since).await
    }

    async fn person_by_email(&self, email: &str) -> Result<Option<Profile>, SendError> {
        self.user("users.lookupByEmail", ("email", email.to_owned())).await
    }

    async fn profile(&self, person: &ChatId) -> Result<Option<Profile>, SendError> {
        self.user("users.info", ("user", person.0.clone())).await
    }

    async fn quiet_times(
        &self,
        people: &[ChatId],
    ) -> Result<HashMap<ChatId, (Timestamp, Timestamp)>, SendError> {
        let mut all = HashMap::new();
        for some in people.chunks(50) {
            match self.quiet(some).await {
                Ok(quiet) => all.extend(quiet),
                Err(SendError::Halt { code }) if code == "missing_scope" => {
                    if !self.warned_of_dnd.swap(true, Ordering::Relaxed) {
                        tracing::warn!("no scope dnd:read: Do Not Disturb is not respected");
                    }
                    return Ok(HashMap::new());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

/// A digest has time; somebody is asked or answered by the rest.
fn lane(card: &Card) -> Lane {
    match card {
        Card::Digest(_) => Lane::Background,
        Card::Prompt(_) | Card::Note(_) => Lane::Questions,
    }
}

#[cfg(test)]
mod tests;
