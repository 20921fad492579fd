//! Which decision a key needs: one for each key that is owned, wanted, or was begun.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::manifest::{Manifest, RemovedWhat, WantedKey};
use crate::name::Name;
use crate::plan::account::{Account, Presence};
use crate::plan::adopt::Adoption;
use crate::plan::applied::as_applied;
use crate::plan::decide::decision::{Assumption, Decision, Part};
use crate::plan::decide::recover::{Recovered, recover};
use crate::plan::decide::{compare, handover, mint, remove, schedule};
use crate::plan::document::change::{Action, Cause, Reason};
use crate::plan::findings::Findings;
use crate::plan::index::Index;
use crate::plan::moves::WithMoves;
use crate::state::{AccountState, OwnedKey};

/// Decides about every key of an account that the run is about.
pub(crate) fn of_account(
    account: &Account<'_>,
    adoptions: Option<&BTreeMap<Address, Adoption>>,
    moves: &WithMoves<'_>,
    findings: &mut Findings<'_>,
) -> Vec<Decision> {
    let mut decisions = match account.index.is_state_alone() {
        true => kept(account),
        false => decided(account, findings),
    };
    for (address, adoption) in adoptions.into_iter().flatten() {
        let mut of_address = decisions.iter_mut().filter(|decision| &decision.address == address);
        if let Some(decision) = of_address.find(|decision| !decision.settles) {
            let adopt = Box::new(adoption.adopt.clone());
            decision.assumes = Some(Assumption::Adopted { adopt, reason: adoption.reason });
            decision.edit.findings.extend(adoption.findings.iter().cloned());
        }
    }
    assume_moves(account.name(), moves, &mut decisions);
    decisions
}

/// The first decision about a key that moves tells state so; all others at the address follow it.
fn assume_moves(account: &Name, moves: &WithMoves<'_>, decisions: &mut Vec<Decision>) {
    for (to, from) in moves.of(account) {
        let known = decisions.iter().position(|decision| &decision.address == to);
        let at = known.unwrap_or_else(|| {
            decisions.push(Decision::new(to, account, None, Part::nothing(None)));
            decisions.len() - 1
        });
        decisions[at].assumes = Some(Assumption::Moved { from: from.clone() });
    }
    // What a key was, it was at the address before, in whatever account.
    for decision in decisions {
        for values in decision.before.iter_mut().chain(&mut decision.recorded) {
            if let Some(from) = moves.before(&values.account, &values.address) {
                values.address.clone_from(from);
            }
        }
    }
}

/// What state says of keys is in question alone, so they stay as they are.
fn kept(account: &Account<'_>) -> Vec<Decision> {
    let selected = account.keys().filter(|(address, _)| account.is_selected(address));
    selected
        .map(|(address, owned)| {
            let values = account.values_of(address, owned);
            Decision::new(address, account.name(), Some(values.clone()), Part::nothing(Some(values)))
        })
        .collect()
}

fn decided(account: &Account<'_>, findings: &mut Findings<'_>) -> Vec<Decision> {
    let recovered = recover(account, findings);
    let wanted = account.index.wanted_in(account.name());
    let mut decisions = Vec::with_capacity(wanted.len());
    for (address, owned) in account.keys().filter(|(address, _)| account.is_selected(address)) {
        decisions.extend(owned_key(account, address, owned, &recovered));
    }
    for wanted in wanted {
        let address = &wanted.address;
        let settled = recovered.finished.contains(address) || recovered.waiting.contains(address);
        let expired = schedule::has_expired(account, wanted, address);
        // What is past its time is not completed.
        if account.owned(address).is_none() && !settled && !expired {
            decisions.extend(mint::new(account, wanted, &recovered));
        }
    }
    decisions.extend(recovered.decisions);
    decisions
}

fn owned_key(
    account: &Account<'_>,
    address: &Address,
    owned: &OwnedKey,
    recovered: &Recovered,
) -> Option<Decision> {
    let input = account.input;
    let Some(wanted) = account.wanted(address) else {
        if let Some(wanted) = account.wanted_elsewhere(address) {
            if goes_on_here(account, address, owned, recovered) {
                return made_room(account, wanted, owned, recovered);
            }
            let handed_over = handover::decide(account, wanted, address, owned);
            return handed_over.or_else(|| expired(account, wanted, owned));
        }
        if account.index.lets_go_of(account.name(), address) && !input.selection.destroy {
            return Some(remove::forget(input, account.name(), account.state, address, owned));
        }
        let (cause, reason) = match input.selection.destroy {
            true => (Cause::Requested, Reason::Destroyed),
            false => (Cause::Edited, Reason::NotWanted),
        };
        let edit = remove::delete(account, address, owned, cause, reason);
        let before = account.values_of(address, owned);
        return Some(Decision::new(address, account.name(), Some(before), edit));
    };
    if recovered.finished.contains(address) || recovered.waiting.contains(address) {
        return None;
    }
    let is_gone = account.presence(owned) == Presence::Gone;
    if recovered.uncertain.contains_key(address) && !is_gone {
        // The key is there, but a sink may serve one that a broken run left behind: only a successor delivered
        // everywhere makes sure that nothing reads a key that is about to retire.
        let why = (Action::Rotate, Cause::SecretLost, Reason::SecretUncertain);
        return mint::successor(account, wanted, owned, recovered, why);
    }
    if is_gone && owned.makes_room {
        return made_room(account, wanted, owned, recovered);
    }
    if is_gone && account.state.is_some_and(|state| state.leaving.contains_key(&owned.id)) {
        // It is no accident that it is gone, so it is made like any other that the manifest wants.
        let why = (Action::Create, Cause::Edited, Reason::RevokedBefore);
        return mint::successor(account, wanted, owned, recovered, why);
    }
    if is_gone {
        let why = (Action::Create, Cause::Vanished, Reason::Vanished);
        return mint::successor(account, wanted, owned, recovered, why);
    }
    Some(compare::decide(account, wanted, owned, recovered))
}

/// Whether a rotation that broke off after it had revoked the older key goes on here, as the run leaves the edit that wants
/// the key in another account to another run.
fn goes_on_here(account: &Account<'_>, address: &Address, owned: &OwnedKey, recovered: &Recovered) -> bool {
    let broke_off = owned.makes_room && account.presence(owned) == Presence::Gone;
    // A key of a creation that broke off, which a sink may have.
    let mut settled = recovered.decisions.iter().filter(|decision| decision.address == *address);
    broke_off && account.index.is_due_alone() && !settled.any(|decision| decision.edit.steps.is_empty())
}

/// The key that a rotation made room for before it broke off; edits are left for another run where that one left them.
fn made_room(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    recovered: &Recovered,
) -> Option<Decision> {
    let is_due_alone = account.index.is_due_alone();
    let applied =
        is_due_alone.then(|| as_applied(account.input.manifest, account.declared, &wanted.address, owned));
    let why = (Action::Create, Cause::Recovery, Reason::RevokedFirst);
    let decision = mint::successor(account, applied.as_ref().unwrap_or(wanted), owned, recovered, why)?;
    Some(Decision { settles: true, ..decision })
}

/// A key that is wanted in another account, where none is made any more, as its environment is past its time.
fn expired(account: &Account<'_>, wanted: &WantedKey, owned: &OwnedKey) -> Option<Decision> {
    let due = schedule::expiry(account, wanted, owned)?;
    let before = account.values_of(&wanted.address, owned);
    let kept = Part::nothing(Some(before.clone()));
    Some(Decision {
        due: Some(Box::new(due)),
        position: Some(wanted.position.clone()),
        ..Decision::new(&wanted.address, account.name(), Some(before), kept)
    })
}

/// What becomes of the keys of an account that the manifest no longer has, and lets go of as a whole.
pub(crate) fn of_left_account(
    index: &Index<'_>,
    state: &AccountState,
    moves: &WithMoves<'_>,
) -> Vec<Decision> {
    if !lets_go_of(index.input.manifest, &state.account) {
        return Vec::new();
    }
    let selected = state.keys.iter().filter(|(address, _)| index.is_selected(address));
    let mut decisions = selected
        .map(|(address, owned)| remove::forget(index.input, &state.account, Some(state), address, owned))
        .collect();
    assume_moves(&state.account, moves, &mut decisions);
    decisions
}

/// Whether an account is let go of with all its keys.
pub(crate) fn lets_go_of(manifest: &Manifest, account: &Name) -> bool {
    let mut removed = manifest.removed.iter().filter(|removed| !removed.revoke);
    removed.any(|removed| removed.what == RemovedWhat::Account(account.clone()))
}
