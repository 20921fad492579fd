//! What a plan without due work and one with nothing else do is together what a plan with both does, or a finding
//! says what is left.

use std::collections::BTreeSet;

use gridkey_core::inventory::AccountInventory;
use gridkey_core::plan::{Action, Due, Plan};
use gridkey_core::{Address, KeyId, LocationId, Name};

use crate::effect::{Effect, effects, is_blocked, is_told, moves};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, Event, HISTORY, Recipe, World};

pub const CHOSEN: &[Event] = &[World::due_exclude, World::due_only];

/// What makes something due.
const DUE: &[Event] = &[
    World::aged,
    World::aged,
    World::retiring,
    World::location_retiring,
    World::ttl,
    World::tight,
    World::all_at_limit,
];

#[test]
fn with_and_without_due_work_is_together_all_of_it() {
    let property = Property {
        name: "due",
        always: &[DUE],
        events: &[HISTORY, EDITS, EDITS, DUE, DUE, DUE, crate::selection::SELECTED],
        later: &[],
        interesting: &[
            ("something due", 2000),
            ("something due beside an edit of the same key", 250),
            ("a due rotation", 1500),
            ("a move of a key with due work", 50),
        ],
    };
    property.holds(check);
}

/// What counts: that a key is made, goes, or belongs elsewhere, and what is written or put in place, where no new
/// key stands for that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Made(Name, Address),
    Revoked(KeyId),
    RevokedLater(KeyId),
    Moved(Name, Address),
    Adopted(KeyId),
    Forgotten(KeyId),
    Cleared(LocationId),
    Written(Address, KeyId),
    Put(Address, LocationId),
}

impl Done {
    /// What a new key at the address brings with itself.
    fn is_of_old_key(&self) -> Option<&Address> {
        match self {
            Self::Written(address, _) | Self::Put(address, _) => Some(address),
            _ => None,
        }
    }
}

fn all_done(plan: &Plan) -> BTreeSet<(Address, Done)> {
    let mut all = BTreeSet::new();
    for change in &plan.changes {
        let address = change.address.clone();
        for effect in effects(change) {
            let done = match effect {
                Effect::Move { from, .. } => Done::Moved(change.account.clone(), from),
                Effect::Adopt { id, .. } => Done::Adopted(id),
                Effect::Forget { id } => Done::Forgotten(id),
                Effect::Mint { address, .. } => Done::Made(change.account.clone(), address),
                Effect::Write { id, .. } => Done::Written(address.clone(), id),
                Effect::Put { address, location } => Done::Put(address, location),
                Effect::Clear { location } => Done::Cleared(location),
                Effect::Revoke { id, when: crate::effect::When::Later } => Done::RevokedLater(id),
                Effect::Revoke { id, .. } => Done::Revoked(id),
                // It goes with the delivery that it is about.
                Effect::Run { .. } | Effect::Note { .. } => continue,
            };
            all.insert((address.clone(), done));
        }
    }
    let made: BTreeSet<Address> = all
        .iter()
        .filter_map(|(_, done)| match done {
            Done::Made(_, address) => Some(address.clone()),
            _ => None,
        })
        .collect();
    all.retain(|(_, done)| done.is_of_old_key().is_none_or(|address| !made.contains(address)));
    all
}

fn with(world: &World, due: Due) -> Plan {
    let mut world = world.clone();
    world.options.due = due;
    world.plan()
}

/// Whether the key of an address is to be rotated some time soon and is not due yet: it may be rotated ahead of
/// time, by one plan and not by another.
pub fn is_early(world: &World, address: &Address) -> bool {
    let Some(rotate) = world.manifest.keys.get(address).and_then(|wanted| wanted.rotate) else {
        return false;
    };
    let at = world.inventory.accounts.values().find_map(|account| match account {
        AccountInventory::Read(read) => Some(read.at),
        AccountInventory::Unreadable(_) => None,
    });
    let keys = world.states.values().filter_map(|state| state.keys.get(address));
    let moved = world.states.values().all(|state| !state.keys.contains_key(address));
    rotate.warn_before.is_some()
        && (moved || keys.into_iter().any(|key| at.is_some_and(|at| key.born.at() + rotate.every > at)))
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let world = recipe.world();
    let [include, exclude, only] = [Due::Include, Due::Exclude, Due::Only].map(|due| with(&world, due));
    if include
        .accounts
        .keys()
        .any(|account| [&include, &exclude, &only].into_iter().any(|plan| is_blocked(plan, account)))
    {
        tally.count("a blocked plan");
        return Vec::new();
    }
    let (all, without, by_itself) = (all_done(&include), all_done(&exclude), all_done(&only));
    interesting(&include, &exclude, &only, tally);
    let made: BTreeSet<&Address> =
        all.iter().filter(|(_, done)| matches!(done, Done::Made(..))).map(|(address, _)| address).collect();
    let ended: BTreeSet<&Address> = include
        .effective()
        .filter(|change| change.before.is_some() && change.after.is_none())
        .map(|change| &change.address)
        .collect();
    let together: BTreeSet<&(Address, Done)> = without.union(&by_itself).collect();
    let told = |address: &Address| [&include, &exclude, &only].into_iter().any(|plan| is_told(plan, address));
    let mut found = Vec::new();
    for (address, done) in all.iter().filter(|done| !together.contains(done)) {
        if !told(address) && !is_early(&world, address) {
            found.push(broken(
                format!("left out: {}", kind(done)),
                format!("neither does {done:?} of `{address}`"),
            ));
        }
    }
    for (address, done) in together.iter().filter(|done| !all.contains(**done)) {
        // The new key that the plan with both makes, or the end of the key, stands for what is done to the older one.
        let stands = done.is_of_old_key().is_some_and(|of| made.contains(of) || ended.contains(of));
        if !told(address) && !is_early(&world, address) && !stands {
            let whose = if by_itself.contains(&(address.clone(), done.clone())) { "only" } else { "exclude" };
            let text = format!("{whose} does {done:?} of `{address}`, and the plan with both does not");
            found.push(broken(format!("more than both: {} by {whose}", kind(done)), text));
        }
    }
    for (address, done) in without.intersection(&by_itself) {
        let recovered = |plan: &Plan| {
            plan.changes.iter().any(|change| change.action == Action::Recover && change.address == *address)
        };
        if !recovered(&include) && !told(address) && !matches!(done, Done::Moved(..) | Done::Put(..)) {
            found.push(broken(format!("twice: {}", kind(done)), format!("both do {done:?} of `{address}`")));
        }
    }
    found
}

fn interesting(include: &Plan, exclude: &Plan, only: &Plan, tally: &mut Tally) {
    let due = only.effective().filter(|change| change.action != Action::Recover);
    for change in due {
        tally.count("something due");
        if change.action == Action::Rotate {
            tally.count("a due rotation");
        }
        let edited = exclude.effective().any(|other| other.address == change.address);
        if edited {
            tally.count("something due beside an edit of the same key");
        }
    }
    // A run about due work alone leaves such a key for one that moves it, and says so.
    let moved: BTreeSet<Address> = moves(include).into_values().collect();
    let is_made = |plan: &Plan, address: &Address| {
        all_done(plan).iter().any(|(of, done)| of == address && matches!(done, Done::Made(..)))
    };
    for address in &moved {
        if is_made(include, address) && !is_made(exclude, address) {
            tally.count("a move of a key with due work");
        }
    }
}

fn kind(done: &Done) -> &'static str {
    match done {
        Done::Made(..) => "a new key",
        Done::Revoked(_) => "a revocation",
        Done::RevokedLater(_) => "a retirement",
        Done::Moved(..) => "a move",
        Done::Adopted(_) => "an adoption",
        Done::Forgotten(_) => "a key that is let go of",
        Done::Cleared(_) => "a cleared location",
        Done::Written(..) => "a write",
        Done::Put(..) => "a delivery",
    }
}
