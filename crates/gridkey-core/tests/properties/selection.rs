//! A run that is about some keys touches no others, and does with those what the whole plan does, or says why not.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::manifest::{AtLimit, RemovedWhat};
use gridkey_core::plan::{Action, Change, Code, Note, Plan, Severity, Step, plan};
use gridkey_core::state::Purpose;
use gridkey_core::{Address, KeyId, Name};

use crate::due::is_early;
use crate::effect::{Effect, When, effects, is_told, known_ids, moves, named};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, Event, HISTORY, REQUESTS, Recipe, World, is_from_pattern};

pub const SELECTED: &[Event] = &[World::environments, World::environments, World::only, World::destroy];

/// What narrows a run, in every world of this property.
const NARROWS: &[Event] = &[World::environments, World::environments, World::only];

#[test]
fn a_selection_touches_nothing_else_and_does_what_the_whole_plan_does() {
    let property = Property {
        name: "selection",
        always: &[NARROWS],
        events: &[NARROWS, NARROWS, EDITS, EDITS, EDITS, HISTORY, HISTORY, REQUESTS, SELECTED],
        later: &[],
        interesting: &[
            ("a world with a selection", 9000),
            ("a change under a selection", 1000),
            ("a change that is left out", 2500),
            ("a move across a selection", 150),
            ("a deletion under a selection", 300),
            ("a pending creation outside", 200),
            ("a recovery beside `--only`", 35),
            ("a key of an account that left", 12),
        ],
    };
    property.holds(check);
}

/// Whether a run is about an address.
pub fn is_selected(world: &World, address: &Address) -> bool {
    is_in_environments(world, address)
        && world.selection.only.as_ref().is_none_or(|only| only.contains(address))
}

fn is_in_environments(world: &World, address: &Address) -> bool {
    match (&world.selection.environments, &address.environment) {
        (Some(chosen), Some(environment)) => chosen.contains(environment),
        (Some(_), None) => false,
        (None, environment) => world.manifest.patterns.is_empty() || !is_from_pattern(environment.as_ref()),
    }
}

/// The same world, and a run that is about all of it.
fn whole(world: &World) -> World {
    let mut whole = world.clone();
    whole.selection.only = None;
    if let Some(chosen) = &mut whole.selection.environments {
        let owned = world.states.values().flat_map(|state| state.keys.keys());
        let all = owned.chain(world.manifest.keys.keys()).filter_map(|address| address.environment.as_ref());
        // An environment that comes from a pattern and was not asked for is not in this manifest.
        chosen.extend(all.filter(|name| !is_from_pattern(Some(name))).cloned());
    }
    whole
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    if world.selection.environments.is_none() && world.selection.only.is_none() {
        return Vec::new();
    }
    tally.count("a world with a selection");
    let narrow = world.plan();
    let whole = whole(&world);
    let whole = plan(&whole.input());
    let mut all = Vec::new();
    all.extend(outside(&world, &narrow, tally));
    all.extend(differs(&world, &narrow, &whole, tally));
    all.extend(gone(&world, &narrow, &whole, tally));
    all.extend(not_recovered(&world, &narrow, &whole, tally));
    all.extend(taken_from_an_account_that_left(&world, &narrow, tally));
    let left_out = whole.effective().filter(|change| !is_selected(&world, &change.address)).count();
    tally.add("a change that is left out", left_out as u64);
    let across = moves(&whole)
        .into_iter()
        .filter(|((_, from), to)| is_selected(&world, from) != is_selected(&world, to));
    tally.add("a move across a selection", across.count() as u64);
    all
}

/// What a plan does to keys that the run is not about.
fn outside(world: &World, narrow: &Plan, tally: &mut Tally) -> Vec<Broken> {
    let known = known_ids(world);
    let pending: BTreeMap<_, _> = world
        .states
        .values()
        .flat_map(|state| state.pending.iter().map(|(marker, pending)| (marker, &pending.address)))
        .collect();
    if pending.values().any(|address| !is_selected(world, address)) {
        tally.count("a pending creation outside");
    }
    let mut all = Vec::new();
    for change in narrow.effective() {
        // What was given up in an environment that is gone is revoked by a run without `--env`: no other would be
        // about it ever again.
        let given_up = change.steps.iter().all(|step| matches!(step, Step::RevokeAbandoned { .. }));
        if given_up && change.action == Action::Recover && world.selection.environments.is_none() {
            continue;
        }
        // What broke off is settled in every selected environment, whatever `--only` says.
        let is_about = |address: &Address| match change.action {
            Action::Recover => is_in_environments(world, address),
            _ => is_selected(world, address),
        };
        if !is_about(&change.address) {
            let text = format!("{} of `{}`", change.action, change.address);
            all.push(broken(format!("an address outside: {}", change.action), text));
        }
        let moves = change.steps.iter().any(|step| matches!(step, Step::Move { .. }));
        for step in &change.steps {
            let (ids, markers, addresses) = named(step);
            let ids = ids.into_iter().filter_map(|id| known.get(id));
            let markers = markers.into_iter().filter_map(|marker| pending.get(marker).copied());
            for address in ids.chain(markers).chain(addresses) {
                if !is_about(address) {
                    let text =
                        format!("{} of `{}` names a key of `{address}`", change.action, change.address);
                    let kind = match moves {
                        true => format!("a key that moves in: {}", change.action),
                        false => format!("a key outside: {} in {:?}", change.action, step.phase()),
                    };
                    all.push(broken(kind, text));
                }
            }
        }
    }
    all
}

/// What a change does, without what is cleaned up. Where the account is full `at_limit: replace` revokes the older
/// key at once, and how full it is depends on the rest of the plan.
fn done(world: &World, change: &Change) -> Vec<Effect> {
    let rotate = world.manifest.keys.get(&change.address).and_then(|wanted| wanted.rotate);
    let replaces = rotate.is_some_and(|rotate| rotate.at_limit == AtLimit::Replace);
    let made = change.steps.iter().any(|step| matches!(step, Step::Mint(_)));
    let mut all = Vec::new();
    for effect in effects(change) {
        match effect {
            Effect::Revoke { when: When::CleanUp, .. } => {}
            // A location that another key uses, which goes with the whole plan alone, is left to that key.
            Effect::Clear { .. } if world.selection.destroy => {}
            Effect::Revoke { id, when: When::Now } if replaces && made => {
                all.push(Effect::Revoke { id, when: When::Later });
            }
            effect => all.push(effect),
        }
    }
    all
}

fn is_same(one: &[Effect], other: &[Effect]) -> bool {
    one.len() == other.len() && one.iter().all(|effect| other.contains(effect))
}

/// Changes under a selection that the whole plan does not have.
fn differs(world: &World, narrow: &Plan, whole: &Plan, tally: &mut Tally) -> Vec<Broken> {
    let mut all = Vec::new();
    for change in narrow.effective() {
        tally.count("a change under a selection");
        if !is_selected(world, &change.address) {
            continue;
        }
        let recovers = change.action == Action::Recover;
        let mut same = whole.changes.iter().filter(|other| {
            other.account == change.account
                && other.address == change.address
                && (other.action == Action::Recover) == recovers
        });
        let found = same
            .any(|other| other.after == change.after && is_same(&done(world, change), &done(world, other)));
        let is_told = is_told(narrow, &change.address) || is_told(whole, &change.address);
        let blocked = |plan: &Plan| plan.findings.iter().any(|finding| finding.severity == Severity::Blocks);
        // What may be rotated ahead of time depends on what else there is to do.
        let early = change.action == Action::Rotate && is_early(world, &change.address);
        if !found && !is_told && !early && !blocked(narrow) && !blocked(whole) {
            let there = whole.changes.iter().find(|other| other.address == change.address);
            let there = there
                .map_or("nothing".to_string(), |other| format!("{} in `{}`", other.action, other.account));
            let text = format!(
                "{} of `{}` in `{}`, and the whole plan has: {there}",
                change.action, change.address, change.account
            );
            all.push(broken(format!("another change: {}", change.action), text));
        }
    }
    all
}

/// The keys that a plan revokes or lets go of for good.
fn ends(plan: &Plan) -> BTreeMap<KeyId, (Name, Address)> {
    let mut all = BTreeMap::new();
    for change in &plan.changes {
        for step in &change.steps {
            let ids: Vec<&KeyId> = match step {
                Step::Delete(delete) => delete.keys.iter().map(|key| &key.id).collect(),
                Step::Forget { id } | Step::DiscardPending { id, .. } => vec![id],
                _ => continue,
            };
            for id in ids {
                all.insert(id.clone(), (change.account.clone(), change.address.clone()));
            }
        }
    }
    all
}

/// Keys that go under a selection, and that the whole plan keeps.
fn gone(world: &World, narrow: &Plan, whole: &Plan, tally: &mut Tally) -> Vec<Broken> {
    let all = ends(whole);
    let mut broken_ones = Vec::new();
    for (id, (account, address)) in ends(narrow) {
        tally.count("a deletion under a selection");
        let about: BTreeSet<Address> = [address.clone()].into();
        let blocked = narrow.findings.iter().any(|finding| {
            matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount)
                && (finding.address.as_ref().is_some_and(|address| about.contains(address))
                    || (finding.account.as_ref() == Some(&account) && finding.code == Code::AccountLeft))
        });
        // An account that the whole plan cannot go on in says so, and does nothing there.
        let stopped = whole.findings.iter().any(|finding| {
            finding.severity == Severity::BlocksAccount && finding.account.as_ref() == Some(&account)
        });
        if !all.contains_key(&id) && !blocked && !stopped {
            let whole = whole
                .changes
                .iter()
                .find(|change| change.before.as_ref().and_then(|before| before.id.as_ref()) == Some(&id));
            let does = whole
                .map_or("nothing".to_string(), |change| format!("{} of `{}`", change.action, change.address));
            let destroys = if world.selection.destroy { " by destroy" } else { "" };
            broken_ones.push(broken(
                format!("a deletion{destroys} that the whole plan does not have"),
                format!("{id} of `{address}` in `{account}` goes; the whole plan has: {does}"),
            ));
        }
    }
    broken_ones
}

/// Creations that broke off in the environments of the run and that `--only` leaves as they are.
fn not_recovered(world: &World, narrow: &Plan, whole: &Plan, tally: &mut Tally) -> Vec<Broken> {
    let mut all = Vec::new();
    if is_stopped(narrow) || is_stopped(whole) {
        return all;
    }
    for change in whole.changes.iter().filter(|change| change.action == Action::Recover) {
        let given_up = change.steps.iter().all(|step| matches!(step, Step::RevokeAbandoned { .. }));
        // The whole plan may move what was given up out of an environment that the run is not about.
        let outside = given_up_at(world, change).any(|address| !is_in_environments(world, address));
        if outside || !is_in_environments(world, &change.address) || is_selected(world, &change.address) {
            continue;
        }
        // Whose deliveries they are is known once the key has moved, which a run about other keys leaves.
        let tells = change.steps.iter().all(|step| matches!(step, Step::RunHooks { .. }));
        let of_address = whole.changes.iter().filter(|other| other.address == change.address);
        let moves = of_address.flat_map(|other| &other.steps).any(|step| matches!(step, Step::Move { .. }));
        if tells && moves {
            tally.count("a hook of a key that moves, beside `--only`");
            continue;
        }
        tally.count("a recovery beside `--only`");
        let same = |other: &&Change| {
            // What was given up is known by the address that its key had, or has after a move.
            (other.address == change.address || given_up)
                && other.account == change.account
                && is_same(&effects(other), &without_edits(world, change))
        };
        let observed = narrow.accounts.contains_key(&change.account);
        if observed && !narrow.changes.iter().any(|other| same(&other)) && !is_told(narrow, &change.address) {
            let text = format!("a creation for `{}` broke off, and is left as it is", change.address);
            all.push(broken("not recovered beside `--only`", text));
        }
    }
    all
}

/// What a recovery does where edits of its address are left for another run: a key that follows one that was applied is
/// given to no location that its creation was not begun for.
fn without_edits(world: &World, change: &Change) -> Vec<Effect> {
    let mut all = effects(change);
    let Some(state) = world.states.get(&change.account) else { return all };
    if state.keys.contains_key(&change.address) {
        let begun = state.pending.values().filter(|begun| begun.address == change.address);
        let locations: BTreeSet<_> = begun.flat_map(|begun| &begun.locations).map(|at| at.id()).collect();
        all.retain(|effect| match effect {
            Effect::Put { location, .. } => locations.contains(location),
            _ => true,
        });
    }
    all
}

/// The addresses for which the creations of a change were given up, as state has them.
fn given_up_at<'a>(world: &'a World, change: &'a Change) -> impl Iterator<Item = &'a Address> {
    change.notes.iter().filter_map(|note| match note {
        Note::Creation { marker, .. } => {
            let abandoned = world.states.get(&change.account)?.abandoned.get(marker)?;
            Some(&abandoned.address)
        }
        _ => None,
    })
}

fn is_stopped(plan: &Plan) -> bool {
    plan.findings.iter().any(|finding| matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount))
}

/// Keys that are made in place of one in an account that the manifest no longer has: nothing would ever revoke it.
fn taken_from_an_account_that_left(world: &World, narrow: &Plan, tally: &mut Tally) -> Vec<Broken> {
    let mut all = Vec::new();
    for change in &narrow.changes {
        for step in &change.steps {
            let Step::Mint(mint) = step else { continue };
            let Purpose::Follow(id) = &mint.purpose else { continue };
            let left = world.states.iter().any(|(name, state)| {
                let let_go = world
                    .manifest
                    .removed
                    .iter()
                    .any(|removed| !removed.revoke && removed.what == RemovedWhat::Account(name.clone()));
                !world.manifest.accounts.contains_key(name)
                    && !let_go
                    && state.keys.values().any(|key| key.id == *id)
            });
            if !left {
                continue;
            }
            tally.count("a key of an account that left");
            if !is_stopped(narrow) {
                let text = format!("`{}` is made in `{}` in place of {id}", change.address, change.account);
                all.push(broken("a key of an account that left", text));
            }
        }
    }
    all
}
