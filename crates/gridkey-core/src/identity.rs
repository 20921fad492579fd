//! Which account at SendGrid is meant: region, and on whose behalf.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;

/// Where an account's data lives; it selects the base URL.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// `https://api.sendgrid.com`
    #[default]
    Global,
    /// `https://api.eu.sendgrid.com`, for subusers pinned to the EU
    Eu,
}

impl Region {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Eu => "eu",
        }
    }
}

/// The value of the `On-Behalf-Of` header, by which a parent's key acts for another account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBehalfOf {
    /// A subuser of the parent, by user name.
    Subuser(String),
    /// A customer account of a reseller, by account id.
    AccountId(String),
}

impl fmt::Display for OnBehalfOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subuser(name) => f.pad(name),
            Self::AccountId(id) => f.pad(&format!("account-id {id}")),
        }
    }
}

/// What tells one account at SendGrid from another, as far as a manifest says it.
///
/// State keeps it: a manifest that gives the same account name to another account is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountIdentity {
    pub parent: Option<Name>,
    pub region: Region,
    pub on_behalf_of: Option<OnBehalfOf>,
}

impl fmt::Display for AccountIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parent, region, on_behalf_of } = self;
        let region = region.as_str();
        match (parent, on_behalf_of) {
            (Some(parent), Some(account)) => write!(f, "`{account}` of `{parent}` ({region})"),
            _ => write!(f, "an account of its own ({region})"),
        }
    }
}
