//! Refresh: asks SendGrid and the sinks what is there, and nothing more than a plan needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use gridkey_core::inventory::{
    AccountInventory, Grantable, Inventory, KeyDetail, ReadAccount, SinkCaveat, SinkContent, SinkObservation,
    Unreadable,
};
use gridkey_core::manifest::Manifest;
use gridkey_core::plan::{Requests, Selection, adoptable, gives_scopes, unknown_keys, with_moves};
use gridkey_core::state::{AccountState, PendingKey, PendingPhase};
use gridkey_core::{Address, KeyId, Known, LocationId, Marker, Name, SinkLocation};
use jiff::{SignedDuration, Timestamp};

use crate::concurrency::Concurrency;
use crate::event::{Event, Observer};
use crate::ports::{AccountReader, HeldKey, Listing, ReadError, SinkReader, Timer};

/// The reading half of every account of a run, or why there is none.
pub type Readers = BTreeMap<Name, Result<Arc<dyn AccountReader>, Unreadable>>;

/// What to observe, and with what.
pub struct Refresh<'a> {
    pub manifest: &'a Manifest,
    pub selection: &'a Selection,
    pub states: &'a BTreeMap<Name, AccountState>,
    /// What a person asked for on the command line.
    pub requests: &'a Requests,
    pub readers: &'a Readers,
    /// `None` leaves the sinks alone.
    pub sinks: Option<&'a dyn SinkReader>,
    pub events: &'a dyn Observer,
    pub settle: Option<Settle<'a>>,
    pub depth: Depth,
    pub concurrency: Concurrency,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What a plan of the selection needs.
    Plan,
    /// The same, and each live key that may be a foreign one with Full Access: one request for each.
    Drift,
    /// Every key of every account, foreign ones too, and every location.
    Everything,
}

/// What gridkey wrote to a location last.
struct Written<'a> {
    known: Known,
    account: &'a Name,
    /// When that was recorded; `None` where the location is one that its key has left.
    at: Option<Timestamp>,
}

/// Wait until reads are sure to show what earlier runs did. An apply does; a plan shows what it sees.
#[derive(Clone, Copy)]
pub struct Settle<'a> {
    pub timer: &'a dyn Timer,
    /// How long SendGrid's reads may trail its writes.
    pub read_lag: Duration,
}

/// Observes the accounts and sinks that the selection is about.
pub async fn refresh(refresh: &Refresh<'_>) -> Inventory {
    let moved = with_moves(refresh.manifest, refresh.selection, refresh.states);
    let refresh = &Refresh { states: &moved.states, ..*refresh };
    let names = match refresh.depth {
        Depth::Plan | Depth::Drift => refresh.selection.accounts(refresh.manifest, refresh.states),
        Depth::Everything => refresh.manifest.accounts.keys().cloned().collect(),
    };
    let mut accounts: BTreeMap<_, _> = stream::iter(names)
        .map(|name| async move {
            refresh.events.event(Event::Observing { account: name.clone() });
            let inventory = match refresh.readers.get(&name) {
                Some(Ok(reader)) => match refresh.account(&name, reader.as_ref()).await {
                    Ok(read) => AccountInventory::Read(read),
                    Err(ReadError { reason, message }) => AccountInventory::Unreadable(Unreadable {
                        reason,
                        message,
                        only_plans: reader.only_plans(),
                    }),
                },
                Some(Err(unreadable)) => AccountInventory::Unreadable(unreadable.clone()),
                None => return None,
            };
            Some((name, inventory))
        })
        .buffer_unordered(refresh.concurrency.accounts.get())
        .filter_map(|observed| async { observed })
        .collect()
        .await;
    let (sinks, caveats) = refresh.sinks(&accounts).await;
    refresh.look_at_adoptable(&mut accounts, &sinks).await;
    Inventory { accounts, sinks, caveats }
}

impl Refresh<'_> {
    async fn account(&self, name: &Name, reader: &dyn AccountReader) -> Result<ReadAccount, ReadError> {
        let state = self.states.get(name);
        let mut read = self.look(name, state, reader).await?;
        if let Some(settle) = &self.settle {
            while let Some(remaining) = self.unsettled(state, &read, settle.read_lag) {
                self.events.event(Event::Settling { account: name.clone(), remaining });
                settle.timer.sleep(step(remaining, settle.read_lag)).await;
                read = self.look(name, state, reader).await?;
            }
        }
        let everything = self.depth == Depth::Everything;
        if everything || gives_scopes(self.manifest, self.selection, state, name, &read) {
            read.grantable = match reader.grantable().await {
                Ok(scopes) => Grantable::Known(scopes),
                Err(error) => Grantable::Unknown(error.message),
            };
        }
        Ok(read)
    }

    /// One look at each key that is to be adopted: which it is can depend on what a sink holds.
    async fn look_at_adoptable(
        &self,
        accounts: &mut BTreeMap<Name, AccountInventory>,
        sinks: &BTreeMap<LocationId, SinkObservation>,
    ) {
        for (name, inventory) in accounts {
            let AccountInventory::Read(read) = inventory else { continue };
            let Some(Ok(reader)) = self.readers.get(name) else { continue };
            let ids = adoptable(self.manifest, self.selection, self.requests, self.states, name, read, sinks);
            let new: Vec<KeyId> = ids.into_iter().filter(|id| !read.details.contains_key(id)).collect();
            let mut looks = stream::iter(new)
                .map(|id| async move { (id.clone(), reader.held(&id).await) })
                .buffer_unordered(self.concurrency.reads.get());
            while let Some((id, held)) = looks.next().await {
                // One that cannot be looked at is not adopted; the plan says so.
                if let Ok(held) = held {
                    read.details.insert(id, detail(held));
                }
            }
        }
    }

    /// Whether an address is looked at.
    fn is_about(&self, address: &Address) -> bool {
        self.depth == Depth::Everything || self.selection.has(self.manifest, address)
    }

    /// Whether a creation of an address broke off that the run settles, as it does in all its environments.
    fn is_recovered(&self, address: &Address) -> bool {
        let begun = || {
            self.states
                .values()
                .flat_map(|state| state.pending.values())
                .any(|begun| begun.address == *address)
        };
        self.selection.has_environment(self.manifest, address.environment.as_ref()) && begun()
    }

    /// One list, and one look at each key that state owns: current ones, and older ones that are still to be revoked; and at
    /// others, as deep as it goes.
    async fn look(
        &self,
        name: &Name,
        state: Option<&AccountState>,
        reader: &dyn AccountReader,
    ) -> Result<ReadAccount, ReadError> {
        let listing = reader.list().await?;
        let owned = state.into_iter().flat_map(|state| &state.keys);
        let mut ids: BTreeSet<&KeyId> =
            owned.filter(|(address, _)| self.is_about(address)).flat_map(|(_, key)| key.ids()).collect();
        match self.depth {
            Depth::Plan => {}
            Depth::Drift => {
                let managing = reader.managing_key();
                let others = listing.keys.iter().filter(|(id, _)| managing.as_ref() != Some(id));
                ids.extend(unknown_keys(self.manifest, name, state, others));
            }
            Depth::Everything => ids.extend(listing.keys.keys()),
        }
        let details = look_at(reader, ids, self.concurrency).await?;
        Ok(read_account(reader, listing, details, Grantable::NotAsked))
    }

    /// How long until everything that an earlier run did is sure to be seen; `None` when it is.
    fn unsettled(
        &self,
        state: Option<&AccountState>,
        read: &ReadAccount,
        read_lag: Duration,
    ) -> Option<Duration> {
        let state = state?;
        let marked: BTreeSet<Marker> = read.live.values().filter_map(|name| Marker::in_name(name)).collect();
        let begun = state
            .pending
            .iter()
            .filter(|(marker, pending)| !marked.contains(*marker) && self.is_recovered(&pending.address))
            .map(|(_, pending)| pending.at);
        let missing = state
            .keys
            .values()
            .filter(|key| read.details.get(&key.id) == Some(&KeyDetail::Missing))
            .map(|key| key.born.at());
        // A list that trails shows a key that an earlier run has just revoked.
        let leaving = state.leaving.iter().filter(|(id, _)| read.live.contains_key(*id)).map(|(_, at)| *at);
        begun.chain(missing).chain(leaving).filter_map(|since| remaining(since, read.at, read_lag)).max()
    }

    /// One look at each location, and what a write would bring with it there. One that never tells what it holds may still tell
    /// whether it was written since gridkey did, and what stands against a write.
    async fn sinks(
        &self,
        accounts: &BTreeMap<Name, AccountInventory>,
    ) -> (BTreeMap<LocationId, SinkObservation>, BTreeMap<LocationId, Vec<SinkCaveat>>) {
        let Some(sinks) = self.sinks else { return Default::default() };
        let locations = self.locations(accounts);
        let known = self.known();
        // One that never tells its value, and was given none that its service has a version of, has nothing to say.
        let telling =
            locations.iter().filter(|(id, location)| location.at.is_readable() || known.contains_key(*id));
        let mut observed: BTreeMap<_, _> = stream::iter(telling)
            .map(|(id, location)| async {
                (id.clone(), self.look_in(sinks, location, known.get(id), accounts).await)
            })
            .buffer_unordered(self.concurrency.accounts.get())
            .collect()
            .await;
        if let Some(settle) = &self.settle {
            self.settle_sinks(sinks, settle, accounts, &locations, &mut observed).await;
        }
        let caveats = stream::iter(&locations)
            .map(|(id, location)| async move { (id.clone(), sinks.caveats(location).await) })
            .buffer_unordered(self.concurrency.accounts.get())
            .filter(|(_, caveats)| std::future::ready(!caveats.is_empty()))
            .collect()
            .await;
        (observed, caveats)
    }

    /// What was written to locations last, where the service gave a version of its own for it. Where an address has keys in two
    /// accounts, the newer one was written last.
    fn known(&self) -> BTreeMap<LocationId, Written<'_>> {
        let mut given: BTreeMap<LocationId, (u32, Option<Written<'_>>)> = BTreeMap::new();
        for (account, state) in self.states {
            for key in state.keys.values() {
                for delivery in &key.sinks {
                    let at = Some(delivery.at);
                    let written = key.known(delivery).map(|known| Written { known, account, at });
                    let before = given.get(&delivery.location.id()).map(|(generation, _)| *generation);
                    if before.is_none_or(|before| before < key.generation) {
                        given.insert(delivery.location.id(), (key.generation, written));
                    }
                }
            }
        }
        let left =
            self.states.iter().flat_map(|(account, state)| state.known().map(move |known| (account, known)));
        let left: Vec<_> = left.filter(|(_, (id, _))| !given.contains_key(id)).collect();
        let left = left.into_iter().map(|(account, (id, known))| (id, Written { known, account, at: None }));
        let given = given.into_iter().filter_map(|(id, (_, written))| Some((id, written?)));
        given.chain(left).collect()
    }

    /// What is there, as far as it is sure. That a location which never tells its value was written since is so only where the look
    /// cannot trail gridkey's own write, and where no creation that broke off may have written there.
    async fn look_in(
        &self,
        sinks: &dyn SinkReader,
        location: &SinkLocation,
        written: Option<&Written<'_>>,
        accounts: &BTreeMap<Name, AccountInventory>,
    ) -> SinkObservation {
        let seen = sinks.observe(location, written.map(|written| &written.known)).await;
        let (Some(written), false) = (written, location.at.is_readable()) else { return seen };
        match &seen {
            SinkObservation::Holds(SinkContent::Key(id)) if *id == written.known.id => return seen,
            SinkObservation::Holds(_) => {}
            SinkObservation::Unreadable(_) | SinkObservation::WriteOnly => return seen,
        }
        let now = match accounts.get(written.account) {
            Some(AccountInventory::Read(read)) => Some(read.at),
            Some(AccountInventory::Unreadable(_)) | None => None,
        };
        let lag = sinks.lag(location);
        // SendGrid's clock tells whole seconds, so where nothing trails it is not asked.
        let may_trail =
            |at: Timestamp| !lag.is_zero() && now.is_none_or(|now| remaining(at, now, lag).is_some());
        let mut begun = self.states.values().flat_map(|state| state.pending.values());
        let may_have = |begun: &PendingKey| {
            begun.phase == PendingPhase::Delivering
                && begun.locations.iter().any(|other| other.id() == location.id())
        };
        match written.at.is_some_and(may_trail) || begun.any(may_have) {
            true => SinkObservation::WriteOnly,
            false => seen,
        }
    }

    /// Looks again at sinks whose reads may trail a write of a creation that broke off.
    async fn settle_sinks(
        &self,
        sinks: &dyn SinkReader,
        settle: &Settle<'_>,
        accounts: &BTreeMap<Name, AccountInventory>,
        locations: &BTreeMap<LocationId, SinkLocation>,
        observed: &mut BTreeMap<LocationId, SinkObservation>,
    ) {
        let started = settle.timer.elapsed();
        let mut wait = Duration::ZERO;
        let mut stale = BTreeSet::new();
        for (name, state) in self.states {
            let Some(AccountInventory::Read(read)) = accounts.get(name) else { continue };
            for pending in state.pending.values() {
                for location in &pending.locations {
                    let lag = sinks.lag(location);
                    if let Some(remaining) = remaining(pending.at, read.at, lag) {
                        wait = wait.max(remaining);
                        stale.insert(location.id());
                    }
                }
            }
        }
        if stale.is_empty() {
            return;
        }
        settle.timer.sleep(wait.saturating_sub(settle.timer.elapsed() - started)).await;
        for id in stale {
            if let Some(location) = locations.get(&id) {
                // What broke off has no receipt yet.
                observed.insert(id, sinks.observe(location, None).await);
            }
        }
    }

    /// The locations that a plan looks at: where secrets should go, were put, or may have been put.
    fn locations(&self, accounts: &BTreeMap<Name, AccountInventory>) -> BTreeMap<LocationId, SinkLocation> {
        let readable = |account: &Name| matches!(accounts.get(account), Some(AccountInventory::Read(_)));
        let wanted = self
            .manifest
            .keys
            .values()
            .filter(|key| {
                readable(&key.account) && (self.is_about(&key.address) || self.is_recovered(&key.address))
            })
            .flat_map(|key| &key.sinks);
        let mut all: Vec<&SinkLocation> = wanted.collect();
        for state in self.states.values().filter(|state| readable(&state.account)) {
            for (address, key) in &state.keys {
                if !self.is_about(address) {
                    continue;
                }
                all.extend(key.sinks.iter().map(|delivery| &delivery.location));
                all.extend(key.retiring_locations.iter().map(|retiring| &retiring.location));
            }
            all.extend(state.pending.values().flat_map(|pending| &pending.locations));
        }
        all.into_iter().map(|location| (location.id(), location.clone())).collect()
    }
}

/// One look at each of some keys.
pub(crate) async fn look_at<'k>(
    reader: &dyn AccountReader,
    ids: impl IntoIterator<Item = &'k KeyId>,
    concurrency: Concurrency,
) -> Result<BTreeMap<KeyId, KeyDetail>, ReadError> {
    let mut looks = stream::iter(ids)
        .map(|id| async move { (id.clone(), reader.held(id).await) })
        .buffer_unordered(concurrency.reads.get());
    let mut details = BTreeMap::new();
    while let Some((id, held)) = looks.next().await {
        details.insert(id, detail(held?));
    }
    Ok(details)
}

/// An account as its list and the looks at some of its keys have it.
pub(crate) fn read_account(
    reader: &dyn AccountReader,
    listing: Listing,
    details: BTreeMap<KeyId, KeyDetail>,
    grantable: Grantable,
) -> ReadAccount {
    ReadAccount {
        at: listing.at,
        managing_key: reader.managing_key(),
        only_plans: reader.only_plans(),
        live: listing.keys,
        details,
        grantable,
    }
}

fn detail(held: Option<HeldKey>) -> KeyDetail {
    held.map_or(KeyDetail::Missing, |held| KeyDetail::Scopes(held.scopes))
}

/// How much of `lag` since `since` is left; `None` when it has passed.
pub(crate) fn remaining(since: Timestamp, now: Timestamp, lag: Duration) -> Option<Duration> {
    let lag = SignedDuration::try_from(lag).unwrap_or(SignedDuration::MAX);
    let left = lag - now.duration_since(since);
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

/// How long to wait before looking again: often enough to see an effect early, without spending many
/// requests.
pub(crate) fn step(remaining: Duration, lag: Duration) -> Duration {
    remaining.min((lag / 6).max(Duration::from_millis(50)))
}
