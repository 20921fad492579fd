//! Which keys hold scopes of which groups, and where that changes.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::access::Scope;
use gridkey_core::plan::{Action, Change, KeyValues, Plan};
use gridkey_core::{Access, Name};
use maud::{Markup, html};

use super::super::words::safe;

/// More cells than this are no picture any more, and slow to draw.
const CELLS: usize = 30_000;

pub(super) fn section(plan: &Plan) -> Markup {
    let mut rows: Vec<&Change> =
        plan.changes.iter().filter(|change| change.before.is_some() || change.after.is_some()).collect();
    if rows.is_empty() {
        return html! {};
    }
    let groups: BTreeSet<String> = rows.iter().flat_map(|change| groups_of(change)).collect();
    let most = (CELLS / groups.len().max(1)).max(1);
    let all = rows.len();
    if all > most {
        rows.retain(|change| change.action != Action::Keep);
        rows.truncate(most);
    }
    rows.sort_by(|a, b| (&a.account, &a.address).cmp(&(&b.account, &b.address)));
    let accounts: BTreeSet<&Name> = rows.iter().map(|change| &change.account).collect();
    html! {
        section aria-labelledby="matrix" {
            h2 #matrix { "Who may do what" }
            @if rows.len() < all {
                p.faint { (rows.len()) " of " (all) " keys are drawn, those that change first." }
            }
            div.scroll tabindex="0" role="region" aria-labelledby="matrix" {
                table.matrix {
                    thead { tr {
                        th scope="col" { "key" }
                        @for group in &groups { th.group scope="col" { span { (safe(group)) } } }
                    } }
                    @for account in accounts {
                        tbody {
                            tr.account { th scope="rowgroup" colspan=(groups.len() + 1) { (account) } }
                            @for change in rows.iter().filter(|change| &change.account == account) {
                                (row(change, &groups))
                            }
                        }
                    }
                }
            }
            p.legend {
                span.mark.held { "•" } " held " span.mark.gained { "+" } " gained "
                span.mark.lost { "−" } " lost " span.mark.mixed { "±" } " both; a group is what stands before the \
                first dot of a scope"
            }
        }
    }
}

fn row(change: &Change, groups: &BTreeSet<String>) -> Markup {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let is_full = |values: Option<&KeyValues>| values.is_some_and(|values| values.access == Access::Full);
    let counts = counts(before, after);
    html! {
        tr.(change.action) {
            th scope="row" { span.sign aria-hidden="true" { (change.action.sign()) } " " (change.address) }
            @if is_full(after) || (after.is_none() && is_full(before)) {
                td.full colspan=(groups.len()) { "Full Access" @if after.is_none() { ", revoked" } }
            } @else {
                @for group in groups {
                    @match counts.get(group.as_str()) {
                        None => td {},
                        Some(count) => td.(count.class()) title=(count.words(group)) { (count.sign()) },
                    }
                }
            }
        }
    }
}

/// How the scopes of one group change.
#[derive(Default)]
struct Count {
    held: usize,
    gained: usize,
    lost: usize,
}

impl Count {
    fn class(&self) -> &'static str {
        match (self.gained, self.lost) {
            (0, 0) => "held",
            (_, 0) => "gained",
            (0, _) => "lost",
            (_, _) => "mixed",
        }
    }

    fn sign(&self) -> String {
        match (self.gained, self.lost) {
            (0, 0) => "•".to_string(),
            (gained, 0) => format!("+{gained}"),
            (0, lost) => format!("−{lost}"),
            (gained, lost) => format!("±{}", gained + lost),
        }
    }

    fn words(&self, group: &str) -> String {
        format!("{group}: {} held, {} gained, {} lost", self.held, self.gained, self.lost)
    }
}

fn counts(before: Option<&KeyValues>, after: Option<&KeyValues>) -> BTreeMap<String, Count> {
    let none = BTreeSet::new();
    let set = |values: Option<&KeyValues>| {
        values.and_then(|values| values.access.scopes()).map(|scopes| scopes.as_set().clone())
    };
    let (before, after) = (set(before).unwrap_or_else(|| none.clone()), set(after).unwrap_or(none));
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for scope in before.union(&after) {
        let count = counts.entry(group(scope)).or_default();
        match (before.contains(scope), after.contains(scope)) {
            (true, true) => count.held += 1,
            (false, _) => count.gained += 1,
            (true, false) => count.lost += 1,
        }
    }
    counts
}

fn groups_of(change: &Change) -> BTreeSet<String> {
    let values = [&change.before, &change.after].into_iter().flatten();
    values.filter_map(|values| values.access.scopes()).flat_map(|scopes| scopes.iter().map(group)).collect()
}

fn group(scope: &Scope) -> String {
    let scope = scope.as_str();
    scope.split('.').next().unwrap_or(scope).to_string()
}
