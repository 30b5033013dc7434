//! Slack: what the bot says there, and what people do there.
//!
//! Read [`client`] (the messenger), then `views` (how things look), [`inbound`] (what comes back)
//! and [`door`] (how it gets here: through [`socket`] or [`http`]; both end at the [`desk`]). Nothing outside this module names `slack_morphism`, and inside
//! it only connections, tokens and errors are the crate's: its typed calls fail on answers that Slack
//! really gives, so requests and answers are lean structures of our own. It logs frames, bodies and
//! addresses of sockets that are as good as tokens: every log filter must hold `slack_morphism=off`.

pub mod client;
pub mod desk;
pub mod door;
pub mod figures;
pub mod http;
pub mod inbound;
pub mod manifest;
pub mod pace;
pub mod serve;
pub mod socket;

mod api;
mod controls;
mod errors;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod loopback;
mod people;
mod reply;
mod text;
mod views;
