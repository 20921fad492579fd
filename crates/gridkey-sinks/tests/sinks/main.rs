//! What sinks promise, through their ports.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it skips"
)]

#[cfg(feature = "age")]
mod age;
mod azure;
mod command;
mod discover;
#[cfg(target_os = "linux")]
mod disk;
mod file;
#[cfg(feature = "gcp")]
mod gcp;
mod github;
mod gitlab;
mod hooks;
mod judge;
mod programs;
#[cfg(unix)]
mod rights;
mod sandbox;
#[cfg(unix)]
mod sops;
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
    at(SinkSettings::Dotenv(DotenvSettings::new(path, variable)))
}

fn json(path: &str, pointer: &str) -> SinkLocation {
    at(SinkSettings::Json(FileSettings::new(path, pointer)))
}

fn yaml(path: &str, pointer: &str) -> SinkLocation {
    at(SinkSettings::Yaml(FileSettings::new(path, pointer)))
}

fn vault(field: &str) -> SinkLocation {
    at(SinkSettings::Vault(VaultSettings {
        address: Some("https://vault.internal".to_string()),
        mount: "kv".to_string(),
        path: "../../mail".to_string(),
        field: field.to_string(),
        ..VaultSettings::default()
    }))
}

/// Root may write everywhere, so that a test of what may not be written says nothing. It runs again as a user who is
/// nobody; where that cannot be, it says so.
#[cfg(unix)]
fn passes_as_nobody(test: &str) {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let this = std::env::current_exe().unwrap();
    let mut again = std::process::Command::new(this);
    again.args(["--exact", test]).env("TMPDIR", folder.path()).current_dir("/").uid(NOBODY).gid(NOBODY);
    match again.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && said.contains("1 passed"), "as nobody: {said}");
        }
        Err(error) => {
            println!("skipped: root may write everywhere, and nobody may not run this test: {error}");
        }
    }
}
