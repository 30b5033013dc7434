//! The disk and the file: what the store does when they fail.
