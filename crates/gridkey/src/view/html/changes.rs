//! The list of changes, with a filter.

use std::collections::BTreeSet;

use gridkey_core::Name;
use gridkey_core::plan::{Action, Change, Plan};
use maud::{Markup, html};

use super::super::change;
use super::super::style::Tone;
use super::super::words::safe;
use super::values;

pub(super) fn section(plan: &Plan) -> Markup {
    let changes: Vec<&Change> = plan.effective().collect();
    let actions: BTreeSet<Action> = changes.iter().map(|change| change.action).collect();
    let accounts: BTreeSet<&Name> = changes.iter().map(|change| &change.account).collect();
    html! {
        section aria-labelledby="changes" {
            h2 #changes { "Changes" }
            @if changes.is_empty() {
                p.faint { "There are none." }
            } @else {
                div.filter #filter hidden {
                    label { "Find " input #find type="search" placeholder="address, scope, sink, owner" autocomplete="off"; }
                    @if accounts.len() > 1 {
                        label {
                            "Account "
                            select #account {
                                option value="" { "all" }
                                @for account in &accounts { option value=(account) { (account) } }
                            }
                        }
                    }
                    @if actions.len() > 1 {
                        span.toggles role="group" aria-label="Actions" {
                            @for action in &actions {
                                button.(action) type="button" data-action=(action) aria-pressed="true" {
                                    (action.sign()) " " (action)
                                }
                            }
                        }
                    }
                    output #shown for="find" { (changes.len()) " of " (changes.len()) }
                }
                div.changes { @for change in &changes { (entry(change)) } }
            }
        }
    }
}

fn entry(change: &Change) -> Markup {
    let (head, below) = change::row(change);
    let [_, _, summary, reason] = &head[..] else { return html! {} };
    let owner = change.after.as_ref().or(change.before.as_ref()).and_then(|values| values.owner.as_deref());
    html! {
        details.change.(change.action) data-action=(change.action) data-account=(change.account) {
            summary {
                span.sign { (change.action.sign()) " " (change.action) }
                code.address { (change.address) }
                span.what {
                    span.summary { (summary.text) }
                    span.reason { (reason.text) }
                }
                span.owner { @if let Some(owner) = owner { (safe(owner)) } }
            }
            @if below.is_empty() {
                p.faint { "Nothing else is to be said of it." }
            } @else {
                ul.lines {
                    @for line in &below { li.(tone(line.tone)) { (line.text) } }
                }
            }
            (values::table(change))
            p.faint {
                "in account " code { (change.account) }
                @if let Some(position) = &change.position { ", at " (safe(position.to_string())) }
            }
        }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Added => "added",
        Tone::Removed | Tone::Bad => "removed",
        Tone::Changed | Tone::Renewed => "changed",
        Tone::Neutral | Tone::Strong => "plain",
        Tone::Faint => "note",
    }
}
