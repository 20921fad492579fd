//! Comparison: two manifests, and nothing else. For branches that nobody trusts with a credential yet.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::access::{Access, Scopes};
use crate::finding::{Code, Finding, Severity};
use crate::inventory::{
    AccountInventory, Grantable, Inventory, KeyDetail, ReadAccount, SinkContent, SinkObservation,
};
use crate::key::KeyId;
use crate::manifest::{Manifest, PolicyFile, WantedAccess, WantedKey};
use crate::name::Name;
use crate::plan::document::change::{Note, Plan, PlanKind};
use crate::plan::input::{Due, Options, PlanInput, Selection};
use crate::plan::judge::reach::reach;
use crate::plan::seed::Seed;
use crate::plan::stages::plan;
use crate::state::{AccountState, Born, Delivery, OwnedKey, SecretStatus};

/// What would change from one manifest to another, were everything just as the first one says.
///
/// Ids, steps and capacity are left out: nothing was asked that could tell them.
pub fn compare(
    older: &Manifest,
    newer: &Manifest,
    policy: Option<&PolicyFile>,
    selection: &Selection,
    now: Timestamp,
    options: &Options,
) -> Plan {
    let states = states(older, newer, now);
    // Nothing is known of ages, so nothing is due.
    let options = &Options { due: Due::Exclude, ..options.clone() };
    let inventory = inventory(&states, newer, now);
    let mut plan = plan(&PlanInput {
        manifest: newer,
        selection,
        states: &states,
        inventory: &inventory,
        policy,
        now,
        seed: &Seed([0; 32]),
        options,
    });
    plan.kind = PlanKind::Comparison;
    plan.computed_from.against = older.sources.clone();
    plan.computed_from.sinks = false;
    for account in plan.accounts.values_mut() {
        (account.lineage, account.observed_at, account.capacity) = (None, None, None);
    }
    for change in &mut plan.changes {
        let values = [&mut change.before, &mut change.after];
        values.into_iter().flatten().for_each(|values| values.id = None);
        change.steps.clear();
        change.rotation = None;
        change.notes.retain(|note| matches!(note, Note::LeftOut(_)));
    }
    for finding in &mut plan.findings {
        // Only the account's own list could tell.
        if finding.code == Code::UnknownScope && finding.severity == Severity::Blocks {
            finding.severity = Severity::Warns;
        }
    }
    plan.findings.extend(reach(newer, policy));
    plan.findings.push(Finding::warns(
        Code::NotChecked,
        "two manifests were compared, and nothing else: no account, state or sink was looked at",
        "a plan with a credential tells what would really be done",
    ));
    plan.findings.sort();
    plan.findings.dedup();
    plan
}

/// State as it would be, had the older manifest just been applied: no key is past its environment's `ttl`.
fn states(older: &Manifest, newer: &Manifest, now: Timestamp) -> BTreeMap<Name, AccountState> {
    let mut states: BTreeMap<Name, AccountState> = BTreeMap::new();
    for key in older.keys.values() {
        let Some(account) = older.accounts.get(&key.account) else {
            continue;
        };
        let state = states.entry(key.account.clone()).or_insert_with(|| {
            AccountState::new(newer.project.clone(), key.account.clone(), account.identity(), String::new())
        });
        state.keys.insert(key.address.clone(), owned(key, now));
    }
    states
}

fn owned(key: &WantedKey, now: Timestamp) -> OwnedKey {
    let access = access(&key.access);
    OwnedKey {
        id: KeyId::new(format!("of {}", key.address)),
        name: key.name.clone(),
        held_name: None,
        reported: access.scopes().map(|scopes| scopes.as_set().clone()),
        access,
        patterns: key
            .access
            .scopes()
            .map(|scopes| scopes.expanded.values().cloned().collect())
            .unwrap_or_default(),
        generation: 1,
        follows: None,
        kept_until: None,
        born: Born::FirstSeen(now),
        first_made: None,
        moved_from: None,
        short_lived: key.ttl.is_some(),
        makes_room: false,
        lifecycle: Some(key.lifecycle()),
        secret: SecretStatus::Delivered,
        owner: key.owner.clone(),
        protect: key.protect,
        on_delete: key.on_delete,
        sinks: key.sinks.iter().map(|location| Delivery::new(location.clone(), now)).collect(),
        by: String::new(),
        hooks_due: Vec::new(),
        retiring: Vec::new(),
        retiring_locations: Vec::new(),
    }
}

fn access(wanted: &WantedAccess) -> Access {
    let scopes = wanted.scopes().map(|scopes| {
        let mut all = scopes.all();
        all.extend(scopes.unknown.keys().cloned());
        all
    });
    let scopes = scopes.and_then(|scopes| Scopes::new(scopes).ok());
    match (wanted, scopes) {
        (WantedAccess::Restricted(_), Some(scopes)) => Access::Restricted(scopes),
        (WantedAccess::Billing(_), Some(scopes)) => Access::Billing(scopes),
        // A manifest's scopes are never empty, so there is no other case than Full Access.
        (WantedAccess::Full | WantedAccess::Restricted(_) | WantedAccess::Billing(_), _) => Access::Full,
    }
}

/// What would be observed, had the older manifest been applied and nothing happened since.
fn inventory(states: &BTreeMap<Name, AccountState>, newer: &Manifest, now: Timestamp) -> Inventory {
    let mut inventory = Inventory::default();
    let none = BTreeMap::new();
    for name in newer.accounts.keys() {
        let keys = states.get(name).map_or(&none, |state| &state.keys);
        let details = keys.values().map(|key| {
            let scopes = key.access.scopes().map(|scopes| scopes.as_set().clone()).unwrap_or_default();
            (key.id.clone(), KeyDetail::Scopes(scopes))
        });
        let read = ReadAccount {
            at: now,
            managing_key: None,
            only_plans: false,
            live: keys.values().map(|key| (key.id.clone(), key.name.clone())).collect(),
            details: details.collect(),
            grantable: Grantable::NotAsked,
        };
        inventory.accounts.insert(name.clone(), AccountInventory::Read(read));
        for key in keys.values() {
            for delivery in key.sinks.iter().filter(|delivery| delivery.location.at.is_readable()) {
                let holds = SinkObservation::Holds(SinkContent::Key(key.id.clone()));
                inventory.sinks.insert(delivery.location.id(), holds);
            }
        }
    }
    let known: BTreeSet<_> = inventory.sinks.keys().cloned().collect();
    for location in newer.keys.values().flat_map(|key| &key.sinks) {
        if location.at.is_readable() && !known.contains(&location.id()) {
            inventory.sinks.insert(location.id(), SinkObservation::Holds(SinkContent::Empty));
        }
    }
    inventory
}
