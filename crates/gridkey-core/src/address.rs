//! Addresses: the stable names of keys.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Name, NameError};
use crate::text::pattern::matches_pattern;

/// A key's stable name, `[environment/][account/]key`.
///
/// The account stands in it only where an environment fans out over several accounts, so three
/// segments are environment, account and key, and two are environment and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Address {
    pub environment: Option<Name>,
    pub account: Option<Name>,
    pub key: Name,
}

/// Why a text is not an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("an address is `key`, `environment/key` or `environment/account/key`, not `{0}`")]
    Segments(String),
    #[error("`{segment}` in the address `{address}` is not a name{}", star(segment))]
    Name { address: String, segment: String, source: NameError },
}

impl Address {
    pub fn key(key: Name) -> Self {
        Self { environment: None, account: None, key }
    }

    /// The name a key has at SendGrid where the manifest gives none: `/` becomes `-`.
    pub fn default_key_name(&self) -> String {
        self.to_string().replace('/', "-")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for part in [&self.environment, &self.account].into_iter().flatten() {
            text.push_str(part.as_str());
            text.push('/');
        }
        text.push_str(self.key.as_str());
        f.pad(&text)
    }
}

/// A pattern where one address is meant.
fn star(segment: &str) -> &'static str {
    if segment.contains('*') { ": patterns are not taken here, so name each address" } else { "" }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let name = |segment: &str| {
            Name::new(segment).map_err(|source| AddressError::Name {
                address: text.to_string(),
                segment: segment.to_string(),
                source,
            })
        };
        match text.split('/').collect::<Vec<_>>()[..] {
            [key] => Ok(Self { environment: None, account: None, key: name(key)? }),
            [environment, key] => {
                Ok(Self { environment: Some(name(environment)?), account: None, key: name(key)? })
            }
            [environment, account, key] => Ok(Self {
                environment: Some(name(environment)?),
                account: Some(name(account)?),
                key: name(key)?,
            }),
            _ => Err(AddressError::Segments(text.to_string())),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// An address, or a pattern of addresses with `*`, as entries of `moved` and `removed` have them.
///
/// *Guarantees:* at least one address matches, as it has at most three parts, none of them empty, and each of
/// characters that a name can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressPattern(String);

/// Why no address can match a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressPatternError {
    #[error("it has more than three parts")]
    Parts,
    #[error(transparent)]
    Name(#[from] NameError),
}

impl AddressPattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many `*` it has.
    pub fn stars(&self) -> usize {
        self.0.matches('*').count()
    }

    /// The one address that it stands for, where it has no `*`.
    pub fn exact(&self) -> Option<Address> {
        self.0.parse().ok()
    }

    /// Whether it stands for an address, as the patterns of policies do: `*` is any run of characters, `/` too.
    pub fn matches(&self, address: &Address) -> bool {
        matches_pattern(&self.0, &address.to_string())
    }

    /// Whether it stands for an address as the `from` of a move, where `*` is what it is for [`Self::renamed`].
    pub fn moves(&self, address: &Address) -> bool {
        self.taken_by_star(address).is_some()
    }

    /// What a move from this pattern to another makes of an address. Each of the two has one `*` at most.
    ///
    /// `*` stands for any run of characters without `/`; at the end, after a `/`, it stands for all that
    /// follows. So `*` alone is every key without an environment, and `old/*` every key of the environment.
    /// `None` where the address is not moved, and where it would become a text that is not an address: more than
    /// three parts, or a name that is too long.
    pub fn renamed(&self, to: &Self, address: &Address) -> Option<Address> {
        let star = self.taken_by_star(address)?;
        to.0.replacen('*', &star, 1).parse().ok()
    }

    /// What the star of a move's `from` stands for in an address; empty where there is no star.
    fn taken_by_star(&self, address: &Address) -> Option<String> {
        let text = address.to_string();
        let Some((before, after)) = self.0.split_once('*') else {
            return (text == self.0).then(String::new);
        };
        let middle = text.strip_prefix(before)?.strip_suffix(after)?;
        let whole_rest = before.ends_with('/') && after.is_empty();
        let fits = !middle.is_empty() && (whole_rest || !middle.contains('/'));
        fits.then(|| middle.to_string())
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for AddressPattern {
    type Err = AddressPatternError;

    /// Judged by an address that it would match: the one in which each `*` is an `x`.
    fn from_str(text: &str) -> Result<Self, AddressPatternError> {
        let mut parts = 0;
        for part in text.split('/') {
            Name::new(part.replace('*', "x"))?;
            parts += 1;
        }
        if parts > 3 {
            return Err(AddressPatternError::Parts);
        }
        Ok(Self(text.to_string()))
    }
}

impl From<Address> for AddressPattern {
    fn from(address: Address) -> Self {
        Self(address.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_were_written() {
        for text in ["mailer", "prod/mailer", "tenants/team-a/mailer"] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(text.to_string()));
        }
        for bad in ["", "a//b", "a/b/c/d", "../prod", "a/b/"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    fn pattern(text: &str) -> AddressPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    #[test]
    fn a_pattern_that_no_address_can_match_is_refused() {
        for bad in
            ["", "a/b/c/d", "*/*/*/*", "a//b", "/a", "a/", "Prod/*", "prod/my_key", "-*", "*-/a", "a b"]
        {
            assert!(bad.parse::<AddressPattern>().is_err(), "{bad}");
        }
        for good in ["*", "prod/*", "*/legacy-*", "a*b/*/c", "prod/mailer"] {
            assert!(pattern(good).matches(&address(&good.replace('*', "x"))), "{good}");
        }
    }

    #[test]
    fn a_star_of_a_removal_is_any_run_of_characters() {
        for (text, of, expected) in [
            ("*", "mailer", true),
            ("*", "tenants/team-a/mailer", true),
            ("*/legacy-*", "prod/legacy-mail", true),
            ("*/legacy-*", "tenants/team-a/legacy-mail", true),
            ("*/legacy-*", "legacy-mail", false),
            ("prod/*", "prod/mailer", true),
            ("prod/*", "prod-eu/mailer", false),
            ("prod/mailer", "prod/mailer", true),
            ("prod/mailer", "prod/mailer-2", false),
        ] {
            assert_eq!(pattern(text).matches(&address(of)), expected, "{text} {of}");
        }
    }

    #[test]
    fn a_star_of_a_move_stays_within_a_part_of_the_address_unless_it_ends_it() {
        for (from, to, of, expected) in [
            ("*", "prod/*", "mailer", Some("prod/mailer")),
            ("*", "prod/*", "prod/mailer", None),
            ("old/*", "prod/*", "old/mailer", Some("prod/mailer")),
            ("old/*", "new/*", "old/team-a/mailer", Some("new/team-a/mailer")),
            ("prod/*-key", "prod/*", "prod/mailer-key", Some("prod/mailer")),
            ("*/mail", "*/mailer", "prod/mail", Some("prod/mailer")),
            ("*/mail", "*/mailer", "tenants/team-a/mail", None),
            ("prod/mail", "prod/mailer", "prod/mail", Some("prod/mailer")),
            ("prod/mail", "prod/mailer", "prod/mails", None),
            ("old/*", "prod/*", "older/mailer", None),
        ] {
            let renamed = pattern(from).renamed(&pattern(to), &address(of));
            assert_eq!(renamed.map(|address| address.to_string()).as_deref(), expected, "{from} {to} {of}");
        }
        let (from, to) = (pattern("old/*"), pattern("a/b/*"));
        assert!(from.moves(&address("old/team-a/mailer")), "it is moved, and to no address");
        assert_eq!(from.renamed(&to, &address("old/team-a/mailer")), None);
    }
}
