//! A session: the locks and documents of the accounts that a run may change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gridkey_core::Name;
use gridkey_core::inventory::Inventory;
use gridkey_core::manifest::Manifest;
use gridkey_core::plan::Seed;
use gridkey_core::state::AccountState;

use crate::ports::{Lock, LockError, LockHolder, StateWriter, StoreError, StoreWriteError, Timer, Version};

/// The accounts that a run holds the locks of.
pub struct Session {
    pub accounts: BTreeMap<Name, LockedAccount>,
}

/// One account's lock, and its document as it was read under it.
pub struct LockedAccount {
    pub lock: Box<dyn Lock>,
    /// A fresh document where there is none yet; it is first written with the first creation.
    pub state: AccountState,
    pub version: Option<Version>,
}

/// A session that was not had.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the state of account `{account}` could not be taken over")]
    TakeOver {
        account: Name,
        #[source]
        source: StoreWriteError,
    },
}

/// What a session is opened with.
pub struct OpenSession<'a> {
    pub store: Arc<dyn StateWriter>,
    pub timer: &'a dyn Timer,
    pub manifest: &'a Manifest,
    pub seed: &'a Seed,
    pub holder: LockHolder,
    /// How long to wait for another run.
    pub timeout: Duration,
}

impl Session {
    /// Takes the locks, in the order of the accounts' names, so that two runs cannot wait for each other.
    ///
    /// Where a lock was left or lifted, the other's lease is waited out, and the epoch is written before
    /// anything is observed, so that a late write of the other is refused.
    ///
    /// # Errors
    /// [`SessionError`]: a lock is held, or the store cannot be used. Locks already taken are given back.
    pub async fn open(open: OpenSession<'_>, accounts: &BTreeSet<Name>) -> Result<Self, SessionError> {
        let mut locked = BTreeMap::new();
        for name in accounts {
            let lock = open.store.lock(name, open.holder.clone(), open.timeout).await?;
            let left = lock.must_wait();
            if let Some(wait) = left {
                open.timer.sleep(wait).await;
            }
            let (mut state, mut version) = match open.store.read(name).await? {
                Some(stored) => (stored.state, Some(stored.version)),
                None => {
                    let Some(account) = open.manifest.accounts.get(name) else { continue };
                    let project = open.manifest.project.clone();
                    let lineage = open.seed.lineage(&project, name);
                    (AccountState::new(project, name.clone(), account.identity(), lineage), None)
                }
            };
            state.epoch += 1;
            if left.is_some() && version.is_some() {
                state.serial += 1;
                let written = open.store.write(name, &state, version.as_ref()).await;
                let written =
                    written.map_err(|source| SessionError::TakeOver { account: name.clone(), source })?;
                version = Some(written);
            }
            locked.insert(name.clone(), LockedAccount { lock, state, version });
        }
        Ok(Self { accounts: locked })
    }

    /// The documents, for planning: of accounts that have one.
    pub fn states(&self) -> BTreeMap<Name, AccountState> {
        self.accounts
            .iter()
            .filter(|(_, locked)| locked.version.is_some())
            .map(|(name, locked)| (name.clone(), locked.state.clone()))
            .collect()
    }

    /// Takes note of what was seen once everything had settled: a key that is live did not leave.
    pub fn observed(&mut self, inventory: &Inventory) {
        for (name, locked) in &mut self.accounts {
            if let Some(read) = inventory.account(name) {
                locked.state.seen_live(read.live.keys());
            }
        }
    }

    /// Gives the locks back.
    ///
    /// # Errors
    /// The first lock that could not be given back; the others are tried all the same.
    pub async fn close(self) -> Result<(), StoreError> {
        let mut result = Ok(());
        for (_, locked) in self.accounts {
            result = result.and(locked.lock.release().await);
        }
        result
    }
}
