//! What a key may do: scopes, sets of them that cannot be empty, and the three kinds of access.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One permission at SendGrid, such as `mail.send`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Scope(#[schemars(with = "String")] CompactString);

impl Scope {
    pub fn new(text: impl Into<CompactString>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a key with this scope can make, change or revoke keys.
    pub fn manages_keys(&self) -> bool {
        self.0.strip_prefix("api_keys.").is_some_and(|rest| rest != "read")
    }

    /// Whether what it lets a key do is named as reading.
    pub fn only_reads(&self) -> bool {
        self.0 == "read" || self.0.ends_with(".read")
    }

    /// Whether SendGrid puts this scope on keys by itself.
    ///
    /// Users report `2fa_required` and `sender_verification_*` on keys that never asked for them, and
    /// refusals where they are sent back; so they are never sent and never compared.
    pub fn is_automatic(&self) -> bool {
        matches!(self.as_str(), "2fa_required" | "2fa_exempt") || self.0.starts_with("sender_verification_")
    }

    /// Whether only a billing key may hold this scope (SendGrid's authorization page: billing
    /// permissions or any others, never both).
    pub fn is_billing(&self) -> bool {
        self.0 == "billing" || self.0.starts_with("billing.")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for Scope {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A set of scopes that holds at least one.
///
/// An empty list sent to SendGrid can mean Full Access, so it cannot be written down here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeSet<Scope>", into = "BTreeSet<Scope>")]
pub struct Scopes(#[schemars(with = "BTreeSet<Scope>")] Arc<BTreeSet<Scope>>);

/// The set of scopes was empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a set of scopes holds at least one scope")]
pub struct NoScopes;

impl Scopes {
    /// # Errors
    /// [`NoScopes`] where the set is empty.
    pub fn new(scopes: BTreeSet<Scope>) -> Result<Self, NoScopes> {
        if scopes.is_empty() { Err(NoScopes) } else { Ok(Self(Arc::new(scopes))) }
    }

    pub fn as_set(&self) -> &BTreeSet<Scope> {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl TryFrom<BTreeSet<Scope>> for Scopes {
    type Error = NoScopes;
    fn try_from(scopes: BTreeSet<Scope>) -> Result<Self, NoScopes> {
        Self::new(scopes)
    }
}

impl From<Scopes> for BTreeSet<Scope> {
    fn from(scopes: Scopes) -> Self {
        Arc::unwrap_or_clone(scopes.0)
    }
}

/// What a key may do.
///
/// Full Access is a variant of its own: SendGrid gives it to a creation that leaves `scopes` out, and
/// what it covers changes with the account, so it is never compared by scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    Full,
    Restricted(Scopes),
    Billing(Scopes),
}

/// The kinds of [`Access`], without the scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessKind {
    Full,
    Restricted,
    Billing,
}

impl Access {
    pub fn kind(&self) -> AccessKind {
        match self {
            Self::Full => AccessKind::Full,
            Self::Restricted(_) => AccessKind::Restricted,
            Self::Billing(_) => AccessKind::Billing,
        }
    }

    /// The scopes, where there is a list of them.
    pub fn scopes(&self) -> Option<&Scopes> {
        match self {
            Self::Full => None,
            Self::Restricted(scopes) | Self::Billing(scopes) => Some(scopes),
        }
    }
}

impl AccessKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Restricted => "restricted",
            Self::Billing => "billing",
        }
    }
}

impl fmt::Display for AccessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_set_of_scopes_cannot_be_read() {
        assert_eq!(Scopes::new(BTreeSet::new()), Err(NoScopes));
        assert!(serde_json::from_str::<Scopes>("[]").is_err());
    }

    #[test]
    fn access_is_written_by_its_kind() {
        let scopes = Scopes::new([Scope::new("mail.send")].into()).expect("one scope");
        let json = serde_json::to_string(&Access::Restricted(scopes)).expect("plain data");
        assert_eq!(json, r#"{"restricted":["mail.send"]}"#);
        assert_eq!(serde_json::to_string(&Access::Full).expect("plain data"), r#""full""#);
    }

    #[test]
    fn scopes_that_sendgrid_adds_by_itself_are_known() {
        for automatic in ["2fa_required", "2fa_exempt", "sender_verification_eligible"] {
            assert!(Scope::new(automatic).is_automatic());
        }
        assert!(!Scope::new("mail.send").is_automatic());
    }
}
