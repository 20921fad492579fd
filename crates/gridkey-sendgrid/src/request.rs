//! Requests, built without I/O.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

/// The operations that this client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    List,
    Get,
    Create,
    Rename,
    Update,
    Delete,
    Scopes,
    Subusers,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list keys",
            Self::Get => "look at a key",
            Self::Create => "create a key",
            Self::Rename => "rename a key",
            Self::Update => "update a key",
            Self::Delete => "revoke a key",
            Self::Scopes => "list scopes",
            Self::Subusers => "list subusers",
        }
    }

    /// Whether it changes nothing, so that it can be repeated freely.
    pub fn is_read(self) -> bool {
        match self {
            Self::List | Self::Get | Self::Scopes | Self::Subusers => true,
            Self::Create | Self::Rename | Self::Update | Self::Delete => false,
        }
    }

    /// Whether it names a key that may not be there.
    pub fn is_about_a_key(self) -> bool {
        match self {
            Self::Get | Self::Rename | Self::Update | Self::Delete => true,
            Self::List | Self::Create | Self::Scopes | Self::Subusers => false,
        }
    }
}

/// HTTP methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// A request without its address and credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub operation: Operation,
    pub method: Method,
    /// From `/v3` on.
    pub path: String,
    pub body: Option<Value>,
}

/// On whose behalf a parent's key acts. It travels with each request: a value on a shared client once put
/// another tool's keys into the wrong account.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behalf {
    #[default]
    Own,
    /// A subuser, by user name.
    Subuser(String),
    /// A reseller's customer account, by id.
    AccountId(String),
}

/// A value that cannot stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user name or account id is made of visible ASCII characters")]
pub struct BehalfError;

impl Behalf {
    /// The header's value, if there is to be one.
    ///
    /// # Errors
    /// [`BehalfError`] for an empty value or one with characters that a header cannot hold.
    pub fn header(&self) -> Result<Option<String>, BehalfError> {
        let (name, value) = match self {
            Self::Own => return Ok(None),
            Self::Subuser(name) => (name, name.clone()),
            Self::AccountId(id) => (id, format!("account-id {id}")),
        };
        let visible = !name.trim().is_empty() && name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if visible { Ok(Some(value)) } else { Err(BehalfError) }
    }
}

impl fmt::Display for Behalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own account"),
            Self::Subuser(name) => write!(f, "subuser {name}"),
            Self::AccountId(id) => write!(f, "account-id {id}"),
        }
    }
}

/// Scopes to ask for; at least one, as an empty list can mean Full Access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeList(BTreeSet<String>);

impl ScopeList {
    /// `None` where there is no scope.
    pub fn new(scopes: impl IntoIterator<Item = String>) -> Option<Self> {
        let scopes: BTreeSet<_> = scopes.into_iter().collect();
        (!scopes.is_empty()).then_some(Self(scopes))
    }
}

/// What a new key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAccess {
    /// SendGrid gives it to a request that leaves `scopes` out.
    Full,
    Scopes(ScopeList),
}

pub fn list() -> Request {
    read(Operation::List, "/v3/api_keys".to_string())
}

pub fn get(id: &str) -> Request {
    read(Operation::Get, key_path(id))
}

pub fn scopes() -> Request {
    read(Operation::Scopes, "/v3/scopes".to_string())
}

/// A page of the subusers, from so many on.
pub fn subusers(offset: usize) -> Request {
    /// How many are asked for at once. The documents name no most; fewer may come.
    const PAGE: usize = 500;
    read(Operation::Subusers, format!("/v3/subusers?limit={PAGE}&offset={offset}&include_region=true"))
}

pub fn create(name: &str, access: &KeyAccess) -> Request {
    let body = match access {
        KeyAccess::Full => json!({ "name": name }),
        KeyAccess::Scopes(ScopeList(scopes)) => json!({ "name": name, "scopes": scopes }),
    };
    Request {
        operation: Operation::Create,
        method: Method::Post,
        path: "/v3/api_keys".to_string(),
        body: Some(body),
    }
}

pub fn rename(id: &str, name: &str) -> Request {
    let body = Some(json!({ "name": name }));
    Request { operation: Operation::Rename, method: Method::Patch, path: key_path(id), body }
}

/// Replaces name and scopes; SendGrid's specification wants both.
pub fn update(id: &str, name: &str, scopes: &ScopeList) -> Request {
    let body = Some(json!({ "name": name, "scopes": scopes.0 }));
    Request { operation: Operation::Update, method: Method::Put, path: key_path(id), body }
}

pub fn delete(id: &str) -> Request {
    Request { operation: Operation::Delete, method: Method::Delete, path: key_path(id), body: None }
}

fn read(operation: Operation, path: String) -> Request {
    Request { operation, method: Method::Get, path, body: None }
}

/// An id is one segment of the path, whatever it holds.
fn key_path(id: &str) -> String {
    let mut path = "/v3/api_keys/".to_string();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => path.push(char::from(byte)),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_scopes_cannot_be_asked_for() {
        assert_eq!(ScopeList::new([]), None);
        assert_eq!(create("a", &KeyAccess::Full).body, Some(json!({ "name": "a" })));
    }

    #[test]
    fn an_update_has_name_and_scopes() {
        let scopes = ScopeList::new(["mail.send".to_string()]).expect("one scope");
        let request = update("id", "a", &scopes);
        assert_eq!(request.body, Some(json!({ "name": "a", "scopes": ["mail.send"] })));
        assert_eq!((request.method, request.path.as_str()), (Method::Put, "/v3/api_keys/id"));
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(get("../scopes?x=1").path, "/v3/api_keys/%2E%2E%2Fscopes%3Fx%3D1");
    }

    #[test]
    fn on_behalf_of_holds_what_a_header_can() {
        assert_eq!(Behalf::Subuser("acme".into()).header(), Ok(Some("acme".to_string())));
        assert_eq!(Behalf::AccountId("x1".into()).header(), Ok(Some("account-id x1".to_string())));
        assert_eq!(Behalf::Own.header(), Ok(None));
        for bad in ["", " ", "a\r\nX: y", "ä"] {
            assert_eq!(Behalf::Subuser(bad.into()).header(), Err(BehalfError), "{bad:?}");
        }
    }
}
