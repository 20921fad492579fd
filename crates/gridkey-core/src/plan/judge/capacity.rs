//! Capacity: whether what a plan makes fits under SendGrid's cap.

use std::collections::BTreeSet;

use crate::finding::{Code, Finding, Severity};
use crate::key::KeyId;
use crate::plan::account::Account;
use crate::plan::document::change::{Capacity, Change};
use crate::plan::document::step::Step;
use crate::plan::findings::Gates;

/// Counts an account's slots before, after and on the way, and reports creations that do not fit.
///
/// Phases that free slots come before those that take them, so the account is fullest either before the
/// first or after the last.
pub(crate) fn check(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) -> Capacity {
    let counted = count_up(account, changes);
    if counted.made > 0 {
        over_limit(account, &counted, gates);
        over_share(account, &counted, gates);
    }
    counted.capacity
}

/// How many older keys are still to be revoked once these changes are done: their slots come free.
pub(crate) fn retiring(account: &Account<'_>, changes: &[Change]) -> u32 {
    let live = &account.read.live;
    let Turnover { made: _, revoked, later } = turnover(changes);
    let gone = |id: &KeyId| revoked.contains(id) || later.contains(id) || !live.contains_key(id);
    let retiring = account.keys().flat_map(|(_, key)| &key.retiring).filter(|key| !key.held);
    count(retiring.filter(|retiring| !gone(&retiring.id)))
}

/// What changes come to.
struct Counted {
    capacity: Capacity,
    made: u32,
    /// Live keys once everything is made, and nothing is given up yet for it.
    fullest: u32,
    /// Creations of an earlier run that may still turn up.
    unresolved: u32,
}

/// How many keys more than these changes make the account has slots for.
pub(crate) fn free(account: &Account<'_>, changes: &[Change]) -> u32 {
    let Counted { capacity, made: _, fullest, unresolved } = count_up(account, changes);
    let Capacity { limit, max_keys, live: _, foreign, ours: _, after: _, peak: _ } = capacity;
    let slots = limit.saturating_sub(fullest + unresolved);
    let share = max_keys.map_or(u32::MAX, |max| (max + foreign).saturating_sub(fullest));
    slots.min(share)
}

fn count_up(account: &Account<'_>, changes: &[Change]) -> Counted {
    let live = &account.read.live;
    let Turnover { made, revoked, later } = turnover(changes);
    let freed = count(revoked.iter().filter(|id| live.contains_key(**id)));
    let given_up = count(later.iter().filter(|id| live.contains_key(**id) && !revoked.contains(*id)));
    let ours_before = owned_and_pending(account);
    let ours = count(ours_before.iter().filter(|id| live.contains_key(*id)));
    let unresolved = unresolved(account);
    let now = count(live.iter());
    let fullest = now - freed + made;
    let capacity = Capacity {
        limit: account.declared.key_limit,
        max_keys: account.declared.max_keys,
        live: now,
        foreign: now - ours,
        ours,
        after: fullest - given_up,
        peak: now.max(fullest) + unresolved,
    };
    Counted { capacity, made, fullest, unresolved }
}

/// What changes make and revoke.
struct Turnover<'a> {
    made: u32,
    /// Before anything is made.
    revoked: BTreeSet<&'a KeyId>,
    /// Once everything is made.
    later: BTreeSet<&'a KeyId>,
}

fn turnover(changes: &[Change]) -> Turnover<'_> {
    let mut revoked: BTreeSet<&KeyId> = BTreeSet::new();
    let mut later: BTreeSet<&KeyId> = BTreeSet::new();
    let mut made = 0;
    for step in changes.iter().flat_map(|change| &change.steps) {
        match step {
            Step::RevokePending { id, .. }
            | Step::DiscardPending { id, .. }
            | Step::RevokeAbandoned { id }
            | Step::RevokeFirst { id, .. }
            | Step::RetireKey { id, .. } => {
                revoked.insert(id);
            }
            Step::RevokeOlder { id, .. } => {
                later.insert(id);
            }
            Step::Delete(delete) => revoked.extend(delete.keys.iter().map(|key| &key.id)),
            Step::Mint(_) => made += 1,
            Step::Move { .. }
            | Step::Adopt(_)
            | Step::Forget { .. }
            | Step::FinishPending(_)
            | Step::AbandonPending { .. }
            | Step::PostponeRetirement { .. }
            | Step::RetireLocation { .. }
            | Step::Rename { .. }
            | Step::Update { .. }
            | Step::Deliver { .. }
            | Step::Record(_) => {}
        }
    }
    Turnover { made, revoked, later }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// The ids that this project answers for: owned, retiring, and those that carry one of its markers.
pub(crate) fn owned_and_pending(account: &Account<'_>) -> BTreeSet<KeyId> {
    let Some(state) = account.state else { return BTreeSet::new() };
    let marked = account.read.live.iter().filter(|(_, name)| {
        crate::key::Marker::in_name(name).is_some_and(|marker| {
            state.pending.contains_key(&marker) || state.abandoned.contains_key(&marker)
        })
    });
    state.owned_ids().into_keys().cloned().chain(marked.map(|(id, _)| id.clone())).collect()
}

/// Creations that an earlier run began and that may still turn up.
fn unresolved(account: &Account<'_>) -> u32 {
    let Some(state) = account.state else { return 0 };
    count(state.pending.iter().filter(|(marker, pending)| {
        let seen = account
            .read
            .live
            .values()
            .any(|name| crate::key::Marker::in_name(name).as_ref() == Some(*marker));
        !seen && (account.is_recent(pending.at) || !account.is_selected(&pending.address))
    }))
}

fn over_limit(account: &Account<'_>, counted: &Counted, gates: &mut Gates<'_>) {
    let Counted { capacity, made, fullest, unresolved } = counted;
    let Capacity { limit, max_keys: _, live, foreign, ours, after: _, peak: _ } = capacity;
    let needed = fullest + unresolved;
    if needed <= *limit {
        return;
    }
    let over = needed - limit;
    let foreign_help = match foreign {
        0 => String::new(),
        1 => "; 1 key there is not gridkey's".to_string(),
        foreign => format!("; {foreign} keys there are not gridkey's"),
    };
    let waiting = if *unresolved == 0 {
        String::new()
    } else {
        format!(", and {unresolved} of an earlier run may still turn up")
    };
    gates.raise(Finding {
        severity: Severity::Blocks,
        code: Code::Capacity,
        account: Some(account.name().clone()),
        address: None,
        message: format!(
            "account `{}` allows {limit} keys and holds {live} ({ours} ours, {foreign} foreign); this plan makes \
             {made}, which comes to {fullest}{waiting}",
            account.name(),
        ),
        help: Some(format!(
            "free {over} {}: remove keys from the manifest, or revoke keys that nobody uses{foreign_help}{}",
            if over == 1 { "slot" } else { "slots" },
            if uncertain(account) {
                format!(
                    "; or let the key that a write-only sink may have go at once: `--allow {}`",
                    Code::UncertainKey
                )
            } else {
                String::new()
            },
        )),
        position: Some(account.declared.position.clone()),
    });
}

/// Whether a pending creation of the account had begun to deliver to a write-only sink.
fn uncertain(account: &Account<'_>) -> bool {
    account.state.is_some_and(|state| {
        state.pending.values().any(|pending| pending.phase == crate::state::PendingPhase::Delivering)
    })
}

fn over_share(account: &Account<'_>, counted: &Counted, gates: &mut Gates<'_>) {
    let Counted { capacity, made, fullest, unresolved: _ } = counted;
    let Some(max) = capacity.max_keys else { return };
    let ours_after = fullest - capacity.foreign.min(*fullest);
    if ours_after <= max {
        return;
    }
    gates.raise(Finding {
        severity: Severity::Blocks,
        code: Code::MaxKeys,
        account: Some(account.name().clone()),
        address: None,
        message: format!(
            "this project may hold {} in account `{}` and holds {}; this plan makes {made}, which comes to \
             {ours_after}",
            if max == 1 { "1 key".to_string() } else { format!("{max} keys") },
            account.name(),
            capacity.ours,
        ),
        help: Some(format!("raise `max_keys`, or `--allow {}`", Code::MaxKeys)),
        position: Some(account.declared.position.clone()),
    });
}
