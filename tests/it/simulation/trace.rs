//! What happened, line by line, and what should not have.
//!
//! The lines of a run are folded into one number, so that two runs of a seed can be compared. A
//! panic in a task and an error in the bot's log would be swallowed without a trace; here both
//! break the run.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// How many lines are kept for whoever looks for the reason.
const KEPT: usize = 60;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static BOT_IS_DEAD: Cell<bool> = const { Cell::new(false) };
    static COMPLAINTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
pub(super) struct Trace(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    hash: u64,
    all: Option<Vec<String>>,
    recent: VecDeque<String>,
    broken: Vec<String>,
    /// The lines before the first broken promise.
    story: Vec<String>,
}

impl Trace {
    /// Keeps every line, to be printed.
    pub(super) fn in_full() -> Self {
        Self(Mutex::new(Lines { all: Some(Vec::new()), ..Lines::default() }))
    }

    pub(super) fn note(&self, line: String) {
        let mut lines = self.lines();
        for byte in line.bytes().chain(*b"\n") {
            // FNV-1a: stable, and good enough to tell two runs apart.
            lines.hash = (lines.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if lines.recent.len() == KEPT {
            lines.recent.pop_front();
        }
        if let Some(all) = &mut lines.all {
            all.push(line.clone());
        }
        lines.recent.push_back(line);
    }

    /// A promise was broken.
    pub(super) fn broken(&self, what: String) {
        self.note(format!("BROKEN {what}"));
        let mut lines = self.lines();
        if lines.broken.is_empty() {
            lines.story = lines.recent.iter().cloned().collect();
        }
        lines.broken.push(what);
    }

    pub(super) fn hash(&self) -> u64 {
        self.lines().hash
    }

    /// What was broken, and the last lines before it.
    pub(super) fn outcome(&self) -> (Vec<String>, Vec<String>) {
        let lines = self.lines();
        let story = lines.all.as_ref().unwrap_or(&lines.story);
        (lines.broken.clone(), story.clone())
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches this thread for panics and for errors in the bot's log, until dropped.
pub(super) struct Watch {
    _log: tracing::subscriber::DefaultGuard,
}

impl Watch {
    pub(super) fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if WATCHED.get() {
                    complain(format!("a panic: {panic}"));
                } else {
                    before(panic);
                }
            }));
        });
        WATCHED.set(true);
        BOT_IS_DEAD.set(false);
        complaints();
        Self { _log: tracing::subscriber::set_default(Errors) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.set(false);
    }
}

/// What a dead bot's last tasks say about their closed store is nobody's business.
pub(super) fn bot_is_dead(dead: bool) {
    BOT_IS_DEAD.set(dead);
}

/// What was complained about since the last call.
pub(super) fn complaints() -> Vec<String> {
    COMPLAINTS.with_borrow_mut(std::mem::take)
}

fn complain(what: String) {
    COMPLAINTS.with_borrow_mut(|complaints| complaints.push(what));
}

/// Takes errors and nothing else.
struct Errors;

impl Subscriber for Errors {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        *about.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        if !BOT_IS_DEAD.get() {
            let mut text = String::new();
            event.record(&mut Fields(&mut text));
            // Only a dead one's is: what is left of it may wake up (a look at a calendar that took
            // too long) when the next one is at work already.
            if text.contains("the store is closed") {
                return;
            }
            complain(format!("an error in the log:{text}"));
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Fields<'t>(&'t mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}
