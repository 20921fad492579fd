//! Moves: keys that get another address, by the manifest or by hand. State alone changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, AddressPattern};
use crate::finding::{Code, Finding, Severity};
use crate::manifest::{Manifest, Moved, RemovedWhat};
use crate::name::Name;
use crate::plan::input::{Due, Requests, Selection};
use crate::plan::reached::{Edited, give_wanted_settings};
use crate::sink::LocationId;
use crate::state::{AccountState, OwnedKey};
use crate::text::pattern::matches_pattern;
use crate::text::source::Position;

/// The documents as they are once the moves of a run are carried out, with locations reached as the manifest says.
#[derive(Clone, Debug)]
pub struct WithMoves<'a> {
    pub states: Cow<'a, BTreeMap<Name, AccountState>>,
    /// Locations that state remembers with other settings than the manifest has.
    edited: Edited,
    /// By account: the new address, and the one before.
    moves: BTreeMap<Name, BTreeMap<Address, Address>>,
    conflicts: Vec<MoveConflict>,
    left: Vec<LeftMove>,
    /// Addresses that are neither changed nor made anew: what is at them waits for a move that is not part of the run.
    pub(crate) left_alone: BTreeSet<Address>,
    /// Addresses whose keys leave by a move that this run does not carry out.
    pub(crate) unmoved: BTreeSet<Address>,
}

/// A move that cannot be.
#[derive(Clone, Debug)]
struct MoveConflict {
    account: Name,
    from: Address,
    to: Address,
    position: Position,
    why: Conflict,
}

#[derive(Clone, Copy, Debug)]
enum Conflict {
    /// The new address has a key already.
    Taken,
    /// The entry makes no address of it.
    Impossible,
    /// The entries lead back to the address, and the manifest wants none of those on the way.
    Circle,
}

/// A move that is not part of the run.
#[derive(Clone, Debug)]
struct LeftMove {
    account: Name,
    from: Address,
    to: Address,
    position: Position,
    why: Left,
}

#[derive(Clone, Copy, Debug)]
enum Left {
    /// One end is outside of what the run is about.
    Selection,
    /// The run does due work alone.
    Due,
    /// No plan file approves it.
    NotApproved,
}

/// Moves that are left out because no plan file approves them: account and the address before.
pub(crate) type Unapproved = BTreeSet<(Name, Address)>;

/// Works out the moves that have something to do, and the documents after them.
pub fn with_moves<'a>(
    manifest: &Manifest,
    selection: &Selection,
    states: &'a BTreeMap<Name, AccountState>,
) -> WithMoves<'a> {
    chosen(manifest, selection, Due::Include, &Unapproved::new(), states)
}

/// The same for a run that leaves some of them out.
pub(crate) fn chosen<'a>(
    manifest: &Manifest,
    selection: &Selection,
    due: Due,
    unapproved: &Unapproved,
    states: &'a BTreeMap<Name, AccountState>,
) -> WithMoves<'a> {
    let mut with = WithMoves {
        states: Cow::Borrowed(states),
        edited: Edited::new(),
        moves: BTreeMap::new(),
        conflicts: Vec::new(),
        left: Vec::new(),
        left_alone: BTreeSet::new(),
        unmoved: BTreeSet::new(),
    };
    with.edited = give_wanted_settings(manifest, &mut with.states);
    if manifest.moved.is_empty() {
        return with;
    }
    let run = Run { manifest, selection, due, unapproved };
    for (account, state) in states {
        let entries = Entries::new(manifest, account, state, states);
        let mut done = Vec::new();
        for (from, destination) in entries.destinations() {
            let conflict = match destination {
                Destination::Stays => continue,
                Destination::To(to, position) => {
                    done.extend(with.choose(&run, &entries, from, to, position));
                    continue;
                }
                Destination::Circle(position) => (position, Conflict::Circle),
                Destination::Impossible(position) => (position, Conflict::Impossible),
            };
            let (position, why) = conflict;
            with.conflict(account, from, from, position, why);
        }
        with.carry_out_what_fits(account, &entries, done);
    }
    with
}

/// What a run is about, as far as moves go.
struct Run<'a> {
    manifest: &'a Manifest,
    selection: &'a Selection,
    due: Due,
    unapproved: &'a Unapproved,
}

/// Whether a run is about one end of a move at least, and whether about both.
fn ends(manifest: &Manifest, selection: &Selection, from: &Address, to: &Address) -> (bool, bool) {
    let (from, to) = (selection.has(manifest, from), selection.has(manifest, to));
    (from || to, from && to)
}

/// The entries of a manifest, held against the keys of an account.
struct Entries<'a> {
    manifest: &'a Manifest,
    account: &'a Name,
    state: &'a AccountState,
    states: &'a BTreeMap<Name, AccountState>,
    /// Addresses with a key, or with one that was begun.
    known: BTreeSet<&'a Address>,
    targets: BTreeMap<Address, usize>,
}

/// Where a key goes.
#[derive(Debug)]
enum Destination {
    Stays,
    To(Address, Position),
    Circle(Position),
    /// What the entry makes of the address is not an address.
    Impossible(Position),
}

impl<'a> Entries<'a> {
    fn new(
        manifest: &'a Manifest,
        account: &'a Name,
        state: &'a AccountState,
        states: &'a BTreeMap<Name, AccountState>,
    ) -> Self {
        let begun = state.pending.values().map(|pending| &pending.address);
        let known = state.keys.keys().chain(begun).collect();
        let mut entries = Self { manifest, account, state, states, known, targets: BTreeMap::new() };
        for (_, destination) in entries.destinations() {
            if let Destination::To(to, _) = destination {
                *entries.targets.entry(to).or_default() += 1;
            }
        }
        entries
    }

    fn destinations(&self) -> Vec<(&'a Address, Destination)> {
        self.known.iter().map(|from| (*from, self.destination(from))).collect()
    }

    /// Where an address ends up: what was moved may have been moved again since. An entry counts once.
    ///
    /// A key goes as far as the manifest wants one: an entry that was carried out long ago may lead on from an address
    /// that is in use again, and a pattern may match what it has made itself.
    fn destination(&self, from: &Address) -> Destination {
        let mut entries: Vec<&Moved> = self.manifest.moved.iter().collect();
        let mut path: Vec<(Address, Position)> = Vec::new();
        let wants = |address: &Address| self.manifest.keys.contains_key(address);
        loop {
            let at = path.last().map_or(from, |(to, _)| to);
            let next = entries.iter().enumerate().filter(|(_, entry)| entry.from.moves(at)).find_map(
                |(index, entry)| {
                    let to = entry.from.renamed(&entry.to, at);
                    (to.as_ref() != Some(at)).then(|| (index, to, entry.position.clone()))
                },
            );
            match next {
                None => break,
                Some((_, None, _)) if wants(at) => break,
                Some((_, None, position)) => return Destination::Impossible(position),
                Some((_, Some(to), position)) if &to == from => return self.circle(from, &path, position),
                Some((index, Some(to), position)) => {
                    entries.remove(index);
                    path.push((to, position));
                }
            }
        }
        match path.iter().rposition(|(to, _)| wants(to)) {
            Some(last) => path.truncate(last + 1),
            None if wants(from) => path.clear(),
            None => {}
        }
        path.pop().map_or(Destination::Stays, |(to, position)| Destination::To(to, position))
    }

    /// Entries that lead back to where they started: keys change places, once, where there is one at each address;
    /// otherwise the key goes where the manifest wants it.
    fn circle(&self, from: &Address, path: &[(Address, Position)], position: Position) -> Destination {
        let Some((first, at)) = path.first() else { return Destination::Stays };
        if path.iter().all(|(address, _)| self.known.contains(address)) {
            let came = self.state.keys.get(from).and_then(|key| key.moved_from.as_ref());
            let has_arrived = came.is_some_and(|came| path.last().is_some_and(|(last, _)| last == came));
            return match has_arrived {
                true => Destination::Stays,
                false => Destination::To(first.clone(), at.clone()),
            };
        }
        let wants = |address: &Address| self.manifest.keys.contains_key(address);
        let free = path.iter().find(|(to, _)| wants(to) && !self.known.contains(to));
        match free {
            _ if wants(from) => Destination::Stays,
            Some((to, position)) => Destination::To(to.clone(), position.clone()),
            None => Destination::Circle(position),
        }
    }

    /// Whether a key is at an address where the manifest wants one, and stays there.
    fn is_settled(&self, address: &Address) -> bool {
        let stays = || match self.destination(address) {
            Destination::Stays => true,
            Destination::To(..) | Destination::Circle(_) | Destination::Impossible(_) => false,
        };
        self.known.contains(address) && self.manifest.keys.contains_key(address) && stays()
    }

    /// Whether another key is at the new address, or goes there too.
    fn is_taken(&self, from: &Address, to: &Address) -> bool {
        let elsewhere = self.states.iter().filter(|(other, _)| *other != self.account).any(|(_, other)| {
            // Where a run broke off, one half of a key between two accounts has moved already.
            let moves = self.state.keys.contains_key(from);
            moves && other.keys.get(to).is_some_and(|key| !self.state.is_half_of(from, key))
        });
        elsewhere || self.targets.get(to).is_some_and(|count| *count > 1)
    }
}

impl WithMoves<'_> {
    /// Whether a move is part of a run; where it is not, what becomes of its two addresses.
    fn choose(
        &mut self,
        run: &Run<'_>,
        entries: &Entries<'_>,
        from: &Address,
        to: Address,
        position: Position,
    ) -> Option<(Address, Address, Position)> {
        let account = entries.account;
        // Both are where the manifest wants them: the entry did its work before the old name was used again.
        if run.manifest.keys.contains_key(from) && entries.is_settled(&to) {
            return None;
        }
        let (selected, whole) = ends(run.manifest, run.selection, from, &to);
        if !selected {
            self.unmoved.insert(from.clone());
            // A creation that broke off would be settled at its new address.
            if entries.state.pending.values().any(|pending| pending.address == *from) {
                self.leave(account, from, &to, position, Left::Selection);
            }
            return None;
        }
        let why = match run.due {
            _ if !whole => Some(Left::Selection),
            _ if run.unapproved.contains(&(account.clone(), from.clone())) => Some(Left::NotApproved),
            Due::Only => Some(Left::Due),
            Due::Include | Due::Exclude => None,
        };
        match why {
            Some(why) => self.leave(account, from, &to, position, why),
            None if entries.is_taken(from, &to) => {
                self.conflict(account, from, &to, position, Conflict::Taken);
            }
            None => return Some((from.clone(), to, position)),
        }
        None
    }

    /// Carries moves out whose new address is free, or becomes so by another of them.
    fn carry_out_what_fits(
        &mut self,
        account: &Name,
        entries: &Entries<'_>,
        mut moves: Vec<(Address, Address, Position)>,
    ) {
        loop {
            let leaving: BTreeSet<Address> = moves.iter().map(|(from, ..)| from.clone()).collect();
            let stays = |to: &Address| entries.known.contains(to) && !leaving.contains(to);
            let (taken, fit): (Vec<_>, Vec<_>) = moves.into_iter().partition(|(_, to, _)| stays(to));
            moves = fit;
            if taken.is_empty() {
                break;
            }
            for (from, to, position) in taken {
                self.conflict(account, &from, &to, position, Conflict::Taken);
            }
        }
        self.carry_out(account, moves.into_iter().map(|(from, to, _)| (from, to)).collect());
    }

    fn carry_out(&mut self, account: &Name, done: Vec<(Address, Address)>) {
        if done.is_empty() {
            return;
        }
        if let Some(state) = self.states.to_mut().get_mut(account) {
            state.moved(&done);
        }
        let done = done.into_iter().map(|(from, to)| (to, from)).collect();
        self.moves.insert(account.clone(), done);
    }

    fn leave(&mut self, account: &Name, from: &Address, to: &Address, position: Position, why: Left) {
        self.left_alone.extend([from.clone(), to.clone()]);
        self.unmoved.insert(from.clone());
        let (account, from, to) = (account.clone(), from.clone(), to.clone());
        self.left.push(LeftMove { account, from, to, position, why });
    }

    fn conflict(&mut self, account: &Name, from: &Address, to: &Address, position: Position, why: Conflict) {
        self.left_alone.insert(from.clone());
        let (account, from, to) = (account.clone(), from.clone(), to.clone());
        self.conflicts.push(MoveConflict { account, from, to, position, why });
    }

    /// Whether the settings of a location were edited since state was last written.
    pub(crate) fn is_edited(&self, location: &LocationId) -> bool {
        self.edited.contains(location)
    }

    /// The address that the key at an address had before this run.
    pub(crate) fn before(&self, account: &Name, to: &Address) -> Option<&Address> {
        self.moves.get(account)?.get(to)
    }

    /// The moves of an account: the new address, and the one before.
    pub(crate) fn of(&self, account: &Name) -> impl Iterator<Item = (&Address, &Address)> {
        self.moves.get(account).into_iter().flatten()
    }

    /// What is not moved, and why. It blocks where a person asked for something to be done at one of the addresses.
    pub(crate) fn findings(&self, requests: &Requests) -> Vec<Finding> {
        let asked = |address: &Address| {
            requests.rotate.contains_key(address) || requests.retire.contains_key(address)
        };
        let conflicts = self.conflicts.iter().map(MoveConflict::finding);
        let left = self.left.iter().map(|left| match asked(&left.from) || asked(&left.to) {
            true => left.finding().with_severity(Severity::Blocks),
            false => left.finding(),
        });
        conflicts.chain(left).collect()
    }
}

impl MoveConflict {
    fn finding(&self) -> Finding {
        let Self { account, from, to, position, why } = self;
        let finding = match why {
            Conflict::Taken => Finding::blocks(
                Code::MoveTaken,
                format!("`{from}` cannot become `{to}`, which has a key already"),
                format!("move or remove `{to}` first, or give `{from}` another address"),
            ),
            Conflict::Impossible => Finding::blocks(
                Code::MoveTaken,
                format!("what `moved` makes of `{from}` is not an address"),
                "an address has at most three parts, each a name of at most 63 characters: correct `to`",
            ),
            Conflict::Circle => Finding::blocks(
                Code::MoveCycle,
                format!(
                    "the entries of `moved` lead `{from}` back to itself, and the manifest has no key on the way"
                ),
                "take out the entry that no longer holds",
            ),
        };
        finding.in_account(account).at_address(to).at_position(Some(position))
    }
}

impl LeftMove {
    fn finding(&self) -> Finding {
        let Self { account, from, to, position, why } = self;
        let (because, help) = match why {
            Left::Selection => (
                "this run is about one of the two addresses alone",
                "leave `--env` and `--only` out, or name both with them: environments of patterns have to be named",
            ),
            Left::Due => ("this run does due work alone", "`gridkey apply` carries the move out"),
            Left::NotApproved => ("no plan file approves the move", "plan again and have that approved"),
        };
        let message = format!("`{from}` becomes `{to}` (`moved`), and {because}: both are left alone");
        Finding::warns(Code::MoveLeft, message, help)
            .in_account(account)
            .at_address(to)
            .at_position(Some(position))
    }
}

impl WithMoves<'_> {
    /// Whether an address or its account is let go of, without being revoked. A person may have written the address that
    /// the key had before the moves of this run.
    pub(crate) fn lets_go_of(&self, manifest: &Manifest, account: &Name, address: &Address) -> bool {
        let before = self.before(account, address);
        manifest.removed.iter().filter(|removed| !removed.revoke).any(|removed| match &removed.what {
            RemovedWhat::Address(pattern) => {
                pattern.matches(address) || before.is_some_and(|before| pattern.matches(before))
            }
            RemovedWhat::Account(name) => name == account,
        })
    }
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
        let left = known().any(|address| moved.from.moves(address));
        // Without a key that came by it, it may be an entry that never matched.
        if !left && brought(manifest, moved, states) {
            let entry = format!("moved: {{ from: {}, to: {} }}", moved.from, moved.to);
            finished.push(Finished { entry, position: moved.position.clone() });
        }
    }
    for import in &manifest.import {
        // A key without sinks is one that the manifest may have for its entry alone.
        let needs_it = manifest.keys.get(&import.to).is_some_and(|key| key.sinks.is_empty());
        if !needs_it && states.values().any(|state| state.keys.contains_key(&import.to)) {
            let entry = format!("import: {{ to: {} }}", import.to);
            finished.push(Finished { entry, position: import.position.clone() });
        }
    }
    for removed in &manifest.removed {
        let (entry, done) = match &removed.what {
            RemovedWhat::Address(pattern) => {
                let mut let_go = states.values().flat_map(|state| &state.let_go);
                let did = removed.revoke || let_go.any(|address| pattern.matches(address));
                // Nothing remembers what was revoked, so an entry that asks for that may have been meant for another key.
                let meant = |address: &Address| {
                    pattern.matches(address) || (removed.revoke && is_near(pattern, address))
                };
                (format!("removed: {{ from: {pattern} }}"), did && !known().any(meant))
            }
            RemovedWhat::Account(account) => {
                let is_empty = |state: &AccountState| state.keys.is_empty() && state.pending.is_empty();
                (format!("removed: {{ account: {account} }}"), states.get(account).is_some_and(is_empty))
            }
        };
        if done {
            finished.push(Finished { entry, position: removed.position.clone() });
        }
    }
    finished.sort_by(|a, b| a.position.cmp(&b.position));
    finished
}

/// Whether a key came to its address by an entry.
pub(crate) fn brought(manifest: &Manifest, entry: &Moved, states: &BTreeMap<Name, AccountState>) -> bool {
    let mut keys = states.values().flat_map(|state| &state.keys);
    keys.any(|(address, key)| came_by(&manifest.moved, entry, address, key))
}

/// Whether an entry is one of those by which a key came to its address.
fn came_by(entries: &[Moved], entry: &Moved, address: &Address, key: &OwnedKey) -> bool {
    let Some(mut at) = key.moved_from.clone() else { return false };
    let mut left: Vec<&Moved> = entries.iter().collect();
    let mut used = Vec::new();
    while at != *address {
        let next = left.iter().position(|entry| entry.from.moves(&at));
        let Some(index) = next else { return false };
        let taken = left.remove(index);
        used.push(taken);
        let Some(next) = taken.from.renamed(&taken.to, &at) else { return false };
        at = next;
    }
    used.contains(&entry)
}

/// Whether an entry that does not match an address was probably meant for it: it names the key and not where it is, or
/// another place, or has a slip of the pen in it.
pub(crate) fn is_near(pattern: &AddressPattern, address: &Address) -> bool {
    let (text, address) = (pattern.as_str(), address.to_string());
    let written: Vec<&str> = text.split('/').collect();
    let meant: Vec<&str> = address.split('/').collect();
    let (Some((key, place)), Some((name, at))) = (written.split_last(), meant.split_last()) else {
        return false;
    };
    if *key != "*" && matches_pattern(key, name) {
        return true;
    }
    let same_place = place.len() == at.len() && place.iter().zip(at).all(|(part, of)| resembles(part, of));
    if *key == "*" {
        return same_place && !place.is_empty();
    }
    (same_place || place.is_empty()) && resembles(key, name)
}

/// Whether a part of a pattern stands for a part of an address, or does but for a slip of the pen.
fn resembles(pattern: &str, part: &str) -> bool {
    /// Shorter ones are another name by one letter more or less.
    const TELLING: usize = 3;
    let (stem, is_open) = match pattern.strip_suffix('*') {
        Some(stem) => (stem, true),
        None => (pattern, false),
    };
    if matches_pattern(pattern, part) {
        return true;
    }
    if stem.len() < TELLING || stem.contains('*') {
        return false;
    }
    let allowed = (stem.len() * 2 / 5).max(1);
    let (least, most) = match is_open {
        true => (stem.len().saturating_sub(1), (stem.len() + 1).min(part.len())),
        false => (part.len(), part.len()),
    };
    (least..=most)
        .filter_map(|end| part.get(..end))
        .any(|part| strsim::damerau_levenshtein(stem, part) <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AccountIdentity;
    use crate::plan::document::step::Adopt;
    use crate::state::{SecretStatus, Settings};

    fn entries(pairs: &[(&str, &str)], wanted: &[&str]) -> Manifest {
        let sources = crate::manifest::SourceFile { name: "gridkey.yaml".into(), bytes: text(pairs, wanted) };
        crate::manifest::load(&[sources], &[]).expect("a manifest").manifest
    }

    fn text(pairs: &[(&str, &str)], wanted: &[&str]) -> Vec<u8> {
        let mut text = "version: 1\naccounts: { acme: { api_key: { env: KEY } } }\nsinks: { local: { dotenv: { path: .env, variable: \"{KEY}\" } } }\ndefaults: { sinks: [local] }\nkeys:\n".to_string();
        for key in wanted {
            text.push_str(&format!("  {key}: {{ scopes: [mail.send] }}\n"));
        }
        text.push_str("moved:\n");
        for (from, to) in pairs {
            text.push_str(&format!("  - {{ from: \"{from}\", to: \"{to}\" }}\n"));
        }
        text.into_bytes()
    }

    fn states(owned: &[(&str, Option<&str>)]) -> BTreeMap<Name, AccountState> {
        let acme = Name::new("acme").expect("a name");
        let identity = AccountIdentity { parent: None, region: Default::default(), on_behalf_of: None };
        let mut state = AccountState::new(acme.clone(), acme.clone(), identity, String::new());
        for (address, moved_from) in owned {
            let adopt = Adopt {
                id: crate::key::KeyId::new(*address),
                name: (*address).to_string(),
                access: crate::access::Access::Full,
                secret: SecretStatus::Unknown,
                settings: Settings::default(),
            };
            let mut key = adopt.owned(String::new(), jiff::Timestamp::UNIX_EPOCH);
            key.moved_from = moved_from.map(|from| from.parse().expect("an address"));
            state.adopted(&address.parse().expect("an address"), key);
        }
        BTreeMap::from([(acme, state)])
    }

    /// Where keys end up, as `from>to`, with `from>?` for a circle.
    fn ends(pairs: &[(&str, &str)], owned: &[(&str, Option<&str>)], wanted: &[&str]) -> Vec<String> {
        let (manifest, states) = (entries(pairs, wanted), states(owned));
        let with = with_moves(&manifest, &Selection::default(), &states);
        let moves = with.moves.values().flatten().map(|(to, from)| format!("{from}>{to}"));
        moves.chain(with.conflicts.iter().map(|conflict| format!("{}>?", conflict.from))).collect()
    }

    #[test]
    fn what_was_moved_twice_ends_up_where_it_was_moved_last() {
        let pairs = [("a", "b"), ("b", "c"), ("old/*", "new/*"), ("new/x", "new/y")];
        for (from, expected) in [
            ("a", vec!["a>c"]),
            ("b", vec!["b>c"]),
            ("c", vec![]),
            ("old/x", vec!["old/x>new/y"]),
            ("old/z", vec!["old/z>new/z"]),
        ] {
            assert_eq!(ends(&pairs, &[(from, None)], &["c"]), expected, "{from}");
        }
    }

    #[test]
    fn a_key_goes_no_further_than_the_manifest_wants_one() {
        let grows = [("*", "app-*")];
        assert_eq!(ends(&grows, &[("mail", None)], &["app-mail"]), ["mail>app-mail"]);
        for key in [("app-mail", Some("mail")), ("app-mail", None)] {
            assert!(ends(&grows, &[key], &["app-mail"]).is_empty(), "{key:?}");
        }
        // What was said first is long done, and its end is wanted no more.
        let again = [("a", "b"), ("x", "a")];
        assert_eq!(ends(&again, &[("x", None)], &["a"]), ["x>a"]);
        assert!(ends(&again, &[("a", Some("x"))], &["a"]).is_empty());
        assert_eq!(ends(&again, &[("x", None)], &["a", "b"]), ["x>b"]);
    }

    #[test]
    fn keys_change_places_once() {
        let pairs = [("up", "down"), ("down", "up")];
        let both = ["up", "down"];
        assert_eq!(ends(&pairs, &[("up", None), ("down", None)], &both), ["up>down", "down>up"]);
        assert!(ends(&pairs, &[("up", Some("down")), ("down", Some("up"))], &both).is_empty());
    }

    #[test]
    fn a_move_there_and_back_ends_where_the_manifest_wants_the_key() {
        let pairs = [("mail", "mailer"), ("mailer", "mail")];
        assert!(ends(&pairs, &[("mail", None)], &["mail"]).is_empty());
        assert!(ends(&pairs, &[("mail", Some("mailer"))], &["mail"]).is_empty());
        assert_eq!(ends(&pairs, &[("mailer", Some("mail"))], &["mail"]), ["mailer>mail"]);
        assert_eq!(ends(&pairs, &[("mail", None)], &["other"]), ["mail>?"]);
    }
}
