//! No rule that denies comes to be broken by a plan, unless the plan blocks or a person with the right to it let
//! that pass.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::inventory::{AccountInventory, KeyDetail};
use gridkey_core::manifest::{Policy, RequiredRotation, Rotation, Rule, Verdict};
use gridkey_core::plan::{Change, Code, Due, KeyValues, Plan, Severity, Step};
use gridkey_core::state::{OwnedKey, SecretStatus};
use gridkey_core::{Access, Address, Name, Scope};

use crate::effect::{is_blocked, moves};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, Event, HISTORY, RULES, Recipe, World};

/// Rules, without what lets their findings pass.
const RULES_ALONE: &[Event] = &[World::rule, World::file_rule, World::file_rule];

/// What leaves changes to another run.
const NARROWS: &[Event] = &[World::due_exclude, World::due_only, World::environments, World::only];

/// What can make a key break a rule.
const BREAKS: &[Event] = &[
    World::edit_scopes,
    World::edit_scopes,
    World::edit_access,
    World::edit_name,
    World::edit_sinks,
    World::edit_owner,
    World::edit_rotation,
    World::edit_rotation,
    World::edit_account,
    World::key_added,
    World::moved,
    World::moved,
    World::moved_pattern,
    World::swapped,
    World::import,
    World::vanished,
    World::aged,
    World::pending,
    World::sink_changed,
    World::request_rotation,
    World::scopes_drifted,
    World::look_in_sinks,
];

#[test]
fn no_plan_breaks_a_rule_without_blocking() {
    let property = Property {
        name: "policy",
        always: &[RULES_ALONE, RULES_ALONE, BREAKS, BREAKS],
        events: &[RULES, RULES, BREAKS, BREAKS, BREAKS, EDITS, HISTORY, NARROWS],
        later: &[],
        interesting: &[
            ("a rule that comes to be broken", 400),
            ("by a mint", 300),
            ("by a move", 50),
            ("against the policy file", 300),
            ("let pass by a person", 8),
            ("a manifest's exception against the policy file", 2),
        ],
    };
    property.holds(check);
}

/// Findings that nobody can let pass: what is planned beside them is never done.
const NEVER: [Code; 10] = [
    Code::AccountLeft,
    Code::Capacity,
    Code::ImportAmbiguous,
    Code::ImportMismatch,
    Code::ImportNotFound,
    Code::ImportOwned,
    Code::LocationTaken,
    Code::MoveTaken,
    Code::NoSink,
    Code::Protected,
];

/// What rules look at of a key.
#[derive(Clone, Debug)]
struct Key {
    address: Address,
    account: Name,
    name: String,
    access: Access,
    sinks: BTreeSet<Name>,
    owner: Option<String>,
    rotate: Option<Rotation>,
}

/// What of a rule a key breaks: the code, and for scopes which.
type Break = (Code, Option<Scope>);

/// What a rule says of a key: the most exact place wins.
fn said<'p, T>(rule: &'p Rule<T>, key: &Key) -> Option<&'p T> {
    let environment = key.address.environment.as_ref().map(ToString::to_string);
    let places = [Some(key.address.to_string()), environment, Some(key.account.to_string())];
    places.into_iter().flatten().find_map(|place| rule.exceptions.get(&place)).or(rule.default.as_ref())
}

fn is_forbidden(pattern: &str, scope: &str) -> bool {
    match pattern.strip_suffix(".*").or_else(|| pattern.strip_suffix(":full")) {
        Some(prefix) => scope == prefix || scope.starts_with(&format!("{prefix}.")),
        None => pattern == scope,
    }
}

/// Whether a name is one that a pattern with one star asks for.
fn fits(pattern: &str, name: &str) -> bool {
    let (before, after) = pattern.split_once('*').unwrap();
    name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
}

/// All that a key breaks of a policy.
fn breaks(policy: &Policy, key: &Key) -> BTreeSet<Break> {
    let mut all = BTreeSet::new();
    if key.access == Access::Full && said(&policy.full_access, key) == Some(&Verdict::Deny) {
        all.insert((Code::FullAccess, None));
    }
    let forbidden = said(&policy.forbid_scopes, key).map(Vec::as_slice).unwrap_or_default();
    match key.access.scopes() {
        None if !forbidden.is_empty() => {
            all.insert((Code::ForbiddenScope, None));
        }
        None => {}
        Some(scopes) => {
            for scope in scopes.iter() {
                if forbidden.iter().any(|pattern| is_forbidden(&pattern.0, scope.as_str())) {
                    all.insert((Code::ForbiddenScope, Some(scope.clone())));
                }
            }
        }
    }
    if said(&policy.require_owner, key) == Some(&true) && key.owner.is_none() {
        all.insert((Code::MissingOwner, None));
    }
    if let Some(RequiredRotation::Every(most)) = said(&policy.require_rotation, key)
        && key.rotate.is_none_or(|rotate| rotate.every > *most)
    {
        all.insert((Code::MissingRotation, None));
    }
    if said(&policy.require_sink, key).is_some_and(|required| {
        required.iter().any(|sink| !key.sinks.iter().any(|name| sink.to_string() == name.as_str()))
    }) {
        all.insert((Code::MissingSink, None));
    }
    if said(&policy.name_pattern, key).is_some_and(|pattern| !fits(pattern, &key.name)) {
        all.insert((Code::NamePattern, None));
    }
    all
}

fn sinks<'a>(all: impl IntoIterator<Item = &'a gridkey_core::SinkLocation>) -> BTreeSet<Name> {
    all.into_iter().map(|location| location.sink.clone()).collect()
}

/// The sinks that a key's secret is to go to, where nobody is known to have it.
fn wanted_sinks(world: &World, address: &Address) -> BTreeSet<Name> {
    world.manifest.keys.get(address).map(|wanted| sinks(&wanted.sinks)).unwrap_or_default()
}

/// Whether a change leaves a key whose secret nobody is known to have.
fn has_unknown_secret(world: &World, change: &Change) -> bool {
    let adopted = change.steps.iter().find_map(|step| match step {
        Step::Adopt(adopt) => Some(adopt.secret),
        _ => None,
    });
    let id = change.after.as_ref().and_then(|after| after.id.as_ref());
    let owned = world.states.get(&change.account).into_iter().flat_map(|state| state.keys.values());
    let known = owned.filter(|key| Some(&key.id) == id).map(|key| key.secret).next();
    adopted.or(known) == Some(SecretStatus::Unknown)
}

/// A key as state has it, with the settings of the manifest that was applied last.
fn before(world: &World, account: &Name, address: &Address, owned: &OwnedKey) -> Key {
    Key {
        address: address.clone(),
        account: account.clone(),
        name: owned.name.clone(),
        access: owned.access.clone(),
        sinks: match owned.secret {
            SecretStatus::Delivered => sinks(owned.sinks.iter().map(|delivery| &delivery.location)),
            SecretStatus::Unknown => wanted_sinks(world, address),
        },
        owner: owned.owner.clone(),
        rotate: owned.lifecycle.and_then(|lifecycle| lifecycle.rotate),
    }
}

/// A key as a change leaves it.
fn after(world: &World, change: &Change, values: &KeyValues) -> Key {
    Key {
        address: change.address.clone(),
        account: change.account.clone(),
        name: values.name.clone(),
        access: values.access.clone(),
        sinks: if has_unknown_secret(world, change) {
            wanted_sinks(world, &change.address)
        } else {
            sinks(&values.sinks)
        },
        owner: values.owner.clone(),
        rotate: values.rotate,
    }
}

/// Every key that was at a change's address before, in any account and whatever its address was, with what
/// people changed by hand, and with the one that was begun.
fn befores(world: &World, plan: &Plan, change: &Change) -> Vec<Key> {
    let moved = moves(plan);
    let mut all = Vec::new();
    for (account, state) in &world.states {
        for (address, owned) in &state.keys {
            let to = moved.get(&(account.clone(), address.clone())).unwrap_or(address);
            // Where moves cannot be carried out, a key can be planned at both addresses.
            if *to != change.address && *address != change.address {
                continue;
            }
            let key = before(world, account, address, owned);
            if let Some(live) = by_hand(world, account, owned) {
                all.push(Key { access: live, ..key.clone() });
            }
            all.push(key);
        }
        for step in &change.steps {
            if let Step::FinishPending(finish) = step
                && let Some(pending) = state.pending.get(&finish.marker)
            {
                all.push(Key {
                    address: change.address.clone(),
                    account: account.clone(),
                    name: pending.name.clone(),
                    access: pending.access.clone(),
                    sinks: sinks(&pending.locations),
                    owner: Some("as it was begun".to_string()),
                    rotate: None,
                });
            }
        }
    }
    all
}

/// What a key holds at SendGrid.
fn by_hand(world: &World, account: &Name, owned: &OwnedKey) -> Option<Access> {
    let Some(AccountInventory::Read(read)) = world.inventory.accounts.get(account) else { return None };
    match read.details.get(&owned.id) {
        Some(KeyDetail::Scopes(scopes)) if owned.access != Access::Full && !scopes.is_empty() => {
            Some(crate::world::restricted(scopes))
        }
        Some(KeyDetail::Scopes(_) | KeyDetail::Missing) | None => None,
    }
}

/// Whether a person lets this code pass: everyone for the manifest's rules, and for those of the file only the
/// command line and the file itself.
fn is_allowed(world: &World, of_file: bool, code: Code, address: &Address) -> bool {
    let today = jiff::tz::TimeZone::UTC.to_datetime(world.now).date();
    let here = |place: &Option<Address>| place.is_none() || place.as_ref() == Some(address);
    let once = world.options.allow.iter().any(|allow| allow.code == code && here(&allow.address));
    let lasting = |policy: &Policy| {
        policy.allow.iter().any(|allowance| {
            allowance.code == code.as_str()
                && here(&allowance.address)
                && allowance.until.is_none_or(|until| today <= until)
        })
    };
    once || world.policy.as_ref().is_some_and(|file| lasting(&file.policy))
        || (!of_file && lasting(&world.manifest.policy))
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    let plan = world.plan();
    let mut all = Vec::new();
    for change in &plan.changes {
        // A key whose account is left alone stays as it is.
        let alone = plan.findings.iter().any(|finding| {
            finding.severity == Severity::BlocksAccount && finding.account.as_ref() == Some(&change.account)
        });
        let Some(values) = change.after.as_ref().filter(|_| !alone) else { continue };
        let key = after(&world, change, values);
        let befores = befores(&world, &plan, change);
        let file = world.policy.as_ref().map(|file| (&file.policy, true));
        for (policy, of_file) in file.into_iter().chain([(&world.manifest.policy, false)]) {
            let known: BTreeSet<Break> = befores.iter().flat_map(|key| breaks(policy, key)).collect();
            let new: BTreeMap<Code, Option<Scope>> =
                breaks(policy, &key).into_iter().filter(|broken| !known.contains(broken)).collect();
            for (code, scope) in new {
                all.extend(judged(&world, &plan, change, of_file, code, scope, tally));
            }
        }
    }
    all
}

fn judged(
    world: &World,
    plan: &Plan,
    change: &Change,
    of_file: bool,
    code: Code,
    scope: Option<Scope>,
    tally: &mut Tally,
) -> Option<Broken> {
    tally.count("a rule that comes to be broken");
    if change.steps.iter().any(|step| matches!(step, Step::Mint(_))) {
        tally.count("by a mint");
    }
    if change.steps.iter().any(|step| matches!(step, Step::Move { .. })) {
        tally.count("by a move");
    }
    if of_file {
        tally.count("against the policy file");
    }
    if is_allowed(world, of_file, code, &change.address) {
        tally.count("let pass by a person");
        return None;
    }
    if is_allowed(world, false, code, &change.address) {
        tally.count("a manifest's exception against the policy file");
    }
    let blocks = plan.findings.iter().any(|finding| {
        finding.code == code
            && finding.address.as_ref() == Some(&change.address)
            && matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount)
    });
    // Such a plan is carried out in no way, and the next one is judged anew.
    let never = plan
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Blocks && NEVER.contains(&finding.code));
    let whose = if of_file { "the policy file" } else { "the manifest's policy" };
    let elsewhere =
        if is_blocked(plan, &change.account) { ", though it is blocked for another reason" } else { "" };
    (!blocks && !never).then(|| {
        broken(
            format!("{code}: {} because of {}", change.action, names(change)),
            format!(
                "{} of `{}` breaks {whose}: {code} {scope:?}, and is not blocked{elsewhere}",
                change.action, change.address
            ),
        )
    })
}

/// The first reason, as failures of one cause have it in common.
fn names(change: &Change) -> String {
    change.reasons.first().map(|reason| format!("{reason:?}")).unwrap_or_default()
}
