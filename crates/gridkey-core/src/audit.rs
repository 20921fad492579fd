//! An audit: every key of every account, what may be worrying about it, and the worst first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, AccessKind, Scope};
use crate::address::Address;
use crate::inventory::may_be_full;
use crate::inventory::{AccountInventory, Inventory, KeyDetail, ReadAccount, SinkContent, SinkObservation};
use crate::key::{KeyId, Marker};
use crate::manifest::{Manifest, PolicyFile};
use crate::name::Name;
use crate::plan::overlap_of;
use crate::sink::SinkLocation;
use crate::state::{AccountState, Born, OwnedKey, RetiringKey, RetiringReason, SecretStatus};
use crate::text::pattern::matches_pattern;

/// The version of the document that this gridkey writes.
pub const FORMAT_VERSION: u32 = 1;

/// What is due within this is told ahead of time.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Late by more than this is overdue: a nightly job that was missed once is not.
const OVERDUE: SignedDuration = SignedDuration::from_hours(24);

/// The JSON Schema of the document, draft 2020-12.
pub fn audit_schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Audit>().to_value();
    schema["title"] = "gridkey audit".into();
    schema
}

/// What an audit looks at.
pub struct AuditInput<'a> {
    pub manifest: &'a Manifest,
    pub states: &'a BTreeMap<Name, AccountState>,
    pub inventory: &'a Inventory,
    /// The rules of `--policy FILE`.
    pub policy: Option<&'a PolicyFile>,
    /// Whether the sinks were looked at.
    pub sinks: bool,
}

/// Every key of a project's accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    pub format_version: u32,
    pub project: Name,
    pub accounts: BTreeMap<Name, AuditedAccount>,
    /// The worst first; then by account, address and name.
    pub keys: Vec<AuditedKey>,
}

/// An account, and whether it could be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditedAccount {
    /// When it was observed, by SendGrid's clock.
    #[schemars(with = "Option<String>")]
    pub observed_at: Option<Timestamp>,
    /// Why it was not. It is never read as "there are no keys".
    pub unreadable: Option<String>,
    pub live: Option<u32>,
    pub limit: Option<u32>,
}

/// One key, or one creation that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditedKey {
    pub risk: Level,
    pub account: Name,
    pub status: Status,
    pub address: Option<Address>,
    pub id: Option<KeyId>,
    /// Its name at SendGrid.
    pub name: Option<String>,
    pub owner: Option<String>,
    /// `restricted`, `billing` or `full`, as state has it; for a key that is not owned, as its scopes look.
    pub access: Option<String>,
    /// As SendGrid shows them, without those that it adds by itself.
    pub scopes: BTreeSet<Scope>,
    /// When it was made; `None` where gridkey does not know.
    #[schemars(with = "Option<String>")]
    pub made: Option<Timestamp>,
    /// When gridkey first saw it, where it did not make it.
    #[schemars(with = "Option<String>")]
    pub first_seen: Option<Timestamp>,
    /// How many keys the address has had.
    pub generation: Option<u32>,
    /// When it is due for rotation.
    #[schemars(with = "Option<String>")]
    pub due: Option<Timestamp>,
    /// When an older key is to be revoked.
    #[schemars(with = "Option<String>")]
    pub revoke_after: Option<Timestamp>,
    pub secret: Option<SecretStatus>,
    /// The run or person that made it, where that was gridkey; or that adopted it.
    pub made_by: Option<String>,
    pub sinks: Vec<AuditedSink>,
    /// The worst first.
    pub concerns: Vec<Concern>,
}

/// A location that should have a key, and what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditedSink {
    pub location: SinkLocation,
    pub standing: Standing,
}

/// What a location that should have a key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    InStep,
    /// It holds nothing.
    Empty,
    /// It holds another key, or something else.
    Other,
    Unreadable,
    /// It never tells its value, and nothing says that it was written since gridkey did.
    WriteOnly,
    NotLookedAt,
}

/// What a key is to this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Owned,
    /// An older key that waits to be revoked.
    Retiring,
    /// A creation that was begun.
    Pending,
    /// A creation that was given up.
    Abandoned,
    /// Live, and not of this project.
    Foreign,
    /// The key that gridkey works with.
    Managing,
}

/// How worrying something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    High,
    Medium,
    Low,
    None,
}

/// Something that may be worrying about a key; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// It is gone from the account.
    Gone,
    /// A creation that was given up took effect after all.
    AbandonedLive,
    /// It may do everything but billing.
    FullAccess,
    /// It can make, change or revoke keys.
    ManagesKeys,
    /// Nobody knows it.
    Foreign,
    /// Its rotation is overdue.
    RotationOverdue,
    /// It should have been revoked.
    RetirementOverdue,
    /// No sink proves that anybody has the secret.
    SecretUnknown,
    /// A sink that should have it has not.
    SinkOutOfStep,
    /// Its scopes are others than state says.
    ScopesDrifted,
    /// The manifest does not have it.
    NotInManifest,
    /// What became of its creation is not settled.
    Unsettled,
    /// It is kept until a person says otherwise.
    Held,
    /// It is due for rotation within two weeks.
    RotationDueSoon,
    /// The manifest does not say how often it is rotated.
    NoRotation,
    /// Nobody is named as its owner.
    NoOwner,
    /// A sink that should have it cannot be read.
    SinkUnreadable,
    /// SendGrid did not show its scopes.
    NotShown,
}

impl Concern {
    pub const ALL: [Self; 18] = [
        Self::Gone,
        Self::AbandonedLive,
        Self::FullAccess,
        Self::ManagesKeys,
        Self::Foreign,
        Self::RotationOverdue,
        Self::RetirementOverdue,
        Self::SecretUnknown,
        Self::SinkOutOfStep,
        Self::ScopesDrifted,
        Self::NotInManifest,
        Self::Unsettled,
        Self::Held,
        Self::RotationDueSoon,
        Self::NoRotation,
        Self::NoOwner,
        Self::SinkUnreadable,
        Self::NotShown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::AbandonedLive => "abandoned_live",
            Self::FullAccess => "full_access",
            Self::ManagesKeys => "manages_keys",
            Self::Foreign => "foreign",
            Self::RotationOverdue => "rotation_overdue",
            Self::RetirementOverdue => "retirement_overdue",
            Self::SecretUnknown => "secret_unknown",
            Self::SinkOutOfStep => "sink_out_of_step",
            Self::ScopesDrifted => "scopes_drifted",
            Self::NotInManifest => "not_in_manifest",
            Self::Unsettled => "unsettled",
            Self::Held => "held",
            Self::RotationDueSoon => "rotation_due_soon",
            Self::NoRotation => "no_rotation",
            Self::NoOwner => "no_owner",
            Self::SinkUnreadable => "sink_unreadable",
            Self::NotShown => "not_shown",
        }
    }

    pub fn as_words(self) -> &'static str {
        match self {
            Self::Gone => "gone from the account",
            Self::AbandonedLive => "made after its creation was given up",
            Self::FullAccess => "Full Access",
            Self::ManagesKeys => "can manage keys",
            Self::Foreign => "not of this project, and not known",
            Self::RotationOverdue => "rotation overdue",
            Self::RetirementOverdue => "should have been revoked",
            Self::SecretUnknown => "nobody is known to have its secret",
            Self::SinkOutOfStep => "a sink has not got it",
            Self::ScopesDrifted => "scopes changed outside of gridkey",
            Self::NotInManifest => "not in the manifest",
            Self::Unsettled => "creation not settled",
            Self::Held => "kept until somebody says otherwise",
            Self::RotationDueSoon => "due for rotation soon",
            Self::NoRotation => "no rotation in the manifest",
            Self::NoOwner => "no owner",
            Self::SinkUnreadable => "a sink cannot be read",
            Self::NotShown => "SendGrid did not show its scopes",
        }
    }

    pub fn level(self) -> Level {
        match self {
            Self::Gone | Self::AbandonedLive | Self::FullAccess | Self::ManagesKeys => Level::High,
            Self::Foreign
            | Self::RotationOverdue
            | Self::RetirementOverdue
            | Self::SecretUnknown
            | Self::SinkOutOfStep
            | Self::ScopesDrifted
            | Self::NotInManifest
            | Self::Unsettled => Level::Medium,
            Self::Held
            | Self::RotationDueSoon
            | Self::NoRotation
            | Self::NoOwner
            | Self::SinkUnreadable
            | Self::NotShown => Level::Low,
        }
    }
}

impl Level {
    pub const ALL: [Self; 4] = [Self::High, Self::Medium, Self::Low, Self::None];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::None => "none",
        }
    }
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::Retiring => "retiring",
            Self::Pending => "pending",
            Self::Abandoned => "abandoned",
            Self::Foreign => "foreign",
            Self::Managing => "managing",
        }
    }
}

impl Standing {
    pub fn as_words(self) -> &'static str {
        match self {
            Self::InStep => "in step",
            Self::Empty => "empty",
            Self::Other => "holds something else",
            Self::Unreadable => "cannot be read",
            Self::WriteOnly => "write-only",
            Self::NotLookedAt => "not looked at",
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AuditedKey {
    pub(crate) fn new(account: &Name, status: Status) -> Self {
        Self {
            risk: Level::None,
            account: account.clone(),
            status,
            address: None,
            id: None,
            name: None,
            owner: None,
            access: None,
            scopes: BTreeSet::new(),
            made: None,
            first_seen: None,
            generation: None,
            due: None,
            revoke_after: None,
            secret: None,
            made_by: None,
            sinks: Vec::new(),
            concerns: Vec::new(),
        }
    }

    /// Whether it holds a scope that a pattern with `*` matches; Full Access holds all of them.
    pub fn holds(&self, pattern: &str) -> bool {
        self.access.as_deref() == Some("full")
            || self.scopes.iter().any(|scope| matches_pattern(pattern, scope.as_str()))
    }

    /// Since when it is known to be there, and whether it may be older.
    pub fn since(&self) -> Option<(Timestamp, bool)> {
        self.made.map(|made| (made, false)).or(self.first_seen.map(|seen| (seen, true)))
    }

    fn settled(mut self) -> Self {
        self.concerns.sort();
        self.concerns.dedup();
        self.risk = self.concerns.iter().map(|concern| concern.level()).min().unwrap_or(Level::None);
        self
    }
}

impl Audit {
    /// The latest that an account was looked at; `None` where none could be read.
    pub fn observed_at(&self) -> Option<Timestamp> {
        self.accounts.values().filter_map(|account| account.observed_at).max()
    }
}

/// Looks at every key of every account.
pub fn audit(input: &AuditInput<'_>) -> Audit {
    let mut accounts = BTreeMap::new();
    let mut keys = Vec::new();
    let names: BTreeSet<&Name> = input.manifest.accounts.keys().chain(input.states.keys()).collect();
    for name in names {
        let state = input.states.get(name);
        let limit = input.manifest.accounts.get(name).map(|account| account.key_limit);
        let observed = input.inventory.accounts.get(name);
        let (read, unreadable) = match observed {
            Some(AccountInventory::Read(read)) => (Some(read), None),
            Some(AccountInventory::Unreadable(unreadable)) => (None, Some(unreadable.message.clone())),
            None => (None, Some("the manifest does not have this account any more".to_string())),
        };
        let look = Look { input, name, state, read };
        keys.extend(look.keys().into_iter().map(AuditedKey::settled));
        accounts.insert(
            name.clone(),
            AuditedAccount {
                observed_at: read.map(|read| read.at),
                unreadable,
                live: read.map(|read| u32::try_from(read.live.len()).unwrap_or(u32::MAX)),
                limit,
            },
        );
    }
    keys.sort_by(|a, b| order(a).cmp(&order(b)));
    Audit { format_version: FORMAT_VERSION, project: input.manifest.project.clone(), accounts, keys }
}

fn order(key: &AuditedKey) -> impl Ord + '_ {
    (key.risk, &key.concerns, &key.account, &key.address, key.status, &key.name, &key.id)
}

/// One account.
struct Look<'a> {
    input: &'a AuditInput<'a>,
    name: &'a Name,
    state: Option<&'a AccountState>,
    /// `None` where it could not be read.
    read: Option<&'a ReadAccount>,
}

impl Look<'_> {
    fn keys(&self) -> Vec<AuditedKey> {
        let mut keys = Vec::new();
        let mut seen: BTreeSet<&KeyId> = BTreeSet::new();
        for (address, owned) in self.state.into_iter().flat_map(|state| &state.keys) {
            seen.insert(&owned.id);
            seen.extend(owned.retiring.iter().map(|retiring| &retiring.id));
            keys.push(match self.taken_over(address, owned) {
                Some(newer) => self.handed_over(address, owned, newer),
                None => self.owned(address, owned),
            });
            keys.extend(self.retiring(address, owned));
        }
        let live = || self.read.into_iter().flat_map(|read| &read.live);
        for (marker, pending) in self.state.into_iter().flat_map(|state| &state.pending) {
            let made = live().find(|(_, name)| Marker::in_name(name).as_ref() == Some(marker));
            seen.extend(made.map(|(id, _)| id));
            let mut key = AuditedKey::new(self.name, Status::Pending);
            key.address = Some(pending.address.clone());
            key.id = made.map(|(id, _)| id.clone());
            key.name = Some(pending.name.clone());
            key.access = Some(pending.access.kind().to_string());
            key.made = Some(pending.at);
            key.made_by = Some(pending.by.clone());
            key.concerns.push(Concern::Unsettled);
            keys.push(key);
        }
        for (marker, abandoned) in self.state.into_iter().flat_map(|state| &state.abandoned) {
            let made = live().find(|(_, name)| Marker::in_name(name).as_ref() == Some(marker));
            seen.extend(made.map(|(id, _)| id));
            let mut key = AuditedKey::new(self.name, Status::Abandoned);
            key.address = Some(abandoned.address.clone());
            key.id = made.map(|(id, _)| id.clone());
            key.name = made.map(|(_, name)| name.clone());
            key.concerns.extend(made.map(|_| Concern::AbandonedLive));
            keys.push(key);
        }
        keys.extend(live().filter(|(id, _)| !seen.contains(*id)).map(|(id, name)| self.foreign(id, name)));
        keys
    }

    /// The key in another account that took the place of one.
    fn taken_over(&self, address: &Address, owned: &OwnedKey) -> Option<&OwnedKey> {
        let keys = self.input.states.values().filter_map(|state| state.keys.get(address));
        keys.filter(|key| key.generation > owned.generation).max_by_key(|key| key.generation)
    }

    fn handed_over(&self, address: &Address, owned: &OwnedKey, newer: &OwnedKey) -> AuditedKey {
        let overlap = SignedDuration::try_from(overlap_of(self.input.manifest, address));
        let after = newer.delivered().checked_add(overlap.unwrap_or(SignedDuration::MAX));
        let after = after.unwrap_or(Timestamp::MAX).max(owned.kept_until.unwrap_or(Timestamp::MIN));
        let older = RetiringKey {
            id: owned.id.clone(),
            after,
            born: owned.born.at(),
            why: RetiringReason::Replaced,
            held: owned.retiring.iter().any(|older| older.held),
            reported: owned.reported.clone(),
        };
        let mut key = self.older(address, owned, &older);
        key.generation = Some(owned.generation);
        key
    }

    fn owned(&self, address: &Address, owned: &OwnedKey) -> AuditedKey {
        let manifest = self.input.manifest;
        let wanted = manifest.keys.get(address).filter(|wanted| &wanted.account == self.name);
        let mut key = AuditedKey::new(self.name, Status::Owned);
        key.address = Some(address.clone());
        key.id = Some(owned.id.clone());
        key.name = Some(owned.name.clone());
        key.owner = owned.owner.clone();
        key.access = Some(owned.access.kind().to_string());
        key.scopes = owned.access.scopes().map(|scopes| scopes.as_set().clone()).unwrap_or_default();
        match owned.born {
            Born::Created(at) => key.made = Some(at),
            Born::FirstSeen(at) => key.first_seen = Some(at),
        }
        key.generation = Some(owned.generation);
        key.secret = Some(owned.secret);
        key.made_by = Some(owned.by.clone());
        key.sinks = owned.sinks.iter().map(|delivery| self.sink(&delivery.location, &owned.id)).collect();
        // An environment from a pattern is in the manifest only while it is asked for.
        let may_be_made = address.environment.as_ref().is_some_and(|environment| {
            manifest.patterns.keys().any(|pattern| matches_pattern(pattern, environment.as_str()))
        });
        match wanted {
            Some(wanted) => match wanted.rotate {
                Some(rotation) => {
                    let every = SignedDuration::try_from(rotation.every).unwrap_or(SignedDuration::MAX);
                    key.due = owned.born.at().checked_add(every).ok();
                }
                None => key.concerns.push(Concern::NoRotation),
            },
            None if may_be_made => {}
            None => key.concerns.push(Concern::NotInManifest),
        }
        if owned.owner.is_none() {
            key.concerns.push(Concern::NoOwner);
        }
        if owned.secret == SecretStatus::Unknown {
            key.concerns.push(Concern::SecretUnknown);
        }
        for sink in &key.sinks {
            key.concerns.extend(match sink.standing {
                Standing::Empty | Standing::Other => Some(Concern::SinkOutOfStep),
                Standing::Unreadable => Some(Concern::SinkUnreadable),
                Standing::InStep | Standing::WriteOnly | Standing::NotLookedAt => None,
            });
        }
        self.look_at_live(&mut key, owned);
        key
    }

    /// What SendGrid says of an owned key, and what the clock does.
    fn look_at_live(&self, key: &mut AuditedKey, owned: &OwnedKey) {
        if matches!(owned.access, Access::Full) {
            key.concerns.push(Concern::FullAccess);
        }
        if let Some(read) = self.read {
            let listed = read.live.contains_key(&owned.id);
            match read.details.get(&owned.id) {
                Some(KeyDetail::Missing) if !listed => key.concerns.push(Concern::Gone),
                Some(KeyDetail::Scopes(scopes)) => {
                    let live = own(scopes);
                    let reported = owned.reported.as_ref().map(own);
                    if reported.is_some_and(|reported| reported != live) {
                        key.concerns.push(Concern::ScopesDrifted);
                    }
                    key.scopes = live;
                }
                Some(KeyDetail::Missing) => {}
                None => key.concerns.push(Concern::NotShown),
            }
            key.name = read.live.get(&owned.id).cloned().or(key.name.take());
            if let Some(due) = key.due {
                let left = due.duration_since(read.at);
                if left < -OVERDUE {
                    key.concerns.push(Concern::RotationOverdue);
                } else if left <= SOON {
                    key.concerns.push(Concern::RotationDueSoon);
                }
            }
        }
        if !matches!(owned.access, Access::Full) && key.scopes.iter().any(Scope::manages_keys) {
            key.concerns.push(Concern::ManagesKeys);
        }
    }

    fn retiring(&self, address: &Address, owned: &OwnedKey) -> Vec<AuditedKey> {
        owned.retiring.iter().map(|retiring| self.older(address, owned, retiring)).collect()
    }

    fn older(&self, address: &Address, owned: &OwnedKey, retiring: &RetiringKey) -> AuditedKey {
        let mut key = AuditedKey::new(self.name, Status::Retiring);
        key.address = Some(address.clone());
        key.id = Some(retiring.id.clone());
        key.name = self.read.and_then(|read| read.live.get(&retiring.id)).cloned();
        key.owner = owned.owner.clone();
        key.made = Some(retiring.born);
        key.revoke_after = Some(retiring.after).filter(|_| !retiring.held);
        if let Some(KeyDetail::Scopes(scopes)) = self.read.and_then(|read| read.details.get(&retiring.id)) {
            key.scopes = own(scopes);
            let is_full = self.read.is_some_and(|read| may_be_full(&key.scopes, &read.grantable));
            key.access = Some(looks_like(&key.scopes, is_full).to_string());
            // It is live until it is revoked, and as good as any other key until then.
            if is_full {
                key.concerns.push(Concern::FullAccess);
            }
            if retiring.reported.as_ref().is_some_and(|reported| own(reported) != key.scopes) {
                key.concerns.push(Concern::ScopesDrifted);
            }
            if !is_full && retiring.reported.is_some() && key.scopes.iter().any(Scope::manages_keys) {
                key.concerns.push(Concern::ManagesKeys);
            }
        }
        if retiring.held {
            key.concerns.push(Concern::Held);
        } else if self.read.is_some_and(|read| read.at.duration_since(retiring.after) > OVERDUE) {
            key.concerns.push(Concern::RetirementOverdue);
        }
        key
    }

    fn foreign(&self, id: &KeyId, name: &str) -> AuditedKey {
        let read = self.read.expect("a live key was read");
        let recorded = self.state.and_then(|state| state.managing_key.as_ref());
        let managing = read.works_with(recorded, id);
        let mut key = AuditedKey::new(self.name, if managing { Status::Managing } else { Status::Foreign });
        key.id = Some(id.clone());
        key.name = Some(name.to_string());
        match read.details.get(id) {
            Some(KeyDetail::Scopes(scopes)) => {
                key.scopes = own(scopes);
                let full = may_be_full(&key.scopes, &read.grantable);
                key.access = Some(looks_like(&key.scopes, full).to_string());
                if full && !managing {
                    key.concerns.push(Concern::FullAccess);
                } else if key.scopes.iter().any(Scope::manages_keys) && !managing {
                    key.concerns.push(Concern::ManagesKeys);
                }
            }
            Some(KeyDetail::Missing) | None => key.concerns.push(Concern::NotShown),
        }
        if !managing && !self.is_known(id, name) {
            key.concerns.push(Concern::Foreign);
        }
        key
    }

    /// Whether a policy names the key as one that may be there.
    fn is_known(&self, id: &KeyId, name: &str) -> bool {
        let policies = [Some(&self.input.manifest.policy), self.input.policy.map(|file| &file.policy)];
        policies.into_iter().flatten().any(|policy| {
            policy.foreign.of_account(self.name).is_some_and(|rule| {
                rule.known.iter().any(|known| known == id.as_str() || matches_pattern(known, name))
            })
        })
    }

    fn sink(&self, location: &SinkLocation, id: &KeyId) -> AuditedSink {
        let standing = if !location.at.is_readable() {
            match self.input.inventory.denied(location, [id]).filter(|_| self.input.sinks) {
                Some(SinkContent::Empty) => Standing::Empty,
                Some(SinkContent::Key(_) | SinkContent::Other) => Standing::Other,
                None => Standing::WriteOnly,
            }
        } else if !self.input.sinks {
            Standing::NotLookedAt
        } else {
            match self.input.inventory.sinks.get(&location.id()) {
                Some(SinkObservation::Holds(SinkContent::Key(held))) if held == id => Standing::InStep,
                Some(SinkObservation::Holds(SinkContent::Empty)) => Standing::Empty,
                Some(SinkObservation::Holds(_)) => Standing::Other,
                Some(SinkObservation::Unreadable(_)) => Standing::Unreadable,
                Some(SinkObservation::WriteOnly) => Standing::WriteOnly,
                None => Standing::NotLookedAt,
            }
        };
        AuditedSink { location: location.clone(), standing }
    }
}

/// The access of a key that state does not tell it of, by its scopes.
fn looks_like(scopes: &BTreeSet<Scope>, is_full: bool) -> AccessKind {
    match is_full {
        true => AccessKind::Full,
        false if !scopes.is_empty() && scopes.iter().all(Scope::is_billing) => AccessKind::Billing,
        false => AccessKind::Restricted,
    }
}

/// Scopes without those that SendGrid adds by itself.
fn own(scopes: &BTreeSet<Scope>) -> BTreeSet<Scope> {
    scopes.iter().filter(|scope| !scope.is_automatic()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_json_writes_them_and_the_worst_come_first() {
        for concern in Concern::ALL {
            assert_eq!(serde_json::to_value(concern).expect("a word"), concern.as_str());
        }
        assert!(Concern::ALL.is_sorted());
        assert!(Concern::ALL.is_sorted_by_key(|concern| concern.level()));
    }
}
