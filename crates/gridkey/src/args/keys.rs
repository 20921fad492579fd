//! Arguments that say which keys are meant, and what becomes of them.

use std::time::Duration;

use clap::{Args, ValueEnum};
use gridkey_core::plan::{Allow, RevokeOld};
use gridkey_core::{AddressPattern, Name};

use super::value::{duration, key_pattern};
use super::{Command, Confirmation};
use crate::choice::KeyChoice;

/// Whether a command that replaces or retires keys says which.
pub(super) fn names_keys(command: &Command, environment: bool) -> Result<(), &'static str> {
    match command {
        Command::Rotate(RotateArguments { addresses, filter, due: false, .. })
            if addresses.is_empty() && filter.is_empty() && !environment =>
        {
            Err(
                "say which keys: addresses, patterns such as 'prod/*', --env, --account, --owner, or --due for those that \
                 have come due",
            )
        }
        Command::Retire(RetireArguments { addresses, filter, .. })
            if addresses.is_empty() && filter.is_empty() && !environment =>
        {
            Err("say which keys: addresses, patterns such as 'prod/*', --env, --account or --owner")
        }
        _ => Ok(()),
    }
}

#[derive(Clone, Debug, Args)]
pub struct Narrowing {
    /// Let a finding pass this once
    #[arg(long, value_name = "CODE[:ADDRESS]")]
    pub allow: Vec<Allow>,

    /// Only the key at this address, or those that a pattern such as `prod/*` matches (repeatable)
    #[arg(long, alias = "target", value_name = "ADDRESS", value_parser = key_pattern)]
    pub only: Vec<AddressPattern>,

    #[command(flatten)]
    pub filter: KeyFilter,
}

impl Narrowing {
    pub fn keys(&self) -> KeyChoice {
        KeyChoice::new(&self.only, &self.filter)
    }
}

/// Which keys are meant, by what they have in common.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyFilter {
    /// Only keys of this account (repeatable)
    #[arg(long = "account", value_name = "NAME")]
    pub accounts: Vec<Name>,

    /// Only keys of this owner (repeatable)
    #[arg(long = "owner", value_name = "OWNER")]
    pub owners: Vec<String>,
}

impl KeyFilter {
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.owners.is_empty()
    }

    /// What it asks for, as in "a key that is in account `a` and of owner `b`".
    pub fn words(&self) -> String {
        let listed = |all: Vec<String>| all.join(" or ");
        let accounts = self.accounts.iter().map(|account| format!("in account `{account}`")).collect();
        let owners = self.owners.iter().map(|owner| format!("of owner `{owner}`")).collect();
        let parts: Vec<String> =
            [listed(accounts), listed(owners)].into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(" and ")
    }
}

#[derive(Debug, Args)]
pub struct RotateArguments {
    /// The keys to replace: addresses, or patterns such as `prod/*`
    #[arg(value_name = "ADDRESS", conflicts_with = "due", value_parser = key_pattern)]
    pub addresses: Vec<AddressPattern>,

    #[command(flatten)]
    pub filter: KeyFilter,

    /// What has come due, as in a nightly job: rotations, retirements, and environments past their ttl
    #[arg(long)]
    pub due: bool,

    /// What becomes of the older key
    #[arg(long, value_enum, default_value_t, conflicts_with = "due")]
    pub revoke_old: RevokeOldChoice,

    #[command(flatten)]
    pub confirm: Confirmation,
}

/// What becomes of the key that a new one replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RevokeOldChoice {
    /// Revoke it as soon as the new one is delivered
    Now,
    /// Revoke it once the overlap has passed
    #[default]
    AfterOverlap,
    /// Keep it until `gridkey retire` says otherwise
    Hold,
}

impl From<RevokeOldChoice> for RevokeOld {
    fn from(choice: RevokeOldChoice) -> Self {
        match choice {
            RevokeOldChoice::Now => Self::Now,
            RevokeOldChoice::AfterOverlap => Self::AfterOverlap,
            RevokeOldChoice::Hold => Self::Hold,
        }
    }
}

#[derive(Debug, Args)]
pub struct RetireArguments {
    /// The addresses whose older keys are meant, or patterns such as `prod/*`
    #[arg(value_name = "ADDRESS", value_parser = key_pattern)]
    pub addresses: Vec<AddressPattern>,

    #[command(flatten)]
    pub filter: KeyFilter,

    #[command(flatten)]
    pub what: RetireWhat,

    #[command(flatten)]
    pub confirm: Confirmation,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RetireWhat {
    /// Revoke them now
    #[arg(long)]
    pub now: bool,

    /// Let them go on working for this long from now
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub hold: Option<Duration>,
}
