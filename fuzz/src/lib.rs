//! What is thrown at the program, for `cargo fuzz run NAME`.

pub mod targets;
