//! Keys that go: revoked with all that belongs to them, or let go of as they are.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::finding::{Code, Finding, Severity};
use crate::inventory::{SinkContent, SinkObservation};
use crate::key::{KeyId, Marker};
use crate::manifest::{OnDelete, RemovedWhat};
use crate::name::Name;
use crate::plan::account::{Account, values_of};
use crate::plan::document::change::{Action, Change, Note, Reason};
use crate::plan::document::step::{Delete, DeleteKey, Step};
use crate::plan::findings::Gates;
use crate::plan::input::PlanInput;
use crate::sink::SinkLocation;
use crate::state::{AccountState, OwnedKey};

pub(crate) fn protected(account: &Name, address: &Address, what: &str) -> Finding {
    Finding {
        severity: Severity::Blocks,
        code: Code::Protected,
        account: Some(account.clone()),
        address: Some(address.clone()),
        message: format!("`{address}` is protected, and would {what}"),
        help: Some("apply `protect: false` on the key in a run of its own first".to_string()),
        position: None,
    }
}

/// What becomes of the keys of an account that the manifest no longer has, and lets go of as a whole.
pub(crate) fn let_go(input: &PlanInput<'_>, state: &AccountState, gates: &mut Gates<'_>) -> Vec<Change> {
    let removed = input
        .manifest
        .removed
        .iter()
        .any(|removed| !removed.revoke && removed.what == RemovedWhat::Account(state.account.clone()));
    let selected =
        state.keys.iter().filter(|(address, _)| input.selection.has(input.manifest, address) && removed);
    selected.map(|(address, owned)| forgotten(&state.account, Some(state), address, owned, gates)).collect()
}

/// State lets go of a key, which stays live with all its older ones.
pub(crate) fn forget(
    account: &Account<'_>,
    address: &Address,
    owned: &OwnedKey,
    gates: &mut Gates<'_>,
) -> Change {
    forgotten(account.name(), account.state, address, owned, gates)
}

fn forgotten(
    account: &Name,
    state: Option<&AccountState>,
    address: &Address,
    owned: &OwnedKey,
    gates: &mut Gates<'_>,
) -> Change {
    if owned.protect {
        gates.raise(protected(account, address, "be forgotten"));
    }
    let begun = state.is_some_and(|state| state.pending.values().any(|pending| pending.address == *address));
    if begun {
        gates.raise(Finding {
            severity: Severity::Blocks,
            code: Code::SettleFirst,
            account: Some(account.clone()),
            address: Some(address.clone()),
            message: format!(
                "an earlier run began a key for `{address}` and broke off, so it cannot be let go of yet"
            ),
            help: Some(
                "put it back into the manifest and apply, which settles that; then remove it".to_string(),
            ),
            position: None,
        });
    }
    let behind = owned.ids().cloned().collect();
    Change {
        address: address.clone(),
        account: account.clone(),
        action: Action::Forget,
        reasons: vec![Reason::LetGo],
        before: Some(values_of(owned)),
        after: None,
        notes: vec![Note::LeftBehind(behind)],
        steps: vec![Step::Forget { id: owned.id.clone() }],
        rotation: None,
        position: None,
    }
}

/// Every key of an address: its own, its older ones and those of creations that broke off; those creations;
/// and every location that may hold one of the keys.
pub(crate) fn all_keys(
    account: &Account<'_>,
    address: &Address,
    owned: &OwnedKey,
) -> (Vec<DeleteKey>, Vec<Marker>, Vec<SinkLocation>) {
    let mut keys = vec![DeleteKey { id: owned.id.clone(), born: owned.born.at() }];
    keys.extend(
        owned.retiring.iter().map(|retiring| DeleteKey { id: retiring.id.clone(), born: retiring.born }),
    );
    let mut locations: Vec<SinkLocation> =
        owned.sinks.iter().map(|delivery| delivery.location.clone()).collect();
    locations.extend(owned.retiring_locations.iter().map(|retiring| retiring.location.clone()));
    let mut abandon = Vec::new();
    for (marker, pending) in account.state.into_iter().flat_map(|state| &state.pending) {
        if pending.address != *address {
            continue;
        }
        abandon.push(marker.clone());
        let made = account.read.live.iter().filter(|(id, name)| {
            Marker::in_name(name).as_ref() == Some(marker) && !keys.iter().any(|key| &key.id == *id)
        });
        let made: Vec<_> = made.map(|(id, _)| DeleteKey { id: id.clone(), born: pending.at }).collect();
        keys.extend(made);
        locations.extend(pending.locations.iter().cloned());
    }
    (keys, abandon, locations)
}

/// The locations that are cleared of a key's value when it is revoked.
pub(crate) fn to_clear(
    account: &Account<'_>,
    address: &Address,
    owned: &OwnedKey,
    locations: Vec<SinkLocation>,
    ids: &BTreeSet<KeyId>,
) -> Vec<SinkLocation> {
    let mut seen = BTreeSet::new();
    match owned.on_delete {
        OnDelete::Keep => Vec::new(),
        OnDelete::Clear => locations
            .into_iter()
            .filter(|location| seen.insert(location.id()))
            .filter(|location| account.other_user(address, &location.id()).is_none())
            .filter(|location| match account.observed(location) {
                SinkObservation::Holds(SinkContent::Key(id)) => ids.contains(&id),
                SinkObservation::Holds(SinkContent::Empty | SinkContent::Other) => false,
                SinkObservation::Unreadable(_) | SinkObservation::WriteOnly => true,
            })
            .collect(),
    }
}

/// A key and all its older ones are revoked, and what holds them is cleared.
pub(crate) fn delete(
    account: &Account<'_>,
    address: &Address,
    owned: &OwnedKey,
    reason: Reason,
    gates: &mut Gates<'_>,
) -> Change {
    if owned.protect {
        gates.raise(protected(account.name(), address, "be deleted"));
    }
    let (keys, abandon, locations) = all_keys(account, address, owned);
    let ids = keys.iter().map(|key| key.id.clone()).collect();
    let clear = to_clear(account, address, owned, locations, &ids);
    Change {
        address: address.clone(),
        account: account.name().clone(),
        action: Action::Delete,
        reasons: vec![reason],
        before: Some(values_of(owned)),
        after: None,
        notes: Vec::new(),
        steps: vec![Step::Delete(Delete { keys, abandon, clear, look: Vec::new(), successors: Vec::new() })],
        rotation: None,
        position: None,
    }
}
