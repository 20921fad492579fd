//! Steps: what the executor does, as data. Every choice in them was made by the planner.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::address::Address;
use crate::hook::Hook;
use crate::inventory::SinkContent;
use crate::key::{KeyId, Marker};
use crate::sink::SinkLocation;
use crate::state::RevokeOld;
use crate::state::{Purpose, RetiringReason, SecretStatus, Settings, UncertainKey};

/// One thing to do. The address is that of the change the step belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// State knows the key by another address from now on.
    Move {
        from: Address,
    },
    /// State owns a live key from now on.
    Adopt(Adopt),
    /// State no longer owns the key, which stays as it is.
    Forget {
        id: KeyId,
    },
    /// A pending key whose secret a sink has: copy it where it is missing, and record it.
    FinishPending(FinishPending),
    /// A pending key whose secret surely no sink has: revoke it.
    RevokePending {
        marker: Marker,
        id: KeyId,
    },
    /// A pending key whose address is wanted no more: revoke it, and clear what holds it.
    DiscardPending {
        marker: Marker,
        id: KeyId,
        clear: Vec<SinkLocation>,
    },
    /// A pending key that SendGrid does not have: remember its marker, expect it no longer.
    AbandonPending {
        marker: Marker,
    },
    /// A key that carries an abandoned marker: revoke it.
    RevokeAbandoned {
        id: KeyId,
    },
    /// An older key after its overlap: revoke it, if no location in `look` holds it.
    RetireKey {
        id: KeyId,
        #[schemars(with = "String")]
        born: Timestamp,
        look: Vec<SinkLocation>,
    },
    /// An older key that is still in use: count its overlap anew.
    PostponeRetirement {
        id: KeyId,
        overlap: Duration,
    },
    /// An older location after its overlap: clear it, if it still holds a key of this address.
    RetireLocation {
        location: SinkLocation,
        holding: BTreeSet<KeyId>,
        /// The address that uses the location by now: it is not cleared then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept_for: Option<Address>,
    },
    Delete(Delete),
    /// The key that the new one replaces, where the account has no slot for both: revoke it first.
    RevokeFirst {
        id: KeyId,
        #[schemars(with = "String")]
        born: Timestamp,
    },
    /// PATCH of the name alone.
    Rename {
        id: KeyId,
        name: String,
    },
    /// PUT of name and scopes, read back afterwards.
    Update {
        id: KeyId,
        name: String,
        access: Access,
        patterns: BTreeSet<String>,
    },
    /// Copy the secret from a location that has it.
    Deliver {
        id: KeyId,
        source: SinkLocation,
        to: Vec<Put>,
        /// What is done about it, which state is told before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<Hook>,
    },
    /// Write down in state what the manifest says of the key.
    Record(Settings),
    Mint(Mint),
    /// Do what is to be done about deliveries: of these, what state says is due.
    RunHooks {
        hooks: Vec<Hook>,
        /// Whether an earlier run was to do just that.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        begun: bool,
        /// Whether it is about deliveries of an earlier run, so that it comes before an older key is revoked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        due: bool,
    },
    /// An older key that a person gives up now: revoke it, once its successor is recorded.
    RevokeOlder {
        id: KeyId,
        #[schemars(with = "String")]
        born: Timestamp,
    },
}

/// A live key that state owns from now on, as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adopt {
    pub id: KeyId,
    pub name: String,
    pub access: Access,
    /// Whether a sink proves that somebody has the secret.
    pub secret: SecretStatus,
    /// What state says of it; the locations are those that hold it.
    pub settings: Settings,
}

/// A location to write, and what it is expected to hold before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    pub location: SinkLocation,
    pub replaces: SinkContent,
    /// Whether what it replaces is not gridkey's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
}

/// Make a key and deliver its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mint {
    /// One for each attempt at the POST.
    pub markers: Vec<Marker>,
    pub purpose: Purpose,
    pub name: String,
    pub access: Access,
    /// Those that can be read come first.
    pub puts: Vec<Put>,
    pub generation: u32,
    /// When the address got its first key, where that was in another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub first_made: Option<Timestamp>,
    pub settings: Settings,
    /// How long the older key, and uncertain ones, go on working once this one is recorded.
    pub overlap: Duration,
    /// What becomes of the older key that this one replaces.
    pub retire: Option<RetiringReason>,
    /// What becomes of it besides: kept until a person says otherwise, or revoked at once.
    pub older: RevokeOld,
    /// Pending keys that a write-only sink may have; they retire when this one is recorded.
    pub uncertain: Vec<UncertainKey>,
}

/// Finish a creation that broke off after a sink took the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishPending {
    pub marker: Marker,
    pub id: KeyId,
    /// The location that has the secret.
    pub source: SinkLocation,
    /// Locations that should have it and do not, or do not tell.
    pub puts: Vec<Put>,
    pub generation: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub first_made: Option<Timestamp>,
    pub settings: Settings,
    pub overlap: Duration,
    pub retire: Option<RetiringReason>,
    pub uncertain: Vec<UncertainKey>,
}

/// Revoke a key, its older ones and its pending ones, and clear the locations that hold one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    pub keys: Vec<DeleteKey>,
    /// Pending creations of the address that came to nothing that can be seen.
    pub abandon: Vec<Marker>,
    /// Locations to clear if they still hold one of the keys.
    pub clear: Vec<SinkLocation>,
    /// Locations that must hold none of the keys, or nothing is revoked.
    pub look: Vec<SinkLocation>,
    /// New keys that look like this one under another name: nothing is revoked where one of them was not made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub successors: Vec<Address>,
}

/// One key to revoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteKey {
    pub id: KeyId,
    /// The earliest time it may have been made at: a 404 counts once the lag since then has passed.
    #[schemars(with = "String")]
    pub born: Timestamp,
}

/// What an account's steps are carried out in. Steps of one phase may run side by side, but for those of
/// [`Phase::Replace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// State alone; what follows builds on it.
    StateOnly,
    Recover,
    Retire,
    Delete,
    Update,
    Deliver,
    Create,
    /// An older key is revoked and its successor made, key by key, and none after one that failed.
    Replace,
    /// What is done about deliveries, once they are recorded and before a key goes that somebody may still use.
    Announce,
    /// Older keys that a person gave up, once their successors are recorded.
    Revoke,
}

/// Whether an account's keys are made before others are revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// What is new is there before anything goes.
    #[default]
    MakeFirst,
    /// The account has no slots for both, so deletions come first.
    FreeFirst,
}

impl Order {
    /// All phases, the first one first.
    pub fn phases(self) -> [Phase; 10] {
        use Phase::{Announce, Create, Delete, Deliver, Recover, Replace, Retire, Revoke, StateOnly, Update};
        match self {
            Self::MakeFirst => {
                [StateOnly, Recover, Retire, Update, Deliver, Create, Replace, Announce, Delete, Revoke]
            }
            Self::FreeFirst => {
                [StateOnly, Recover, Retire, Delete, Update, Deliver, Create, Replace, Announce, Revoke]
            }
        }
    }
}

impl Step {
    pub fn phase(&self) -> Phase {
        match self {
            Self::Move { .. } | Self::Adopt(_) | Self::Forget { .. } => Phase::StateOnly,
            Self::FinishPending(_)
            | Self::RevokePending { .. }
            | Self::DiscardPending { .. }
            | Self::AbandonPending { .. }
            | Self::RevokeAbandoned { .. }
            | Self::RunHooks { due: true, .. } => Phase::Recover,
            // An older key still in use is only put off: what replaces it comes in `Deliver`.
            Self::RetireKey { .. } | Self::PostponeRetirement { .. } | Self::RetireLocation { .. } => {
                Phase::Retire
            }
            Self::Delete(_) => Phase::Delete,
            Self::Rename { .. } | Self::Update { .. } => Phase::Update,
            // State says where a secret is only after it was put there.
            Self::Deliver { .. } | Self::Record(_) => Phase::Deliver,
            Self::Mint(mint) if mint.is_revoke_first() => Phase::Replace,
            Self::RevokeFirst { .. } => Phase::Replace,
            Self::Mint(_) => Phase::Create,
            Self::RunHooks { due: false, .. } => Phase::Announce,
            Self::RevokeOlder { .. } => Phase::Revoke,
        }
    }
}
