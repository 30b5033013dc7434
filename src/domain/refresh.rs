//! How often calendars are read, and when each of them is due.

use jiff::{SignedDuration, Timestamp};

use super::roster::source::Provider;

/// From one reading of a calendar to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    pub ics: SignedDuration,
    pub google: SignedDuration,
    pub microsoft: SignedDuration,
    pub caldav: SignedDuration,
}

impl Refresh {
    /// The same for everybody.
    pub fn every(interval: SignedDuration) -> Self {
        Self { ics: interval, google: interval, microsoft: interval, caldav: interval }
    }

    pub fn of(&self, provider: Provider) -> SignedDuration {
        match provider {
            Provider::Ics => self.ics,
            Provider::Google => self.google,
            Provider::Microsoft => self.microsoft,
            Provider::CalDav => self.caldav,
        }
    }

    /// When the calendar with this number is due again after a reading `now`.
    ///
    /// Each has a second of its own within the interval, so that however many began together, they are
    /// evenly spread from the second reading on. Only the step there may be shorter than the interval.
    pub fn next(&self, number: i64, provider: Provider, now: Timestamp) -> Timestamp {
        // Multiples of the golden ratio leave the most even gaps, however many there are
        // (Knuth, The Art of Computer Programming, volume 3, 6.4).
        const GOLDEN: i64 = 0x9E37_79B9;
        let interval = self.of(provider).as_secs().max(1);
        let place = (number.wrapping_mul(GOLDEN).rem_euclid(1 << 32) * interval) >> 32;
        let past = (now.as_second() - place).rem_euclid(interval);
        now + SignedDuration::from_secs(interval - past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);

    #[test]
    fn ten_thousand_that_begin_together_are_even_from_the_second_reading_on() {
        let refresh = Refresh::every(FIVE_MINUTES);
        let now: Timestamp = "2026-03-10T09:00:00Z".parse().unwrap();
        let mut seconds = vec![0_u32; 300];
        for number in 1..=10_000 {
            let first = refresh.next(number, Provider::Google, now);
            let wait = first.duration_since(now).as_secs();
            assert!((1..=300).contains(&wait), "{wait}");
            let second = refresh.next(number, Provider::Google, first);
            assert_eq!(second.duration_since(first), FIVE_MINUTES);
            let place = usize::try_from(second.as_second().rem_euclid(300)).unwrap();
            seconds[place] += 1;
        }
        let (least, most) = (seconds.iter().min().unwrap(), seconds.iter().max().unwrap());
        assert!(*least >= 30 && *most <= 36, "between {least} and {most} a second");
    }

    #[test]
    fn a_late_reading_comes_back_to_its_own_second() {
        let refresh = Refresh::every(FIVE_MINUTES);
        let now: Timestamp = "2026-03-10T09:00:00Z".parse().unwrap();
        let due = refresh.next(7, Provider::Ics, now);
        for late in [0, 1, 60, 200] {
            let next = refresh.next(7, Provider::Ics, due + SignedDuration::from_secs(late));
            assert_eq!(next.duration_since(due).as_secs() % 300, 0, "{late}");
            assert!(next > due + SignedDuration::from_secs(late));
        }
    }
}
