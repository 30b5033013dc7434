//! Google Calendar, for everybody in a company through one service account.
//!
//! The administrator lets the account act for the people of the company with one scope
//! (domain-wide delegation). `account` reads its key and signs for a person, `tokens` trades that for
//! an access token and keeps it, [`events`] asks page by page for a window of the calendar, `page`
//! says what the answers (in the forms of `wire`) mean and `refusals` what the refusals do. Google works series out itself, so
//! nothing of iCalendar is needed here.

pub mod account;
pub mod events;
pub(super) mod page;
pub(super) mod refusals;
#[cfg(test)]
mod tests;
mod tokens;
mod wire;

/// What the administrator allows: reading events, nothing else.
pub const SCOPE: &str = "https://www.googleapis.com/auth/calendar.events.readonly";
