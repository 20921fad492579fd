//! The promises of gridkey, as checks on a world after the next run.

use std::collections::BTreeMap;

use gridkey_core::plan::{Action, Plan, Severity};
use gridkey_core::state::AccountState;
use gridkey_core::{Address, Marker, Name};

use crate::world::{World, WorldManifest};

/// What a world still owes after a run that nothing disturbed.
///
/// With `settled`, nothing may be on its way any more: no older key, no creation that is being remembered.
pub fn violations(world: &World, manifest: &WorldManifest, plan: &Plan, settled: bool) -> Vec<String> {
    let inner = world.lock();
    let mut broken = inner.broken.clone();
    let states: BTreeMap<&Name, &AccountState> =
        inner.states().map(|state| (&state.account, state)).collect();
    let text: String =
        states.values().map(|state| String::from_utf8(state.to_bytes()).expect("state is text")).collect();
    broken.extend(
        inner
            .keys
            .values()
            .filter(|key| text.contains(&key.secret))
            .map(|key| format!("leak: {} is in state", key.name)),
    );
    for (id, key) in inner.keys.iter().filter(|(_, key)| key.revoked.is_none() && !key.foreign) {
        let Some(state) = states.get(&key.account) else {
            broken.push(format!("orphan: {id} `{}` lives in an account without state", key.name));
            continue;
        };
        let marker = Marker::in_name(&key.name);
        let remembered = marker.is_some_and(|marker| {
            state.abandoned.contains_key(&marker) || state.pending.contains_key(&marker)
        });
        if !state.owned_ids().contains_key(id) && (settled || !remembered) {
            broken.push(format!("orphan: {id} `{}` lives, and nobody has its secret", key.name));
        }
        if settled && !state.keys.values().any(|current| current.id == *id) {
            broken.push(format!("left over: {id} `{}` still lives", key.name));
        }
    }
    for (address, wanted) in &manifest.manifest.keys {
        let Some(key) = states.get(&wanted.account).and_then(|state| state.keys.get(address)) else {
            broken.push(format!("{address} has no key"));
            continue;
        };
        let live = inner.keys.get(&key.id).filter(|key| key.revoked.is_none());
        let Some(live) = live.filter(|live| live.account == wanted.account) else {
            broken.push(format!("{address} has the key {}, which is not live", key.id));
            continue;
        };
        if live.name != wanted.name {
            broken.push(format!("{address} is named `{}`", live.name));
        }
        let scopes = live.access.scopes().map(|scopes| scopes.as_set().clone());
        if scopes != wanted.access.scopes().map(|scopes| scopes.all()) {
            broken.push(format!("{address} has other scopes: {scopes:?}"));
        }
        for location in &wanted.sinks {
            if inner.held(&location.id()).as_ref() != Some(&key.id) {
                broken.push(format!("{address}: {location} does not hold {}", key.id));
            }
            let given = inner.given.contains(&(location.id(), key.id.clone()));
            for hook in wanted.hooks.iter().filter(|hook| given && hook.follows(&location.sink)) {
                if !inner.told.contains(&(hook.sink.clone(), key.id.clone(), location.at.place())) {
                    broken.push(format!("{address}: {} was not told of {location}", hook.whose()));
                }
            }
        }
    }
    for (account, state) in states {
        // An older key stays with the account it lives in, until the overlap has passed.
        let wanted = |address: &Address| {
            let wanted = manifest.manifest.keys.get(address);
            wanted.is_some_and(|wanted| !settled || wanted.account == *account)
        };
        let others = state.keys.keys().filter(|address| !wanted(address));
        broken.extend(others.map(|address| format!("{account} still owns {address}")));
        if settled && !state.pending.is_empty() {
            broken.push(format!("still pending: {:?}", state.pending.keys().collect::<Vec<_>>()));
        }
    }
    for change in plan.effective().filter(|change| settled || change.action != Action::Retire) {
        broken
            .push(format!("the next plan would {} {}: {:?}", change.action, change.address, change.reasons));
    }
    for finding in plan.findings.iter().filter(|finding| finding.severity <= Severity::BlocksAccount) {
        broken.push(format!("the next plan is blocked: {} {}", finding.code, finding.message));
    }
    broken
}
