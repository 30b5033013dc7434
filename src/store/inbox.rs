//! What came in: every delivery has keys, so a redelivery is harmless.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::{Tx, moment, seconds};

impl Tx<'_> {
    /// Notes the keys of a delivery. Says whether all of them are new; a duplicate has at least one
    /// that was seen before.
    pub fn first_delivery(&self, keys: &[String], now: Timestamp) -> anyhow::Result<bool> {
        let mut insert = self.0.prepare_cached(
            "INSERT INTO inbound_seen (key, seen_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?;
        let mut all_new = true;
        for key in keys {
            all_new &= insert.execute((key, seconds(now))).context("note a delivery")? == 1;
        }
        Ok(all_new)
    }

    /// Forgets deliveries that nobody will repeat: Slack retries for minutes, or a day at most.
    pub fn forget_deliveries(&self, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached(
                "DELETE FROM inbound_seen WHERE key IN
                   (SELECT key FROM inbound_seen WHERE seen_at < ?1 LIMIT 2000)",
            )?
            .execute([seconds(now - SignedDuration::from_hours(48))])
            .context("forget old deliveries")?;
        Ok(())
    }

    /// Up to when Slack could reach us; `None` before the first time.
    pub fn heard_until(&self) -> anyhow::Result<Option<Timestamp>> {
        let until: Option<i64> = self
            .0
            .query_row("SELECT heard_until FROM installation", [], |row| row.get(0))
            .context("look up to when we heard")?;
        Ok(until.map(moment))
    }

    pub fn set_heard_until(&self, at: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached("UPDATE installation SET heard_until = ?1")?
            .execute([seconds(at)])
            .context("note up to when we heard")?;
        Ok(())
    }
}
