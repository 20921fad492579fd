//! One account's part of a plan: what all of its decisions look at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::address::Address;
use crate::inventory::{KeyDetail, ReadAccount, SinkObservation};
use crate::key::KeyId;
use crate::manifest::{self, Manifest, WantedKey};
use crate::name::Name;
use crate::plan::choose::schedule::Due;
use crate::plan::decide::{compare as owned, mint as wanted, recover};
use crate::plan::document::change::{Action, Change, KeyValues, Reason};
use crate::plan::findings::Gates;
use crate::plan::input::{Extent, PlanInput};
use crate::sink::{LocationId, SinkLocation};
use crate::state::DEFAULT_OVERLAP;
use crate::state::Settings;
use crate::state::{AccountState, Lifecycle, OwnedKey};

/// One account, its state and what was observed of it.
pub(crate) struct Account<'a> {
    pub input: &'a PlanInput<'a>,
    pub declared: &'a manifest::Account,
    pub state: Option<&'a AccountState>,
    pub read: &'a ReadAccount,
    /// The keys of each address of the project, and whose they are.
    pub owners: &'a Owners<'a>,
    /// Which wanted address uses each location.
    pub used: BTreeMap<LocationId, &'a Address>,
}

/// The keys of each address, by account; two while a key moves from one account to another.
pub(crate) type Owners<'a> = BTreeMap<&'a Address, Vec<(&'a Name, &'a OwnedKey)>>;

/// The keys of each address of a project.
pub(crate) fn owners(states: &BTreeMap<Name, AccountState>) -> Owners<'_> {
    let mut owners: Owners<'_> = BTreeMap::new();
    for (name, state) in states {
        for (address, key) in &state.keys {
            owners.entry(address).or_default().push((name, key));
        }
    }
    owners
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
    pub fn new(
        input: &'a PlanInput<'a>,
        declared: &'a manifest::Account,
        state: Option<&'a AccountState>,
        read: &'a ReadAccount,
        owners: &'a Owners<'a>,
    ) -> Self {
        let used = if input.selection.destroy {
            input
                .manifest
                .keys
                .values()
                .filter(|key| !input.selection.has(input.manifest, &key.address))
                .collect()
        } else {
            input.manifest.keys.values().collect::<Vec<_>>()
        };
        let used = used
            .into_iter()
            .flat_map(|key| key.sinks.iter().map(move |location| (location.id(), &key.address)))
            .collect();
        Self { input, declared, state, read, owners, used }
    }

    /// What is to be done, and what the clock would have done in its place.
    pub fn plan(&self, gates: &mut Gates<'_>) -> (Vec<Change>, Vec<Due>) {
        if self.input.options.requests.extent == Extent::State {
            let selected = self.keys().filter(|(address, _)| self.is_selected(address));
            return (selected.map(|(address, owned)| self.kept(address, owned)).collect(), Vec::new());
        }
        let recovered = recover::recover(self, gates);
        let (mut changes, due) = owned::changes(self, &recovered, gates);
        changes.extend(wanted::changes(self, &recovered, gates));
        changes.extend(recovered.changes);
        (changes, due)
    }

    fn kept(&self, address: &Address, owned: &OwnedKey) -> Change {
        Change {
            address: address.clone(),
            account: self.name().clone(),
            action: Action::Keep,
            reasons: vec![Reason::InStep],
            before: Some(values_of(owned)),
            after: Some(values_of(owned)),
            notes: Vec::new(),
            steps: Vec::new(),
            rotation: None,
            position: None,
        }
    }

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
        let selected =
            !self.input.selection.destroy && self.input.selection.has(self.input.manifest, address);
        let key = self.input.manifest.keys.get(address).filter(|_| selected)?;
        (&key.account == self.name()).then_some(key)
    }

    /// What the manifest wants at an address in another account.
    pub fn wanted_elsewhere(&self, address: &Address) -> Option<&'a WantedKey> {
        let wanted = self.input.manifest.keys.get(address)?;
        (wanted.account != *self.name() && !self.input.selection.destroy).then_some(wanted)
    }

    pub fn is_selected(&self, address: &Address) -> bool {
        self.input.selection.has(self.input.manifest, address)
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
        self.input.inventory.holds(&location.id(), id)
    }

    /// The wanted address that uses a location.
    pub fn user(&self, location: &LocationId) -> Option<&'a Address> {
        self.used.get(location).copied()
    }

    /// The wanted address that uses a location, if it is another than this.
    pub fn other_user(&self, address: &Address, location: &LocationId) -> Option<&'a Address> {
        self.user(location).filter(|user| *user != address)
    }

    /// What state should say of a wanted key.
    pub fn settings(&self, wanted: &WantedKey) -> Settings {
        Settings {
            owner: wanted.owner.clone(),
            protect: wanted.protect,
            on_delete: wanted.on_delete,
            patterns: wanted
                .access
                .scopes()
                .map(|scopes| scopes.expanded.values().cloned().collect::<BTreeSet<_>>())
                .unwrap_or_default(),
            locations: wanted.sinks.clone(),
            overlap: overlap(wanted),
            lifecycle: lifecycle(self.input.manifest, wanted),
        }
    }
}

/// How long the older key of a pair goes on working.
pub(crate) fn overlap(wanted: &WantedKey) -> Duration {
    wanted.rotate.map_or(DEFAULT_OVERLAP, |rotation| rotation.overlap)
}

/// How long a wanted key is meant to live.
pub(crate) fn lifecycle(manifest: &Manifest, wanted: &WantedKey) -> Lifecycle {
    let environment = wanted.address.environment.as_ref().and_then(|name| manifest.environments.get(name));
    Lifecycle { rotate: wanted.rotate, ttl: environment.and_then(|environment| environment.ttl) }
}

/// How long an older key of an address goes on working.
pub(crate) fn overlap_of(manifest: &Manifest, address: &Address) -> Duration {
    manifest.keys.get(address).map_or(DEFAULT_OVERLAP, overlap)
}

/// What state says that a key is.
pub(crate) fn values_of(key: &OwnedKey) -> KeyValues {
    KeyValues {
        id: Some(key.id.clone()),
        name: key.name.clone(),
        access: key.access.clone(),
        sinks: key.sinks.iter().map(|delivery| delivery.location.clone()).collect(),
        owner: key.owner.clone(),
        protect: key.protect,
        on_delete: key.on_delete,
    }
}
