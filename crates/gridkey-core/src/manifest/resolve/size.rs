//! How much a manifest comes to, before it is resolved.

use crate::manifest::bounds::{MAX_KEYS, MAX_LOCATIONS};
use crate::manifest::document::{Document, KeyBlock, Settings};
use crate::manifest::problem::Problems;
use crate::manifest::resolve::place::Place;
use crate::name::Name;

/// Whether keys and their locations are few enough to be resolved.
pub(crate) fn is_bounded(document: &Document, places: &[Place<'_>], problems: &mut Problems) -> bool {
    let (mut keys, mut locations) = (0_usize, 0_usize);
    for place in places {
        let accounts = place.fan_out.as_ref().map_or(1, Vec::len);
        for (name, key) in &document.keys {
            if key.environments.as_ref().is_none_or(|choices| place.is_chosen(&choices.value)) {
                keys += accounts;
                locations += accounts * most_sinks(document, place, name, key);
            }
        }
    }
    for (count, most, code, what) in [
        (keys, MAX_KEYS, "too_many_keys", "keys"),
        (locations, MAX_LOCATIONS, "too_many_locations", "locations of secrets"),
    ] {
        if count > most {
            let message = format!("the manifest comes to {count} {what}, and it may have {most}");
            let help = "environments, their accounts and the keys are multiplied: see whether `accounts` or \
                `environments` mean more than they should, or make it several projects";
            problems.exceeds_nowhere(code, message, help);
            return false;
        }
    }
    true
}

/// How many sinks a key can have in a place, by whatever is said of it there.
fn most_sinks(document: &Document, place: &Place<'_>, name: &Name, key: &KeyBlock) -> usize {
    let count = |settings: &Settings| settings.sinks.as_ref().map(|sinks| sinks.value.len());
    let outer = || place.block.and_then(|block| count(&block.settings)).or_else(|| count(&document.defaults));
    let own = count(&key.settings).or_else(outer).unwrap_or_default();
    // An exception for one account counts for all of them: the few there are decide nothing.
    let exceptions = place.block.into_iter().flat_map(|block| &block.exceptions);
    let most = exceptions
        .filter(|(target, _)| target.key == *name)
        .filter_map(|(_, block)| count(&block.key.settings));
    most.max().unwrap_or_default().max(own)
}
