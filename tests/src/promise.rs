//! The promises of gridkey, as checks on a world after the next run.

use std::collections::BTreeSet;

use gridkey_core::plan::{Action, Plan, Severity};
use gridkey_core::{KeyId, Marker};

use crate::world::{World, WorldManifest};

/// What a world still owes after a run that nothing disturbed.
///
/// With `settled`, nothing may be on its way any more: no older key, no creation that is being remembered.
pub fn broken(world: &World, manifest: &WorldManifest, plan: &Plan, settled: bool) -> Vec<String> {
    let inner = world.lock();
    let mut broken = inner.broken.clone();
    let Some(state) = &inner.state else { return vec!["there is no state".to_string()] };
    let text = String::from_utf8(state.to_bytes()).expect("state is text");
    broken.extend(
        inner
            .keys
            .values()
            .filter(|key| text.contains(&key.secret))
            .map(|key| format!("leak: {} is in state", key.name)),
    );
    let owned = state.owned_ids();
    let current: BTreeSet<&KeyId> = state.keys.values().map(|key| &key.id).collect();
    for (id, key) in inner.keys.iter().filter(|(_, key)| key.revoked.is_none() && !key.foreign) {
        let marker = Marker::in_name(&key.name);
        let remembered = marker.is_some_and(|marker| {
            state.abandoned.contains_key(&marker) || state.pending.contains_key(&marker)
        });
        if !owned.contains_key(id) && (settled || !remembered) {
            broken.push(format!("orphan: {id} `{}` lives, and nobody has its secret", key.name));
        }
        if settled && !current.contains(id) {
            broken.push(format!("left over: {id} `{}` still lives", key.name));
        }
    }
    for (address, wanted) in &manifest.manifest.keys {
        let Some(key) = state.keys.get(address) else {
            broken.push(format!("{address} has no key"));
            continue;
        };
        let Some(live) = inner.keys.get(&key.id).filter(|key| key.revoked.is_none()) else {
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
        }
    }
    broken.extend(
        state
            .keys
            .keys()
            .filter(|address| !manifest.manifest.keys.contains_key(*address))
            .map(|address| format!("{address} is still owned")),
    );
    if settled && !state.pending.is_empty() {
        broken.push(format!("still pending: {:?}", state.pending.keys().collect::<Vec<_>>()));
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
