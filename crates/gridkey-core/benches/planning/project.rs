//! A project of any size in one of four shapes, as state, SendGrid and the sinks would have it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gridkey_core::access::Access;
use gridkey_core::inventory::{
    AccountInventory, Grantable, Inventory, KeyDetail, ReadAccount, SinkContent, SinkObservation,
};
use gridkey_core::manifest::{Manifest, SourceFile, WantedAccess, WantedKey, load};
use gridkey_core::plan::{Action, Options, Plan, PlanInput, Seed, Selection, plan};
use gridkey_core::state::{AccountState, Born, Delivery, OwnedKey, SecretStatus};
use gridkey_core::{KeyId, Name, Scope, Scopes};
use jiff::{SignedDuration, Timestamp};

/// What differs between state and manifest, in every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    NoChange,
    SinkAdded,
    ScopesEdited,
    AllDue,
}

impl Shape {
    pub const ALL: [Self; 4] = [Self::NoChange, Self::SinkAdded, Self::ScopesEdited, Self::AllDue];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoChange => "no change",
            Self::SinkAdded => "sink added",
            Self::ScopesEdited => "scopes edited",
            Self::AllDue => "all due",
        }
    }

    /// What is done with every key.
    fn action(self) -> Action {
        match self {
            Self::NoChange => Action::Keep,
            Self::SinkAdded => Action::Deliver,
            Self::ScopesEdited => Action::Update,
            Self::AllDue => Action::Rotate,
        }
    }
}

/// Everything that a plan is computed from.
pub struct Project {
    manifest: Manifest,
    states: BTreeMap<Name, AccountState>,
    inventory: Inventory,
    selection: Selection,
    options: Options,
    now: Timestamp,
    shape: Shape,
    size: usize,
}

impl Project {
    pub fn new(accounts: usize, keys: usize, shape: Shape) -> Self {
        let now: Timestamp = "2026-06-01T00:00:00Z".parse().expect("a time");
        let older = manifest(accounts, keys, Shape::NoChange);
        let age = if shape == Shape::AllDue { 31 } else { 1 };
        let born = now.checked_sub(SignedDuration::from_hours(24 * age)).expect("a time");
        let states = states(&older, born);
        // It is not part of what a plan is computed from, so its memory is not to count either.
        drop(older);
        let manifest = manifest(accounts, keys, shape);
        let inventory = inventory(&manifest, &states, now);
        let (selection, options, size) = (Selection::default(), Options::default(), accounts * keys);
        Self { manifest, states, inventory, selection, options, now, shape, size }
    }

    pub fn plan(&self) -> Plan {
        plan(&PlanInput {
            manifest: &self.manifest,
            selection: &self.selection,
            states: &self.states,
            inventory: &self.inventory,
            policy: None,
            now: self.now,
            seed: &Seed([7; 32]),
            options: &self.options,
        })
    }

    /// A plan that is quick because it found something else to do proves nothing.
    pub fn check(&self, plan: &Plan) {
        let action = self.shape.action();
        let count = plan.changes.iter().filter(|change| change.action == action).count();
        assert_eq!(count, self.size, "{}: every key is to be {action}", self.shape.as_str());
        assert!(plan.accounts.len() > 1, "the accounts are planned");
    }
}

/// Fan-out over subusers, each with the same keys and room for all of them twice.
fn manifest(accounts: usize, keys: usize, shape: Shape) -> Manifest {
    let sinks = if shape == Shape::SinkAdded { "first, second" } else { "first" };
    let scopes = if shape == Shape::ScopesEdited { "mail.send, stats.read" } else { "mail.send" };
    let mut text = String::from("version: 1\nproject: bench\naccounts:\n  acme: { api_key: { env: KEY } }\n");
    for account in 0..accounts {
        let line =
            format!("  a-{account}: {{ parent: acme, subuser: a-{account}, key_limit: {} }}", keys * 2 + 1);
        writeln!(text, "{line}").expect("text grows");
    }
    text.push_str("sinks:\n");
    for sink in ["first", "second"] {
        let line = format!(
            "  {sink}: {{ dotenv: {{ path: \"{{account}}/{sink}.env\", variable: \"SENDGRID_{{KEY}}\" }} }}"
        );
        writeln!(text, "{line}").expect("text grows");
    }
    let defaults = format!("{{ sinks: [{sinks}], rotate: {{ every: 30d, overlap: 24h }} }}");
    writeln!(text, "defaults: {defaults}\nenvironments:\n  all: {{ accounts: [\"a-*\"] }}\nkeys:")
        .expect("text grows");
    for key in 0..keys {
        writeln!(text, "  key-{key}: {{ scopes: [{scopes}] }}").expect("text grows");
    }
    let file = SourceFile { name: "gridkey.yaml".to_string(), bytes: text.into_bytes() };
    load(&[file], &[]).expect("the manifest is good").manifest
}

/// State as it is once a manifest was applied.
fn states(applied: &Manifest, born: Timestamp) -> BTreeMap<Name, AccountState> {
    let mut states: BTreeMap<Name, AccountState> = BTreeMap::new();
    for (number, key) in applied.keys.values().enumerate() {
        let state = states.entry(key.account.clone()).or_insert_with(|| {
            let identity = applied.accounts[&key.account].identity();
            AccountState::new(applied.project.clone(), key.account.clone(), identity, "lineage".to_string())
        });
        state.keys.insert(key.address.clone(), owned(number, key, born));
    }
    states
}

fn owned(number: usize, key: &WantedKey, born: Timestamp) -> OwnedKey {
    let WantedAccess::Restricted(wanted) = &key.access else { panic!("all keys are restricted") };
    let scopes = Scopes::new(wanted.all()).expect("it has scopes");
    OwnedKey {
        id: KeyId::new(format!("key-id-{number:015}")),
        name: key.name.clone(),
        held_name: None,
        reported: Some(scopes.as_set().clone()),
        access: Access::Restricted(scopes),
        patterns: BTreeSet::new(),
        generation: 1,
        follows: None,
        kept_until: None,
        born: Born::Created(born),
        first_made: None,
        moved_from: None,
        short_lived: false,
        makes_room: false,
        lifecycle: Some(key.lifecycle()),
        secret: SecretStatus::Delivered,
        owner: key.owner.clone(),
        protect: key.protect,
        on_delete: key.on_delete,
        sinks: key.sinks.iter().map(|location| Delivery::new(location.clone(), born)).collect(),
        by: "bench".to_string(),
        hooks_due: Vec::new(),
        retiring: Vec::new(),
        retiring_locations: Vec::new(),
    }
}

/// What is observed, were everything as state has it.
fn inventory(manifest: &Manifest, states: &BTreeMap<Name, AccountState>, now: Timestamp) -> Inventory {
    let mut inventory = Inventory::default();
    for name in manifest.accounts.keys() {
        let mut read = ReadAccount {
            at: now,
            only_plans: false,
            managing_key: Some(KeyId::new("managing-key-of-bench".to_string())),
            live: BTreeMap::new(),
            details: BTreeMap::new(),
            grantable: Grantable::Known(["mail.send", "stats.read"].map(Scope::new).into()),
        };
        for key in states.get(name).into_iter().flat_map(|state| state.keys.values()) {
            read.live.insert(key.id.clone(), key.name.clone());
            read.details.insert(key.id.clone(), KeyDetail::Scopes(key.reported.clone().unwrap_or_default()));
            for delivery in &key.sinks {
                let holds = SinkObservation::Holds(SinkContent::Key(key.id.clone()));
                inventory.sinks.insert(delivery.location.id(), holds);
            }
        }
        inventory.accounts.insert(name.clone(), AccountInventory::Read(read));
    }
    for location in manifest.keys.values().flat_map(|key| &key.sinks) {
        inventory.sinks.entry(location.id()).or_insert(SinkObservation::Holds(SinkContent::Empty));
    }
    inventory
}
