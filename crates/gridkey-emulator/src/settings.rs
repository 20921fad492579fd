//! Switches: what differs from account to account, and what nobody knows of the real service.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::FaultRule;
use crate::rate::RateLimit;

/// How this SendGrid behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many keys an account holds. SendGrid documents 100.
    pub key_limit: usize,
    /// Scopes that SendGrid puts on every key by itself; reported by users on reads, not on creation.
    pub automatic_scopes: BTreeSet<String>,
    /// Scopes that it accepts and does not hold.
    pub dropped_scopes: BTreeSet<String>,
    /// Scopes that managing keys do not have, and so cannot grant.
    pub ungrantable_scopes: BTreeSet<String>,
    /// Whether billing keys can be made through the API. Unknown of the real service.
    pub billing_keys: bool,
    /// Answer 400 with a reason, as the teammates API does, instead of the 500 that users report.
    pub strict_scopes: bool,
    pub empty_scopes: EmptyScopes,
    pub unknown_subuser: UnknownSubuser,
    /// Ignore `on-behalf-of` in any other spelling than `On-Behalf-Of`, as a support case of 2018 reports.
    pub title_case_only: bool,
    /// Answer 200 with errors where there is no such key, as a provider of 2020 reports.
    pub not_found_is_200: bool,
    /// How many characters of a name are kept; `None` for all of them. Unknown of the real service.
    pub name_length: Option<usize>,
    /// How many subusers a page of their list has at most, whatever is asked for. Unknown of the real service.
    pub subuser_page: usize,
    /// Subusers that are pinned to the EU.
    pub eu_subusers: BTreeSet<String>,
    /// Whether names are stored with `&`, `<`, `>` and quotes written as HTML does. Unknown of the real service.
    pub names_as_html: bool,
    /// Whether a key that is made without scopes gets no more than the key that made it. Unknown of the real service.
    pub full_access_is_inherited: bool,
    /// Reads trail writes by this long.
    pub read_lag: Duration,
    /// A new key works, and a revoked one stops working, only after this long.
    pub propagation: Duration,
    /// Limits over all endpoints; each endpoint of an account counts by itself.
    pub rate_limit: RateLimit,
    /// A tighter limit for creations and revocations together.
    pub write_rate_limit: Option<RateLimit>,
    /// Leave the `X-RateLimit-*` headers out of a 429.
    pub bare_429: bool,
    pub faults: Vec<FaultRule>,
    /// Keep every secret ever made in memory, so that a test can look for leaks. Never stored.
    #[serde(skip)]
    pub remember_secrets: bool,
}

/// What `"scopes": []` does; unknown of the real service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyScopes {
    /// The trap: a new key gets Full Access.
    #[default]
    FullAccess,
    Refused,
}

/// What happens on behalf of an account that is not there; unknown of the real service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownSubuser {
    /// 403 `access forbidden`.
    #[default]
    Forbidden,
    /// The parent answers, silently.
    Parent,
}

impl Default for Settings {
    fn default() -> Self {
        let scopes = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Self {
            key_limit: 100,
            automatic_scopes: scopes(&["2fa_required", "sender_verification_eligible"]),
            dropped_scopes: BTreeSet::new(),
            ungrantable_scopes: BTreeSet::new(),
            billing_keys: true,
            strict_scopes: false,
            empty_scopes: EmptyScopes::default(),
            unknown_subuser: UnknownSubuser::default(),
            title_case_only: true,
            not_found_is_200: false,
            name_length: None,
            subuser_page: 500,
            eu_subusers: BTreeSet::new(),
            names_as_html: false,
            full_access_is_inherited: false,
            read_lag: Duration::ZERO,
            propagation: Duration::ZERO,
            rate_limit: RateLimit { requests: 600, seconds: 60 },
            write_rate_limit: None,
            bare_429: false,
            faults: Vec::new(),
            remember_secrets: false,
        }
    }
}
