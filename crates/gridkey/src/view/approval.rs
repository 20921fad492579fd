//! What stands between a plan and the plan files that people approved.

use std::fmt::Write;

use gridkey_core::plan::{Approval, ApprovedPlan, Change, KeyValues, Note};
use similar::{ChangeTag, TextDiff};

use super::change;
use super::style::{Style, Tone};
use super::words::{duration, rotation, safe};

/// The difference between what was approved and what is wanted now, as a unified diff.
pub fn difference(approval: &Approval, wanted: &[Change], style: Style) -> String {
    let (mut approved_text, mut wanted_text) = (String::new(), String::new());
    for change in wanted {
        let approved = approval
            .changes()
            .filter(|file| file.account == change.account && file.address == change.address);
        if let Some(approved) = approved.last() {
            approved_text.push_str(&block(approved));
        }
        wanted_text.push_str(&block(change));
    }
    let diff = TextDiff::from_lines(&approved_text, &wanted_text);
    let mut text = String::new();
    text.push_str(&format!("{}\n", style.paint(Tone::Removed, "--- approved")));
    text.push_str(&format!("{}\n", style.paint(Tone::Added, "+++ wanted now")));
    for hunk in diff.unified_diff().context_radius(6).iter_hunks() {
        text.push_str(&format!("{}\n", style.paint(Tone::Faint, hunk.header().to_string())));
        for line in hunk.iter_changes() {
            let (sign, tone) = match line.tag() {
                ChangeTag::Delete => ("-", Tone::Removed),
                ChangeTag::Insert => ("+", Tone::Added),
                ChangeTag::Equal => (" ", Tone::Neutral),
            };
            let words = line.value().trim_end_matches('\n');
            text.push_str(&format!("{}\n", style.paint(tone, format!("{sign}{words}"))));
        }
    }
    text
}

/// A change with everything that approval looks at, one value on a line.
fn block(change: &Change) -> String {
    let mut text = format!("{} {}: {}\n", change.account, change.address, change.action);
    for (title, values) in [("before", &change.before), ("after", &change.after)] {
        match values {
            Some(values) => {
                let _ = writeln!(text, "  {title}:");
                write_values(values, &mut text);
            }
            None => {
                let _ = writeln!(text, "  {title}: nothing");
            }
        }
    }
    for note in &change.notes {
        if let Note::Overwrites { location, holder } = note {
            let held = holder.as_ref().map_or("a value that is not a key".to_string(), ToString::to_string);
            let _ = writeln!(text, "  overwrites: {held} in {}", safe(location.to_string()));
        }
    }
    if change.before.is_none() && change.after.is_none() {
        for line in change::steps(change) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn write_values(values: &KeyValues, text: &mut String) {
    let KeyValues {
        address,
        account,
        id,
        name,
        access,
        left_out: _,
        sinks,
        owner,
        protect,
        on_delete,
        rotate,
        ttl,
    } = values;
    let mut line = |words: String| {
        let _ = writeln!(text, "    {words}");
    };
    line(format!("address: {address}"));
    line(format!("account: {account}"));
    line(id.as_ref().map_or("id: not made yet".to_string(), |id| format!("id: {id}")));
    line(format!("name: {}", safe(name)));
    line(format!("access: {}", access.kind()));
    for scope in access.scopes().into_iter().flat_map(gridkey_core::Scopes::iter) {
        line(format!("scope: {}", safe(scope.as_str())));
    }
    for sink in sinks {
        line(format!("sink: {}", safe(sink.to_string())));
        // What reads it, or with which mode and encoding it is written, was approved as well.
        let settings = serde_json::to_string(&sink.at).expect("settings are plain data with text keys");
        line(format!("settings: {}", safe(settings)));
    }
    line(format!("owner: {}", owner.as_ref().map_or("none".to_string(), safe)));
    line(format!("protect: {protect}"));
    line(format!("on_delete: {}", change::word(*on_delete)));
    line(format!("rotate: {}", rotation(rotate.as_ref())));
    line(format!("ttl: {}", ttl.map_or("none".to_string(), duration)));
}

/// What the plan files approve and this run does not do, and the other way round.
pub fn notes(planned: &ApprovedPlan, style: Style) -> String {
    let ApprovedPlan { plan: _, not_approved, left, resolved } = planned;
    let named = |changes: &[Change]| {
        changes
            .iter()
            .map(|change| {
                let why = change.reasons.first().map(|reason| reason.as_words()).unwrap_or_default();
                format!("{} {} {} ({why})", change.action.sign(), change.address, change.action)
            })
            .collect::<Vec<_>>()
    };
    let of = |done: bool| {
        resolved
            .iter()
            .filter(|resolved| resolved.done == done)
            .map(|resolved| format!("{} {} {}", resolved.action.sign(), resolved.address, resolved.action))
            .collect::<Vec<_>>()
    };
    let parts = [
        ("Approved, and done already:", of(true)),
        ("Approved, no longer needed:", of(false)),
        ("Left for a later run, as it is due work that no plan file approves:", named(left)),
        ("Not approved, and left alone:", named(not_approved)),
    ];
    let mut text = String::new();
    for (title, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        let _ = writeln!(text, "{}\n  {}\n", style.paint(Tone::Strong, title), lines.join("\n  "));
    }
    text
}
