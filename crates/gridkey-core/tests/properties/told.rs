//! What a service says of a sink that never tells its value: that it was written since is acted upon, and nothing is built on
//! anything else.

use gridkey_core::inventory::{AccountInventory, SinkContent, SinkObservation};
use gridkey_core::plan::{Cause, Plan};
use gridkey_core::state::SecretStatus;
use gridkey_core::{Address, KeyId, Name, SinkLocation};

use crate::effect::{Effect, When, effects, is_blocked, is_told};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, HISTORY, REQUESTS, RULES, Recipe, World};

#[test]
fn what_a_sink_denies_is_put_right_and_what_it_confirms_changes_nothing() {
    let property = Property {
        name: "told",
        always: &[&[World::version_told], HISTORY],
        events: &[HISTORY, EDITS, RULES, REQUESTS, crate::selection::SELECTED, crate::due::CHOSEN],
        later: &[],
        interesting: &[
            ("a denial", 200),
            ("a denial that is put right in place", 80),
            ("a denial that a new key puts right", 80),
            ("a confirmation", 1500),
            ("an older key that is served", 10),
        ],
    };
    property.holds(check);
}

/// Locations that never tell, with the key that state says each was given.
fn given(world: &World) -> Vec<(Name, Address, KeyId, SinkLocation)> {
    let keys = world
        .states
        .iter()
        .flat_map(|(name, state)| state.keys.iter().map(move |(address, key)| (name, address, key)));
    let given = keys.flat_map(|(name, address, key)| {
        let locations = key.sinks.iter().map(|delivery| &delivery.location);
        let silent = locations.filter(|location| !location.at.is_readable());
        silent.map(move |location| (name.clone(), address.clone(), key.id.clone(), location.clone()))
    });
    given.collect()
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    let plan = world.plan();
    let mut all = Vec::new();
    for (account, address, id, location) in given(&world) {
        let known = world.inventory.sinks.get(&location.id());
        let others = given(&world).into_iter().filter(|(.., other)| other.id() == location.id()).count();
        match known {
            Some(SinkObservation::Holds(SinkContent::Key(held))) if *held == id && others == 1 => {
                tally.count("a confirmation");
                all.extend(says_nothing(&world, &plan, &location));
            }
            Some(SinkObservation::Unreadable(_) | SinkObservation::WriteOnly) | None => {
                all.extend(says_nothing(&world, &plan, &location));
            }
            Some(SinkObservation::Holds(content)) => {
                all.extend(is_spared(&world, &plan, &address, content, &location, tally));
                all.extend(is_put_right(&world, &plan, &account, &address, &id, &location, tally));
            }
        }
    }
    all
}

/// Without what the service said there is the same plan.
fn says_nothing(world: &World, plan: &Plan, location: &SinkLocation) -> Option<Broken> {
    let mut silent = world.clone();
    silent.inventory.sinks.remove(&location.id());
    (silent.plan().to_json() != plan.to_json()).then(|| {
        let text = format!("the plan is another one where {location} says nothing");
        broken("built on a write-only sink", text)
    })
}

/// An older key that the location goes on serving is not revoked, unless a person said so or the key goes.
fn is_spared(
    world: &World,
    plan: &Plan,
    address: &Address,
    content: &SinkContent,
    location: &SinkLocation,
    tally: &mut Tally,
) -> Option<Broken> {
    let SinkContent::Key(held) = content else { return None };
    let wanted = world.manifest.keys.get(address)?;
    let is_older = world.states.values().filter_map(|state| state.keys.get(address)).any(|key| {
        let mut retiring = key.retiring.iter();
        retiring.any(|retiring| &retiring.id == held)
    });
    let is_wanted = wanted.sinks.iter().any(|wanted| wanted.id() == location.id());
    let requests = &world.options.requests;
    let is_asked_for = requests.retire.contains_key(address)
        || requests.rotate.contains_key(address)
        || world.selection.destroy;
    if !is_older || !is_wanted || is_asked_for || !world.options.sinks {
        return None;
    }
    tally.count("an older key that is served");
    // A key whose time is up goes with all older ones.
    let revoked = plan
        .effective()
        .filter(|change| change.cause != Cause::Expired)
        .flat_map(effects)
        .any(|effect| matches!(effect, Effect::Revoke { id, when: When::Now } if id == *held));
    revoked.then(|| {
        broken(
            "an older key is revoked that a sink serves",
            format!("{location} serves {held} of `{address}`"),
        )
    })
}

/// The location is written, or the plan says why not.
fn is_put_right(
    world: &World,
    plan: &Plan,
    account: &Name,
    address: &Address,
    id: &KeyId,
    location: &SinkLocation,
    tally: &mut Tally,
) -> Option<Broken> {
    let wanted = world.manifest.keys.get(address)?;
    let key = &world.states[account].keys[address];
    let is_newest = world.states.values().all(|state| {
        state.keys.get(address).is_none_or(|other| other.id == *id || other.generation < key.generation)
    });
    let is_read = matches!(world.inventory.accounts.get(account), Some(AccountInventory::Read(_)));
    let is_plain = world.options.sinks
        && world.manifest.moved.is_empty()
        && world.selection.environments.is_none()
        && world.selection.only.is_none()
        && world.options.due == gridkey_core::plan::Due::Include;
    let is_there = wanted.account == *account
        && is_newest
        && is_read
        && key.secret != SecretStatus::Unknown
        && wanted.sinks.iter().any(|wanted| wanted.id() == location.id());
    if !is_plain || !is_there || is_blocked(plan, account) {
        return None;
    }
    tally.count("a denial");
    let changes = || plan.changes.iter().filter(|change| change.address == *address);
    let done: Vec<Effect> = changes().flat_map(effects).collect();
    let is_put = done
        .iter()
        .any(|effect| matches!(effect, Effect::Put { location: put, .. } if *put == location.id()));
    if is_put {
        tally.count(match done.iter().any(|effect| matches!(effect, Effect::Mint { .. })) {
            true => "a denial that a new key puts right",
            false => "a denial that is put right in place",
        });
        return None;
    }
    (!is_told(plan, address) && changes().next().is_none()).then(|| {
        let text =
            format!("{location} has not the secret of `{address}` any more, and nothing is done about it");
        broken("a denial is passed by", text)
    })
}
