//! Where state lives, as the engine sees it: versioned documents, and a lock for each.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::Name;
use gridkey_core::state::AccountState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Reads the state of one project.
#[async_trait]
pub trait StateReader: Send + Sync {
    /// The document of an account, with its version; `None` where there is none yet.
    async fn read(&self, account: &Name) -> Result<Option<Stored>, StoreError>;

    /// The accounts that have a document.
    async fn accounts(&self) -> Result<Vec<Name>, StoreError>;

    /// Whether the store has ever been used; a local folder on a throw-away machine has not.
    async fn exists(&self) -> Result<bool, StoreError>;

    /// Who holds the account's lock.
    async fn holder(&self, account: &Name) -> Result<Option<LockHolder>, StoreError>;

    /// What the store is, for people: a path or an address.
    fn describe(&self) -> String;
}

/// Changes the state of one project.
#[async_trait]
pub trait StateWriter: StateReader {
    /// Takes the account's lock, waiting up to `timeout` for another holder.
    async fn lock(
        &self,
        account: &Name,
        holder: LockHolder,
        timeout: Duration,
    ) -> Result<Box<dyn Lock>, LockError>;

    /// Replaces the document whose version is `expected` (`None`: there is none yet).
    async fn write(
        &self,
        account: &Name,
        state: &AccountState,
        expected: Option<&Version>,
    ) -> Result<Version, StoreWriteError>;

    /// Lifts a lock, whichever run holds it. Where locks are leases, the next holder waits the lease out.
    async fn lift(&self, account: &Name) -> Result<Option<LockHolder>, StoreError>;
}

/// A lock that is held. Dropping it gives it back as far as that can be done without waiting.
#[async_trait]
pub trait Lock: Send + Sync {
    /// How much of the lease is left, on the runner's own monotonic clock; `None` where the lock cannot
    /// be lost while the process lives.
    fn remaining(&self) -> Option<Duration>;

    /// Whether the lock was taken from, or lifted off, another holder, and how long the new one must
    /// wait until the other's effects can no longer start or land.
    fn must_wait(&self) -> Option<Duration>;

    /// Extends the lease.
    async fn renew(&self) -> Result<(), StoreError>;

    async fn release(self: Box<Self>) -> Result<(), StoreError>;
}

/// A document and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub state: AccountState,
    pub version: Version,
}

/// What a store compares before it swaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockHolder {
    /// Told apart from every other holder.
    pub run: String,
    /// User and host, or the pipeline's run.
    pub who: String,
    pub process: u32,
    pub since: Timestamp,
    /// The command.
    pub what: String,
}

/// A store that could not be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{0}")]
    Failed(String),
    /// The document is not one that this gridkey can read.
    #[error("{place}: {message}")]
    Unreadable { place: String, message: String },
}

/// A lock that was not had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LockError {
    #[error("the state of account `{account}` is locked by {}", holder.who)]
    Held { account: Name, holder: LockHolder },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A write that was not confirmed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreWriteError {
    /// Somebody else wrote; surely nothing was written now.
    #[error("the state was changed by someone else")]
    Conflict,
    /// It may have been written: read it back.
    #[error("{0}")]
    Unclear(String),
    /// Surely nothing was written.
    #[error("{0}")]
    Failed(String),
}
