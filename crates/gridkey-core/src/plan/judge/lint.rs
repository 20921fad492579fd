//! Lints: where a key gets more than it probably needs. They warn, when it gets it.

use std::collections::BTreeMap;

use crate::access::Scope;
use crate::finding::{Code, Finding, Severity};
use crate::plan::account::Account;
use crate::plan::decide::scopes::list;
use crate::plan::document::change::{Action, Change};
use crate::plan::findings::Gates;

pub(crate) fn lints(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) {
    for change in changes.iter().filter(|change| change.action != Action::Keep) {
        let Some(wanted) = account.wanted(&change.address) else { continue };
        let gained = change.gained();
        if gained.is_empty() {
            continue;
        }
        let warn = |code, message: String, help: &str| Finding {
            severity: Severity::Warns,
            code,
            account: Some(wanted.account.clone()),
            address: Some(wanted.address.clone()),
            message,
            help: Some(help.to_string()),
            position: Some(wanted.position.clone()),
        };
        let managing: Vec<&Scope> = gained.iter().filter(|scope| scope.manages_keys()).collect();
        if !managing.is_empty() {
            gates.raise(warn(
                Code::KeyManagement,
                format!(
                    "`{}` gets {}, with which whoever has it can make or change keys of the account",
                    wanted.address,
                    list(managing)
                ),
                "an application hardly needs to manage keys; keep that to gridkey's own managing key",
            ));
        }
        let mut by_pattern: BTreeMap<&str, usize> = BTreeMap::new();
        let expanded = wanted.access.scopes().map(|scopes| &scopes.expanded);
        for (scope, pattern) in expanded.into_iter().flatten() {
            if gained.contains(scope) && !scope.only_reads() {
                *by_pattern.entry(pattern).or_default() += 1;
            }
        }
        if !by_pattern.is_empty() {
            let patterns = by_pattern.iter().map(|(pattern, count)| match count {
                1 => format!("`{pattern}` (1 scope that writes)"),
                count => format!("`{pattern}` ({count} scopes that write)"),
            });
            gates.raise(warn(
                Code::WildcardWrite,
                format!(
                    "`{}` gets write access by a pattern: {}",
                    wanted.address,
                    patterns.collect::<Vec<_>>().join(", ")
                ),
                "write out the scopes that it needs, or use `PREFIX:read` where it only reads",
            ));
        }
    }
}
