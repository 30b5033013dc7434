//! Whether the loops go on.
//!
//! A sleeping loop wakes within half a minute by itself. A working one may take long for good
//! reasons (many slow calendars, a queue that Slack lets through slowly), so signs of work inside a
//! turn count as well, and only a turn without any sign for minutes is stalled. Every turn of the
//! questions loop goes through the store's writer, so a stalled writer shows here too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::beat::{Beat, LONGEST_SLEEP};
use crate::flows::tally::Tally;

/// How much later than planned a loop may wake on a machine that is merely busy.
const OVERSLEPT: Duration = Duration::from_secs(30);

impl Beat {
    /// How long a turn may take without a sign of work. One calendar takes at most five minutes
    /// (`calendar.timeout`), one call to Slack a minute in the queue; the questions loop may read
    /// two hundred calendars in a turn and gives no sign meanwhile.
    fn patience(self) -> Duration {
        match self {
            Self::Calendars => Duration::from_mins(6),
            Self::People | Self::Questions | Self::Missed => Duration::from_mins(15),
            Self::Deliveries | Self::Store => Duration::from_mins(5),
            // A copy of a large store.
            Self::Keeping => Duration::from_hours(2),
        }
    }

    /// What grows while a turn makes progress.
    fn signs(self, tally: &Tally) -> u64 {
        match self {
            Self::Calendars => tally.calendars.read(),
            Self::Deliveries => tally.handled.so_far(),
            Self::People | Self::Questions | Self::Keeping | Self::Missed | Self::Store => 0,
        }
    }
}

/// When each loop was last seen to move.
#[derive(Debug)]
pub struct Pulse {
    began: Instant,
    tally: Arc<Tally>,
    beats: [Seen; 7],
}

#[derive(Debug, Default)]
struct Seen {
    /// Milliseconds after the pulse began.
    at: AtomicU64,
    asleep: AtomicBool,
    signs: AtomicU64,
}

impl Pulse {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        Self { began: Instant::now(), tally, beats: Default::default() }
    }

    /// One that began that long ago and was never moved since.
    #[cfg(test)]
    pub(super) fn begun(ago: Duration, tally: Arc<Tally>) -> Self {
        let mut pulse = Self::new(tally);
        pulse.began = pulse.began.checked_sub(ago).expect("the machine is older");
        pulse
    }

    /// A turn begins.
    pub(super) fn wakes(&self, which: Beat) {
        self.moved(which, false, Instant::now());
    }

    /// A turn is over.
    pub(super) fn sleeps(&self, which: Beat) {
        self.moved(which, true, Instant::now());
    }

    fn moved(&self, which: Beat, asleep: bool, at: Instant) {
        let seen = &self.beats[which as usize];
        seen.at.store(self.ms(at), Ordering::Relaxed);
        seen.asleep.store(asleep, Ordering::Relaxed);
    }

    fn ms(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// How long ago a loop was seen to move.
    pub fn still(&self, which: Beat, now: Instant) -> Duration {
        let seen = &self.beats[which as usize];
        let signs = which.signs(&self.tally);
        if seen.signs.swap(signs, Ordering::Relaxed) != signs {
            seen.at.store(self.ms(now), Ordering::Relaxed);
        }
        Duration::from_millis(self.ms(now).saturating_sub(seen.at.load(Ordering::Relaxed)))
    }

    /// The loop that has not moved for longer than any good reason explains.
    pub fn stalled(&self, now: Instant) -> Option<Beat> {
        Beat::ALL.into_iter().find(|which| {
            let asleep = self.beats[*which as usize].asleep.load(Ordering::Relaxed);
            let limit = if asleep { LONGEST_SLEEP + OVERSLEPT } else { which.patience() };
            self.still(*which, now) > limit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pulse: &Pulse, seconds: u64) -> Instant {
        pulse.began + Duration::from_secs(seconds)
    }

    fn others() -> impl Iterator<Item = Beat> {
        Beat::ALL.into_iter().filter(|which| *which != Beat::Deliveries)
    }

    fn asleep() -> Pulse {
        let pulse = Pulse::new(Arc::default());
        for which in Beat::ALL {
            pulse.moved(which, true, pulse.began);
        }
        pulse
    }

    #[test]
    fn a_loop_that_does_not_wake_is_stalled() {
        let pulse = asleep();
        assert_eq!(pulse.stalled(after(&pulse, 59)), None);
        for which in Beat::ALL {
            assert_eq!(pulse.stalled(after(&pulse, 61)), Some(which));
            pulse.moved(which, true, after(&pulse, 61));
        }
        assert_eq!(pulse.stalled(after(&pulse, 61)), None);
    }

    #[test]
    fn a_long_turn_that_gets_on_is_none() {
        let pulse = asleep();
        for minute in 1..60 {
            for which in others() {
                pulse.moved(which, true, after(&pulse, minute * 60));
            }
            if minute == 1 {
                pulse.moved(Beat::Deliveries, false, after(&pulse, 60));
            }
            pulse.tally.handled.add(1);
            assert_eq!(pulse.stalled(after(&pulse, minute * 60)), None);
        }
        for which in others() {
            pulse.moved(which, true, after(&pulse, 70 * 60));
        }
        assert_eq!(pulse.stalled(after(&pulse, 70 * 60)), Some(Beat::Deliveries));
    }
}
