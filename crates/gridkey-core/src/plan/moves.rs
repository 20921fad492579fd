//! Moves: keys that get another address, by the manifest or by hand. State alone changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::manifest::{Manifest, Moved, RemovedWhat};
use crate::name::Name;
use crate::plan::document::change::{Action, Change, Note, Reason};
use crate::plan::document::step::Step;
use crate::plan::findings::{Gates, blocks};
use crate::plan::input::Selection;
use crate::state::AccountState;
use crate::text::source::Position;

/// The documents as they are once every move is carried out.
#[derive(Clone, Debug)]
pub struct AsMoved<'a> {
    pub states: Cow<'a, BTreeMap<Name, AccountState>>,
    /// By account: the new address, and the one before.
    pub(crate) moves: BTreeMap<Name, BTreeMap<Address, Address>>,
    /// Moves to an address that has a key already.
    pub(crate) taken: Vec<Taken>,
}

/// A move to an address that has a key already.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    account: Name,
    from: Address,
    to: Address,
    position: Position,
}

/// Where an address ends up: what was moved may have been moved again since.
fn destination(moved: &[Moved], from: &Address) -> Option<(Address, Position)> {
    let mut left: Vec<&Moved> = moved.iter().collect();
    let mut last: Option<(Address, Position)> = None;
    loop {
        let at = last.as_ref().map_or(from, |(to, _)| to);
        let next = left.iter().enumerate().find_map(|(index, entry)| {
            Some((index, (entry.from.renamed(&entry.to, at)?, entry.position.clone())))
        });
        // An entry counts once, so that those that lead in a circle end.
        match next.filter(|(_, (to, _))| to != from) {
            Some((index, next)) => {
                left.remove(index);
                last = Some(next);
            }
            None => return last,
        }
    }
}

/// Works out the moves that have something to do, and the documents after them.
pub fn as_moved<'a>(
    manifest: &Manifest,
    selection: &Selection,
    states: &'a BTreeMap<Name, AccountState>,
) -> AsMoved<'a> {
    let mut moved = AsMoved { states: Cow::Borrowed(states), moves: BTreeMap::new(), taken: Vec::new() };
    if manifest.moved.is_empty() {
        return moved;
    }
    for (account, state) in states {
        let mut known: BTreeSet<&Address> = state.keys.keys().collect();
        known.extend(state.pending.values().map(|pending| &pending.address));
        let moves: BTreeMap<&Address, (Address, Position)> = known
            .iter()
            .filter_map(|from| Some((*from, destination(&manifest.moved, from)?)))
            .filter(|(from, (to, _))| *from != to && selection.has(manifest, to))
            .collect();
        let mut targets: BTreeSet<&Address> = BTreeSet::new();
        let mut done: Vec<(Address, Address)> = Vec::new();
        for (from, (to, position)) in &moves {
            let stays = known.contains(to) && !moves.contains_key(to);
            let elsewhere = states.iter().filter(|(other, _)| *other != account).any(|(_, other)| {
                // Where a run broke off, one half of a key between two accounts has moved already.
                let moves = state.keys.contains_key(*from);
                moves && other.keys.get(to).is_some_and(|key| !state.is_half_of(from, key))
            });
            if stays || elsewhere || !targets.insert(to) {
                moved.taken.push(Taken {
                    account: account.clone(),
                    from: (*from).clone(),
                    to: to.clone(),
                    position: position.clone(),
                });
            } else {
                done.push(((*from).clone(), to.clone()));
            }
        }
        if !done.is_empty() {
            if let Some(state) = moved.states.to_mut().get_mut(account) {
                state.moved(&done);
            }
            let done = done.into_iter().map(|(from, to)| (to, from)).collect();
            moved.moves.insert(account.clone(), done);
        }
    }
    moved
}

impl AsMoved<'_> {
    pub(crate) fn report(&self, gates: &mut Gates<'_>) {
        for Taken { account, from, to, position } in &self.taken {
            gates.raise(Finding {
                account: Some(account.clone()),
                address: Some(to.clone()),
                position: Some(position.clone()),
                ..blocks(
                    Code::MoveTaken,
                    format!("`{from}` cannot become `{to}`, which has a key already"),
                    format!("move or remove `{to}` first, or give `{from}` another address"),
                )
            });
        }
    }

    /// Puts the moves of an account before everything else that is done at their addresses.
    pub(crate) fn prepend(&self, account: &Name, changes: &mut Vec<Change>) {
        for (to, from) in self.moves.get(account).into_iter().flatten() {
            let known = changes.iter().position(|change| &change.address == to);
            let at = known.unwrap_or_else(|| {
                changes.push(moved_alone(account, to));
                changes.len() - 1
            });
            let change = &mut changes[at];
            if change.action == Action::Keep {
                change.action = Action::Move;
                change.reasons.clear();
            }
            change.reasons.push(Reason::Moved);
            change.notes.push(Note::MovedFrom(from.clone()));
            change.steps.insert(0, Step::Move { from: from.clone() });
        }
    }
}

fn moved_alone(account: &Name, to: &Address) -> Change {
    Change {
        address: to.clone(),
        account: account.clone(),
        action: Action::Move,
        reasons: Vec::new(),
        before: None,
        after: None,
        notes: Vec::new(),
        steps: Vec::new(),
        rotation: None,
        position: None,
    }
}

/// Where an address or its account is let go of, without being revoked.
pub(crate) fn is_let_go(manifest: &Manifest, account: &Name, address: &Address) -> bool {
    manifest.removed.iter().filter(|removed| !removed.revoke).any(|removed| match &removed.what {
        RemovedWhat::Address(pattern) => pattern.matches(address),
        RemovedWhat::Account(name) => name == account,
    })
}

/// What of a manifest's history has nothing left to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The entry as a person would write it.
    pub entry: String,
    pub position: Position,
}

/// The entries of `moved`, `import` and `removed` that can be taken out of the manifest.
pub fn finished(manifest: &Manifest, states: &BTreeMap<Name, AccountState>) -> Vec<Finished> {
    let mut finished = Vec::new();
    let known = || {
        states
            .values()
            .flat_map(|state| state.keys.keys().chain(state.pending.values().map(|pending| &pending.address)))
    };
    for moved in &manifest.moved {
        if !known().any(|address| moved.from.moves(address)) {
            let entry = format!("moved: {{ from: {}, to: {} }}", moved.from, moved.to);
            finished.push(Finished { entry, position: moved.position.clone() });
        }
    }
    for import in &manifest.import {
        if states.values().any(|state| state.keys.contains_key(&import.to)) {
            let entry = format!("import: {{ to: {} }}", import.to);
            finished.push(Finished { entry, position: import.position.clone() });
        }
    }
    for removed in &manifest.removed {
        let (entry, done) = match &removed.what {
            RemovedWhat::Address(pattern) => {
                (format!("removed: {{ from: {pattern} }}"), !known().any(|address| pattern.matches(address)))
            }
            RemovedWhat::Account(account) => (
                format!("removed: {{ account: {account} }}"),
                states.get(account).is_none_or(|state| state.keys.is_empty() && state.pending.is_empty()),
            ),
        };
        if done {
            finished.push(Finished { entry, position: removed.position.clone() });
        }
    }
    finished.sort_by(|a, b| a.position.cmp(&b.position));
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_twice_ends_up_where_it_was_moved_last() {
        let moved =
            [("a", "b"), ("b", "c"), ("old/*", "new/*"), ("new/x", "new/y"), ("up", "down"), ("down", "up")];
        let position = Position { file: "gridkey.yaml".to_string(), line: 1, column: 1 };
        let moved = moved.map(|(from, to)| Moved {
            from: from.parse().expect("a pattern"),
            to: to.parse().expect("a pattern"),
            position: position.clone(),
        });
        let ends = |from: &str| {
            let from = from.parse().expect("an address");
            destination(&moved, &from).map(|(to, _)| to.to_string())
        };
        for (from, expected) in [
            ("a", Some("c")),
            ("b", Some("c")),
            ("c", None),
            ("old/x", Some("new/y")),
            ("old/z", Some("new/z")),
            ("up", Some("down")),
            ("down", Some("up")),
        ] {
            assert_eq!(ends(from).as_deref(), expected, "{from}");
        }
    }
}
