//! Policy: rules over plans, from a manifest or from a file of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Scope;
use crate::address::Address;
use crate::catalogue::Catalogue;
use crate::name::Name;
use crate::sink::{SinkKind, SinkLocation};
use crate::text::pattern::matches_pattern;
use crate::text::source::{Position, SourceDigest};

/// Rules over plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether keys may have Full Access.
    pub full_access: Rule<Verdict>,
    /// What happens to an owned key that is gone from its account.
    pub vanished: Rule<Vanished>,
    pub max_deletions: Rule<Share>,
    pub max_rotations: Rule<Share>,
    pub max_recreations: Rule<Share>,
    /// Scopes that no key may have.
    pub forbid_scopes: Rule<Vec<ForbiddenScope>>,
    /// How old a key may get.
    pub require_rotation: Rule<RequiredRotation>,
    /// Sinks of which every key needs each.
    pub require_sink: Rule<BTreeSet<RequiredSink>>,
    pub require_owner: Rule<bool>,
    /// What names of keys at SendGrid look like, with `*` for any characters.
    pub name_pattern: Rule<String>,
    /// Live keys that no state owns.
    pub foreign: Rule<Foreign>,
    pub allow: Vec<Allowance>,
    /// Commands that a manifest may run; `None` allows all.
    pub allow_commands: Option<Vec<String>>,
    /// Servers that a manifest may talk to; `None` allows all.
    pub allow_endpoints: Option<Vec<String>>,
}

impl Policy {
    /// The places of rules that go by account, each with the rule.
    pub(crate) fn selectors_of_accounts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        const BY_ACCOUNT: [&str; 4] = ["max_deletions", "max_rotations", "max_recreations", "foreign"];
        self.selectors().filter(|(rule, _)| BY_ACCOUNT.contains(rule))
    }

    /// The places that rules make exceptions for, each with the rule.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self {
            full_access,
            vanished,
            max_deletions,
            max_rotations,
            max_recreations,
            forbid_scopes,
            require_rotation,
            require_sink,
            require_owner,
            name_pattern,
            foreign,
            allow: _,
            allow_commands: _,
            allow_endpoints: _,
        } = self;
        fn of<'r, T>(
            name: &'static str,
            rule: &'r Rule<T>,
        ) -> impl Iterator<Item = (&'static str, &'r str)> + use<'r, T> {
            rule.exceptions.keys().map(move |selector| (name, selector.as_str()))
        }
        of("full_access", full_access)
            .chain(of("vanished", vanished))
            .chain(of("max_deletions", max_deletions))
            .chain(of("max_rotations", max_rotations))
            .chain(of("max_recreations", max_recreations))
            .chain(of("forbid_scopes", forbid_scopes))
            .chain(of("require_rotation", require_rotation))
            .chain(of("require_sink", require_sink))
            .chain(of("require_owner", require_owner))
            .chain(of("name_pattern", name_pattern))
            .chain(of("foreign", foreign))
    }
}

/// The rules of `--policy FILE`, which a manifest cannot loosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    pub policy: Policy,
    pub source: SourceDigest,
}

/// What a rule says, by default and by place; the most exact selector wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    /// `None` where the policy does not say.
    pub default: Option<T>,
    /// By address, environment, account, or pattern of an address.
    pub exceptions: BTreeMap<String, T>,
}

impl<T> Default for Rule<T> {
    fn default() -> Self {
        Self { default: None, exceptions: BTreeMap::new() }
    }
}

impl<T> Rule<T> {
    /// What holds for a key.
    pub fn of_key(&self, address: &Address, account: &Name) -> Option<&T> {
        if self.exceptions.is_empty() {
            return self.default.as_ref();
        }
        let text = address.to_string();
        let by_pattern = || {
            let matching = self.exceptions.iter().filter(|(pattern, _)| matches_pattern(pattern, &text));
            matching.max_by_key(|(pattern, _)| pattern.len()).map(|(_, value)| value)
        };
        let by_environment = || self.exceptions.get(address.environment.as_ref()?.as_str());
        self.exceptions
            .get(&text)
            .or_else(by_pattern)
            .or_else(by_environment)
            .or_else(|| self.of_account(account))
    }

    /// What holds for an account as a whole.
    pub fn of_account(&self, account: &Name) -> Option<&T> {
        self.exceptions.get(account.as_str()).or(self.default.as_ref())
    }
}

/// What a rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Allow,
    #[default]
    Warn,
    Deny,
}

/// What happens to an owned key that is gone from its account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vanished {
    /// It is made again.
    #[default]
    Recreate,
    /// The plan is blocked.
    Block,
}

/// How many changes of a kind one run may make: a share of the account's owned keys, and a number that
/// is allowed whatever the share comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// In percent, 0 to 100.
    pub percent: u8,
    pub at_least: u32,
}

impl Default for Share {
    /// 30 % and at least 3: a small account can be reworked, a large one not by accident.
    fn default() -> Self {
        Self { percent: 30, at_least: 3 }
    }
}

/// A scope, or a pattern of scopes, that keys may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenScope(pub String);

impl ForbiddenScope {
    /// Whether it covers a scope. What is under a prefix depends on the text alone, so that a scope newer than the
    /// catalogue is forbidden too.
    pub fn covers(&self, scope: &Scope) -> bool {
        let under = |prefix: &str| {
            let rest = scope.as_str().strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        match self.0.strip_suffix(".*").or_else(|| self.0.strip_suffix(":full")) {
            Some(prefix) => under(prefix),
            None if Catalogue::is_pattern(&self.0) => {
                Catalogue::builtin().expand(&self.0).is_ok_and(|scopes| scopes.contains(scope))
            }
            None => self.0 == scope.as_str(),
        }
    }
}

/// A sink that keys need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequiredSink {
    /// The sink of this name in the manifest. The rules of a policy file name none: the manifest's author chooses
    /// what a name stands for.
    Name(Name),
    /// Any sink of a kind.
    Kind(SinkKind),
}

impl RequiredSink {
    /// What stands before a kind, which could be the name of a sink as well.
    pub(crate) const KIND: &str = "kind:";

    /// Whether a secret that goes to this place goes where it must.
    pub fn is_met_by(&self, location: &SinkLocation) -> bool {
        match self {
            Self::Name(name) => location.sink == *name,
            Self::Kind(kind) => location.at.kind() == *kind,
        }
    }
}

impl fmt::Display for RequiredSink {
    /// As a policy writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name.as_str()),
            Self::Kind(kind) => f.pad(&format!("{}{kind}", Self::KIND)),
        }
    }
}

/// How old a key may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredRotation {
    NotRequired,
    /// It is rotated at least so often.
    Every(Duration),
}

/// What is said about live keys that no state owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Ids or names, with `*` for any characters.
    pub known: Vec<String>,
    pub others: Verdict,
}

/// A finding that is allowed, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub code: String,
    pub address: Option<Address>,
    pub reason: String,
    /// The last day on which it holds.
    pub until: Option<Date>,
    pub position: Position,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    #[test]
    fn the_most_exact_selector_wins() {
        let exceptions = [("prod/a", 1), ("prod/*", 2), ("*", 3), ("prod", 4), ("acme", 5)];
        let mut rule = Rule {
            default: Some(0),
            exceptions: exceptions
                .into_iter()
                .map(|(selector, value)| (selector.to_string(), value))
                .collect(),
        };
        let acme = Name::new("acme").expect("a name");
        for (selector, value) in exceptions {
            assert_eq!(rule.of_key(&address("prod/a"), &acme), Some(&value), "{selector}");
            rule.exceptions.remove(selector);
        }
        assert_eq!(rule.of_key(&address("prod/a"), &acme), Some(&0));
        assert_eq!(Rule::<u8>::default().of_key(&address("prod/a"), &acme), None);
    }

    #[test]
    fn forbidden_scopes_cover_what_is_newer_than_the_catalogue() {
        for (forbidden, scope, covers) in [
            ("api_keys.*", "api_keys.create", true),
            ("api_keys.*", "api_keys.rotate_everything", true),
            ("api_keys.*", "api_keys", true),
            ("api_keys.*", "api_keys_other.create", false),
            ("billing.*", "billing.read", true),
            ("mail.send", "mail.send", true),
            ("mail.send", "mail.batch.create", false),
            ("templates:read", "templates.read", true),
            ("templates:read", "templates.create", false),
            ("templates:full", "templates.create", true),
            ("all:read", "stats.read", true),
        ] {
            assert_eq!(
                ForbiddenScope(forbidden.into()).covers(&Scope::new(scope)),
                covers,
                "{forbidden} {scope}"
            );
        }
    }
}
