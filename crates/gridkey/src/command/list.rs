//! `environments list`: what the manifest has, and what state has keys in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gridkey_core::plan::matches_pattern;
use gridkey_core::state::OwnedKey;
use gridkey_core::{Address, Name};
use jiff::{SignedDuration, Timestamp};

use crate::args::Global;
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Project, environments_of};
use crate::view::table::{Cell, Table};
use crate::view::words;

pub async fn environments(global: &Global) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let states = project.states().await?;
    let manifest = project.manifest();
    let owned = environments_of(&states);
    let keys_of = |name: &Name| -> BTreeMap<&Address, &OwnedKey> {
        let all = states.values().flat_map(|state| &state.keys);
        all.filter(|(address, _)| address.environment.as_ref() == Some(name)).collect()
    };
    let now = Timestamp::now();
    let mut table = Table::new();
    let named: BTreeSet<&Name> = manifest
        .environments
        .values()
        .filter(|known| known.pattern.is_none())
        .map(|known| &known.name)
        .collect();
    for name in named.iter().copied().chain(owned.iter().filter(|name| !named.contains(name))) {
        let keys = keys_of(name);
        let known = manifest.environments.get(name);
        let pattern = manifest.patterns.values().find(|known| matches_pattern(&known.pattern, name.as_str()));
        let (origin, accounts, ttl) = match (known, pattern) {
            (Some(known), _) if known.pattern.is_none() => (String::new(), known.accounts.clone(), known.ttl),
            (_, Some(pattern)) => {
                (format!("from `{}`", pattern.pattern), pattern.accounts.clone(), pattern.ttl)
            }
            _ => ("no longer in the manifest".to_string(), Vec::new(), None),
        };
        let accounts = if accounts.is_empty() {
            let having = states.iter().filter(|(_, state)| {
                state.keys.keys().any(|address| address.environment.as_ref() == Some(name))
            });
            having.map(|(account, _)| account.clone()).collect()
        } else {
            accounts
        };
        let wanted =
            manifest.keys.keys().filter(|address| address.environment.as_ref() == Some(name)).count();
        let count = match wanted {
            0 => words::count(keys.len(), "key"),
            wanted => format!("{} of {}", keys.len(), words::count(wanted, "key")),
        };
        let end = |ttl: Option<Duration>| {
            since(name, &keys)?.checked_add(SignedDuration::try_from(ttl?).ok()?).ok()
        };
        let applied = keys.values().filter_map(|key| key.lifecycle?.ttl).max();
        let ends = end(applied).map(|ends| {
            let words = if ends <= now { "expired" } else { "expires" };
            format!("{words} {}", words::time(ends))
        });
        let edited = (applied != ttl && !keys.is_empty() && (known.is_some() || pattern.is_some())).then(
            || match end(ttl) {
                Some(ends) => format!("{} once the edit of its `ttl` is applied", words::time(ends)),
                None => "never, once the edit of its `ttl` is applied".to_string(),
            },
        );
        let about = [Some(origin).filter(|origin| !origin.is_empty()), ends, edited];
        let about: Vec<String> = about.into_iter().flatten().collect();
        let row = [name.to_string(), count, list(&accounts), about.join(", ")];
        table.row(row.map(Cell::new).into(), Vec::new());
    }
    for pattern in manifest.patterns.values() {
        let row = [pattern.pattern.clone(), "on request".to_string(), list(&pattern.accounts), String::new()];
        table.row(row.map(Cell::new).into(), Vec::new());
    }
    if table.is_empty() {
        print::say("the manifest has no environments; every key exists once");
    } else {
        print::out(&table.to_text(print::style(), ""));
    }
    Ok(Exit::Done)
}

/// When an environment got its first key. Its own keys count before those that were moved in, which may be much older.
fn since(name: &Name, keys: &BTreeMap<&Address, &OwnedKey>) -> Option<Timestamp> {
    let first = keys.values().map(|key| {
        let moved_in = key.moved_from.as_ref().is_some_and(|from| from.environment.as_ref() != Some(name));
        (moved_in, key.since())
    });
    first.min().map(|(_, since)| since)
}

fn list(accounts: &[Name]) -> String {
    accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
