//! Views: plans, events, outcomes and diagnostics in the words that people read. They decide nothing.

pub mod approval;
pub mod audit;
mod change;
pub mod diagnostics;
pub mod events;
pub(crate) mod finding;
mod fold;
pub mod html;
pub mod markdown;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod sarif;
pub mod state;
pub mod style;
pub mod table;
pub mod upcoming;
pub mod whois;
pub mod words;
pub mod wrap;

pub use style::{Style, Tone};
