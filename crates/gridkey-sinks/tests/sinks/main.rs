//! What sinks promise, through their ports.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it skips"
)]

mod command;
mod discover;
#[cfg(target_os = "linux")]
mod disk;
mod file;
mod sandbox;
#[cfg(target_os = "linux")]
#[path = "../../../../tests/support/traced.rs"]
mod traced;

use gridkey_core::inventory::SinkContent;
use gridkey_core::sink::{DotenvSettings, FileSettings, VaultSettings};
use gridkey_core::{KeyId, Name, SinkLocation, SinkSettings};
use gridkey_engine::secret::Secret;

/// The text of a whole key; the same for the same letter.
fn key(letter: char) -> String {
    format!("SG.{}.{}", letter.to_string().repeat(22), letter.to_string().repeat(43))
}

fn secret(letter: char) -> Secret {
    Secret::from(key(letter))
}

fn holds(letter: char) -> SinkContent {
    SinkContent::Key(KeyId::new(letter.to_string().repeat(22)))
}

fn at(settings: SinkSettings) -> SinkLocation {
    SinkLocation::new(Name::new("local").unwrap(), settings)
}

fn dotenv(path: &str, variable: &str) -> SinkLocation {
    at(SinkSettings::Dotenv(DotenvSettings { path: path.to_string(), variable: variable.to_string() }))
}

fn json(path: &str, pointer: &str) -> SinkLocation {
    at(SinkSettings::Json(FileSettings { path: path.to_string(), pointer: pointer.to_string() }))
}

fn yaml(path: &str, pointer: &str) -> SinkLocation {
    at(SinkSettings::Yaml(FileSettings { path: path.to_string(), pointer: pointer.to_string() }))
}

fn vault(field: &str) -> SinkLocation {
    at(SinkSettings::Vault(VaultSettings {
        address: "https://vault.internal".to_string(),
        mount: "kv".to_string(),
        path: "../../mail".to_string(),
        field: field.to_string(),
        namespace: None,
    }))
}
