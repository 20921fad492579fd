//! The grammar of names: of accounts, environments, keys, sinks and projects.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that a manifest may give to an account, environment, key, sink or project.
///
/// It matches `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`, so it can stand in a path, a DNS label and a
/// variable name without escaping, and can never climb out of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Name(
    #[schemars(with = "String", regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))] CompactString,
);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name cannot be empty")]
    Empty,
    #[error("a name has at most 63 characters")]
    TooLong,
    #[error("a name holds lower-case letters, digits and `-`, not `{0}`")]
    Character(char),
    #[error("a name starts and ends with a letter or digit, not `-`")]
    Hyphen,
}

impl Name {
    /// Parses a name, naming the first rule it breaks.
    ///
    /// # Errors
    /// One of [`NameError`]'s cases.
    pub fn new(text: impl Into<CompactString>) -> Result<Self, NameError> {
        let text = text.into();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return Err(NameError::Character(bad));
        }
        if text.len() > 63 {
            return Err(NameError::TooLong);
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(NameError::Hyphen);
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into_string()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "7", "acme-prod", &"a".repeat(63)] {
            assert_eq!(Name::new(good).map(|n| n.to_string()), Ok(good.to_string()));
        }
        for (bad, why) in [
            ("", NameError::Empty),
            ("-a", NameError::Hyphen),
            ("a-", NameError::Hyphen),
            ("../prod", NameError::Character('.')),
            ("Prod", NameError::Character('P')),
            (&"a".repeat(64), NameError::TooLong),
        ] {
            assert_eq!(Name::new(bad), Err(why), "{bad}");
        }
    }
}
