//! Scopes: what a key should hold, what it holds, and what the managing key can give it.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Access, AccessKind, Scope, Scopes};
use crate::finding::{Code, Finding};
use crate::inventory::{Grantable, KeyDetail, ReadAccount, may_be_full};
use crate::manifest::{Manifest, WantedAccess, WantedKey, WantedScopes};
use crate::name::Name;
use crate::plan::findings::{Findings, about};
use crate::plan::input::Selection;
use crate::state::AccountState;

/// What a wanted key's access comes to in its account.
pub(crate) struct Effective {
    /// `None` where no scope is left that could be given.
    pub access: Option<Access>,
    /// Covered by a pattern, and not grantable.
    pub left_out: BTreeSet<Scope>,
}

/// Works out the scopes that a key should hold, and reports those that it cannot.
///
/// `held` are the scopes that the key was given before: they need no grant.
pub(crate) fn effective(
    wanted: &WantedKey,
    held: &BTreeSet<Scope>,
    grantable: &Grantable,
    findings: &mut Findings<'_>,
) -> Effective {
    let (scopes, variant): (&WantedScopes, fn(Scopes) -> Access) = match &wanted.access {
        WantedAccess::Full => return Effective { access: Some(Access::Full), left_out: BTreeSet::new() },
        WantedAccess::Restricted(scopes) => (scopes.as_ref(), Access::Restricted),
        WantedAccess::Billing(scopes) => (scopes.as_ref(), Access::Billing),
    };
    let granted = match grantable {
        Grantable::Known(granted) => Some(granted),
        Grantable::NotAsked | Grantable::Unknown(_) => None,
    };
    let can_give = |scope: &Scope| {
        held.contains(scope) || scope.is_billing() || granted.is_none_or(|set| set.contains(scope))
    };
    let mut chosen: BTreeSet<Scope> = scopes.written.clone();
    let mut left_out = BTreeSet::new();
    for scope in scopes.expanded.keys() {
        if can_give(scope) {
            chosen.insert(scope.clone())
        } else {
            left_out.insert(scope.clone())
        };
    }
    let refused: Vec<_> = scopes.written.iter().filter(|scope| !can_give(scope)).collect();
    if !refused.is_empty() {
        findings.raise(finding(
            Code::UngrantableScope,
            wanted,
            format!("the managing key of account `{}` cannot grant {}", wanted.account, list(refused)),
            "give the managing key these scopes, or take them out of the manifest; SendGrid answers such a \
             request with a server error",
        ));
    }
    unknown(wanted, scopes, held, granted, &mut chosen, findings);
    if let Grantable::Unknown(reason) = grantable
        && chosen.iter().any(|scope| !held.contains(scope) && !scope.is_billing())
    {
        let message = format!("whether the managing key can grant the scopes is not known: {reason}");
        let help = "apply finds out; SendGrid answers with a server error where it cannot";
        findings.raise(about(Finding::warns(Code::NotChecked, message, help), wanted));
    }
    Effective { access: Scopes::new(chosen).ok().map(variant), left_out }
}

/// A managing key that is itself restricted may give no more than it has; what SendGrid does then is not known.
pub(crate) fn full_by_restricted(wanted: &WantedKey, grantable: &Grantable, findings: &mut Findings<'_>) {
    let Grantable::Known(granted) = grantable else { return };
    if wanted.access.kind() != AccessKind::Full || may_be_full(granted, &Grantable::NotAsked) {
        return;
    }
    let message = format!(
        "the managing key of account `{}` is restricted ({} scopes), so a key that it makes may get less than Full Access",
        wanted.account,
        granted.len()
    );
    let help = "work with a managing key that has Full Access, or name the scopes that the key needs";
    findings.raise(finding(Code::UngrantableScope, wanted, message, help));
}

/// Scopes that are not in the catalogue: right where the live list has them, else reported.
fn unknown(
    wanted: &WantedKey,
    scopes: &WantedScopes,
    held: &BTreeSet<Scope>,
    granted: Option<&BTreeSet<Scope>>,
    chosen: &mut BTreeSet<Scope>,
    findings: &mut Findings<'_>,
) {
    for (scope, meant) in &scopes.unknown {
        chosen.insert(scope.clone());
        if held.contains(scope) || granted.is_some_and(|set| set.contains(scope)) {
            continue;
        }
        let meant = meant.as_ref().map_or(String::new(), |meant| format!(", did you mean `{meant}`?"));
        findings.raise(finding(
            Code::UnknownScope,
            wanted,
            format!("unknown scope `{scope}`{meant}"),
            "neither the catalogue nor the account's own list of scopes has it",
        ));
    }
}

fn finding(code: Code, wanted: &WantedKey, message: String, help: &str) -> Finding {
    about(Finding::blocks(code, message, help), wanted)
}

pub(crate) fn list<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> String {
    scopes.into_iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
}

/// A set of scopes without those SendGrid assigns by itself.
pub(crate) fn without_automatic(scopes: &BTreeSet<Scope>) -> BTreeSet<Scope> {
    scopes.iter().filter(|scope| !scope.is_automatic()).cloned().collect()
}

/// Whether a plan may give some key of the account a scope that it does not have, so that the managing
/// key's own scopes have to be looked at.
pub fn gives_scopes(
    manifest: &Manifest,
    selection: &Selection,
    state: Option<&AccountState>,
    account: &Name,
    read: &ReadAccount,
) -> bool {
    if selection.destroy {
        return false;
    }
    let none = BTreeMap::new();
    let keys = state.map_or(&none, |state| &state.keys);
    manifest.keys.values().filter(|key| &key.account == account && selection.has(manifest, &key.address)).any(
        |key| {
            let Some(owned) = keys.get(&key.address) else { return true };
            let held = match read.details.get(&owned.id) {
                Some(KeyDetail::Scopes(scopes)) => scopes,
                Some(KeyDetail::Missing) => return true,
                None => return false,
            };
            let asked = owned.access.scopes().map(Scopes::as_set);
            let needs =
                |scope: &Scope| !held.contains(scope) && asked.is_none_or(|asked| !asked.contains(scope));
            let drifted = owned.reported.as_ref().is_some_and(|reported| !reported.is_subset(held));
            drifted
                || key
                    .access
                    .scopes()
                    .is_some_and(|scopes| scopes.all().iter().chain(scopes.unknown.keys()).any(needs))
        },
    )
}
