//! One line a finding: value, unit, its share of the target. At most 1 is good.

use std::time::Duration;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What is looked at just now.
    part: String,
    missed: Vec<String>,
    facts: usize,
    judged: usize,
}

impl Report {
    pub(crate) fn part(&mut self, name: &str) {
        println!("\n{name}");
        name.clone_into(&mut self.part);
    }

    /// Something to compare others with.
    pub(crate) fn fact(&mut self, what: &str, found: f64, unit: &str) {
        self.facts += 1;
        println!("  {what:50} {found:10.2} {unit:8}");
    }

    /// At most `target`.
    pub(crate) fn at_most(&mut self, what: &str, found: f64, unit: &str, target: f64) {
        self.judged(what, found, unit, target, found / target);
    }

    /// At least `target`.
    pub(crate) fn at_least(&mut self, what: &str, found: f64, unit: &str, target: f64) {
        self.judged(what, found, unit, target, target / found);
    }

    fn judged(&mut self, what: &str, found: f64, unit: &str, target: f64, share: f64) {
        self.judged += 1;
        let mark = if share <= 1.0 {
            ""
        } else {
            self.missed.push(format!("{}: {}", self.part, what.trim()));
            "  MISSED"
        };
        println!("  {what:50} {found:10.2} {unit:8} {share:6.2} of {target} {unit}{mark}");
    }

    pub(crate) fn end(&self, took: Duration) {
        let fine = self.judged - self.missed.len();
        let (judged, facts) = (self.judged, self.facts);
        println!("\n{fine} of {judged} targets met, {facts} facts, {:.0} s", took.as_secs_f64());
        for what in &self.missed {
            println!("missed: {what}");
        }
    }
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

/// The value below which `share` of all lie. Sorts them.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let place = (times.len() as f64 * share) as usize;
    times[place.min(times.len() - 1)]
}
