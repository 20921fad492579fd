//! Keys that go: revoked with all that belongs to them, or let go of as they are.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::inventory::{SinkContent, SinkObservation};
use crate::key::{KeyId, Marker};
use crate::name::Name;
use crate::plan::account::{Account, values_of};
use crate::plan::decide::decision::{Decision, Part};
use crate::plan::decide::schedule;
use crate::plan::document::change::{Action, Cause, Note, Reason};
use crate::plan::document::step::{Delete, DeleteKey, Step};
use crate::plan::findings::Findings;
use crate::plan::input::PlanInput;
use crate::sink::SinkLocation;
use crate::state::{AccountState, OwnedKey};

/// State lets go of a key, which stays live with all its older ones.
pub(crate) fn forget(
    input: &PlanInput<'_>,
    account: &Name,
    state: Option<&AccountState>,
    address: &Address,
    owned: &OwnedKey,
) -> Decision {
    let mut findings = Findings::new(input);
    let begun = state.is_some_and(|state| state.pending.values().any(|pending| pending.address == *address));
    if begun {
        findings.raise(settle_first(address).in_account(account).at_address(address));
    }
    let edit = Part {
        cause: Cause::Edited,
        said: vec![(Action::Forget, Reason::LetGo)],
        notes: vec![Note::LeftBehind(owned.ids().cloned().collect())],
        steps: vec![Step::Forget { id: owned.id.clone() }],
        after: None,
        findings: findings.into_list(),
    };
    Decision::new(address, account, Some(values_of(account, address, owned)), edit)
}

/// A key that was begun and not recorded cannot be let go of.
pub(crate) fn settle_first(address: &Address) -> Finding {
    let message =
        format!("an earlier run began a key for `{address}` and broke off, so it cannot be let go of yet");
    let help = "put it back into the manifest and apply, which settles that; then remove it";
    Finding::blocks(Code::SettleFirst, message, help)
}

/// Whether the deletion of an address's key here gives up the creations that broke off as well. Where the address is
/// wanted in another account that deletion waits for its overlap, and they are settled without waiting for it.
pub(crate) fn takes_what_broke_off(account: &Account<'_>, address: &Address) -> bool {
    let wanted = account.wanted_elsewhere(address);
    let goes = wanted.is_none_or(|wanted| schedule::has_expired(account, wanted, address));
    goes && account.owned(address).is_some()
}

/// Every key of an address that its deletion takes: its own, its older ones and those of creations that broke off; those creations;
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
    let begun = account.state.into_iter().flat_map(|state| &state.pending);
    for (marker, pending) in begun.filter(|_| takes_what_broke_off(account, address)) {
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
    keys.extend(already_revoked(account, &keys, &locations));
    (keys, abandon, locations)
}

/// Keys that a run revoked before it broke off, and that one of these locations still has.
fn already_revoked(account: &Account<'_>, keys: &[DeleteKey], locations: &[SinkLocation]) -> Vec<DeleteKey> {
    let leaving = account.state.into_iter().flat_map(|state| &state.leaving);
    let is_held = |id: &KeyId| locations.iter().any(|location| account.holds(location, id));
    let gone = leaving.filter(|(id, _)| {
        !account.read.live.contains_key(*id) && !keys.iter().any(|key| &key.id == *id) && is_held(id)
    });
    gone.map(|(id, at)| DeleteKey { id: id.clone(), born: *at }).collect()
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
    locations
        .into_iter()
        .filter(|location| seen.insert(location.id()))
        .filter(|location| account.index.may_clear(owned, address, location))
        .filter(|location| match account.observed(location) {
            SinkObservation::Holds(SinkContent::Key(id)) => ids.contains(&id),
            SinkObservation::Holds(SinkContent::Empty | SinkContent::Other) => false,
            // Nothing there is gridkey's any more.
            SinkObservation::WriteOnly => account.denied(location, ids).is_none(),
            SinkObservation::Unreadable(_) => true,
        })
        .collect()
}

/// A key and all its older ones are revoked, and what holds them is cleared.
pub(crate) fn delete(
    account: &Account<'_>,
    address: &Address,
    owned: &OwnedKey,
    cause: Cause,
    reason: Reason,
) -> Part {
    let (keys, abandon, locations) = all_keys(account, address, owned);
    let ids = keys.iter().map(|key| key.id.clone()).collect();
    let clear = to_clear(account, address, owned, locations, &ids);
    let delete = Delete { keys, abandon, clear, look: Vec::new(), successors: Vec::new() };
    Part {
        cause,
        said: vec![(Action::Delete, reason)],
        steps: vec![Step::Delete(delete)],
        ..Part::nothing(None)
    }
}
