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

/// A subuser in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subuser {
    pub username: String,
    /// `eu` or `global`, where the answer says so.
    #[serde(default)]
    pub region: Option<String>,
}

/// An answer with the clock of the service that gave it.
#[derive(Clone, Debug)]
pub struct Reported<T> {
    pub value: T,
    /// From the `Date` header; the caller's own clock where there is none. Where they are far apart: of a list the earlier,
    /// of a new key the later one.
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

/// The shape of SendGrid's errors; what stands between us and SendGrid answers in others.
#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    message: String,
    field: Option<String>,
}

/// SendGrid's words, where the body is an error of SendGrid's.
fn words(body: &[u8]) -> Option<String> {
    let ErrorBody { errors } = serde_json::from_slice(body).ok()?;
    let each = errors.into_iter().map(|OneError { message, field }| match field {
        Some(field) if !field.is_empty() && field != "null" => format!("{message} ({field})"),
        _ => message,
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| redact(&each.join("; ")))
}

/// Whether an answer's body is an error of SendGrid's, and not of a proxy or gateway on the way.
pub fn is_sendgrids(body: &[u8]) -> bool {
    words(body).is_some()
}

/// Whether a status is the one that says that an operation was done. Others of the two hundreds are a gateway's, which
/// may not have passed the request on yet.
pub fn is_done(operation: Operation, status: u16) -> bool {
    match operation {
        Operation::List
        | Operation::Get
        | Operation::Scopes
        | Operation::Subusers
        | Operation::Rename
        | Operation::Update => status == 200,
        // The key in the body says it.
        Operation::Create => (200..300).contains(&status),
        Operation::Delete => status == 204,
    }
}

/// What an answer means that does not say that the operation was done.
///
/// Only an error of SendGrid's own says that nothing happened: gateways answer 404, 408, 409 or 499 also once a request
/// was passed on.
pub fn refusal(operation: Operation, status: u16, body: &[u8]) -> Error {
    let Some(words) = words(body) else {
        return match status {
            500..600 => Error { kind: Kind::ServerError, message: format!("{status}, without a reason") },
            _ => Error {
                kind: Kind::Unintelligible,
                message: format!(
                    "{status}, in an answer that is not SendGrid's; is there a proxy in between?"
                ),
            },
        };
    };
    let kind = match status {
        400 => Kind::BadRequest,
        401 => Kind::Unauthorized,
        403 if operation == Operation::Create && words.contains("Cannot create more than") => {
            Kind::CapReached
        }
        403 => Kind::Forbidden,
        404 if operation.is_about_a_key() => Kind::NotFound,
        429 => Kind::RateLimited,
        451 => Kind::DataResidency,
        500..600 => Kind::ServerError,
        _ => Kind::Unintelligible,
    };
    Error { kind, message: format!("{status} {words}") }
}

fn unintelligible(what: &str) -> Error {
    Error { kind: Kind::Unintelligible, message: format!("the answer {what}") }
}

/// A 200 can carry errors instead of what was asked for, as a provider reports of keys that are not there.
fn errors_inside(body: &[u8]) -> Option<Error> {
    let words = words(body)?;
    let lower = words.to_lowercase();
    let kind = match lower.contains("not found") || lower.contains("unable to find") {
        true => Kind::NotFound,
        false => Kind::Unintelligible,
    };
    Some(Error { kind, message: words })
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
/// [`Error`] where the body does not hold the key of this id.
pub fn get(id: &str, body: &[u8]) -> Result<KeyDetail, Error> {
    /// The specification's shape, which was never seen on the wire.
    #[derive(Deserialize)]
    struct Wrapped {
        result: Vec<KeyDetail>,
    }
    let flat = || serde_json::from_slice::<KeyDetail>(body).ok();
    let wrapped = || serde_json::from_slice::<Wrapped>(body).ok().map(|Wrapped { result }| result);
    let found = flat().or_else(|| <[KeyDetail; 1]>::try_from(wrapped()?).ok().map(|[detail]| detail));
    match found {
        Some(detail) if detail.id == id => Ok(detail),
        Some(_) => Err(unintelligible("is about another key")),
        None => Err(errors_inside(body).unwrap_or_else(|| unintelligible("holds no key"))),
    }
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

/// # Errors
/// [`Error`] where the body is not a list of subusers.
pub fn subusers(body: &[u8]) -> Result<Vec<Subuser>, Error> {
    serde_json::from_slice(body).map_err(|_| unintelligible("is not a list of subusers"))
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

/// A key that was changed: the name that the body says it has now.
///
/// # Errors
/// [`Error`] where the body does not show the key of this id, so that it may be another's answer, or none at all.
pub fn changed(id: &str, body: &[u8]) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Body {
        api_key_id: String,
        name: Option<String>,
    }
    match serde_json::from_slice(body) {
        Ok(Body { api_key_id, name }) if api_key_id == id => Ok(name),
        Ok(_) => Err(unintelligible("is about another key")),
        Err(_) => Err(errors_inside(body).unwrap_or_else(|| unintelligible("does not show the changed key"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_and_told_from_those_of_others() {
        let of = |status, body: &str| refusal(Operation::Get, status, body.as_bytes());
        let error = of(403, r#"{"errors":[{"field":null,"message":"access forbidden","help":null}]}"#);
        assert_eq!((error.kind, error.message.as_str()), (Kind::Forbidden, "403 access forbidden"));
        assert_eq!(of(403, r#"{"errors":[{"field":"null","message":"x"}]}"#).message, "403 x");
        for other in [r#"{"error":"nope"}"#, r#"{"errors":[]}"#, r#"{"errors":[{}]}"#, "<html>", ""] {
            assert_eq!(of(403, other).kind, Kind::Unintelligible, "{other}");
            assert_eq!(of(502, other).kind, Kind::ServerError, "{other}");
        }
    }

    #[test]
    fn the_cap_is_told_from_a_missing_right() {
        let cap = br#"{"errors":[{"field":null,"message":"Cannot create more than 100 API Keys"}]}"#;
        assert_eq!(refusal(Operation::Create, 403, cap).kind, Kind::CapReached);
        assert_eq!(refusal(Operation::Delete, 403, cap).kind, Kind::Forbidden);
    }

    #[test]
    fn errors_inside_a_200_are_errors() {
        let gone = br#"{"errors":[{"message":"API Key not found"}]}"#;
        let forbidden = br#"{"errors":[{"message":"access forbidden"}]}"#;
        for (body, kind) in [(&gone[..], Kind::NotFound), (forbidden, Kind::Unintelligible)] {
            assert_eq!(get("a", body).map_err(|error| error.kind), Err(kind));
            assert_eq!(changed("a", body).map_err(|error| error.kind), Err(kind));
            assert!(list(body).is_err());
        }
    }

    #[test]
    fn an_answer_says_which_name_is_held() {
        let of = |body: &str| changed("a", body.as_bytes()).map_err(|error| error.kind);
        assert_eq!(of(r#"{"api_key_id":"a","name":"Mail"}"#), Ok(Some("Mail".to_string())));
        assert_eq!(of(r#"{"api_key_id":"a"}"#), Ok(None));
        assert_eq!(of(r#"{"api_key_id":"b","name":"Mail"}"#), Err(Kind::Unintelligible));
        assert_eq!(of(""), Err(Kind::Unintelligible));
    }

    #[test]
    fn a_failed_body_is_never_an_empty_list_or_an_empty_key() {
        for body in ["", "{}", "[]", "null", "<html>", r#"{"result":null}"#] {
            assert!(list(body.as_bytes()).is_err(), "{body}");
            assert!(get("a", body.as_bytes()).is_err(), "{body}");
            assert!(created(&mut body.as_bytes().to_vec()).is_err(), "{body}");
        }
        assert_eq!(list(br#"{"result":[]}"#).map(|keys| keys.len()).map_err(|error| error.kind), Ok(0));
    }

    #[test]
    fn one_key_is_read_flat_and_as_specified() {
        let flat = br#"{"api_key_id":"a","name":"n","scopes":["mail.send"],"more":1}"#;
        let wrapped = br#"{"result":[{"api_key_id":"a","name":"n","scopes":["mail.send"]}]}"#;
        let of = |id, body| get(id, body).map_err(|error| error.kind);
        assert_eq!(of("a", flat), of("a", wrapped));
        assert_eq!(of("b", flat), Err(Kind::Unintelligible), "another key is not this one");
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
