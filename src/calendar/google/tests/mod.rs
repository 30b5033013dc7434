//! What Google's answers mean, told by samples.

mod page;
mod refusals;
