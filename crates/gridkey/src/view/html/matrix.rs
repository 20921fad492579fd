//! Which keys hold scopes of which groups, and where that changes.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::access::{AccessKind, Scope};
use gridkey_core::plan::{Action, Change, Plan};
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
                        th.kind scope="col" { "access" }
                        @for group in &groups { th.group scope="col" { span { (safe(group)) } } }
                    } }
                    @for account in accounts {
                        tbody {
                            tr.account { th scope="rowgroup" colspan=(groups.len() + 2) { (account) } }
                            @for change in rows.iter().filter(|change| &change.account == account) {
                                (row(change, &groups))
                            }
                        }
                    }
                }
            }
            p.legend {
                span.mark.held { "•" } " held " span.mark.gained { "+" } " gained "
                span.mark.lost { "−" } " lost " span.mark.mixed { "±" } " both; a number says how many scopes. A \
                group is what stands before the first dot of a scope"
            }
        }
    }
}

fn row(change: &Change, groups: &BTreeSet<String>) -> Markup {
    let before = change.before.as_ref().map(|values| &values.access);
    let after = change.after.as_ref().map(|values| &values.access);
    let counts = counts(before, after);
    // Full Access is no set of scopes, so that it stands across all groups where a key ends up with it.
    let everything = match (before, after) {
        (Some(Access::Full), Some(Access::Full)) => Some(("held", "• everything but billing")),
        (_, Some(Access::Full)) => Some(("gained", "+ everything but billing")),
        (Some(Access::Full), None) => Some(("lost", "− everything but billing")),
        (_, _) => None,
    };
    html! {
        tr.(change.action) {
            th scope="row" { span.sign aria-hidden="true" { (change.action.sign()) } " " (change.address) }
            td.kind { (kinds(before, after)) }
            @match everything {
                Some(_) if groups.is_empty() => {},
                Some((class, words)) => td.full.(class) colspan=(groups.len()) { (words) },
                None => @for group in groups {
                    @match counts.get(group.as_str()) {
                        Some(count) => td.(count.class()) title=(count.words(group)) { (count.sign()) },
                        None if is_taken_with_full(before, group) => {
                            td.lost title={ (safe(group)) ": lost with Full Access" } { "−" }
                        },
                        None => td {},
                    }
                }
            }
        }
    }
}

/// The kind of access, or from which to which it changes.
fn kinds(before: Option<&Access>, after: Option<&Access>) -> Markup {
    let kinds: Vec<AccessKind> = [before, after].into_iter().flatten().map(Access::kind).collect();
    let kind = |kind: AccessKind| {
        let (class, word) = match kind {
            AccessKind::Full => ("full", "Full Access"),
            AccessKind::Restricted => ("restricted", "restricted"),
            AccessKind::Billing => ("billing", "billing"),
        };
        html! { span.kind.(class) { (word) } }
    };
    match kinds[..] {
        [from, to] if from != to => html! { (kind(from)) " → " (kind(to)) },
        [only, ..] => kind(only),
        [] => html! {},
    }
}

/// Full Access is everything but billing, and a key that comes down from it loses what it does not name.
fn is_taken_with_full(before: Option<&Access>, group: &str) -> bool {
    matches!(before, Some(Access::Full)) && group != "billing"
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

fn counts(before: Option<&Access>, after: Option<&Access>) -> BTreeMap<String, Count> {
    let scopes = |access: Option<&Access>| -> BTreeSet<Scope> {
        access.and_then(Access::scopes).map(|scopes| scopes.as_set().clone()).unwrap_or_default()
    };
    let (had, has) = (scopes(before), scopes(after));
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for scope in had.union(&has) {
        let group = group(scope);
        // What Full Access could do before is not gained by naming it.
        let was = had.contains(scope) || is_taken_with_full(before, &group);
        let count = counts.entry(group).or_default();
        match (was, has.contains(scope)) {
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

#[cfg(test)]
mod tests {
    use gridkey_core::Scopes;

    use super::*;

    fn restricted(names: &[&str]) -> Access {
        Access::Restricted(Scopes::new(names.iter().copied().map(Scope::new).collect()).unwrap())
    }

    #[test]
    fn coming_down_from_full_access_gains_nothing_but_billing() {
        let counts = counts(Some(&Access::Full), Some(&restricted(&["mail.send", "billing.read"])));
        assert_eq!(counts["mail"].sign(), "•");
        assert_eq!(counts["billing"].sign(), "+1");
        assert!(is_taken_with_full(Some(&Access::Full), "stats"));
        assert!(!is_taken_with_full(Some(&Access::Full), "billing"));
        assert!(!is_taken_with_full(Some(&restricted(&["mail.send"])), "stats"));
    }

    #[test]
    fn a_group_with_both_is_marked_so() {
        let counts = counts(Some(&restricted(&["a.x", "a.y"])), Some(&restricted(&["a.y", "a.z"])));
        assert_eq!(counts["a"].sign(), "±2");
        assert_eq!(counts["a"].words("a"), "a: 1 held, 1 gained, 1 lost");
    }

    #[test]
    fn kinds_are_named_once_where_they_stay() {
        let (full, some) = (Access::Full, restricted(&["a.x"]));
        let words = |markup: Markup| {
            let text = markup.into_string();
            text.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect::<String>()
        };
        assert_eq!(words(kinds(Some(&full), Some(&some))), "Full Access → restricted");
        assert_eq!(words(kinds(Some(&some), Some(&some))), "restricted");
        assert_eq!(words(kinds(None, Some(&full))), "Full Access");
    }
}
