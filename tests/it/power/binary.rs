//! The real bot, killed and starved.
