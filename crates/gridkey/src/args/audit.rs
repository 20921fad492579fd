//! Arguments of `audit`.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use gridkey_core::Name;
use gridkey_core::audit::{Concern, Level};

use super::value::duration;

#[derive(Debug, Args)]
pub struct AuditArguments {
    #[arg(long, value_enum, default_value_t)]
    pub format: AuditFormat,

    /// Short for `--format json`
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    /// Only keys of this account (repeatable)
    #[arg(long, value_name = "NAME")]
    pub account: Vec<Name>,

    /// Only keys of this owner (repeatable)
    #[arg(long, value_name = "OWNER")]
    pub owner: Vec<String>,

    /// Only keys that hold this scope, or one that a pattern such as `mail.*` matches (repeatable)
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,

    /// Only keys that are older than this, such as 90d, and those whose age is not known
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub older_than: Option<Duration>,

    /// Only keys with this concern, or of this risk and worse (repeatable)
    #[arg(long, value_name = "CONCERN|RISK", value_delimiter = ',')]
    pub concern: Vec<FailOn>,

    /// Exit with 3 where a key that is shown has this concern, or is of this risk or worse (repeatable)
    #[arg(long, value_name = "CONCERN|RISK", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,

    /// Leave the sinks alone
    #[arg(long)]
    pub no_sinks: bool,
}

impl AuditArguments {
    pub fn format(&self) -> AuditFormat {
        if self.json { AuditFormat::Json } else { self.format }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    #[default]
    Text,
    Json,
    /// A line for each key
    Csv,
    /// One self-contained page
    Html,
}

/// A concern, or a risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    Level(Level),
    Concern(Concern),
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = Level::ALL.into_iter().find(|level| *level != Level::None && level.as_str() == text);
        let concern = Concern::ALL.into_iter().find(|concern| concern.as_str() == text);
        level.map(Self::Level).or(concern.map(Self::Concern)).ok_or_else(|| {
            let known: Vec<&str> = Concern::ALL.iter().map(|concern| concern.as_str()).collect();
            format!("it is `high`, `medium`, `low`, or one of {}", known.join(", "))
        })
    }
}
