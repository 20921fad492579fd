//! Every action and every reason stands in the transcript of some scenario.
//!
//! The transcripts themselves are read, all of them, whichever scenarios are run: so the answer is the same
//! under a filter, and where each test has a process of its own. That they are true is for the scenarios.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use gridkey_core::plan::Reason;

use crate::forms::is_plan_in_text;

/// What no plan shows as a change: keys that are as they should be.
const UNSEEN: [&str; 2] = ["action keep", "reason in_step"];

/// What only a command that a person gives has a reason for: `plan` does not know of it.
const ASKED_FOR: [&str; 4] =
    ["reason destroyed", "reason found_in_sink", "reason hold_requested", "reason retirement_requested"];

/// Fails where no scenario shows an action or a reason, or one shows what no plan should.
pub fn check(claims: &[PathBuf]) {
    let known = Known::new();
    let mut shown = BTreeSet::new();
    for claim in claims {
        let transcript = std::fs::read_to_string(claim.join("expected.txt")).unwrap_or_default();
        shown.extend(known.shown_by(&transcript));
    }
    let missing: Vec<&String> = known.all().filter(|known| !shown.contains(*known)).collect();
    assert_eq!(missing, UNSEEN, "no scenario has a plan with these");
}

/// Actions and reasons, by the words that a text has for them, each as `action CODE` or `reason CODE`.
struct Known {
    actions: BTreeMap<String, String>,
    reasons: BTreeMap<String, String>,
}

impl Known {
    /// Every action and reason that the schema of plans knows.
    fn new() -> Self {
        let actions = codes("Action");
        let actions = actions.into_iter().map(|code| (code.clone(), format!("action {code}")));
        let reasons = codes("Reason").into_iter().map(|code| {
            let reason: Reason = serde_json::from_value(code.clone().into()).unwrap();
            (reason.as_words().to_string(), format!("reason {code}"))
        });
        let known = Self { actions: actions.collect(), reasons: reasons.collect() };
        assert_eq!(known.reasons.len(), codes("Reason").len(), "two reasons have the same words");
        assert!(known.all().count() > 40, "the schema lists its actions and reasons in another way now");
        known
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.actions.values().chain(self.reasons.values())
    }

    /// What the plans of a transcript show. Other commands count only for what no plan can show.
    fn shown_by(&self, transcript: &str) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        let (mut is_plan, mut is_outcome) = (false, false);
        for line in transcript.lines() {
            if let Some(command) = line.strip_prefix("$ gridkey ") {
                let arguments: Vec<&str> = command.split(' ').collect();
                is_plan = is_plan_in_text(&arguments);
                is_outcome = false;
            }
            // What failed is listed in lines of the same look, with an account where the reasons were.
            is_outcome |= line == "| Failed:";
            if is_outcome {
                continue;
            }
            let change = line.strip_prefix("|   ").and_then(|line| self.change(line));
            let mut change = change.unwrap_or_default();
            change.retain(|word| is_plan || ASKED_FOR.contains(&word.as_str()));
            shown.extend(change);
        }
        shown
    }

    /// The action and the reasons of `SIGN ADDRESS   ACTION   SUMMARY   REASONS`; none where the line is
    /// something else.
    fn change(&self, line: &str) -> Option<Vec<String>> {
        if line.starts_with(' ') {
            return None;
        }
        let columns: Vec<&str> =
            line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
        let action = self.actions.get(*columns.get(1)?)?;
        let mut shown = vec![action.clone()];
        let mut rest = columns.get(2..)?.last().copied()?;
        loop {
            // A reason may have a semicolon too, so the longest one counts.
            let fits = |words: &&String| {
                let after = rest.strip_prefix(words.as_str());
                after.is_some_and(|after| after.is_empty() || after.starts_with("; "))
            };
            let words = self.reasons.keys().filter(fits).max_by_key(|words| words.len());
            let words = words.unwrap_or_else(|| panic!("no reason has the words {rest:?}: {line}"));
            shown.push(self.reasons[words].clone());
            match rest[words.len()..].strip_prefix("; ") {
                Some(more) => rest = more,
                None => return Some(shown),
            }
        }
    }
}

/// The codes of an enum of the plan's schema.
fn codes(definition: &str) -> Vec<String> {
    let schema = gridkey_core::plan::plan_schema();
    let variants = schema["$defs"][definition]["oneOf"].as_array().expect("it is a list of words").clone();
    let words = |variant: &serde_json::Value| -> Vec<String> {
        let words = variant["enum"].as_array().into_iter().flatten().chain(variant.get("const"));
        words.map(|word| word.as_str().expect("a word").to_string()).collect()
    };
    variants.iter().flat_map(words).collect()
}
