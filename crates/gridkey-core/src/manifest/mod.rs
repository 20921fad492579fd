//! The manifest: what people want, parsed, merged, resolved and checked.

pub mod model;

pub use model::*;
