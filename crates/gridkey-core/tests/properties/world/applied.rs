//! The world in which a manifest was just applied.

use std::collections::BTreeMap;

use gridkey_core::inventory::{AccountInventory, Inventory, KeyDetail, SinkContent, SinkObservation};
use gridkey_core::manifest::WantedKey;
use gridkey_core::plan::{Options, Selection};
use gridkey_core::{Access, Address, KeyId, Name, Scope};
use jiff::Timestamp;

use super::build::{
    SCOPES, account, ago, granted, manifest, name, now, owned_key, read_account, state, wanted_key,
};
use super::{Random, World};

/// How many addresses there are to choose from.
pub const PLACES: usize = 10;

const ADDRESSES: [&str; PLACES] = [
    "prod/a",
    "prod/b",
    "stage/a",
    "stage/c",
    "pr-1/a",
    "pr-1/d",
    "tenants/acme/a",
    "tenants/beta/a",
    "prod/d",
    "stage/d",
];

/// A project without environments.
const FLAT: [&str; PLACES] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

impl World {
    /// Accounts without keys.
    pub fn empty(names: &[Name], flat: bool) -> Self {
        let mut manifest = manifest(flat);
        for name in names {
            manifest.accounts.insert(name.clone(), account(name.as_str()));
        }
        let mut world = Self {
            manifest,
            applied: BTreeMap::new(),
            selection: Selection::default(),
            states: names.iter().map(|name| (name.clone(), state(name))).collect(),
            inventory: Inventory::default(),
            policy: None,
            now: now(),
            options: Options::default(),
            story: Vec::new(),
            tight: None,
            ids: 0,
        };
        for name in names {
            let read = AccountInventory::Read(read_account(name));
            world.inventory.accounts.insert(name.clone(), read);
        }
        world
    }

    /// A world in which a manifest with these keys was just applied.
    pub(super) fn applied(seed: u64, keys: &[(usize, u64)]) -> Self {
        let mut random = Random::new(seed ^ 0xacc0);
        let flat = random.chance(12);
        let count = 1 + random.below(3);
        let names: Vec<Name> = ["acme", "beta", "gamma"].into_iter().take(count.max(2)).map(name).collect();
        let mut world = Self::empty(&names, flat);
        for (place, seed) in keys {
            let address: Address = if flat { FLAT[*place] } else { ADDRESSES[*place] }.parse().unwrap();
            let random = &mut Random::new(*seed);
            let account = match &address.account {
                Some(account) => account.clone(),
                None if count > 1 && random.chance(30) => names[random.below(count)].clone(),
                None => names[0].clone(),
            };
            let wanted = wanted_key(&address, &account, random);
            let born = ago(24 * random.one_of([5, 10, 20, 28]));
            world.tell(format!(
                "`{address}` in `{account}`: {:?}, sinks {:?}, rotate {:?}{}",
                wanted.access.kind(),
                wanted.sinks.iter().map(|sink| sink.sink.to_string()).collect::<Vec<_>>(),
                wanted.rotate.map(|rotate| (rotate.every, rotate.overlap, rotate.at_limit)),
                if wanted.protect { ", protected" } else { "" },
            ));
            world.add_applied(wanted, born);
        }
        world
    }

    /// A key that is wanted, owned, live, and in its sinks.
    pub fn add_applied(&mut self, wanted: WantedKey, born: Timestamp) {
        let id = self.next_id();
        self.make_live(&wanted.account, &id, &wanted.name, &granted(&wanted.access));
        for sink in wanted.sinks.iter().filter(|sink| sink.at.is_readable()) {
            self.inventory.sinks.insert(sink.id(), SinkObservation::Holds(SinkContent::Key(id.clone())));
        }
        let key = owned_key(id, &wanted, born, 1);
        if let Some(state) = self.states.get_mut(&wanted.account) {
            state.keys.insert(wanted.address.clone(), key);
        }
        self.applied.insert(wanted.address.clone(), wanted.clone());
        self.manifest.keys.insert(wanted.address.clone(), wanted);
    }

    pub(super) fn next_id(&mut self) -> KeyId {
        self.ids += 1;
        KeyId::new(format!("key-{}", self.ids))
    }

    pub(super) fn make_live(&mut self, account: &Name, id: &KeyId, name: &str, access: &Access) {
        let scopes =
            access.scopes().map_or_else(|| SCOPES.map(Scope::new).into(), |scopes| scopes.as_set().clone());
        if let Some(AccountInventory::Read(read)) = self.inventory.accounts.get_mut(account) {
            read.live.insert(id.clone(), name.to_string());
            read.details.insert(id.clone(), KeyDetail::Scopes(scopes));
        }
    }
}
