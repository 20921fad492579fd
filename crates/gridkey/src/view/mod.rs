//! Views: plans, events, outcomes and diagnostics in the words that people read. They decide nothing.

mod change;
pub mod diagnostics;
pub mod events;
mod finding;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod style;
pub mod table;
pub mod words;

pub use style::{Style, Tone};
