//! Stories of calendars at their providers, through the real adapters and servers that speak the
//! providers' dialects.

mod microsoft;
