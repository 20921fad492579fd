//! `environments list`: what the manifest has, and what state has keys in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gridkey_core::manifest::Manifest;
use gridkey_core::plan::matches_pattern;
use gridkey_core::state::{AccountState, OwnedKey};
use gridkey_core::{Address, Name};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::args::{Global, TextOrJson};
use crate::exit::{CommandError, Exit};
use crate::print;
use crate::project::{Project, environments_of};
use crate::view::table::{Cell, Table};
use crate::view::words;

/// What there is; the version does not rise with a field that is added.
#[derive(Serialize)]
struct Environments {
    format_version: u32,
    environments: Vec<Environment>,
    patterns: Vec<OnRequest>,
}

/// One that the manifest names, or that state has keys in.
#[derive(Serialize)]
struct Environment {
    name: Name,
    /// What of the manifest it comes from.
    origin: Origin,
    accounts: Vec<Name>,
    /// Keys that state has in it.
    owned: usize,
    /// Keys that the manifest has in it; none where it comes from a pattern and was not named with `--env`.
    wanted: usize,
    /// When its keys are revoked, by the `ttl` that was applied.
    ends: Option<Timestamp>,
    /// What becomes of that once an edit of its `ttl` is applied, where there is one.
    edited: Option<Edited>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Origin {
    Named,
    Pattern(String),
    /// It is no longer in the manifest.
    Gone,
}

#[derive(Serialize)]
struct Edited {
    ends: Option<Timestamp>,
}

/// A pattern of the manifest, whose environments are made as they are named.
#[derive(Serialize)]
struct OnRequest {
    pattern: String,
    accounts: Vec<Name>,
}

pub async fn environments(global: &Global, format: TextOrJson) -> Result<Exit, CommandError> {
    let project = Project::open(global).await?;
    let states = project.states().await?;
    let found = look(project.manifest(), &states);
    match format {
        TextOrJson::Json => print::json(&found),
        TextOrJson::Text if found.environments.is_empty() && found.patterns.is_empty() => {
            print::say("the manifest has no environments; every key exists once");
        }
        TextOrJson::Text => print::text(&table(&found).to_text(print::style(), "")),
    }
    Ok(Exit::Done)
}

fn look(manifest: &Manifest, states: &BTreeMap<Name, AccountState>) -> Environments {
    let owned = environments_of(states);
    let named: BTreeSet<&Name> = manifest
        .environments
        .values()
        .filter(|known| known.pattern.is_none())
        .map(|known| &known.name)
        .collect();
    let all = named.iter().copied().chain(owned.iter().filter(|name| !named.contains(name)));
    let patterns = manifest
        .patterns
        .values()
        .map(|known| OnRequest { pattern: known.pattern.clone(), accounts: known.accounts.clone() });
    Environments {
        format_version: 1,
        environments: all.map(|name| environment(manifest, states, name)).collect(),
        patterns: patterns.collect(),
    }
}

fn environment(manifest: &Manifest, states: &BTreeMap<Name, AccountState>, name: &Name) -> Environment {
    let is_in = |address: &Address| address.environment.as_ref() == Some(name);
    let all = states.values().flat_map(|state| &state.keys);
    let keys: BTreeMap<&Address, &OwnedKey> = all.filter(|(address, _)| is_in(address)).collect();
    let known = manifest.environments.get(name);
    let pattern = manifest.patterns.values().find(|known| matches_pattern(&known.pattern, name.as_str()));
    let (origin, accounts, ttl) = match (known, pattern) {
        (Some(known), _) if known.pattern.is_none() => (Origin::Named, known.accounts.clone(), known.ttl),
        (_, Some(pattern)) => {
            (Origin::Pattern(pattern.pattern.clone()), pattern.accounts.clone(), pattern.ttl)
        }
        _ => (Origin::Gone, Vec::new(), None),
    };
    let accounts = if accounts.is_empty() {
        let having = states.iter().filter(|(_, state)| state.keys.keys().any(is_in));
        having.map(|(account, _)| account.clone()).collect()
    } else {
        accounts
    };
    let end =
        |ttl: Option<Duration>| since(name, &keys)?.checked_add(SignedDuration::try_from(ttl?).ok()?).ok();
    let applied = keys.values().filter_map(|key| key.lifecycle?.ttl).max();
    let is_edited = applied != ttl && !keys.is_empty() && !matches!(origin, Origin::Gone);
    Environment {
        name: name.clone(),
        origin,
        accounts,
        owned: keys.len(),
        wanted: manifest.keys.keys().filter(|address| is_in(address)).count(),
        ends: end(applied),
        edited: is_edited.then(|| Edited { ends: end(ttl) }),
    }
}

fn table(found: &Environments) -> Table {
    let now = Timestamp::now();
    let mut table = Table::new();
    for Environment { name, origin, accounts, owned, wanted, ends, edited } in &found.environments {
        let count = match wanted {
            0 => words::count(*owned, "key"),
            wanted => format!("{owned} of {}", words::count(*wanted, "key")),
        };
        let origin = match origin {
            Origin::Named => None,
            Origin::Pattern(pattern) => Some(format!("from `{pattern}`")),
            Origin::Gone => Some("no longer in the manifest".to_string()),
        };
        let ends = ends.map(|ends| {
            let words = if ends <= now { "expired" } else { "expires" };
            format!("{words} {}", words::time(ends))
        });
        let edited = edited.as_ref().map(|Edited { ends }| match ends {
            Some(ends) => format!("{} once the edit of its `ttl` is applied", words::time(*ends)),
            None => "never, once the edit of its `ttl` is applied".to_string(),
        });
        let about: Vec<String> = [origin, ends, edited].into_iter().flatten().collect();
        let row = [name.to_string(), count, list(accounts), about.join(", ")];
        table.row(row.map(Cell::new).into(), Vec::new());
    }
    for OnRequest { pattern, accounts } in &found.patterns {
        let row = [pattern.clone(), "on request".to_string(), list(accounts), String::new()];
        table.row(row.map(Cell::new).into(), Vec::new());
    }
    table
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
