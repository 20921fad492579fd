//! References to what is not defined.

use crate::manifest::problem::Problems;
use crate::manifest::read::node::Site;
use crate::text::suggest::{did_you_mean, some_of};

/// Reports a reference to something that is not defined.
pub(crate) fn unknown<'a>(
    noun: &str,
    name: &str,
    site: Site,
    known: impl Iterator<Item = &'a str> + Clone,
    problems: &mut Problems,
) {
    let meant = did_you_mean(name, known.clone());
    let report = problems.error(noun_code(noun), site, format!("unknown {noun} `{name}`{meant}"));
    if known.clone().next().is_some() {
        report.help(format!("the manifest has {}", some_of(known)));
    } else {
        report.help(format!("the manifest has no {noun} yet"));
    }
}

fn noun_code(noun: &str) -> &'static str {
    match noun {
        "account" => "unknown_account",
        "sink" => "unknown_sink",
        "environment" => "unknown_environment",
        "key" => "unknown_key",
        _ => "unknown_scope_set",
    }
}
