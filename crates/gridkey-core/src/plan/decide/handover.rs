//! A key that the manifest wants in another account than it lives in: its successor is made there, and it is
//! revoked here once that account's state has recorded the delivery and the overlap has passed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::address::Address;
use crate::key::{KeyId, Marker};
use crate::manifest::WantedKey;
use crate::name::Name;
use crate::plan::account::{Account, overlap, values_of};
use crate::plan::choose::schedule::later;
use crate::plan::decide::mint::is_unreadable;
use crate::plan::decide::remove::{all_keys, to_clear};
use crate::plan::document::change::{Action, Change, Note, Reason};
use crate::plan::document::step::{Delete, Step};
use crate::plan::input::RetireRequest;
use crate::sink::{LocationId, SinkLocation};
use crate::state::{OwnedKey, PendingKey};

impl<'a> Account<'a> {
    /// The key of an address that lives in another account; the newest, where there are several.
    pub(crate) fn elsewhere(&self, address: &Address) -> Option<(&'a Name, &'a OwnedKey)> {
        let owners = self.owners.get(address)?;
        owners.iter().filter(|(name, _)| *name != self.name()).max_by_key(|(_, key)| key.generation).copied()
    }

    /// The key in another account that took the place of one here. What state says of locations here is what they
    /// were given before that.
    pub(crate) fn taken_over(&self, address: &Address, owned: &OwnedKey) -> Option<&'a Name> {
        let (other, newer) = self.elsewhere(address)?;
        (newer.generation > owned.generation).then_some(other)
    }

    /// Whether the address's key in another account was given a location that somebody may still read. That account
    /// clears it in its own time.
    pub(crate) fn is_given_elsewhere(&self, address: &Address, location: &LocationId) -> bool {
        let owners = self.owners.get(address).into_iter().flatten();
        owners.filter(|(name, _)| *name != self.name()).any(|(_, key)| {
            let given = key.sinks.iter().map(|delivery| &delivery.location);
            let leaving = key.retiring_locations.iter().filter(|retiring| retiring.after > self.at());
            given.chain(leaving.map(|retiring| &retiring.location)).any(|given| given.id() == *location)
        })
    }

    /// Whether state says that an address was given a location.
    pub(crate) fn is_given(&self, address: &Address, location: &LocationId) -> bool {
        let owners = self.owners.get(address).into_iter().flatten();
        owners.flat_map(|(_, key)| &key.sinks).any(|delivery| delivery.location.id() == *location)
    }

    /// The key that took the place of one, in whatever account.
    pub(crate) fn newer(&self, address: &Address, key: &OwnedKey) -> Option<&'a OwnedKey> {
        let owners = self.owners.get(address)?;
        let newest = owners.iter().map(|(_, owned)| *owned).max_by_key(|owned| owned.generation)?;
        (newest.generation > key.generation).then_some(newest)
    }

    /// The generation of the next key of an address.
    pub(crate) fn next_generation(&self, address: &Address) -> u32 {
        let keys = self.owners.get(address).into_iter().flatten();
        keys.map(|(_, key)| key.generation).max().unwrap_or_default() + 1
    }

    /// Every id by which an address's keys are known, in any account, with those of creations that broke off in
    /// another one.
    pub(crate) fn own_ids(&self, address: &Address) -> BTreeSet<&'a KeyId> {
        let keys = self.owners.get(address).into_iter().flatten().map(|(_, key)| *key);
        keys.chain(self.owned(address))
            .flat_map(|key| key.ids().chain(key.retiring_locations.iter().flat_map(|leaving| &leaving.given)))
            .chain(self.begun_elsewhere(address).map(|(id, _)| id))
            .collect()
    }

    /// The live keys of an address's creations that broke off in another account.
    fn begun_elsewhere(&self, address: &Address) -> impl Iterator<Item = (&'a KeyId, &'a PendingKey)> {
        let states = self.input.states.iter().filter(|(name, _)| *name != self.name());
        let inventory = self.input.inventory;
        let begun = states.flat_map(|(name, state)| {
            let pending = state.pending.iter().filter(|(_, pending)| pending.address == *address);
            pending.map(move |(marker, pending)| (name, marker, pending))
        });
        let begun: Vec<_> = begun
            .flat_map(|(name, marker, pending)| {
                let live = inventory.account(name).into_iter().flat_map(|read| &read.live);
                let made = live.filter(|(_, name)| Marker::in_name(name).as_ref() == Some(marker));
                made.map(move |(id, _)| (id, pending))
            })
            .collect();
        begun.into_iter()
    }

    /// Whether a creation that broke off in another account may have given a write-only location its secret, after
    /// the key here was made.
    pub(crate) fn may_be_overwritten(&self, address: &Address, owned: &OwnedKey) -> bool {
        self.begun_elsewhere(address)
            .any(|(_, pending)| pending.at > owned.born.at() && pending.may_be_in_write_only())
    }
}

/// When the key that an address has in another account has been there for an overlap, where it was made after a
/// creation here was begun.
pub(crate) fn replaced_at(account: &Account<'_>, wanted: &WantedKey, since: Timestamp) -> Option<Timestamp> {
    let successor = account.input.states.get(&wanted.account)?.keys.get(&wanted.address)?;
    (successor.born.at() > since).then(|| later(successor.delivered(), overlap(wanted)))
}

/// What becomes of a key whose address is wanted in another account; nothing before its successor is there.
pub(crate) fn older_key(
    account: &Account<'_>,
    wanted: &WantedKey,
    address: &Address,
    owned: &OwnedKey,
) -> Option<Change> {
    let successor = account.input.states.get(&wanted.account)?.keys.get(address)?;
    if successor.generation <= owned.generation {
        // It was there before this one was, and one that takes its place is still to be made.
        return None;
    }
    let after = later(successor.delivered(), overlap(wanted)).max(owned.kept_until.unwrap_or(Timestamp::MIN));
    let (keys, abandon, locations) = all_keys(account, address, owned);
    let ids: BTreeSet<KeyId> = keys.iter().map(|key| key.id.clone()).collect();
    let look: Vec<SinkLocation> =
        wanted.sinks.iter().filter(|location| location.at.is_readable()).cloned().collect();
    let mut change = Change {
        address: address.clone(),
        account: account.name().clone(),
        action: Action::Keep,
        reasons: vec![Reason::InStep],
        before: Some(values_of(owned)),
        after: Some(values_of(owned)),
        notes: Vec::new(),
        steps: Vec::new(),
        rotation: None,
        position: Some(wanted.position.clone()),
    };
    let held: Vec<Note> = owned
        .retiring
        .iter()
        .filter(|retiring| retiring.held)
        .map(|retiring| Note::HeldKey(retiring.id.clone()))
        .collect();
    match account.input.options.requests.retire.get(address) {
        Some(RetireRequest::Now) => {
            let clear = to_clear_here(account, wanted, address, owned, locations, &ids);
            change.action = Action::Retire;
            change.reasons = vec![Reason::RetirementRequested];
            change.after = None;
            change.steps =
                vec![Step::Delete(Delete { keys, abandon, clear, look: Vec::new(), successors: Vec::new() })];
            return Some(change);
        }
        Some(RetireRequest::Hold(overlap)) => {
            change.action = Action::Update;
            change.reasons = vec![Reason::HoldRequested];
            let held = owned.ids().cloned();
            change.steps = held.map(|id| Step::PostponeRetirement { id, overlap: *overlap }).collect();
            return Some(change);
        }
        None if !held.is_empty() => {
            change.notes.extend(held);
            return Some(change);
        }
        None => {}
    }
    // The other account's plan delivers the successor where an older key is served.
    let served = look.iter().any(|location| ids.iter().any(|id| account.holds(location, id)));
    let unreadable = look.iter().find(|location| is_unreadable(&account.observed(location)));
    if after > account.at() || served {
        change.notes.push(Note::RetiringKey { id: owned.id.clone(), after: after.max(account.at()) });
    } else if let Some(location) = unreadable {
        change.notes.push(Note::NotReadable(location.clone()));
    } else {
        let clear = to_clear_here(account, wanted, address, owned, locations, &ids);
        change.action = Action::Retire;
        change.reasons = vec![Reason::OverlapPassed];
        change.after = None;
        change.steps = vec![Step::Delete(Delete { keys, abandon, clear, look, successors: Vec::new() })];
    }
    Some(change)
}

/// The locations that are cleared with an older key: not those that its successor has.
fn to_clear_here(
    account: &Account<'_>,
    wanted: &WantedKey,
    address: &Address,
    owned: &OwnedKey,
    locations: Vec<SinkLocation>,
    ids: &BTreeSet<KeyId>,
) -> Vec<SinkLocation> {
    let mut clear = to_clear(account, address, owned, locations, ids);
    let kept: BTreeSet<_> = wanted.sinks.iter().map(SinkLocation::id).collect();
    clear.retain(|location| {
        let id = location.id();
        !kept.contains(&id) && !account.is_given_elsewhere(address, &id)
    });
    clear
}
