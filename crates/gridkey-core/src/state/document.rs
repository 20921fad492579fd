//! The document: what gridkey owns in one account, and what it has begun there.
//!
//! There is one document per project and account, so SendGrid's cap of 100 keys bounds its size. It holds
//! no secret and no hash of one: the key id inside a secret tells which key a readable sink holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Scope};
use crate::address::Address;
use crate::hook::{DueHook, Hook};
use crate::identity::AccountIdentity;
use crate::key::{KeyId, Marker};
use crate::manifest::{Lifecycle, OnDelete};
use crate::name::Name;
use crate::sink::{Known, LocationId, Receipt, SinkLocation};
use crate::time::later;

/// The version that this gridkey writes; older ones are upgraded when they are read.
pub const FORMAT_VERSION: u32 = 2;

/// What gridkey owns in one account, and what it has begun there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountState {
    pub format_version: u32,
    /// Drawn once when the document is made; two documents with different lineages never had anything to
    /// do with each other.
    pub lineage: String,
    /// Counts the writes.
    pub serial: u64,
    /// Counts the changes of hands of the lock; a write that carries an older one is refused.
    pub epoch: u64,
    pub project: Name,
    pub account: Name,
    pub identity: AccountIdentity,
    /// The key that gridkey last authenticated with, so that it is guarded even where a reader plans.
    pub managing_key: Option<KeyId>,
    #[serde(default)]
    pub keys: BTreeMap<Address, OwnedKey>,
    /// Creations that were begun.
    #[serde(default)]
    pub pending: BTreeMap<Marker, PendingKey>,
    /// Markers no longer expected, kept 30 days: a key that turns up with one is revoked.
    #[serde(default)]
    pub abandoned: BTreeMap<Marker, AbandonedMarker>,
    /// Owned keys that a run was about to revoke, and when: where one is gone, the run did, and broke off before it could say so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaving: BTreeMap<KeyId, Timestamp>,
    /// Addresses whose keys were let go of: an entry of `removed` that did so is told by it from one that matches nothing.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub let_go: BTreeSet<Address>,
}

/// A key that gridkey owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedKey {
    pub id: KeyId,
    /// Its name at SendGrid, as last written or read.
    pub name: String,
    /// What SendGrid held after it was asked for that name, where it is another: it is not asked for on every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_name: Option<String>,
    /// What was asked for, expanded.
    pub access: Access,
    /// The scopes that SendGrid reported after the last write, without automatic ones; `None` for Full
    /// Access, which is never compared by scopes.
    pub reported: Option<BTreeSet<Scope>>,
    /// The patterns that the scopes were expanded from, so that a catalogue that grew can be told from a
    /// manifest that was edited.
    #[serde(default)]
    pub patterns: BTreeSet<String>,
    /// 1 for the first key of an address, and one more for each successor.
    pub generation: u32,
    /// The key in another account that it took the place of: until that one is revoked, both are at this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<KeyId>,
    /// Until when a person said that it goes on working, once a key in another account has taken its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
    pub born: Born,
    /// When the address got its first key, whatever took that one's place since; `None` where this is the first, or
    /// in documents that are older than the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_made: Option<Timestamp>,
    /// The address that the key had before it was last moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<Address>,
    /// Whether the environment had a `ttl` when the address got its first key: it was made to come and go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub short_lived: bool,
    /// Whether a run was about to revoke it, to make room for its successor: where it is gone, the run did, and broke
    /// off before the successor was recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub makes_room: bool,
    /// How long it is meant to live, as last applied; `None` in documents that are older than the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    pub secret: SecretStatus,
    pub owner: Option<String>,
    pub protect: bool,
    pub on_delete: OnDelete,
    pub sinks: Vec<Delivery>,
    /// What is still to be done about deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks_due: Vec<DueHook>,
    /// The run or person that made it.
    pub by: String,
    #[serde(default)]
    pub retiring: Vec<RetiringKey>,
    #[serde(default)]
    pub retiring_locations: Vec<RetiringLocation>,
}

impl OwnedKey {
    /// What was written to a location of its own, where the service gave a version of its own for it.
    pub fn known(&self, delivery: &Delivery) -> Option<Known> {
        Some(Known { id: self.id.clone(), receipt: delivery.receipt.clone()? })
    }

    /// The key's id, and those of the keys it replaced.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        std::iter::once(&self.id).chain(self.retiring.iter().map(|retiring| &retiring.id))
    }

    /// Whether it is recorded that a location of its own was given it.
    pub fn is_delivered_to(&self, location: &LocationId) -> bool {
        self.sinks.iter().any(|delivery| delivery.location.id() == *location)
    }

    /// When it was last given to a location.
    pub fn delivered(&self) -> Timestamp {
        let born = self.born.at();
        self.sinks.iter().map(|delivery| delivery.at).max().unwrap_or(born).max(born)
    }

    /// When the address got its first key.
    pub fn since(&self) -> Timestamp {
        self.first_made.unwrap_or_else(|| self.born.at())
    }

    /// Whether an id is the key's, or that of one it replaced.
    fn is_known_by(&self, id: &KeyId) -> bool {
        self.ids().any(|known| known == id)
    }
}

/// Since when a key has been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Born {
    /// gridkey made it then.
    Created(Timestamp),
    /// gridkey found it then; it may be older.
    FirstSeen(Timestamp),
}

impl Born {
    pub fn at(self) -> Timestamp {
        match self {
            Self::Created(at) | Self::FirstSeen(at) => at,
        }
    }
}

/// Whether anybody has the key's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretStatus {
    Delivered,
    /// Adopted without a sink that proves it.
    Unknown,
}

/// A location that was given the key's secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    pub location: SinkLocation,
    pub at: Timestamp,
    /// The service's own version of what was written; `None` where it has none, or in documents of format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

impl Delivery {
    pub fn new(location: SinkLocation, at: Timestamp) -> Self {
        Self { location, at, receipt: None }
    }
}

/// An older key of an address, to be revoked once its overlap has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetiringKey {
    pub id: KeyId,
    /// Not before this.
    pub after: Timestamp,
    /// The earliest time it may have been made at; reads may trail that by a while.
    pub born: Timestamp,
    pub why: RetiringReason,
    /// Kept until a person says otherwise, however late it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// The scopes that SendGrid reported of it when it was last looked at as the current key, without automatic ones;
    /// `None` for Full Access, and in documents that are older than the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<BTreeSet<Scope>>,
}

/// Why an older key waits to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetiringReason {
    /// A successor was delivered.
    Replaced,
    /// It was gone from the account, as far as reads can tell.
    Vanished,
    /// A write-only sink may have been given it before its creation broke off.
    Uncertain,
}

/// A location that no longer belongs to the address, to be cleared once the overlap has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetiringLocation {
    pub location: SinkLocation,
    pub after: Timestamp,
    /// The keys that it may have been given: it is cleared of those, also once they are revoked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub given: BTreeSet<KeyId>,
    /// What was written there last, with the service's own version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
}

/// A creation that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingKey {
    pub address: Address,
    pub purpose: Purpose,
    /// The final name; the key carries [`Marker::pending_name`] until it is recorded.
    pub name: String,
    pub access: Access,
    pub locations: Vec<SinkLocation>,
    pub phase: PendingPhase,
    /// What becomes of the key that it replaces.
    #[serde(default, skip_serializing_if = "RevokeOld::is_default")]
    pub older: RevokeOld,
    /// When it was begun, by SendGrid's clock.
    pub at: Timestamp,
    pub by: String,
}

impl PendingKey {
    /// Whether a sink that never tells what it holds may have been given the secret.
    pub(crate) fn may_be_in_write_only(&self) -> bool {
        self.phase == PendingPhase::Delivering
            && self.locations.iter().any(|location| !location.at.is_readable())
    }
}

/// What a creation is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Create,
    /// The successor of the key with this id.
    Replace(KeyId),
    /// The successor of a key that lives in another account, whose own plan retires it.
    Follow(KeyId),
}

impl Purpose {
    /// The key in another account that is followed.
    pub fn follows(&self) -> Option<&KeyId> {
        match self {
            Self::Follow(id) => Some(id),
            Self::Create | Self::Replace(_) => None,
        }
    }
}

/// How far a creation had got when state last heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingPhase {
    /// The request may have left; no write-only sink was tried.
    Intended,
    /// A write-only sink may have been given the secret.
    Delivering,
}

/// A marker that is no longer expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbandonedMarker {
    pub address: Address,
    pub at: Timestamp,
}

/// A pending key that a write-only sink may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UncertainKey {
    pub marker: Marker,
    pub id: KeyId,
}

/// What state says of a key besides what SendGrid knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub owner: Option<String>,
    pub protect: bool,
    pub on_delete: OnDelete,
    /// The patterns that its scopes were expanded from.
    pub patterns: BTreeSet<String>,
    /// Where the secret is, once the change is done.
    pub locations: Vec<SinkLocation>,
    /// Locations that are no longer wanted, and that may be wanted ones by another name: they are not cleared.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_alone: BTreeSet<LocationId>,
    /// How long locations that are no longer wanted keep the value.
    pub overlap: Duration,
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// What is done about deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
}

/// What becomes of the key that a new one replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevokeOld {
    /// It is revoked once the new one is delivered and recorded.
    Now,
    #[default]
    AfterOverlap,
    /// It is kept until a person says otherwise.
    Hold,
    /// It was revoked before the new one was made, as there was no slot for both.
    First,
}

impl RevokeOld {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::AfterOverlap
    }
}

/// How long a marker that is no longer expected is remembered.
pub const ABANDONED_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why a document is not a state that this gridkey can read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state is not a whole JSON document: it may be truncated")]
    Syntax(#[source] serde_json::Error),
    #[error("the state has format version {found}, and this gridkey reads up to {FORMAT_VERSION}")]
    Newer { found: u64 },
    #[error("the state has no `format_version` that a gridkey has written")]
    NoVersion,
    #[error("the state does not have the shape of format version {found}")]
    Shape {
        found: u64,
        #[source]
        error: serde_json::Error,
    },
}

impl AccountState {
    /// Every location that has, had or may have one of the keys, with the address that it is or was of.
    pub fn locations(&self) -> impl Iterator<Item = (&Address, &SinkLocation)> {
        let owned = self.keys.iter().flat_map(|(address, key)| {
            let given = key.sinks.iter().map(|delivery| &delivery.location);
            let leaving = key.retiring_locations.iter().map(|leaving| &leaving.location);
            given.chain(leaving).map(move |location| (address, location))
        });
        let begun = self
            .pending
            .values()
            .flat_map(|begun| begun.locations.iter().map(move |location| (&begun.address, location)));
        owned.chain(begun)
    }

    /// The same, to be changed.
    pub fn locations_mut(&mut self) -> impl Iterator<Item = &mut SinkLocation> {
        let owned = self.keys.values_mut().flat_map(|key| {
            let given = key.sinks.iter_mut().map(|delivery| &mut delivery.location);
            given.chain(key.retiring_locations.iter_mut().map(|leaving| &mut leaving.location))
        });
        owned.chain(self.pending.values_mut().flat_map(|begun| &mut begun.locations))
    }

    /// What was written to locations last, where the service gave a version of its own for it. Where a location was given to a key, what
    /// another left there is over.
    pub fn known(&self) -> impl Iterator<Item = (LocationId, Known)> {
        let deliveries =
            || self.keys.values().flat_map(|key| key.sinks.iter().map(move |given| (key, given)));
        let given: BTreeSet<LocationId> = deliveries().map(|(_, delivery)| delivery.location.id()).collect();
        let known =
            deliveries().filter_map(|(key, delivery)| Some((delivery.location.id(), key.known(delivery)?)));
        let leaving = self.keys.values().flat_map(|key| &key.retiring_locations);
        let leaving = leaving.filter_map(|leaving| Some((leaving.location.id(), leaving.known.clone()?)));
        known.chain(leaving.filter(move |(id, _)| !given.contains(id)))
    }

    /// Until when a location of an address may still get its key by a write whose answer was lost; each write ends within `deadline`.
    pub fn may_be_given_until(
        &self,
        address: &Address,
        location: &LocationId,
        deadline: Duration,
    ) -> Option<Timestamp> {
        let key = self.keys.get(address)?;
        let leaving = key.retiring_locations.iter().find(|leaving| leaving.location.id() == *location)?;
        (leaving.known.is_none() && leaving.given.contains(&key.id)).then(|| later(leaving.after, deadline))
    }

    /// A document for an account that has none yet.
    pub fn new(project: Name, account: Name, identity: AccountIdentity, lineage: String) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            lineage,
            serial: 0,
            epoch: 0,
            project,
            account,
            identity,
            managing_key: None,
            keys: BTreeMap::new(),
            pending: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            leaving: BTreeMap::new(),
            let_go: BTreeSet::new(),
        }
    }

    /// Reads a document of any version up to [`FORMAT_VERSION`].
    ///
    /// # Errors
    /// [`StateError`] says which: broken JSON, a newer version, or a wrong shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(StateError::Syntax)?;
        let found =
            value.get("format_version").and_then(serde_json::Value::as_u64).ok_or(StateError::NoVersion)?;
        if found > u64::from(FORMAT_VERSION) {
            return Err(StateError::Newer { found });
        }
        // The first version was 1.
        if found == 0 {
            return Err(StateError::NoVersion);
        }
        let state: Self =
            serde_json::from_value(value).map_err(|error| StateError::Shape { found, error })?;
        // What older documents lack may be lacking, so they are of this version once they are read.
        Ok(Self { format_version: FORMAT_VERSION, ..state })
    }

    /// The document as it is stored: indented JSON, the same bytes for the same state.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("state is plain data with text keys");
        bytes.push(b'\n');
        bytes
    }

    /// Whether the key of an address here, or one that is being made for it, and a key of another account are one
    /// and the same to people: one takes the place of the other.
    pub fn is_half_of(&self, address: &Address, other: &OwnedKey) -> bool {
        let here = self.keys.get(address);
        let begun = self.pending.values().filter(|pending| pending.address == *address);
        let begun = begun.filter_map(|pending| pending.purpose.follows());
        here.and_then(|key| key.follows.as_ref()).into_iter().chain(begun).any(|id| other.is_known_by(id))
            || here.is_some_and(|key| other.follows.as_ref().is_some_and(|id| key.is_known_by(id)))
    }

    /// Every key id that this state owns: current ones and those that are retiring.
    pub fn owned_ids(&self) -> BTreeMap<&KeyId, &Address> {
        self.keys
            .iter()
            .flat_map(|(address, key)| {
                std::iter::once((&key.id, address))
                    .chain(key.retiring.iter().map(move |retiring| (&retiring.id, address)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> AccountState {
        let name = |text: &str| Name::new(text).expect("a name");
        let identity = AccountIdentity { parent: None, region: Default::default(), on_behalf_of: None };
        AccountState::new(name("mailing"), name("acme"), identity, "lineage".to_string())
    }

    #[test]
    fn state_reads_back_as_it_was_written() {
        let state = empty();
        assert_eq!(AccountState::parse(&state.to_bytes()).expect("just written"), state);
    }

    #[test]
    fn a_truncated_or_newer_state_is_refused() {
        let bytes = empty().to_bytes();
        assert!(matches!(AccountState::parse(&bytes[..bytes.len() / 2]), Err(StateError::Syntax(_))));
        assert!(matches!(AccountState::parse(b"{}"), Err(StateError::NoVersion)));
        let oldest =
            String::from_utf8(bytes).expect("text").replace("\"format_version\": 2", "\"format_version\": 0");
        assert!(matches!(AccountState::parse(oldest.as_bytes()), Err(StateError::NoVersion)));
        let newer = br#"{"format_version": 3, "anything": []}"#;
        assert!(matches!(AccountState::parse(newer), Err(StateError::Newer { found: 3 })));
        assert!(matches!(
            AccountState::parse(br#"{"format_version": 1}"#),
            Err(StateError::Shape { found: 1, .. })
        ));
    }
}
