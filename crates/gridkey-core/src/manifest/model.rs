//! The resolved manifest: every default applied, every placeholder filled in, every scope expanded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{AccessKind, Scope};
use crate::address::{Address, AddressPattern};
use crate::credential::Credential;
use crate::hook::Hook;
use crate::identity::{AccountIdentity, OnBehalfOf, Region};
use crate::key::KeyId;
use crate::manifest::policy::Policy;
use crate::name::Name;
use crate::sink::{SinkLocation, SinkSettings};
use crate::text::source::{Position, SourceDigest};

/// What should be: the accounts, and for each address the key that should exist there.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The project's name; `default` where the manifest gives none and state is a local folder.
    pub project: Name,
    pub state: StoreSettings,
    pub accounts: BTreeMap<Name, Account>,
    pub sinks: BTreeMap<Name, SinkSettings>,
    /// Named environments, and those instantiated from a pattern on request.
    pub environments: BTreeMap<Name, Environment>,
    /// Patterns (`pr-*`), whose environments exist only when asked for.
    pub patterns: BTreeMap<String, PatternEnvironment>,
    pub keys: BTreeMap<Address, WantedKey>,
    pub moved: Vec<Moved>,
    pub import: Vec<Import>,
    pub removed: Vec<Removed>,
    pub policy: Policy,
    /// The files it was read from.
    pub sources: Vec<SourceDigest>,
}

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreSettings {
    /// A folder on this machine.
    Local(LocalStoreSettings),
    /// A bucket of Amazon S3, or of a server that honours its conditional writes.
    S3(S3StoreSettings),
    /// A bucket of Google Cloud Storage.
    Gcs(GcsStoreSettings),
    /// A container of Azure Blob Storage.
    AzureBlob(AzureBlobStoreSettings),
    /// A PostgreSQL database.
    Postgres(PostgresStoreSettings),
}

impl StoreSettings {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::S3(_) => "s3",
            Self::Gcs(_) => "gcs",
            Self::AzureBlob(_) => "azure_blob",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self::Local(LocalStoreSettings { path: ".gridkey/state".to_string() })
    }
}

/// State in a local folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalStoreSettings {
    /// The folder, relative to the manifest's folder.
    pub path: String,
}

/// State in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3StoreSettings {
    /// The bucket.
    pub bucket: String,
    /// What object names start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The region, such as `eu-west-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The server, where it is not Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// State in Google Cloud Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GcsStoreSettings {
    /// The bucket.
    pub bucket: String,
    /// What object names start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// State in Azure Blob Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureBlobStoreSettings {
    /// The storage account.
    pub account: String,
    /// The container.
    pub container: String,
    /// What blob names start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// State in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresStoreSettings {
    /// Where the connection string is found; it may hold a password.
    pub url: Credential,
    /// The table; `gridkey_state` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// One account at SendGrid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: Name,
    pub parent: Option<Name>,
    /// The managing key: the account's own, or its parent's.
    pub api_key: Credential,
    /// A key that may only read, for commands that change nothing.
    pub plan_api_key: Option<Credential>,
    pub on_behalf_of: Option<OnBehalfOf>,
    pub region: Region,
    /// How many keys SendGrid allows in the account.
    pub key_limit: u32,
    /// How many of them this project may hold.
    pub max_keys: Option<u32>,
    pub position: Position,
}

impl Account {
    pub fn identity(&self) -> AccountIdentity {
        AccountIdentity {
            parent: self.parent.clone(),
            region: self.region,
            on_behalf_of: self.on_behalf_of.clone(),
        }
    }
}

/// An environment that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    pub name: Name,
    /// The accounts its keys live in: one, or several by fan-out.
    pub accounts: Vec<Name>,
    pub fan_out: bool,
    /// The pattern it was made from on request.
    pub pattern: Option<String>,
    pub ttl: Option<Duration>,
    pub max_keys: Option<u32>,
    pub position: Position,
}

/// A pattern for environments that come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternEnvironment {
    pub pattern: String,
    pub accounts: Vec<Name>,
    pub ttl: Option<Duration>,
    pub max_keys: Option<u32>,
    pub position: Position,
}

/// The key that should exist at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKey {
    pub address: Address,
    pub account: Name,
    /// The name it should have at SendGrid.
    pub name: String,
    pub access: WantedAccess,
    /// Where its secret goes, in the manifest's order.
    pub sinks: Vec<SinkLocation>,
    /// What is done once it was delivered: its own, and those of its sinks.
    pub hooks: Vec<Hook>,
    pub owner: Option<String>,
    pub description: Option<String>,
    pub protect: bool,
    pub rotate: Option<Rotation>,
    /// How long after its first key the environment's keys are revoked.
    pub ttl: Option<Duration>,
    pub on_delete: OnDelete,
    pub position: Position,
}

impl WantedKey {
    /// How long it is meant to live.
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle { rotate: self.rotate, ttl: self.ttl }
    }

    /// How long the key that it takes the place of goes on working.
    pub fn overlap(&self) -> Duration {
        self.rotate.map_or(DEFAULT_OVERLAP, |rotation| rotation.overlap)
    }
}

/// What the key should be allowed to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedAccess {
    Full,
    /// A list is held once, however many keys have it: expanded it takes more than all else about a key.
    Restricted(Arc<WantedScopes>),
    Billing(Arc<WantedScopes>),
}

/// Scopes as the manifest asks for them; together they are never empty, and none is automatic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedScopes {
    /// Written out: what cannot be granted blocks the plan.
    pub written: BTreeSet<Scope>,
    /// From a pattern or level, with that text: what cannot be granted is left out, with a note.
    pub expanded: BTreeMap<Scope, String>,
    /// Written out but unknown to the catalogue, with what was probably meant; known after all if the
    /// account's live list of scopes has them.
    pub unknown: BTreeMap<Scope, Option<Scope>>,
}

impl WantedScopes {
    /// Everything asked for.
    pub fn all(&self) -> BTreeSet<Scope> {
        self.written.iter().chain(self.expanded.keys()).cloned().collect()
    }
}

impl WantedAccess {
    pub fn kind(&self) -> AccessKind {
        match self {
            Self::Full => AccessKind::Full,
            Self::Restricted(_) => AccessKind::Restricted,
            Self::Billing(_) => AccessKind::Billing,
        }
    }

    pub fn scopes(&self) -> Option<&WantedScopes> {
        match self {
            Self::Full => None,
            Self::Restricted(scopes) | Self::Billing(scopes) => Some(scopes),
        }
    }
}

/// What happens to the sinks' values when a key is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// Locations that still hold the deleted key are cleared.
    #[default]
    Clear,
    /// Locations are left as they are.
    Keep,
}

/// When a key is replaced by a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    pub every: Duration,
    /// How long the older key goes on working after the new one was delivered.
    pub overlap: Duration,
    /// How long before it is due a rotation may be brought forward.
    pub warn_before: Option<Duration>,
    pub at_limit: AtLimit,
}

/// How long a key is meant to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// When it is replaced by a new one; `None` for never.
    pub rotate: Option<Rotation>,
    /// How long after its first key the environment's keys are revoked.
    pub ttl: Option<Duration>,
}

/// How long an older key goes on working where the manifest does not say.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// What a rotation does when the account has no spare slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    /// It waits for a later run.
    #[default]
    Postpone,
    /// The older key is revoked first; its consumers fail until the new one is delivered.
    Replace,
    /// The plan is blocked.
    Block,
}

/// A renamed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// It has one `*` at most, and `to` as many.
    pub from: AddressPattern,
    pub to: AddressPattern,
    pub position: Position,
}

/// A live key to adopt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub to: Address,
    pub key: ImportKey,
    pub position: Position,
}

/// How the key to adopt is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportKey {
    Id(KeyId),
    /// By its name at SendGrid, where that is unique.
    Name(String),
}

/// An address, or a whole account, to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    pub what: RemovedWhat,
    /// Whether the keys are revoked too.
    pub revoke: bool,
    pub position: Position,
}

/// What a `removed` entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemovedWhat {
    Address(AddressPattern),
    Account(Name),
}
