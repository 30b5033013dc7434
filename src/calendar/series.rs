//! Events to occurrences: series, exceptions, replaced instances.
//!
//! Events of one UID belong together, wherever they stand. Replacements are matched by instant, by
//! wall clock, or by day where a day is all they say.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::event::{Details, Event, Length, Moment};
use super::recurrence::{Budget, MOST_FOUND, RuleTrouble, expand};
use super::zone::Zone;
use crate::domain::meeting::Occurrence;

/// For all series of one reading together.
const MOST_TIME: Duration = Duration::from_secs(5);

/// What could not be had, by count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Troubles {
    pub(super) rules_not_understood: usize,
    pub(super) rules_too_long: usize,
    /// Not everything was worked out: what is missing was not taken out of the calendar.
    pub(super) out_of_time: bool,
}

/// Every occurrence that overlaps `window` (from inclusive, to exclusive), sorted by start.
pub(super) fn occurrences(
    events: Vec<Event>,
    window: (Timestamp, Timestamp),
) -> (Vec<Occurrence>, Troubles) {
    let mut by_uid: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in events {
        by_uid.entry(event.uid.clone()).or_default().push(event);
    }
    let mut troubles = Troubles::default();
    let mut found = Vec::new();
    let budget = Budget::new(MOST_TIME);
    for (uid, events) in by_uid {
        if budget.is_spent() {
            break;
        }
        let (replacements, masters): (Vec<Event>, Vec<Event>) =
            events.into_iter().partition(|event| event.replaces.is_some());
        let master = masters.into_iter().max_by(|a, b| a.version.cmp(&b.version));
        let family = Family { uid, master, replacements: newest(replacements) };
        found.extend(family.occurrences(window, &budget, &mut troubles));
    }
    troubles.out_of_time = budget.is_spent();
    found.sort_by(|a, b| (a.start, a.end, &a.uid).cmp(&(b.start, b.end, &b.uid)));
    (found, troubles)
}

/// Of several replacements of one instance the newest counts.
fn newest(mut replacements: Vec<Event>) -> Vec<Event> {
    replacements.sort_by(|a, b| b.version.cmp(&a.version));
    let mut seen = HashSet::new();
    replacements.retain(|event| {
        let Some(replaces) = &event.replaces else {
            return false;
        };
        seen.insert((replaces.instance.instant(), replaces.and_following))
    });
    replacements
}

/// A master with its replacements; one of them may be missing.
struct Family {
    uid: String,
    master: Option<Event>,
    replacements: Vec<Event>,
}

/// One instance of a series before replacements.
struct Instance {
    wall: DateTime,
    /// In which zone it was written.
    zone: Zone,
    start: Timestamp,
    length: Length,
}

/// By how much a change moves all instances that follow, and from when.
struct Shift<'f> {
    replacement: &'f Event,
    by: SignedDuration,
    from: Timestamp,
}

impl Family {
    fn occurrences(
        &self,
        window: (Timestamp, Timestamp),
        budget: &Budget,
        troubles: &mut Troubles,
    ) -> Vec<Occurrence> {
        let mut found = Vec::new();
        let recurring = self.master.as_ref().is_none_or(Event::is_series);
        let mut singles: Vec<&Event> = Vec::new();
        for replacement in &self.replacements {
            let Some(replaces) = &replacement.replaces else { continue };
            let single = !replaces.and_following || !recurring || self.master.is_none();
            if budget.is_spent() {
                break;
            }
            if single && !self.is_stale(replacement, budget) {
                singles.push(replacement);
            }
        }
        if let Some(master) = &self.master {
            let all = instances(master, self.reach(master, window), budget, troubles);
            let replaced: HashSet<Timestamp> = singles
                .iter()
                .filter_map(|single| single.replaces.as_ref())
                .flat_map(|replaces| named(master, &all, &replaces.instance))
                .collect();
            let left = all.iter().filter(|instance| !replaced.contains(&instance.start));
            let shifts = self.shifts();
            found.extend(
                left.filter_map(|instance| self.shown(master, instance, &shifts, recurring)),
            );
        }
        found.extend(singles.into_iter().filter_map(|single| self.replaced(single)));
        found.retain(|occurrence| overlaps(occurrence, window));
        found
    }

    /// How far to look: an instance may be long, and a following change may move it.
    fn reach(&self, master: &Event, window: (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
        let mut back = master.length.days();
        let mut ahead = 0;
        for replacement in &self.replacements {
            if let Some((shift, _)) = following_shift(replacement) {
                let days = shift.as_hours().abs() / 24 + 1;
                back = back.max(days + replacement.length.days());
                ahead = ahead.max(days);
            }
        }
        let hours = |days: i64| SignedDuration::from_hours(24 * days.clamp(0, 36_600));
        (
            window.0.saturating_sub(hours(back)).unwrap_or(Timestamp::MIN),
            window.1.saturating_add(hours(ahead)).unwrap_or(Timestamp::MAX),
        )
    }

    /// Whether a replacement is older than a master that no longer has its instance.
    fn is_stale(&self, replacement: &Event, budget: &Budget) -> bool {
        let (Some(master), Some(replaces)) = (&self.master, &replacement.replaces) else {
            return false;
        };
        let Some(original) = self.original(&replaces.instance) else { return false };
        if replacement.version.0 >= master.version.0 {
            return false;
        }
        let day = SignedDuration::from_hours(24);
        let around = (
            original.saturating_sub(day).unwrap_or(Timestamp::MIN),
            original.saturating_add(day).unwrap_or(Timestamp::MAX),
        );
        let near = instances(master, around, budget, &mut Troubles::default());
        named(master, &near, &replaces.instance).is_empty()
    }

    /// The changes of all following instances, each with what it does and from when.
    fn shifts(&self) -> Vec<Shift<'_>> {
        let shift = |replacement| {
            let (by, from) = following_shift(replacement)?;
            Some(Shift { replacement, by, from })
        };
        self.replacements.iter().filter_map(shift).collect()
    }

    /// An instance of the master, with what a change of all following ones makes of it.
    fn shown(
        &self,
        master: &Event,
        instance: &Instance,
        shifts: &[Shift<'_>],
        recurring: bool,
    ) -> Option<Occurrence> {
        let changed = shifts
            .iter()
            .filter(|shift| shift.from <= instance.start)
            .max_by_key(|shift| shift.from);
        let original = if recurring { instance.start } else { Timestamp::UNIX_EPOCH };
        let Some(Shift { replacement, by, .. }) = changed else {
            let end = instance.length.end(&instance.zone, instance.wall)?;
            return Some(self.occurrence(
                &master.details,
                (instance.start, end),
                original,
                recurring,
            ));
        };
        let wall = instance.wall.checked_add(*by).ok()?;
        let zone = &replacement.start.zone;
        let start = zone.instant(wall)?;
        let end = replacement.length.end(zone, wall)?;
        Some(self.occurrence(&replacement.details, (start, end), original, recurring))
    }

    /// A replacement by itself.
    fn replaced(&self, replacement: &Event) -> Option<Occurrence> {
        let start = replacement.start.instant()?;
        let end = replacement.length.end(&replacement.start.zone, replacement.start.wall)?;
        let original = self.original(&replacement.replaces.as_ref()?.instance)?;
        Some(self.occurrence(&replacement.details, (start, end), original, true))
    }

    /// The instant of the replaced instance: where only a day is given, at the master's time.
    fn original(&self, instance: &Moment) -> Option<Timestamp> {
        match &self.master {
            Some(master) if instance.is_date && !master.start.is_date => {
                let wall = instance.date().to_datetime(master.start.wall.time());
                master.start.zone.instant(wall)
            }
            Some(master) if master.start.is_date => {
                let wall = instance.date().to_datetime(jiff::civil::Time::midnight());
                master.start.zone.instant(wall)
            }
            _ => instance.instant(),
        }
    }

    fn occurrence(
        &self,
        details: &Details,
        (start, end): (Timestamp, Timestamp),
        original_start: Timestamp,
        recurring: bool,
    ) -> Occurrence {
        Occurrence {
            uid: self.uid.clone(),
            original_start,
            title: details.title.clone(),
            start,
            end: end.max(start),
            all_day: details.is_all_day,
            cancelled: details.is_cancelled,
            private: details.is_private,
            free: details.is_free,
            recurring,
            nature: details.nature,
            // Without a count it is the first version (RFC 5545, 3.8.7.4).
            sequence: Some(details.sequence),
            organizer: details.organizer.clone(),
            attendees: details.attendees.clone(),
            link: details.link.clone(),
        }
    }
}

/// By how much a change of all following instances moves them on the wall clock, and from when.
fn following_shift(replacement: &Event) -> Option<(SignedDuration, Timestamp)> {
    let replaces = replacement.replaces.as_ref().filter(|replaces| replaces.and_following)?;
    // Both on the clock of the new start, so that a zone written differently is no move.
    let from = replaces.instance.instant()?;
    let before = if replaces.instance.is_date {
        replaces.instance.wall
    } else {
        replacement.start.zone.wall(from)
    };
    Some((replacement.start.wall.duration_since(before), from))
}

fn overlaps(occurrence: &Occurrence, window: (Timestamp, Timestamp)) -> bool {
    occurrence.start < window.1 && (occurrence.end > window.0 || occurrence.start >= window.0)
}

/// Every instance of a master that begins within `reach`, without its exceptions.
fn instances(
    master: &Event,
    reach: (Timestamp, Timestamp),
    budget: &Budget,
    troubles: &mut Troubles,
) -> Vec<Instance> {
    let zone = &master.start.zone;
    let wall_window =
        (zone.wall(reach.0).saturating_sub(1.day()), zone.wall(reach.1).saturating_add(1.day()));
    // The start always belongs to the series, whether it fits the rule or not.
    let mut walls = vec![master.start.wall];
    let mut out = Vec::new();
    for (rules, into) in [(&master.rules, &mut walls), (&master.exception_rules, &mut out)] {
        for rule in rules {
            let until = rule.until.as_ref().map(|until| until_wall(until, &master.start));
            match expand(&rule.rule, master.start.wall, until, wall_window, budget) {
                Ok(more) => into.extend(more),
                Err(RuleTrouble::NotUnderstood) => troubles.rules_not_understood += 1,
                Err(RuleTrouble::TooLong) => troubles.rules_too_long += 1,
            }
        }
    }
    walls.sort_unstable();
    walls.dedup();
    walls.retain(|wall| !out.contains(wall));
    let mut found: Vec<Instance> =
        walls.into_iter().filter_map(|wall| instance(zone, wall, master.length)).collect();
    let mut starts: HashSet<Timestamp> = found.iter().map(|instance| instance.start).collect();
    for (moment, length) in &master.more {
        let within = |further: &Instance| reach.0 <= further.start && further.start <= reach.1;
        let further = further(master, moment, *length).filter(within);
        found.extend(further.filter(|further| starts.insert(further.start)));
    }
    if found.len() > MOST_FOUND {
        troubles.rules_too_long += 1;
        return Vec::new();
    }
    let excepted: HashSet<Timestamp> =
        master.exceptions.iter().flat_map(|except| named(master, &found, except)).collect();
    found.retain(|instance| !excepted.contains(&instance.start) && instance.start <= reach.1);
    found
}

fn instance(zone: &Zone, wall: DateTime, length: Length) -> Option<Instance> {
    Some(Instance { wall, zone: zone.clone(), start: zone.instant(wall)?, length })
}

/// An instance from an `RDATE`; one that is only a day takes the master's time.
fn further(master: &Event, moment: &Moment, length: Option<Length>) -> Option<Instance> {
    let length = length.unwrap_or(master.length);
    if moment.is_date && !master.start.is_date {
        let wall = moment.date().to_datetime(master.start.wall.time());
        return instance(&master.start.zone, wall, length);
    }
    instance(&moment.zone, moment.wall, length)
}

/// The end of a rule on the series' own clock; a day is meant to its end.
fn until_wall(until: &Moment, start: &Moment) -> DateTime {
    if until.is_date || start.is_date {
        return until.date().to_datetime(jiff::civil::Time::constant(23, 59, 59, 0));
    }
    until.instant().map_or(until.wall, |at| start.zone.wall(at))
}

/// The starts of the instances that `moment` names: by instant, else by wall clock; by day where a
/// day is all that it says.
fn named(master: &Event, instances: &[Instance], moment: &Moment) -> Vec<Timestamp> {
    let starts = |fits: &dyn Fn(&Instance) -> bool| -> Vec<Timestamp> {
        instances.iter().filter(|one| fits(one)).map(|one| one.start).collect()
    };
    if moment.is_date {
        return starts(&|one| one.wall.date() == moment.date());
    }
    let at = moment.instant();
    if master.start.is_date {
        // Outlook writes a time for a whole day: the moment it begins, in UTC or locally.
        let day = match at.filter(|_| moment.is_utc()) {
            Some(at) => master.start.zone.wall(at).date(),
            None => moment.date(),
        };
        return starts(&|one| one.wall.date() == day);
    }
    let same_instant = starts(&|one| Some(one.start) == at);
    if same_instant.is_empty() { starts(&|one| one.wall == moment.wall) } else { same_instant }
}
