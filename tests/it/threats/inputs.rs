//! What comes in through calendars, files and words.
