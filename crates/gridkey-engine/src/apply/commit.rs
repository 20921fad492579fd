//! State writes: durable before what depends on them, and grouped where several keys wait for one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gridkey_core::state::{AccountState, OwnedKey, PendingKey};
use gridkey_core::{Address, Known, LocationId, Marker, Name};
use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use crate::ports::{StateWriter, StoreWriteError, Timer, Version};

/// How often a write is tried that failed or whose outcome is unclear.
const ATTEMPTS: u32 = 3;

/// How long to wait before a further try.
const PAUSE: Duration = Duration::from_millis(500);

type Mutation = Box<dyn FnOnce(&mut AccountState) + Send>;

/// A change to be written, and who waits for it.
type Waiting = (Mutation, oneshot::Sender<Result<(), CommitError>>);

/// Writes one account's document.
pub(crate) struct Committer {
    account: Name,
    store: Arc<dyn StateWriter>,
    timer: Arc<dyn Timer>,
    waiting: Mutex<Vec<Waiting>>,
    current: AsyncMutex<Current>,
}

struct Current {
    state: AccountState,
    version: Option<Version>,
    /// Set once another run's write was met: nothing may be written any more.
    lost: Option<CommitError>,
}

/// State could not be written.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// Another run has the state now.
    #[error("the state of account `{0}` was changed by another run")]
    TakenOver(Name),
    #[error("the state of account `{account}` could not be written: {message}")]
    Failed { account: Name, message: String },
}

impl Committer {
    pub fn new(
        account: Name,
        store: Arc<dyn StateWriter>,
        timer: Arc<dyn Timer>,
        state: AccountState,
        version: Option<Version>,
    ) -> Self {
        let current = AsyncMutex::new(Current { state, version, lost: None });
        Self { account, store, timer, waiting: Mutex::default(), current }
    }

    /// Changes state, and returns once the change is durable. Changes that come in while another is being
    /// written go into one write together.
    pub async fn commit(
        &self,
        change: impl FnOnce(&mut AccountState) + Send + 'static,
    ) -> Result<(), CommitError> {
        let (done, mut written) = oneshot::channel();
        self.queue().push((Box::new(change), done));
        let mut current = self.current.lock().await;
        // Whoever held the document before may have written this change along with its own.
        if let Ok(result) = written.try_recv() {
            return result;
        }
        let batch = std::mem::take(&mut *self.queue());
        let (changes, waiting): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let result = self.write(&mut current, changes).await;
        for waiter in waiting {
            // A receiver is gone only where its key's work was dropped.
            let _ = waiter.send(result.clone());
        }
        result
    }

    /// A creation that state has begun.
    pub async fn pending(&self, marker: &Marker) -> Option<PendingKey> {
        self.current.lock().await.state.pending.get(marker).cloned()
    }

    /// A key that state owns.
    pub async fn owned(&self, address: &Address) -> Option<OwnedKey> {
        self.current.lock().await.state.keys.get(address).cloned()
    }

    /// What state knows of a location.
    pub async fn known(&self, location: &LocationId) -> Option<Known> {
        let current = self.current.lock().await;
        current.state.known().find(|(id, _)| id == location).map(|(_, known)| known)
    }

    /// Until when a write whose answer was lost may still reach a location.
    pub async fn may_be_given_until(
        &self,
        address: &Address,
        location: &LocationId,
        deadline: Duration,
    ) -> Option<Timestamp> {
        self.current.lock().await.state.may_be_given_until(address, location, deadline)
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, current: &mut Current, changes: Vec<Mutation>) -> Result<(), CommitError> {
        if let Some(lost) = &current.lost {
            return Err(lost.clone());
        }
        let mut next = current.state.clone();
        for change in changes {
            change(&mut next);
        }
        next.serial += 1;
        let mut message = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.timer.sleep(PAUSE * attempt).await;
            }
            match self.store.write(&self.account, &next, current.version.as_ref()).await {
                Ok(version) => {
                    current.state = next;
                    current.version = Some(version);
                    return Ok(());
                }
                // After an unclear write, the change that stands in the way can be our own.
                Err(StoreWriteError::Conflict) => match self.store.read(&self.account).await {
                    Ok(Some(stored)) if stored.state == next => {
                        current.state = next;
                        current.version = Some(stored.version);
                        return Ok(());
                    }
                    Ok(_) => {
                        let lost = CommitError::TakenOver(self.account.clone());
                        current.lost = Some(lost.clone());
                        return Err(lost);
                    }
                    Err(error) => message = error.to_string(),
                },
                Err(StoreWriteError::Unclear(reason) | StoreWriteError::Failed(reason)) => message = reason,
            }
        }
        // Whether the last try was written is not known, so nothing may be built on it.
        let failed = CommitError::Failed { account: self.account.clone(), message };
        current.lost = Some(failed.clone());
        Err(failed)
    }
}
