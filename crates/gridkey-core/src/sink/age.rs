//! Encrypted files: those of `age`, and those of `sops`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::describe::{Described, Fault, POINTER, Reached, is_pointer, normal_path, path, unless};
use super::file::in_file;

/// A file encrypted to age recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgeSettings {
    /// The file, relative to the manifest's folder. It holds this secret alone.
    pub path: String,
    /// Public keys (`age1…`, `ssh-ed25519 …`, `ssh-rsa …`) that the file is encrypted to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// A file with one public key in a line, besides those of `recipients`; `#` begins a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_file: Option<String>,
    /// Whether the file is text (`-----BEGIN AGE ENCRYPTED FILE-----`), as files in Git are better; the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armor: Option<bool>,
}

/// A value in a file that `sops` encrypts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SopsSettings {
    /// The encrypted file, relative to the manifest's folder. It must be there already.
    pub path: String,
    /// Where in the file the secret stands, as a JSON Pointer (RFC 6901), such as `/sendgrid/api_key`.
    pub pointer: String,
    /// The program; `sops` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// A configuration file for `sops`, in place of the `.sops.yaml` that it finds itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Variables of gridkey's environment that `sops` gets besides those that every command does, such as
    /// `SOPS_AGE_KEY_FILE` or `AWS_PROFILE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

impl Described for AgeSettings {
    fn place(&self) -> String {
        let Self { path, recipients: _, recipients_file: _, armor: _ } = self;
        normal_path(path)
    }

    fn is_readable(&self) -> bool {
        false
    }

    fn faults(&self) -> Vec<Fault> {
        let public = |recipient: &String| recipient.starts_with("age1") || recipient.starts_with("ssh-");
        let known = self.recipients.iter().all(public);
        let any = !self.recipients.is_empty() || self.recipients_file.is_some();
        vec![
            ("recipients", unless(known, "a recipient is a public key: `age1…` or `ssh-…`")),
            ("path", unless(any, "add `recipients`, the public keys of those who may read the file")),
            ("path", path(&self.path)),
            ("recipients_file", self.recipients_file.as_deref().map_or("", path)),
        ]
    }

    fn manner(&self) -> Option<Value> {
        Some(json!([self.recipients, self.recipients_file]))
    }
}

impl Described for SopsSettings {
    fn place(&self) -> String {
        let Self { path, pointer, program: _, config: _, env: _ } = self;
        in_file(path, pointer)
    }

    /// It may be the file of another kind of sink, too.
    fn reached(&self) -> Option<String> {
        Some(format!("file:{}", self.place()))
    }

    fn container(&self) -> Option<String> {
        Some(normal_path(&self.path))
    }

    fn faults(&self) -> Vec<Fault> {
        vec![
            ("pointer", unless(is_pointer(&self.pointer), POINTER)),
            ("path", path(&self.path)),
            ("config", self.config.as_deref().map_or("", path)),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        self.program
            .as_ref()
            .map(|program| Reached::Command(std::slice::from_ref(program)))
            .into_iter()
            .collect()
    }
}
