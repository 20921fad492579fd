//! No key is revoked while its address has no other one that was delivered, unless a person asked for that.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::inventory::{AccountInventory, KeyDetail};
use gridkey_core::manifest::{AtLimit, RemovedWhat};
use gridkey_core::plan::{Change, Plan, RetireRequest, Step};
use gridkey_core::state::SecretStatus;
use gridkey_core::{Address, KeyId, Name};

use crate::effect::{Effect, When, is_blocked, known_ids, moves, of_step};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, HISTORY, REQUESTS, Recipe, World};

#[test]
fn no_key_is_revoked_before_another_one_is_there() {
    let property = Property {
        name: "outage",
        always: &[],
        events: &[
            HISTORY,
            HISTORY,
            HISTORY,
            EDITS,
            EDITS,
            REQUESTS,
            crate::selection::SELECTED,
            crate::due::CHOSEN,
        ],
        later: &[],
        interesting: &[
            ("a revocation", 600),
            ("a revocation of what has a successor", 300),
            ("a move and a revocation", 50),
            ("a revocation at the limit", 5),
            ("a key in another account", 70),
            ("a deletion beside a creation", 20),
        ],
    };
    property.holds(check);
}

/// The steps of an account in the order in which they are carried out.
pub fn in_order<'a>(plan: &'a Plan, account: &Name) -> Vec<(&'a Change, &'a Step)> {
    let changes = plan.changes.iter().filter(|change| change.account == *account);
    let mut steps: Vec<(&Change, &Step)> =
        changes.flat_map(|change| change.steps.iter().map(move |step| (change, step))).collect();
    let order = plan.accounts.get(account).map(|account| account.order).unwrap_or_default().phases();
    // The sort is stable: within a phase, changes and their steps keep their order.
    steps.sort_by_key(|(_, step)| order.iter().position(|phase| *phase == step.phase()));
    steps
}

/// The keys that a step revokes.
pub fn revoked(change: &Change, step: &Step) -> Vec<KeyId> {
    let now = |effect| match effect {
        Effect::Revoke { id, when: When::Now | When::CleanUp } => Some(id),
        _ => None,
    };
    of_step(change, step).into_iter().filter_map(now).collect()
}

/// The live keys of each address whose secret was delivered, in all accounts.
#[derive(Default)]
struct Working(BTreeMap<Address, BTreeSet<KeyId>>);

impl Working {
    fn of(world: &World, moved: &BTreeMap<(Name, Address), Address>) -> Self {
        let mut working = Self::default();
        for (name, state) in &world.states {
            let read = match world.inventory.accounts.get(name) {
                Some(AccountInventory::Read(read)) => Some(read),
                Some(AccountInventory::Unreadable(_)) | None => None,
            };
            for (address, key) in &state.keys {
                let there = |id: &KeyId| {
                    read.is_none_or(|read| {
                        read.live.contains_key(id)
                            || matches!(read.details.get(id), Some(KeyDetail::Scopes(_)))
                    })
                };
                let to = moved.get(&(name.clone(), address.clone())).unwrap_or(address);
                if there(&key.id) && key.secret == SecretStatus::Delivered {
                    working.add(to, key.id.clone());
                }
                for retiring in key.retiring.iter().filter(|retiring| there(&retiring.id)) {
                    working.add(to, retiring.id.clone());
                }
            }
        }
        working
    }

    fn add(&mut self, address: &Address, id: KeyId) {
        self.0.entry(address.clone()).or_default().insert(id);
    }

    /// Takes a key out; says whether another one is left at its address, which must be newer than what retires.
    fn remove(&mut self, address: &Address, id: &KeyId) -> bool {
        let Some(ids) = self.0.get_mut(address) else { return false };
        ids.remove(id);
        !ids.is_empty()
    }
}

/// Whether nothing is to be at an address, as far as this run is about it.
fn is_unwanted(world: &World, address: &Address, moved: &BTreeMap<(Name, Address), Address>) -> bool {
    let removed = world.manifest.removed.iter().any(|removed| {
        removed.revoke
            && match &removed.what {
                RemovedWhat::Address(pattern) => pattern.as_str() == address.to_string(),
                RemovedWhat::Account(_) => false,
            }
    });
    let expired = || {
        let environment = address.environment.as_ref()?;
        let ttl = world.manifest.environments.get(environment)?.ttl?;
        let keys = world.states.iter().flat_map(|(name, state)| {
            state
                .keys
                .iter()
                .map(move |(from, key)| (moved.get(&(name.clone(), from.clone())).unwrap_or(from), key))
        });
        let first = keys
            .filter(|(known, _)| known.environment.as_ref() == Some(environment))
            .map(|(_, key)| key.born.at())
            .min()?;
        Some(first + ttl <= world.now)
    };
    removed
        || world.selection.destroy
        || !world.manifest.keys.contains_key(address)
        || expired() == Some(true)
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    let plan = world.plan();
    let moved = moves(&plan);
    let known = known_ids(&world);
    let mut all = Vec::new();
    for account in plan.accounts.keys().filter(|account| !is_blocked(&plan, account)) {
        all.extend(breaks_before_making(&world, &plan, account, tally));
        let mut working = Working::of(&world, &moved);
        let mut revoked_first: BTreeSet<&Address> = BTreeSet::new();
        for (change, step) in in_order(&plan, account) {
            match step {
                Step::Mint(_) | Step::FinishPending(_) => {
                    revoked_first.remove(&change.address);
                    working.add(&change.address, KeyId::new(format!("new key of {}", change.address)));
                }
                Step::Adopt(adopt) => working.add(&change.address, adopt.id.clone()),
                _ => {}
            }
            if let Step::RevokeFirst { .. } = step {
                revoked_first.insert(&change.address);
                tally.count("a revocation at the limit");
                if revoked_first.len() > 1 {
                    let text = format!("{revoked_first:?} have no key at once");
                    all.push(broken("several revoked first", text));
                }
            }
            for id in &revoked(change, step) {
                tally.count("a revocation");
                if let Some(Broken { kind, text }) =
                    outage(&world, &known, &moved, &mut working, change, step, id, tally)
                {
                    all.push(Broken { kind, text });
                }
            }
        }
    }
    all
}

/// Whether keys are deleted before others are made, though the account has slots for all of them.
fn breaks_before_making(world: &World, plan: &Plan, account: &Name, tally: &mut Tally) -> Option<Broken> {
    let declared = world.manifest.accounts.get(account)?;
    let Some(AccountInventory::Read(read)) = world.inventory.accounts.get(account) else { return None };
    let steps = in_order(plan, account);
    let is_made = |(_, step): &(&Change, &Step)| matches!(step, Step::Mint(_));
    let last = steps.iter().rposition(is_made)?;
    let (change, _) = steps.iter().find(|(_, step)| matches!(step, Step::Delete(_)))?;
    tally.count("a deletion beside a creation");
    let made = steps.iter().filter(|step| is_made(step)).count();
    let begun = world.states.get(account).map_or(0, |state| state.pending.len());
    let fits = read.live.len() + made + begun <= declared.key_limit as usize && declared.max_keys.is_none();
    let before = steps[..last].iter().any(|(_, step)| matches!(step, Step::Delete(_)));
    (fits && before).then(|| {
        let text = format!(
            "{} of `{}` comes before a key is made, and slots are free",
            change.action, change.address
        );
        broken("a deletion before a creation", text)
    })
}

#[allow(clippy::too_many_arguments, reason = "what an oracle looks at, each a thing of its own")]
fn outage(
    world: &World,
    known: &BTreeMap<KeyId, Address>,
    moved: &BTreeMap<(Name, Address), Address>,
    working: &mut Working,
    change: &Change,
    step: &Step,
    id: &KeyId,
    tally: &mut Tally,
) -> Option<Broken> {
    let from = known.get(id)?;
    let address = moved.get(&(change.account.clone(), from.clone())).unwrap_or(from);
    if address != from {
        tally.count("a move and a revocation");
    }
    let was_used = working.0.get(address).is_some_and(|ids| ids.contains(id));
    let left = working.remove(address, id);
    if left {
        tally.count("a revocation of what has a successor");
        if world.states.values().filter(|state| state.keys.contains_key(from)).count() > 1 {
            tally.count("a key in another account");
        }
    }
    // What was never delivered, or is gone already, serves nobody.
    if left || !was_used || is_unwanted(world, address, moved) {
        return None;
    }
    let given_up = world.options.requests.retire.get(address) == Some(&RetireRequest::Now);
    let rotate = world.manifest.keys.get(address).and_then(|wanted| wanted.rotate);
    let allowed = match step {
        Step::RevokeFirst { .. } => rotate.is_some_and(|rotate| rotate.at_limit == AtLimit::Replace),
        // A rotation that revokes the older key at once still makes the new one before.
        Step::RevokeOlder { .. } | Step::Delete(_) => given_up,
        _ => false,
    };
    (!allowed).then(|| {
        broken(
            format!("outage: {} at {:?}", change.action, step.phase()),
            format!("{} revokes {id} of `{address}`, which has no other key then", change.action),
        )
    })
}
