//! Meeting → debrief.
//!
//! A plan follows its meeting for as long as nobody was asked: cancelled, moved, extended or
//! shortened, the question moves along.

use jiff::{SignedDuration, Timestamp};

use super::Reader;
use crate::domain::debrief::{PromptRules, State, ask_at};
use crate::domain::meeting::{MeetingRules, Occurrence, Verdict, guests, is_busy, judge};
use crate::domain::person::Person;
use crate::flows::tally::Tally;
use crate::store::Tx;
use crate::store::meetings::JudgedMeeting;
use crate::store::outbox::OutKind;

/// What we make of a meeting.
pub(super) fn judged(meeting: &Occurrence, rep: &Person, rules: &MeetingRules) -> JudgedMeeting {
    let customer = match judge(meeting, &rep.email, rules) {
        Verdict::Customer(guess) => Some(guess),
        Verdict::Skip(_) => None,
    };
    let names = guests(meeting, &rep.email, rules)
        .into_iter()
        .map(|guest| if guest.name.is_empty() { guest.email.clone() } else { guest.name.clone() });
    let ours = customer.is_some();
    JudgedMeeting {
        uid: meeting.uid.clone(),
        original_start: meeting.original_start,
        // What we have no business with is kept as a time only.
        title: if ours { meeting.title.clone() } else { String::new() },
        start: meeting.start,
        end: meeting.end,
        busy: is_busy(meeting, &rep.email),
        customer,
        guests: if ours { names.collect() } else { Vec::new() },
    }
}

/// Stores a meeting, `known` under a number or new, and brings its debrief in line. Says the number.
pub(super) fn follow(
    tx: &Tx<'_>,
    tally: &Tally,
    reader: &Reader<'_>,
    known: Option<i64>,
    meeting: &JudgedMeeting,
) -> anyhow::Result<i64> {
    let rep = reader.rep;
    let Some(id) = known else {
        let id = tx.insert_meeting(rep.id, meeting)?;
        adapt(tx, tally, reader, (id, None), meeting)?;
        return Ok(id);
    };
    let end = tx.meeting_end(id)?;
    tx.update_meeting(id, meeting)?;
    adapt(tx, tally, reader, (id, Some(end)), meeting)?;
    Ok(id)
}

fn adapt(
    tx: &Tx<'_>,
    tally: &Tally,
    reader: &Reader<'_>,
    (id, known_end): (i64, Option<Timestamp>),
    meeting: &JudgedMeeting,
) -> anyhow::Result<()> {
    let Reader { rep, now, .. } = *reader;
    if meeting.customer.is_none() || !rep.is_rep {
        return withdraw(tx, tally, id, now);
    }
    match tx.debrief_of(id)? {
        Some(debrief) if debrief.state == State::Asked && meeting.end > now => {
            // It goes on, or was moved, after we asked: that question was too early. A meeting that
            // only seems to lie ahead because the clock was set back is not asked about again.
            if known_end.is_some_and(|known| known != meeting.end)
                && debrief.outcome.is_none()
                && tx.answers(debrief.id)?.is_empty()
            {
                tx.change_state(debrief.id, &[State::Asked], State::Planned)?;
                tally.calendars.reopened.add(1);
                tx.enqueue_again(OutKind::Refresh, debrief.id.0, "", rep.id, now)?;
            }
            Ok(())
        }
        Some(debrief) if debrief.state == State::Withdrawn => {
            // Brought back; one that ended long ago stays withdrawn.
            if meeting.end + SignedDuration::from_hours(12) > now {
                tx.plan(id, rep.id, meeting.end)?;
            }
            Ok(())
        }
        Some(_) => Ok(()),
        None => {
            tally.calendars.planned.add(1);
            tx.plan(id, rep.id, meeting.end)
        }
    }
}

/// A meeting that no longer counts: not asked yet, nobody will be; asked, the question closes.
pub(super) fn withdraw(
    tx: &Tx<'_>,
    tally: &Tally,
    meeting: i64,
    now: Timestamp,
) -> anyhow::Result<()> {
    let Some(debrief) = tx.debrief_of(meeting)? else {
        return Ok(());
    };
    let unanswered = debrief.outcome.is_none() && tx.answers(debrief.id)?.is_empty();
    let from: &[State] = if unanswered {
        &[State::Planned, State::Held, State::Asked]
    } else {
        &[State::Planned, State::Held]
    };
    if tx.change_state(debrief.id, from, State::Withdrawn)? {
        tally.calendars.withdrawn.add(1);
        if debrief.message.is_some() {
            tx.enqueue_again(OutKind::Refresh, debrief.id.0, "", debrief.rep, now)?;
        }
    }
    Ok(())
}

/// Works out anew when to ask about everything that is planned.
pub(super) fn replan(
    tx: &Tx<'_>,
    rep: &Person,
    rules: &PromptRules,
    now: Timestamp,
) -> anyhow::Result<()> {
    let busy = tx.busy_times(rep.id, now - SignedDuration::from_hours(72))?;
    for plan in tx.open_plans(rep.id)? {
        let others: Vec<(Timestamp, Timestamp)> = busy
            .iter()
            .filter(|(meeting, ..)| *meeting != plan.meeting_id)
            .map(|(_, start, end)| (*start, *end))
            .collect();
        let due = ask_at(plan.end, &others, rules, &rep.zone).max(plan.not_before);
        tx.set_due(plan.debrief, due)?;
    }
    Ok(())
}
