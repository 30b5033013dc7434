//! Calendars that fail, lie or change.
