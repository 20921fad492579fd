//! Changes of a key as it is: its name and its scopes, and what SendGrid holds of them afterwards.

use std::collections::BTreeSet;

use gridkey_core::inventory::Grantable;
use gridkey_core::plan::may_be_full;
use gridkey_core::state::transition::Held;
use gridkey_core::{Access, Address, KeyId, Scope};
use jiff::Timestamp;

use super::account::{AccountRun, StepError};
use super::{LessThanFull, unlocked};
use crate::event::Event;
use crate::ports::WriteError;
use crate::refresh;

impl AccountRun {
    /// Puts a name right, and finds out what SendGrid holds of it: what it does not hold is not asked for again.
    pub(super) async fn name(&self, address: &Address, id: &KeyId, name: &str) -> Result<(), StepError> {
        let asked = self.now();
        let answered = self.rename(address, id, name).await?;
        self.note_name(address, id, name, answered, asked).await
    }

    /// Gives a new key its final name. Nothing more is asked where the answer says that SendGrid holds it.
    pub(super) async fn name_new(&self, address: &Address, id: &KeyId, name: &str) -> Result<(), StepError> {
        let asked = self.now();
        let answered = self.rename(address, id, name).await?;
        match answered.as_ref().is_some_and(|held| held != name) {
            true => self.note_name(address, id, name, answered, asked).await,
            false => Ok(()),
        }
    }

    /// The name that the answer says SendGrid holds, where it says so.
    async fn rename(&self, address: &Address, id: &KeyId, name: &str) -> Result<Option<String>, StepError> {
        self.may_start(self.writer.deadline()).await?;
        let answered = self.writer.rename(id, name).await.map_err(|error| {
            let message = format!("key {id} could not be named `{name}`: {error}");
            let help = match &error {
                WriteError::NotFound => error.help().to_string(),
                WriteError::Unclear(_) => "the key works; the next run names it".to_string(),
                WriteError::Unauthorized(_)
                | WriteError::Forbidden(_)
                | WriteError::Refused(_)
                | WriteError::NotSent(_) => format!("the key works; {}", error.help()),
            };
            StepError::with_help(message, help)
        })?;
        let (account, address) = (self.account.clone(), address.clone());
        self.events.event(Event::Renamed { account, address, id: id.clone(), name: name.to_string() });
        Ok(answered)
    }

    /// Reads a name back, and records what is held.
    async fn note_name(
        &self,
        address: &Address,
        id: &KeyId,
        name: &str,
        answered: Option<String>,
        asked: Timestamp,
    ) -> Result<(), StepError> {
        let read = loop {
            let read = match self.writer.held(id).await {
                Ok(held) => held.and_then(|held| held.name),
                // The answer to the request has said it already.
                Err(_) if answered.is_some() => break None,
                Err(error) => {
                    let message = format!("key {id} was named, and could not be read back: {error}");
                    return Err(StepError::with_help(message, "the next run looks again"));
                }
            };
            // Where a read says what the answer said, it has heard of the request.
            let is_fresh = read.is_some() && (read.as_deref() == Some(name) || read == answered);
            match self.lag_left(asked).filter(|_| !is_fresh) {
                None => break read,
                Some(_) if self.cancel.is_set() => break None,
                Some(remaining) => {
                    self.pause(refresh::step(remaining, self.options.read_lag)).await;
                }
            }
        };
        let held = read.or(answered).unwrap_or_else(|| name.to_string());
        self.say_name(address, id, name, &held);
        let (address, name) = (address.clone(), name.to_string());
        self.commit(move |state, _| state.renamed(&address, &name, &held)).await
    }

    fn say_name(&self, address: &Address, id: &KeyId, asked: &str, held: &str) {
        if asked == held {
            return;
        }
        let (account, address, id) = (self.account.clone(), address.clone(), id.clone());
        let (asked, held) = (asked.to_string(), held.to_string());
        self.events.event(Event::NameNotHeld { account, address, id, asked, held });
    }

    /// Replaces name and scopes, and reads back what SendGrid holds: its answer does not say.
    pub(super) async fn update(
        &self,
        address: &Address,
        id: &KeyId,
        name: &str,
        access: &Access,
        patterns: &BTreeSet<String>,
    ) -> Result<(), StepError> {
        let Some(scopes) = access.scopes() else {
            return Err(StepError::new(format!(
                "`{address}` has Full Access, which is not updated by scopes"
            )));
        };
        self.may_start(self.writer.deadline()).await?;
        let asked = self.now();
        let written = self.writer.update(id, name, scopes).await;
        if let Some(error) = written.as_ref().err().filter(|error| !error.is_unclear()) {
            return Err(StepError::with_help(
                format!("key {id} could not be updated: {error}"),
                error.help(),
            ));
        }
        let held = loop {
            let held = self.held_of(id).await?;
            let is_fresh =
                &held.scopes == scopes.as_set() && held.name.as_ref().is_none_or(|held| held == name);
            match self.lag_left(asked).filter(|_| !is_fresh) {
                None => break held,
                // A name that was read too early is not taken for what is held.
                Some(_) if self.cancel.is_set() => break Held { name: None, ..held },
                Some(remaining) => {
                    self.pause(refresh::step(remaining, self.options.read_lag)).await;
                }
            }
        };
        if let (Err(error), false) = (written, &held.scopes == scopes.as_set()) {
            let message = format!("key {id} may not have been updated: {error}");
            return Err(StepError::with_help(message, "the next run looks again"));
        }
        self.say_name(address, id, name, held.name.as_deref().unwrap_or(name));
        let (key, new, access, patterns) =
            (address.clone(), name.to_string(), access.clone(), patterns.clone());
        self.commit(move |state, _| state.updated(&key, &new, access, patterns, held)).await?;
        let (account, address) = (self.account.clone(), address.clone());
        self.events.event(Event::Updated { account, address, id: id.clone() });
        Ok(())
    }

    /// Name and scopes of a key that was updated, without automatic scopes.
    async fn held_of(&self, id: &KeyId) -> Result<Held, StepError> {
        let held = self.writer.held(id).await.map_err(|error| {
            let message = format!("key {id} was updated, and could not be read back: {error}");
            StepError::with_help(message, "the next run looks again")
        })?;
        Ok(match held {
            Some(held) => Held { name: held.name, scopes: lasting(held.scopes) },
            None => Held { name: None, scopes: BTreeSet::new() },
        })
    }

    /// Looks whether a new key really has Full Access: what SendGrid gives where the managing key is restricted itself
    /// is unknown. The key is made and delivered, so that nothing is undone; what it got is said.
    pub(super) async fn look_at_full(&self, address: &Address, id: &KeyId, born: Timestamp) {
        let scopes = loop {
            match (self.writer.held(id).await, self.lag_left(born)) {
                (Ok(Some(held)), _) => break lasting(held.scopes),
                (Ok(None), Some(remaining)) if !self.cancel.is_set() => {
                    self.pause(refresh::step(remaining, self.options.read_lag)).await;
                }
                (Ok(None), _) => return,
                (Err(error), _) => {
                    tracing::warn!(%error, %address, "whether the key got Full Access could not be seen");
                    return;
                }
            }
        };
        if may_be_full(&scopes, &Grantable::NotAsked) {
            return;
        }
        let less = LessThanFull {
            account: self.account.clone(),
            address: address.clone(),
            id: id.clone(),
            scopes: scopes.clone(),
        };
        unlocked(&self.less_than_full).push(less.clone());
        self.events.event(Event::LessThanFull(less));
    }
}

/// Scopes without those that SendGrid adds by itself.
fn lasting(scopes: BTreeSet<Scope>) -> BTreeSet<Scope> {
    scopes.into_iter().filter(|scope| !scope.is_automatic()).collect()
}
