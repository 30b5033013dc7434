//! What people do → the store → an acknowledgement → what follows.
//!
//! [`receive`] stores and returns within a commit; it makes no network call. The rest is done after
//! the acknowledgement, by [`super::follow_up`]. A modal is opened before either, because its
//! trigger lives three seconds: [`opens`] says which.

use std::sync::Arc;

use jiff::Timestamp;

use super::command::{self, Command};
use super::sabotage::{self, Bug};
use super::{Bot, Rules, form, letter, log, tap, write};
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::debrief::DebriefId;
use crate::domain::meeting::Account;
use crate::domain::person::{Person, PersonId};
use crate::domain::privacy::Lock;
use crate::ports::ViewId;
use crate::ports::inbound::{Ack, Control, FormValues, Inbound, ReplyTo, Tap, Trigger, What};
use crate::ports::outbound::{FormId, Modal, Piece, Span, Whisper};
use crate::store::Tx;
use crate::store::debriefs::Debrief;
use crate::store::outbox::OutKind;

/// The same for what never was, what is gone and what is somebody else's.
const NOT_YOURS: &str = "That debrief belongs to somebody else, or is gone.";

/// What to acknowledge, and what to do afterwards.
#[derive(Debug)]
pub struct Response {
    /// `None`: it was not stored, so it must be delivered again.
    pub ack: Option<Ack>,
    pub then: Then,
    pub taken: Taken,
}

/// What became of a delivery, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Stored,
    /// It was taken before; its sender hears the same again.
    Duplicate,
    /// It has mistakes, its sender may not, or it could not be stored.
    Refused,
    /// Nobody understands it; it is kept as it came.
    DeadLetter,
}

/// Work after the acknowledgement.
#[derive(Debug)]
pub enum Then {
    Nothing,
    /// Fill the modal that was opened.
    Fill {
        filling: Filling,
        reply_to: Option<ReplyTo>,
    },
    /// Word an open form anew.
    Reword {
        debrief: DebriefId,
        view: ViewId,
        values: FormValues,
    },
    /// Said where they acted, and in the modal that was opened for nothing.
    Whisper {
        to: Option<ReplyTo>,
        whisper: Whisper,
    },
    /// Look something up and whisper it.
    Reply {
        to: ReplyTo,
        reader: PersonId,
        command: Command,
        /// The key of the delivery, for the audit log.
        request: String,
    },
    HistoryPage {
        to: ReplyTo,
        reader: PersonId,
        query: String,
        before: Option<DebriefId>,
        request: String,
    },
}

/// What goes into an opened modal.
#[derive(Debug, Clone, Copy)]
pub enum Filling {
    Answer(DebriefId),
    Correct(DebriefId),
    Log,
}

/// The modal to open at once, before anything is looked up.
pub fn opens(what: &What) -> Option<(Trigger, Modal)> {
    let trigger = match what {
        What::Tap(Tap {
            control: Control::Answer { .. } | Control::Correct { .. } | Control::Log,
            trigger,
            ..
        }) => trigger.clone()?,
        What::LogShortcut { trigger } => trigger.clone(),
        What::Command { text, trigger, .. } => match command::parse(text) {
            Ok(Command::Now { .. }) => trigger.clone(),
            _ => return None,
        },
        _ => return None,
    };
    Some((trigger, form::loading()))
}

/// Whether it makes us call Slack or look things up at once. What stores an answer does not: that is
/// one commit, and must not be refused.
pub fn costs(what: &What) -> bool {
    match what {
        What::Command { .. } | What::LogShortcut { .. } => true,
        What::Tap(tap) => matches!(
            tap.control,
            Control::Answer { .. }
                | Control::Correct { .. }
                | Control::Reworded { .. }
                | Control::History { .. }
                | Control::Log
        ),
        _ => false,
    }
}

/// The answer to somebody who asks for more than anybody needs.
pub fn too_much(what: &What) -> Response {
    tracing::warn!("somebody asks for too much at once; they are not answered for a while");
    let whisper = says("That was a lot at once. Please wait half a minute and try again.");
    let then = Then::Whisper { to: reply_to(what), whisper };
    Response { ack: Some(Ack::Plain), then, taken: Taken::Refused }
}

/// Taken note of, and that is all.
pub fn nothing() -> Response {
    plain()
}

/// Stores what somebody did.
pub async fn receive(bot: &Bot, inbound: Inbound, now: Timestamp) -> Response {
    let reply_to = reply_to(&inbound.what);
    let submitted = matches!(inbound.what, What::Submitted { .. });
    let rules = Arc::clone(&bot.rules);
    let team = bot.team_id.clone();
    let stored = bot.store.transact(move |tx| take(tx, &rules, &team, &inbound, now)).await;
    match stored {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "could not store what somebody did");
            let sorry = "That could not be saved. Please try again in a moment.";
            let ack = submitted.then(|| {
                // Shown under a field, with everything typed still in place.
                Ack::FormErrors([("ended".to_owned(), sorry.to_owned())].into())
            });
            let then = Then::Whisper { to: reply_to, whisper: says(sorry) };
            Response { ack, then, taken: Taken::Refused }
        }
    }
}

fn reply_to(what: &What) -> Option<ReplyTo> {
    match what {
        What::Tap(tap) => tap.reply_to.clone(),
        What::Command { reply_to, .. } => Some(reply_to.clone()),
        _ => None,
    }
}

/// One delivery, in one transaction.
fn take(
    tx: &Tx<'_>,
    rules: &Rules,
    team: &str,
    inbound: &Inbound,
    now: Timestamp,
) -> anyhow::Result<Response> {
    if let What::Unreadable { kind, raw } = &inbound.what {
        return letter::keep(tx, team, inbound, kind, raw, now);
    }
    if inbound.what == What::Nothing {
        return Ok(plain());
    }
    if inbound.team_id != team {
        tracing::warn!("something came from another workspace and was refused");
        let why = "This works only inside the workspace it belongs to.";
        return refused(tx, inbound, why, now);
    }
    let person = tx.person_by_chat(&inbound.who)?;
    // A form with mistakes is not taken: its next submission carries the same key.
    if let (What::Submitted { form, values }, Some(person)) = (&inbound.what, &person) {
        return submitted(tx, rules, person, *form, values, inbound, now);
    }
    if !is_new(tx, inbound, now)? {
        return Ok(repeated());
    }
    match &inbound.what {
        What::ProfileChanged => tx.look_up_again(&inbound.who)?,
        What::Uninstalled => {
            tracing::error!("the app was removed from the workspace; install it again");
        }
        _ => {
            let Some(person) = person else {
                let why = "You are not on debrief's roster. Ask whoever runs it to add you.";
                return refused(tx, inbound, why, now);
            };
            let then = did(tx, rules, &person, inbound, now)?;
            return Ok(Response { then, ..plain() });
        }
    }
    Ok(plain())
}

/// Whether this is the first delivery; from here on it is known.
fn is_new(tx: &Tx<'_>, inbound: &Inbound, now: Timestamp) -> anyhow::Result<bool> {
    Ok(tx.first_delivery(&inbound.keys, now)? || sabotage::is(Bug::NoInboundDedup))
}

fn plain() -> Response {
    Response { ack: Some(Ack::Plain), then: Then::Nothing, taken: Taken::Stored }
}

fn repeated() -> Response {
    Response { taken: Taken::Duplicate, ..plain() }
}

/// Nothing is done for somebody who is not one of us; that they asked for something is written down.
fn refused(tx: &Tx<'_>, inbound: &Inbound, why: &str, now: Timestamp) -> anyhow::Result<Response> {
    let asked = match &inbound.what {
        What::Command { .. } => "command",
        What::Tap(_) => "control",
        What::Submitted { .. } => "form",
        What::LogShortcut { .. } => "shortcut",
        _ => "",
    };
    if !asked.is_empty() {
        let entry = Entry::of(Actor::Chat(inbound.who.clone()), Action::Entry).within(asked);
        let request = inbound.keys.first().cloned().unwrap_or_default();
        tx.audit_refusal(entry.for_request(request), now)?;
    }
    if let What::Submitted { .. } = &inbound.what {
        return Ok(keep_open(why));
    }
    let then = Then::Whisper { to: reply_to(&inbound.what), whisper: says(why) };
    Ok(Response { ack: Some(Ack::Plain), then, taken: Taken::Refused })
}

/// The form stays open, with what was typed, and says why it was not taken.
fn keep_open(why: &str) -> Response {
    let errors = [("ended".to_owned(), why.to_owned())].into();
    Response { ack: Some(Ack::FormErrors(errors)), then: Then::Nothing, taken: Taken::Refused }
}

/// Something that a person on the roster did, for the first time.
fn did(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    inbound: &Inbound,
    now: Timestamp,
) -> anyhow::Result<Then> {
    match &inbound.what {
        What::Tap(tap) => tapped(tx, rules, person, tap, inbound, now),
        What::Command { text, reply_to, .. } => {
            let key = inbound.keys.first().map_or("", String::as_str);
            command::take(tx, rules, person, text, reply_to, key, now)
        }
        What::LogShortcut { .. } => Ok(Then::Fill { filling: Filling::Log, reply_to: None }),
        What::Wrote { message, thread, text } => {
            write::wrote(tx, rules, person, message, thread.as_deref(), text, now)?;
            Ok(Then::Nothing)
        }
        What::Rewrote { message, text } => {
            write::rewrote(tx, rules, person, message, text, now)?;
            Ok(Then::Nothing)
        }
        What::HomeOpened => {
            tx.remember_home(person.id)?;
            tx.enqueue_again(OutKind::Home, person.id.0, "", person.id, now)?;
            Ok(Then::Nothing)
        }
        What::Submitted { .. }
        | What::ProfileChanged
        | What::Uninstalled
        | What::Nothing
        | What::Unreadable { .. } => Ok(Then::Nothing),
    }
}

fn tapped(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    tap: &Tap,
    inbound: &Inbound,
    now: Timestamp,
) -> anyhow::Result<Then> {
    let whisper = |text: String| Then::Whisper { to: tap.reply_to.clone(), whisper: says(&text) };
    match &tap.control {
        Control::History { query, before } => Ok(match &tap.reply_to {
            Some(to) => Then::HistoryPage {
                to: to.clone(),
                reader: person.id,
                query: query.clone(),
                before: before.map(DebriefId),
                request: inbound.keys.first().cloned().unwrap_or_default(),
            },
            None => Then::Nothing,
        }),
        Control::Log => Ok(Then::Fill { filling: Filling::Log, reply_to: tap.reply_to.clone() }),
        Control::Resume => {
            tx.pause(person.id, None)?;
            tx.enqueue_again(OutKind::Home, person.id.0, "", person.id, now)?;
            Ok(whisper("Welcome back. I'll ask after your next customer meeting.".into()))
        }
        Control::Discard { pending } => {
            if tx.pending_text(*pending)?.is_some_and(|text| text.person == person.id) {
                tx.discard_text(*pending)?;
                write::ask_which(tx, person, now)?;
            }
            Ok(replaces(tap.reply_to.as_ref(), "OK, not saved."))
        }
        Control::Nothing => Ok(Then::Nothing),
        Control::Ended { debrief, .. }
        | Control::Answer { debrief }
        | Control::Snooze { debrief, .. }
        | Control::Skip { debrief }
        | Control::Lock { debrief }
        | Control::Unlock { debrief }
        | Control::Correct { debrief }
        | Control::Reworded { debrief }
        | Control::Rough { debrief }
        | Control::Claim { debrief, .. } => {
            let Some(debrief) = tx.debrief(*debrief)?.filter(|found| found.rep == person.id) else {
                return Ok(whisper(NOT_YOURS.into()));
            };
            adopt(tx, rules, &debrief, tap, now)?;
            tapped_debrief(tx, rules, person, &debrief, tap, now)
        }
    }
}

/// A tap on one of the person's own debriefs.
fn tapped_debrief(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    debrief: &Debrief,
    tap: &Tap,
    now: Timestamp,
) -> anyhow::Result<Then> {
    let fill = |filling| Then::Fill { filling, reply_to: tap.reply_to.clone() };
    match &tap.control {
        Control::Ended { outcome, .. } => tap::ended(tx, debrief, *outcome, now)?,
        Control::Answer { .. } => return Ok(fill(Filling::Answer(debrief.id))),
        Control::Correct { .. } => return Ok(fill(Filling::Correct(debrief.id))),
        Control::Snooze { until, .. } => {
            let until = tap::snoozed(tx, rules, debrief, person, *until, now)?;
            let when = super::words::soon(until, now, &person.zone);
            let text = format!("OK, I'll come back to {} {when}.", debrief.account);
            return Ok(Then::Whisper { to: tap.reply_to.clone(), whisper: says(&text) });
        }
        Control::Skip { .. } => tap::skipped(tx, debrief, now)?,
        Control::Lock { .. } => tap::locked(tx, debrief, Lock::OnlyMe, now)?,
        Control::Unlock { .. } => tap::locked(tx, debrief, Lock::Open, now)?,
        Control::Rough { .. } => {
            tx.set_rough(debrief.id, true)?;
            tap::refresh_everywhere(tx, debrief, now)?;
        }
        Control::Reworded { .. } => {
            form::note_rough(tx, rules, debrief, &tap.values, now)?;
            return Ok(match &tap.view {
                Some(view) => Then::Reword {
                    debrief: debrief.id,
                    view: ViewId(view.clone()),
                    values: tap.values.clone(),
                },
                None => Then::Nothing,
            });
        }
        Control::Claim { pending, .. } => {
            let text = tx.pending_text(*pending)?.filter(|text| text.person == person.id);
            let Some(text) = text else {
                return Ok(replaces(tap.reply_to.as_ref(), "That note is gone already."));
            };
            tap::wrote(tx, rules, debrief, &text.body, now)?;
            tx.claim_text(text.id, debrief.id)?;
            write::ask_which(tx, person, now)?;
            let done = format!("Saved for {}.", debrief.account);
            return Ok(replaces(tap.reply_to.as_ref(), &done));
        }
        _ => {}
    }
    Ok(Then::Nothing)
}

/// A click on a prompt proves that it exists, whatever Slack said when it was sent.
fn adopt(
    tx: &Tx<'_>,
    rules: &Rules,
    debrief: &Debrief,
    tap: &Tap,
    now: Timestamp,
) -> anyhow::Result<()> {
    let Some(message) = &tap.message else {
        return Ok(());
    };
    if debrief.message.is_none() && tx.adopt(OutKind::Prompt, debrief.id.0, message)?.is_some() {
        let prompt = &rules.prompt;
        tx.was_asked(
            debrief.id,
            message,
            now,
            now + prompt.remind_after,
            now + prompt.expire_after,
        )?;
    }
    Ok(())
}

fn submitted(
    tx: &Tx<'_>,
    rules: &Rules,
    person: &Person,
    form: FormId,
    values: &FormValues,
    inbound: &Inbound,
    now: Timestamp,
) -> anyhow::Result<Response> {
    let errors = |errors| {
        let ack = Some(Ack::FormErrors(errors));
        Ok(Response { ack, then: Then::Nothing, taken: Taken::Refused })
    };
    let own = |id: DebriefId| -> anyhow::Result<Option<Debrief>> {
        Ok(tx.debrief(id)?.filter(|found| found.rep == person.id))
    };
    match form {
        FormId::Answer(id) => {
            let Some(debrief) = own(id)? else {
                return Ok(keep_open(NOT_YOURS));
            };
            let draft = match form::read(rules, &debrief, person, values) {
                Ok(draft) => draft,
                Err(mistakes) => return errors(mistakes),
            };
            if !is_new(tx, inbound, now)? {
                return Ok(repeated());
            }
            form::save(tx, &debrief, &draft, now)?;
        }
        FormId::Correct(id) => {
            let Some(debrief) = own(id)? else {
                return Ok(keep_open(NOT_YOURS));
            };
            let current =
                Account { key: debrief.account_key.clone(), name: debrief.account.clone() };
            match log::read(values, Some(&current)) {
                Ok(guess) => {
                    tx.first_delivery(&inbound.keys, now)?;
                    tx.correct(id, &guess)?;
                    tx.touch(id)?;
                    tap::refresh_everywhere(tx, &debrief, now)?;
                }
                Err(mistakes) => return errors(mistakes),
            }
        }
        FormId::Log => match log::read(values, None) {
            Ok(guess) => {
                if !is_new(tx, inbound, now)? {
                    return Ok(repeated());
                }
                let key = inbound.keys.first().map_or("", String::as_str);
                log::start(tx, person, guess, key, now)?;
            }
            Err(mistakes) => return errors(mistakes),
        },
    }
    Ok(plain())
}

/// One plain line.
pub(super) fn says(text: &str) -> Whisper {
    Whisper { replaces: false, body: vec![Piece::Text(vec![Span::Plain(text.to_owned())])] }
}

fn replaces(to: Option<&ReplyTo>, text: &str) -> Then {
    Then::Whisper { to: to.cloned(), whisper: Whisper { replaces: true, ..says(text) } }
}
