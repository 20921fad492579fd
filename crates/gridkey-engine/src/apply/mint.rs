//! Minting: make a key and deliver its secret, so that no crash at any point loses it.
//!
//! The secret lives in memory between SendGrid's answer and the sinks, so it cannot be journaled. What is
//! journaled is the intention, by a marker that the key carries in its name until it is recorded.

use std::sync::atomic::Ordering;

use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::plan::{Change, Mint, Put};
use gridkey_core::state::transition::Minted;
use gridkey_core::state::{PendingKey, PendingPhase};
use gridkey_core::{Access, Address, KeyId, Marker, SinkLocation};

use super::account::{AccountRun, StepError};
use crate::event::Event;
use crate::ports::{CreateError, CreatedKey, PutError};
use crate::refresh;
use crate::secret::Secret;

/// How often a put is tried whose outcome is unclear. Putting the same value again changes nothing.
const PUT_ATTEMPTS: u32 = 3;

/// What to do about a billing key that SendGrid does not make.
const BY_HAND: &str =
    "SendGrid may not let this managing key make billing keys: make the key by hand, and import it";

/// What became of a delivery to one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PutResult {
    Yes,
    /// It may have been written.
    Maybe,
    /// Surely nothing was written.
    No,
}

/// A delivery that did not reach every location.
pub(crate) struct Undelivered {
    /// A location that can be read has the secret, so the next run can copy it from there.
    safe: bool,
    /// Some location has the secret, or may have it.
    perhaps: bool,
    message: String,
}

impl From<Undelivered> for StepError {
    fn from(undelivered: Undelivered) -> Self {
        let Undelivered { safe: _, perhaps: _, message } = undelivered;
        let message = format!("the secret was not delivered everywhere: {}", message.trim_end_matches("; "));
        Self::with_help(
            message,
            "the next run copies it from the sink that has it; until then the key stays pending",
        )
    }
}

/// What became of one attempt to make a key.
enum Attempt {
    Made(CreatedKey),
    /// Nothing came of it, and another attempt may be made.
    Again(StepError),
}

impl AccountRun {
    /// Makes a key, delivers it, records it, and gives it its final name.
    pub(crate) async fn mint(&self, change: &Change, mint: &Mint) -> Result<(), StepError> {
        let address = &change.address;
        let (marker, key) = self.make(address, mint).await?;
        let (account, id) = (self.account.clone(), key.id.clone());
        self.events.event(Event::Created { account, address: address.clone(), id });
        let CreatedKey { id, secret, at, scopes } = key;
        let delivered = self.deliver(address, &marker, &id, &secret, &mint.puts).await;
        // The secret's time in memory ends here, whatever comes next.
        drop(secret);
        match delivered {
            Ok(Ok(())) => {}
            Ok(Err(undelivered)) => return self.undelivered(address, &marker, &id, at, undelivered).await,
            Err(error) => return Err(error),
        }
        let minted = Minted {
            address: address.clone(),
            marker,
            id: id.clone(),
            name: mint.name.clone(),
            access: mint.access.clone(),
            reported: scopes.map(|scopes| scopes.into_iter().filter(|scope| !scope.is_automatic()).collect()),
            generation: mint.generation,
            first_made: mint.first_made,
            follows: mint.purpose.follows().cloned(),
            settings: mint.settings.clone(),
            born: at,
            by: self.options.by.clone(),
            overlap: mint.overlap,
            retire: mint.retire,
            older: mint.older,
            uncertain: mint.uncertain.clone(),
            receipts: self.receipts(),
        };
        self.record(minted).await?;
        let named = self.name_new(address, &id, &mint.name).await;
        if mint.access == Access::Full {
            self.look_at_full(address, &id, at).await;
        }
        named
    }

    /// One state write makes the key owned, and drops the pending entry.
    pub(crate) async fn record(&self, minted: Minted) -> Result<(), StepError> {
        let (account, address, id) = (self.account.clone(), minted.address.clone(), minted.id.clone());
        self.commit(move |state, at| state.record(minted, at)).await?;
        self.events.event(Event::Recorded { account, address, id });
        Ok(())
    }

    /// Makes the key, under a marker of its own for each attempt.
    async fn make(&self, address: &Address, mint: &Mint) -> Result<(Marker, CreatedKey), StepError> {
        let mut last = StepError::new("the key was not asked for");
        for marker in &mint.markers {
            if self.cancel.is_set() {
                return Err(StepError::interrupted("interrupted before the key was asked for"));
            }
            if self.full.load(Ordering::Relaxed) {
                return Err(full("not asked for, as others filled it"));
            }
            match self.attempt(address, mint, marker).await? {
                Attempt::Made(key) => return Ok((marker.clone(), key)),
                Attempt::Again(error) => last = error,
            }
        }
        Err(last)
    }

    /// Intend, then ask for the key; where the answer does not tell, find out.
    async fn attempt(&self, address: &Address, mint: &Mint, marker: &Marker) -> Result<Attempt, StepError> {
        let pending = PendingKey {
            address: address.clone(),
            purpose: mint.purpose.clone(),
            name: mint.name.clone(),
            access: mint.access.clone(),
            locations: mint.puts.iter().map(|put| put.location.clone()).collect(),
            phase: PendingPhase::Intended,
            older: mint.older,
            at: self.now(),
            by: self.options.by.clone(),
        };
        let intended = marker.clone();
        self.commit(move |state, _| state.begin(intended, pending)).await?;
        let created = {
            let _one_at_a_time = self.posting.lock().await;
            if self.cancel.is_set() {
                // Others were asked for first. Nothing was sent under this marker.
                let unused = marker.clone();
                self.commit(move |state, _| state.refused(&unused)).await?;
                return Err(StepError::interrupted("interrupted before the key was asked for"));
            }
            if self.full.load(Ordering::Relaxed) {
                Err(CreateError::CapReached("another key took the last slot".to_string()))
            } else {
                self.may_start(self.writer.deadline()).await?;
                self.writer.create(&marker.pending_name(&mint.name), &mint.access).await
            }
        };
        let refused = marker.clone();
        match created {
            Ok(key) => Ok(Attempt::Made(key)),
            Err(CreateError::CapReached(reason)) => {
                self.full.store(true, Ordering::Relaxed);
                self.commit(move |state, _| state.refused(&refused)).await?;
                Err(full(reason))
            }
            Err(CreateError::Unauthorized(reason)) => {
                self.commit(move |state, _| state.refused(&refused)).await?;
                let error = CreateError::Unauthorized(reason);
                self.stop(error.to_string());
                Err(StepError::with_help(error.to_string(), error.help()))
            }
            Err(error @ (CreateError::Forbidden(_) | CreateError::Refused(_) | CreateError::NotSent(_))) => {
                self.commit(move |state, _| state.refused(&refused)).await?;
                Err(StepError::with_help(format!("the key could not be made: {error}"), error.help()))
            }
            Err(error @ (CreateError::ServerError(_) | CreateError::Unclear(_))) => {
                self.await_unclear_creation(address, marker).await?;
                let help = match (&error, &mint.access) {
                    (CreateError::ServerError(_), Access::Billing(_)) => BY_HAND,
                    _ => error.help(),
                };
                let message = format!("the key could not be made: {error}");
                Ok(Attempt::Again(StepError::with_help(message, help)))
            }
        }
    }

    /// Lists the account until it is sure whether a key with the marker exists, and revokes it if so: its
    /// secret was in the answer that was lost.
    async fn await_unclear_creation(&self, address: &Address, marker: &Marker) -> Result<(), StepError> {
        let asked = self.now();
        loop {
            let listing = self.writer.list().await.map_err(|error| {
                StepError::with_help(
                    format!("whether SendGrid made the key is not known: {error}"),
                    "the next run finds out, and revokes it if so",
                )
            })?;
            let made: Vec<_> = listing
                .keys
                .iter()
                .filter(|(_, name)| Marker::in_name(name).as_ref() == Some(marker))
                .collect();
            let found = !made.is_empty();
            for (id, _) in made {
                self.revoke(address, id, asked).await?;
            }
            let left = self.lag_left(asked);
            let (false, Some(remaining)) = (found, left) else { break };
            if self.cancel.is_set() {
                let message = "interrupted while SendGrid's answer was being watched for";
                return Err(StepError::with_help(message, "the next run finds out what became of the key"));
            }
            let (account, address) = (self.account.clone(), address.clone());
            self.events.event(Event::Watching { account, address, remaining });
            self.pause(refresh::step(remaining, self.options.read_lag)).await;
        }
        let marker = marker.clone();
        self.commit(move |state, at| state.abandon(&marker, at)).await
    }

    /// Gives the secret to every location, those first that can be read. The outer error is one of state or
    /// lock; the inner one says which locations were not reached.
    pub(crate) async fn deliver(
        &self,
        address: &Address,
        marker: &Marker,
        id: &KeyId,
        secret: &Secret,
        puts: &[Put],
    ) -> Result<Result<(), Undelivered>, StepError> {
        let mut undelivered = Undelivered { safe: false, perhaps: false, message: String::new() };
        let mut complete = true;
        let mut announced = false;
        // An earlier run may have begun with these locations, and what it wrote there may land after what this one does.
        let mut was_begun = false;
        for put in puts {
            let location = &put.location;
            if !location.at.is_readable() && !announced {
                let begun = self.committer.pending(marker).await.map(|pending| pending.phase);
                was_begun = begun == Some(PendingPhase::Delivering);
                let marker = marker.clone();
                self.commit(move |state, _| state.delivering(&marker)).await?;
                announced = true;
            }
            let (took, reason) = self.put(id, secret, put).await?;
            match took {
                PutResult::Yes => {
                    if was_begun && !location.at.is_readable() {
                        self.received(location, id, None);
                    }
                    let (address, id) = (address.clone(), id.clone());
                    self.events.event(Event::Delivered { address, id, location: location.clone() });
                    undelivered.safe |= location.at.is_readable();
                    undelivered.perhaps = true;
                }
                PutResult::Maybe => undelivered.perhaps = true,
                PutResult::No => {}
            }
            if took != PutResult::Yes {
                complete = false;
                undelivered.message.push_str(&format!("{location}: {reason}; "));
            }
        }
        // Something between gridkey and the service may say no to what has come about.
        if !complete && !undelivered.safe && !undelivered.perhaps {
            for put in puts.iter().filter(|put| put.location.at.is_readable()) {
                undelivered.safe |= self.observes(&put.location, id).await;
            }
        }
        Ok(if complete { Ok(()) } else { Err(undelivered) })
    }

    /// One location. An unclear put is repeated; reading back may confirm it, and never denies it.
    async fn put(&self, id: &KeyId, secret: &Secret, put: &Put) -> Result<(PutResult, String), StepError> {
        let location = &put.location;
        let mut took = PutResult::No;
        let mut message = String::new();
        for _ in 0..PUT_ATTEMPTS {
            // It may wait for a write of state, and the lease is looked at last.
            let known = self.known(location).await;
            self.may_start(self.sinks.deadline(location)).await?;
            match self.sinks.put(location, secret, &put.replaces, known.as_ref()).await {
                Ok(receipt) => {
                    // One whose answer was lost may land after this one, and has another version then.
                    let is_last = took == PutResult::No || location.at.is_readable();
                    self.received(location, id, receipt.filter(|_| is_last));
                    return Ok((PutResult::Yes, String::new()));
                }
                Err(PutError::Refused(error)) => {
                    message = error.with_help();
                    break;
                }
                Err(PutError::NoRoom(error)) => {
                    self.no_room.store(true, Ordering::Relaxed);
                    message = error.with_help();
                    break;
                }
                Err(PutError::Unclear(error)) => {
                    took = PutResult::Maybe;
                    message = error.with_help();
                }
            }
        }
        if took == PutResult::Maybe && self.observes(location, id).await {
            return Ok((PutResult::Yes, String::new()));
        }
        Ok((took, message))
    }

    /// Whether a location is seen to hold the key.
    pub(crate) async fn observes(&self, location: &SinkLocation, id: &KeyId) -> bool {
        matches!(
            self.observe(location).await,
            SinkObservation::Holds(SinkContent::Key(held)) if held == *id
        )
    }

    /// Forward where the secret survives; back where surely no sink has it; otherwise wait.
    async fn undelivered(
        &self,
        address: &Address,
        marker: &Marker,
        id: &KeyId,
        born: jiff::Timestamp,
        undelivered: Undelivered,
    ) -> Result<(), StepError> {
        let Undelivered { safe, perhaps, message: _ } = undelivered;
        let error = StepError::from(undelivered);
        if safe {
            return Err(error);
        }
        if perhaps {
            let help = "a sink may have it all the same; the next run looks, and replaces the key if it must";
            return Err(StepError::with_help(error.message, help));
        }
        self.revoke(address, id, born).await?;
        let marker = marker.clone();
        self.commit(move |state, at| state.abandon(&marker, at)).await?;
        let help = "no sink took it, so the key was revoked; run again once the sink works";
        Err(StepError::with_help(error.message, help))
    }
}

fn full(reason: impl Into<String>) -> StepError {
    let error = CreateError::CapReached(reason.into());
    StepError::with_help(error.to_string(), error.help())
}
