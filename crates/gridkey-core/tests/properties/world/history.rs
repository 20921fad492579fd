//! What happens to keys, state and sinks without the manifest.

use std::collections::BTreeSet;

use gridkey_core::hook::DueHook;
use gridkey_core::inventory::{
    AccountInventory, KeyDetail, ReadAccount, SinkContent, SinkObservation, Unreadable, UnreadableReason,
};
use gridkey_core::plan::RevokeOld;
use gridkey_core::state::{AbandonedMarker, Born, OwnedKey, PendingPhase, Purpose, SecretStatus};
use gridkey_core::{Address, KeyId, LocationId, Marker, Name, Receipt, Scope, SinkLocation};

use super::build::{
    SCOPES, ago, granted, location, owned_key, pending_key, random_access, retiring_key, retiring_location,
    wanted_key,
};
use super::{Random, World};

impl World {
    /// An account and an address that it owns a key at.
    pub(super) fn some_owned(&self, random: &mut Random) -> Option<(Name, Address)> {
        let all: Vec<_> = self
            .states
            .iter()
            .flat_map(|(name, state)| state.keys.keys().map(move |address| (name.clone(), address.clone())))
            .collect();
        random.pick(&all)
    }

    pub(super) fn owned_mut(&mut self, account: &Name, address: &Address) -> Option<&mut OwnedKey> {
        self.states.get_mut(account)?.keys.get_mut(address)
    }

    pub(super) fn read_mut(&mut self, account: &Name) -> Option<&mut ReadAccount> {
        match self.inventory.accounts.get_mut(account)? {
            AccountInventory::Read(read) => Some(read),
            AccountInventory::Unreadable(_) => None,
        }
    }

    pub fn aged(&mut self, random: &mut Random) {
        let hours = 24 * random.one_of([0, 13, 27, 31, 40, 95]) + 1;
        let Some((account, address)) = self.some_owned(random) else { return };
        let Some(key) = self.owned_mut(&account, &address) else { return };
        key.born = Born::Created(ago(hours));
        self.tell(format!("`{address}` was made {hours} h ago"));
    }

    pub fn retiring(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let id = self.next_id();
        let hours = random.one_of([-20, -1, 1, 30, 100]);
        let (held, served, live) = (random.chance(15), random.chance(20), random.chance(90));
        let Some(key) = self.owned_mut(&account, &address) else { return };
        if key.secret == SecretStatus::Unknown {
            return;
        }
        key.retiring.push(retiring_key(id.clone(), ago(hours), held));
        key.generation += 1;
        let (name, access) = (key.name.clone(), key.access.clone());
        let sink =
            key.sinks.iter().map(|delivery| delivery.location.clone()).find(|sink| sink.at.is_readable());
        if live {
            self.make_live(&account, &id, &name, &access);
        }
        if let Some(sink) = sink.filter(|_| served) {
            self.inventory.sinks.insert(sink.id(), SinkObservation::Holds(SinkContent::Key(id.clone())));
        }
        self.tell(format!(
            "`{address}` replaced {id}, which retires {hours} h ago{}{}{}",
            if held { ", held" } else { "" },
            if served { ", still served" } else { "" },
            if live { "" } else { ", gone" },
        ));
    }

    pub fn location_retiring(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let hours = random.one_of([-20, 1, 30]);
        let sink = random.one_of(["local", "vault", "github"]);
        let location = location(sink, &format!("{address}-old"));
        let Some(key) = self.owned_mut(&account, &address) else { return };
        let id = key.id.clone();
        if key.retiring_locations.iter().any(|known| known.location.id() == location.id()) {
            return;
        }
        key.retiring_locations.push(retiring_location(location.clone(), ago(hours), [id.clone()].into()));
        if location.at.is_readable() {
            self.inventory.sinks.insert(location.id(), SinkObservation::Holds(SinkContent::Key(id)));
        }
        self.tell(format!("`{address}` leaves {location} {hours} h ago"));
    }

    pub fn scopes_drifted(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let (add, scope) = (random.chance(60), Scope::new(random.one_of(SCOPES)));
        let Some(id) = self.owned_mut(&account, &address).map(|key| key.id.clone()) else { return };
        let Some(read) = self.read_mut(&account) else { return };
        if let Some(KeyDetail::Scopes(scopes)) = read.details.get_mut(&id) {
            let _ = if add { scopes.insert(scope.clone()) } else { scopes.remove(&scope) };
            self.tell(format!("`{address}` {} `{scope}` by hand", if add { "got" } else { "lost" }));
        }
    }

    pub fn name_drifted(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let Some(id) = self.owned_mut(&account, &address).map(|key| key.id.clone()) else { return };
        let Some(read) = self.read_mut(&account) else { return };
        if let Some(name) = read.live.get_mut(&id) {
            *name = "renamed by hand".to_string();
            self.tell(format!("`{address}` was renamed by hand"));
        }
    }

    /// An earlier run recorded the key, and broke off before it gave it its final name and told anybody.
    pub fn name_unfinished(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let hooks = self.manifest.keys.get(&address).map(|wanted| wanted.hooks.clone()).unwrap_or_default();
        if let Some(key) = self.owned_mut(&account, &address) {
            let locations: BTreeSet<LocationId> =
                key.sinks.iter().map(|delivery| delivery.location.id()).collect();
            let due = hooks.into_iter().map(|hook| DueHook { hook, locations: locations.clone() });
            key.hooks_due.extend(due);
        }
        let Some(id) = self.owned_mut(&account, &address).map(|key| key.id.clone()) else { return };
        let marker = Marker::new(format!("m{id}"));
        let Some(read) = self.read_mut(&account) else { return };
        if let Some(name) = read.live.get_mut(&id) {
            *name = marker.pending_name(name);
            self.tell(format!("`{address}` has not got its name yet"));
        }
        if random.chance(30)
            && let Some(state) = self.states.get_mut(&account)
        {
            state.abandoned.insert(marker, AbandonedMarker { address, at: ago(30) });
        }
    }

    /// The account's list and the key itself say that it is gone.
    pub fn vanished(&mut self, random: &mut Random) {
        self.gone(random, true);
    }

    /// The account's list lacks the key, and nothing looked at the key itself.
    pub fn not_listed(&mut self, random: &mut Random) {
        self.gone(random, false);
    }

    /// A run broke off after it had said that it would revoke a key, and perhaps after it did.
    pub fn revocation_unfinished(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let (revoked, hours) = (random.chance(60), random.one_of([0, 1, 50]));
        let Some(key) = self.owned_mut(&account, &address) else { return };
        let ids: Vec<KeyId> = key.ids().cloned().collect();
        let Some(id) = random.pick(&ids) else { return };
        if let Some(state) = self.states.get_mut(&account) {
            state.leaving.insert(id.clone(), ago(hours));
        }
        if revoked && let Some(read) = self.read_mut(&account) {
            read.live.remove(&id);
            read.details.remove(&id);
        }
        self.tell(format!(
            "{id} of `{address}` was to be revoked {hours} h ago{}",
            if revoked { ", and was" } else { "" }
        ));
    }

    pub fn tight(&mut self, random: &mut Random) {
        self.tight = Some(u32::try_from(random.below(3)).unwrap());
        self.tell("few slots are free".to_string());
    }

    fn gone(&mut self, random: &mut Random, surely: bool) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let Some(id) = self.owned_mut(&account, &address).map(|key| key.id.clone()) else { return };
        let Some(read) = self.read_mut(&account) else { return };
        read.live.remove(&id);
        match surely {
            true => read.details.insert(id, KeyDetail::Missing),
            false => read.details.remove(&id),
        };
        self.tell(format!("`{address}` {}", if surely { "vanished" } else { "is not listed" }));
    }

    pub fn sink_changed(&mut self, random: &mut Random) {
        let all: Vec<SinkLocation> = self
            .states
            .values()
            .flat_map(|state| state.keys.values())
            .flat_map(|key| key.sinks.iter().map(|delivery| delivery.location.clone()))
            .chain(self.manifest.keys.values().flat_map(|key| key.sinks.clone()))
            .filter(|location| location.at.is_readable())
            .collect();
        let Some(location) = random.pick(&all) else { return };
        let now = match random.below(8) {
            0..3 => SinkObservation::Holds(SinkContent::Empty),
            3 => SinkObservation::Holds(SinkContent::Other),
            4 => SinkObservation::Holds(SinkContent::Key(KeyId::new("not ours"))),
            _ => SinkObservation::Unreadable("permission denied".to_string()),
        };
        self.tell(format!("{location}: {now:?}"));
        self.inventory.sinks.insert(location.id(), now);
    }

    /// The service of a sink that never tells its value says what became of what was written there.
    pub fn version_told(&mut self, random: &mut Random) {
        let keys = self.states.values_mut().flat_map(|state| state.keys.values_mut());
        let given = keys.flat_map(|key| {
            let id = key.id.clone();
            let older = key.retiring.first().map(|retiring| retiring.id.clone());
            key.sinks
                .iter_mut()
                .filter(|delivery| !delivery.location.at.is_readable())
                .map(move |delivery| (id.clone(), older.clone(), delivery))
        });
        let mut given: Vec<_> = given.collect();
        if given.is_empty() {
            return;
        }
        let at = random.below(given.len());
        let (id, older, delivery) = &mut given[at];
        delivery.receipt = Some(Receipt::new("1"));
        let now = match random.below(10) {
            8 | 9 => SinkObservation::Holds(SinkContent::Key(older.as_ref().unwrap_or(id).clone())),
            0 | 1 => SinkObservation::Holds(SinkContent::Empty),
            2 => SinkObservation::Holds(SinkContent::Other),
            3 => SinkObservation::Holds(SinkContent::Key(KeyId::new("not ours"))),
            4 => SinkObservation::Unreadable("forbidden".to_string()),
            _ => SinkObservation::Holds(SinkContent::Key(id.clone())),
        };
        let location = delivery.location.clone();
        self.tell(format!("{location} says: {now:?}"));
        self.inventory.sinks.insert(location.id(), now);
    }

    pub fn secret_unknown(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let Some(key) = self.owned_mut(&account, &address) else { return };
        if key.generation > 1 {
            // Only a key that was adopted has no known secret, and it has replaced none.
            return;
        }
        key.secret = SecretStatus::Unknown;
        let sinks = std::mem::take(&mut key.sinks);
        for delivery in sinks {
            self.inventory.sinks.remove(&delivery.location.id());
            if delivery.location.at.is_readable() {
                self.inventory
                    .sinks
                    .insert(delivery.location.id(), SinkObservation::Holds(SinkContent::Empty));
            }
        }
        self.tell(format!("the secret of `{address}` is unknown"));
    }

    /// A run broke off while it made a key.
    pub fn pending(&mut self, random: &mut Random) {
        let wanted: Vec<_> = self.manifest.keys.values().chain(self.applied.values()).cloned().collect();
        let Some(mut wanted) = random.pick(&wanted) else { return };
        if random.chance(20) {
            wanted.access = random_access(random);
        }
        if random.chance(10) {
            let accounts: Vec<Name> = self.states.keys().cloned().collect();
            wanted.account = random.pick(&accounts).unwrap_or(wanted.account);
        }
        let id = self.next_id();
        let marker = Marker::new(format!("m{}", id.as_str()));
        let recent = random.chance(15);
        let at = if recent { ago(0) } else { ago(random.one_of([1, 50])) };
        let elsewhere = self.states.iter().filter(|(name, _)| **name != wanted.account);
        let elsewhere = elsewhere.filter_map(|(_, state)| state.keys.get(&wanted.address)).next();
        let Some(state) = self.states.get(&wanted.account) else { return };
        let purpose = match (state.keys.get(&wanted.address), elsewhere) {
            (Some(key), _) => Purpose::Replace(key.id.clone()),
            (None, Some(key)) => Purpose::Follow(key.id.clone()),
            (None, None) => Purpose::Create,
        };
        let phase = random.one_of([PendingPhase::Intended, PendingPhase::Delivering]);
        let mut pending = pending_key(&wanted, purpose, phase, at);
        if random.chance(15) {
            pending.older = random.one_of([RevokeOld::Now, RevokeOld::Hold]);
        }
        let made = random.chance(75);
        if made {
            self.make_live(&wanted.account, &id, &marker.pending_name(&pending.name), &pending.access);
        }
        let readable = wanted.sinks.iter().find(|sink| sink.at.is_readable());
        let held = readable.filter(|_| made && random.chance(50));
        if let Some(sink) = held {
            self.inventory.sinks.insert(sink.id(), SinkObservation::Holds(SinkContent::Key(id.clone())));
        }
        self.tell(format!(
            "a creation of {id} for `{}` in `{}` broke off{}{}: {phase:?}",
            wanted.address,
            wanted.account,
            if made { "" } else { " before it was made" },
            if held.is_some() { ", a sink has it" } else { "" },
        ));
        if let Some(state) = self.states.get_mut(&wanted.account) {
            state.pending.insert(marker, pending);
        }
    }

    pub fn abandoned(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let id = self.next_id();
        let marker = Marker::new(format!("m{}", id.as_str()));
        if random.chance(70) {
            let access = granted(&random_access(random));
            self.make_live(&account, &id, &marker.pending_name("late"), &access);
        }
        self.tell(format!("{id} of `{address}` was given up"));
        if let Some(state) = self.states.get_mut(&account) {
            state.abandoned.insert(marker, AbandonedMarker { address, at: ago(30) });
        }
    }

    pub fn foreign_keys(&mut self, random: &mut Random) {
        let accounts: Vec<Name> = self.states.keys().cloned().collect();
        let Some(account) = random.pick(&accounts) else { return };
        for _ in 0..1 + random.below(3) {
            let id = self.next_id();
            let access = granted(&random_access(random));
            self.make_live(&account, &id, "by hand", &access);
            self.tell(format!("{id} is foreign in `{account}`: {access:?}"));
        }
    }

    /// A key was made in another account, and the older one has not been revoked yet.
    pub fn two_halves(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let others: Vec<Name> = self.states.keys().filter(|name| **name != account).cloned().collect();
        let Some(other) = random.pick(&others) else { return };
        if self.states[&other].keys.contains_key(&address) {
            return;
        }
        let Some(key) = self.owned_mut(&account, &address) else { return };
        if key.secret == SecretStatus::Unknown {
            return;
        }
        let (newer, generation) = (key.id.clone(), key.generation + 1);
        key.generation = generation;
        key.born = Born::Created(ago(random.one_of([2, 30, 100])));
        let at = key.born.at();
        key.sinks.iter_mut().for_each(|delivery| delivery.at = at);
        let wanted = self.applied.get(&address).cloned();
        let wanted = wanted.unwrap_or_else(|| wanted_key(&address, &account, random));
        let id = self.next_id();
        self.make_live(&other, &id, &wanted.name, &granted(&wanted.access));
        let mut older = owned_key(id.clone(), &wanted, ago(24 * 20), generation - 1);
        older.sinks.retain(|_| random.chance(70));
        if let Some(state) = self.states.get_mut(&other) {
            state.keys.insert(address.clone(), older);
        }
        if let Some(key) = self.owned_mut(&account, &address) {
            key.follows = Some(id.clone());
        }
        self.tell(format!("`{address}` went from `{other}` ({id}) to `{account}` ({newer}) at {at}"));
    }

    pub fn unreadable(&mut self, random: &mut Random) {
        if !random.chance(30) {
            return;
        }
        let accounts: Vec<Name> = self.inventory.accounts.keys().cloned().collect();
        let Some(account) = random.pick(&accounts) else { return };
        self.tell(format!("`{account}` cannot be read"));
        let message = "no answer".to_string();
        let unreadable = Unreadable { reason: UnreadableReason::Unavailable, message, only_plans: false };
        self.inventory.accounts.insert(account, AccountInventory::Unreadable(unreadable));
    }
}
