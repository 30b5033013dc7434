//! `debrief`: a self-hosted Slack bot that prompts post-call debriefs.
//!
//! Read in this order: [`domain`] (the rules, pure), [`ports`] (what the outside must be able to
//! do), [`store`] (SQLite, the only memory), [`flows`] (what the bot does), then the adapters
//! [`calendar`] and [`slack`], the pretend workspace in [`playground`], and [`app`], which wires
//! everything together.

pub mod app;
pub mod calendar;
pub mod config;
pub mod domain;
pub mod flows;
pub mod playground;
pub mod ports;
pub mod slack;
pub mod store;
