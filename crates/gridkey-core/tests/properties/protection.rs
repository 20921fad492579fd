//! What is protected is not revoked, not let go of, and not given Full Access.

use std::collections::BTreeSet;

use gridkey_core::plan::{Code, Plan, Step};
use gridkey_core::state::OwnedKey;
use gridkey_core::{Access, Address, Name};

use crate::effect::{blocks_with, moves};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, HISTORY, REQUESTS, Recipe, World};

#[test]
fn what_is_protected_ends_neither_gone_nor_let_go_of_nor_with_full_access() {
    let property = Property {
        name: "protection",
        always: &[],
        events: &[HISTORY, EDITS, EDITS, EDITS, REQUESTS, crate::selection::SELECTED, crate::due::CHOSEN],
        later: &[],
        interesting: &[
            ("a protected key", 2500),
            ("a protected key that moves", 80),
            ("a protected key that would go", 80),
            ("a protected key that would be let go of", 20),
            ("a protected key that would get Full Access", 15),
        ],
    };
    property.holds(check);
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    let plan = world.plan();
    let mut all = Vec::new();
    for (account, state) in &world.states {
        for (address, key) in state.keys.iter().filter(|(_, key)| key.protect) {
            tally.count("a protected key");
            all.extend(ends(&world, &plan, account, address, key, tally));
        }
    }
    all
}

/// Whether a key in another account has taken the place of this one, which retires.
fn has_successor(world: &World, account: &Name, address: &Address, key: &OwnedKey) -> bool {
    world
        .states
        .iter()
        .filter(|(name, _)| *name != account)
        .any(|(_, state)| state.keys.get(address).is_some_and(|other| other.generation > key.generation))
}

fn ends(
    world: &World,
    plan: &Plan,
    account: &Name,
    address: &Address,
    key: &OwnedKey,
    tally: &mut Tally,
) -> Option<Broken> {
    if has_successor(world, account, address, key) {
        return None;
    }
    let moved = moves(plan);
    let to = moved.get(&(account.clone(), address.clone()));
    if to.is_some() {
        tally.count("a protected key that moves");
    }
    let to = to.unwrap_or(address);
    let addresses: BTreeSet<Address> = [address.clone(), to.clone()].into();
    let mut bad = None;
    for change in &plan.changes {
        for step in &change.steps {
            let (what, interesting) = match step {
                Step::Delete(delete) if delete.keys.iter().any(|gone| gone.id == key.id) => {
                    ("gone", "a protected key that would go")
                }
                Step::DiscardPending { id, .. } | Step::RevokePending { id, .. } if *id == key.id => {
                    ("gone", "a protected key that would go")
                }
                Step::Forget { id } if *id == key.id => {
                    ("let go of", "a protected key that would be let go of")
                }
                Step::Mint(mint)
                    if change.address == *to && mint.access == Access::Full && key.access != Access::Full =>
                {
                    ("given Full Access by a new key", "a protected key that would get Full Access")
                }
                Step::FinishPending(_)
                    if change.address == *to
                        && change.after.as_ref().is_some_and(|after| after.access == Access::Full)
                        && key.access != Access::Full =>
                {
                    (
                        "given Full Access by a key that was begun",
                        "a protected key that would get Full Access",
                    )
                }
                Step::Update { id, access, .. } if *id == key.id && *access == Access::Full => {
                    ("given Full Access", "a protected key that would get Full Access")
                }
                _ => continue,
            };
            tally.count(interesting);
            let mut addresses = addresses.clone();
            addresses.insert(change.address.clone());
            if !blocks_with(plan, Code::Protected, &addresses) {
                bad = Some(broken(
                    format!("{what}: {}", change.action),
                    format!(
                        "{} of `{}` ({:?}): {} is protected, and {what}",
                        change.action, change.address, change.reasons, key.id
                    ),
                ));
            }
        }
    }
    bad
}
