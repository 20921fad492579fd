//! What an API server says and is told: documents, without the server.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use gridkey_core::sink::{Encoding, KubernetesSettings};
use gridkey_core::{KeyId, Receipt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::format::{Held, decoded};
use crate::http::{self, Answer};

/// Kinds of patches.
pub(super) const APPLY: &str = "application/apply-patch+yaml";
pub(super) const MERGE: &str = "application/merge-patch+json";

/// Under which name gridkey's writes stand in `managedFields`.
pub(super) const MANAGER: &str = "gridkey";

/// What Kubernetes lets the name of a label or annotation have.
const MAX_LABEL: usize = 63;

/// A Secret that is there, as far as it concerns one field of it.
pub(super) struct Found {
    pub uid: String,
    pub version: String,
    pub immutable: bool,
    /// The field's value in base64.
    pub encoded: Option<Zeroizing<String>>,
    /// Why the value may not stay, in words: something else writes the Secret, or the field.
    pub kept_by: Option<String>,
}

/// A Secret, as an answer holds it. Other fields are not copied.
#[derive(Deserialize)]
struct SecretDocument<'a> {
    kind: Cow<'a, str>,
    metadata: Metadata,
    immutable: Option<bool>,
    #[serde(borrow)]
    data: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Option<String>,
    resource_version: Option<String>,
    #[serde(default)]
    owner_references: Vec<Owner>,
    #[serde(default)]
    managed_fields: Vec<Managed>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    controller: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Managed {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    fields_v1: Value,
}

/// An error as the API server says it, which nothing in between does.
#[derive(Deserialize)]
pub(super) struct Refusal {
    kind: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    details: Details,
    #[serde(skip)]
    pub status: u16,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    field: String,
}

impl Found {
    /// A Secret of an answer; `None` where it is no Secret. A rehearsal of one that is not there has no version.
    pub fn read(answer: &Answer, field: &str) -> Option<Self> {
        let document: SecretDocument<'_> = serde_json::from_slice(&answer.body).ok()?;
        if document.kind != "Secret" {
            return None;
        }
        let encoded = match document.data.as_ref().and_then(|data| data.get(field)) {
            // Of a rehearsal's field, `null` is nothing.
            Some(value) => serde_json::from_str::<Option<String>>(value.get()).ok()?.map(Zeroizing::new),
            None => None,
        };
        Some(Self {
            kept_by: document.metadata.kept_by(field),
            uid: document.metadata.uid?,
            version: document.metadata.resource_version.unwrap_or_default(),
            immutable: document.immutable == Some(true),
            encoded,
        })
    }

    pub fn held(&self) -> Held {
        match &self.encoded {
            None => Held::Nothing,
            Some(encoded) => decoded(Encoding::Base64, Held::Text(encoded.clone())),
        }
    }

    /// The Secret's version. A write to any field of it makes another one, so that it is never taken for an older state; which key is
    /// there is told by the value itself, which whoever may write it may read.
    pub fn receipt(&self) -> Receipt {
        Receipt::new(format!("{}/{}", self.uid, self.version))
    }

    /// The patch of one field of this very version of the Secret, and of nothing else; `None` takes the field away.
    pub fn patch(&self, field: &str, encoded: Option<&str>) -> Bytes {
        #[derive(Serialize)]
        struct Patch<'a> {
            metadata: Version<'a>,
            data: BTreeMap<&'a str, Option<&'a str>>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Version<'a> {
            uid: &'a str,
            resource_version: &'a str,
        }
        http::secret_body(&Patch {
            metadata: Version { uid: &self.uid, resource_version: &self.version },
            data: BTreeMap::from([(field, encoded)]),
        })
    }
}

impl Metadata {
    fn kept_by(&self, field: &str) -> Option<String> {
        let owner = self.owner_references.iter().find(|owner| owner.controller == Some(true));
        if let Some(Owner { kind, name, controller: _ }) = owner {
            return Some(format!(
                "the Secret is kept by the {kind} `{name}`, which may write its own value back"
            ));
        }
        let path = format!("/f:data/f:{field}");
        // What applies a field once does so again; what updates one may have been a person.
        let applies = |managed: &&Managed| {
            managed.operation == "Apply"
                && !is_ours(&managed.manager)
                && managed.fields_v1.pointer(&path).is_some()
        };
        let Managed { manager, .. } = self.managed_fields.iter().find(applies)?;
        Some(format!("the field is applied by `{manager}`, which may write its own value back"))
    }
}

fn is_ours(manager: &str) -> bool {
    manager.strip_prefix(MANAGER).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The manager that makes a Secret has the key in its name: of two runs that make one at once for two keys, the second one is
/// refused for the first one's value, and the same run may come twice.
pub(super) fn maker(id: Option<&KeyId>) -> String {
    match id {
        Some(id) => format!("{MANAGER}/{id}"),
        None => MANAGER.to_string(),
    }
}

/// A Secret that is to be made. `data` and never `stringData`, which no manager owns.
pub(super) fn new_secret(settings: &KubernetesSettings, encoded: &str) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct NewSecret<'a> {
        api_version: &'a str,
        kind: &'a str,
        metadata: NewMetadata<'a>,
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        secret_type: Option<&'a str>,
        data: BTreeMap<&'a str, &'a str>,
    }
    #[derive(Serialize)]
    struct NewMetadata<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        labels: &'a BTreeMap<String, String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        annotations: &'a BTreeMap<String, String>,
    }
    let KubernetesSettings { secret, field, secret_type, labels, annotations, .. } = settings;
    http::secret_body(&NewSecret {
        api_version: "v1",
        kind: "Secret",
        metadata: NewMetadata { name: secret, labels, annotations },
        secret_type: secret_type.as_deref(),
        data: BTreeMap::from([(field.as_str(), encoded)]),
    })
}

/// What restarts a workload: an annotation of its pods that changes with the key. The same key is the same text, and restarts nothing.
pub(super) fn restart(settings: &KubernetesSettings, value: &str) -> Bytes {
    let annotation = format!("gridkey.dev/{}", annotation(&settings.secret, &settings.field));
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {annotation: value}}}}});
    Bytes::from(patch.to_string())
}

/// A name of its own for each field of each Secret, as short as names of annotations have to be.
fn annotation(secret: &str, field: &str) -> String {
    let name = format!("{secret}-{field}");
    let is_end = |end: Option<char>| end.is_some_and(|end| end.is_ascii_alphanumeric());
    if name.len() <= MAX_LABEL && is_end(name.chars().next_back()) {
        return name;
    }
    const HASH: usize = 16;
    let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(name.as_bytes()));
    let hash = hash.replace(['-', '_'], "");
    format!("{}-{}", &name[..name.len().min(MAX_LABEL - 1 - HASH)], &hash[..HASH])
}

impl Refusal {
    /// The API server's own error; `None` where something else answered.
    pub fn read(answer: &Answer) -> Option<Self> {
        let refusal: Self = serde_json::from_slice(&answer.body).ok()?;
        (refusal.kind == "Status").then_some(Self { status: answer.status, ..refusal })
    }

    /// Whether the Secret is not the one any more that was looked at: another version of it, another one, or none.
    pub fn is_outdated(&self) -> bool {
        self.is_without_secret()
            || self.reason == "Conflict"
            || self.causes().any(|(_, field)| field == "metadata.uid")
    }

    /// Whether there is no such Secret. Anything else that is not found says nothing of it.
    pub fn is_without_secret(&self) -> bool {
        self.status == 404 && self.details.kind == "secrets"
    }

    pub fn names_namespace(&self) -> bool {
        self.details.kind == "namespaces"
    }

    pub fn is_of_going_namespace(&self) -> bool {
        self.causes().any(|(reason, _)| reason == "NamespaceTerminating")
    }

    fn causes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.details.causes.iter().map(|cause| (cause.reason.as_str(), cause.field.as_str()))
    }

    /// The right that is missing, in RBAC's word; `None` where something else than RBAC refused.
    pub fn missing_verb(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("\" cannot ")?;
        rest.split_once(" resource ").map(|(verb, _)| verb)
    }

    /// What the server said. Of a patch that it cannot read it quotes the whole Secret, which is not passed on.
    pub fn said(&self) -> String {
        // How base64 of a key begins.
        const KEY: &str = "U0cu";
        match self.message.is_empty()
            || self.message.contains("data\\\"")
            || self.message.contains("\"data\"")
            || self.message.contains(KEY)
        {
            true => self.reason.clone(),
            false => http::shown(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderMap;

    fn answer(body: &Value) -> Answer {
        let body = Zeroizing::new(body.to_string().into_bytes());
        Answer { status: 422, headers: HeaderMap::new(), body }
    }

    #[test]
    fn an_error_that_quotes_the_secret_is_not_passed_on() {
        let quoted = r#" "" is invalid: patch: Invalid value: "{\"apiVersion\":\"v1\",\"data\":{\"OTHER\":\"aHVudGVyMg==\"}}": illegal base64"#;
        for (message, said) in [
            (quoted, "Invalid"),
            ("denied: U0cuYWJj is weak", "Invalid"),
            ("data: Forbidden: field is immutable", "data: Forbidden: field is immutable"),
        ] {
            let body = json!({"kind": "Status", "message": message, "reason": "Invalid", "code": 422});
            assert_eq!(Refusal::read(&answer(&body)).expect("a status").said(), said);
        }
        assert!(Refusal::read(&answer(&json!({"kind": "Secret", "message": "x"}))).is_none());
    }

    #[test]
    fn only_a_secret_that_is_not_found_is_missing() {
        let is_missing = |details: Value| {
            let body = json!({"kind": "Status", "reason": "NotFound", "details": details, "code": 404});
            Refusal::read(&Answer { status: 404, ..answer(&body) }).expect("a status").is_without_secret()
        };
        assert!(is_missing(json!({"name": "sendgrid", "kind": "secrets"})));
        assert!(!is_missing(json!({"name": "mail", "kind": "namespaces"})));
        assert!(!is_missing(json!({})), "of a path that the server does not have");
    }

    #[test]
    fn annotations_of_long_names_are_short_and_their_own() {
        assert_eq!(annotation("sendgrid", "api-key"), "sendgrid-api-key");
        let long = "a".repeat(100);
        let names =
            [annotation(&long, "b"), annotation(&long, "c"), annotation("a", "b_"), annotation("a", "b-")];
        for (at, name) in names.iter().enumerate() {
            assert!(name.len() <= MAX_LABEL, "{name}");
            assert!(name.ends_with(|end: char| end.is_ascii_alphanumeric()), "{name}");
            assert!(!names[..at].contains(name), "{name}");
        }
    }

    #[test]
    fn what_else_writes_the_field_is_seen() {
        let kept = |metadata: Value| {
            let body = json!({"kind": "Secret", "metadata": metadata, "data": {"KEY": "YQ=="}});
            Found::read(&answer(&body), "KEY").expect("a Secret").kept_by
        };
        let managed = |manager: &str, operation: &str, field: &str| {
            kept(json!({"uid": "u", "resourceVersion": "1", "managedFields": [
                {"manager": manager, "operation": operation, "fieldsV1": {"f:data": {field: {}}}}
            ]}))
        };
        assert!(
            managed("kustomize-controller", "Apply", "f:KEY")
                .is_some_and(|text| text.contains("kustomize-controller"))
        );
        assert_eq!(managed("kustomize-controller", "Apply", "f:OTHER"), None);
        assert_eq!(managed("kubectl-edit", "Update", "f:KEY"), None);
        assert_eq!(managed("gridkey/abc", "Apply", "f:KEY"), None);
        assert!(managed("gridkeys", "Apply", "f:KEY").is_some());
        let owner = |controller: bool| {
            kept(json!({"uid": "u", "ownerReferences": [
                {"kind": "ExternalSecret", "name": "mail", "controller": controller}
            ]}))
        };
        assert!(owner(true).is_some_and(|text| text.contains("ExternalSecret `mail`")));
        assert_eq!(owner(false), None);
    }
}
