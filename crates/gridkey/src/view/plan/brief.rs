//! A plan in few lines: what each account comes to, what blocks, and what keys it takes away.

use std::collections::BTreeMap;

use gridkey_core::plan::{Change, Code, Effect, Finding, Plan, Severity};

use super::{accounts, counts, found, summary};
use crate::view::finding;
use crate::view::fold::folded;
use crate::view::style::{Style, Tone};
use crate::view::table::Table;
use crate::view::words::count;

/// One line for each account, or for those that change alike; findings that block in full, and how many others there are.
pub fn brief(plan: &Plan, style: Style) -> String {
    let blocks = accounts(plan).into_iter().map(|(changes, mut block)| {
        block.said = format!("{}; {}", block.said, cost(&changes));
        // Ids stand there, and are of no account here.
        block.table = Table::new();
        block
    });
    let mut text = String::new();
    for (heading, _) in folded(blocks.collect()) {
        // The names of several accounts.
        let (heading, names) = heading.split_once('\n').unwrap_or((&heading, ""));
        let names = if names.is_empty() { String::new() } else { format!(": {}", names.trim()) };
        text.push_str(&format!("{heading}{names}\n"));
    }
    let (blocking, others): (Vec<&Finding>, Vec<&Finding>) =
        found(plan).into_iter().partition(|finding| match finding.severity {
            Severity::Blocks | Severity::BlocksAccount => true,
            Severity::Allowed | Severity::Warns => false,
        });
    text.push_str(&finding::texts(&blocking, style));
    text.push_str(&others_counted(&others));
    text.push_str(&style.paint(Tone::Strong, summary(plan)));
    text.push('\n');
    text
}

/// `2 to create, 1 to delete; revokes 1 key, which may be in use`.
fn cost(changes: &[&Change]) -> String {
    let whens: Vec<_> = changes
        .iter()
        .flat_map(|change| change.effects())
        .filter_map(|effect| match effect {
            Effect::Revokes { id: _, when } => Some(when),
            _ => None,
        })
        .collect();
    let counts = counts(changes);
    if whens.is_empty() {
        return counts;
    }
    let in_use = match whens.iter().filter(|when| when.may_break_a_consumer()).count() {
        0 => String::new(),
        all if all == whens.len() => ", which may be in use".to_string(),
        in_use => format!(", {in_use} of which may be in use"),
    };
    format!("{counts}; revokes {}{in_use}", count(whens.len(), "key"))
}

/// `3 other findings: 2 rotation_due, 1 secret_unknown`.
fn others_counted(findings: &[&Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut by_code: BTreeMap<(Severity, Code), usize> = BTreeMap::new();
    for finding in findings {
        *by_code.entry((finding.severity, finding.code)).or_default() += 1;
    }
    let each: Vec<String> = by_code
        .into_iter()
        .map(|((severity, code), number)| format!("{number} {} [{code}]", finding::word(severity)))
        .collect();
    format!("{} not shown: {}\n", count(findings.len(), "finding"), each.join(", "))
}
