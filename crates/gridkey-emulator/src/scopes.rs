//! The scopes that SendGrid has, and what kind each is of.

use std::collections::BTreeSet;

/// Scope and kind, a line each; gathered from SendGrid's documentation and libraries.
const LIST: &str = include_str!("scopes.txt");

fn of_kind(kind: &str) -> BTreeSet<String> {
    let lines = LIST.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(_, of)| *of == kind).map(|(scope, _)| scope.to_string()).collect()
}

/// Scopes that any key but a billing key may hold.
pub(crate) fn restricted() -> BTreeSet<String> {
    of_kind("restricted")
}

/// Scopes that only a billing key may hold.
pub(crate) fn billing() -> BTreeSet<String> {
    of_kind("billing")
}

/// What a Full Access key holds: everything but billing and Email Address Validation, as SendGrid's 'Create
/// API keys' page says.
pub(crate) fn full() -> BTreeSet<String> {
    restricted().into_iter().filter(|scope| !scope.starts_with("validations.")).collect()
}
