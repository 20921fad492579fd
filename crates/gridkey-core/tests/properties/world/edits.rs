//! Edits of the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gridkey_core::inventory::{AccountInventory, Grantable};
use gridkey_core::manifest::{
    AtLimit, Import, ImportKey, Moved, OnDelete, Removed, RemovedWhat, Rotation, WantedAccess, WantedKey,
};
use gridkey_core::state::Born;
use gridkey_core::{Address, AddressPattern, KeyId, Name, Scope};

use super::build::{
    DAY, SCOPES, ago, name, position, random_access, random_rotation, random_scopes, random_sinks,
    wanted_key, wanted_scopes,
};
use super::{Random, World};

const TARGETS: [&str; 10] = [
    "prod/x",
    "prod/a",
    "stage/x",
    "stage/a",
    "prod/b",
    "pr-1/x",
    "tenants/acme/x",
    "a",
    "prod/y",
    "stage/c",
];

fn scopes(key: &mut WantedKey, random: &mut Random) {
    let scopes = wanted_scopes(random_scopes(random), BTreeMap::new());
    let more = Scope::new(random.one_of(SCOPES));
    match &mut key.access {
        WantedAccess::Restricted(known) if random.chance(60) => {
            std::sync::Arc::make_mut(known).written.insert(more);
        }
        access => *access = WantedAccess::Restricted(scopes),
    }
}

fn access(key: &mut WantedKey, random: &mut Random) {
    key.access = if random.chance(50) { WantedAccess::Full } else { random_access(random) };
}

fn sinks(key: &mut WantedKey, random: &mut Random) {
    let address = key.address.to_string();
    let place = match random.below(3) {
        0 => address,
        1 => format!("{address}-new"),
        _ => format!("{address}-old"),
    };
    match random.below(10) {
        0 => key.sinks.clear(),
        1..4 => key.sinks.extend(random_sinks(&place, random)),
        4..6 => drop(key.sinks.pop()),
        _ => key.sinks = random_sinks(&place, random),
    }
}

fn rotate(key: &mut WantedKey, random: &mut Random) {
    key.rotate = random_rotation(random);
    if let Some(rotate) = key.rotate.as_mut().filter(|_| random.chance(30)) {
        rotate.every = Duration::from_secs(2);
    }
}

impl World {
    pub fn edit_scopes(&mut self, random: &mut Random) {
        self.edit_key(random, "scopes", scopes);
    }

    pub fn edit_access(&mut self, random: &mut Random) {
        self.edit_key(random, "access", access);
    }

    pub fn edit_name(&mut self, random: &mut Random) {
        self.edit_key(random, "name", |key, random| {
            key.name = random.one_of(["Mailer", "app-mailer", "other"]).to_string();
        });
    }

    pub fn edit_sinks(&mut self, random: &mut Random) {
        self.edit_key(random, "sinks", sinks);
    }

    pub fn edit_owner(&mut self, random: &mut Random) {
        self.edit_key(random, "owner", |key, random| {
            key.owner = random.chance(30).then(|| "platform".to_string());
        });
    }

    pub fn edit_protection(&mut self, random: &mut Random) {
        self.edit_key(random, "protect", |key, random| key.protect = random.chance(40));
    }

    pub fn edit_on_delete(&mut self, random: &mut Random) {
        self.edit_key(random, "on_delete", |key, _| key.on_delete = OnDelete::Keep);
    }

    pub fn edit_rotation(&mut self, random: &mut Random) {
        self.edit_key(random, "rotate", rotate);
    }

    pub fn edit_account(&mut self, random: &mut Random) {
        let accounts: Vec<Name> = self.manifest.accounts.keys().cloned().collect();
        self.edit_key(random, "account", |key, random| {
            key.account = random.pick(&accounts).unwrap_or(key.account.clone());
        });
    }

    pub(super) fn some_wanted(&self, random: &mut Random) -> Option<Address> {
        random.pick(&self.manifest.keys.keys().cloned().collect::<Vec<_>>())
    }

    fn edit_key(&mut self, random: &mut Random, what: &str, edit: impl FnOnce(&mut WantedKey, &mut Random)) {
        let Some(address) = self.some_wanted(random) else { return };
        let Some(key) = self.manifest.keys.get_mut(&address) else { return };
        edit(key, random);
        let now = match what {
            "scopes" | "access" => format!("{:?}", key.access),
            "sinks" => format!("{:?}", key.sinks.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "rotate" => format!("{:?}", key.rotate),
            "owner" => format!("{:?}", key.owner),
            "protect" => key.protect.to_string(),
            "account" => key.account.to_string(),
            "on_delete" => format!("{:?}", key.on_delete),
            _ => key.name.clone(),
        };
        self.tell(format!("edit: {what} of `{address}`: {now}"));
    }

    pub fn all_at_limit(&mut self, _: &mut Random) {
        for key in self.manifest.keys.values_mut() {
            let overlap = DAY;
            key.rotate =
                Some(Rotation { every: DAY * 30, overlap, warn_before: None, at_limit: AtLimit::Replace });
        }
        for key in self.states.values_mut().flat_map(|state| state.keys.values_mut()) {
            key.born = Born::Created(ago(24 * 40));
        }
        self.tell("every key is due, with `at_limit: replace`".to_string());
    }

    pub fn key_removed(&mut self, random: &mut Random) {
        let Some(address) = self.some_wanted(random) else { return };
        self.manifest.keys.remove(&address);
        self.tell(format!("edit: `{address}` is taken out"));
    }

    fn free_target(&self, random: &mut Random) -> Option<Address> {
        let address: Address = random.one_of(TARGETS).parse().unwrap();
        (!self.manifest.keys.contains_key(&address)).then_some(address)
    }

    pub fn key_added(&mut self, random: &mut Random) {
        let Some(address) = self.free_target(random) else { return };
        let accounts: Vec<Name> = self.manifest.accounts.keys().cloned().collect();
        let Some(account) = random.pick(&accounts) else { return };
        let key = wanted_key(&address, &account, random);
        self.tell(format!("edit: `{address}` in `{account}` is new: {:?}", key.access));
        self.manifest.keys.insert(address, key);
    }

    /// An entry of `moved`.
    pub fn say_moved(&mut self, from: &str, to: &str) {
        // What can be no address is refused when a manifest is read, so no plan meets it.
        let (Ok(from), Ok(to)) = (from.parse::<AddressPattern>(), to.parse::<AddressPattern>()) else {
            return;
        };
        if from == to || self.manifest.moved.iter().any(|known| known.from == from) {
            return;
        }
        self.tell(format!("moved: {from} → {to}"));
        self.manifest.moved.push(Moved { from, to, position: position() });
    }

    /// The wanted key has another address, and what is wanted of it may keep its sinks or not.
    fn readdress(&mut self, from: &Address, to: &Address, keeps_sinks: bool, random: &mut Random) {
        let Some(mut key) = self.manifest.keys.remove(from) else { return };
        key.address = to.clone();
        if !keeps_sinks {
            key.sinks = random_sinks(&to.to_string(), random);
        }
        self.manifest.keys.insert(to.clone(), key);
        self.tell(format!(
            "edit: `{from}` is `{to}` now{}",
            if keeps_sinks { "" } else { ", with sinks of its own" }
        ));
    }

    /// A key has another address, and nothing says that it is the same one.
    pub fn renamed(&mut self, random: &mut Random) {
        self.address_edited(random, false);
    }

    pub fn moved(&mut self, random: &mut Random) {
        self.address_edited(random, true);
    }

    fn address_edited(&mut self, random: &mut Random, says_so: bool) {
        let Some(from) = self.some_wanted(random) else { return };
        let Some(to) = self.free_target(random) else { return };
        let keeps_sinks = random.chance(70);
        self.readdress(&from, &to, keeps_sinks, random);
        if says_so {
            self.say_moved(&from.to_string(), &to.to_string());
        }
    }

    pub fn moved_entry(&mut self, random: &mut Random) {
        let Some((_, from)) = self.some_owned(random) else { return };
        let to = match random.below(4) {
            0 => self.some_owned(random).map(|(_, address)| address.to_string()),
            1 => Some("prod/acme/x/y".to_string()),
            _ => Some(random.one_of(TARGETS).to_string()),
        };
        if let Some(to) = to {
            self.say_moved(&from.to_string(), &to);
        }
    }

    pub fn moved_pattern(&mut self, random: &mut Random) {
        let (from, to) =
            random.one_of([("stage/*", "prod/*"), ("prod/*", "stage/*"), ("*", "prod/*"), ("*/a", "*/x")]);
        let keys: Vec<Address> = self.manifest.keys.keys().cloned().collect();
        for address in keys {
            let text = address.to_string();
            let target = match (from, text.split_once('/')) {
                ("*", None) => Some(format!("prod/{text}")),
                ("*/a", Some((environment, "a"))) => Some(format!("{environment}/x")),
                (_, Some((environment, key))) if from == format!("{environment}/*") && to != "*/x" => {
                    Some(to.replace('*', key))
                }
                _ => None,
            };
            let Some(target) = target.and_then(|target| target.parse::<Address>().ok()) else { continue };
            if !self.manifest.keys.contains_key(&target) {
                let keeps_sinks = random.chance(70);
                self.readdress(&address, &target, keeps_sinks, random);
            }
        }
        self.say_moved(from, to);
    }

    pub fn swapped(&mut self, random: &mut Random) {
        let (Some(one), Some(other)) = (self.some_wanted(random), self.some_wanted(random)) else { return };
        if one == other {
            return;
        }
        let (Some(mut first), Some(mut second)) =
            (self.manifest.keys.remove(&one), self.manifest.keys.remove(&other))
        else {
            return;
        };
        (first.address, second.address) = (other.clone(), one.clone());
        self.manifest.keys.insert(other.clone(), first);
        self.manifest.keys.insert(one.clone(), second);
        self.tell(format!("edit: `{one}` and `{other}` change places"));
        self.say_moved(&one.to_string(), &other.to_string());
        self.say_moved(&other.to_string(), &one.to_string());
    }

    pub fn moved_back(&mut self, random: &mut Random) {
        let known =
            random.pick(&self.manifest.moved).map(|known| (known.from.to_string(), known.to.to_string()));
        match known {
            Some((from, to)) => {
                if let (Ok(from), Ok(to)) = (from.parse::<Address>(), to.parse::<Address>())
                    && random.chance(70)
                    && !self.manifest.keys.contains_key(&from)
                {
                    self.readdress(&to, &from, true, random);
                }
                self.say_moved(&to, &from);
            }
            None => {
                let Some(address) = self.some_wanted(random) else { return };
                self.say_moved(&address.to_string(), "prod/z");
                self.say_moved("prod/z", &address.to_string());
            }
        }
    }

    pub fn removed(&mut self, random: &mut Random) {
        let Some((account, address)) = self.some_owned(random) else { return };
        let text = address.to_string();
        let pattern = |text: String| RemovedWhat::Address(text.parse().expect("an address or a pattern"));
        let what = match random.below(6) {
            0 => RemovedWhat::Account(account),
            1 => pattern(text.rsplit_once('/').map_or("*".to_string(), |(place, _)| format!("{place}/*"))),
            2 => pattern(format!("*/{}", address.key)),
            _ => pattern(text),
        };
        let revoke = random.chance(40);
        if random.chance(70) {
            self.manifest.keys.remove(&address);
        }
        self.tell(format!("removed: {what:?}, revoke {revoke}"));
        self.manifest.removed.push(Removed { what, revoke, position: position() });
    }

    pub fn account_left(&mut self, random: &mut Random) {
        let accounts: Vec<Name> = self.manifest.accounts.keys().cloned().collect();
        if accounts.len() < 2 {
            return;
        }
        let Some(gone) = random.pick(&accounts) else { return };
        self.manifest.accounts.remove(&gone);
        let elsewhere = accounts.into_iter().find(|other| *other != gone).filter(|_| random.chance(50));
        for key in self.manifest.keys.values_mut().filter(|key| key.account == gone) {
            if let Some(elsewhere) = &elsewhere {
                key.account = elsewhere.clone();
            }
        }
        self.manifest.keys.retain(|_, key| key.account != gone);
        self.tell(format!("edit: account `{gone}` is taken out; its keys go to {elsewhere:?}"));
        if random.chance(50) {
            let revoke = random.chance(20);
            self.tell(format!("removed: account {gone}, revoke {revoke}"));
            let what = RemovedWhat::Account(gone);
            self.manifest.removed.push(Removed { what, revoke, position: position() });
        }
    }

    pub fn import(&mut self, random: &mut Random) {
        let Some(to) = self.free_target(random) else { return };
        let accounts: Vec<Name> = self.manifest.accounts.keys().cloned().collect();
        let Some(account) = random.pick(&accounts) else { return };
        let live: Vec<KeyId> = match self.inventory.accounts.get(&account) {
            Some(AccountInventory::Read(read)) => read.live.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let id = match random.below(10) {
            0 => Some(KeyId::new("not there")),
            1 | 2 => random.pick(&live),
            _ => {
                let id = self.next_id();
                let access = super::build::granted(&random_access(random));
                self.make_live(&account, &id, "by hand", &access);
                Some(id)
            }
        };
        let Some(id) = id else { return };
        let mut key = wanted_key(&to, &account, random);
        key.protect = false;
        self.tell(format!("import: {id} of `{account}` as `{to}`: {:?}", key.access));
        self.manifest.keys.insert(to.clone(), key);
        let key = match random.chance(20) {
            true => ImportKey::Name("by hand".to_string()),
            false => ImportKey::Id(id),
        };
        self.manifest.import.push(Import { to, key, position: position() });
    }

    pub fn ttl(&mut self, random: &mut Random) {
        let ttl = random.one_of([Duration::from_secs(1), DAY * 7, DAY * 100]);
        if let Some(environment) = self.manifest.environments.get_mut(&name("pr-1")) {
            environment.ttl = Some(ttl);
            self.tell(format!("edit: `pr-*` has a ttl of {ttl:?}"));
        }
    }

    pub fn max_keys(&mut self, random: &mut Random) {
        let accounts: Vec<Name> = self.manifest.accounts.keys().cloned().collect();
        let Some(account) = random.pick(&accounts) else { return };
        let owned = self.states.get(&account).map_or(0, |state| state.keys.len());
        let most = u32::try_from(owned + random.below(3)).unwrap();
        if let Some(account) = self.manifest.accounts.get_mut(&account) {
            account.max_keys = Some(most);
        }
        self.tell(format!("edit: `{account}` may hold {most} keys"));
    }

    pub fn grantable(&mut self, random: &mut Random) {
        let all: BTreeSet<Scope> = SCOPES.into_iter().chain(["templates.create"]).map(Scope::new).collect();
        let grantable = match random.below(3) {
            0 => Grantable::Unknown("403".to_string()),
            1 => Grantable::Known(all),
            _ => Grantable::Known(all.into_iter().filter(|_| random.chance(70)).collect()),
        };
        let accounts: Vec<Name> = self.inventory.accounts.keys().cloned().collect();
        let Some(account) = random.pick(&accounts) else { return };
        self.tell(format!("`{account}` can grant {grantable:?}"));
        if let Some(read) = self.read_mut(&account) {
            read.grantable = grantable;
        }
    }
}
