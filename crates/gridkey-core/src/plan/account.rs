//! One account's part of a plan: what all decisions about it look at.

use std::time::Duration;

use jiff::Timestamp;

use crate::address::Address;
use crate::inventory::{KeyDetail, ReadAccount, SinkContent, SinkObservation};
use crate::key::KeyId;
use crate::manifest::{self, DEFAULT_OVERLAP, Manifest, WantedKey};
use crate::name::Name;
use crate::plan::document::change::KeyValues;
use crate::plan::index::Index;
use crate::plan::input::PlanInput;
use crate::sink::{LocationId, SinkLocation};
use crate::state::{AccountState, OwnedKey, RetiringReason, Settings};

/// One account, its state and what was observed of it.
pub(crate) struct Account<'a> {
    pub index: &'a Index<'a>,
    pub input: &'a PlanInput<'a>,
    pub declared: &'a manifest::Account,
    /// With the keys that are adopted.
    pub state: Option<&'a AccountState>,
    pub read: &'a ReadAccount,
}

/// Whether an owned key is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Live,
    /// The list lacks it, SendGrid knows no such key, and it is not too new for that to count.
    Gone,
    /// Reads contradict each other, or it is too early to tell.
    Unsure,
}

impl<'a> Account<'a> {
    pub fn name(&self) -> &'a Name {
        &self.declared.name
    }

    /// SendGrid's clock when the account was observed.
    pub fn at(&self) -> Timestamp {
        self.read.at
    }

    pub fn lag(&self) -> Duration {
        self.input.options.read_lag
    }

    pub fn keys(&self) -> impl Iterator<Item = (&'a Address, &'a OwnedKey)> + use<'a> {
        self.state.into_iter().flat_map(|state| state.keys.iter())
    }

    pub fn owned(&self, address: &Address) -> Option<&'a OwnedKey> {
        self.state?.keys.get(address)
    }

    /// What the manifest wants at an address of this account, as far as this run is about it.
    pub fn wanted(&self, address: &Address) -> Option<&'a WantedKey> {
        let wanted = self.input.manifest.keys.get(address).filter(|key| &key.account == self.name())?;
        (!self.input.selection.destroy && self.is_selected(address)).then_some(wanted)
    }

    /// What the manifest wants at an address whose creation broke off, also where `--only` leaves it out.
    pub fn wanted_to_recover(&self, address: &Address) -> Option<&'a WantedKey> {
        let wanted = self.input.manifest.keys.get(address).filter(|key| &key.account == self.name())?;
        (!self.input.selection.destroy && self.index.is_recovered(address)).then_some(wanted)
    }

    /// What the manifest wants at an address in another account.
    pub fn wanted_elsewhere(&self, address: &Address) -> Option<&'a WantedKey> {
        let wanted = self.input.manifest.keys.get(address)?;
        (wanted.account != *self.name() && !self.input.selection.destroy).then_some(wanted)
    }

    pub fn works_with(&self, id: &KeyId) -> bool {
        self.read.works_with(self.state.and_then(|state| state.managing_key.as_ref()), id)
    }

    pub fn is_selected(&self, address: &Address) -> bool {
        self.index.is_selected(address)
    }

    /// Whether something that happened then is too recent for reads to be sure to show it.
    pub fn is_recent(&self, at: Timestamp) -> bool {
        let age = self.at().duration_since(at);
        age < jiff::SignedDuration::try_from(self.lag()).unwrap_or(jiff::SignedDuration::MAX)
    }

    pub fn presence(&self, key: &OwnedKey) -> Presence {
        let listed = self.read.live.contains_key(&key.id);
        match self.read.details.get(&key.id) {
            Some(KeyDetail::Scopes(_)) => Presence::Live,
            Some(KeyDetail::Missing) if listed || self.is_recent(key.born.at()) => Presence::Unsure,
            Some(KeyDetail::Missing) => Presence::Gone,
            None if listed => Presence::Live,
            None => Presence::Unsure,
        }
    }

    /// Why an owned key retires when its successor is recorded.
    pub fn retiring_reason(&self, owned: &OwnedKey) -> RetiringReason {
        match self.presence(owned) {
            Presence::Gone => RetiringReason::Vanished,
            Presence::Live | Presence::Unsure => RetiringReason::Replaced,
        }
    }

    /// What a look at a location found. Of one that never tells its value [`denied`](Self::denied) says what else there is to know.
    pub fn observed(&self, location: &SinkLocation) -> SinkObservation {
        if !location.at.is_readable() {
            return SinkObservation::WriteOnly;
        }
        if !self.input.options.sinks {
            return SinkObservation::Unreadable("the sinks were not looked at".to_string());
        }
        self.input
            .inventory
            .sinks
            .get(&location.id())
            .cloned()
            .unwrap_or_else(|| SinkObservation::Unreadable("it was not looked at".to_string()))
    }

    pub fn holds(&self, location: &SinkLocation, id: &KeyId) -> bool {
        self.input.inventory.holds(location, id)
    }

    /// Whether programs that read a location get a key, so that it cannot be revoked.
    pub fn serves(&self, location: &SinkLocation, id: &KeyId) -> bool {
        self.input.options.sinks && self.input.inventory.serves(location, id)
    }

    /// What a location that never tells its value has instead of one of these keys, where its service knows that it was written since.
    pub fn denied<'k>(
        &self,
        location: &SinkLocation,
        keys: impl IntoIterator<Item = &'k KeyId>,
    ) -> Option<SinkContent> {
        self.input.inventory.denied(location, keys).filter(|_| self.input.options.sinks).cloned()
    }

    /// The wanted address that uses a location, if it is another than this.
    pub fn other_user(&self, address: &Address, location: &LocationId) -> Option<&'a Address> {
        self.index.user(location).filter(|user| *user != address)
    }

    /// What state should say of a wanted key.
    pub fn settings(&self, wanted: &WantedKey) -> Settings {
        let scopes = wanted.access.scopes();
        Settings {
            owner: wanted.owner.clone(),
            protect: wanted.protect,
            on_delete: wanted.on_delete,
            patterns: scopes.map(|scopes| scopes.expanded.values().cloned().collect()).unwrap_or_default(),
            locations: wanted.sinks.clone(),
            left_alone: std::collections::BTreeSet::new(),
            overlap: wanted.overlap(),
            lifecycle: wanted.lifecycle(),
            hooks: wanted.hooks.clone(),
        }
    }

    /// What state says that a key is.
    pub fn values_of(&self, address: &Address, key: &OwnedKey) -> KeyValues {
        values_of(self.name(), address, key)
    }
}

/// How long an older key of an address goes on working.
pub(crate) fn overlap_of(manifest: &Manifest, address: &Address) -> Duration {
    manifest.keys.get(address).map_or(DEFAULT_OVERLAP, WantedKey::overlap)
}

/// What state says that a key is.
pub(crate) fn values_of(account: &Name, address: &Address, key: &OwnedKey) -> KeyValues {
    let lifecycle = key.lifecycle.unwrap_or_default();
    KeyValues {
        address: address.clone(),
        account: account.clone(),
        id: Some(key.id.clone()),
        name: key.name.clone(),
        access: key.access.clone(),
        left_out: std::collections::BTreeSet::new(),
        sinks: key.sinks.iter().map(|delivery| delivery.location.clone()).collect(),
        owner: key.owner.clone(),
        protect: key.protect,
        on_delete: key.on_delete,
        rotate: lifecycle.rotate,
        ttl: lifecycle.ttl,
    }
}

/// What a wanted key will be, as far as its settings say it.
pub(crate) fn values_with(
    wanted: &WantedKey,
    id: Option<KeyId>,
    name: String,
    access: crate::access::Access,
    settings: &Settings,
) -> KeyValues {
    let Settings {
        owner,
        protect,
        on_delete,
        patterns: _,
        locations,
        left_alone: _,
        overlap: _,
        lifecycle,
        hooks: _,
    } = settings;
    KeyValues {
        address: wanted.address.clone(),
        account: wanted.account.clone(),
        id,
        name,
        access,
        left_out: std::collections::BTreeSet::new(),
        sinks: locations.clone(),
        owner: owner.clone(),
        protect: *protect,
        on_delete: *on_delete,
        rotate: lifecycle.rotate,
        ttl: lifecycle.ttl,
    }
}
