//! What the bot does, one file a verb.
//!
//! Timers and people trigger the same verbs. A flow is given `now`, reads and writes the store in
//! short transactions, and speaks to the outside through the ports only between them.

pub mod card;
pub mod collect;
pub mod command;
pub mod deliver;
pub mod digest;
pub mod enroll;
pub mod explain;
pub mod export;
pub mod follow_up;
pub mod form;
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
pub mod home;
mod letter;
pub mod log;
pub mod missed;
pub mod notice;
pub mod prompt;
pub mod recount;
pub mod remind;
pub mod respond;
pub mod sabotage;
pub mod tally;
pub mod tap;
pub mod who_saw;
pub mod words;
pub mod write;

use std::sync::Arc;

use jiff::SignedDuration;

use self::collect::turns::Turns;
use self::deliver::circuit::Circuit;
use self::tally::Tally;
use crate::domain::debrief::PromptRules;
use crate::domain::meeting::MeetingRules;
use crate::domain::question::Questions;
use crate::domain::refresh::Refresh;
use crate::domain::schedule::Schedule;
use crate::ports::{Calendar, Messenger};
use crate::store::Store;

/// Everything a flow works with. Cheap to clone.
#[derive(Clone)]
pub struct Bot {
    pub store: Arc<Store>,
    pub calendar: Arc<dyn Calendar>,
    pub messenger: Arc<dyn Messenger>,
    pub rules: Arc<Rules>,
    /// What keeps us from sending, if anything does.
    pub circuit: Arc<Circuit>,
    /// The workspace that we belong to; what comes from any other is refused.
    pub team_id: String,
    /// Whose calendars are being read.
    pub turns: Arc<Turns>,
    /// What was done so far, for the metrics.
    pub tally: Arc<Tally>,
}

/// What the administrator decided.
#[derive(Debug, Clone)]
pub struct Rules {
    pub prompt: PromptRules,
    pub meetings: MeetingRules,
    pub digest: Schedule,
    pub questions: Questions,
    /// How often calendars are read.
    pub refresh: Refresh,
    /// Nobody is asked about a meeting whose calendars were not read for so long.
    pub max_calendar_age: SignedDuration,
}
