//! The index: what is wanted, owned and begun in the whole project, made once, so that no decision looks through
//! all keys.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::address::Address;
use crate::key::{KeyId, Marker};
use crate::manifest::{Lifecycle, OnDelete, WantedKey};
use crate::name::Name;
use crate::plan::input::{Due, Extent, PlanInput};
use crate::plan::moves::WithMoves;
use crate::sink::{LocationId, SinkLocation};
use crate::state::{AccountState, OwnedKey, PendingKey, RetiringLocation};

/// What a plan looks up, by what it looks it up with. The documents are those after the moves of the run.
pub(crate) struct Index<'a> {
    pub input: &'a PlanInput<'a>,
    /// The keys of each account that the manifest wants, as far as the run is about them.
    wanted: BTreeMap<&'a Name, Vec<&'a WantedKey>>,
    /// The wanted address that uses each location.
    used: BTreeMap<LocationId, &'a Address>,
    /// The keys of each address, by account; two while a key moves from one account to another.
    owners: BTreeMap<&'a Address, Vec<(&'a Name, &'a OwnedKey)>>,
    /// The addresses that were given a location, or leave it.
    given: BTreeMap<LocationId, Vec<Given<'a>>>,
    begun: BTreeMap<&'a Address, Vec<Begun<'a>>>,
    /// When each environment got its first key, and whether that came from elsewhere.
    since: BTreeMap<&'a Name, (bool, Timestamp)>,
    ids: BTreeMap<&'a KeyId, &'a Address>,
    /// What is left alone, as a move that leads there or away is not part of the run.
    moves: &'a WithMoves<'a>,
}

/// An address that a location belongs to, or belonged to.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub address: &'a Address,
    pub key: &'a OwnedKey,
    /// `None` where the location is its own.
    pub leaving: Option<&'a RetiringLocation>,
}

/// A creation that broke off.
#[derive(Clone, Copy)]
pub(crate) struct Begun<'a> {
    pub account: &'a Name,
    pub marker: &'a Marker,
    pub pending: &'a PendingKey,
}

impl<'a> Index<'a> {
    pub fn new(input: &'a PlanInput<'a>, moves: &'a WithMoves<'a>) -> Self {
        let mut index = Self {
            input,
            wanted: BTreeMap::new(),
            used: BTreeMap::new(),
            owners: BTreeMap::new(),
            given: BTreeMap::new(),
            begun: BTreeMap::new(),
            since: BTreeMap::new(),
            ids: BTreeMap::new(),
            moves,
        };
        for key in input.manifest.keys.values() {
            let selected = index.is_selected(&key.address);
            if !input.selection.destroy || !selected {
                index.used.extend(key.sinks.iter().map(|location| (location.id(), &key.address)));
            }
            if selected && !input.selection.destroy {
                index.wanted.entry(&key.account).or_default().push(key);
            }
        }
        for (name, state) in input.states {
            index.add_state(name, state);
        }
        index
    }

    fn add_state(&mut self, name: &'a Name, state: &'a AccountState) {
        for (address, key) in &state.keys {
            self.owners.entry(address).or_default().push((name, key));
            self.ids.extend(key.ids().map(|id| (id, address)));
            // A key that leaves, though not with this run, does not count for the environment any more.
            if let Some(environment) =
                address.environment.as_ref().filter(|_| !self.moves.unmoved.contains(address))
            {
                let from = key.moved_from.as_ref();
                let moved_in = from.is_some_and(|from| from.environment.as_ref() != Some(environment));
                // Its own keys count before those that were moved in, which may be much older.
                let since = self.since.entry(environment).or_insert((true, Timestamp::MAX));
                *since = (moved_in, key.since()).min(*since);
            }
            for delivery in &key.sinks {
                let given = Given { address, key, leaving: None };
                self.given.entry(delivery.location.id()).or_default().push(given);
            }
            for leaving in &key.retiring_locations {
                let given = Given { address, key, leaving: Some(leaving) };
                self.given.entry(leaving.location.id()).or_default().push(given);
            }
        }
        for (marker, pending) in &state.pending {
            let begun = Begun { account: name, marker, pending };
            self.begun.entry(&pending.address).or_default().push(begun);
        }
    }

    /// Whether the run may change the key at an address.
    pub fn is_selected(&self, address: &Address) -> bool {
        self.input.selection.has(self.input.manifest, address) && !self.moves.left_alone.contains(address)
    }

    /// Whether an address is in an environment that the run is about, whatever `--only` says.
    pub fn is_in_environments(&self, address: &Address) -> bool {
        self.input.selection.has_environment(self.input.manifest, address.environment.as_ref())
    }

    /// Whether the run settles creations of an address that broke off: those of every address in its environments.
    pub fn is_recovered(&self, address: &Address) -> bool {
        self.is_in_environments(address)
            && !self.moves.left_alone.contains(address)
            && !self.moves.unmoved.contains(address)
    }

    /// Whether the key of an address is let go of, without being revoked.
    pub fn lets_go_of(&self, account: &Name, address: &Address) -> bool {
        self.moves.lets_go_of(self.input.manifest, account, address)
    }

    /// The address that the key at an address had before the moves of this run.
    pub fn before_move(&self, account: &Name, address: &Address) -> Option<&Address> {
        self.moves.before(account, address)
    }

    /// The keys that the run is about and that the manifest wants in an account.
    pub fn wanted_in(&self, account: &Name) -> &[&'a WantedKey] {
        self.wanted.get(account).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the settings of a location were edited since state was last written.
    pub fn is_edited(&self, location: &LocationId) -> bool {
        self.moves.is_edited(location)
    }

    /// The wanted address that uses a location.
    pub fn user(&self, location: &LocationId) -> Option<&'a Address> {
        self.used.get(location).copied()
    }

    /// The keys of an address, in whatever account.
    pub fn owners(&self, address: &Address) -> &[(&'a Name, &'a OwnedKey)] {
        self.owners.get(address).map(Vec::as_slice).unwrap_or_default()
    }

    /// The addresses that a location belongs to, or belonged to.
    pub fn given(&self, location: &LocationId) -> &[Given<'a>] {
        self.given.get(location).map(Vec::as_slice).unwrap_or_default()
    }

    /// The creations of an address that broke off.
    pub fn begun(&self, address: &Address) -> &[Begun<'a>] {
        self.begun.get(address).map(Vec::as_slice).unwrap_or_default()
    }

    /// The address whose key, current or retiring, has an id.
    pub fn owner_of(&self, id: &KeyId) -> Option<&'a Address> {
        self.ids.get(id).copied()
    }

    /// When an environment got its first key.
    pub fn since(&self, environment: Option<&Name>) -> Option<Timestamp> {
        self.since.get(environment?).map(|(_, since)| *since)
    }

    /// Every id by which an address's keys are known, in any account, with those that its locations were given
    /// before, and those of creations that broke off in other accounts than this one.
    pub fn own_ids(&self, address: &Address, account: &Name) -> BTreeSet<&'a KeyId> {
        let keys = self.owners(address).iter().map(|(_, key)| *key);
        keys.flat_map(|key| key.ids().chain(key.retiring_locations.iter().flat_map(|leaving| &leaving.given)))
            .chain(self.begun_elsewhere(address, account).into_iter().map(|(id, _)| id))
            .collect()
    }

    /// The live keys of an address's creations that broke off in other accounts.
    pub fn begun_elsewhere(&self, address: &Address, account: &Name) -> Vec<(&'a KeyId, &'a PendingKey)> {
        let elsewhere = self.begun(address).iter().filter(|begun| begun.account != account);
        elsewhere
            .flat_map(|begun| {
                let live =
                    self.input.inventory.account(begun.account).into_iter().flat_map(|read| &read.live);
                live.filter(|(_, name)| Marker::in_name(name).as_ref() == Some(begun.marker))
                    .map(|(id, _)| (id, begun.pending))
            })
            .collect()
    }

    /// What was last applied of how long a key is meant to live; the manifest's, in documents that are older.
    pub fn applied_lifecycle(&self, wanted: &WantedKey, owned: &OwnedKey) -> Lifecycle {
        owned.lifecycle.unwrap_or_else(|| wanted.lifecycle())
    }

    /// Whether edits of the manifest are left for another run.
    pub fn is_due_alone(&self) -> bool {
        match self.input.options.due {
            Due::Only => true,
            Due::Include | Due::Exclude => false,
        }
    }

    /// Whether only what state says of keys is in question.
    pub fn is_state_alone(&self) -> bool {
        match self.input.options.requests.extent {
            Extent::State => true,
            Extent::Everything => false,
        }
    }

    /// The locations of a key that may be cleared when it goes.
    pub fn may_clear(&self, owned: &OwnedKey, address: &Address, location: &SinkLocation) -> bool {
        let id = location.id();
        match owned.on_delete {
            OnDelete::Keep => false,
            OnDelete::Clear => self.user(&id).is_none_or(|user| user == address),
        }
    }
}
