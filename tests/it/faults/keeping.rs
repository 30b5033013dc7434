//! Backup, restore, erasure: what goes wrong while keeping.
