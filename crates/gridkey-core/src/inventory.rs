//! The inventory: what was observed at SendGrid and in the sinks. It can be partial, and says so.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Scope};
use crate::key::KeyId;
use crate::name::Name;
use crate::sink::{FileMode, LocationId, SinkLocation};

/// What was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    pub accounts: BTreeMap<Name, AccountInventory>,
    /// The locations that were looked at, of every account. What stands here of one that never tells its value is its service's word on
    /// whether it was written since gridkey did, and only where that is sure.
    pub sinks: BTreeMap<LocationId, SinkObservation>,
    /// What a write to a location would bring with it, where there is something to say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub caveats: BTreeMap<LocationId, Vec<SinkCaveat>>,
}

/// What was observed of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountInventory {
    Read(ReadAccount),
    Unreadable(Unreadable),
}

/// An account that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadAccount {
    /// When the keys were listed, by SendGrid's `Date` header.
    pub at: Timestamp,
    /// The key that the list was asked for with.
    pub managing_key: Option<KeyId>,
    /// Whether that is the key of `plan_api_key`, which only reads: it is not the managing key then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_plans: bool,
    /// The live keys and their names.
    pub live: BTreeMap<KeyId, String>,
    /// What a look at single keys found; only keys that state owns are looked at.
    pub details: BTreeMap<KeyId, KeyDetail>,
    pub grantable: Grantable,
}

impl ReadAccount {
    /// Whether gridkey itself works with a key: the managing key, as it was read or as state has it recorded, or the one that
    /// only reads.
    pub fn works_with(&self, recorded: Option<&KeyId>, id: &KeyId) -> bool {
        self.managing_key.as_ref() == Some(id) || recorded == Some(id)
    }
}

/// What a look at one key found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyDetail {
    /// Its scopes, with those SendGrid adds by itself.
    Scopes(BTreeSet<Scope>),
    /// SendGrid says there is no such key.
    Missing,
}

/// Which scopes the managing key can give to keys of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grantable {
    /// The plan gives no key anything new, so nobody asked.
    NotAsked,
    /// The answer of `GET /v3/scopes`.
    Known(BTreeSet<Scope>),
    /// It could not be had.
    Unknown(String),
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

/// Whether an access lets its holder do what Full Access does: the name is no other thing than the scopes.
pub(crate) fn is_as_good_as_full(access: &Access) -> bool {
    match access {
        Access::Full => true,
        Access::Restricted(scopes) => may_be_full(scopes.as_set(), &Grantable::NotAsked),
        Access::Billing(_) => false,
    }
}

/// An account that did not answer. It is never read as "all keys are gone".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    pub reason: UnreadableReason,
    /// What was said, without secrets.
    pub message: String,
    /// Whether it was asked with the key that only plans (`plan_api_key`), and not with the managing key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_plans: bool,
}

/// Why an account could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadableReason {
    /// The managing key could not be found or run for.
    Credential,
    /// 401
    Unauthorized,
    /// 401, as requests are let in from listed addresses alone.
    AddressNotListed,
    /// 403
    Forbidden,
    /// 451
    DataResidency,
    /// No usable answer.
    Unavailable,
}

/// What a look at a location found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkObservation {
    Holds(SinkContent),
    /// The sink cannot be read just now, and why.
    Unreadable(String),
    /// The sink can never be read.
    WriteOnly,
}

/// What a write to a location brings with it, or what stands against one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkCaveat {
    /// A file's mode becomes another.
    Mode { from: String, to: FileMode },
    /// The file cannot be replaced, and why; its content is overwritten where it is.
    InPlace(String),
    /// It cannot be written at all, and why.
    NotWritable(String),
    /// The service ends what is written there by itself, and when.
    Ends(String),
}

/// What a location holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkContent {
    Empty,
    /// A SendGrid key with this id.
    Key(KeyId),
    /// Something that is no SendGrid key.
    Other,
}

impl ReadAccount {
    /// The managing key, where the list was asked for with it.
    pub fn known_managing_key(&self) -> Option<&KeyId> {
        self.managing_key.as_ref().filter(|_| !self.only_plans)
    }
}

impl Inventory {
    pub fn account(&self, account: &Name) -> Option<&ReadAccount> {
        match self.accounts.get(account)? {
            AccountInventory::Read(read) => Some(read),
            AccountInventory::Unreadable(_) => None,
        }
    }

    /// Whether the location was seen to hold the key. One that never tells its value was not: its service only says whether it was
    /// written since, and nothing can be copied from it.
    pub fn holds(&self, location: &SinkLocation, id: &KeyId) -> bool {
        location.at.is_readable() && self.serves(location, id)
    }

    /// Whether programs that read the location get the key, as far as anything tells: also where the value itself is never told.
    pub fn serves(&self, location: &SinkLocation, id: &KeyId) -> bool {
        let seen = self.sinks.get(&location.id());
        matches!(seen, Some(SinkObservation::Holds(SinkContent::Key(held))) if held == id)
    }

    /// What a location that never tells its value has instead of one of these keys, by its service's own version of what was written
    /// there; `None` where that is unchanged, or where nothing is known of it.
    pub fn denied<'k>(
        &self,
        location: &SinkLocation,
        keys: impl IntoIterator<Item = &'k KeyId>,
    ) -> Option<&SinkContent> {
        let seen = self.sinks.get(&location.id()).filter(|_| !location.at.is_readable());
        match seen? {
            SinkObservation::Holds(SinkContent::Key(held)) if keys.into_iter().any(|id| id == held) => None,
            SinkObservation::Holds(content) => Some(content),
            SinkObservation::Unreadable(_) | SinkObservation::WriteOnly => None,
        }
    }
}
