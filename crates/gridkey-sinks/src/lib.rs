//! Where secrets are delivered: one adapter per file, heavy ones behind features.
//!
//! The crate is apart from the engine because clients of clouds and clusters are heavy, and nothing else
//! needs them. A secret is in memory and in its target, and nowhere else: no error, log or argument
//! carries one.

mod command;
mod discover;
mod file;
mod format;
mod mention;
mod place;
mod scan;
mod sinks;
mod stop;
mod walk;

use std::collections::BTreeSet;

use gridkey_core::SinkKind;

pub use discover::{Discovery, Elsewhere, FileKind, discover};
pub use mention::{Mention, mentions};
pub use scan::Scan;
pub use sinks::Sinks;

/// Whether this build has an adapter for a kind of sink. A manifest that uses another one is refused
/// before anything is done.
pub fn supports(kind: SinkKind) -> bool {
    match kind {
        SinkKind::Dotenv | SinkKind::Json | SinkKind::Yaml | SinkKind::Command => true,
        SinkKind::Age
        | SinkKind::Vault
        | SinkKind::AwsSecretsManager
        | SinkKind::AwsSsm
        | SinkKind::GcpSecretManager
        | SinkKind::AzureKeyVault
        | SinkKind::Kubernetes
        | SinkKind::GithubActions
        | SinkKind::GitlabCi => false,
    }
}

/// The kinds that this build has no adapter for.
pub fn missing_kinds() -> BTreeSet<SinkKind> {
    SinkKind::ALL.into_iter().filter(|kind| !supports(*kind)).collect()
}
