//! Puts the demo's earlier answers into a new store, through the same flows that real ones take.

use anyhow::{Context, anyhow};
use jiff::{SignedDuration, Timestamp};

use super::week::{Earlier, Week};
use crate::domain::debrief::{Outcome, State};
use crate::domain::meeting::{Account, Guess, Kind};
use crate::domain::privacy::Lock;
use crate::domain::question::Questions;
use crate::domain::roster;
use crate::flows::form::{self, Draft};
use crate::store::answers::{Answer, Slot};
use crate::store::meetings::JudgedMeeting;
use crate::store::{Store, Tx};

/// How long before the demo everybody was on the roster, so that the manager sees what follows.
const ENROLLED_BEFORE: SignedDuration = SignedDuration::from_hours(24 * 90);

/// Fills `store`.
pub(super) async fn fill(
    store: &Store,
    week: Week,
    roster: &str,
    questions: Questions,
) -> anyhow::Result<()> {
    let people = roster::parse(roster).people;
    let enrolled = week.starts()? - ENROLLED_BEFORE;
    store
        .transact(move |tx| {
            tx.apply_roster(&people, enrolled)?;
            for (number, earlier) in week.earlier.iter().enumerate() {
                let answered = week.local(earlier.at)? + SignedDuration::from_mins(10);
                one(tx, &week, earlier, number, &questions, answered)
                    .with_context(|| format!("week.toml, earlier answer {}", number + 1))?;
            }
            Ok(())
        })
        .await
}

fn one(
    tx: &Tx<'_>,
    week: &Week,
    earlier: &Earlier,
    number: usize,
    questions: &Questions,
    now: Timestamp,
) -> anyhow::Result<()> {
    let email = week.email(&earlier.rep);
    let rep = tx.person_by_email(&email)?.ok_or_else(|| anyhow!("nobody is called {email}"))?;
    let end = week.local(earlier.at)?;
    let start = end - SignedDuration::from_mins(45);
    let key = format!("{}.example", earlier.account.to_lowercase());
    let meeting = JudgedMeeting {
        // Not from a calendar, so no reading misses it.
        uid: format!("by-hand:earlier-{number}"),
        original_start: start,
        title: format!("{} {}", earlier.account, earlier.kind),
        start,
        end,
        busy: false,
        customer: Some(Guess {
            kind: Kind::parse(&earlier.kind).ok_or_else(|| anyhow!("kind {}", earlier.kind))?,
            account: Account { key, name: earlier.account.clone() },
        }),
        guests: vec![],
    };
    let meeting = tx.upsert_meeting(rep.id, &meeting)?;
    tx.plan(meeting, rep.id, end)?;
    let debrief = tx.debrief_of(meeting)?.ok_or_else(|| anyhow!("a plan is missing"))?;
    let Some(ended) = &earlier.ended else {
        tx.change_state(debrief.id, &[State::Planned], State::Expired)?;
        return Ok(());
    };
    let outcome = Outcome::parse(ended).ok_or_else(|| anyhow!("ended {ended}"))?;
    tx.set_rough(debrief.id, earlier.rough)?;
    let asked = questions
        .asked(debrief.id, Some(outcome), earlier.rough)
        .ok_or_else(|| anyhow!("no question set fits"))?;
    let answer = |question: &str, body: &str| Answer {
        question: question.to_owned(),
        body: body.to_owned(),
    };
    let draft = Draft {
        outcome,
        by: earlier.by,
        reflect: Some(answer(&asked.reflect.id, &earlier.words)),
        rule: earlier.cue.clone().zip(earlier.action.clone()),
        tap: earlier.turn.as_deref().map(|turn| (Slot::Turn, answer(&asked.tap.id, turn))),
        lock: if earlier.locked { Lock::OnlyMe } else { Lock::Open },
    };
    form::save(tx, &debrief, &draft, now)
}
