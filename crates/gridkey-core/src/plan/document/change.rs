//! The plan as a document: every change with before and after, capacity, findings, what was allowed, and
//! what it was computed from.
//!
//! Views are rendered from this document alone. It holds no secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::access::{Access, Scope};
use crate::address::Address;
use crate::finding::{Allow, Finding};
use crate::hook::Hook;
use crate::identity::AccountIdentity;
use crate::key::{KeyId, Marker};
use crate::manifest::{OnDelete, Rotation};
use crate::name::Name;
use crate::plan::document::step::{Order, Step};
use crate::plan::input::Due;
use crate::sink::SinkLocation;
use crate::text::source::{Position, SourceDigest};

/// The version of the document that this gridkey writes.
pub const FORMAT_VERSION: u32 = 2;

/// The JSON Schema of the document, draft 2020-12.
pub fn plan_schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Plan>().to_value();
    schema["title"] = "gridkey plan".into();
    schema
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub format_version: u32,
    pub kind: PlanKind,
    pub project: Name,
    pub computed_from: ComputedFrom,
    /// What a person let pass this once, with `--allow`.
    pub allowed: Vec<Allow>,
    pub accounts: BTreeMap<Name, AccountPlan>,
    /// Sorted by account, then by the order in which they are carried out, then by address.
    pub changes: Vec<Change>,
    /// Sorted; those that block come first.
    pub findings: Vec<Finding>,
}

/// What is compared with what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// A manifest with state and what is live: what `apply` would do.
    #[default]
    Plan,
    /// State with what is live, whatever the manifest asks for by now.
    Drift,
    /// A manifest with another one, and nothing else.
    Comparison,
}

/// What a plan was computed from, besides the accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputedFrom {
    /// The files of the manifest.
    pub manifest: Vec<SourceDigest>,
    /// The file of the manifest that it was compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<SourceDigest>,
    /// The file of `--policy`.
    pub policy: Option<SourceDigest>,
    /// `--env`; `null` stands for every environment that does not come from a pattern.
    pub environments: Option<BTreeSet<Name>>,
    /// `--only`; `null` stands for every address.
    pub only: Option<BTreeSet<Address>>,
    pub due: Due,
    /// Whether the sinks were looked at.
    pub sinks: bool,
}

/// What a plan was computed from in one account, and what it comes to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPlan {
    /// Which account at SendGrid it is.
    pub identity: AccountIdentity,
    /// `None` where the account has no state yet.
    pub lineage: Option<String>,
    pub serial: u64,
    /// When the account was observed, by SendGrid's clock; `None` where it could not be.
    #[schemars(with = "Option<String>")]
    pub observed_at: Option<Timestamp>,
    /// Whether keys are made before others are revoked.
    #[serde(default)]
    pub order: Order,
    pub capacity: Option<Capacity>,
}

/// How full an account is, and would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// What SendGrid allows.
    pub limit: u32,
    /// What this project may hold of it.
    pub max_keys: Option<u32>,
    /// Live keys now.
    pub live: u32,
    /// Of those, keys that this project's state does not own and gridkey does not work with.
    pub foreign: u32,
    /// Of those, keys that it owns.
    pub ours: u32,
    /// Live keys when the plan is carried out.
    pub after: u32,
    /// The most there are on the way, with creations whose outcome is not known yet.
    pub peak: u32,
}

/// What happens to one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub address: Address,
    pub account: Name,
    pub action: Action,
    /// What brought it about, for what has to be decided about it.
    pub cause: Cause,
    /// At least one; the first is the one that people are shown. Nothing is decided by them.
    pub reasons: Vec<Reason>,
    pub before: Option<KeyValues>,
    pub after: Option<KeyValues>,
    pub notes: Vec<Note>,
    pub steps: Vec<Step>,
    /// When the key is to be replaced by a new one, where the manifest says how often and the key is there.
    pub rotation: Option<RotationDates>,
    /// Where the manifest asks for it.
    pub position: Option<Position>,
}

/// How old a key is, and how old it may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotationDates {
    /// When the key was made, or first seen.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// When it is due for rotation.
    #[schemars(with = "String")]
    pub due: Timestamp,
    /// How long the older key goes on working after that.
    pub overlap: Duration,
}

/// What is decided about a key, in the order in which changes are carried out.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// A creation of an earlier run is finished, taken back, or given up.
    Recover,
    /// State knows the key by another address.
    Move,
    /// State owns a live key from now on.
    Adopt,
    /// State lets go of a key, which stays as it is.
    Forget,
    /// An older key is revoked, or an older location cleared, after its overlap.
    Retire,
    Delete,
    /// Name or scopes are changed in place, or what state says of the key.
    Update,
    /// The secret is copied to locations that should have it.
    Deliver,
    Create,
    /// A successor is made, and the older key revoked after an overlap.
    Rotate,
    Keep,
}

impl Action {
    /// The sign by which people know the action; one character, or none for [`Action::Keep`].
    pub fn sign(self) -> &'static str {
        match self {
            Self::Recover => "!",
            Self::Move | Self::Forget => ".",
            Self::Adopt => "→",
            Self::Retire => "⊖",
            Self::Delete => "-",
            Self::Update => "~",
            Self::Deliver => "»",
            Self::Create => "+",
            Self::Rotate => "±",
            Self::Keep => " ",
        }
    }

    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What brings a change about. Rules and limits go by it; people are told the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// There is nothing to do.
    InStep,
    /// The manifest, or what it is expanded with, was edited.
    Edited,
    /// SendGrid or a sink has something else than was last applied.
    Drifted,
    /// The key is gone from its account.
    Vanished,
    /// No sink has the key's secret any more, or one may have another.
    SecretLost,
    /// A rotation has come due, or an overlap has passed.
    Due,
    /// The environment's `ttl` has passed, as it was last applied.
    Expired,
    /// A person asked for it on the command line.
    Requested,
    /// A successor of the key is in another account.
    HandedOver,
    /// An earlier run broke off.
    Recovery,
}

/// Why an action was chosen, in people's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Everything is as it should be.
    InStep,
    /// Wanted, and not in state.
    New,
    /// In state, and gone from the account.
    Vanished,
    /// An earlier run revoked it to make room for a new key, and broke off before that one was recorded.
    RevokedFirst,
    /// An earlier run revoked it, and broke off before state said so; it is wanted again.
    RevokedBefore,
    /// No longer wanted.
    NotWanted,
    /// Wanted, and ended by a person.
    Destroyed,
    /// The manifest's scopes were edited.
    ScopesEdited,
    /// The scopes differ at SendGrid from what was last written.
    ScopesDrifted,
    /// SendGrid holds fewer scopes than it was asked for.
    ScopesMissing,
    /// A pattern in the manifest now covers more, or less.
    CatalogueChanged,
    /// The manifest's name was edited.
    NameEdited,
    /// The name differs at SendGrid from what was last written.
    NameDrifted,
    /// An earlier run could not give the key its final name.
    NameUnfinished,
    /// What state says of the key (owner, protection, sinks' settings) was edited.
    SettingsEdited,
    /// A location was added.
    LocationAdded,
    /// A location has lost the value.
    LocationLost,
    /// A location no longer belongs to the key.
    LocationRemoved,
    /// An overlap has passed.
    OverlapPassed,
    /// A sink went back to an older key, so the newer one is delivered again and the overlap counted anew.
    OlderKeyInUse,
    /// A sink has the secret of a creation that broke off.
    SecretSurvived,
    /// No sink has the secret of a creation that broke off.
    SecretLost,
    /// A write-only sink may have the secret of a creation that broke off.
    SecretUncertain,
    /// SendGrid never made the key that a run asked for.
    NeverMade,
    /// It cannot be seen yet whether SendGrid made the key that a run asked for, or whether a sink has it.
    Unresolved,
    /// A key turned up that a run had given up.
    LateEffect,
    /// The key is as old as it may get.
    RotationDue,
    /// More keys come due soon than the account has slots for, so this one is rotated ahead of time.
    RotationEarly,
    /// A person asked for a new key.
    RotationRequested,
    /// No sink that can be read has the secret any more.
    SecretGone,
    /// The manifest asks for another kind of access, which no key can change to.
    AccessChanged,
    /// The manifest wants the key in another account.
    AccountChanged,
    /// The environment's `ttl` has passed.
    TtlPassed,
    /// The manifest or a person names the live key.
    Imported,
    /// A sink location of the address holds the live key.
    FoundInSink,
    /// A sink holds the key whose secret nobody was known to have.
    SecretFound,
    /// The manifest or a person gives the key another address.
    Moved,
    /// The manifest or a person lets go of the key.
    LetGo,
    /// A person asked that the older key be revoked now.
    RetirementRequested,
    /// A person asked that the older key go on working for a while.
    HoldRequested,
    /// What is to be done about a delivery has not ended well yet.
    HookDue,
}

impl Reason {
    /// The reason in words, as they follow the action.
    pub fn as_words(self) -> &'static str {
        match self {
            Self::InStep => "in step",
            Self::New => "not there yet",
            Self::Vanished => "gone from the account",
            Self::RevokedBefore => "was revoked by an earlier run, which broke off",
            Self::RevokedFirst => "was revoked to make room for a new key, which was not delivered",
            Self::NotWanted => "no longer wanted",
            Self::Destroyed => "destroyed on request",
            Self::ScopesEdited => "scopes edited",
            Self::ScopesDrifted => "scopes changed outside of gridkey",
            Self::ScopesMissing => "scopes missing at SendGrid, which dropped them or had them removed",
            Self::CatalogueChanged => "a scope pattern covers other scopes now",
            Self::NameEdited => "name edited",
            Self::NameDrifted => "name changed outside of gridkey",
            Self::NameUnfinished => "name left unfinished by an earlier run",
            Self::SettingsEdited => "settings edited",
            Self::LocationAdded => "sink location added",
            Self::LocationLost => "sink location lost the value",
            Self::LocationRemoved => "sink location no longer wanted",
            Self::OverlapPassed => "overlap has passed",
            Self::OlderKeyInUse => "a sink still serves the older key",
            Self::SecretSurvived => "an earlier run broke off; a sink has the secret",
            Self::SecretLost => "an earlier run broke off; no sink has the secret",
            Self::SecretUncertain => "an earlier run broke off; a write-only sink may have the secret",
            Self::NeverMade => "an earlier run broke off; SendGrid has no such key",
            Self::Unresolved => "an earlier run broke off; what became of it cannot be seen yet",
            Self::LateEffect => "a creation given up by an earlier run took effect after all",
            Self::RotationDue => "due for rotation",
            Self::RotationEarly => "rotated ahead of time, as more keys come due than there are slots",
            Self::RotationRequested => "rotation asked for",
            Self::SecretGone => "no sink has the secret any more",
            Self::AccessChanged => "another kind of access, which needs a new key",
            Self::AccountChanged => "wanted in another account, which needs a new key",
            Self::TtlPassed => "the environment's ttl has passed",
            Self::Imported => "imported",
            Self::FoundInSink => "found in its sink",
            Self::SecretFound => "a sink has the secret",
            Self::Moved => "moved",
            Self::LetGo => "let go",
            Self::RetirementRequested => "to be revoked now",
            Self::HoldRequested => "kept as long as asked",
            Self::HookDue => "`after_delivery` has not ended well yet",
        }
    }
}

/// What a key is, before or after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyValues {
    pub address: Address,
    pub account: Name,
    /// `None` before the key is made.
    pub id: Option<KeyId>,
    pub name: String,
    pub access: Access,
    /// Scopes that a pattern covers, and that the managing key cannot grant.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<Scope>,
    pub sinks: Vec<SinkLocation>,
    pub owner: Option<String>,
    pub protect: bool,
    pub on_delete: OnDelete,
    /// When it is replaced by a new one; `null` for never.
    #[serde(default)]
    pub rotate: Option<Rotation>,
    /// How long after its first key the environment's keys are revoked.
    #[serde(default)]
    pub ttl: Option<Duration>,
}

/// Something worth knowing about a change, which blocks nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// SendGrid put these on the key by itself.
    AutomaticScopes(BTreeSet<Scope>),
    /// A pattern covers these, and the managing key cannot grant them.
    LeftOut(BTreeSet<Scope>),
    /// These were asked for and accepted, and SendGrid does not hold them.
    NotHeld(BTreeSet<Scope>),
    /// An older key is revoked then.
    RetiringKey {
        id: KeyId,
        #[schemars(with = "String")]
        after: Timestamp,
    },
    /// An older location is cleared then.
    RetiringLocation {
        location: SinkLocation,
        #[schemars(with = "String")]
        after: Timestamp,
    },
    /// The account's list or the key itself could not be found, and it may be too early to tell.
    MayBeGone,
    /// The value of a location is overwritten.
    Overwrites { location: SinkLocation, holder: Option<KeyId> },
    /// The creation that is recovered, and the key that came of it.
    Creation { marker: Marker, id: Option<KeyId> },
    /// The location cannot be read, so whether it is in step is not known.
    NotReadable(SinkLocation),
    /// The location is the same, and the manifest has other settings for it than state remembers.
    SinkEdited(SinkLocation),
    /// An older key is kept until a person says otherwise.
    HeldKey(KeyId),
    /// No sink proves that anybody has the secret.
    SecretUnknown,
    /// The address that the key had.
    MovedFrom(Address),
    /// The account that the key lives in until then.
    MovesFrom(Name),
    /// The environment's keys are revoked after that.
    Expires(#[schemars(with = "String")] Timestamp),
    /// Keys that stay live, no longer managed by gridkey.
    LeftBehind(BTreeSet<KeyId>),
    /// SendGrid holds this name, and not the one it was asked for.
    NameNotHeld(String),
    /// What is done once the delivery is recorded.
    RunsHook(Hook),
    /// A location that is no longer wanted is not cleared: a wanted one of its kind had the key before it was written to, so the two may
    /// be one place.
    LeftAlone(SinkLocation),
}

impl Plan {
    /// The changes that do something.
    pub fn effective(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.action != Action::Keep)
    }

    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.effective().next().is_none()
    }

    /// The document as it is stored: indented JSON, the same bytes for the same plan.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a plan is plain data with text keys");
        text.push('\n');
        text
    }
}
