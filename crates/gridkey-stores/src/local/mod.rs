//! State in a local folder: `<folder>/<project>/<account>.json`, and a lock file beside each.

mod document;
mod durable;
mod lock;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::Name;
use gridkey_core::state::AccountState;
use gridkey_engine::ports::{
    Lock, LockError, LockHolder, StateReader, StateWriter, StoreError, StoreWriteError, Stored, Version,
};
use tokio::time::Instant;

use document::Documents;
use lock::{Attempt, LocalLock, Locks};

/// How long to wait before a lock is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// State of one project in a folder of this machine.
///
/// *Guarantees*: a document is replaced whole or not at all, under compare-and-swap and its lock; the
/// document before it stays as `<account>.json.backup`; files have mode 0600, folders 0700.
/// *Assumptions*: the file system has atomic renames and file locks, as local ones do.
/// *Caveats*: a lock is seen by processes of this machine alone.
#[derive(Clone)]
pub struct LocalStore {
    documents: Arc<Documents>,
    locks: Arc<Locks>,
}

impl LocalStore {
    /// A store in `folder`, for the accounts of `project`. Nothing is made before the first write or lock.
    pub fn new(folder: PathBuf, project: Name) -> Self {
        let folder = folder.join(project.as_str());
        let locks = Arc::new(Locks::new(folder.clone()));
        Self { documents: Arc::new(Documents { folder, project }), locks }
    }

    /// Runs file work where it may block, to its end even where the caller goes away.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Documents, &Arc<Locks>) -> T + Send + 'static,
    ) -> T {
        let Self { documents, locks } = self.clone();
        match tokio::task::spawn_blocking(move || work(&documents, &locks)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down, and what waits goes with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

#[async_trait]
impl StateReader for LocalStore {
    async fn read(&self, account: &Name) -> Result<Option<Stored>, StoreError> {
        let account = account.clone();
        let read = self.blocking(move |documents, _| documents.read(&account)).await?;
        Ok(read.map(|read| read.stored))
    }

    async fn accounts(&self) -> Result<Vec<Name>, StoreError> {
        self.blocking(|documents, _| documents.accounts()).await
    }

    async fn exists(&self) -> Result<bool, StoreError> {
        Ok(!self.accounts().await?.is_empty())
    }

    async fn holder(&self, account: &Name) -> Result<Option<LockHolder>, StoreError> {
        let account = account.clone();
        self.blocking(move |_, locks| locks.holder(&account)).await
    }

    fn describe(&self) -> String {
        self.documents.folder.display().to_string()
    }
}

#[async_trait]
impl StateWriter for LocalStore {
    async fn lock(
        &self,
        account: &Name,
        holder: LockHolder,
        timeout: Duration,
    ) -> Result<Box<dyn Lock>, LockError> {
        let started = Instant::now();
        loop {
            let (name, text) = (account.clone(), holder.clone());
            let other = match self.blocking(move |_, locks| locks.try_lock(&name, &text)).await? {
                Attempt::Locked(lock) => return Ok(Box::new(lock)),
                Attempt::Held(other) => other,
            };
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(LockError::Held { account: account.clone(), holder: other });
            }
            tokio::time::sleep(left.min(LOCK_PAUSE)).await;
        }
    }

    async fn write(
        &self,
        account: &Name,
        state: &AccountState,
        expected: Option<&Version>,
    ) -> Result<Version, StoreWriteError> {
        let (account, state, expected) = (account.clone(), state.clone(), expected.cloned());
        self.blocking(move |documents, locks| {
            locks.exclusively(&account, || documents.write(&account, &state, expected.as_ref()))
        })
        .await
    }

    /// Clears what a dead process left. The lock of a live one cannot be lifted: it ends with it.
    async fn lift(&self, account: &Name) -> Result<Option<LockHolder>, StoreError> {
        let account = account.clone();
        self.blocking(move |_, locks| locks.lift(&account)).await
    }
}

#[async_trait]
impl Lock for LocalLock {
    fn remaining(&self) -> Option<Duration> {
        None
    }

    /// Whoever held it before is dead or has given it back, so nothing of theirs can land.
    fn must_wait(&self) -> Option<Duration> {
        None
    }

    async fn renew(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What the system said about a path, in a sentence that names it.
fn failed(what: &str, path: &Path, error: &io::Error) -> String {
    let help = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; let this user write there, or name another folder in `state: { local: { path: … } }`"
        }
        io::ErrorKind::NotADirectory => {
            "; a part of the path is a file: name another folder in `state: { local: { path: … } }`"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space and run again",
        _ => "",
    };
    format!("`{}` could not be {what}: {error}{help}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_can_put_right_is_told_with_the_way_out() {
        for (kind, way_out) in [
            (io::ErrorKind::PermissionDenied, "; let this user write there"),
            (io::ErrorKind::ReadOnlyFilesystem, "; let this user write there"),
            (io::ErrorKind::NotADirectory, "; a part of the path is a file"),
            (io::ErrorKind::StorageFull, "; free some space"),
            (io::ErrorKind::QuotaExceeded, "; free some space"),
        ] {
            let error = io::Error::from(kind);
            let told = failed("written", Path::new("state/acme.json"), &error);
            let says = format!("`state/acme.json` could not be written: {error}{way_out}");
            assert!(told.starts_with(&says), "{told}");
        }
    }
}
