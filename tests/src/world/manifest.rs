//! Manifests for the world, built without a parser.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::hook::Hook;
use gridkey_core::manifest::{
    Account, Credential, Manifest, OnDelete, Policy, Position, StoreSettings, WantedAccess, WantedKey,
    WantedScopes,
};
use gridkey_core::sink::{DotenvSettings, GithubActionsSettings};
use gridkey_core::{Address, LocationId, Name, Region, Scope, SinkLocation, SinkSettings};

use super::hooks::hook;
use super::{acme, branch, name};

/// A key that should exist.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub address: &'static str,
    pub scopes: &'static [&'static str],
    /// `r…` can be read, `w…` cannot.
    pub locations: &'static [&'static str],
}

/// A manifest of the account `acme` and, where it is asked for, of `branch`.
#[derive(Clone)]
pub struct WorldManifest {
    pub manifest: Manifest,
}

fn position() -> Position {
    Position { file: "gridkey.yaml".to_string(), line: 1, column: 1 }
}

/// A location whose name says whether it can be read.
pub fn location(text: &str) -> SinkLocation {
    let at = if text.starts_with('r') {
        SinkSettings::Dotenv(DotenvSettings::new(".env", text))
    } else {
        SinkSettings::GithubActions(GithubActionsSettings {
            repository: Some("acme/shop".to_string()),

            secret: text.to_string(),
            ..GithubActionsSettings::default()
        })
    };
    SinkLocation::new(name("sink"), at)
}

fn account(name: Name, key_limit: u32) -> Account {
    Account {
        name,
        parent: None,
        api_key: Credential::Env("SENDGRID_API_KEY".to_string()),
        plan_api_key: None,
        on_behalf_of: None,
        region: Region::Global,
        key_limit,
        max_keys: None,
        position: position(),
    }
}

impl WorldManifest {
    pub fn new(wanted: &[Wanted], key_limit: u32) -> Self {
        let keys = wanted.iter().map(|wanted| {
            let address: Address = wanted.address.parse().expect("an address");
            let scopes = WantedScopes {
                written: wanted.scopes.iter().map(|scope| Scope::new(*scope)).collect(),
                ..WantedScopes::default()
            };
            let key = WantedKey {
                address: address.clone(),
                account: acme(),
                name: address.default_key_name(),
                access: WantedAccess::Restricted(scopes.into()),
                sinks: wanted.locations.iter().map(|text| location(text)).collect(),
                owner: None,
                description: None,
                protect: false,
                rotate: None,
                ttl: None,
                hooks: Vec::new(),
                on_delete: OnDelete::Clear,
                position: position(),
            };
            (address, key)
        });
        let manifest = Manifest {
            project: name("mailing"),
            state: StoreSettings::default(),
            accounts: BTreeMap::from([(acme(), account(acme(), key_limit))]),
            sinks: BTreeMap::new(),
            environments: BTreeMap::new(),
            patterns: BTreeMap::new(),
            keys: keys.collect(),
            moved: Vec::new(),
            import: Vec::new(),
            removed: Vec::new(),
            policy: Policy::default(),
            sources: Vec::new(),
        };
        Self { manifest }
    }

    /// The same with the account `branch`, and with these keys in it.
    pub fn with_branch(mut self, addresses: &[&str], key_limit: u32) -> Self {
        let keys = &mut self.manifest.keys;
        for (address, key) in keys.iter_mut() {
            if addresses.contains(&address.to_string().as_str()) {
                key.account = branch();
            }
        }
        self.manifest.accounts.insert(branch(), account(branch(), key_limit));
        self
    }

    /// The same with something to do about each delivery: of each key, and with `of_sinks` of their sinks.
    pub fn with_hooks(mut self, of_sinks: bool) -> Self {
        for key in self.manifest.keys.values_mut() {
            let sinks = key.sinks.iter().filter(|_| of_sinks).map(|location| Some(location.sink.clone()));
            let whose: BTreeSet<Option<Name>> = sinks.chain([None]).collect();
            key.hooks = whose.into_iter().map(|sink| Hook { does: hook(sink.as_ref()), sink }).collect();
        }
        self
    }

    pub(super) fn accounts(&self) -> BTreeSet<Name> {
        self.manifest.accounts.keys().cloned().collect()
    }

    /// The locations that consumers read.
    pub fn locations(&self) -> Vec<LocationId> {
        self.manifest.keys.values().flat_map(|key| key.sinks.iter().map(SinkLocation::id)).collect()
    }
}
