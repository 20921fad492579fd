//! Where credentials are found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a credential is found; never the credential itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// An environment variable.
    Env(String),
    /// A file, relative to the manifest's folder.
    File(String),
    /// A program and its arguments, which prints the credential. It is not run through a shell.
    Command(Vec<String>),
}
