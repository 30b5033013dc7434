//! How fast Slack lets us call it, as learnt, so that a restart need not learn it again.

use anyhow::Context;
use jiff::Timestamp;

use super::{Tx, seconds};

impl Tx<'_> {
    /// The rates as they were last stored: method and calls a minute.
    pub fn learnt_rates(&self) -> anyhow::Result<Vec<(String, f64)>> {
        let mut statement =
            self.0.prepare_cached("SELECT method, per_minute FROM learnt_rate ORDER BY method")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>().context("read learnt rates")
    }

    pub fn keep_rates(&self, rates: &[(String, f64)], now: Timestamp) -> anyhow::Result<()> {
        let mut keep = self.0.prepare_cached(
            "INSERT INTO learnt_rate (method, per_minute, updated_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (method) DO UPDATE SET
                per_minute = excluded.per_minute, updated_at = excluded.updated_at",
        )?;
        for (method, per_minute) in rates {
            keep.execute((method, per_minute, seconds(now))).context("store a learnt rate")?;
        }
        Ok(())
    }
}
