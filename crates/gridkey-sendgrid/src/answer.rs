//! Answers, read without I/O.

use std::collections::BTreeSet;
use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;
use zeroize::Zeroize;

use crate::error::{Error, Kind, redact};
use crate::request::Operation;

/// A key in a list: no scopes and no times, as SendGrid shows none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeySummary {
    #[serde(rename = "api_key_id")]
    pub id: String,
    #[serde(default)]
    pub name: String,
}

/// A key looked at by itself; the scopes include those that SendGrid adds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeyDetail {
    #[serde(rename = "api_key_id")]
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub scopes: BTreeSet<String>,
}

/// A key that was just made; the only time its secret is shown.
pub struct Created {
    pub id: String,
    pub secret: SecretString,
    /// The scopes SendGrid says it gave.
    pub scopes: Option<BTreeSet<String>>,
}

impl fmt::Debug for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An answer with the clock of the service that gave it.
#[derive(Clone, Debug)]
pub struct Reported<T> {
    pub value: T,
    /// From the `Date` header; the caller's own clock where there is none.
    pub at: jiff::Timestamp,
}

/// What became of a DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// 204
    Revoked,
    /// 404
    NotFound,
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Option<Vec<OneError>>,
    /// Another shape, seen on other endpoints.
    error: Option<String>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    message: String,
    field: Option<String>,
}

/// SendGrid's words, if the body has any.
fn words(body: &[u8]) -> Option<String> {
    let ErrorBody { errors, error } = serde_json::from_slice(body).ok()?;
    let listed = errors.map(|errors| {
        let each = errors.into_iter().map(|OneError { message, field }| match field {
            Some(field) if !field.is_empty() && field != "null" => format!("{message} ({field})"),
            _ => message,
        });
        each.collect::<Vec<_>>().join("; ")
    });
    listed.or(error).map(|words| redact(&words))
}

/// What a status other than success means.
pub fn refusal(operation: Operation, status: u16, body: &[u8]) -> Error {
    let words = words(body);
    let text = words.as_deref().unwrap_or("no reason given");
    let is_cap = operation == Operation::Create && text.contains("Cannot create more than");
    let kind = match status {
        401 => Kind::Unauthorized,
        403 if is_cap => Kind::CapReached,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        429 => Kind::RateLimited,
        451 => Kind::DataResidency,
        400..500 => Kind::BadRequest,
        _ => Kind::ServerError,
    };
    Error { kind, message: format!("{status} {text}") }
}

fn unintelligible(what: &str) -> Error {
    Error { kind: Kind::Unintelligible, message: format!("the answer {what}") }
}

/// A 200 can carry errors instead of what was asked for, as a provider reports of keys that are not there.
fn errors_inside(body: &[u8]) -> Option<Error> {
    let words = words(body)?;
    Some(Error { kind: Kind::NotFound, message: words })
}

/// # Errors
/// [`Error`] where the body is not a list of keys.
pub fn list(body: &[u8]) -> Result<Vec<KeySummary>, Error> {
    #[derive(Deserialize)]
    struct Body {
        result: Vec<KeySummary>,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { result }) => Ok(result),
        // A list that fails must never look like an empty account.
        Err(_) => Err(unintelligible("is not a list of keys")),
    }
}

/// # Errors
/// [`Error`] where the body holds no key.
pub fn get(body: &[u8]) -> Result<KeyDetail, Error> {
    /// The specification's shape, which was never seen on the wire.
    #[derive(Deserialize)]
    struct Wrapped {
        result: Vec<KeyDetail>,
    }
    if let Ok(detail) = serde_json::from_slice(body) {
        return Ok(detail);
    }
    if let Ok(Wrapped { result }) = serde_json::from_slice(body)
        && let [detail] = &result[..]
    {
        return Ok(detail.clone());
    }
    Err(errors_inside(body).unwrap_or_else(|| unintelligible("holds no key")))
}

/// # Errors
/// [`Error`] where the body is not a list of scopes.
pub fn scopes(body: &[u8]) -> Result<BTreeSet<String>, Error> {
    #[derive(Deserialize)]
    struct Body {
        scopes: BTreeSet<String>,
    }
    let parsed = serde_json::from_slice(body).map(|Body { scopes }| scopes);
    parsed.map_err(|_| unintelligible("is not a list of scopes"))
}

/// Reads a new key, and wipes the body that held its secret.
///
/// # Errors
/// [`Error`] of an unclear kind where the body has no key, or one that does not fit its id: a key may live
/// whose secret is lost.
pub fn created(body: &mut Vec<u8>) -> Result<Created, Error> {
    #[derive(Deserialize)]
    struct Body {
        api_key: String,
        api_key_id: String,
        scopes: Option<BTreeSet<String>>,
    }
    let parsed = serde_json::from_slice::<Body>(body);
    body.zeroize();
    let Ok(Body { api_key, api_key_id, scopes }) = parsed else {
        return Err(unintelligible("to a creation holds no key"));
    };
    let secret = SecretString::from(api_key);
    let fits = {
        use secrecy::ExposeSecret;
        let mut parts = secret.expose_secret().split('.');
        parts.next() == Some("SG")
            && parts.next() == Some(&*api_key_id)
            && parts.next().is_some_and(|s| s.len() > 8)
    };
    if fits {
        Ok(Created { id: api_key_id, secret, scopes })
    } else {
        Err(unintelligible("holds a key that does not fit its id"))
    }
}

/// A write that was confirmed by a status: a body with errors in it was not.
///
/// # Errors
/// [`Error`] where the body says so.
pub fn confirmed(body: &[u8]) -> Result<(), Error> {
    errors_inside(body).map_or(Ok(()), Err)
}

/// A name that was changed: the name that the body says the key has now.
///
/// # Errors
/// [`Error`] where the body says that it was not.
pub fn renamed(body: &[u8]) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Body {
        name: Option<String>,
    }
    confirmed(body)?;
    Ok(serde_json::from_slice::<Body>(body).ok().and_then(|Body { name }| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_error_shapes_and_none_are_read() {
        let of = |status, body: &str| refusal(Operation::Get, status, body.as_bytes());
        let error = of(403, r#"{"errors":[{"field":null,"message":"access forbidden","help":null}]}"#);
        assert_eq!((error.kind, error.message.as_str()), (Kind::Forbidden, "403 access forbidden"));
        assert_eq!(of(403, r#"{"error":"nope"}"#).message, "403 nope");
        assert_eq!(of(502, "<html>").message, "502 no reason given");
        assert_eq!(of(403, r#"{"errors":[{"field":"null","message":"x"}]}"#).message, "403 x");
        assert_eq!(of(451, "").kind, Kind::DataResidency);
    }

    #[test]
    fn the_cap_is_told_from_a_missing_right() {
        let cap = br#"{"errors":[{"field":null,"message":"Cannot create more than 100 API Keys"}]}"#;
        assert_eq!(refusal(Operation::Create, 403, cap).kind, Kind::CapReached);
        assert_eq!(refusal(Operation::Delete, 403, cap).kind, Kind::Forbidden);
    }

    #[test]
    fn errors_inside_a_200_are_errors() {
        let body = br#"{"errors":[{"message":"API Key not found"}]}"#;
        assert_eq!(get(body).map_err(|error| error.kind), Err(Kind::NotFound));
        assert_eq!(confirmed(body).map_err(|error| error.kind), Err(Kind::NotFound));
        assert!(list(body).is_err());
    }

    #[test]
    fn an_answer_says_which_name_is_held() {
        let of = |body: &str| renamed(body.as_bytes()).map_err(|error| error.kind);
        assert_eq!(of(r#"{"api_key_id":"a","name":"Mail"}"#), Ok(Some("Mail".to_string())));
        assert_eq!(of(r#"{"api_key_id":"a"}"#), Ok(None));
        assert_eq!(of(""), Ok(None));
        assert_eq!(of(r#"{"errors":[{"message":"API Key not found"}]}"#), Err(Kind::NotFound));
    }

    #[test]
    fn a_failed_body_is_never_an_empty_list_or_an_empty_key() {
        for body in ["", "{}", "[]", "null", "<html>", r#"{"result":null}"#] {
            assert!(list(body.as_bytes()).is_err(), "{body}");
            assert!(get(body.as_bytes()).is_err(), "{body}");
            assert!(created(&mut body.as_bytes().to_vec()).is_err(), "{body}");
        }
        assert_eq!(list(br#"{"result":[]}"#).map(|keys| keys.len()).map_err(|error| error.kind), Ok(0));
    }

    #[test]
    fn one_key_is_read_flat_and_as_specified() {
        let flat = br#"{"api_key_id":"a","name":"n","scopes":["mail.send"],"more":1}"#;
        let wrapped = br#"{"result":[{"api_key_id":"a","name":"n","scopes":["mail.send"]}]}"#;
        assert_eq!(get(flat).map_err(|error| error.kind), get(wrapped).map_err(|error| error.kind));
    }

    #[test]
    fn a_created_key_without_its_secret_is_unclear_and_the_body_is_wiped() {
        let mut body = br#"{"api_key_id":"abc","name":"n"}"#.to_vec();
        assert!(matches!(created(&mut body), Err(error) if !error.kind.is_definite()));
        let mut other = br#"{"api_key":"SG.other.0123456789","api_key_id":"abc"}"#.to_vec();
        assert!(created(&mut other).is_err());
        let mut good =
            br#"{"api_key":"SG.abc.0123456789","api_key_id":"abc","scopes":["mail.send"]}"#.to_vec();
        let key = created(&mut good).expect("a whole key");
        assert_eq!(key.id, "abc");
        assert!(good.is_empty());
        assert!(!format!("{key:?}").contains("0123456789"));
    }
}
