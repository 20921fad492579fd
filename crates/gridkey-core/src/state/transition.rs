//! How state changes: one function for each thing that happened, so that no adapter edits it by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::access::{Access, Scope};
use crate::address::Address;
use crate::hook::{DueHook, Hook};
use crate::key::{KeyId, Marker};
use crate::sink::{Known, LocationId, Receipt, SinkLocation};
use crate::state::document::{
    ABANDONED_KEPT, AbandonedMarker, AccountState, Born, Delivery, OwnedKey, PendingKey, PendingPhase,
    RetiringKey, RetiringLocation, RetiringReason, RevokeOld, SecretStatus, Settings, UncertainKey,
};
use crate::time::later;

/// A key that was made and delivered.
#[derive(Clone, Debug)]
pub struct Minted {
    pub address: Address,
    pub marker: Marker,
    pub id: KeyId,
    pub name: String,
    pub access: Access,
    /// What SendGrid said it gave.
    pub reported: Option<BTreeSet<Scope>>,
    pub generation: u32,
    /// When the address got its first key, where that was in another account.
    pub first_made: Option<Timestamp>,
    /// The key in another account that it takes the place of.
    pub follows: Option<KeyId>,
    pub settings: Settings,
    pub born: Timestamp,
    pub by: String,
    /// How long older and uncertain keys go on working.
    pub overlap: Duration,
    /// What becomes of the key that was there.
    pub retire: Option<RetiringReason>,
    /// What becomes of it besides.
    pub older: RevokeOld,
    pub uncertain: Vec<UncertainKey>,
    /// What services gave for it.
    pub receipts: Receipts,
}

/// What services gave for what a run wrote, by location.
pub type Receipts = BTreeMap<LocationId, Known>;

/// The receipt that a location gave for a key.
fn receipt(receipts: &Receipts, location: &LocationId, id: &KeyId) -> Option<Receipt> {
    receipts.get(location).filter(|known| known.id == *id).map(|known| known.receipt.clone())
}

/// What SendGrid held of a key after it was asked to change it.
#[derive(Clone, Debug)]
pub struct Held {
    /// `None` where it did not say.
    pub name: Option<String>,
    /// Without automatic ones.
    pub scopes: BTreeSet<Scope>,
}

impl AccountState {
    /// A creation is about to be asked for.
    pub fn begin(&mut self, marker: Marker, pending: PendingKey) {
        self.pending.insert(marker, pending);
    }

    /// The secret is about to be given to sinks that never tell what they hold.
    pub fn delivering(&mut self, marker: &Marker) {
        if let Some(pending) = self.pending.get_mut(marker) {
            pending.phase = PendingPhase::Delivering;
        }
    }

    /// SendGrid surely made no key of this creation.
    pub fn refused(&mut self, marker: &Marker) {
        self.pending.remove(marker);
    }

    /// The creation is no longer expected; a key that turns up with its marker is revoked.
    pub fn abandon(&mut self, marker: &Marker, at: Timestamp) {
        if let Some(pending) = self.pending.remove(marker) {
            self.abandoned.insert(marker.clone(), AbandonedMarker { address: pending.address, at });
        }
    }

    /// State owns a live key from now on, as it is.
    pub fn adopted(&mut self, address: &Address, key: OwnedKey) {
        self.let_go.remove(address);
        self.keys.insert(address.clone(), key);
    }

    /// State lets go of a key, which stays as it is.
    pub fn forgotten(&mut self, address: &Address, id: &KeyId) {
        if self.keys.get(address).is_some_and(|key| &key.id == id) {
            self.keys.remove(address);
            self.let_go.insert(address.clone());
        }
    }

    /// Keys and creations that were begun have other addresses now: each pair is the one before and the new
    /// one. All of them are taken up before any is put down, so that addresses may change places.
    ///
    /// One whose new address turns out to be taken stays where it was, and is returned.
    pub fn moved(&mut self, moves: &[(Address, Address)]) -> Vec<Address> {
        let mut taken = Vec::new();
        let keys: Vec<_> = moves.iter().map(|(from, _)| self.keys.remove(from)).collect();
        let mut stay = Vec::new();
        for ((from, to), key) in moves.iter().zip(keys) {
            match key {
                Some(key) if self.keys.contains_key(to) => {
                    taken.push(to.clone());
                    stay.push((from.clone(), key));
                }
                Some(key) => {
                    let key = OwnedKey { moved_from: Some(from.clone()), ..key };
                    self.keys.insert(to.clone(), key);
                }
                None => {}
            }
        }
        self.keys.extend(stay);
        for pending in self.pending.values_mut() {
            let moved = moves.iter().find(|(from, to)| *from == pending.address && !taken.contains(to));
            if let Some((_, to)) = moved {
                pending.address = to.clone();
            }
        }
        for abandoned in self.abandoned.values_mut() {
            if let Some((_, to)) =
                moves.iter().find(|(from, to)| *from == abandoned.address && !taken.contains(to))
            {
                abandoned.address = to.clone();
            }
        }
        taken
    }

    /// The key is delivered, and from now on owned; what was there before retires.
    pub fn record(&mut self, minted: Minted, at: Timestamp) {
        let Minted {
            address,
            marker,
            id,
            name,
            access,
            reported,
            generation,
            first_made,
            follows,
            settings,
            born,
            by,
            overlap,
            retire,
            older,
            uncertain,
            receipts,
        } = minted;
        let after = later(at, overlap);
        let before = self.keys.remove(&address);
        let mut retiring = Vec::new();
        let mut locations = Vec::new();
        let mut follows = follows;
        let mut first_made = first_made;
        let mut moved_from = None;
        let is_first = first_made.is_none() && follows.is_none();
        let mut short_lived = is_first && settings.lifecycle.ttl.is_some();
        if let Some(before) = before {
            short_lived = before.short_lived;
            follows = follows.or_else(|| before.follows.clone());
            first_made = Some(before.since());
            moved_from.clone_from(&before.moved_from);
            let given = before.ids().cloned().collect();
            let before_id = before.id.clone();
            retiring = before.retiring;
            if before.id != id && older != RevokeOld::First {
                let why = retire.unwrap_or(RetiringReason::Replaced);
                retiring.push(RetiringKey {
                    id: before.id,
                    after,
                    born: before.born.at(),
                    why,
                    held: older == RevokeOld::Hold,
                    reported: before.reported,
                });
            }
            locations = leaving(&before_id, before.sinks, &given, before.retiring_locations, &settings, at);
        }
        for UncertainKey { marker, id } in uncertain {
            let born = self.pending.remove(&marker).map_or(at, |pending| pending.at);
            let why = RetiringReason::Uncertain;
            retiring.push(RetiringKey { id, after, born, why, held: false, reported: None });
        }
        if let Some(begun) = self.pending.remove(&marker) {
            // It may have been delivered where it was to go when it was begun.
            let delivered = begun.locations.into_iter().map(|location| Delivery::new(location, at));
            locations = leaving(&id, delivered.collect(), &[id.clone()].into(), locations, &settings, at);
        }
        let reported = match access {
            Access::Full => None,
            Access::Restricted(_) | Access::Billing(_) => {
                reported.or_else(|| access.scopes().map(|scopes| scopes.as_set().clone()))
            }
        };
        self.taken(&settings);
        let Settings {
            owner,
            protect,
            on_delete,
            patterns,
            locations: sinks,
            left_alone: _,
            overlap: _,
            lifecycle,
            hooks,
        } = settings;
        let hooks_due = due(hooks, &sinks);
        let delivery = |location: SinkLocation| {
            let receipt = receipt(&receipts, &location.id(), &id);
            Delivery { location, at, receipt }
        };
        let sinks = sinks.into_iter().map(delivery).collect();
        let key = OwnedKey {
            id,
            name,
            held_name: None,
            access,
            reported,
            patterns,
            generation,
            follows,
            kept_until: None,
            born: Born::Created(born),
            first_made,
            moved_from,
            short_lived,
            makes_room: false,
            lifecycle: Some(lifecycle),
            secret: SecretStatus::Delivered,
            owner,
            protect,
            on_delete,
            sinks,
            hooks_due,
            by,
            retiring,
            retiring_locations: locations,
        };
        self.let_go.remove(&address);
        self.keys.insert(address, key);
    }

    /// The key was asked to have this name, and SendGrid holds that one.
    pub fn renamed(&mut self, address: &Address, name: &str, held: &str) {
        if let Some(key) = self.keys.get_mut(address) {
            key.name = name.to_string();
            key.held_name = Some(held.to_string()).filter(|held| held != name);
        }
    }

    /// The key was asked for these scopes, and SendGrid reports those.
    pub fn updated(
        &mut self,
        address: &Address,
        name: &str,
        access: Access,
        patterns: BTreeSet<String>,
        held: Held,
    ) {
        let Held { name: held_name, scopes: reported } = held;
        if let Some(key) = self.keys.get_mut(address) {
            key.name = name.to_string();
            key.held_name = held_name.filter(|held| held != name);
            key.access = access;
            key.patterns = patterns;
            key.reported = Some(reported);
        }
    }

    /// The key's secret is in these locations, and state says of it what the manifest does.
    ///
    /// `receipts` are of what was written since the last time.
    pub fn settle(&mut self, address: &Address, settings: Settings, receipts: &Receipts, at: Timestamp) {
        self.taken(&settings);
        let Some(key) = self.keys.get_mut(address) else { return };
        let sinks = std::mem::take(&mut key.sinks);
        let given: Vec<_> = sinks
            .iter()
            .map(|delivery| (delivery.location.id(), delivery.at, delivery.receipt.clone()))
            .collect();
        let id = key.id.clone();
        let ids = key.ids().cloned().collect();
        let already = std::mem::take(&mut key.retiring_locations);
        key.retiring_locations = leaving(&id, sinks, &ids, already, &settings, at);
        let Settings {
            owner,
            protect,
            on_delete,
            patterns,
            locations,
            left_alone: _,
            overlap: _,
            lifecycle,
            hooks,
        } = settings;
        // Nobody waits to be told of a place that is no longer used, or for what is no longer to be done.
        let wanted = due(hooks, &locations);
        for hook in &mut key.hooks_due {
            let known = wanted.iter().find(|known| known.hook.sink == hook.hook.sink);
            hook.locations.retain(|location| known.is_some_and(|known| known.locations.contains(location)));
        }
        key.hooks_due.retain(|hook| !hook.locations.is_empty());
        key.lifecycle = Some(lifecycle);
        key.sinks = locations
            .into_iter()
            .map(|location| {
                let known = given.iter().find(|(id, ..)| *id == location.id());
                let since = known.map_or(at, |(_, since, _)| *since);
                let older = known.and_then(|(.., receipt)| receipt.clone());
                let newer = receipt(receipts, &location.id(), &id);
                Delivery { location, at: since, receipt: newer.or(older) }
            })
            .collect();
        if !key.sinks.is_empty() {
            // Where nobody was known to have the secret, a sink was found to have it since.
            key.secret = SecretStatus::Delivered;
        }
        key.owner = owner;
        key.protect = protect;
        key.on_delete = on_delete;
        key.patterns = patterns;
        key.makes_room = false;
    }

    /// A key is about to be delivered to these locations, which hooks are to be told of. It is written down before, as a run that
    /// breaks off leaves nothing else that tells of the delivery.
    pub fn announcing(&mut self, address: &Address, hooks: Vec<Hook>, locations: &[SinkLocation]) {
        let Some(key) = self.keys.get_mut(address) else { return };
        for new in due(hooks, locations) {
            match key.hooks_due.iter_mut().find(|known| known.hook.sink == new.hook.sink) {
                Some(known) => {
                    known.hook = new.hook;
                    known.locations.extend(new.locations);
                }
                None => key.hooks_due.push(new),
            }
        }
    }

    /// A hook has ended well for the deliveries of a key that it was told of.
    pub fn hook_done(&mut self, address: &Address, id: &KeyId, done: &DueHook) {
        let Some(key) = self.keys.get_mut(address).filter(|key| &key.id == id) else { return };
        for known in key.hooks_due.iter_mut().filter(|known| known.hook.sink == done.hook.sink) {
            known.locations.retain(|location| !done.locations.contains(location));
        }
        key.hooks_due.retain(|known| !known.locations.is_empty());
    }

    /// A location that never tells its value is about to be given the key again, or may have been given it by a write whose answer
    /// was lost. Until that is recorded what it shows is no sign of somebody else: so it is not one that has the secret, and one that is
    /// cleared with the key.
    pub fn may_be_given(&mut self, address: &Address, location: &SinkLocation, at: Timestamp) {
        let Some(key) = self.keys.get_mut(address) else { return };
        let id = location.id();
        key.sinks.retain(|delivery| delivery.location.id() != id);
        let before = key.retiring_locations.iter().position(|leaving| leaving.location.id() == id);
        let before = before.map(|index| key.retiring_locations.remove(index));
        let (after, mut given) =
            before.map_or((at, BTreeSet::new()), |before| (before.after.max(at), before.given));
        given.insert(key.id.clone());
        key.retiring_locations.push(RetiringLocation {
            location: location.clone(),
            after,
            given,
            known: None,
        });
    }

    /// What other keys have left long ago is another's by now, and not cleared for their sake.
    fn taken(&mut self, settings: &Settings) {
        let taken: BTreeSet<_> = settings.locations.iter().map(SinkLocation::id).collect();
        for key in self.keys.values_mut() {
            key.retiring_locations.retain(|leaving| !taken.contains(&leaving.location.id()));
        }
    }

    /// These keys are about to be revoked.
    pub fn leaving(&mut self, ids: impl IntoIterator<Item = KeyId>, at: Timestamp) {
        let owned = self.owned_ids();
        // One that is not owned came of a creation that broke off.
        let known: Vec<KeyId> =
            ids.into_iter().filter(|id| !self.pending.is_empty() || owned.contains_key(id)).collect();
        self.leaving.extend(known.into_iter().map(|id| (id, at)));
    }

    /// These keys were seen to be live, by reads that are sure to know of every revocation: none of them left.
    pub fn seen_live<'k>(&mut self, ids: impl IntoIterator<Item = &'k KeyId>) {
        for id in ids {
            self.leaving.remove(id);
        }
    }

    /// The key is about to be revoked, to make room for its successor.
    pub fn making_room(&mut self, address: &Address, id: &KeyId, at: Timestamp) {
        if let Some(key) = self.keys.get_mut(address).filter(|key| &key.id == id) {
            key.makes_room = true;
        }
        self.leaving([id.clone()], at);
    }

    /// An older key is revoked.
    pub fn retired(&mut self, address: &Address, id: &KeyId) {
        if let Some(key) = self.keys.get_mut(address) {
            key.retiring.retain(|retiring| &retiring.id != id);
        }
    }

    /// An older key is still in use: its overlap counts anew.
    pub fn postpone(&mut self, address: &Address, id: &KeyId, overlap: Duration, at: Timestamp) {
        let Some(key) = self.keys.get_mut(address) else { return };
        if &key.id == id {
            key.kept_until = Some(later(at, overlap));
        }
        for retiring in key.retiring.iter_mut().filter(|retiring| &retiring.id == id) {
            retiring.after = later(at, overlap);
            retiring.held = false;
        }
    }

    /// An older location is cleared, or holds something else by now.
    pub fn location_retired(&mut self, address: &Address, location: &LocationId) {
        if let Some(key) = self.keys.get_mut(address) {
            key.retiring_locations.retain(|retiring| &retiring.location.id() != location);
        }
    }

    /// The key of an address is revoked, with its older ones, and its locations are cleared.
    pub fn deleted(&mut self, address: &Address, pending: &[Marker], at: Timestamp) {
        self.keys.remove(address);
        for marker in pending {
            self.abandon(marker, at);
        }
    }

    /// Forgets markers that were abandoned long ago, and keys that left and are not owned any more.
    pub fn prune(&mut self, at: Timestamp) {
        self.abandoned.retain(|_, abandoned| later(abandoned.at, ABANDONED_KEPT) > at);
        let owned: BTreeSet<KeyId> = self.owned_ids().into_keys().cloned().collect();
        // A key that is not owned may have come of a creation that broke off.
        let is_settled = self.pending.is_empty();
        self.leaving.retain(|id, _| !is_settled || owned.contains(id));
    }
}

/// The hooks that follow a delivery to these locations.
fn due(hooks: Vec<Hook>, locations: &[SinkLocation]) -> Vec<DueHook> {
    let due = hooks.into_iter().map(|hook| {
        let followed = locations.iter().filter(|location| hook.follows(&location.sink));
        let locations = followed.map(SinkLocation::id).collect();
        DueHook { hook, locations }
    });
    due.filter(|due| !due.locations.is_empty()).collect()
}

/// The locations to be cleared later: those that were, and those that are no longer wanted.
fn leaving(
    id: &KeyId,
    sinks: Vec<Delivery>,
    given: &BTreeSet<KeyId>,
    already: Vec<RetiringLocation>,
    settings: &Settings,
    at: Timestamp,
) -> Vec<RetiringLocation> {
    let wanted: BTreeSet<_> = settings.locations.iter().map(SinkLocation::id).collect();
    let after = later(at, settings.overlap);
    let leaving = sinks.into_iter().map(|delivery| RetiringLocation {
        location: delivery.location,
        after,
        given: given.clone(),
        known: delivery.receipt.map(|receipt| Known { id: id.clone(), receipt }),
    });
    let mut all: Vec<RetiringLocation> = Vec::new();
    for retiring in already.into_iter().chain(leaving) {
        let id = retiring.location.id();
        if !wanted.contains(&id)
            && !settings.left_alone.contains(&id)
            && !all.iter().any(|known| known.location.id() == id)
        {
            all.push(retiring);
        }
    }
    all
}
