//! What could not be delivered → a line to the administrators, once a day for each kind.
//!
//! Codes and counts only: whom it concerns is for `debrief check`, and nothing of any content.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Bot;
use crate::store::Tx;
use crate::store::outbox::OutKind;

/// A little later than the first case, so that the line counts those that come with it.
const AFTER: SignedDuration = SignedDuration::from_mins(10);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The seq of a notice is one of these and the day.
const GIVEN_UP: &str = "admin-given-up ";
const UNKNOWABLE: &str = "admin-unknowable ";

/// Tells the administrators what they were not told of today.
///
/// # Errors
/// If the store fails.
pub async fn run(bot: &Bot, now: Timestamp) -> anyhow::Result<()> {
    let owed = bot.store.read(move |tx| owed(tx, now)).await?;
    if owed.is_empty() {
        return Ok(());
    }
    bot.store
        .transact_behind(move |tx| {
            for (admin, seq) in &owed {
                tx.enqueue(OutKind::Note, admin.0, seq, *admin, "", now)?;
            }
            Ok(())
        })
        .await
}

fn owed(
    tx: &Tx<'_>,
    now: Timestamp,
) -> anyhow::Result<Vec<(crate::domain::person::PersonId, String)>> {
    let today: Date = now.to_zoned(TimeZone::UTC).date();
    let given_up = tx.given_up_since(now - DAY)?;
    let given_up = given_up.iter().any(|reason| reason.first_at + AFTER <= now);
    let unknowable = tx.unknowable()?.is_some_and(|(_, since)| since + AFTER <= now);
    let mut owed = Vec::new();
    for (kind, is_so) in [(GIVEN_UP, given_up), (UNKNOWABLE, unknowable)] {
        if !is_so {
            continue;
        }
        let seq = format!("{kind}{today}");
        for admin in tx.admins()? {
            if !tx.was_queued(OutKind::Note, admin.0, &seq)? {
                owed.push((admin, seq.clone()));
            }
        }
    }
    Ok(owed)
}

/// The text of a notice, as of now; `None` if `seq` is not one.
pub(super) fn text(tx: &Tx<'_>, seq: &str, now: Timestamp) -> anyhow::Result<Option<String>> {
    if seq.starts_with(GIVEN_UP) {
        let reasons = tx.given_up_since(now - DAY)?;
        let count: u64 = reasons.iter().map(|reason| reason.count).sum();
        let reasons: Vec<String> =
            reasons.iter().map(|reason| format!("{} × {}", reason.count, reason.code)).collect();
        return Ok(Some(format!(
            "Messages that could not be delivered in the last day: {count} ({}). Questions among \
             them wait in `/debrief`. `debrief check` shows who cannot be reached.",
            reasons.join(", ")
        )));
    }
    if seq.starts_with(UNKNOWABLE) {
        let count = tx.unknowable()?.map_or(0, |(count, _)| count);
        return Ok(Some(format!(
            "Messages that may or may not have arrived: {count}. Slack does not let me look, so I \
             do not send them again. Does the app have the scope `im:history`? Whoever was to be \
             asked finds the question in `/debrief`."
        )));
    }
    Ok(None)
}
