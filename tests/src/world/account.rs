//! The accounts at SendGrid.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::UnreadableReason;
use gridkey_core::{Access, KeyId, Name, Scope, Scopes};
use gridkey_engine::Secret;
use gridkey_engine::ports::{
    AccountReader, AccountWriter, CreateError, CreatedKey, Deleted, HeldKey, Listing, ReadError, WriteError,
};
use jiff::Timestamp;

use super::{Answer, DEADLINE, Effect, Flight, Inner, Key, LATE, OVERLAP, PLANS, Process, READ_LAG};

/// One account, as a run sees it.
pub(super) struct AccountPort {
    pub(super) process: Process,
    pub(super) account: Name,
}

impl Inner {
    /// Makes a key.
    pub fn make(&mut self, account: &Name, name: String, access: Access, foreign: bool) -> KeyId {
        self.made += 1;
        let id = KeyId::new(format!("key{:019}", self.made));
        let secret = format!("SG.{id}.{:043}", self.made * 7919);
        self.log(|| format!("made {id} `{name}` in {account}"));
        let key_account = account.clone();
        let name = self.kept(&name);
        let born = self.now;
        self.keys.insert(
            id.clone(),
            Key { account: key_account, name, access, secret, foreign, born, revoked: None },
        );
        if self.live_count(account) > self.limit {
            self.break_promise("over the cap".to_string());
        }
        id
    }

    /// Revokes a key, and looks whether anybody reads it.
    pub fn revoke(&mut self, id: &KeyId) {
        let now = self.now;
        let Some(key) = self.keys.get_mut(id).filter(|key| key.revoked.is_none()) else { return };
        key.revoked = Some(now);
        if key.foreign {
            self.break_promise(format!("accident: the foreign key {id} was revoked"));
        }
        if self.given_up.contains(id) {
            self.log(|| format!("revoked {id}, which was given up"));
            return;
        }
        let holder =
            self.read_by_consumers.iter().find(|location| self.held(location).as_ref() == Some(id)).cloned();
        if let Some(location) = holder {
            self.break_promise(format!("outage: {location} holds {id}, which was revoked"));
        }
        let served = self.served.iter().find(|((served, location), until)| {
            served == id && now < **until + OVERLAP && self.is_read(location)
        });
        if let Some(until) = served.map(|(_, until)| until.as_secs()) {
            self.break_promise(format!("outage: {id} was served until t{until}, and revoked"));
        }
        self.log(|| format!("revoked {id}"));
    }

    /// Whether a read may still miss something that happened then.
    fn is_stale(&self, since: Duration) -> bool {
        self.stale && self.now < since + (READ_LAG - LATE)
    }

    fn list(&self, account: &Name) -> Listing {
        let keys = self
            .keys
            .iter()
            .filter(|(_, key)| key.account == *account)
            .filter(|(_, key)| match key.revoked {
                Some(revoked) => self.is_stale(revoked),
                None => !self.is_stale(key.born),
            })
            .map(|(id, key)| (id.clone(), key.name.clone()))
            .collect();
        Listing { at: self.timestamp(), keys }
    }
}

fn no_answer() -> ReadError {
    ReadError { reason: UnreadableReason::Unavailable, message: "connection reset".to_string() }
}

#[async_trait]
impl AccountReader for AccountPort {
    async fn list(&self) -> Result<Listing, ReadError> {
        let mut inner = self.process.live().await;
        if !inner.is_answered(|| "a list".to_string()) {
            return Err(no_answer());
        }
        let listing = inner.list(&self.account);
        let run = self.process.run;
        inner.log(|| format!("r{run} list {:?}", listing.keys.values()));
        Ok(listing)
    }

    async fn held(&self, id: &KeyId) -> Result<Option<HeldKey>, ReadError> {
        let mut inner = self.process.live().await;
        if !inner.is_answered(|| format!("a look at {id}")) {
            return Err(no_answer());
        }
        Ok(inner
            .keys
            .get(id)
            .filter(|key| key.account == self.account)
            .filter(|key| key.revoked.is_none() && !inner.is_stale(key.born))
            .map(|key| HeldKey { name: Some(key.name.clone()), scopes: inner.shown(&key.access) }))
    }

    async fn grantable(&self) -> Result<BTreeSet<Scope>, ReadError> {
        if !self.process.live().await.is_answered(|| "what can be granted".to_string()) {
            return Err(no_answer());
        }
        let scopes = ["mail.send", "stats.read", "templates.read", "api_keys.create", "2fa_required"];
        // The managing key has Full Access, which is known by how much it holds.
        let others = (0..200).map(|number| Scope::new(format!("other.{number}")));
        Ok(scopes.into_iter().map(Scope::new).chain(others).collect())
    }

    fn now(&self) -> Option<Timestamp> {
        Some(self.process.world.lock().timestamp())
    }

    fn managing_key(&self) -> Option<KeyId> {
        let whose = if self.only_plans() { "reading" } else { "managing" };
        Some(KeyId::new(format!("{whose}-key-of-{}", self.account)))
    }

    fn only_plans(&self) -> bool {
        self.process.run == PLANS
    }
}

#[async_trait]
impl AccountWriter for AccountPort {
    async fn create(&self, name: &str, access: &Access) -> Result<CreatedKey, CreateError> {
        {
            let inner = self.process.live().await;
            if inner.live_count(&self.account) >= inner.limit {
                return Err(CreateError::CapReached("Cannot create more than 100 API Keys".to_string()));
            }
        }
        let flight =
            Flight::Create { account: self.account.clone(), name: name.to_string(), access: access.clone() };
        match self.process.effect(Effect::Create, &format!("POST `{name}`"), flight).await {
            Answer::Done => {
                let inner = self.process.live().await;
                let (id, key) = inner
                    .keys
                    .iter()
                    .find(|(_, key)| key.name == inner.kept(name))
                    .expect("it was just made");
                let secret = Secret::from(key.secret.clone());
                let scopes = access.scopes().map(|scopes| scopes.as_set().clone());
                Ok(CreatedKey { id: id.clone(), secret, at: inner.timestamp(), scopes })
            }
            Answer::Refused => Err(CreateError::ServerError("internal server error".to_string())),
            Answer::Lost => Err(CreateError::Unclear("connection reset".to_string())),
        }
    }

    async fn rename(&self, id: &KeyId, name: &str) -> Result<Option<String>, WriteError> {
        let flight = Flight::Rename { id: id.clone(), name: name.to_string() };
        self.write(Effect::Rename, &format!("PATCH {id} `{name}`"), flight).await?;
        let inner = self.process.live().await;
        Ok(inner.name_length.map(|_| inner.kept(name)))
    }

    async fn update(&self, id: &KeyId, name: &str, scopes: &Scopes) -> Result<(), WriteError> {
        let access = Access::Restricted(scopes.clone());
        let flight = Flight::Update { id: id.clone(), name: name.to_string(), access };
        self.write(Effect::Update, &format!("PUT {id}"), flight).await
    }

    async fn delete(&self, id: &KeyId) -> Result<Deleted, WriteError> {
        let unknown = {
            let inner = self.process.live().await;
            // A replica that has not heard of a key answers 404, and does nothing.
            inner
                .keys
                .get(id)
                .filter(|key| key.account == self.account && key.revoked.is_none())
                .is_none_or(|key| inner.denies || inner.is_stale(key.born))
        };
        if unknown {
            let run = self.process.run;
            self.process.live().await.log(|| format!("r{run} DELETE {id} 404"));
            return Ok(Deleted::NotFound);
        }
        self.write(Effect::Delete, &format!("DELETE {id}"), Flight::Delete { id: id.clone() }).await?;
        Ok(Deleted::Revoked)
    }

    fn deadline(&self) -> Duration {
        DEADLINE
    }
}

impl AccountPort {
    async fn write(&self, effect: Effect, what: &str, flight: Flight) -> Result<(), WriteError> {
        match self.process.effect(effect, what, flight).await {
            Answer::Done => Ok(()),
            Answer::Refused => Err(WriteError::Refused("forbidden".to_string())),
            Answer::Lost => Err(WriteError::Unclear("connection reset".to_string())),
        }
    }
}
