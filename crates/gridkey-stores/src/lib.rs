//! Where state lives: one adapter per file, heavy ones behind features.
//!
//! The crate is apart from the engine because clients of object stores and databases are heavy, and
//! nothing else needs them.

mod local;

use std::path::Path;

use gridkey_core::Name;
use gridkey_core::manifest::{LocalStoreSettings, StoreSettings};
use gridkey_engine::ports::StateWriter;

pub use local::LocalStore;

/// A kind of store that this build lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build of gridkey has no `{kind}` store; it has `local`: `state: {{ local: {{ path: … }} }}`")]
pub struct UnsupportedStore {
    /// The kind, as manifests call it.
    pub kind: &'static str,
}

/// Opens the store that a manifest names, for one of its projects. Nothing is read or made yet.
///
/// `base` is what a relative path is relative to: the manifest's folder.
///
/// # Errors
/// [`UnsupportedStore`] where this build has no adapter for the kind.
pub fn open(
    settings: &StoreSettings,
    base: &Path,
    project: &Name,
) -> Result<Box<dyn StateWriter>, UnsupportedStore> {
    match settings {
        StoreSettings::Local(LocalStoreSettings { path }) => {
            Ok(Box::new(LocalStore::new(base.join(path), project.clone())))
        }
        StoreSettings::S3(_)
        | StoreSettings::Gcs(_)
        | StoreSettings::AzureBlob(_)
        | StoreSettings::Postgres(_) => Err(UnsupportedStore { kind: settings.kind() }),
    }
}
