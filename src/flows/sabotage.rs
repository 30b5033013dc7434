//! Bugs on purpose: they prove that the simulation would find them.
//!
//! Without the feature `seeded-bugs`, [`is`] is a constant `false` and nothing of this remains.

/// What the usual bot does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A post of unknown fate is sent again without a look.
    NoReconcile,
    /// It is not noted beforehand that a post is on its way.
    PostThenMark,
    /// Acknowledged first, stored afterwards.
    AckFirst,
    /// A redelivery is taken for something new.
    NoInboundDedup,
}

#[cfg(all(feature = "seeded-bugs", not(debug_assertions)))]
compile_error!("the feature seeded-bugs breaks the bot on purpose; it is for tests only");

/// Whether this bug is switched on.
#[cfg(not(feature = "seeded-bugs"))]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(feature = "seeded-bugs")]
pub use self::switch::{is, switch};

#[cfg(feature = "seeded-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this bug is switched on for this thread.
    pub fn is(bug: Bug) -> bool {
        ON.get() == Some(bug)
    }

    /// Switches one bug on for this thread, or all off.
    pub fn switch(bug: Option<Bug>) {
        ON.set(bug);
    }
}
