//! The store, with locks that are leases.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::Name;
use gridkey_core::state::AccountState;
use gridkey_engine::ports::{
    Lock, LockError, LockHolder, StateReader, StateWriter, StoreError, StoreWriteError, Stored, Version,
};

use super::{Answer, Effect, Flight, Inner, LEASE, LockEntry, Process};

impl Inner {
    /// Writes state, if nobody else has since; a lower epoch is always somebody who lost the lock.
    pub(super) fn write_state(&mut self, state: AccountState, expected: Option<u64>) -> bool {
        let current = self.states.get(&state.account);
        let version = current.map(|(version, _)| *version);
        let older = current.is_some_and(|(_, stored)| stored.epoch > state.epoch);
        if version != expected || older {
            self.log(|| "state write refused".to_string());
            return false;
        }
        let next = version.unwrap_or_default() + 1;
        self.states.insert(state.account.clone(), (next, state));
        true
    }

    /// Another run writes every state that there is, twice, by a lock of its own.
    pub fn written_by_another_run(&mut self) {
        for (version, state) in self.states.values_mut() {
            *version += 2;
            state.serial += 2;
        }
    }
}

#[async_trait]
impl StateReader for Process {
    async fn read(&self, account: &Name) -> Result<Option<Stored>, StoreError> {
        let inner = self.live().await;
        let stored = inner.states.get(account).cloned();
        Ok(stored.map(|(version, state)| Stored { state, version: Version(version.to_string()) }))
    }

    async fn accounts(&self) -> Result<Vec<Name>, StoreError> {
        let inner = self.live().await;
        Ok(inner.states.keys().cloned().collect())
    }

    async fn exists(&self) -> Result<bool, StoreError> {
        Ok(!self.live().await.states.is_empty())
    }

    async fn holder(&self, _account: &Name) -> Result<Option<LockHolder>, StoreError> {
        Ok(None)
    }

    fn describe(&self) -> String {
        "memory".to_string()
    }
}

#[async_trait]
impl StateWriter for Process {
    /// Takes the lock from whoever has it, as a person does who runs `state unlock` first.
    async fn lock(
        &self,
        account: &Name,
        _holder: LockHolder,
        _timeout: Duration,
    ) -> Result<Box<dyn Lock>, LockError> {
        let mut inner = self.live().await;
        let now = inner.now;
        let left = inner.locks.get(account).map(|entry| entry.until.saturating_sub(now));
        let until = now + left.unwrap_or_default() + LEASE;
        let run = self.run;
        inner.locks.insert(account.clone(), LockEntry { run, until });
        inner.leases.insert((run, account.clone()), until);
        inner.log(|| format!("r{run} lock of {account}, waits {left:?}"));
        let (process, account) = (self.clone(), account.clone());
        Ok(Box::new(Lease { process, account, left, until: std::sync::Mutex::new(until) }))
    }

    async fn write(
        &self,
        account: &Name,
        state: &AccountState,
        expected: Option<&Version>,
    ) -> Result<Version, StoreWriteError> {
        let expected = expected.map(|version| version.0.parse().expect("a version of this store"));
        let ids = state.keys.iter().map(|(address, key)| (address.to_string(), key.id.as_str()));
        let what = format!(
            "state of {account} {} {:?} {:?}",
            state.serial,
            ids.collect::<Vec<_>>(),
            state.pending.keys()
        );
        let next = expected.unwrap_or_default() + 1;
        let flight = Flight::StateWrite { state: Box::new(state.clone()), expected };
        match self.effect(Effect::StateWrite, &what, flight).await {
            Answer::Done => {
                let inner = self.live().await;
                let mine = inner
                    .states
                    .get(account)
                    .is_some_and(|(version, stored)| *version == next && stored == state);
                if mine { Ok(Version(next.to_string())) } else { Err(StoreWriteError::Conflict) }
            }
            Answer::Refused => Err(StoreWriteError::Failed("disk full".to_string())),
            Answer::Lost => Err(StoreWriteError::Unclear("connection reset".to_string())),
        }
    }

    async fn lift(&self, _account: &Name) -> Result<Option<LockHolder>, StoreError> {
        Ok(None)
    }
}

/// A lock that is a lease.
struct Lease {
    process: Process,
    account: Name,
    left: Option<Duration>,
    /// When the lease ends, by the last renewal that its holder heard of.
    until: std::sync::Mutex<Duration>,
}

impl Lease {
    fn until(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Lock for Lease {
    fn remaining(&self) -> Option<Duration> {
        Some(self.until().saturating_sub(self.process.world.lock().now))
    }

    fn must_wait(&self) -> Option<Duration> {
        self.left
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let mut inner = self.process.live().await;
        let until = inner.now + LEASE;
        match inner.locks.get_mut(&self.account) {
            Some(entry) if entry.run == self.process.run => {
                entry.until = until;
                *self.until() = until;
                inner.leases.insert((self.process.run, self.account.clone()), until);
                Ok(())
            }
            Some(_) | None => Err(StoreError::Failed("the lock was lifted".to_string())),
        }
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        let mut inner = self.process.live().await;
        if inner.locks.get(&self.account).is_some_and(|entry| entry.run == self.process.run) {
            inner.locks.remove(&self.account);
        }
        Ok(())
    }
}
