//! The steps besides minting and changes in place: recover, retire, delete, deliver, record.

use std::collections::BTreeSet;

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::plan::{Change, Delete, FinishPending, Put, Step};
use gridkey_core::state::PendingKey;
use gridkey_core::state::transition::Minted;
use gridkey_core::{Access, Address, KeyId, Marker, SinkLocation};
use jiff::Timestamp;

use super::account::{AccountRun, StepError};
use crate::event::Event;
use crate::ports::{PutError, SinkFault};
use crate::secret::Secret;

impl AccountRun {
    pub(crate) async fn step(&self, change: &Change, step: &Step) -> Result<(), StepError> {
        let address = &change.address;
        match step {
            // All moves of a run are one write, before the first step.
            Step::Move { .. } => Ok(()),
            Step::Adopt(adopt) => {
                let (key, new, by) = (address.clone(), adopt.clone(), self.options.by.clone());
                self.commit(move |state, at| state.adopted(&key, new.owned(by, at))).await?;
                let (account, address, id) = (self.account.clone(), address.clone(), adopt.id.clone());
                self.events.event(Event::Adopted { account, address, id });
                Ok(())
            }
            Step::Forget { id } => {
                let (key, owned) = (address.clone(), id.clone());
                self.commit(move |state, _| state.forgotten(&key, &owned)).await?;
                let (account, address, id) = (self.account.clone(), address.clone(), id.clone());
                self.events.event(Event::Forgotten { account, address, id });
                Ok(())
            }
            Step::RevokeFirst { id, born } => {
                let (key, owned) = (address.clone(), id.clone());
                self.commit(move |state, at| state.making_room(&key, &owned, at)).await?;
                self.revoke(address, id, *born).await
            }
            Step::RevokeOlder { id, born } => {
                self.revoke(address, id, *born).await?;
                let (address, id) = (address.clone(), id.clone());
                self.commit(move |state, _| state.retired(&address, &id)).await
            }
            Step::FinishPending(finish) => self.finish(address, finish).await,
            Step::RevokePending { marker, id } => {
                self.revoke_pending(address, marker, id).await?;
                self.abandon(marker).await
            }
            Step::DiscardPending { marker, id, clear } => {
                self.revoke_pending(address, marker, id).await?;
                self.clear(address, clear, &BTreeSet::from([id.clone()])).await?;
                self.abandon(marker).await
            }
            Step::AbandonPending { marker } => self.abandon(marker).await,
            // An abandoned marker was last expected long before its key was seen.
            Step::RevokeAbandoned { id } => self.revoke(address, id, Timestamp::UNIX_EPOCH).await,
            Step::RetireKey { id, born, look } => self.retire_key(address, id, *born, look).await,
            Step::PostponeRetirement { id, overlap } => {
                let (address, id, overlap) = (address.clone(), id.clone(), *overlap);
                self.commit(move |state, at| state.postpone(&address, &id, overlap, at)).await
            }
            Step::RetireLocation { location, holding, kept_for } => {
                if kept_for.is_none() {
                    self.clear(address, std::slice::from_ref(location), holding).await?;
                }
                let (address, location) = (address.clone(), location.id());
                self.commit(move |state, _| state.location_retired(&address, &location)).await
            }
            Step::Delete(delete) => self.delete(address, delete).await,
            Step::Rename { id, name } => self.name(address, id, name).await,
            Step::Update { id, name, access, patterns } => {
                self.update(address, id, name, access, patterns).await
            }
            Step::Deliver { id, source, to, hooks } => {
                self.announcing(address, hooks, to).await?;
                self.copy(address, id, source, to).await
            }
            Step::RunHooks { hooks, begun: _, due: _ } => self.run_hooks(address, hooks).await,
            Step::Record(settings) => {
                let (address, settings) = (address.clone(), settings.clone());
                let receipts = self.receipts();
                self.commit(move |state, at| state.settle(&address, settings, &receipts, at)).await
            }
            Step::Mint(mint) => self.mint(change, mint).await,
        }
    }

    async fn abandon(&self, marker: &Marker) -> Result<(), StepError> {
        let marker = marker.clone();
        self.commit(move |state, at| state.abandon(&marker, at)).await
    }

    async fn pending(&self, marker: &Marker) -> Option<PendingKey> {
        self.committer.pending(marker).await
    }

    async fn revoke_pending(&self, address: &Address, marker: &Marker, id: &KeyId) -> Result<(), StepError> {
        let begun = self.pending(marker).await.map_or(Timestamp::UNIX_EPOCH, |pending| pending.at);
        self.revoke(address, id, begun).await
    }

    /// A creation that broke off after a sink took the secret: copy it where it is missing, and record it.
    async fn finish(&self, address: &Address, finish: &FinishPending) -> Result<(), StepError> {
        let FinishPending {
            marker,
            id,
            source,
            puts,
            generation,
            first_made,
            settings,
            overlap,
            retire,
            uncertain,
        } = finish;
        let Some(pending) = self.pending(marker).await else {
            return Err(StepError::new(format!("state no longer knows the creation {marker}")));
        };
        if !puts.is_empty() {
            let secret = self.read(id, source).await?;
            if let Err(undelivered) = self.deliver(address, marker, id, &secret, puts).await? {
                return Err(undelivered.into());
            }
        }
        let (is_full, born) = (pending.access == Access::Full, pending.at);
        let minted = Minted {
            address: address.clone(),
            marker: marker.clone(),
            id: id.clone(),
            name: pending.name,
            access: pending.access,
            reported: None,
            generation: *generation,
            first_made: *first_made,
            follows: pending.purpose.follows().cloned(),
            settings: settings.clone(),
            born: pending.at,
            by: pending.by,
            overlap: *overlap,
            retire: *retire,
            older: pending.older,
            uncertain: uncertain.clone(),
            receipts: self.receipts(),
        };
        self.record(minted).await?;
        if is_full {
            self.look_at_full(address, id, born).await;
        }
        Ok(())
    }

    /// The secret of a key, from a location that has it.
    async fn read(&self, id: &KeyId, source: &SinkLocation) -> Result<Secret, StepError> {
        let read = self.sinks.read(source).await;
        let secret = read.map_err(|error| {
            let message = format!("{source} could not be read: {error}");
            StepError::with_help(message, "make the sink readable, and run again")
        })?;
        secret.filter(|secret| secret.key_id().as_ref() == Some(id)).ok_or_else(|| {
            StepError::with_help(format!("{source} no longer holds the key {id}"), "run again")
        })
    }

    /// Copies a secret to locations that should have it.
    async fn copy(
        &self,
        address: &Address,
        id: &KeyId,
        source: &SinkLocation,
        to: &[Put],
    ) -> Result<(), StepError> {
        let secret = self.read(id, source).await?;
        let mut failed = Vec::new();
        for Put { location, replaces, foreign: _ } in to {
            // It may wait for a write of state, and the lease is looked at last.
            let known = self.known(location).await;
            let is_readable = location.at.is_readable();
            let is_last = is_readable || self.is_last(address, location).await;
            if known.is_some() && !is_readable {
                self.may_be_given(address, location).await?;
            }
            self.may_start(self.sinks.deadline(location)).await?;
            match self.sinks.put(location, &secret, replaces, known.as_ref()).await {
                Ok(receipt) => {
                    self.received(location, id, receipt.filter(|_| is_last));
                    let (address, id) = (address.clone(), id.clone());
                    self.events.event(Event::Delivered { address, id, location: location.clone() });
                }
                Err(PutError::Unclear(_)) if self.observes(location, id).await => {}
                Err(error @ PutError::Unclear(_)) if !is_readable => {
                    self.may_be_given(address, location).await?;
                    failed.push(format!("{location}: {error}"));
                }
                Err(error) => failed.push(format!("{location}: {error}")),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        let message = format!("the secret was not delivered everywhere: {}", failed.join("; "));
        Err(StepError::with_help(message, "the next run tries again"))
    }

    /// State no longer says of a location that never tells its value that it has the secret, and goes on to know of it.
    async fn may_be_given(&self, address: &Address, location: &SinkLocation) -> Result<(), StepError> {
        let (address, location) = (address.clone(), location.clone());
        self.commit(move |state, at| state.may_be_given(&address, &location, at)).await
    }

    /// Whether a write to a location is the last: one of before, whose answer was lost, could land after it and would have another
    /// version.
    async fn is_last(&self, address: &Address, location: &SinkLocation) -> bool {
        let deadline = self.sinks.deadline(location);
        let until = self.committer.may_be_given_until(address, &location.id(), deadline).await;
        until.is_none_or(|until| until <= self.now())
    }

    /// Retirement looks first: a sink that still has the older key would stop working.
    async fn retire_key(
        &self,
        address: &Address,
        id: &KeyId,
        born: Timestamp,
        look: &[SinkLocation],
    ) -> Result<(), StepError> {
        self.no_sink_serves(id, look).await?;
        self.revoke(address, id, born).await?;
        let (address, id) = (address.clone(), id.clone());
        self.commit(move |state, _| state.retired(&address, &id)).await
    }

    async fn no_sink_serves(&self, id: &KeyId, look: &[SinkLocation]) -> Result<(), StepError> {
        for location in look {
            match self.observe(location).await {
                SinkObservation::Holds(SinkContent::Key(held)) if held == *id => {
                    return Err(StepError::with_help(
                        format!("{location} went back to the older key {id}, so it was not revoked"),
                        "the next run delivers the current key there",
                    ));
                }
                SinkObservation::Unreadable(reason) => {
                    let message = format!("{location} cannot be read ({reason}), so {id} was not revoked");
                    return Err(StepError::with_help(
                        message,
                        "make the sink readable; the next run looks again",
                    ));
                }
                SinkObservation::Holds(_) | SinkObservation::WriteOnly => {}
            }
        }
        Ok(())
    }

    /// Revokes every key of an address, then clears the locations that still hold one of them.
    async fn delete(&self, address: &Address, delete: &Delete) -> Result<(), StepError> {
        let Delete { keys, abandon, clear, look, successors: _ } = delete;
        for key in keys {
            self.no_sink_serves(&key.id, look).await?;
        }
        for key in keys {
            self.revoke(address, &key.id, key.born).await?;
        }
        let ids = keys.iter().map(|key| key.id.clone()).collect();
        self.clear(address, clear, &ids).await?;
        let (address, abandon) = (address.clone(), abandon.clone());
        self.commit(move |state, at| state.deleted(&address, &abandon, at)).await
    }

    /// Clears locations that hold one of the keys; one that never tells was given it by state's word.
    async fn clear(
        &self,
        address: &Address,
        locations: &[SinkLocation],
        ids: &BTreeSet<KeyId>,
    ) -> Result<(), StepError> {
        for location in locations {
            match self.observe(location).await {
                SinkObservation::Holds(SinkContent::Key(held)) if ids.contains(&held) => {}
                SinkObservation::Holds(_) => continue,
                SinkObservation::WriteOnly => {}
                SinkObservation::Unreadable(reason) => {
                    let message = format!("{location} could not be cleared: it cannot be read ({reason})");
                    return Err(StepError::with_help(
                        message,
                        "make the sink readable; the next run tries again",
                    ));
                }
            }
            self.may_start(self.sinks.deadline(location)).await?;
            let (address, location) = (address.clone(), location.clone());
            match self.sinks.remove(&location).await {
                Ok(()) => self.events.event(Event::Cleared { address, location }),
                Err(error) if error.fault == SinkFault::Unsupported => {
                    self.events.event(Event::NotCleared { address, location, reason: error.message });
                }
                Err(error) => {
                    let message = format!("{location} could not be cleared: {}", error.with_help());
                    return Err(StepError::with_help(message, "the next run tries again"));
                }
            }
        }
        Ok(())
    }
}
