//! Paths of file sinks as what they lead to: symbolic links are followed here, at the edge, so that two spellings of a
//! file are one location to everything that decides.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::Name;
use gridkey_core::manifest::Manifest;
use gridkey_core::sink::SharedSettings;
use gridkey_core::state::AccountState;
use gridkey_engine::ports::{
    Lock, LockError, LockHolder, StateReader, StateWriter, StoreError, StoreWriteError, Stored, Version,
};

/// What paths are relative to.
#[derive(Clone, Debug)]
pub struct RealPaths {
    base: PathBuf,
    /// The same without links; `None` where it cannot be found, and paths stay as they are.
    real: Option<PathBuf>,
}

impl RealPaths {
    pub fn new(base: &Path) -> Self {
        Self { base: base.to_path_buf(), real: std::fs::canonicalize(base).ok() }
    }

    /// The path that a file sink reaches by another: relative to the manifest's folder, unless the two have nothing in
    /// common. One that cannot be looked at stays as it is.
    pub fn of(&self, path: &str) -> String {
        let path = &*at_home(path);
        let known = || {
            let reached = reached(&self.base.join(path))?;
            let base = self.real.as_deref()?;
            from(base, &reached).to_str().map(ToString::to_string)
        };
        known().unwrap_or_else(|| path.to_string())
    }

    fn replace(&self, at: &mut SharedSettings) {
        let mut settings = at.to_settings();
        if let Some(path) = settings.path_mut() {
            *path = self.of(path);
            *at = SharedSettings::new(settings);
        }
    }

    pub fn in_manifest(&self, manifest: &mut Manifest) {
        for location in manifest.keys.values_mut().flat_map(|key| &mut key.sinks) {
            self.replace(&mut location.at);
        }
    }

    pub fn in_state(&self, state: &mut AccountState) {
        state.locations_mut().for_each(|location| self.replace(&mut location.at));
    }
}

/// A path whose `~/` stands for the home folder, as in a shell. Where there is none, it stays as it is.
fn at_home(path: &str) -> Cow<'_, str> {
    let rest = path.strip_prefix("~/");
    let home = std::env::home_dir().and_then(|home| home.into_os_string().into_string().ok());
    match (rest, home) {
        (Some(rest), Some(home)) if !home.is_empty() => {
            Cow::Owned(format!("{}/{rest}", home.trim_end_matches('/')))
        }
        _ => Cow::Borrowed(path),
    }
}

/// The canonical form of the longest part of a path that exists, and the rest as it is.
fn reached(path: &Path) -> Option<PathBuf> {
    let mut rest: Vec<&OsStr> = Vec::new();
    let mut existing = path;
    loop {
        if let Ok(real) = std::fs::canonicalize(existing) {
            return Some(rest.iter().rev().fold(real, |path, part| path.join(part)));
        }
        // A link that leads nowhere leads to the file that a delivery would make.
        if let Ok(target) = std::fs::read_link(existing) {
            let folder = existing.parent()?;
            let real = reached_target(&folder.join(target))?;
            return Some(rest.iter().rev().fold(real, |path, part| path.join(part)));
        }
        // `..` behind a folder that does not exist leads nowhere that could be told.
        let Some(Component::Normal(part)) = existing.components().next_back() else { return None };
        rest.push(part);
        existing = existing.parent()?;
        if existing.as_os_str().is_empty() {
            existing = Path::new(".");
        }
    }
}

/// The target of a link that does not exist: its folder has to.
fn reached_target(target: &Path) -> Option<PathBuf> {
    Some(std::fs::canonicalize(target.parent()?).ok()?.join(target.file_name()?))
}

/// A path as it is reached from a folder, both of them without links; as it is, where they share the root alone.
fn from(base: &Path, path: &Path) -> PathBuf {
    let common = base.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let shared = |component: &Component<'_>| matches!(component, Component::Normal(_));
    if !path.components().take(common).any(|component| shared(&component)) {
        return path.to_path_buf();
    }
    let up = base.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
}

/// A store whose documents are read with such paths.
pub struct RealPathStore {
    pub store: Arc<dyn StateWriter>,
    pub paths: RealPaths,
}

#[async_trait]
impl StateReader for RealPathStore {
    async fn read(&self, account: &Name) -> Result<Option<Stored>, StoreError> {
        let mut stored = self.store.read(account).await?;
        if let Some(stored) = &mut stored {
            self.paths.in_state(&mut stored.state);
        }
        Ok(stored)
    }

    async fn accounts(&self) -> Result<Vec<Name>, StoreError> {
        self.store.accounts().await
    }

    async fn exists(&self) -> Result<bool, StoreError> {
        self.store.exists().await
    }

    async fn holder(&self, account: &Name) -> Result<Option<LockHolder>, StoreError> {
        self.store.holder(account).await
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}

#[async_trait]
impl StateWriter for RealPathStore {
    async fn lock(
        &self,
        account: &Name,
        holder: LockHolder,
        timeout: Duration,
    ) -> Result<Box<dyn Lock>, LockError> {
        self.store.lock(account, holder, timeout).await
    }

    async fn write(
        &self,
        account: &Name,
        state: &AccountState,
        expected: Option<&Version>,
    ) -> Result<Version, StoreWriteError> {
        self.store.write(account, state, expected).await
    }

    async fn lift(&self, account: &Name) -> Result<Option<LockHolder>, StoreError> {
        self.store.lift(account).await
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_what_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("project");
        std::fs::create_dir_all(base.join("data")).unwrap();
        std::fs::create_dir_all(root.path().join("shared")).unwrap();
        std::fs::write(base.join("data/.env"), "").unwrap();
        symlink("data", base.join("link")).unwrap();
        symlink("data/.env", base.join("file")).unwrap();
        symlink("data/later", base.join("dangling")).unwrap();
        symlink(root.path().join("shared"), base.join("out")).unwrap();
        symlink(&base, root.path().join("alias")).unwrap();
        for base in [base.clone(), root.path().join("alias")] {
            let paths = RealPaths::new(&base);
            for (path, reached) in [
                ("data/.env", "data/.env"),
                ("./data/../data/.env", "data/.env"),
                ("link/.env", "data/.env"),
                ("file", "data/.env"),
                ("link/new/.env", "data/new/.env"),
                ("dangling", "data/later"),
                ("none/.env", "none/.env"),
                ("out/.env", "../shared/.env"),
                ("../shared/.env", "../shared/.env"),
                ("/no-such-folder/.env", "/no-such-folder/.env"),
            ] {
                assert_eq!(paths.of(path), reached, "{path}");
            }
            let absolute = base.join("link/.env");
            assert_eq!(paths.of(absolute.to_str().unwrap()), "data/.env");
        }
    }
}
