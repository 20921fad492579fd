//! Whose key is it: what state and accounts say of keys that were found somewhere, and what to do next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::audit::{Audit, AuditInput, AuditedKey, Concern, Status, audit};
use crate::identity::OnBehalfOf;
use crate::inventory::{AccountInventory, KeyDetail};
use crate::key::KeyId;
use crate::manifest::Manifest;
use crate::name::Name;
use crate::sink::{LocationId, SinkLocation};
use crate::state::AccountState;

/// The version of the document that this gridkey writes.
pub const FORMAT_VERSION: u32 = 1;

/// The JSON Schema of the document, draft 2020-12.
pub fn whois_schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Whois>().to_value();
    schema["title"] = "gridkey whois".into();
    schema
}

/// Where to look for keys, so that no account and no sink is asked in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Accounts of the manifest.
    pub accounts: BTreeSet<Name>,
    /// The account of each key that state knows. A list may trail, so such a key is asked for even where it is not listed.
    pub known: BTreeMap<KeyId, Name>,
    /// Locations that can be read.
    pub locations: Vec<SinkLocation>,
}

/// Where these keys can be: what state knows is in the account and the locations that state names, anything else can be
/// anywhere.
pub fn search(manifest: &Manifest, states: &BTreeMap<Name, AccountState>, ids: &BTreeSet<KeyId>) -> Search {
    let mut known = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for (name, state) in states {
        for (id, address) in state.owned_ids() {
            if ids.contains(id) {
                known.insert(id.clone(), name.clone());
                addresses.insert(address);
            }
        }
    }
    let is_all_known = known.len() == ids.len();
    let accounts = match is_all_known {
        true => known.values().filter(|name| manifest.accounts.contains_key(*name)).cloned().collect(),
        false => manifest.accounts.keys().cloned().collect(),
    };
    let locations = locations(manifest, states).filter(|(address, location)| {
        location.at.is_readable() && (!is_all_known || addresses.contains(address))
    });
    let locations: BTreeMap<LocationId, SinkLocation> =
        locations.map(|(_, location)| (location.id(), location.clone())).collect();
    Search { accounts, known, locations: locations.into_values().collect() }
}

/// Every location that has, had or is to have a key, with its address.
fn locations<'a>(
    manifest: &'a Manifest,
    states: &'a BTreeMap<Name, AccountState>,
) -> impl Iterator<Item = (&'a Address, &'a SinkLocation)> {
    let wanted = manifest.keys.iter();
    let wanted = wanted.flat_map(|(address, key)| key.sinks.iter().map(move |location| (address, location)));
    wanted.chain(states.values().flat_map(AccountState::locations))
}

/// A key that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub id: KeyId,
    /// Where it was found.
    pub places: Vec<Place>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub file: String,
    pub line: u64,
}

/// Whose keys they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Whois {
    pub format_version: u32,
    pub project: Name,
    /// Those that were looked at, and those that an answer names.
    pub accounts: BTreeMap<Name, AskedAccount>,
    /// In the order in which they were asked for.
    pub answers: Vec<Answer>,
}

/// An account, and whether it could be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedAccount {
    /// The account whose managing key it is reached with.
    pub parent: Option<Name>,
    pub on_behalf_of: Option<OnBehalfOf>,
    /// When it was looked at, by SendGrid's clock.
    #[schemars(with = "Option<String>")]
    pub observed_at: Option<Timestamp>,
    /// Why it was not. It is never read as "there are no keys".
    pub unreadable: Option<String>,
}

/// What is known of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub id: KeyId,
    /// Whether it works; `None` where an account that may have it could not be looked at.
    pub live: Option<bool>,
    /// `None` where neither state nor an account knows it.
    pub key: Option<AuditedKey>,
    /// Locations of the project's sinks that were seen to hold it.
    pub held_by: Vec<SinkLocation>,
    /// Where it was found in files.
    pub places: Vec<Place>,
    /// The command for a key that has leaked.
    pub if_leaked: Option<String>,
    /// The command that finds what uses it.
    pub who_uses_it: Option<String>,
    /// What else to know before anything is done.
    pub notes: Vec<String>,
}

impl Answer {
    /// Whether state or an account knows the key.
    pub fn is_found(&self) -> bool {
        self.key.is_some()
    }
}

/// What state says of an address: its keys and creations, the current one first, and their accounts.
pub fn keys_at(input: &AuditInput<'_>, address: &Address) -> (Vec<AuditedKey>, BTreeMap<Name, AskedAccount>) {
    let mut keys = audit(input).keys;
    keys.retain(|key| key.address.as_ref() == Some(address));
    keys.sort_by_key(|key| (key.status, std::cmp::Reverse(key.generation)));
    let names: BTreeSet<&Name> = keys.iter().map(|key| &key.account).collect();
    let accounts = names.into_iter().map(|name| (name.clone(), asked(input, name))).collect();
    (keys, accounts)
}

/// Says whose keys these are.
pub fn whois(input: &AuditInput<'_>, subjects: &[Subject]) -> Whois {
    let audited = audit(input);
    let answers: Vec<Answer> = subjects.iter().map(|subject| answer(input, &audited, subject)).collect();
    let named = answers.iter().filter_map(|answer| answer.key.as_ref()).map(|key| &key.account);
    let names: BTreeSet<&Name> = input.inventory.accounts.keys().chain(named).collect();
    let accounts = names.into_iter().map(|name| (name.clone(), asked(input, name))).collect();
    Whois { format_version: FORMAT_VERSION, project: input.manifest.project.clone(), accounts, answers }
}

fn asked(input: &AuditInput<'_>, name: &Name) -> AskedAccount {
    let of_manifest = input.manifest.accounts.get(name);
    let of_state = input.states.get(name).map(|state| &state.identity);
    let (observed_at, unreadable) = match input.inventory.accounts.get(name) {
        Some(AccountInventory::Read(read)) => (Some(read.at), None),
        Some(AccountInventory::Unreadable(unreadable)) => (None, Some(unreadable.message.clone())),
        None if of_manifest.is_none() => (None, Some("the manifest does not have it any more".to_string())),
        None => (None, None),
    };
    AskedAccount {
        parent: of_manifest.map_or_else(
            || of_state.and_then(|identity| identity.parent.clone()),
            |account| account.parent.clone(),
        ),
        on_behalf_of: of_manifest.map_or_else(
            || of_state.and_then(|identity| identity.on_behalf_of.clone()),
            |account| account.on_behalf_of.clone(),
        ),
        observed_at,
        unreadable,
    }
}

fn answer(input: &AuditInput<'_>, audited: &Audit, subject: &Subject) -> Answer {
    let id = &subject.id;
    let listed = audited.keys.iter().find(|key| key.id.as_ref() == Some(id));
    let key = listed.cloned().or_else(|| managing(input, id));
    let live = live(input, key.as_ref(), id);
    let mut notes = Vec::new();
    let if_leaked =
        key.as_ref().filter(|_| live != Some(false)).and_then(|key| if_leaked(key, id, &mut notes));
    if live == Some(false) {
        notes.extend(key.as_ref().map(|key| gone(key).to_string()));
    }
    if key.is_none() {
        notes.extend(address_of_this_name(input, id));
    }
    Answer {
        id: id.clone(),
        live,
        held_by: held_by(input, id),
        places: subject.places.clone(),
        if_leaked,
        // SendGrid does not say when a key was last used, or by what.
        who_uses_it: (live != Some(false)).then(|| format!("gridkey whois {id} --scan PATH")),
        key,
        notes,
    }
}

/// An address without an environment could be an id as well.
fn address_of_this_name(input: &AuditInput<'_>, id: &KeyId) -> Option<String> {
    let mut addresses = input.states.values().flat_map(|state| state.keys.keys());
    let address = addresses.find(|address| address.to_string() == id.as_str())?;
    Some(format!("it is an address, and not the ID of a key: `gridkey state show {address}` shows its key"))
}

/// A key that gridkey works with, and that no list has: the list of a subuser does not show its parent's keys.
fn managing(input: &AuditInput<'_>, id: &KeyId) -> Option<AuditedKey> {
    let read = input.inventory.accounts.iter().find_map(|(name, account)| match account {
        AccountInventory::Read(read) => (read.managing_key.as_ref() == Some(id)).then_some(name),
        AccountInventory::Unreadable(_) => None,
    });
    let remembered = || {
        let state = input.states.iter().find(|(_, state)| state.managing_key.as_ref() == Some(id));
        state.map(|(name, _)| name)
    };
    let name = read.or_else(remembered)?;
    let parent = input.manifest.accounts.get(name).and_then(|account| account.parent.as_ref());
    let mut key = AuditedKey::new(parent.unwrap_or(name), Status::Managing);
    key.id = Some(id.clone());
    Some(key)
}

fn live(input: &AuditInput<'_>, key: Option<&AuditedKey>, id: &KeyId) -> Option<bool> {
    let Some(key) = key else {
        let accounts = &input.inventory.accounts;
        let is_read = |account: &AccountInventory| matches!(account, AccountInventory::Read(_));
        return (!accounts.is_empty() && accounts.values().all(is_read)).then_some(false);
    };
    let read = input.inventory.account(&key.account)?;
    let is_shown = matches!(read.details.get(id), Some(KeyDetail::Scopes(_)));
    // What was asked with was let in.
    Some(is_shown || read.live.contains_key(id) || read.managing_key.as_ref() == Some(id))
}

/// The command that takes a leaked key out of the world.
fn if_leaked(key: &AuditedKey, id: &KeyId, notes: &mut Vec<String>) -> Option<String> {
    let account = &key.account;
    let address = key.address.as_ref();
    match key.status {
        Status::Owned if key.concerns.contains(&Concern::NotInManifest) => {
            notes.push("the manifest does not have it, so that an apply revokes it".to_string());
            address.map(|address| format!("gridkey apply --only {address}"))
        }
        Status::Owned => address.map(|address| format!("gridkey rotate {address} --revoke-old now")),
        Status::Retiring => address.map(|address| format!("gridkey retire {address} --now")),
        Status::Pending | Status::Abandoned => {
            notes.push("a run began it and broke off; an apply decides what becomes of it".to_string());
            address.map(|address| format!("gridkey apply --only {address}"))
        }
        Status::Foreign => Some(format!("gridkey revoke {id} --account {account}")),
        Status::Managing => {
            notes.push(format!(
                "it is never revoked while gridkey works with it: make another one at SendGrid by hand, put it where the \
                 manifest says for account `{account}`, and then revoke this one with `gridkey revoke {id} --account {account}`"
            ));
            None
        }
    }
}

/// What it means that a key does not work any more.
fn gone(key: &AuditedKey) -> &'static str {
    match key.status {
        Status::Owned => "it is gone from the account; `gridkey plan` says what becomes of its address",
        Status::Retiring | Status::Pending | Status::Abandoned | Status::Foreign | Status::Managing => {
            "it is gone from the account, so there is nothing to revoke"
        }
    }
}

fn held_by(input: &AuditInput<'_>, id: &KeyId) -> Vec<SinkLocation> {
    let all: BTreeMap<LocationId, &SinkLocation> =
        locations(input.manifest, input.states).map(|(_, location)| (location.id(), location)).collect();
    let held = all.into_values().filter(|location| input.inventory.holds(location, id));
    held.cloned().collect()
}
