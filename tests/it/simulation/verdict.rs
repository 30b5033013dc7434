//! What must be true of every world at its end.
//!
//! - *One question*: a customer meeting that ended and was not cancelled was asked about, once; a
//!   second question about it only if it was moved or went on after the first one. It may be held
//!   back by a day's budget, and wait for the next working day if it ended late in the day or the
//!   bot was down for the rest of it.
//! - *None too early*: a question was sent only about a meeting that had ended by the bot's clock,
//!   and that took place as far as the bot could know (its last reading may be older than the
//!   organiser's change).
//! - *Stored once*: what Slack showed as saved is stored once, word for word, and the last thing
//!   that somebody said is what stands; nothing is stored twice.
//! - *In the end everything is done*: three hours after the last fault nothing is on its way, in
//!   doubt or overdue, and every message looks as the store has it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use debrief::domain::debrief::DebriefId;
use debrief::ports::outbound::{Card, PromptStage};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OpenFlags, Row};

use super::calendars::{Entry, Standing, Version, stored_readings};
use super::people::Words;
use super::slack::Message;
use super::world::World;

/// From the reading of a calendar to a question that follows from it, at most.
const LAG: SignedDuration = SignedDuration::from_secs(60);

/// A debrief as the store has it.
struct Stored {
    uid: String,
    state: String,
    due: Timestamp,
    ts: Option<String>,
}

struct Verdict<'w> {
    world: &'w World,
    debriefs: BTreeMap<i64, Stored>,
    messages: HashMap<i64, Vec<Message>>,
    readings: HashMap<usize, Vec<Timestamp>>,
}

/// Looks at everything; what is wrong goes into the trace. The bot must be down.
pub(super) fn judge(world: &World) {
    for complaint in super::trace::complaints() {
        world.trace.broken(complaint);
    }
    let store = open(&world.path("debrief.db"));
    let mut messages: HashMap<i64, Vec<Message>> = HashMap::new();
    for message in world.slack.messages() {
        if let Card::Prompt(card) = &message.card {
            messages.entry(card.debrief.0).or_default().push(message);
        }
    }
    let verdict =
        Verdict { world, debriefs: debriefs(&store), messages, readings: stored_readings(world) };
    for entry in world.calendars.entries() {
        verdict.entry(&entry);
    }
    verdict.words(&store);
    verdict.digests();
    verdict.nothing_left(&store);
    verdict.looks();
}

fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn debriefs(store: &Connection) -> BTreeMap<i64, Stored> {
    rows(
        store,
        "SELECT debrief.id, uid, state, ts, due_at FROM debrief JOIN meeting ON meeting.id = meeting_id",
        |row| {
            let due = Timestamp::from_second(row.get(4)?).unwrap();
            let stored = Stored { uid: row.get(1)?, state: row.get(2)?, ts: row.get(3)?, due };
            Ok((row.get(0)?, stored))
        },
    )
    .into_iter()
    .collect()
}

fn rows<T>(
    store: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = store.prepare(sql).unwrap();
    statement.query_map([], read).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

impl Verdict<'_> {
    fn broken(&self, what: String) {
        self.world.trace.broken(what);
    }

    /// One question about one meeting, at the right time.
    fn entry(&self, entry: &Entry) {
        let uid = &entry.uid;
        let found = self.debriefs.iter().find(|(_, stored)| stored.uid == *uid);
        let none = Vec::new();
        let asked = found.and_then(|(id, _)| self.messages.get(id)).unwrap_or(&none);
        for message in asked {
            if !self.was_right(entry, message) {
                let at = message.requested.1;
                self.broken(format!("{uid} was asked about at {at}, which the bot knew was wrong"));
            }
        }
        for pair in asked.windows(2) {
            let (first, second) = (pair[0].requested, pair[1].requested);
            let moved = entry.versions.iter().any(|version| {
                version.end > first.1 && version.end <= second.1 && version.since <= second.0
            });
            if !moved {
                self.broken(format!("{uid} was asked about twice"));
            }
        }
        let last = entry.latest();
        let over = last.end + SignedDuration::from_hours(3) <= self.world.now();
        if entry.customer && last.standing == Standing::Takes && over {
            let state = found.map_or("unknown", |(_, stored)| stored.state.as_str());
            let done = ["asked", "answered", "skipped", "not_held", "expired"].contains(&state);
            let waits = found.is_some_and(|(_, stored)| self.may_wait(entry, stored));
            if (asked.is_empty() || !done) && !self.may_be_held(entry, state) && !waits {
                let count = asked.len();
                self.broken(format!("{uid} ended and is {state}, with {count} questions"));
            }
        }
        if !entry.customer && !asked.is_empty() {
            self.broken(format!("{uid} is an internal meeting and was asked about"));
        }
    }

    /// Whether there was a version that the bot could know of, of a meeting that had ended.
    fn was_right(&self, entry: &Entry, message: &Message) -> bool {
        let (sent, wall) = message.requested;
        let wall = self.world.set_backs().into_iter().fold(wall, |wall, (at, shown)| {
            let fresh = at <= sent && at + SignedDuration::from_mins(5) >= sent;
            if fresh { wall.max(shown) } else { wall }
        });
        let readings = self.readings.get(&entry.rep).map_or(&[][..], Vec::as_slice);
        let known = readings.iter().rfind(|taken| **taken + LAG <= sent);
        let known = known.copied().unwrap_or(Timestamp::MIN);
        let current = |place: usize, version: &Version| {
            let until = entry.versions.get(place + 1).map_or(Timestamp::MAX, |next| next.since);
            version.since <= sent && until > known
        };
        entry.versions.iter().enumerate().any(|(place, version)| {
            current(place, version) && version.standing == Standing::Takes && version.end <= wall
        })
    }

    /// The question waits for the next working day: the meeting ended late in the rep's day, by a
    /// clock that may have been wrong, or the bot was not up long enough that day.
    fn may_wait(&self, entry: &Entry, stored: &Stored) -> bool {
        let end = entry.latest().end;
        let latest = if self.world.was_bent() { end + SignedDuration::from_hours(2) } else { end };
        let zoned = latest.to_zoned(self.world.zone(entry.rep));
        let closing = zoned.with().hour(18).minute(0).second(0).build().unwrap().timestamp();
        stored.state == "planned"
            && stored.due > self.world.wall()
            && (zoned.hour() >= 17 || !self.world.was_up(end, closing))
    }

    /// A day's budget keeps a question back if that day has more meetings than the budget, or if
    /// questions about the evening before were asked on it.
    fn may_be_held(&self, entry: &Entry, state: &str) -> bool {
        let budget = usize::try_from(self.world.config.prompt.max_per_day).unwrap();
        let zone = self.world.zone(entry.rep);
        let day = |version: Version| version.end.to_zoned(zone.clone()).date();
        let that_day = self.world.calendars.entries().into_iter().filter(|other| {
            other.rep == entry.rep
                && other.customer
                && other.versions.iter().any(|version| day(*version) == day(entry.latest()))
        });
        let others = self.debriefs.iter().filter(|(_, stored)| {
            let mut all = self.world.calendars.entries().into_iter();
            stored.uid != entry.uid
                && all.any(|other| other.uid == stored.uid && other.rep == entry.rep)
        });
        let on_that_day = |message: &Message| {
            let asked = message.requested.1.to_zoned(zone.clone()).date();
            entry.versions.iter().any(|version| day(*version) == asked)
        };
        let asked = others.filter(|(id, _)| {
            self.messages.get(*id).is_some_and(|messages| messages.iter().any(on_that_day))
        });
        state == "held" && (that_day.count() > budget || asked.count() >= budget)
    }

    /// What people said is what is stored.
    fn words(&self, store: &Connection) {
        let stored = stored_words(store);
        // Somebody replied to a question of which the bot did not know yet where it stands: the
        // words are kept, and they were asked which meeting is meant.
        let kept: Vec<String> =
            rows(store, "SELECT body FROM pending_text WHERE claimed_by IS NULL", |row| row.get(0));
        let mut last: BTreeMap<DebriefId, Vec<Words>> = BTreeMap::new();
        for words in self.world.people.words() {
            let versions = stored.get(&words.debrief.0).map_or(&[][..], Vec::as_slice);
            let times = versions.iter().filter(|(text, _)| *text == words.text).count();
            let (text, debrief) = (&words.text, words.debrief.0);
            if times > 1 {
                self.broken(format!("“{text}” is stored {times} times for {debrief}"));
            }
            let is_kept = kept.contains(text);
            if times == 0 && words.accepted && !words.edited && !is_kept {
                self.broken(format!("“{text}” was accepted for {debrief} and is lost"));
            }
            last.entry(words.debrief).or_default().push(words);
        }
        for (debrief, said) in last {
            let wanted = said.last().unwrap();
            let current = stored.get(&debrief.0).and_then(|all| all.iter().find(|(_, now)| *now));
            let stands = current.map(|(text, _)| text.as_str());
            if wanted.accepted && stands != Some(&wanted.text) && !kept.contains(&wanted.text) {
                self.broken(format!(
                    "{} says {stands:?}, and “{}” was said last",
                    debrief.0, wanted.text
                ));
            }
        }
        let doubled = rows(
            store,
            "SELECT channel || ' ' || ts FROM pending_text GROUP BY 1 HAVING count(*) > 1",
            |row| row.get::<_, String>(0),
        );
        for place in doubled {
            self.broken(format!("the message at {place} was taken for two"));
        }
    }

    /// Every manager has the digest of the latest slot.
    fn digests(&self) {
        let (world, now) = (self.world, self.world.now());
        for manager in 0..2.min(world.reps()) {
            let zone = world.zone(manager);
            let slot = world.config.digest_schedule.latest(now, &zone).unwrap();
            let suffix = format!("-{}", slot.date);
            let count = world
                .slack
                .messages()
                .iter()
                .filter(|message| message.at.channel == format!("Dm{manager}"))
                .filter(|message| message.key.ends_with(&suffix))
                .count();
            if count != 1 {
                self.broken(format!("manager {manager} has {count} digests of {}", slot.date));
            }
        }
    }

    fn nothing_left(&self, store: &Connection) {
        let now = self.world.wall().as_second();
        let left = rows(
            store,
            &format!(
                "SELECT delivery_key || ' ' || state FROM outbox
                 WHERE state IN ('sending', 'uncertain', 'failed')
                    OR (state = 'queued' AND not_before <= {now})
                 UNION ALL SELECT 'debrief ' || id || ' is planned' FROM debrief
                 WHERE state = 'planned' AND due_at <= {now}
                 UNION ALL SELECT 'calendar ' || person_id || ' ' || ifnull(problem, 'is not read') FROM feed
                 WHERE problem IS NOT NULL OR next_at + 60 < {now}"
            ),
            |row| row.get::<_, String>(0),
        );
        for what in left {
            let what = what.split_once('-').map_or(&*what, |(_, rest)| rest);
            self.broken(format!("left over: {what}"));
        }
    }

    /// A question looks open exactly as long as it is.
    fn looks(&self) {
        for (id, stored) in &self.debriefs {
            let Some(messages) = self.messages.get(id) else { continue };
            let Some(known) =
                messages.iter().find(|message| Some(&message.at.ts) == stored.ts.as_ref())
            else {
                self.broken(format!("nobody knows where the question of {id} stands"));
                continue;
            };
            let Card::Prompt(card) = &known.card else { continue };
            let looks_open = matches!(card.stage, PromptStage::Open { .. });
            if looks_open != (stored.state == "asked") {
                self.broken(format!("{id} is {}, and its message does not say so", stored.state));
            }
        }
    }
}

/// Every version of the one text of each debrief, and whether it is the current one.
fn stored_words(store: &Connection) -> HashMap<i64, Vec<(String, bool)>> {
    let all = rows(
        store,
        "SELECT debrief_id, body, 1 FROM answer WHERE slot = 'reflect'
         UNION ALL
         SELECT debrief_id, answer_version.body, 0 FROM answer_version
         JOIN answer ON answer.id = answer_id WHERE slot = 'reflect'",
        |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))),
    );
    let mut stored: HashMap<i64, Vec<(String, bool)>> = HashMap::new();
    for (debrief, version) in all {
        stored.entry(debrief).or_default().push(version);
    }
    stored
}
