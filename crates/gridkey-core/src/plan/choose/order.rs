//! What looks like a key under another name: it goes only once the other is there.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::manifest::Manifest;
use crate::plan::document::change::{Cause, Change, KeyValues};
use crate::plan::document::step::Step;
use crate::sink::LocationId;
use crate::text::pattern::matches_pattern;

/// A key that would be revoked and one that would be made, which look like one key under another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renamed {
    pub from: Address,
    pub to: Address,
    /// Where an entry of `moved` leads, which the manifest has no key at.
    pub led_to: Option<Address>,
}

/// The pairs of deletions and creations of an account that look like a rename; each key is in one pair at most.
pub(crate) fn renames(manifest: &Manifest, changes: &[&Change]) -> Vec<Renamed> {
    let mut free: Vec<&KeyValues> = changes.iter().filter_map(|change| made(change)).collect();
    let mut pairs = Vec::new();
    for (change, gone) in changes.iter().filter_map(|change| Some((change, gone(change)?))) {
        let best = free.iter().enumerate().map(|(index, made)| (likeness(manifest, gone, made), index));
        let best = best
            .filter(|(likeness, _)| *likeness > 0)
            .max_by_key(|(likeness, index)| (*likeness, std::cmp::Reverse(*index)));
        if let Some((_, index)) = best {
            let made = free.remove(index);
            let led_to = Some(change.address.clone()).filter(|led_to| *led_to != gone.address);
            pairs.push(Renamed { from: gone.address.clone(), to: made.address.clone(), led_to });
        }
    }
    pairs
}

/// Makes each deletion that looks like a rename wait for the new key.
pub(crate) fn after_successors<'c>(changes: impl Iterator<Item = &'c mut Change>, pairs: &[Renamed]) {
    for change in changes {
        let address = change.address.clone();
        let is_of = |pair: &&Renamed| *pair.led_to.as_ref().unwrap_or(&pair.from) == address;
        let successors = pairs.iter().filter(is_of).map(|pair| pair.to.clone());
        let successors: Vec<Address> = successors.collect();
        for step in &mut change.steps {
            if let Step::Delete(delete) = step {
                delete.successors.clone_from(&successors);
            }
        }
    }
}

fn gone(change: &Change) -> Option<&KeyValues> {
    let edited = change.cause == Cause::Edited && change.after.is_none();
    let deletes = change.steps.iter().any(|step| matches!(step, Step::Delete(_)));
    change.before.as_ref().filter(|_| edited && deletes)
}

fn made(change: &Change) -> Option<&KeyValues> {
    let mints = change.steps.iter().any(|step| matches!(step, Step::Mint(_)));
    change.after.as_ref().filter(|_| mints && change.before.is_none())
}

/// Whether the manifest has nothing in the environment of an address any more.
fn has_left(manifest: &Manifest, address: &Address) -> bool {
    match &address.environment {
        None => !manifest.environments.is_empty(),
        Some(name) => {
            let mut patterns = manifest.patterns.keys();
            !manifest.environments.contains_key(name)
                && !patterns.any(|pattern| matches_pattern(pattern, name.as_str()))
        }
    }
}

/// How much two keys look like one: by name or a location, or by all that they may do.
fn likeness(manifest: &Manifest, gone: &KeyValues, made: &KeyValues) -> u8 {
    let (from, to) = (&gone.address, &made.address);
    let environment_renamed = from.key == to.key && from.account == to.account && has_left(manifest, from);
    if from.environment != to.environment && !environment_renamed {
        return 0;
    }
    let places =
        |values: &KeyValues| values.sinks.iter().map(|sink| sink.id()).collect::<BTreeSet<LocationId>>();
    let named = u8::from(gone.name == made.name);
    let placed = u8::from(!places(gone).is_disjoint(&places(made)));
    let access = u8::from(gone.access == made.access);
    4 * named + 2 * placed + access
}
