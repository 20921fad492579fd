//! A plan in the form that people read, drawn from the plan document alone.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::Name;
use gridkey_core::plan::{AccountPlan, Action, Capacity, Change, Finding, Plan, Severity};

use super::style::{Style, Tone};
use super::table::Table;
use super::words::{COUNTED, count};
use super::{change, finding};

/// The plan, account by account, then what there is to say about it, then one sentence that sums it up.
///
/// The same text for the same plan, whatever the terminal.
pub fn text(plan: &Plan, style: Style) -> String {
    let Plan { accounts, changes, findings, .. } = plan;
    let mut blocks = Vec::new();
    // A change counts where it says it does, even in a document that says nothing else of that account.
    let named: BTreeSet<&Name> =
        accounts.keys().chain(changes.iter().map(|change| &change.account)).collect();
    for account in named {
        let table = table(changes, account);
        if !table.is_empty() {
            let heading = style.paint(Tone::Strong, heading(account, accounts.get(account)));
            blocks.push(format!("{heading}\n{}", table.to_text(style, "  ")));
        }
    }
    // Those that block come first, whoever wrote the document.
    let mut said: Vec<&Finding> = findings.iter().collect();
    said.sort_by_key(|finding| finding.severity);
    if !said.is_empty() {
        blocks.push(said.into_iter().map(|said| finding::text(said, style)).collect());
    }
    blocks.push(style.paint(Tone::Strong, summary(plan)) + "\n");
    blocks.join("\n")
}

fn table(changes: &[Change], account: &Name) -> Table {
    let mut table = Table::new();
    for change in changes.iter().filter(|change| change.account == *account && is_effective(change)) {
        let (head, below) = change::row(change);
        table.row(head, below);
    }
    table
}

fn is_effective(change: &Change) -> bool {
    change.action != Action::Keep
}

/// `acme: 97 → 99 of 100 keys, peak 100 (2 foreign)`.
fn heading(account: &Name, planned: Option<&AccountPlan>) -> String {
    let capacity = planned.and_then(|planned| {
        let AccountPlan { lineage: _, serial: _, observed_at: _, capacity } = planned;
        capacity.as_ref()
    });
    let Some(Capacity { limit, max_keys, live, foreign, ours: _, after, peak }) = capacity else {
        return account.to_string();
    };
    let mut text = format!("{account}: {live} → {after} of {limit} keys, peak {peak}");
    if *foreign > 0 {
        text.push_str(&format!(" ({foreign} foreign)"));
    }
    if let Some(max_keys) = max_keys {
        text.push_str(&format!(", at most {max_keys} for this project"));
    }
    text
}

/// The plan in one sentence, without a line break.
pub fn summary(plan: &Plan) -> String {
    let Plan { changes, findings, .. } = plan;
    let blocking = findings.iter().filter(|finding| finding.severity == Severity::Blocks).count();
    let all: Vec<&Change> = changes.iter().filter(|change| is_effective(change)).collect();
    if blocking > 0 {
        let (findings, settled) = match blocking {
            1 => ("1 finding blocks".to_string(), "it is"),
            more => (format!("{more} findings block"), "they are"),
        };
        let what = if all.is_empty() { String::new() } else { format!(" ({})", counts(&all)) };
        return format!("Blocked: {findings} this plan{what}; nothing is done until {settled} settled.");
    }
    let stopped: BTreeSet<&Name> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::BlocksAccount)
        .filter_map(|finding| finding.account.as_ref())
        .collect();
    let is_stopped = |change: &Change| stopped.contains(&change.account);
    let (waiting, free): (Vec<&Change>, Vec<&Change>) =
        all.into_iter().partition(|change| is_stopped(change));
    let kept = changes.iter().filter(|change| !is_effective(change) && !is_stopped(change)).count();
    let rest = match (free.is_empty(), kept) {
        (true, 0) if !stopped.is_empty() => "No changes elsewhere.".to_string(),
        (true, 0) => "No changes. There are no keys.".to_string(),
        (true, 1) => "No changes. 1 key is as it should be.".to_string(),
        (true, kept) => format!("No changes. {kept} keys are as they should be."),
        (false, 0) => format!("Plan: {}.", counts(&free)),
        (false, kept) => format!("Plan: {}; {kept} unchanged.", counts(&free)),
    };
    if stopped.is_empty() {
        return rest;
    }
    let names: Vec<String> = stopped.iter().map(ToString::to_string).collect();
    let wait = match waiting.len() {
        0 => "nothing is done there".to_string(),
        1 => "1 change waits".to_string(),
        more => format!("{} wait", count(more, "change")),
    };
    format!("Blocked in {}: {wait}. {rest}", names.join(", "))
}

/// `3 to create, 1 to delete`.
fn counts(changes: &[&Change]) -> String {
    let mut by_action: BTreeMap<Action, usize> = BTreeMap::new();
    for change in changes {
        *by_action.entry(change.action).or_default() += 1;
    }
    let parts = COUNTED.iter().filter_map(|action| by_action.get(action).map(|n| format!("{n} to {action}")));
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
