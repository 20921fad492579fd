//! A manifest as it is written: every name and value with its place, nothing resolved yet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::access::AccessKind;
use crate::credential::Credential;
use crate::identity::Region;
use crate::manifest::model::{Import, Moved, OnDelete, Removed, Rotation, StoreSettings};
use crate::manifest::policy::Policy;
use crate::manifest::read::node::At;
use crate::name::Name;
use crate::sink::SinkKind;

/// The files of a manifest, merged. What could not be read is left out, and said elsewhere.
#[derive(Default)]
pub(crate) struct Document {
    pub project: Option<At<Name>>,
    pub state: Option<At<StoreSettings>>,
    pub accounts: BTreeMap<Name, At<AccountBlock>>,
    pub sinks: BTreeMap<Name, At<SinkBlock>>,
    pub scope_sets: BTreeMap<Name, At<Vec<At<String>>>>,
    pub defaults: Settings,
    pub environments: BTreeMap<Name, At<EnvironmentBlock>>,
    pub patterns: BTreeMap<String, At<EnvironmentBlock>>,
    pub keys: BTreeMap<Name, At<KeyBlock>>,
    pub moved: Vec<At<Moved>>,
    pub import: Vec<At<Import>>,
    pub removed: Vec<At<Removed>>,
    pub policy: Policy,
    /// Each selector of a rule of `policy`, to be checked once the addresses are known.
    pub selectors: Vec<At<String>>,
    /// The same of rules that go by account.
    pub account_selectors: Vec<At<String>>,
    /// The sinks that `policy.require_sink` names, by name.
    pub required_sinks: Vec<At<Name>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct AccountBlock {
    pub api_key: Option<Credential>,
    pub plan_api_key: Option<Credential>,
    pub parent: Option<At<Name>>,
    pub subuser: Option<At<String>>,
    pub account_id: Option<At<String>>,
    pub region: Region,
    pub key_limit: Option<u32>,
    pub max_keys: Option<At<u32>>,
}

/// A sink's kind and settings, with placeholders; `None` where they could not be read.
pub(crate) type SinkBlock = Option<SinkTemplate>;

/// The settings of a sink before placeholders are filled in.
#[derive(Clone, Debug)]
pub(crate) struct SinkTemplate {
    pub kind: SinkKind,
    pub fields: BTreeMap<String, At<Setting>>,
    pub after_delivery: Option<At<HookTemplate>>,
}

/// What is done after a delivery, before placeholders are filled in.
#[derive(Clone, Debug)]
pub(crate) struct HookTemplate {
    /// The name of its kind in the manifest.
    pub kind: &'static str,
    pub fields: BTreeMap<String, At<Setting>>,
}

/// A value in the settings of a sink or store.
#[derive(Clone, Debug)]
pub(crate) enum Setting {
    Text(String),
    List(Vec<String>),
    Numbers(Vec<i64>),
    Flag(bool),
    /// Texts by names that are free, such as labels.
    Texts(BTreeMap<String, String>),
    Credential(Credential),
    /// A block of its own; of a choice (`{ app_role: { … } }`) the one that was made.
    Block(BTreeMap<String, At<Setting>>),
}

/// A sink as a list of sinks names it.
#[derive(Clone, Debug)]
pub(crate) struct SinkUse {
    pub sink: At<Name>,
    /// What differs from the sink's own settings; not checked against its kind yet.
    pub overrides: Vec<(At<String>, At<Setting>)>,
}

/// What can be said in defaults, environments, keys and exceptions; the nearest replaces the whole value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub account: Option<At<Name>>,
    pub sinks: Option<At<Vec<SinkUse>>>,
    /// The field is there and could not be read.
    pub sinks_unclear: bool,
    /// `Some(None)` is `never`.
    pub rotate: Option<Option<Rotation>>,
    pub protect: Option<bool>,
    pub owner: Option<String>,
    pub on_delete: Option<OnDelete>,
    pub after_delivery: Option<At<HookTemplate>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct EnvironmentBlock {
    pub settings: Settings,
    /// Names and patterns of accounts: a fan-out.
    pub accounts: Option<At<Vec<At<String>>>>,
    pub max_keys: Option<u32>,
    pub ttl: Option<Duration>,
    pub exceptions: BTreeMap<ExceptionTarget, At<ExceptionBlock>>,
}

/// Which key an exception is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExceptionTarget {
    pub account: Option<Name>,
    pub key: Name,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ExceptionBlock {
    pub enabled: Option<bool>,
    pub key: KeyBlock,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct KeyBlock {
    pub settings: Settings,
    pub name: Option<At<String>>,
    pub access: Option<At<AccessKind>>,
    pub scopes: Option<At<Vec<At<String>>>>,
    /// Some field of `access` or `scopes` could not be read, so that nothing can be said of them.
    pub access_unclear: bool,
    pub description: Option<String>,
    pub environments: Option<At<Vec<At<String>>>>,
}
