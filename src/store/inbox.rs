//! What came in: every delivery has keys, so a redelivery is harmless.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::{Tx, seconds};

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

    /// Keeps a frame that could not be understood.
    pub fn keep_dead_letter(&self, kind: &str, raw: &str, now: Timestamp) -> anyhow::Result<()> {
        self.0
            .prepare_cached("INSERT INTO dead_letter (received_at, kind, raw) VALUES (?1, ?2, ?3)")?
            .execute((seconds(now), kind, raw))
            .context("keep a dead letter")?;
        Ok(())
    }

    pub fn dead_letters(&self) -> anyhow::Result<u64> {
        self.0
            .query_row("SELECT count(*) FROM dead_letter", [], |row| row.get(0))
            .context("count dead letters")
    }
}
