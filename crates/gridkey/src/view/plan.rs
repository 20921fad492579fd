//! A plan in the form that people read, drawn from the plan document alone.

mod brief;

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::plan::{
    AccountPlan, Action, Allow, Capacity, Change, Code, Due, Finding, KeyValues, Note, Plan, PlanKind,
    Severity,
};
use gridkey_core::{Address, Name, Scope};

use super::fold::{Block, folded};
use super::style::{Style, Tone};
use super::table::Table;
use super::upcoming::upcoming;
use super::words::{COUNTED, count};
use super::{change, finding};

pub use self::brief::brief;

/// How many dates people are told; JSON has them all.
const UPCOMING: usize = 8;

/// The plan, account by account, then what there is to say about it, then one sentence that sums it up.
///
/// The same text for the same plan, whatever the terminal.
pub fn text(plan: &Plan, style: Style) -> String {
    let Plan { changes, findings, allowed, .. } = plan;
    let mut blocks = Vec::new();
    let tables = accounts(plan).into_iter().map(|(_, block)| block);
    for (heading, table) in folded(tables.collect()) {
        // A heading of several accounts lists them below.
        let (heading, names) = heading.split_once('\n').unwrap_or((&heading, ""));
        let names = if names.is_empty() { String::new() } else { format!("{names}\n") };
        blocks.push(format!("{}\n{names}{}", style.paint(Tone::Strong, heading), table.to_text(style, "  ")));
    }
    blocks.extend(automatic(changes));
    let found = found(plan);
    if !found.is_empty() {
        blocks.push(finding::texts(&found, style));
    }
    let upcoming = upcoming(plan);
    if !upcoming.is_empty() {
        let more = match upcoming.len().saturating_sub(UPCOMING) {
            0 => String::new(),
            more => format!("  and {more} more\n"),
        };
        let lines: String = upcoming.iter().take(UPCOMING).map(|line| format!("  {line}\n")).collect();
        blocks.push(format!("{}\n{lines}{more}", style.paint(Tone::Strong, "Coming up:")));
    }
    if !allowed.is_empty() {
        let flags = |needed: bool| {
            let of = allowed.iter().filter(|allow| lets_pass(allow, findings) == needed);
            of.map(|allow| format!("--allow {allow}")).collect::<Vec<_>>().join(" ")
        };
        let titled =
            [("Allowed this once", flags(true)), ("Allowed, and lets nothing pass here", flags(false))];
        let titled = titled.into_iter().filter(|(_, flags)| !flags.is_empty());
        blocks.push(titled.map(|(title, flags)| format!("{title}: {flags}\n")).collect());
    }
    blocks.push(style.paint(Tone::Strong, summary(plan)) + "\n");
    blocks.join("\n")
}

/// The changes of each account that has any.
fn accounts(plan: &Plan) -> Vec<(Vec<&Change>, Block<'_>)> {
    let mut by_account: BTreeMap<&Name, Vec<&Change>> = BTreeMap::new();
    // A change counts where it says it does, even in a document that says nothing else of that account.
    for change in plan.changes.iter().filter(|change| is_effective(change)) {
        by_account.entry(&change.account).or_default().push(change);
    }
    let blocks = by_account.into_iter().map(|(account, changes)| {
        let block = Block {
            account,
            said: said(plan.accounts.get(account)),
            table: table(&changes),
            values: values(&changes),
            access: access(&changes),
        };
        (changes, block)
    });
    blocks.collect()
}

/// Those that block come first, whoever wrote the document.
fn found(plan: &Plan) -> Vec<&Finding> {
    let mut found: Vec<&Finding> = plan.findings.iter().collect();
    found.sort_by_key(|finding| finding.severity);
    found
}

/// Whether something passes by an exception: one with another address than was meant stands for nothing.
pub(super) fn lets_pass(allow: &Allow, findings: &[Finding]) -> bool {
    let mut passed = findings.iter().filter(|finding| finding.severity == Severity::Allowed);
    passed.any(|finding| allow.is_about(finding.code, finding.address.as_ref()))
}

fn table(changes: &[&Change]) -> Table {
    let mut table = Table::new();
    for change in changes {
        // That is said once of all of them.
        let is_automatic = |note: &Note| matches!(note, Note::AutomaticScopes(_));
        let notes = change.notes.iter().filter(|note| !is_automatic(note)).cloned().collect();
        let (head, below) = change::row(&Change { notes, ..(*change).clone() });
        table.row(head, below);
    }
    table
}

/// What the keys of an account are before and after, but for their ids.
fn values(changes: &[&Change]) -> String {
    let told = |values: Option<&KeyValues>| {
        let values = values.map(|values| KeyValues { id: None, ..values.clone() });
        serde_json::to_string(&values).expect("plain data with text keys")
    };
    changes.iter().map(|change| told(change.before.as_ref()) + &told(change.after.as_ref())).collect()
}

/// What the keys of an account may do, before and after.
fn access(changes: &[&Change]) -> String {
    let told =
        |values: Option<&KeyValues>| format!("{:?}", values.map(|values| (&values.access, &values.left_out)));
    changes.iter().map(|change| told(change.before.as_ref()) + &told(change.after.as_ref())).collect()
}

/// Whether a finding says that something due is left.
fn is_left(finding: &Finding) -> bool {
    [Code::MoveLeft, Code::RotationDue, Code::RotationPostponed].contains(&finding.code)
}

/// Whether a finding says that something could not be looked at.
fn is_unread(finding: &Finding) -> bool {
    finding.code == Code::SinkUnreadable
}

fn is_effective(change: &Change) -> bool {
    change.action != Action::Keep
}

/// `: 97 → 99 of 100 keys, peak 100 (2 foreign)`, behind the account's name.
fn said(planned: Option<&AccountPlan>) -> String {
    let capacity = planned.and_then(|planned| {
        let AccountPlan { identity: _, lineage: _, serial: _, observed_at: _, order: _, capacity } = planned;
        capacity.as_ref()
    });
    let Some(Capacity { limit, max_keys, live, foreign, ours: _, after, peak }) = capacity else {
        return String::new();
    };
    let mut text = format!(": {live} → {after} of {limit} keys, peak {peak}");
    if *foreign > 0 {
        text.push_str(&format!(" ({foreign} foreign)"));
    }
    if let Some(max_keys) = max_keys {
        text.push_str(&format!(", at most {max_keys} for this project"));
    }
    text
}

/// Which scopes SendGrid put on keys by itself: said once, and not of each key that changes.
fn automatic(changes: &[Change]) -> Option<String> {
    let mut keys: BTreeMap<&BTreeSet<Scope>, Vec<&Address>> = BTreeMap::new();
    for change in changes.iter().filter(|change| is_effective(change)) {
        for note in &change.notes {
            if let Note::AutomaticScopes(scopes) = note {
                keys.entry(scopes).or_default().push(&change.address);
            }
        }
    }
    let lines = keys.into_iter().map(|(scopes, addresses)| {
        let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        let of = match addresses[..] {
            [address] => format!("`{address}`"),
            _ => count(addresses.len(), "key"),
        };
        format!("note: SendGrid added {} to {of} by itself\n", names.join(", "))
    });
    let lines: String = lines.collect();
    (!lines.is_empty()).then_some(lines)
}

/// The plan in one sentence, without a line break.
pub fn summary(plan: &Plan) -> String {
    let Plan { kind, computed_from, changes, findings, .. } = plan;
    let words = Words::of(*kind);
    let blocking = findings.iter().filter(|finding| finding.severity == Severity::Blocks).count();
    let all: Vec<&Change> = changes.iter().filter(|change| is_effective(change)).collect();
    if blocking > 0 {
        let (findings, settled) = match blocking {
            1 => ("1 finding blocks".to_string(), "it is"),
            more => (format!("{more} findings block"), "they are"),
        };
        let what = if all.is_empty() { String::new() } else { format!(" ({})", counts(&all)) };
        return match kind {
            PlanKind::Plan => {
                format!("Blocked: {findings} this plan{what}; nothing is done until {settled} settled.")
            }
            PlanKind::Drift => {
                format!("Blocked: {findings}{what}; nothing can be said until {settled} settled.")
            }
            PlanKind::Comparison => format!("Blocked: {findings}{what}, and would block a plan."),
        };
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
        (true, 0) if !stopped.is_empty() => format!("{} elsewhere.", words.nothing),
        (true, _) if computed_from.due == Due::Only => {
            match findings.iter().any(|it| is_left(it) || is_unread(it)) {
                true => "Nothing is done; what is due waits, as said above.".to_string(),
                false => "Nothing has come due.".to_string(),
            }
        }
        (true, _) if *kind != PlanKind::Comparison && findings.iter().any(is_unread) => {
            format!("{} in what could be read.", words.nothing)
        }
        // What has no change that would put it right has drifted all the same.
        (true, _) if *kind == PlanKind::Drift && plan.has_drifted() => {
            "Drift, as said above. No key of gridkey's is to be changed.".to_string()
        }
        (true, 0) => format!("{}. There are no keys.", words.nothing),
        (true, 1) => format!("{}. 1 key is as {}.", words.nothing, words.one),
        (true, kept) => format!("{}. {kept} keys are as {}.", words.nothing, words.many),
        (false, 0) => format!("{}: {}.", words.something, counts(&free)),
        (false, kept) => format!("{}: {}; {kept} unchanged.", words.something, counts(&free)),
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

/// What the kinds of documents say differently.
struct Words {
    something: &'static str,
    nothing: &'static str,
    one: &'static str,
    many: &'static str,
}

impl Words {
    fn of(kind: PlanKind) -> Self {
        let (something, nothing, one, many) = match kind {
            PlanKind::Plan => ("Plan", "No changes", "it should be", "they should be"),
            PlanKind::Drift => ("Drift; to put it right", "No drift", "state says", "state says"),
            PlanKind::Comparison => ("Compared", "No changes", "before", "before"),
        };
        Self { something, nothing, one, many }
    }
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
