//! Adoption: live keys that no state owns, and that the manifest, a person or a sink names.
//!
//! An adopted key is decided about as if state had owned it all along, just as it is at SendGrid, so that what
//! differs from the manifest shows as it would for any other key.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Access, AccessKind, Scope, Scopes};
use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::inventory::{Grantable, KeyDetail, ReadAccount, SinkContent, SinkObservation, may_be_full};
use crate::key::{KeyId, Marker};
use crate::manifest::{ImportKey, Manifest, WantedKey, WantedScopes};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::document::change::Reason;
use crate::plan::document::step::Adopt;
use crate::plan::findings::{Findings, about};
use crate::plan::input::{Requests, Selection};
use crate::sink::{LocationId, SinkLocation};
use crate::state::{AccountState, Born, Delivery, OwnedKey, SecretStatus, Settings};
use crate::text::source::Position;

/// A key that is to be adopted, and why.
pub(crate) struct Adoption {
    pub adopt: Adopt,
    pub reason: Reason,
    /// What is worth saying where it is adopted.
    pub findings: Vec<Finding>,
}

/// An address that is to get a live key.
struct Candidate<'a> {
    wanted: &'a WantedKey,
    key: CandidateKey<'a>,
    reason: Reason,
    position: Option<&'a Position>,
}

/// How the key of a candidate is found.
enum CandidateKey<'a> {
    /// An entry or a person names it.
    Named(ImportKey),
    /// Sinks of the address hold it: each live key there, with the first of them.
    Held(Vec<(KeyId, &'a SinkLocation)>),
}

/// What candidates are looked up in.
struct Lookup<'a, 'f> {
    manifest: &'a Manifest,
    selection: &'f Selection,
    requests: &'f Requests,
    account: &'f Name,
    read: &'f ReadAccount,
    sinks: &'f BTreeMap<LocationId, SinkObservation>,
    /// Whether some state has a key at an address.
    is_owned: &'f dyn Fn(&Address) -> bool,
    /// Whether some state owns an id.
    has_owner: &'f dyn Fn(&KeyId) -> bool,
    states: &'f BTreeMap<Name, AccountState>,
}

/// The keys of an account that may be adopted, and whose scopes have to be looked at for that.
pub fn adoptable(
    manifest: &Manifest,
    selection: &Selection,
    requests: &Requests,
    states: &BTreeMap<Name, AccountState>,
    account: &Name,
    read: &ReadAccount,
    sinks: &BTreeMap<LocationId, SinkObservation>,
) -> BTreeSet<KeyId> {
    if selection.destroy {
        return BTreeSet::new();
    }
    let is_owned = |address: &Address| states.values().any(|state| state.keys.contains_key(address));
    let owned: BTreeSet<&KeyId> = match requests.from_sinks {
        true => states.values().flat_map(|state| state.owned_ids().into_keys()).collect(),
        false => BTreeSet::new(),
    };
    let has_owner = |id: &KeyId| owned.contains(id);
    let (is_owned, has_owner) = (&is_owned, &has_owner);
    let lookup = Lookup { manifest, selection, requests, account, read, sinks, is_owned, has_owner, states };
    lookup.candidates().into_iter().flat_map(|candidate| candidate.key.live(read)).collect()
}

impl<'a> Lookup<'a, '_> {
    fn wanted(&self, address: &Address) -> Option<&'a WantedKey> {
        let key = self.manifest.keys.get(address).filter(|key| &key.account == self.account)?;
        (!(self.is_owned)(address) && self.selection.has(self.manifest, address)).then_some(key)
    }

    fn candidates(&self) -> Vec<Candidate<'a>> {
        let mut candidates: BTreeMap<&Address, Candidate<'a>> = BTreeMap::new();
        for (address, id) in &self.requests.import {
            if let Some(wanted) = self.wanted(address) {
                let key = CandidateKey::Named(ImportKey::Id(id.clone()));
                let candidate = Candidate { wanted, key, reason: Reason::Imported, position: None };
                candidates.insert(&wanted.address, candidate);
            }
        }
        for import in &self.manifest.import {
            if let Some(wanted) = self.wanted(&import.to) {
                // The key of the entry was rotated since, and a sink has the one that is live.
                let is_gone = live(&import.key, self.read).is_empty();
                if self.requests.from_sinks && is_gone && !self.held_live(wanted).is_empty() {
                    continue;
                }
                let (key, position) = (CandidateKey::Named(import.key.clone()), Some(&import.position));
                let candidate = Candidate { wanted, key, reason: Reason::Imported, position };
                candidates.entry(&wanted.address).or_insert(candidate);
            }
        }
        if self.requests.from_sinks {
            for key in self.manifest.keys.values() {
                let Some(wanted) = self.wanted(&key.address) else { continue };
                let held = self.held_live(wanted);
                if held.is_empty() {
                    continue;
                }
                let key = CandidateKey::Held(held);
                let candidate = Candidate { wanted, key, reason: Reason::FoundInSink, position: None };
                candidates.entry(&wanted.address).or_insert(candidate);
            }
        }
        candidates.into_values().collect()
    }

    /// The live keys that locations of the address hold, each with the first of them: without an owner and not of a creation that
    /// broke off, as that one is settled, and may be taken back.
    fn held_live(&self, wanted: &'a WantedKey) -> Vec<(KeyId, &'a SinkLocation)> {
        let mut held: Vec<(KeyId, &SinkLocation)> = Vec::new();
        for location in wanted.sinks.iter().filter(|location| location.at.is_readable()) {
            let Some(SinkObservation::Holds(SinkContent::Key(id))) = self.sinks.get(&location.id()) else {
                continue;
            };
            let is_known = held.iter().any(|(known, _)| known == id);
            let is_free = |name: &String| !(self.has_owner)(id) && begun_for(self.states, name).is_none();
            if !is_known && self.read.live.get(id).is_some_and(is_free) {
                held.push((id.clone(), location));
            }
        }
        held
    }
}

/// The address whose creation broke off and left the key of this name.
fn begun_for<'s>(states: &'s BTreeMap<Name, AccountState>, name: &str) -> Option<&'s Address> {
    let marker = Marker::in_name(name)?;
    states.values().find_map(|state| state.pending.get(&marker)).map(|pending| &pending.address)
}

impl CandidateKey<'_> {
    fn live(&self, read: &ReadAccount) -> Vec<KeyId> {
        match self {
            Self::Named(key) => live(key, read),
            Self::Held(held) => held.iter().map(|(id, _)| id.clone()).collect(),
        }
    }
}

/// The live keys that an import names: one, or several of the same name.
fn live(key: &ImportKey, read: &ReadAccount) -> Vec<KeyId> {
    match key {
        ImportKey::Id(id) => read.live.contains_key(id).then(|| id.clone()).into_iter().collect(),
        ImportKey::Name(name) => {
            read.live.iter().filter(|(_, live)| *live == name).map(|(id, _)| id.clone()).collect()
        }
    }
}

/// Decides which keys of an account are adopted, and reports imports that cannot be.
pub(crate) fn adoptions(account: &Account<'_>, findings: &mut Findings<'_>) -> BTreeMap<Address, Adoption> {
    let input = account.input;
    if input.selection.destroy {
        return BTreeMap::new();
    }
    let is_owned =
        |address: &Address| !account.index.owners(address).is_empty() || !account.index.is_selected(address);
    let has_owner = |id: &KeyId| account.index.owner_of(id).is_some();
    let lookup = Lookup {
        manifest: input.manifest,
        selection: input.selection,
        requests: &input.options.requests,
        account: account.name(),
        read: account.read,
        sinks: &input.inventory.sinks,
        is_owned: &is_owned,
        has_owner: &has_owner,
        states: input.states,
    };
    let mut taken = BTreeSet::new();
    let mut adoptions = BTreeMap::new();
    for candidate in lookup.candidates() {
        match adoption(account, &candidate) {
            Ok(adoption) if taken.insert(adoption.adopt.id.clone()) => {
                adoptions.insert(candidate.wanted.address.clone(), adoption);
            }
            Ok(adoption) => {
                let message = format!("the key {} is adopted at another address already", adoption.adopt.id);
                let help = "a key has one address: take one of the entries out";
                findings.raise(candidate.refused(Code::ImportOwned, message, help));
            }
            Err(finding) => findings.raise(*finding),
        }
    }
    adoptions
}

impl Candidate<'_> {
    fn refused(&self, code: Code, message: String, help: impl Into<String>) -> Finding {
        let finding = about(Finding::blocks(code, message, help), self.wanted);
        match self.position {
            Some(position) => finding.at_position(Some(position)),
            None => finding,
        }
    }
}

fn adoption(account: &Account<'_>, candidate: &Candidate<'_>) -> Result<Adoption, Box<Finding>> {
    let wanted = candidate.wanted;
    let id = the_one(account, candidate)?;
    if let Some(owner) = account.index.owner_of(&id) {
        return Err(Box::new(candidate.refused(
            Code::ImportOwned,
            format!("the key {id} is owned already, as `{owner}`"),
            format!("to give it another address, say `moved: [{{ from: {owner}, to: {} }}]`", wanted.address),
        )));
    }
    let name = account.read.live.get(&id).cloned().unwrap_or_default();
    if let Some(begun) = begun_for(account.input.states, &name).filter(|begun| **begun != wanted.address) {
        return Err(Box::new(candidate.refused(
            Code::ImportOwned,
            format!("the key {id} is of a creation for `{begun}` that broke off, and may be taken back"),
            format!("to make it the key of `{}`, finish it first: apply while `{begun}` is in the manifest, and then rename it with `moved`", wanted.address),
        )));
    }
    let Some(KeyDetail::Scopes(scopes)) = account.read.details.get(&id) else {
        return Err(Box::new(candidate.refused(
            Code::ImportNotFound,
            format!("SendGrid lists the key {id}, and does not show it"),
            "it may just have been revoked; run again",
        )));
    };
    let scopes: BTreeSet<Scope> = scopes.iter().filter(|scope| !scope.is_automatic()).cloned().collect();
    let Some(access) = access(wanted, &scopes, &account.read.grantable) else {
        return Err(Box::new(another_kind(candidate, &id, scopes.len())));
    };
    let mut settings = account.settings(wanted);
    settings.locations.retain(|location| account.holds(location, &id));
    let (secret, findings) = match settings.locations.is_empty() {
        true => (SecretStatus::Unknown, vec![unknown_secret(candidate, &id)]),
        false => (SecretStatus::Delivered, Vec::new()),
    };
    let adopt = Adopt { id, name, access, secret, settings };
    Ok(Adoption { adopt, reason: candidate.reason, findings })
}

/// Which of them programs should go on with nobody but a person knows: one of them may be an older one.
fn several_held(candidate: &Candidate<'_>, held: &[(KeyId, &SinkLocation)]) -> Finding {
    let address = &candidate.wanted.address;
    let held: Vec<String> = held.iter().map(|(id, location)| format!("{id} in {location}")).collect();
    candidate.refused(
        Code::ImportAmbiguous,
        format!("the sinks of `{address}` hold {} live keys: {}", held.len(), held.join(", ")),
        format!("name the one that its programs should go on with: `gridkey import {address} ID`"),
    )
}

fn another_kind(candidate: &Candidate<'_>, id: &KeyId, scopes: usize) -> Finding {
    let holds = if scopes == 1 { "1 scope".to_string() } else { format!("{scopes} scopes") };
    let (address, kind) = (&candidate.wanted.address, candidate.wanted.access.kind());
    candidate.refused(
        Code::ImportMismatch,
        format!("the key {id} holds {holds}, and `{address}` is wanted with {kind} access"),
        "no key changes from one kind of access to another: write the access that it has; or take the entry out, so \
         that a new key is made",
    )
}

fn unknown_secret(candidate: &Candidate<'_>, id: &KeyId) -> Finding {
    let address = &candidate.wanted.address;
    let message = format!(
        "whether a program has the secret of `{address}` is not known: no sink that was looked at holds {id}"
    );
    let help = format!(
        "put it where it belongs by hand, or replace the key once it is adopted: `gridkey rotate {address}`"
    );
    candidate.refused(Code::SecretUnknown, message, help).with_severity(crate::finding::Severity::Warns)
}

/// The key of a candidate, where it is one.
fn the_one(account: &Account<'_>, candidate: &Candidate<'_>) -> Result<KeyId, Box<Finding>> {
    let ids = candidate.key.live(account.read);
    match (&ids[..], &candidate.key) {
        ([id], _) => Ok(id.clone()),
        (_, CandidateKey::Held(held)) => Err(Box::new(several_held(candidate, held))),
        ([], CandidateKey::Named(key)) => {
            let what = match key {
                ImportKey::Id(id) => format!("the key {id}"),
                ImportKey::Name(name) => format!("a key named `{name}`"),
            };
            let elsewhere = account.input.inventory.accounts.keys().find(|other| {
                *other != account.name()
                    && account.input.inventory.account(other).is_some_and(|read| !live(key, read).is_empty())
            });
            let (message, help) = match elsewhere {
                Some(other) => (
                    format!("{what} is in account `{other}`, and not in `{}`", account.name()),
                    format!(
                        "say `account: {other}` for `{}`, or name a key of its own account",
                        candidate.wanted.address
                    ),
                ),
                None => (
                    match key {
                        ImportKey::Id(id) => {
                            format!("the key {id} is not live in account `{}`", account.name())
                        }
                        ImportKey::Name(name) => {
                            format!("no live key of account `{}` is named `{name}`", account.name())
                        }
                    },
                    "`gridkey audit` lists the keys there are; an id is the middle of `SG.<id>.<secret>`"
                        .to_string(),
                ),
            };
            Err(Box::new(candidate.refused(Code::ImportNotFound, message, help)))
        }
        (several, CandidateKey::Named(_)) => {
            let listed: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Box::new(candidate.refused(
                Code::ImportAmbiguous,
                format!("{} live keys of account `{}` have that name", several.len(), account.name()),
                format!("name one by its id: {}", listed.join(", ")),
            )))
        }
    }
}

/// What a live key's access is; `None` where it is another kind than is wanted.
fn access(wanted: &WantedKey, scopes: &BTreeSet<Scope>, grantable: &Grantable) -> Option<Access> {
    let billing = scopes.iter().any(Scope::is_billing);
    let all = Scopes::new(scopes.clone()).ok();
    match wanted.access.kind() {
        AccessKind::Full => may_be_full(scopes, grantable).then_some(Access::Full),
        AccessKind::Billing => all.filter(|_| billing).map(Access::Billing),
        AccessKind::Restricted => {
            // One that may have Full Access is not narrowed by the way; only the very scopes that it holds tell that it
            // has not.
            let wanted = wanted.access.scopes().map(WantedScopes::all).unwrap_or_default();
            let full = may_be_full(scopes, grantable) && wanted != *scopes;
            all.filter(|_| !billing && !full).map(Access::Restricted)
        }
    }
}

/// An account's document as it is once its keys are adopted.
pub(crate) fn with_adopted(account: &Account<'_>, adoptions: &BTreeMap<Address, Adoption>) -> AccountState {
    let mut state = account.state.cloned().unwrap_or_else(|| {
        let project = account.input.manifest.project.clone();
        AccountState::new(project, account.name().clone(), account.declared.identity(), String::new())
    });
    for (address, adoption) in adoptions {
        state.adopted(address, adoption.adopt.clone().owned(String::new(), account.at()));
    }
    state
}

impl Adopt {
    /// The key as state owns it from then on.
    pub fn owned(self, by: String, at: jiff::Timestamp) -> OwnedKey {
        let Self { id, name, access, secret, settings } = self;
        let Settings {
            owner,
            protect,
            on_delete,
            patterns,
            locations,
            left_alone: _,
            overlap: _,
            lifecycle,
            hooks: _,
        } = settings;
        OwnedKey {
            id,
            name,
            held_name: None,
            reported: access.scopes().map(|scopes| scopes.as_set().clone()),
            access,
            patterns,
            generation: 1,
            follows: None,
            kept_until: None,
            born: Born::FirstSeen(at),
            first_made: None,
            moved_from: None,
            short_lived: false,
            makes_room: false,
            lifecycle: Some(lifecycle),
            secret,
            owner,
            protect,
            on_delete,
            sinks: locations.into_iter().map(|location| Delivery::new(location, at)).collect(),
            by,
            // Nothing is delivered.
            hooks_due: Vec::new(),
            retiring: Vec::new(),
            retiring_locations: Vec::new(),
        }
    }
}
