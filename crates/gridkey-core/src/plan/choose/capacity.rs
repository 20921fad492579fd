//! Slots: how many keys an account has before, after and on the way, counted from what the steps do.

use std::collections::BTreeSet;

use crate::key::{KeyId, Marker};
use crate::plan::account::Account;
use crate::plan::document::change::{Capacity, Change};
use crate::plan::document::effect::{Effect, Revocation};
use crate::plan::document::step::{Order, Phase};

/// What an account's changes come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub capacity: Capacity,
    pub order: Order,
    pub made: u32,
    /// Keys that state owns from then on, made or adopted.
    pub gained: u32,
    /// Live keys that deletions free.
    pub deleted: u32,
    /// Live keys once everything is made and what goes before that is gone.
    pub fullest: u32,
    /// Creations of an earlier run that may still turn up.
    pub unresolved: u32,
}

/// Counts an account's slots, and chooses the order in which there is room for all.
pub(crate) fn count(account: &Account<'_>, changes: &[&Change]) -> Counted {
    let live = &account.read.live;
    let Turnover { made, adopted, first, deleted, later } = turnover(changes);
    let freed = number(first.iter().filter(|id| live.contains_key(**id)));
    let deleted = number(deleted.iter().filter(|id| live.contains_key(**id) && !first.contains(*id)));
    let given_up = number(later.iter().filter(|id| live.contains_key(**id) && !first.contains(*id)));
    let ours = number(owned_and_pending(account).iter().filter(|id| live.contains_key(*id)));
    let unresolved = unresolved(account);
    let now = number(live.iter());
    let others = now - ours;
    let own = number(live.iter().filter(|(id, _)| account.works_with(id)));
    let limit = account.declared.key_limit;
    let share = account.declared.max_keys.map_or(u32::MAX, |max| max.saturating_add(others));
    let make_first = now - freed + made;
    let fits = make_first + unresolved <= limit && make_first <= share;
    let order = if fits || made == 0 || deleted == 0 { Order::MakeFirst } else { Order::FreeFirst };
    let fullest = make_first - deleted;
    let highest = match order {
        Order::MakeFirst => make_first,
        Order::FreeFirst => fullest,
    };
    let capacity = Capacity {
        limit,
        max_keys: account.declared.max_keys,
        live: now,
        foreign: others.saturating_sub(own),
        ours,
        after: fullest - given_up,
        peak: now.max(highest) + unresolved,
    };
    Counted { capacity, order, made, gained: made + adopted, deleted, fullest, unresolved }
}

/// How many keys more than these changes make the account has slots for.
pub(crate) fn free(account: &Account<'_>, changes: &[&Change]) -> u32 {
    let Counted { capacity, fullest, unresolved, .. } = count(account, changes);
    let slots = capacity.limit.saturating_sub(fullest + unresolved);
    let share = capacity
        .max_keys
        .map_or(u32::MAX, |max| (max + capacity.live - capacity.ours).saturating_sub(fullest));
    slots.min(share)
}

/// How many older keys are still to be revoked once these changes are done: their slots come free.
pub(crate) fn retiring(account: &Account<'_>, changes: &[&Change]) -> u32 {
    let live = &account.read.live;
    let Turnover { first, deleted, later, .. } = turnover(changes);
    let gone = |id: &KeyId| {
        first.contains(id) || deleted.contains(id) || later.contains(id) || !live.contains_key(id)
    };
    let retiring = account.keys().flat_map(|(_, key)| &key.retiring).filter(|key| !key.held);
    number(retiring.filter(|retiring| !gone(&retiring.id)))
}

/// What changes make and revoke.
#[derive(Default)]
struct Turnover<'a> {
    made: u32,
    adopted: u32,
    /// Revoked before anything is made, or in the place of what is made.
    first: BTreeSet<&'a KeyId>,
    /// Revoked before or after, as there is room.
    deleted: BTreeSet<&'a KeyId>,
    /// Revoked once everything is made.
    later: BTreeSet<&'a KeyId>,
}

fn turnover<'a>(changes: &[&'a Change]) -> Turnover<'a> {
    let mut turnover = Turnover::default();
    for step in changes.iter().flat_map(|change| &change.steps) {
        for effect in step.effects() {
            match effect {
                Effect::Makes { .. } => turnover.made += 1,
                Effect::Adopts(_) => turnover.adopted += 1,
                Effect::Revokes { id, when: Revocation::AfterSuccessor } => {
                    turnover.later.insert(id);
                }
                Effect::Revokes { id, when: _ } if step.phase() == Phase::Delete => {
                    turnover.deleted.insert(id);
                }
                Effect::Revokes { id, when: _ } => {
                    turnover.first.insert(id);
                }
                Effect::Finishes(_)
                | Effect::Renames(_)
                | Effect::Rescopes(_)
                | Effect::Delivers(_)
                | Effect::Clears(_)
                | Effect::Moves(_)
                | Effect::LetsGo(_)
                | Effect::Runs { .. } => {}
            }
        }
    }
    turnover
}

fn number<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// The ids that this project answers for: owned, retiring, and those that carry one of its markers.
pub(crate) fn owned_and_pending(account: &Account<'_>) -> BTreeSet<KeyId> {
    let Some(state) = account.state else { return BTreeSet::new() };
    let owned = state.owned_ids().into_keys().cloned();
    if state.pending.is_empty() && state.abandoned.is_empty() {
        return owned.collect();
    }
    let marked = account.read.live.iter().filter(|(_, name)| {
        Marker::in_name(name).is_some_and(|marker| {
            state.pending.contains_key(&marker) || state.abandoned.contains_key(&marker)
        })
    });
    owned.chain(marked.map(|(id, _)| id.clone())).collect()
}

/// Creations that an earlier run began and that may still turn up.
fn unresolved(account: &Account<'_>) -> u32 {
    let Some(state) = account.state.filter(|state| !state.pending.is_empty()) else { return 0 };
    let seen: BTreeSet<Marker> =
        account.read.live.values().filter_map(|name| Marker::in_name(name)).collect();
    number(state.pending.iter().filter(|(marker, pending)| {
        let settled = account.index.is_recovered(&pending.address);
        !seen.contains(*marker) && (account.is_recent(pending.at) || !settled)
    }))
}
