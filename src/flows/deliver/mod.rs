//! Outbox to messenger: claim, send, confirm.
//!
//! What is sent is put together right before, from the store, so an old row never shows old facts.
//! A post whose fate is unknown is looked up in the conversation before it is sent again, so a
//! crash here costs a look, never a second message. Only as many rows are claimed as can be under
//! way at once, so that the rest keeps its order and a crash leaves few to look up.

pub mod circuit;
mod fate;
mod pack;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::fate::Unsent;
use self::pack::{Parcel, Terms};
use super::sabotage::{self, Bug};
use super::{Bot, digest};
use crate::domain::debrief::MessageRef;
use crate::domain::person::Person;
use crate::ports::outbound::Card;
use crate::store::Store;
use crate::store::outbox::{OutRow, Queue};

/// How many rows of a queue are under way at the same time. Posts leave some 17 times a second at
/// most and may take a second or two each; the rest is slower by Slack's limits.
const SIDE_BY_SIDE: [(Queue, usize); 4] =
    [(Queue::Posts, 32), (Queue::Edits, 4), (Queue::Homes, 4), (Queue::Aside, 4)];
/// How wrong our clock may have been when a message was queued: it is told by its key, and the time
/// only keeps the search short.
const CLOCK_MAY_BE_OFF: SignedDuration = SignedDuration::from_hours(24);
/// The seq of the refresh of a reminder begins with this.
pub(super) const REMINDER: &str = "reminder:";

/// Rows that a process before us was sending are of unknown fate. Called once at start.
///
/// # Errors
/// If the store fails.
pub async fn doubt_orphans(store: &Store, now: Timestamp) -> anyhow::Result<()> {
    #[cfg(feature = "seeded-bugs")]
    if sabotage::is(Bug::PostThenMark) {
        return store.transact(move |tx| tx.trust_orphans(now)).await;
    }
    let orphans = store.transact_behind(move |tx| tx.doubt_orphans(now)).await?;
    if orphans > 0 {
        tracing::info!(messages = orphans, "looking up what was being sent when we stopped");
    }
    Ok(())
}

/// Sends some of what is due. Says how many rows were handled.
///
/// # Errors
/// If the store fails.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
    let mut under_way = UnderWay::default();
    let count = under_way.fill(bot, now).await?;
    while let Some(done) = under_way.next().await {
        done?;
    }
    Ok(count)
}

/// Rows that are being sent. Dropped, they are cut short and looked up later.
#[derive(Default)]
pub struct UnderWay {
    sending: JoinSet<(Queue, anyhow::Result<()>)>,
    queues: Vec<Queue>,
    /// What was due when, at the last look.
    next: Vec<(Queue, Timestamp)>,
}

impl UnderWay {
    pub fn is_empty(&self) -> bool {
        self.sending.is_empty()
    }

    /// When there is something to send next, as of the last [`UnderWay::fill`], which began nothing.
    pub fn next_at(&self, bot: &Bot) -> Option<Timestamp> {
        let open = |&(queue, at): &(Queue, Timestamp)| {
            bot.circuit.closed_until(queue).map_or(at, |until| until.max(at))
        };
        self.next.iter().map(open).min()
    }

    /// Begins to send what is due, as far as there is room. Says how many rows that is.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn fill(&mut self, bot: &Bot, now: Timestamp) -> anyhow::Result<usize> {
        let mut begun = 0;
        self.next = next_of_each(bot).await?;
        for (queue, most) in SIDE_BY_SIDE {
            let busy = self.queues.iter().filter(|busy| **busy == queue).count();
            let room = bot.circuit.room(queue, busy, most, now);
            if room == 0 || !self.next.iter().any(|(due, at)| *due == queue && *at <= now) {
                continue;
            }
            let rows = bot.store.transact_behind(move |tx| tx.claim_due(queue, now, room)).await?;
            bot.circuit.sends(rows.len(), now);
            begun += rows.len();
            for row in rows {
                let bot = bot.clone();
                self.queues.push(queue);
                self.sending.spawn(async move { (queue, handle(&bot, queue, row, now).await) });
            }
        }
        Ok(begun)
    }

    /// Waits for one row to be done with; `None` if none is under way.
    pub async fn next(&mut self) -> Option<anyhow::Result<()>> {
        let done = self.sending.join_next().await?;
        Some(match done {
            Ok((queue, result)) => {
                let place = self.queues.iter().position(|busy| *busy == queue);
                place.map(|place| self.queues.swap_remove(place));
                result
            }
            Err(error) => {
                // Which one it was is unknown; its row is looked up at the next start.
                self.queues.pop();
                Err(anyhow::Error::new(error).context("send a message"))
            }
        })
    }
}

async fn next_of_each(bot: &Bot) -> anyhow::Result<Vec<(Queue, Timestamp)>> {
    bot.store
        .read(|tx| {
            let mut next = Vec::new();
            for queue in Queue::ALL {
                next.extend(tx.next_delivery_at(queue)?.map(|at| (queue, at)));
            }
            Ok(next)
        })
        .await
}

/// A row that was handled, whatever became of it, is a sign of life.
async fn handle(bot: &Bot, queue: Queue, row: OutRow, now: Timestamp) -> anyhow::Result<()> {
    let done = send(bot, queue, row, now).await;
    bot.tally.handled.add(1);
    done
}

async fn send(bot: &Bot, queue: Queue, row: OutRow, now: Timestamp) -> anyhow::Result<()> {
    let began = Instant::now();
    let Some((person, parcel, revision)) = pack::pack(bot, &row, now).await? else {
        bot.circuit.asked_nothing(now);
        return fate::is_for_nobody(bot, row).await;
    };
    if parcel.asks_nothing(&person) {
        bot.circuit.asked_nothing(now);
    }
    let sent = match parcel {
        Parcel::Drop => return fate::is_unwanted(bot, &row).await,
        Parcel::Expire => return fate::is_too_late(bot, row, now).await,
        Parcel::Wait(until) => return fate::is_too_early(bot, row, until).await,
        Parcel::Edit(at, card) => match bot.messenger.edit(&at, &card).await {
            Ok(()) => Ok(Some(at)),
            Err(error) => Err(Unsent::Sending(error)),
        },
        Parcel::Home(home) => match &person.chat_id {
            Some(id) => {
                let published = bot.messenger.publish_home(id, &home).await;
                published.map(|()| None).map_err(Unsent::Sending)
            }
            None => return fate::is_unwanted(bot, &row).await,
        },
        Parcel::Post(card, terms) => {
            post(bot, queue, &row, &person, (&card, terms, None), now).await
        }
        Parcel::Digest(card, shown) => {
            let card = (&card, Terms::ANY_TIME, Some(&shown));
            post(bot, queue, &row, &person, card, now).await
        }
    };
    match sent {
        Ok(at) => {
            bot.circuit.went(queue);
            fate::was_sent(bot, row, at, revision, now).await
        }
        Err(unsent) => {
            let passed = SignedDuration::try_from(began.elapsed()).unwrap_or_default();
            fate::was_not_sent(bot, queue, row, person.id, unsent, (now, now + passed)).await
        }
    }
}

/// Posts once: a row that may have arrived already is looked up first.
async fn post(
    bot: &Bot,
    queue: Queue,
    row: &OutRow,
    person: &Person,
    (card, terms, shown): (&Card, Terms, Option<&digest::Shown>),
    now: Timestamp,
) -> Result<Option<MessageRef>, Unsent> {
    let channel = match (&person.channel, &person.chat_id) {
        (Some(channel), _) => channel.clone(),
        (None, Some(_)) if queue != Queue::Aside => return Err(Unsent::Aside),
        (None, Some(id)) => {
            let opened = bot.messenger.conversation(id).await;
            let channel = opened.map_err(Unsent::Before)?;
            remember_channel(bot, person, &channel).await;
            channel
        }
        (None, None) => return Err(Unsent::nobody()),
    };
    if row.uncertain && !sabotage::is(Bug::NoReconcile) {
        let since = row.created_at - CLOCK_MAY_BE_OFF;
        let found = bot.messenger.find(&channel, &row.delivery_key, since).await;
        if let Some(at) = found.map_err(|error| Unsent::Looking(error, terms))? {
            fate::count(bot, row.kind, |fates| fates.reconciled.add(1));
            return Ok(Some(at));
        }
        if terms.too_late {
            return Err(Unsent::TooLate);
        }
        if !fate::was_last_look(row, now) {
            return Err(Unsent::NotFound);
        }
        if !terms.is_wanted {
            return Err(Unsent::Unwanted);
        }
        if terms.opens > now {
            return Err(Unsent::Closed(terms.opens));
        }
        tracing::warn!(row.id, "a message never arrived; sending it again");
    }
    if let Some(shown) = shown
        && !digest::may_go(bot, row, shown, now).await
    {
        return Err(Unsent::Stale);
    }
    let posted = bot.messenger.post(&channel, card, &row.delivery_key).await;
    let at = posted.map_err(Unsent::Sending)?;
    fate::count(bot, row.kind, |fates| fates.sent.add(1));
    Ok(Some(at))
}

async fn remember_channel(bot: &Bot, person: &Person, channel: &str) {
    let (id, channel) = (person.id, channel.to_owned());
    let stored = bot.store.transact_behind(move |tx| tx.set_channel(id, &channel)).await;
    if let Err(error) = stored {
        tracing::warn!(error = format!("{error:#}"), "could not remember a conversation");
    }
}
