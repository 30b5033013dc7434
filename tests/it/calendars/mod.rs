//! Calendars of every provider, through the real adapters against servers that speak the providers'
//! dialects, and several at a time.

mod agreement;
mod away;
mod caldav;
mod checking;
mod google;
mod microsoft;
mod scale;
