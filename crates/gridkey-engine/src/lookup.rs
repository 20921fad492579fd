//! Lookup: which account has some keys, and which locations hold them. It asks for much less than a refresh.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream;
use gridkey_core::inventory::{
    AccountInventory, Grantable, Inventory, ReadAccount, SinkObservation, Unreadable,
};
use gridkey_core::whois::Search;
use gridkey_core::{KeyId, LocationId, Name};

use crate::concurrency::Concurrency;
use crate::event::{Event, Observer};
use crate::ports::{AccountReader, ReadError, SinkReader};
use crate::refresh::{Readers, look_at, read_account};

/// Which keys to look for, and with what.
pub struct Lookup<'a> {
    pub ids: &'a BTreeSet<KeyId>,
    pub search: &'a Search,
    pub readers: &'a Readers,
    /// `None` leaves the sinks alone.
    pub sinks: Option<&'a dyn SinkReader>,
    pub events: &'a dyn Observer,
    pub concurrency: Concurrency,
}

/// One list of each account, one look at each of the keys that is there, and one at each location.
pub async fn lookup(lookup: &Lookup<'_>) -> Inventory {
    let accounts: BTreeMap<_, _> = stream::iter(lookup.readers)
        .map(|(name, reader)| async move { (name.clone(), lookup.account(name, reader.as_ref()).await) })
        .buffer_unordered(lookup.concurrency.accounts.get())
        .collect()
        .await;
    Inventory { accounts, sinks: lookup.sinks().await, ..Inventory::default() }
}

impl Lookup<'_> {
    async fn account(
        &self,
        name: &Name,
        reader: Result<&std::sync::Arc<dyn AccountReader>, &Unreadable>,
    ) -> AccountInventory {
        self.events.event(Event::Observing { account: name.clone() });
        let reader = match reader {
            Ok(reader) => reader,
            Err(unreadable) => return AccountInventory::Unreadable(unreadable.clone()),
        };
        match self.look(name, reader.as_ref()).await {
            Ok(read) => AccountInventory::Read(read),
            Err(ReadError { reason, message }) => {
                AccountInventory::Unreadable(Unreadable { reason, message, only_plans: reader.only_plans() })
            }
        }
    }

    async fn look(&self, name: &Name, reader: &dyn AccountReader) -> Result<ReadAccount, ReadError> {
        let listing = reader.list().await?;
        let is_here =
            |id: &&KeyId| listing.keys.contains_key(*id) || self.search.known.get(*id) == Some(name);
        let ids: Vec<&KeyId> = self.ids.iter().filter(is_here).collect();
        let is_any = !ids.is_empty();
        let details = look_at(reader, ids, self.concurrency).await?;
        // Whether a key that is not ours has Full Access can be told by what there is to have.
        let grantable = match is_any {
            false => Grantable::NotAsked,
            true => reader
                .grantable()
                .await
                .map_or_else(|error| Grantable::Unknown(error.message), Grantable::Known),
        };
        Ok(read_account(reader, listing, details, grantable))
    }

    async fn sinks(&self) -> BTreeMap<LocationId, SinkObservation> {
        let Some(sinks) = self.sinks else { return BTreeMap::new() };
        stream::iter(&self.search.locations)
            .map(|location| async move { (location.id(), sinks.observe(location, None).await) })
            .buffer_unordered(self.concurrency.accounts.get())
            .collect()
            .await
    }
}
