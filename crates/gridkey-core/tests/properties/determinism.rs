//! The same input gives the same bytes, a plan stays under the limit, and names no key that is not ours.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::inventory::AccountInventory;
use gridkey_core::manifest::ImportKey;
use gridkey_core::plan::{Change, Plan, Step, plan};
use gridkey_core::state::Purpose;
use gridkey_core::{Address, KeyId, Name};

use crate::effect::{is_blocked, known_ids, moves, named};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, HISTORY, REQUESTS, RULES, Recipe, World};

#[test]
fn plans_are_the_same_twice_stay_under_the_limit_and_name_only_what_is_ours() {
    let property = Property {
        name: "determinism",
        always: &[],
        events: &[HISTORY, HISTORY, EDITS, RULES, REQUESTS, crate::selection::SELECTED, crate::due::CHOSEN],
        later: &[],
        interesting: &[("a mint", 1000), ("a revocation", 400), ("an adoption", 10), ("a full account", 15)],
    };
    property.holds(check);
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    let one = world.plan();
    let mut all = Vec::new();
    if one.to_json() != plan(&world.clone().input()).to_json() {
        all.push(broken("not the same twice", "two plans of one world differ"));
    }
    let known = known_ids(&world);
    let imported: Vec<&KeyId> = world
        .manifest
        .import
        .iter()
        .filter_map(|import| match &import.key {
            ImportKey::Id(id) => Some(id),
            ImportKey::Name(_) => None,
        })
        .collect();
    for change in &one.changes {
        for step in &change.steps {
            tally_step(step, tally);
            // A key can be imported by its name, or as `--from-sinks` says.
            let by_name = matches!(step, Step::Adopt(_)) && is_imported_otherwise(&world);
            let after_adoption = change.steps.iter().any(|step| matches!(step, Step::Adopt(_)));
            for id in named(step).0 {
                if !known.contains_key(id) && !imported.contains(&id) && !by_name && !after_adoption {
                    let text =
                        format!("{} of `{}` names {id}, which is not ours", change.action, change.address);
                    all.push(broken(format!("not ours: {}", change.action), text));
                }
            }
        }
    }
    all.extend(assumes(&world, &one, &known));
    for (account, planned) in &one.accounts {
        if let Some(capacity) = planned.capacity
            && !is_blocked(&one, account)
        {
            all.extend(over_limit(&world, &one, account, capacity.peak, tally));
        }
    }
    all
}

/// Steps about a key that is at another address by then: what they were planned under is not part of the plan.
fn assumes(world: &World, plan: &Plan, known: &BTreeMap<KeyId, Address>) -> Vec<Broken> {
    let moved = moves(plan);
    let mut all = Vec::new();
    for change in plan.effective() {
        let taken_up = taken_up(world, change);
        for step in &change.steps {
            // The key that is followed is another account's, where it may move too.
            let follows = matches!(step, Step::Mint(mint) if matches!(mint.purpose, Purpose::Follow(_)));
            let pending = world.states.get(&change.account).map(|state| &state.pending);
            let (ids, markers, _) = named(step);
            let ids = ids.into_iter().filter(|id| !follows && !taken_up.contains(id));
            let ids = ids.filter_map(|id| known.get(id));
            let begun = markers.into_iter().filter_map(|marker| Some(&pending?.get(marker)?.address));
            for at in ids.chain(begun) {
                let then = moved.get(&(change.account.clone(), at.clone())).unwrap_or(at);
                if *then != change.address {
                    let text =
                        format!("{} of `{}` is about a key of `{then}`", change.action, change.address);
                    all.push(broken(
                        format!("at another address: {} in {:?}", change.action, step.phase()),
                        text,
                    ));
                }
            }
        }
    }
    all
}

/// Keys that the change adopts although another address gave their creation up: a person who names one wants it.
fn taken_up<'a>(world: &World, change: &'a Change) -> Vec<&'a KeyId> {
    let Some(state) = world.states.get(&change.account) else { return Vec::new() };
    let adopted = change.steps.iter().filter_map(|step| match step {
        Step::Adopt(adopt) => Some(adopt),
        _ => None,
    });
    let given_up =
        |name: &str| state.abandoned.keys().any(|marker| name.ends_with(&format!("[gridkey:{marker}]")));
    adopted.filter(|adopt| given_up(&adopt.name)).map(|adopt| &adopt.id).collect()
}

fn tally_step(step: &Step, tally: &mut Tally) {
    match step {
        Step::Mint(_) => tally.count("a mint"),
        Step::Adopt(_) => tally.count("an adoption"),
        Step::Delete(_) | Step::RetireKey { .. } | Step::RevokePending { .. } => tally.count("a revocation"),
        _ => {}
    }
}

/// Counts the account's live keys on the way, in the order in which the steps are carried out.
fn over_limit(world: &World, plan: &Plan, account: &Name, peak: u32, tally: &mut Tally) -> Vec<Broken> {
    let (Some(declared), Some(AccountInventory::Read(read))) =
        (world.manifest.accounts.get(account), world.inventory.accounts.get(account))
    else {
        return Vec::new();
    };
    let mut live: BTreeSet<KeyId> = read.live.keys().cloned().collect();
    let mut most = live.len();
    let mut makes = false;
    for (change, step) in crate::outage::in_order(plan, account) {
        if let Step::Mint(_) = step {
            makes = true;
            live.insert(KeyId::new(format!("new {}", live.len())));
        }
        for id in crate::outage::revoked(change, step) {
            live.remove(&id);
        }
        most = most.max(live.len());
    }
    let limit = declared.key_limit as usize;
    let mut all = Vec::new();
    if makes && most == limit {
        tally.count("a full account");
    }
    if makes && most > limit {
        all.push(broken(
            "over the limit",
            format!("`{account}` holds {most} keys on the way, and {limit} is the limit"),
        ));
    }
    if (peak as usize) < most {
        all.push(broken(
            "peak too low",
            format!("`{account}` holds {most} keys on the way, and the plan says {peak}"),
        ));
    }
    all
}

/// Whether a key may be adopted that no entry gives the id of.
fn is_imported_otherwise(world: &World) -> bool {
    world.options.requests.from_sinks
        || world.manifest.import.iter().any(|import| matches!(import.key, ImportKey::Name(_)))
}
