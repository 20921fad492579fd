//! Texts and their words: places in files, patterns, suggestions, and what must not be shown. Everything else in the
//! crate may use this; it uses nothing.

pub mod diagnostic;
pub mod pattern;
pub mod redact;
pub mod source;
pub mod suggest;
