//! Findings: what a plan has to say that is not a change. They are data, collected and not thrown.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::address::{Address, AddressError};
use crate::name::Name;
use crate::text::source::Position;

/// Something that a plan has to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub severity: Severity,
    pub code: Code,
    pub account: Option<Name>,
    pub address: Option<Address>,
    /// What was found, with its numbers; one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where the manifest is concerned.
    pub position: Option<Position>,
}

impl Finding {
    /// A finding that blocks the plan.
    pub(crate) fn blocks(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: Severity::Blocks,
            code,
            account: None,
            address: None,
            message: message.into(),
            help: Some(help.into()),
            position: None,
        }
    }

    /// A finding that blocks nothing.
    pub(crate) fn warns(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warns, ..Self::blocks(code, message, help) }
    }

    pub(crate) fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    pub(crate) fn in_account(self, account: &Name) -> Self {
        Self { account: Some(account.clone()), ..self }
    }

    pub(crate) fn at_address(self, address: &Address) -> Self {
        Self { address: Some(address.clone()), ..self }
    }

    pub(crate) fn at_position(self, position: Option<&Position>) -> Self {
        Self { position: position.cloned(), ..self }
    }

    /// Whether it stops something.
    pub fn is_blocking(&self) -> bool {
        match self.severity {
            Severity::Blocks | Severity::BlocksAccount => true,
            Severity::Allowed | Severity::Warns => false,
        }
    }
}

/// What a finding does to a plan; the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing of the plan is carried out.
    Blocks,
    /// Nothing of the plan is carried out in this account; other accounts go on.
    BlocksAccount,
    /// It would block, and was allowed this once or by the manifest.
    Allowed,
    Warns,
}

/// What kind of finding it is.
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
pub enum Code {
    AccountChanges,
    AccountIdentity,
    AccountLeft,
    AccountMismatch,
    AccountUnreadable,
    AllowanceEnded,
    Capacity,
    DeletionsFirst,
    CommandNotAllowed,
    EndpointNotAllowed,
    EntryUnmatched,
    EnvironmentLeft,
    EphemeralState,
    ForbiddenScope,
    ForeignKey,
    ForeignValue,
    FullAccess,
    HookDue,
    ImportAmbiguous,
    ImportMismatch,
    ImportNotFound,
    ImportOwned,
    KeyManagement,
    LocationTaken,
    LooksRenamed,
    ManagingKey,
    MaxDeletions,
    MaxKeys,
    MaxRecreations,
    MaxRotations,
    MissingOwner,
    MissingRotation,
    MissingSink,
    ModeChanges,
    MoveCycle,
    MoveLeft,
    MoveTaken,
    NamePattern,
    NoSink,
    NotChecked,
    NotSupported,
    NothingRetires,
    OverlapShort,
    Protected,
    RecoverWaits,
    RetirementOverdue,
    RetiringKeyChanged,
    RotationDue,
    RotationPostponed,
    SecretUnknown,
    SettleFirst,
    SinkMismatch,
    SinkUnreadable,
    SinkUnwritable,
    UncertainKey,
    UngrantableScope,
    UnknownPlace,
    UnknownScope,
    UnprovenDelivery,
    ValueEnds,
    Vanished,
    WildcardWrite,
    WrittenInPlace,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether a person may let it pass. The others state that gridkey cannot do, or cannot know, what
    /// it would need to.
    pub fn is_allowable(self) -> bool {
        match self {
            Self::AccountMismatch
            | Self::EphemeralState
            | Self::ForbiddenScope
            | Self::ForeignKey
            | Self::ForeignValue
            | Self::FullAccess
            | Self::MaxDeletions
            | Self::MaxKeys
            | Self::MaxRecreations
            | Self::MaxRotations
            | Self::MissingOwner
            | Self::MissingRotation
            | Self::MissingSink
            | Self::NamePattern
            | Self::SinkMismatch
            | Self::UncertainKey
            | Self::UngrantableScope
            | Self::UnknownScope
            | Self::Vanished => true,
            Self::AccountChanges
            | Self::AccountIdentity
            | Self::AccountLeft
            | Self::AccountUnreadable
            | Self::AllowanceEnded
            | Self::Capacity
            | Self::CommandNotAllowed
            | Self::EndpointNotAllowed
            | Self::HookDue
            | Self::ImportAmbiguous
            | Self::ImportMismatch
            | Self::ImportNotFound
            | Self::ImportOwned
            | Self::KeyManagement
            | Self::DeletionsFirst
            | Self::EntryUnmatched
            | Self::EnvironmentLeft
            | Self::LocationTaken
            | Self::LooksRenamed
            | Self::ModeChanges
            | Self::MoveCycle
            | Self::MoveLeft
            | Self::RetiringKeyChanged
            | Self::ManagingKey
            | Self::MoveTaken
            | Self::NoSink
            | Self::NotChecked
            | Self::NotSupported
            | Self::NothingRetires
            | Self::OverlapShort
            | Self::Protected
            | Self::RecoverWaits
            | Self::RetirementOverdue
            | Self::RotationDue
            | Self::RotationPostponed
            | Self::SecretUnknown
            | Self::SettleFirst
            | Self::SinkUnreadable
            | Self::SinkUnwritable
            | Self::UnknownPlace
            | Self::UnprovenDelivery
            | Self::ValueEnds
            | Self::WildcardWrite
            | Self::WrittenInPlace => false,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `--allow CODE[:ADDRESS]`: a finding that a person lets pass this once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Allow {
    pub code: Code,
    pub address: Option<Address>,
}

/// Why a text is not an [`Allow`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    #[error("there is no finding `{0}`; the codes are {known}", known = allowable_codes())]
    Unknown(String),
    #[error("`{0}` cannot be allowed; the codes that can are {known}", known = allowable_codes())]
    NotAllowable(Code),
    #[error("the address behind `{0}:` is not one")]
    Address(Code, #[source] AddressError),
}

fn allowable_codes() -> String {
    let codes: BTreeSet<_> =
        Code::VARIANTS.iter().copied().filter(|code| code.is_allowable()).map(Code::as_str).collect();
    codes.into_iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ")
}

impl FromStr for Allow {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        let (code, address) = match text.split_once(':') {
            Some((code, address)) => (code, Some(address)),
            None => (text, None),
        };
        let code = Code::VARIANTS
            .iter()
            .copied()
            .find(|known| known.as_str() == code)
            .ok_or_else(|| AllowError::Unknown(code.to_string()))?;
        if !code.is_allowable() {
            return Err(AllowError::NotAllowable(code));
        }
        let address =
            address.map(str::parse).transpose().map_err(|source| AllowError::Address(code, source))?;
        Ok(Self { code, address })
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(address) => write!(f, "{}:{address}", self.code),
            None => self.code.fmt(f),
        }
    }
}

impl TryFrom<String> for Allow {
    type Error = AllowError;

    fn try_from(text: String) -> Result<Self, AllowError> {
        text.parse()
    }
}

impl From<Allow> for String {
    fn from(allow: Allow) -> Self {
        allow.to_string()
    }
}

impl Allow {
    /// Whether it lets this finding pass: the same code, and the same address where one was named.
    pub fn is_about(&self, code: Code, address: Option<&Address>) -> bool {
        self.code == code && (self.address.is_none() || self.address.as_ref() == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_json_writes_them() {
        for code in Code::VARIANTS.iter().copied() {
            assert_eq!(serde_json::to_value(code).expect("plain data"), code.as_str());
        }
    }

    #[test]
    fn only_allowable_codes_are_allowed() {
        assert!("max_deletions".parse::<Allow>().is_ok());
        let allow: Allow = "foreign_value:prod/mailer".parse().expect("a code and an address");
        assert!(allow.is_about(Code::ForeignValue, Some(&"prod/mailer".parse().expect("an address"))));
        assert!(!allow.is_about(Code::ForeignValue, Some(&"prod/other".parse().expect("an address"))));
        assert_eq!("managing_key".parse::<Allow>(), Err(AllowError::NotAllowable(Code::ManagingKey)));
        assert!(matches!("no_such".parse::<Allow>(), Err(AllowError::Unknown(_))));
        assert!(matches!("vanished:../x".parse::<Allow>(), Err(AllowError::Address(..))));
    }
}
