//! Adoption: live keys that nobody's state owns, and that the manifest, a person or a sink names.
//!
//! An adopted key is planned as if state had owned it all along, just as it is at SendGrid, so that what
//! differs from the manifest shows as it would for any other key.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Access, AccessKind, Scope, Scopes};
use crate::address::Address;
use crate::finding::{Code, Finding, Severity};
use crate::inventory::{Grantable, KeyDetail, ReadAccount, SinkContent, SinkObservation};
use crate::key::KeyId;
use crate::manifest::{ImportKey, Manifest, WantedKey};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::decide::scopes::without_automatic;
use crate::plan::document::change::{Action, Change, Note, Reason};
use crate::plan::document::step::{Adopt, Step};
use crate::plan::input::{PlanInput, Requests, Selection};
use crate::plan::{
    findings::{Gates, blocks},
    judge as gate,
};
use crate::sink::LocationId;
use crate::state::Settings;
use crate::state::{AccountState, Born, Delivery, OwnedKey, SecretStatus};
use crate::text::source::Position;

/// A key that is to be adopted, and why.
pub(crate) struct Adoption {
    pub adopt: Adopt,
    pub reason: Reason,
}

/// An address that is to get a live key.
struct Candidate<'a> {
    wanted: &'a WantedKey,
    key: ImportKey,
    reason: Reason,
    position: Option<&'a Position>,
}

type Sinks = BTreeMap<LocationId, SinkObservation>;

/// The keys of an account that may be adopted, and whose scopes have to be looked at for that.
pub fn adoptable(
    manifest: &Manifest,
    selection: &Selection,
    requests: &Requests,
    states: &BTreeMap<Name, AccountState>,
    account: &Name,
    read: &ReadAccount,
    sinks: &Sinks,
) -> BTreeSet<KeyId> {
    if selection.destroy {
        return BTreeSet::new();
    }
    candidates(manifest, selection, requests, states, account, read, sinks)
        .into_iter()
        .flat_map(|candidate| live(&candidate.key, read))
        .collect()
}

fn candidates<'a>(
    manifest: &'a Manifest,
    selection: &Selection,
    requests: &Requests,
    states: &BTreeMap<Name, AccountState>,
    account: &Name,
    read: &ReadAccount,
    sinks: &Sinks,
) -> Vec<Candidate<'a>> {
    let wanted = |address: &Address| {
        let key = manifest.keys.get(address).filter(|key| &key.account == account)?;
        let owned = states.values().any(|state| state.keys.contains_key(address));
        (!owned && selection.has(manifest, address)).then_some(key)
    };
    let mut candidates: BTreeMap<&Address, Candidate<'a>> = BTreeMap::new();
    for (address, id) in &requests.import {
        if let Some(wanted) = wanted(address) {
            let key = ImportKey::Id(id.clone());
            let candidate = Candidate { wanted, key, reason: Reason::Imported, position: None };
            candidates.insert(&wanted.address, candidate);
        }
    }
    for import in &manifest.import {
        if let Some(wanted) = wanted(&import.to) {
            let (key, position) = (import.key.clone(), Some(&import.position));
            let candidate = Candidate { wanted, key, reason: Reason::Imported, position };
            candidates.entry(&wanted.address).or_insert(candidate);
        }
    }
    if requests.from_sinks {
        for key in manifest.keys.values() {
            let Some(wanted) = wanted(&key.address) else { continue };
            let Some(id) = held_live(wanted, states, read, sinks) else { continue };
            let key = ImportKey::Id(id.clone());
            let candidate = Candidate { wanted, key, reason: Reason::FoundInSink, position: None };
            candidates.entry(&wanted.address).or_insert(candidate);
        }
    }
    candidates.into_values().collect()
}

/// The first live key that nobody owns and that a location of the address holds.
fn held_live<'a>(
    wanted: &WantedKey,
    states: &BTreeMap<Name, AccountState>,
    read: &ReadAccount,
    sinks: &'a Sinks,
) -> Option<&'a KeyId> {
    let owned = |id: &KeyId| states.values().any(|state| state.owned_ids().contains_key(id));
    wanted.sinks.iter().find_map(|location| match sinks.get(&location.id())? {
        SinkObservation::Holds(SinkContent::Key(id)) => {
            (read.live.contains_key(id) && !owned(id)).then_some(id)
        }
        SinkObservation::Holds(SinkContent::Empty | SinkContent::Other)
        | SinkObservation::Unreadable(_)
        | SinkObservation::WriteOnly => None,
    })
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
pub(crate) fn adoptions(account: &Account<'_>, gates: &mut Gates<'_>) -> BTreeMap<Address, Adoption> {
    let PlanInput { manifest, selection, states, inventory, options, .. } = *account.input;
    if selection.destroy {
        return BTreeMap::new();
    }
    let candidates = candidates(
        manifest,
        selection,
        &options.requests,
        states,
        account.name(),
        account.read,
        &inventory.sinks,
    );
    let mut taken = BTreeSet::new();
    let mut adoptions = BTreeMap::new();
    for candidate in candidates {
        match adoption(account, &candidate, gates) {
            Ok(adoption) if taken.insert(adoption.adopt.id.clone()) => {
                gate::full_access(account, candidate.wanted, gates);
                adoptions.insert(candidate.wanted.address.clone(), adoption);
            }
            Ok(adoption) => {
                let message = format!("the key {} is adopted at another address already", adoption.adopt.id);
                let help = "a key has one address: take one of the entries out";
                gates.raise(candidate.refused(Code::ImportOwned, message, help));
            }
            Err(finding) => gates.raise(*finding),
        }
    }
    adoptions
}

impl Candidate<'_> {
    fn refused(&self, code: Code, message: String, help: impl Into<String>) -> Finding {
        Finding {
            account: Some(self.wanted.account.clone()),
            address: Some(self.wanted.address.clone()),
            position: Some(self.position.unwrap_or(&self.wanted.position).clone()),
            ..blocks(code, message, help)
        }
    }
}

fn adoption(
    account: &Account<'_>,
    candidate: &Candidate<'_>,
    gates: &mut Gates<'_>,
) -> Result<Adoption, Box<Finding>> {
    let wanted = candidate.wanted;
    let id = the_one(account, candidate)?;
    let owner = account.input.states.values().find_map(|state| state.owned_ids().get(&id).copied());
    if let Some(owner) = owner {
        return Err(Box::new(candidate.refused(
            Code::ImportOwned,
            format!("the key {id} is owned already, as `{owner}`"),
            format!("to give it another address, say `moved: [{{ from: {owner}, to: {} }}]`", wanted.address),
        )));
    }
    let Some(KeyDetail::Scopes(scopes)) = account.read.details.get(&id) else {
        return Err(Box::new(candidate.refused(
            Code::ImportNotFound,
            format!("SendGrid lists the key {id}, and does not show it"),
            "it may just have been revoked; run again",
        )));
    };
    let scopes = without_automatic(scopes);
    let Some(access) = access(wanted, &scopes, &account.read.grantable) else {
        return Err(Box::new(candidate.refused(
            Code::ImportMismatch,
            format!(
                "the key {id} holds {}, and `{}` is wanted with {} access",
                if scopes.len() == 1 { "1 scope".to_string() } else { format!("{} scopes", scopes.len()) },
                wanted.address,
                wanted.access.kind()
            ),
            "no key changes from one kind of access to another: write the access that it has; or take the entry \
             out, so that a new key is made",
        )));
    };
    let mut settings = account.settings(wanted);
    settings.locations.retain(|location| account.holds(location, &id));
    let secret = if settings.locations.is_empty() { SecretStatus::Unknown } else { SecretStatus::Delivered };
    if secret == SecretStatus::Unknown {
        gates.raise(Finding {
            severity: Severity::Warns,
            ..candidate.refused(
                Code::SecretUnknown,
                format!("nobody is known to have the secret of `{}`: no sink that was looked at holds {id}", wanted.address),
                format!(
                    "put it where it belongs by hand, or replace the key once it is adopted: `gridkey rotate {}`",
                    wanted.address
                ),
            )
        });
    }
    let name = account.read.live.get(&id).cloned().unwrap_or_default();
    Ok(Adoption { adopt: Adopt { id, name, access, secret, settings }, reason: candidate.reason })
}

/// The key that an import names, where it is one.
fn the_one(account: &Account<'_>, candidate: &Candidate<'_>) -> Result<KeyId, Box<Finding>> {
    let ids = live(&candidate.key, account.read);
    match (&ids[..], &candidate.key) {
        ([id], _) => Ok(id.clone()),
        ([], key) => {
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
        (several, _) => {
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
        AccessKind::Restricted => all.filter(|_| !billing).map(Access::Restricted),
    }
}

/// Fewer scopes than this is no Full Access: the smallest such key that anybody published held 206.
const FULL_ACCESS: usize = 100;

/// Whether a key with these scopes can be one with Full Access: SendGrid shows its scopes like those of any
/// other key.
pub fn may_be_full(scopes: &BTreeSet<Scope>, grantable: &Grantable) -> bool {
    let manages_keys = scopes.iter().any(Scope::manages_keys);
    let all_that_there_is = match grantable {
        Grantable::Known(known) => known
            .iter()
            .filter(|scope| !scope.is_automatic() && !scope.is_billing())
            .all(|scope| scopes.contains(scope)),
        Grantable::NotAsked | Grantable::Unknown(_) => false,
    };
    manages_keys && (all_that_there_is || scopes.len() >= FULL_ACCESS)
}

/// An account's document as it is once its keys are adopted.
pub(crate) fn with_adopted(
    account: &Account<'_>,
    adoptions: &BTreeMap<Address, Adoption>,
) -> Option<AccountState> {
    if adoptions.is_empty() {
        return None;
    }
    let mut state = account.state.cloned().unwrap_or_else(|| {
        let project = account.input.manifest.project.clone();
        AccountState::new(project, account.name().clone(), account.declared.identity(), String::new())
    });
    for (address, adoption) in adoptions {
        state.adopted(address, adoption.adopt.clone().owned(String::new(), account.at()));
    }
    Some(state)
}

/// Puts the adoptions of an account before everything else that is done at their addresses.
pub(crate) fn prepend(adoptions: BTreeMap<Address, Adoption>, changes: &mut [Change]) {
    for change in changes {
        let Some(Adoption { adopt, reason }) = adoptions.get(&change.address) else { continue };
        if change.action == Action::Recover {
            continue;
        }
        change.action = Action::Adopt;
        change.reasons.retain(|reason| *reason != Reason::InStep);
        change.reasons.insert(0, *reason);
        if adopt.secret == SecretStatus::Unknown && !change.notes.contains(&Note::SecretUnknown) {
            change.notes.push(Note::SecretUnknown);
        }
        change.steps.insert(0, Step::Adopt(adopt.clone()));
    }
}

impl Adopt {
    /// The key as state owns it from then on.
    pub fn owned(self, by: String, at: jiff::Timestamp) -> OwnedKey {
        let Self { id, name, access, secret, settings } = self;
        let Settings { owner, protect, on_delete, patterns, locations, overlap: _, lifecycle } = settings;
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
            lifecycle: Some(lifecycle),
            secret,
            owner,
            protect,
            on_delete,
            sinks: locations.into_iter().map(|location| Delivery { location, at }).collect(),
            by,
            retiring: Vec::new(),
            retiring_locations: Vec::new(),
        }
    }
}
