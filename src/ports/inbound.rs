//! What people do, as the listener understood it.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::outbound::FormId;
use crate::domain::debrief::{DebriefId, MessageRef, Outcome, Snooze};
use crate::domain::roster::ChatId;

/// One thing that somebody did, with the key under which a redelivery is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// All keys that stand for this deed; any of them seen before makes it a duplicate.
    pub keys: Vec<String>,
    /// The workspace it came from.
    pub team_id: String,
    pub who: ChatId,
    pub what: What,
}

/// Stands for a message of somebody's, however it is delivered.
pub fn message_key(message: &MessageRef) -> String {
    format!("msg:{}:{}", message.channel, message.ts)
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A button or menu was used.
    Tap(Tap),
    /// A form was submitted; answered through [`Ack`].
    Submitted {
        form: FormId,
        values: FormValues,
    },
    /// `/debrief …`, without the command itself.
    Command {
        text: String,
        trigger: Trigger,
        reply_to: ReplyTo,
    },
    /// The global shortcut "Log a debrief".
    LogShortcut {
        trigger: Trigger,
    },
    /// Somebody wrote to the bot. `text` is unescaped.
    Wrote {
        message: MessageRef,
        thread: Option<String>,
        text: String,
    },
    /// Somebody corrected a message of theirs.
    Rewrote {
        message: MessageRef,
        text: String,
    },
    HomeOpened,
    /// Zone, name or standing of a member changed.
    ProfileChanged,
    /// The app was removed or its tokens revoked.
    Uninstalled,
    /// Understood, and nothing to do (our own echo, a channel message, …).
    Nothing,
    /// A frame that could not be understood: kept as it came.
    Unreadable {
        kind: String,
        raw: String,
    },
}

/// A control that was used, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    pub control: Control,
    /// The message that carries the control; `None` in a modal or on the Home tab.
    pub message: Option<MessageRef>,
    /// The modal or Home view that carries it.
    pub view: Option<String>,
    pub trigger: Option<Trigger>,
    pub reply_to: Option<ReplyTo>,
    /// What stands in the modal's fields at this moment.
    pub values: FormValues,
}

/// Everything that can be pressed or chosen. The Slack adapter writes these into controls and reads
/// them back; nobody else knows how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// "How did it end?" in the prompt.
    Ended {
        debrief: DebriefId,
        outcome: Outcome,
    },
    /// Opens the answer form, for a first answer or an edit.
    Answer {
        debrief: DebriefId,
    },
    Snooze {
        debrief: DebriefId,
        until: Snooze,
    },
    Skip {
        debrief: DebriefId,
    },
    /// Only me.
    Lock {
        debrief: DebriefId,
    },
    Unlock {
        debrief: DebriefId,
    },
    /// Opens the form that corrects kind and account.
    Correct {
        debrief: DebriefId,
    },
    /// "How did it end?" was chosen inside the open answer form: its wording follows. What was
    /// chosen stands in the tap's values.
    Reworded {
        debrief: DebriefId,
    },
    /// A lost deal that hurt: one kinder question instead of the usual ones.
    Rough {
        debrief: DebriefId,
    },
    /// Which debrief a stray message belongs to; `pending` is the kept text.
    Claim {
        pending: i64,
        debrief: DebriefId,
    },
    /// The kept text was not meant as an answer.
    Discard {
        pending: i64,
    },
    /// Another page of a history; `query` is what was asked, as text.
    History {
        query: String,
        before: Option<i64>,
    },
    /// Opens the form for a meeting that is in no calendar.
    Log,
    Resume,
    /// Something that needs no answer from us (a link button).
    Nothing,
}

/// Lets us open a modal within three seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger(pub String);

/// Lets us answer where somebody acted, five times in half an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo(pub String);

/// What stands in a form, by field id. Empty fields are left out.
pub type FormValues = BTreeMap<String, FormValue>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormValue {
    Text(String),
    /// The id of the chosen option.
    Choice(String),
    Date(Date),
    /// The ids of the ticked boxes.
    Ticks(Vec<String>),
}

/// How a frame is acknowledged. The listener acknowledges only what it was handed one for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ack {
    Plain,
    /// Keeps the form open, with a line under each named field.
    FormErrors(BTreeMap<String, String>),
}
