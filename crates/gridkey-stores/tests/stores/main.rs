//! What the local store promises, through its ports.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it skips"
)]

#[cfg(target_os = "linux")]
mod disk;
mod document;
mod lock;
#[cfg(target_os = "linux")]
#[path = "../../../../tests/support/traced.rs"]
mod traced;

use std::path::Path;

use gridkey_core::state::AccountState;
use gridkey_core::{AccountIdentity, Name};
use gridkey_engine::ports::LockHolder;
use gridkey_stores::LocalStore;

/// A store of the project `mailing` in a folder.
fn store(folder: &Path) -> LocalStore {
    LocalStore::new(folder.join("state"), name("mailing"))
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A document of the account `acme`, as written for the `serial`th time.
fn state(serial: u64) -> AccountState {
    let identity = AccountIdentity { parent: None, region: Default::default(), on_behalf_of: None };
    let fresh = AccountState::new(name("mailing"), name("acme"), identity, "lineage".to_string());
    AccountState { serial, ..fresh }
}

/// Somebody, told apart by `run`.
fn holder(run: &str) -> LockHolder {
    LockHolder {
        run: run.to_string(),
        who: "anna@build-7".to_string(),
        process: std::process::id(),
        since: "2026-11-20T10:00:00Z".parse().expect("a time"),
        what: "gridkey apply".to_string(),
    }
}

#[test]
fn a_kind_that_this_build_lacks_is_named_in_the_error() {
    use gridkey_core::manifest::{GcsStoreSettings, StoreSettings};
    let settings = StoreSettings::Gcs(GcsStoreSettings { bucket: "b".to_string(), prefix: None });
    let Err(error) = gridkey_stores::open(&settings, Path::new("."), &name("mailing")) else {
        panic!("there is no such adapter")
    };
    assert_eq!(error.kind, "gcs");
    assert!(error.to_string().contains("this build of gridkey has no `gcs` store"), "{error}");
    let local = gridkey_stores::open(&StoreSettings::default(), Path::new("base"), &name("mailing"));
    assert_eq!(local.expect("it is built in").describe(), "base/.gridkey/state/mailing");
}
