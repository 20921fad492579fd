//! How locations are reached: as the manifest says now, where it still names them, and not as state remembers it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::Manifest;
use crate::name::Name;
use crate::sink::{LocationId, SharedSettings};
use crate::state::AccountState;

/// The locations whose settings were edited since state was last written: the place is the same, the way there is not,
/// such as the `read` of a command.
pub(crate) type Edited = BTreeSet<LocationId>;

/// Gives the locations in the documents the settings that the manifest has for them, and tells which had others.
pub(crate) fn give_wanted_settings(
    manifest: &Manifest,
    states: &mut Cow<'_, BTreeMap<Name, AccountState>>,
) -> Edited {
    let wanted: BTreeMap<LocationId, &SharedSettings> = manifest
        .keys
        .values()
        .flat_map(|key| &key.sinks)
        .map(|location| (location.id(), &location.at))
        .collect();
    let mut edited = Edited::new();
    for (_, location) in states.values().flat_map(AccountState::locations) {
        let id = location.id();
        if wanted.get(&id).is_some_and(|settings| **settings != location.at) {
            edited.insert(id);
        }
    }
    if !edited.is_empty() {
        for location in states.to_mut().values_mut().flat_map(AccountState::locations_mut) {
            if let Some(settings) = wanted.get(&location.id()) {
                location.at = SharedSettings::clone(settings);
            }
        }
    }
    edited
}
