//! Resolves a document: defaults, inheritance, fan-out, exceptions, placeholders and scopes.

mod account;
mod history;
mod key;
mod layers;
mod location;
mod place;
mod placeholder;
mod scope;
mod size;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::manifest::check::tagged::sink_settings;
use crate::manifest::document::Document;
use crate::manifest::model::{Environment, Manifest, PatternEnvironment, StoreSettings, WantedKey};
use crate::manifest::problem::Problems;
use crate::manifest::resolve::key::Keys;
use crate::manifest::resolve::location::Locations;
use crate::manifest::resolve::place::{Origin, Place, places};
use crate::manifest::resolve::scope::ScopeResolver;
use crate::name::Name;

/// Makes the manifest. Where there are errors it is not complete, and not to be used; `None` where it would be too
/// large to be made.
pub(crate) fn resolve(document: &Document, requested: &[Name], problems: &mut Problems) -> Option<Manifest> {
    let accounts = account::accounts(document, problems);
    let places = places(document, requested, problems);
    if !size::is_bounded(document, &places, problems) {
        return None;
    }
    let scopes = ScopeResolver::new(&document.scope_sets);
    scopes.check_sets(problems);
    placeholder::check_templates(document, problems);

    let imported: BTreeSet<&Address> = document.import.iter().map(|import| &import.value.to).collect();
    let mut keys = Keys { document, accounts: &accounts, imported, scopes, problems };
    keys.check_blocks(&places);
    let mut wanted: BTreeMap<Address, WantedKey> = BTreeMap::new();
    let mut samples: BTreeMap<Address, WantedKey> = BTreeMap::new();
    let mut locations = Locations::default();
    let mut environments = BTreeMap::new();
    for place in &places {
        let found = keys.in_place(place);
        locations.add(place, &found, document, keys.problems);
        if let Some(environment) = environment(place, document, &found, keys.problems) {
            environments.insert(environment.name.clone(), environment);
        }
        let into = if place.origin.is_sample() { &mut samples } else { &mut wanted };
        into.extend(found.into_iter().map(|key| (key.address.clone(), key)));
    }
    history::check(document, &wanted, &samples, &accounts, problems);
    Some(Manifest {
        project: project(document, problems),
        state: document.state.as_ref().map(|state| state.value.clone()).unwrap_or_default(),
        sinks: sinks(document, problems),
        patterns: patterns(document, &places, problems),
        environments,
        keys: wanted,
        moved: document.moved.iter().map(|moved| moved.value.clone()).collect(),
        import: document.import.iter().map(|import| import.value.clone()).collect(),
        removed: document.removed.iter().map(|removed| removed.value.clone()).collect(),
        policy: document.policy.clone(),
        accounts,
        sources: Vec::new(),
    })
}

/// The project's name: the folder of a local store is its own, and a shared store holds many.
fn project(document: &Document, problems: &mut Problems) -> Name {
    let default = || Name::new("default").expect("`default` is a name");
    match (&document.project, &document.state) {
        (Some(project), _) => project.value.clone(),
        (None, Some(state)) if !matches!(state.value, StoreSettings::Local(_)) => {
            let message = format!("state is shared (`{}`), and the manifest has no `project`", state.kind());
            problems
                .error("missing_project", state.site, message)
                .help("add `project: NAME`: it tells this project's state from that of others");
            default()
        }
        (None, _) => default(),
    }
}

fn sinks(document: &Document, problems: &mut Problems) -> BTreeMap<Name, crate::sink::SinkSettings> {
    let mut sinks = BTreeMap::new();
    for (name, block) in &document.sinks {
        let Some(template) = &block.value else { continue };
        if let Some(settings) = sink_settings(template, block.site, &format!("sink `{name}`"), problems) {
            sinks.insert(name.clone(), settings);
        }
    }
    sinks
}

/// The environment of a place that really exists.
fn environment(
    place: &Place<'_>,
    document: &Document,
    keys: &[WantedKey],
    problems: &mut Problems,
) -> Option<Environment> {
    let (name, pattern) = match &place.origin {
        Origin::Named(name) => (name, None),
        Origin::Pattern { name, pattern, sample: false } => (name, Some(pattern.to_string())),
        Origin::Pattern { sample: true, .. } | Origin::Nowhere => return None,
    };
    let block = place.block?;
    Some(Environment {
        name: name.clone(),
        accounts: accounts_of(place, document, keys),
        fan_out: place.fan_out.is_some(),
        pattern,
        ttl: block.ttl,
        max_keys: block.max_keys,
        position: problems.position(place.site),
    })
}

/// The accounts that a place's keys live in, and the one that it names.
fn accounts_of(place: &Place<'_>, document: &Document, keys: &[WantedKey]) -> Vec<Name> {
    let mut accounts: BTreeSet<Name> = keys.iter().map(|key| key.account.clone()).collect();
    match &place.fan_out {
        Some(all) => accounts.extend(all.iter().cloned()),
        None => accounts.extend(place.own_account(document)),
    }
    accounts.into_iter().collect()
}

fn patterns(
    document: &Document,
    places: &[Place<'_>],
    problems: &Problems,
) -> BTreeMap<String, PatternEnvironment> {
    let mut patterns = BTreeMap::new();
    for (pattern, block) in &document.patterns {
        let place = places.iter().find(|place| place.origin.pattern() == Some(pattern));
        let made = PatternEnvironment {
            pattern: pattern.clone(),
            accounts: place.map(|place| accounts_of(place, document, &[])).unwrap_or_default(),
            ttl: block.ttl,
            max_keys: block.max_keys,
            position: problems.position(block.site),
        };
        patterns.insert(pattern.clone(), made);
    }
    patterns
}
