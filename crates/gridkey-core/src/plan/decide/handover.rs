//! A key that the manifest wants in another account than it lives in: its successor is made there, and it is
//! revoked here once that account's state has recorded the delivery and the overlap has passed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::key::KeyId;
use crate::manifest::WantedKey;
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::decide::compare::is_unreadable;
use crate::plan::decide::decision::{Decision, Part};
use crate::plan::decide::remove::{all_keys, to_clear};
use crate::plan::document::change::{Action, Cause, Note, Reason};
use crate::plan::document::step::{Delete, DeleteKey, Step};
use crate::plan::findings::about;
use crate::plan::input::RetireRequest;
use crate::sink::{LocationId, SinkLocation};
use crate::state::{OwnedKey, RevokeOld};
use crate::time::later;

impl<'a> Account<'a> {
    /// The key of an address that lives in another account; the newest, where there are several.
    pub fn elsewhere(&self, address: &Address) -> Option<(&'a Name, &'a OwnedKey)> {
        let others = self.index.owners(address).iter().filter(|(name, _)| *name != self.name());
        others.max_by_key(|(_, key)| key.generation).copied()
    }

    /// Whether the address's key in another account was given a location that a program may still read. That account
    /// clears it in its own time.
    pub fn is_given_elsewhere(&self, address: &Address, location: &LocationId) -> bool {
        self.index.owners(address).iter().filter(|(name, _)| *name != self.name()).any(|(_, key)| {
            let given = key.sinks.iter().map(|delivery| &delivery.location);
            let leaving = key.retiring_locations.iter().filter(|retiring| retiring.after > self.at());
            given.chain(leaving.map(|retiring| &retiring.location)).any(|given| given.id() == *location)
        })
    }

    /// Whether state says that an address was given a location.
    pub fn is_given(&self, address: &Address, location: &LocationId) -> bool {
        let given = self.index.given(location).iter();
        given.filter(|given| given.address == address).any(|given| given.leaving.is_none())
    }

    /// The key that took the place of one, in whatever account.
    pub fn newer(&self, address: &Address, key: &OwnedKey) -> Option<&'a OwnedKey> {
        let owners = self.index.owners(address).iter();
        let newest = owners.map(|(_, owned)| *owned).max_by_key(|owned| owned.generation)?;
        (newest.generation > key.generation).then_some(newest)
    }

    /// The generation of the next key of an address.
    pub fn next_generation(&self, address: &Address) -> u32 {
        let keys = self.index.owners(address).iter();
        keys.map(|(_, key)| key.generation).max().unwrap_or_default().saturating_add(1)
    }
}

/// The account with the key that took the place of one here. What state says of locations here is what they were
/// given before that.
pub(crate) fn taken_over<'a>(account: &Account<'a>, address: &Address, owned: &OwnedKey) -> Option<&'a Name> {
    let (other, newer) = account.elsewhere(address)?;
    (newer.generation > owned.generation).then_some(other)
}

/// Whether a creation that broke off in another account may have given a write-only location its secret, after the
/// key here was made.
pub(crate) fn may_be_overwritten(account: &Account<'_>, address: &Address, owned: &OwnedKey) -> bool {
    let begun = account.index.begun_elsewhere(address, account.name());
    begun.iter().any(|(_, pending)| pending.at > owned.born.at() && pending.may_be_in_write_only())
}

/// Whether what an address has here may go, and for what, where its key in another account was made after a creation here was begun.
pub(crate) fn replaced<'a>(
    account: &Account<'a>,
    wanted: &WantedKey,
    since: Timestamp,
) -> Option<(bool, &'a OwnedKey)> {
    let address = &wanted.address;
    let successor = account.input.states.get(&wanted.account)?.keys.get(address)?;
    if successor.born.at() <= since {
        return None;
    }
    let owned = account.owned(address);
    let over = match account.input.options.requests.retire.get(address) {
        Some(RetireRequest::Now) => true,
        Some(RetireRequest::Hold(_)) => false,
        None => {
            let held = owned.is_some_and(|owned| owned.retiring.iter().any(|retiring| retiring.held));
            !held
                && goes_after(wanted, owned, successor) <= account.at()
                && is_there(account, wanted, successor)
        }
    };
    Some((over, successor))
}

/// Whether a wanted location that never tells what it has was not given the successor yet, so that it may have an older key.
pub(crate) fn is_awaited(successor: &OwnedKey, location: &SinkLocation) -> bool {
    let mut given = successor.sinks.iter().map(|delivery| &delivery.location);
    !location.at.is_readable() && !given.any(|given| given.id() == location.id())
}

/// A location that the manifest wants and that has one of some older keys, or may have it. The other account's plan delivers
/// the successor there.
fn serving<'w>(
    account: &Account<'_>,
    wanted: &'w WantedKey,
    successor: &OwnedKey,
    keys: &[DeleteKey],
) -> Option<&'w SinkLocation> {
    let serves = |location: &&SinkLocation| {
        keys.iter().any(|key| account.serves(location, &key.id)) || is_awaited(successor, location)
    };
    wanted.sinks.iter().find(serves)
}

/// What stands against more than an overlap being said of a key that is replaced in another account in the same run.
pub(crate) fn says_nothing_of_older(
    account: &Account<'_>,
    wanted: &WantedKey,
    other: &Name,
) -> Option<Finding> {
    let (requests, address) = (&account.input.options.requests, &wanted.address);
    if !requests.rotate.contains_key(address) || requests.revoke_old == RevokeOld::AfterOverlap {
        return None;
    }
    let message = format!(
        "`{address}` goes from account `{other}` to `{}` in this run, and its key in `{other}` is revoked after the \
         overlap, whatever `--revoke-old` says",
        wanted.account
    );
    let help = format!(
        "apply the change of account first; then `gridkey retire {address} --now` revokes the older key, and `--hold \
         DURATION` keeps it"
    );
    Some(about(Finding::blocks(Code::AccountChanges, message, help), wanted))
}

/// When the overlap with the key of another account has passed.
fn goes_after(wanted: &WantedKey, owned: Option<&OwnedKey>, successor: &OwnedKey) -> Timestamp {
    let kept_until = owned.and_then(|owned| owned.kept_until).unwrap_or(Timestamp::MIN);
    later(successor.delivered(), wanted.overlap()).max(kept_until)
}

/// Whether the key of another account can be seen. Where it cannot, an older one may be the only one there is.
fn is_there(account: &Account<'_>, wanted: &WantedKey, successor: &OwnedKey) -> bool {
    let read = account.input.inventory.account(&wanted.account);
    read.is_some_and(|read| read.live.contains_key(&successor.id))
}

/// What becomes of a key whose address is wanted in another account; nothing before its successor is there.
pub(crate) fn decide(
    account: &Account<'_>,
    wanted: &WantedKey,
    address: &Address,
    owned: &OwnedKey,
) -> Option<Decision> {
    let successor = account.input.states.get(&wanted.account)?.keys.get(address)?;
    if successor.generation <= owned.generation {
        // It was there before this one was, and one that takes its place is still to be made.
        return None;
    }
    let before = account.values_of(address, owned);
    let decision = Decision {
        position: Some(wanted.position.clone()),
        ..Decision::new(address, account.name(), Some(before.clone()), Part::nothing(Some(before.clone())))
    };
    match account.input.options.requests.retire.get(address) {
        Some(RetireRequest::Now) => {
            let (keys, _, _) = all_keys(account, address, owned);
            if let Some(location) = serving(account, wanted, successor, &keys) {
                let findings = vec![still_served(account, wanted, owned, location)];
                return Some(Decision { findings, ..decision });
            }
            let edit = revoke(account, wanted, address, owned, Vec::new());
            let said = vec![(Action::Retire, Reason::RetirementRequested)];
            return Some(Decision { edit: Part { said, ..edit }, ..decision });
        }
        Some(RetireRequest::Hold(overlap)) => {
            let held = owned.ids().cloned();
            let edit = Part {
                cause: Cause::Requested,
                said: vec![(Action::Update, Reason::HoldRequested)],
                steps: held.map(|id| Step::PostponeRetirement { id, overlap: *overlap }).collect(),
                ..Part::nothing(Some(before))
            };
            return Some(Decision { edit, ..decision });
        }
        None => {}
    }
    Some(after_overlap(account, wanted, owned, successor, decision))
}

fn still_served(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    location: &SinkLocation,
) -> Finding {
    let (address, name) = (&wanted.address, account.name());
    let message = format!(
        "{location} has the key {} of `{address}` in account `{name}`, or may have it, and not the one in `{}` yet",
        owned.id, wanted.account
    );
    let help = format!("apply first, which delivers that one; then `gridkey retire {address} --now`");
    about(Finding::blocks(Code::AccountChanges, message, help), wanted)
}

/// The older key goes once its successor has been there for the overlap, and no sink serves it.
fn after_overlap(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    successor: &OwnedKey,
    mut decision: Decision,
) -> Decision {
    let address = &wanted.address;
    let held = owned.retiring.iter().filter(|retiring| retiring.held);
    let held: Vec<Note> = held.map(|retiring| Note::HeldKey(retiring.id.clone())).collect();
    if !held.is_empty() {
        decision.edit.notes = held;
        return decision;
    }
    let after = goes_after(wanted, Some(owned), successor);
    let look: Vec<SinkLocation> =
        wanted.sinks.iter().filter(|location| location.at.tells_key()).cloned().collect();
    let (keys, _, _) = all_keys(account, address, owned);
    let served = serving(account, wanted, successor, &keys).is_some();
    let unreadable = look.iter().find(|location| is_unreadable(&account.observed(location)));
    if after > account.at() || served || !is_there(account, wanted, successor) {
        let (id, after) = (owned.id.clone(), after.max(account.at()));
        decision.edit.notes.push(Note::RetiringKey { id, after });
    } else if let Some(location) = unreadable {
        decision.edit.notes.push(Note::NotReadable(location.clone()));
    } else {
        decision.retirement = Some(Box::new(revoke(account, wanted, address, owned, look)));
    }
    decision
}

/// The key is revoked with all that belongs to it, and its locations are cleared: not those that its successor has.
fn revoke(
    account: &Account<'_>,
    wanted: &WantedKey,
    address: &Address,
    owned: &OwnedKey,
    look: Vec<SinkLocation>,
) -> Part {
    let (keys, abandon, locations) = all_keys(account, address, owned);
    let ids: BTreeSet<KeyId> = keys.iter().map(|key| key.id.clone()).collect();
    let mut clear = to_clear(account, address, owned, locations, &ids);
    let kept: BTreeSet<_> = wanted.sinks.iter().map(SinkLocation::id).collect();
    clear.retain(|location| {
        let id = location.id();
        !kept.contains(&id) && !account.is_given_elsewhere(address, &id)
    });
    let delete = Delete { keys, abandon, clear, look, successors: Vec::new() };
    Part {
        cause: Cause::HandedOver,
        said: vec![(Action::Retire, Reason::OverlapPassed)],
        steps: vec![Step::Delete(delete)],
        ..Part::nothing(None)
    }
}
