//! Texts and their words: places in files, patterns, suggestions, and what must not be shown. Everything else in the
//! crate may use this; it uses nothing.

pub mod diagnostic;
pub mod pattern;
pub mod redact;
pub mod source;
pub mod suggest;

/// Whether a text can be the name of a variable.
pub(crate) fn is_variable(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(good)
}
