//! Capacity: whether what a plan makes fits under SendGrid's cap.

use std::collections::BTreeSet;

use crate::key::KeyId;
use crate::plan::account::Account;
use crate::plan::document::{Capacity, Change};
use crate::plan::gate::Gates;
use crate::plan::step::Step;
use crate::plan::{Code, Finding, Severity};

/// Counts an account's slots before, after and on the way, and reports creations that do not fit.
///
/// Phases that free slots come before those that take them, so the account is fullest either before the
/// first or after the last.
pub(crate) fn check(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) -> Capacity {
    let live = &account.read.live;
    let mut revoked: BTreeSet<&KeyId> = BTreeSet::new();
    let mut made = 0;
    for step in changes.iter().flat_map(|change| &change.steps) {
        match step {
            Step::RevokePending { id, .. }
            | Step::DiscardPending { id, .. }
            | Step::RevokeAbandoned { id }
            | Step::RetireKey { id, .. } => {
                revoked.insert(id);
            }
            Step::Delete(delete) => revoked.extend(delete.keys.iter().map(|key| &key.id)),
            Step::Mint(_) => made += 1,
            Step::FinishPending(_)
            | Step::AbandonPending { .. }
            | Step::PostponeRetirement { .. }
            | Step::RetireLocation { .. }
            | Step::Rename { .. }
            | Step::Update { .. }
            | Step::Deliver { .. }
            | Step::Record(_) => {}
        }
    }
    let freed = count(revoked.iter().filter(|id| live.contains_key(**id)));
    let ours_before = owned_and_pending(account);
    let ours = count(ours_before.iter().filter(|id| live.contains_key(*id)));
    let unresolved = unresolved(account);
    let now = count(live.iter());
    let after = now - freed + made;
    let capacity = Capacity {
        limit: account.declared.key_limit,
        max_keys: account.declared.max_keys,
        live: now,
        foreign: now - ours,
        ours,
        after,
        peak: now.max(after) + unresolved,
    };
    if made > 0 {
        over_limit(account, &capacity, made, unresolved, gates);
        over_share(account, &capacity, made, gates);
    }
    capacity
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

fn over_limit(account: &Account<'_>, capacity: &Capacity, made: u32, unresolved: u32, gates: &mut Gates<'_>) {
    let Capacity { limit, max_keys: _, live, foreign, ours, after, peak: _ } = capacity;
    let needed = after + unresolved;
    if needed <= *limit {
        return;
    }
    let over = needed - limit;
    let foreign_help = match foreign {
        0 => String::new(),
        1 => "; 1 key there is not gridkey's".to_string(),
        foreign => format!("; {foreign} keys there are not gridkey's"),
    };
    let waiting = if unresolved == 0 {
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
             {made}, which comes to {after}{waiting}",
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

fn over_share(account: &Account<'_>, capacity: &Capacity, made: u32, gates: &mut Gates<'_>) {
    let Some(max) = capacity.max_keys else { return };
    let ours_after = capacity.after - capacity.foreign.min(capacity.after);
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
