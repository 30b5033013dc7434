//! What is stored, exported and logged.
