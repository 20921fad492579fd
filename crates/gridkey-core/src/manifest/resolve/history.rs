//! Whether `moved`, `import`, `removed` and `policy` speak of things that can be.

use std::collections::BTreeMap;

use crate::address::{Address, AddressPattern};
use crate::manifest::document::Document;
use crate::manifest::model::{Account, ImportKey, RemovedWhat, WantedKey};
use crate::manifest::problem::Problems;
use crate::manifest::read::node::Site;
use crate::manifest::resolve::unknown::unknown;
use crate::name::Name;
use crate::sink::SinkKind;
use crate::text::pattern::matches_pattern;

type Wanted = BTreeMap<Address, WantedKey>;

pub(crate) fn check(
    document: &Document,
    wanted: &Wanted,
    samples: &Wanted,
    accounts: &BTreeMap<Name, Account>,
    problems: &mut Problems,
) {
    // With errors elsewhere, a key that could not be resolved would be said to be missing.
    if !problems.has_errors() {
        imports(document, wanted, samples, problems);
        moves(document, wanted, problems);
        removals(document, wanted, problems);
        selectors(document, wanted, accounts, problems);
    }
    for sink in &document.required_sinks {
        if !document.sinks.contains_key(&sink.value) {
            let is_kind = SinkKind::ALL.iter().any(|kind| kind.as_str() == sink.as_str());
            if is_kind {
                problems
                    .error("unknown_sink", sink.site, format!("unknown sink `{}`", **sink))
                    .help(format!("any sink of that kind is `kind:{}`", **sink));
            } else {
                let known = document.sinks.keys().map(Name::as_str);
                unknown("sink", sink.as_str(), sink.site, known, problems);
            }
        }
    }
}

fn imports(document: &Document, wanted: &Wanted, samples: &Wanted, problems: &mut Problems) {
    let mut targets: BTreeMap<&Address, Site> = BTreeMap::new();
    let mut sources: BTreeMap<String, Site> = BTreeMap::new();
    let mut known: Option<Vec<String>> = None;
    for import in &document.import {
        let to = &import.value.to;
        if !wanted.contains_key(to) && !comes_from_pattern(document, to, samples) {
            let known = known.get_or_insert_with(|| wanted.keys().map(Address::to_string).collect());
            unknown("key", &to.to_string(), import.site, known.iter().map(String::as_str), problems);
        }
        if let Some(first) = targets.insert(to, import.site) {
            problems
                .error("imported_twice", import.site, format!("two keys are imported as `{to}`"))
                .also(first, "the other entry")
                .help("an address is one key: take one of the entries out");
        }
        let source = match &import.value.key {
            ImportKey::Id(id) => format!("id `{id}`"),
            ImportKey::Name(name) => format!("name `{name}` in account of `{to}`"),
        };
        if let Some(first) = sources.insert(source, import.site) {
            problems
                .error("imported_twice", import.site, "one key is imported at two addresses")
                .also(first, "the other entry")
                .help("a key has one address: take one of the entries out");
        }
    }
}

/// Whether an address is in an environment that a pattern can make, of a key that exists there.
fn comes_from_pattern(document: &Document, address: &Address, samples: &Wanted) -> bool {
    let Some(environment) = &address.environment else { return false };
    let pattern = document.patterns.keys().find(|pattern| matches_pattern(pattern, environment.as_str()));
    pattern.is_some_and(|pattern| {
        samples.keys().any(|sample| {
            let made =
                sample.environment.as_ref().is_some_and(|name| matches_pattern(pattern, name.as_str()));
            made && sample.account == address.account && sample.key == address.key
        })
    })
}

fn moves(document: &Document, wanted: &Wanted, problems: &mut Problems) {
    let mut seen: BTreeMap<&AddressPattern, Site> = BTreeMap::new();
    for moved in &document.moved {
        let from = &moved.value.from;
        if let Some(first) = seen.insert(from, moved.site) {
            problems
                .error("moved_twice", moved.site, format!("`{from}` is moved twice"))
                .also(first, "first here")
                .help("take one of the entries out");
        }
        // Entries that lead there and back, or around, end where the manifest wants the key.
        let comes_back = |still: &Address| document.moved.iter().any(|moved| moved.value.to.moves(still));
        if let Some(still) = named_by(from, wanted, AddressPattern::moves).filter(|still| !comes_back(still))
        {
            problems
                .warning(
                    "moved_and_wanted",
                    moved.site,
                    format!("`{still}` is moved away, and the manifest still has it"),
                )
                .help("the key would be moved, and another made in its place; take the entry or the key out");
        }
    }
}

/// A wanted key that an entry names. An address without `*` is looked up, as there may be thousands of both.
fn named_by<'w>(
    pattern: &AddressPattern,
    wanted: &'w Wanted,
    names: impl Fn(&AddressPattern, &Address) -> bool,
) -> Option<&'w Address> {
    match pattern.exact() {
        Some(address) => wanted.get_key_value(&address).map(|(address, _)| address),
        None => wanted.keys().find(|address| names(pattern, address)),
    }
}

fn removals(document: &Document, wanted: &Wanted, problems: &mut Problems) {
    for removed in &document.removed {
        let still = match &removed.value.what {
            RemovedWhat::Address(pattern) => named_by(pattern, wanted, AddressPattern::matches),
            RemovedWhat::Account(account) => {
                wanted.values().find(|key| key.account == *account).map(|key| &key.address)
            }
        };
        if let Some(still) = still {
            problems
                .error(
                    "removed_and_wanted",
                    removed.site,
                    format!("`{still}` is removed, and the manifest still has it"),
                )
                .help("take the entry or the key out");
        }
    }
}

/// A rule for something that does not exist is a typo, or a leftover.
fn selectors(
    document: &Document,
    wanted: &Wanted,
    accounts: &BTreeMap<Name, Account>,
    problems: &mut Problems,
) {
    for selector in &document.account_selectors {
        if !accounts.keys().any(|account| account.as_str() == selector.value) {
            problems
                .warning("unmatched_selector", selector.site, format!("`{selector}` is not an account"))
                .help("this rule goes by account, so it applies to nothing here; check the spelling");
        }
    }
    for selector in &document.selectors {
        let names = accounts.keys().chain(document.environments.keys()).map(|name| name.to_string());
        let mut known = names.chain(wanted.keys().map(Address::to_string));
        // A pattern environment's addresses are those of any name it matches.
        let environment = selector.split('/').next().unwrap_or_default();
        let may_be_made = document
            .patterns
            .keys()
            .any(|pattern| matches_pattern(pattern, environment) || matches_pattern(environment, pattern));
        if !known.any(|name| matches_pattern(selector, &name)) && !may_be_made {
            problems
                .warning(
                    "unmatched_selector",
                    selector.site,
                    format!("`{selector}` is not an address, an environment or an account"),
                )
                .help("the rule applies to nothing; check the spelling");
        }
    }
}
