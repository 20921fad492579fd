//! What gridkey promises, looked at from outside: the emulated SendGrid, the documents of state, and the files.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gridkey_emulator::Operation;
use serde_json::Value;

use crate::location::Location;
use crate::project::{Project, Wanted};
use crate::site::{ACCOUNTS, FOREIGN, Site};

/// What is known of the rounds before.
#[derive(Default)]
pub struct Promises {
    /// Where a key was delivered that works, and that nobody has asked to be revoked.
    working: BTreeMap<(&'static str, String, Location), String>,
    /// Keys that SendGrid was asked to revoke: the request may have come to nothing, or come late.
    doomed: BTreeSet<String>,
}

impl Promises {
    /// What is broken once no process runs. `destroyed`: the environments whose keys were to be revoked.
    pub fn after_round(
        &mut self,
        site: &Site,
        projects: &[Project],
        destroyed: &BTreeSet<(&str, &str)>,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let mut working = BTreeMap::new();
        self.doomed.extend(asked_to_revoke(site));
        for project in projects {
            for wanted in project.wanted() {
                for location in wanted.locations {
                    let held = match location.held(site) {
                        Ok(held) => held.filter(|held| site.authenticates(held)),
                        Err(error) => {
                            broken.push(error);
                            continue;
                        }
                    };
                    let address = (project.name, wanted.address.clone(), location);
                    let excused = destroyed.contains(&(project.name, wanted.environment));
                    if let (None, Some(before), false) = (&held, self.working.get(&address), excused) {
                        let (project, key, location) = &address;
                        broken.push(format!(
                            "outage: {project} {key}: {location} held {before}, which worked, and holds no key that works"
                        ));
                    }
                    let id = held.and_then(|held| held.split('.').nth(1).map(ToString::to_string));
                    if let Some(id) = id.filter(|id| !self.doomed.contains(id)) {
                        working.insert(address, id);
                    }
                }
            }
        }
        self.working = working;
        broken.extend(secrets(site));
        broken
    }

    /// What is broken once everything was put right.
    pub fn at_end(&mut self, site: &Site, projects: &[Project]) -> Vec<String> {
        let mut broken = self.after_round(site, projects, &BTreeSet::new());
        let mut owned = BTreeSet::new();
        for project in projects {
            let states = site.states(project.name);
            broken.extend(states.iter().flat_map(|(account, state)| left_over(project, account, state)));
            owned.extend(states.iter().flat_map(|(_, state)| ids(state)));
            owned.extend(states.iter().flat_map(|(account, state)| waiting(site, project, account, state)));
            for wanted in project.wanted() {
                broken.extend(
                    delivered(site, &wanted, &states).map(|what| format!("{}: {what}", project.name)),
                );
            }
        }
        broken.extend(accounts(site, &owned));
        broken.extend(files(site));
        broken
    }
}

/// The ids of keys that SendGrid was asked to revoke in this round.
fn asked_to_revoke(site: &Site) -> Vec<String> {
    let model = site.server.model();
    let deletions = model.log().iter().filter(|entry| entry.operation == Operation::Delete);
    deletions.filter_map(|entry| entry.target.rsplit('/').next().map(ToString::to_string)).collect()
}

/// Every id that a document names as a key of its own.
fn ids(state: &Value) -> Vec<String> {
    let id = |key: &Value| key["id"].as_str().unwrap().to_string();
    let keys = state["keys"].as_object().unwrap().values();
    keys.flat_map(|key| {
        let older = key["retiring"].as_array().into_iter().flatten();
        std::iter::once(id(key)).chain(older.map(id)).collect::<Vec<_>>()
    })
    .collect()
}

/// What a document still names though nobody wants it.
fn left_over(project: &Project, account: &str, state: &Value) -> Vec<String> {
    let wanted: BTreeSet<String> = project.wanted().into_iter().map(|wanted| wanted.address).collect();
    let others = state["keys"].as_object().unwrap().keys().filter(|address| !wanted.contains(*address));
    let others = others.map(|address| format!("{}: {account} still owns {address}", project.name));
    let pending = state["pending"].as_object().into_iter().flatten();
    let pending = pending.filter(|(_, pending)| !is_wanted_elsewhere(project, account, pending));
    let pending = pending.map(|(marker, _)| format!("{}: {account} still expects {marker}", project.name));
    others.chain(pending).collect()
}

/// A program may have read what broke off before its address went to another account: that waits for the overlap.
fn is_wanted_elsewhere(project: &Project, account: &str, pending: &Value) -> bool {
    let address = pending["address"].as_str().unwrap();
    project.wanted().iter().any(|wanted| wanted.address == address && wanted.account != account)
}

/// The ids of keys that broke off and wait for an overlap.
fn waiting(site: &Site, project: &Project, account: &str, state: &Value) -> Vec<String> {
    let pending = state["pending"].as_object().into_iter().flatten();
    let waiting: Vec<_> = pending
        .filter(|(_, pending)| is_wanted_elsewhere(project, account, pending))
        .map(|(marker, _)| marker.clone())
        .collect();
    let keys = site.keys(account).into_iter();
    keys.filter(|key| waiting.iter().any(|marker| key.name.contains(marker.as_str())))
        .map(|key| key.id)
        .collect()
}

/// What is wrong with a key that is wanted.
fn delivered(site: &Site, wanted: &Wanted, states: &[(String, Value)]) -> impl Iterator<Item = String> {
    let Wanted { address, environment: _, account, name, scopes, locations } = wanted;
    let state = states.iter().find(|(name, _)| name == account).map(|(_, state)| state);
    let id = state.and_then(|state| state["keys"][address]["id"].as_str()).unwrap_or("none");
    let mut broken = Vec::new();
    match site.keys(account).into_iter().find(|key| key.id == id) {
        Some(key) if key.live => {
            if key.name != *name {
                broken.push(format!("{address} is called {}, and not {name}", key.name));
            }
            if key.scopes != *scopes {
                broken.push(format!("{address} has {:?}, and not {scopes:?}", key.scopes));
            }
        }
        _ => broken.push(format!("{address} has the key {id} in {account}, which is not live")),
    }
    for location in locations {
        match location.held(site) {
            Ok(Some(held)) if held.split('.').nth(1) == Some(id) && site.authenticates(&held) => {}
            Ok(Some(held)) => {
                let held = held.split('.').nth(1).unwrap_or("something else").to_string();
                broken.push(format!("lost: {location} of {address} holds {held}, and not a working {id}"));
            }
            Ok(None) => {
                broken.push(format!("lost: {location} of {address} is empty, and not a working {id}"))
            }
            Err(error) => broken.push(error),
        }
    }
    broken.into_iter()
}

/// Orphans, and accounts that do not add up.
fn accounts(site: &Site, owned: &BTreeSet<String>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut made = 0;
    for (account, _) in ACCOUNTS {
        let keys = site.keys(account);
        made += keys.len();
        let live: Vec<_> = keys.iter().filter(|key| key.live && key.name != FOREIGN).collect();
        let orphans = live.iter().filter(|key| !owned.contains(&key.id));
        broken.extend(orphans.map(|key| format!("orphan: {} `{}` lives in {account}", key.id, key.name)));
        let limit = site.server.model().settings_mut().key_limit;
        if live.len() > limit {
            broken.push(format!("{account} has {} keys, and {limit} are the most", live.len()));
        }
    }
    // Two managing keys were made besides.
    let issued = site.server.model().issued_secrets().len();
    if made + 2 != issued {
        broken.push(format!("{issued} secrets were issued, and {made} keys made"));
    }
    broken
}

fn is_sink(name: &str) -> bool {
    name.starts_with(".env") || name.starts_with("config.")
}

/// Every file of both projects, by its name.
fn every_file(site: &Site) -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, files: &mut Vec<(String, PathBuf)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            if path.is_dir() { walk(&path, files) } else { files.push((name, path)) }
        }
    }
    let mut files = Vec::new();
    walk(&site.path(""), &mut files);
    files
}

/// Secrets in what processes said, or in any file but those of sinks and what these are replaced by.
fn secrets(site: &Site) -> Vec<String> {
    let secrets = site.secrets();
    let files = every_file(site).into_iter().filter(|(name, _)| !is_sink(name) && !replaces_a_sink(name));
    let said = std::fs::read_dir(site.said()).unwrap().map(|entry| entry.unwrap().path());
    let leaks = files.map(|(_, path)| path).chain(said).filter(|path| {
        let bytes = std::fs::read(path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        secrets.iter().any(|secret| text.contains(secret.as_str()))
    });
    leaks.map(|path| format!("leak: a secret is in {}", path.display())).collect()
}

/// What sinks are replaced by holds secrets as they do.
fn replaces_a_sink(name: &str) -> bool {
    name.starts_with(".gridkey-") && name.ends_with(".tmp")
}

/// A killed run leaves the lock of a folder as well, with its process id in it: the next edit there takes it over.
fn is_temporary(name: &str) -> bool {
    name.contains(".tmp") && name != ".gridkey-lock.tmp"
}

/// Files that are left, and those that others may read.
fn files(site: &Site) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, path) in every_file(site) {
        let metadata = std::fs::metadata(&path).unwrap();
        if is_temporary(&name) {
            broken.push(format!("left over: {} of {} bytes", path.display(), metadata.len()));
        }
        let mode = metadata.permissions().mode() & 0o777;
        let ours = is_sink(&name) || path.components().any(|part| part.as_os_str() == ".gridkey");
        if ours && mode != 0o600 {
            broken.push(format!("{} has mode {mode:o}", path.display()));
        }
    }
    broken
}
