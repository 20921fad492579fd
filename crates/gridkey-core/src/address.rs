//! Addresses: the stable names of keys.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Name, NameError};

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
    #[error("`{segment}` in the address `{address}` is not a name")]
    Name { address: String, segment: String, source: NameError },
}

impl Address {
    pub fn key(key: Name) -> Self {
        Self { environment: None, account: None, key }
    }

    pub fn in_environment(environment: Name, key: Name) -> Self {
        Self { environment: Some(environment), account: None, key }
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

/// What a move's pattern makes of an address.
///
/// `*` stands for any run of characters without `/`; at the end, after a `/`, it stands for all that
/// follows. So `*` alone is every key without an environment, and `old/*` every key of the environment.
pub(crate) fn renamed(from: &str, to: &str, address: &Address) -> Option<Address> {
    let text = address.to_string();
    let Some((before, after)) = from.split_once('*') else {
        return (text == from).then(|| to.parse().ok()).flatten();
    };
    let middle = text.strip_prefix(before)?.strip_suffix(after)?;
    let whole_rest = before.ends_with('/') && after.is_empty();
    if middle.is_empty() || (middle.contains('/') && !whole_rest) {
        return None;
    }
    to.replacen('*', middle, 1).parse().ok()
}

/// Whether an address or a pattern of the same form covers an address.
pub(crate) fn covers(pattern: &str, address: &Address) -> bool {
    renamed(pattern, pattern, address).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_part_of_the_address_unless_it_ends_it() {
        let rename = |from: &str, to: &str, address: &str| {
            let address = address.parse().expect("an address");
            renamed(from, to, &address).map(|address| address.to_string())
        };
        for (from, to, address, expected) in [
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
            assert_eq!(rename(from, to, address).as_deref(), expected, "{from} {to} {address}");
        }
    }

    #[test]
    fn addresses_read_back_as_they_were_written() {
        for text in ["mailer", "prod/mailer", "tenants/team-a/mailer"] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(text.to_string()));
        }
        for bad in ["", "a//b", "a/b/c/d", "../prod", "a/b/"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
