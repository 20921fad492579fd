//! The sinks.

use std::time::Duration;

use async_trait::async_trait;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::{KeyId, Known, LocationId, Receipt, SinkLocation};
use gridkey_engine::Secret;
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkReader, SinkWriter};

use super::{Answer, DEADLINE, Effect, Flight, Inner, Process, SINK_LAG};

impl Inner {
    /// Which key a location holds.
    pub fn held(&self, location: &LocationId) -> Option<KeyId> {
        self.locations.get(location)?.as_deref().and_then(KeyId::of_secret)
    }

    /// Changes a location; where the service compares, only if it still holds what was expected.
    pub(super) fn write_location(
        &mut self,
        location: &LocationId,
        value: Option<String>,
        expected: Option<KeyId>,
    ) {
        let before = self.locations.get(location).cloned().flatten();
        let new = value.as_deref().and_then(KeyId::of_secret);
        let old = before.as_deref().and_then(KeyId::of_secret);
        if value.is_some() && old.is_some() && old != new && old != expected {
            self.log(|| format!("{location} holds another value than expected; refused"));
            return;
        }
        if before.as_deref().is_some_and(|before| old.is_none() && !before.is_empty()) {
            self.break_promise(format!("accident: the foreign value in {location} was overwritten"));
        }
        if self.is_read(location) && old != new {
            if let Some(old) = &old {
                self.served.insert((old.clone(), location.clone()), self.now);
                let live = self.keys.get(old).is_some_and(|key| key.revoked.is_none());
                if value.is_none() && live {
                    self.break_promise(format!("outage: {location} was cleared of the live key {old}"));
                }
            }
            // Whoever revokes a key by hand does so where nobody hears of it for a while.
            let revoked = new.as_ref().filter(|id| !self.given_up.contains(*id));
            let revoked = revoked.and_then(|id| self.keys.get(id)).is_some_and(|key| key.revoked.is_some());
            if let (Some(new), true) = (&new, revoked) {
                self.break_promise(format!("outage: the revoked key {new} was written to {location}"));
            }
        }
        self.log(|| format!("{location} := {}", new.as_ref().map_or("-".to_string(), ToString::to_string)));
        self.changed.insert(location.clone(), (self.now, before));
        self.place(location.clone(), value);
    }

    /// A location holds something from now on, whoever wrote it.
    pub fn place(&mut self, location: LocationId, value: Option<String>) {
        *self.versions.entry(location.clone()).or_default() += 1;
        self.locations.insert(location, value);
    }

    /// What a look at a location shows, and which version that is; both may trail what is there.
    fn seen(&self, location: &LocationId) -> (u64, Option<String>) {
        let version = self.versions.get(location).copied().unwrap_or_default();
        match self.changed.get(location) {
            Some((since, before)) if self.stale && self.now < *since + SINK_LAG => {
                (version.saturating_sub(1), before.clone())
            }
            _ => (version, self.locations.get(location).cloned().flatten()),
        }
    }
}

fn receipt(version: u64) -> Receipt {
    Receipt::new(version.to_string())
}

#[async_trait]
impl SinkReader for Process {
    async fn observe(&self, location: &SinkLocation, known: Option<&Known>) -> SinkObservation {
        let mut inner = self.live().await;
        let is_readable = location.at.is_readable();
        if !is_readable && known.is_none() {
            return SinkObservation::WriteOnly;
        }
        let answered = inner.is_answered(|| format!("a look at {location}"));
        if inner.unreadable > 0 || !answered {
            inner.unreadable = inner.unreadable.saturating_sub(1);
            inner.log(|| format!("{location} cannot be read"));
            if !is_readable {
                return SinkObservation::WriteOnly;
            }
            return SinkObservation::Unreadable("connection refused".to_string());
        }
        let id = location.id();
        let (version, value) = inner.seen(&id);
        // As services do that tell their versions and never a value.
        if let Some(known) = known.filter(|known| known.receipt == receipt(version)) {
            return SinkObservation::Holds(SinkContent::Key(known.id.clone()));
        }
        SinkObservation::Holds(match value {
            None => SinkContent::Empty,
            // That it is another version is all that there is to know.
            Some(_) if !is_readable => SinkContent::Other,
            Some(value) => KeyId::of_secret(&value).map_or(SinkContent::Other, SinkContent::Key),
        })
    }

    fn lag(&self, _location: &SinkLocation) -> Duration {
        SINK_LAG
    }
}

#[async_trait]
impl SinkWriter for Process {
    async fn check(&self, location: &SinkLocation) -> Result<Readiness, SinkError> {
        match self.live().await.not_ready.contains(&location.id()) {
            true => Err(SinkError::failed("permission denied")),
            false => Ok(Readiness::Proven),
        }
    }

    async fn read(&self, location: &SinkLocation) -> Result<Option<Secret>, SinkError> {
        let inner = self.live().await;
        Ok(inner.locations.get(&location.id()).cloned().flatten().map(Secret::from))
    }

    async fn put(
        &self,
        location: &SinkLocation,
        secret: &Secret,
        replaces: &SinkContent,
        _: Option<&Known>,
    ) -> Result<Option<Receipt>, PutError> {
        let put = secret.key_id();
        let flight = {
            let inner = self.live().await;
            if inner.no_room {
                return Err(PutError::NoRoom(SinkError::failed("no space left on device")));
            }
            let expected = match replaces {
                // A sink that never tells what it holds cannot compare either.
                _ if !location.at.is_readable() => inner.held(&location.id()),
                SinkContent::Key(id) => Some(id.clone()),
                SinkContent::Empty | SinkContent::Other => None,
            };
            Flight::Put { location: location.id(), secret: secret.expose().to_string(), expected }
        };
        let what = format!("put {} to {location}", put.as_ref().map_or("-", KeyId::as_str));
        match self.effect(Effect::Put, &what, flight).await {
            Answer::Done if self.live().await.held(&location.id()) == put => {
                Ok(Some(receipt(self.live().await.versions.get(&location.id()).copied().unwrap_or_default())))
            }
            Answer::Done => Err(PutError::refused("it holds another value than expected")),
            Answer::Refused => Err(PutError::refused("forbidden")),
            Answer::Lost => Err(PutError::unclear("connection reset")),
        }
    }

    async fn remove(&self, location: &SinkLocation) -> Result<(), SinkError> {
        let flight = Flight::Remove { location: location.id() };
        match self.effect(Effect::Remove, &format!("remove from {location}"), flight).await {
            Answer::Done => Ok(()),
            Answer::Refused => Err(SinkError::failed("forbidden")),
            Answer::Lost => Err(SinkError::failed("connection reset")),
        }
    }

    fn deadline(&self, _: &SinkLocation) -> Duration {
        DEADLINE
    }
}
