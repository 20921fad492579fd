//! What a plan is computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::finding::Allow;
use crate::inventory::Inventory;
use crate::key::KeyId;
use crate::manifest::{Manifest, PolicyFile, RemovedWhat};
use crate::name::Name;
use crate::plan::seed::Seed;
use crate::state::{AccountState, RevokeOld};
use crate::text::pattern::matches_pattern;

/// Everything that [`plan`](crate::plan::plan) looks at.
pub struct PlanInput<'a> {
    pub manifest: &'a Manifest,
    pub selection: &'a Selection,
    /// The documents of this project, of accounts that have one.
    pub states: &'a BTreeMap<Name, AccountState>,
    pub inventory: &'a Inventory,
    /// The rules of `--policy FILE`.
    pub policy: Option<&'a PolicyFile>,
    /// What time it is, for what has no account's clock: dates in the manifest.
    pub now: Timestamp,
    pub seed: &'a Seed,
    pub options: &'a Options,
}

impl PlanInput<'_> {
    /// The day it is, in UTC, for exceptions that hold until a day.
    pub(crate) fn today(&self) -> jiff::civil::Date {
        jiff::tz::TimeZone::UTC.to_datetime(self.now).date()
    }
}

/// How to plan.
#[derive(Clone, Debug)]
pub struct Options {
    pub allow: Vec<Allow>,
    /// What the approved plan files let pass. It does not count against the rules of `--policy FILE`.
    pub approved_allow: Vec<Allow>,
    /// How long SendGrid's reads may trail its writes.
    pub read_lag: Duration,
    /// The state is in a local folder that does not exist yet, on a machine that is thrown away.
    pub ephemeral_state: bool,
    /// Kinds of sinks that this build has no adapter for.
    pub missing_sinks: BTreeSet<crate::sink::SinkKind>,
    /// Whether due work is part of the plan.
    pub due: Due,
    /// Whether the sinks were looked at.
    pub sinks: bool,
    /// What a person asked for on the command line, besides what the manifest says.
    pub requests: Requests,
}

/// What a person asks for on the command line, besides what the manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// `rotate`: the key that is to be replaced, where it was named; once it is another, nothing is left to
    /// do.
    pub rotate: BTreeMap<Address, Option<KeyId>>,
    /// What becomes of the older key of a rotation that is asked for.
    pub revoke_old: RevokeOld,
    /// `retire`: what becomes of older keys.
    pub retire: BTreeMap<Address, RetireRequest>,
    /// `import ADDRESS ID`
    pub import: BTreeMap<Address, KeyId>,
    /// `import --from-sinks`: what the sinks of an address hold is adopted.
    pub from_sinks: bool,
    /// How far the run goes.
    pub extent: Extent,
}

/// What a person asks of an older key that waits to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetireRequest {
    Now,
    /// It goes on working for this long from now.
    Hold(Duration),
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    #[default]
    Everything,
    /// What state says of keys, and nothing at SendGrid or in a sink.
    State,
}

/// `--due`: whether due work (rotations, retirements, expiries) is part of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    #[default]
    Include,
    /// It is left for another run, as in the plan of a pull request.
    Exclude,
    /// It is all there is, as in a nightly job.
    Only,
}

impl Due {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::Only => "only",
        }
    }
}

/// Half a minute. Users of other tools report reads that trail a creation by some seconds and poll for up
/// to fifteen; nothing is documented.
pub const DEFAULT_READ_LAG: Duration = Duration::from_secs(30);

impl Default for Options {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            approved_allow: Vec::new(),
            read_lag: DEFAULT_READ_LAG,
            ephemeral_state: false,
            missing_sinks: BTreeSet::new(),
            due: Due::Include,
            sinks: true,
            requests: Requests::default(),
        }
    }
}

/// Which keys a run is about. The others stay as they are, and count in capacity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `--env`; `None` selects every environment that does not come from a pattern.
    pub environments: Option<BTreeSet<Name>>,
    /// `--only`; `None` selects every address.
    pub only: Option<BTreeSet<Address>>,
    /// `destroy`: what is selected is wanted no more.
    pub destroy: bool,
    /// Environments that came from a pattern which is gone: like all of patterns, they have to be named.
    /// The planner finds them in state.
    pub apart: BTreeSet<Name>,
}

impl Selection {
    /// The keys of these environments and addresses, where they are named.
    pub fn new(environments: Option<BTreeSet<Name>>, only: Option<BTreeSet<Address>>) -> Self {
        Self { environments, only, ..Self::default() }
    }

    /// The same, in the knowledge of what state owns: an environment that had a `ttl` came from a pattern, also where no
    /// block of the manifest makes it any more.
    pub(crate) fn over(&self, manifest: &Manifest, states: &BTreeMap<Name, AccountState>) -> Self {
        let keys = states.values().flat_map(|state| &state.keys);
        let short_lived =
            keys.filter(|(_, key)| key.lifecycle.is_some_and(|lifecycle| lifecycle.ttl.is_some()));
        let environments = short_lived.filter_map(|(address, _)| address.environment.clone());
        let gone = environments
            .filter(|name| !manifest.environments.contains_key(name) && !is_from_pattern(manifest, name));
        Self { apart: gone.collect(), ..self.clone() }
    }

    /// Whether the run is about this address's environment.
    pub fn has_environment(&self, manifest: &Manifest, environment: Option<&Name>) -> bool {
        match (&self.environments, environment) {
            (Some(chosen), Some(environment)) => chosen.contains(environment),
            (Some(_), None) => false,
            (None, None) => true,
            (None, Some(environment)) => {
                let is_named =
                    manifest.environments.get(environment).is_some_and(|known| known.pattern.is_none());
                is_named || (!self.apart.contains(environment) && !is_from_pattern(manifest, environment))
            }
        }
    }

    /// Whether the run may change the key at this address.
    pub fn has(&self, manifest: &Manifest, address: &Address) -> bool {
        self.has_environment(manifest, address.environment.as_ref())
            && self.only.as_ref().is_none_or(|only| only.contains(address))
    }

    /// The accounts that a run has to observe: those where something selected is wanted, owned or begun.
    pub fn accounts(&self, manifest: &Manifest, states: &BTreeMap<Name, AccountState>) -> BTreeSet<Name> {
        let wanted =
            manifest.keys.values().filter(|key| self.has(manifest, &key.address)).map(|key| &key.account);
        let owned = states.values().filter(|state| {
            // What broke off is settled at other addresses, too.
            let mut begun = state.pending.values().map(|pending| &pending.address);
            state.keys.keys().any(|address| self.has(manifest, address))
                || begun.any(|address| self.has_environment(manifest, address.environment.as_ref()))
                || (self.environments.is_none() && !state.abandoned.is_empty())
        });
        let owned = owned
            .map(|state| &state.account)
            .filter(|account| manifest.accounts.contains_key(*account) || lets_go_of(manifest, account));
        wanted.chain(owned).cloned().collect()
    }
}

/// Whether a pattern of the manifest makes an environment of this name.
fn is_from_pattern(manifest: &Manifest, environment: &Name) -> bool {
    manifest.patterns.keys().any(|pattern| matches_pattern(pattern, environment.as_str()))
}

/// Whether an account that the manifest no longer has is let go of with all its keys.
fn lets_go_of(manifest: &Manifest, account: &Name) -> bool {
    manifest
        .removed
        .iter()
        .any(|removed| !removed.revoke && removed.what == RemovedWhat::Account(account.clone()))
}
