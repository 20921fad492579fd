//! A key that the manifest wants in another account than it lives in: its successor is made there, and it is
//! revoked here once that account's state has recorded the delivery and the overlap has passed.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::key::KeyId;
use crate::manifest::WantedKey;
use crate::name::Name;
use crate::plan::account::{Account, overlap, values_of};
use crate::plan::clock::later;
use crate::plan::document::{Action, Change, Note, Reason};
use crate::plan::removal::{all_keys, to_clear};
use crate::plan::step::{Delete, Step};
use crate::plan::wanted::is_unreadable;
use crate::sink::SinkLocation;
use crate::state::OwnedKey;

impl<'a> Account<'a> {
    /// The key of an address that lives in another account.
    pub(crate) fn elsewhere(&self, address: &Address) -> Option<(&'a Name, &'a OwnedKey)> {
        let owners = self.owners.get(address)?;
        owners.iter().find(|(name, _)| *name != self.name()).copied()
    }

    /// Every id by which an address's keys are known, in any account.
    pub(crate) fn own_ids(&self, address: &Address) -> BTreeSet<&'a KeyId> {
        let keys = self.owners.get(address).into_iter().flatten().map(|(_, key)| *key);
        keys.chain(self.owned(address))
            .flat_map(|key| std::iter::once(&key.id).chain(key.retiring.iter().map(|retiring| &retiring.id)))
            .collect()
    }
}

/// What becomes of a key whose address is wanted in another account; nothing before its successor is there.
pub(crate) fn older_key(
    account: &Account<'_>,
    wanted: &WantedKey,
    address: &Address,
    owned: &OwnedKey,
) -> Option<Change> {
    let successor = account.input.states.get(&wanted.account)?.keys.get(address)?;
    let delivered = successor.sinks.iter().map(|delivery| delivery.at).chain([successor.born.at()]).max()?;
    let after = later(delivered, overlap(wanted));
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
    // The other account's plan delivers the successor where an older key is served.
    let served = look.iter().any(|location| ids.iter().any(|id| account.holds(location, id)));
    let unreadable = look.iter().find(|location| is_unreadable(&account.observed(location)));
    if after > account.at() || served {
        change.notes.push(Note::RetiringKey { id: owned.id.clone(), after: after.max(account.at()) });
    } else if let Some(location) = unreadable {
        change.notes.push(Note::NotReadable(location.clone()));
    } else {
        let mut clear = to_clear(account, address, owned, locations, &ids);
        let kept: BTreeSet<_> = wanted.sinks.iter().map(SinkLocation::id).collect();
        clear.retain(|location| !kept.contains(&location.id()));
        change.action = Action::Retire;
        change.reasons = vec![Reason::OverlapPassed];
        change.after = None;
        change.steps = vec![Step::Delete(Delete { keys, abandon, clear, look })];
    }
    Some(change)
}
