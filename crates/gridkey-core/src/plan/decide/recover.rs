//! Recovery: what becomes of creations that an earlier run began.
//!
//! There are three cases. A sink has the secret: the creation is finished. Surely no sink has it: the key is
//! revoked. A write-only sink may have it: a replacement is made, and the key retires with the overlap.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::inventory::SinkObservation;
use crate::key::{KeyId, Marker};
use crate::manifest::WantedKey;
use crate::plan::account::{Account, values_of, values_with};
use crate::plan::applied::as_applied;
use crate::plan::decide::decision::{Decision, Part};
use crate::plan::decide::location::readable_first;
use crate::plan::decide::{handover, hooks, remove, schedule};
use crate::plan::document::change::{Action, Cause, Note, Reason};
use crate::plan::document::step::{FinishPending, Put, Step};
use crate::plan::findings::{Findings, about};
use crate::sink::SinkLocation;
use crate::state::{OwnedKey, PendingKey, PendingPhase, RevokeOld, UncertainKey};

/// What recovery came to, for the decisions about the same addresses that follow.
#[derive(Default)]
pub(crate) struct Recovered {
    pub decisions: Vec<Decision>,
    /// Addresses whose key is there once recovery is done.
    pub finished: BTreeSet<Address>,
    /// Addresses of which nothing can be decided yet.
    pub waiting: BTreeSet<Address>,
    /// Keys that a write-only sink may have, by address.
    pub uncertain: BTreeMap<Address, Vec<UncertainKey>>,
}

/// A pending creation, and the live key that came of it.
struct Seen<'a> {
    marker: &'a Marker,
    pending: &'a PendingKey,
    id: KeyId,
}

pub(crate) fn recover(account: &Account<'_>, findings: &mut Findings<'_>) -> Recovered {
    let mut recovered = Recovered::default();
    let Some(state) = account.state else { return recovered };
    let owned = state.owned_ids();
    let mut marked: BTreeMap<Marker, Vec<&KeyId>> = BTreeMap::new();
    for (id, name) in &account.read.live {
        if let Some(marker) = Marker::in_name(name).filter(|_| !owned.contains_key(id)) {
            marked.entry(marker).or_default().push(id);
        }
    }
    let mut seen: BTreeMap<&Address, Vec<Seen<'_>>> = BTreeMap::new();
    for (marker, pending) in &state.pending {
        let ids = marked.remove(marker).unwrap_or_default();
        if ids.is_empty() {
            never_seen(account, marker, pending, &mut recovered);
        }
        for id in ids {
            seen.entry(&pending.address).or_default().push(Seen { marker, pending, id: id.clone() });
        }
    }
    for (address, keys) in seen {
        if account.index.is_recovered(address) {
            resolve(account, address, keys, &mut recovered, findings);
        }
    }
    for (address, owned) in account.keys().filter(|(address, _)| account.index.is_recovered(address)) {
        recovered.decisions.extend(untold(account, address, owned, findings));
    }
    // What was given up in an environment that is gone is no other run's business than one about everything.
    let everything = account.input.selection.environments.is_none();
    // No sink has its secret, so a move that is left for another run does not stand against revoking it.
    let abandoned = state.abandoned.iter();
    for (marker, abandoned) in
        abandoned.filter(|(_, abandoned)| everything || account.index.is_in_environments(&abandoned.address))
    {
        for id in marked.remove(marker).unwrap_or_default() {
            let step = Step::RevokeAbandoned { id: id.clone() };
            let note = Note::Creation { marker: marker.clone(), id: Some(id.clone()) };
            recovered.decisions.push(decision(
                account,
                &abandoned.address,
                Reason::LateEffect,
                vec![note],
                vec![step],
            ));
        }
    }
    recovered
}

/// SendGrid shows no key of this creation: it never will, or not yet.
fn never_seen(account: &Account<'_>, marker: &Marker, pending: &PendingKey, recovered: &mut Recovered) {
    let recent = account.is_recent(pending.at);
    if !account.index.is_recovered(&pending.address) {
        return;
    }
    if account.wanted_to_recover(&pending.address).is_none()
        && remove::takes_what_broke_off(account, &pending.address)
    {
        return;
    }
    let note = Note::Creation { marker: marker.clone(), id: None };
    let (reason, steps) = if recent {
        recovered.waiting.insert(pending.address.clone());
        (Reason::Unresolved, Vec::new())
    } else {
        (Reason::NeverMade, vec![Step::AbandonPending { marker: marker.clone() }])
    };
    recovered.decisions.push(decision(account, &pending.address, reason, vec![note], steps));
}

/// Decides about the live keys that came of an address's pending creations.
fn resolve(
    account: &Account<'_>,
    address: &Address,
    mut keys: Vec<Seen<'_>>,
    recovered: &mut Recovered,
    findings: &mut Findings<'_>,
) {
    // The newest creation is what people wanted last.
    keys.sort_by(|a, b| b.pending.at.cmp(&a.pending.at).then_with(|| a.marker.cmp(b.marker)));
    let Some(wanted) = account.wanted_to_recover(address) else {
        not_wanted_here(account, address, &keys, recovered, findings);
        return;
    };
    let mut finisher = None;
    for key in keys {
        let locations = locations(key.pending, wanted);
        let holder = locations.iter().find(|location| account.holds(location, &key.id));
        let unreadable = locations
            .iter()
            .find(|location| matches!(account.observed(location), SinkObservation::Unreadable(_)));
        let maybe = key.pending.may_be_in_write_only();
        let uncertain = UncertainKey { marker: key.marker.clone(), id: key.id.clone() };
        match (holder, unreadable) {
            (Some(holder), _) if finisher.is_none() => finisher = Some((key, holder.clone())),
            (Some(_), _) => recovered.uncertain.entry(address.clone()).or_default().push(uncertain),
            (None, Some(location)) => wait(account, &key, location, recovered, findings),
            (None, None) if maybe && !may_revoke(wanted, &key, findings) => {
                recovered.uncertain.entry(address.clone()).or_default().push(uncertain);
            }
            (None, None) => {
                let note = Note::Creation { marker: key.marker.clone(), id: Some(key.id.clone()) };
                let step = Step::RevokePending { marker: key.marker.clone(), id: key.id };
                recovered.decisions.push(decision(
                    account,
                    address,
                    Reason::SecretLost,
                    vec![note],
                    vec![step],
                ));
            }
        }
    }
    if let Some((key, source)) = finisher {
        // What is still unclear about another attempt does not stand against finishing this one.
        recovered.waiting.remove(address);
        let uncertain = recovered.uncertain.remove(address).unwrap_or_default();
        let applied = as_applied_before(account, wanted, &key);
        let finish = finish(account, applied.as_ref().unwrap_or(wanted), &key, source, uncertain, findings);
        recovered.decisions.push(finish);
        recovered.finished.insert(address.clone());
    }
}

/// Live keys of an address that is wanted in another account, or nowhere.
fn not_wanted_here(
    account: &Account<'_>,
    address: &Address,
    keys: &[Seen<'_>],
    recovered: &mut Recovered,
    findings: &mut Findings<'_>,
) {
    if remove::takes_what_broke_off(account, address) {
        return;
    }
    for key in keys {
        let decision = match account.wanted_elsewhere(address) {
            Some(wanted) if !schedule::has_expired(account, wanted, address) => {
                followed(account, wanted, key)
            }
            Some(_) | None => left_over(account, address, key, findings),
        };
        recovered.decisions.push(decision);
    }
}

/// Whether a person has said that an uncertain key may be revoked at once.
fn may_revoke(wanted: &WantedKey, key: &Seen<'_>, findings: &mut Findings<'_>) -> bool {
    if !findings.is_allowed(Code::UncertainKey, Some(&wanted.address)) {
        return false;
    }
    let message = format!("a write-only sink may have the key {}, which is revoked at once", key.id);
    let finding = Finding { help: None, ..Finding::blocks(Code::UncertainKey, message, String::new()) };
    findings.raise(about(finding, wanted));
    true
}

fn wait(
    account: &Account<'_>,
    key: &Seen<'_>,
    location: &SinkLocation,
    recovered: &mut Recovered,
    findings: &mut Findings<'_>,
) {
    let address = &key.pending.address;
    recovered.waiting.insert(address.clone());
    let note = Note::Creation { marker: key.marker.clone(), id: Some(key.id.clone()) };
    recovered.decisions.push(decision(account, address, Reason::Unresolved, vec![note], Vec::new()));
    let message =
        format!("{location} may hold the key {} of an earlier run, and cannot be read just now", key.id);
    let help = "make the sink readable and run again; until then the key stays as it is";
    let finding = Finding::warns(Code::RecoverWaits, message, help);
    findings.raise(finding.in_account(account.name()).at_address(address));
}

/// The locations that may have been given a pending key: those of its time, and those of now.
fn locations(pending: &PendingKey, wanted: &WantedKey) -> Vec<SinkLocation> {
    let mut seen = BTreeSet::new();
    let all = pending.locations.iter().chain(&wanted.sinks);
    all.filter(|location| seen.insert(location.id())).cloned().collect()
}

/// What to finish a key as, where the run leaves edits of its address for another: as the one before it was applied, and
/// where it was to go when it was begun. A first key was never applied, so it is what the manifest wants.
fn as_applied_before(account: &Account<'_>, wanted: &WantedKey, key: &Seen<'_>) -> Option<WantedKey> {
    let address = &wanted.address;
    if !account.index.is_due_alone() && account.is_selected(address) {
        return None;
    }
    let applied = as_applied(account.input.manifest, account.declared, address, account.owned(address)?);
    Some(WantedKey { sinks: key.pending.locations.clone(), ..applied })
}

/// A key of whose delivery not everybody was told. It stays what it is.
fn untold(
    account: &Account<'_>,
    address: &Address,
    owned: &OwnedKey,
    findings: &mut Findings<'_>,
) -> Option<Decision> {
    let wanted = account.wanted_to_recover(address)?;
    let (notes, steps) = hooks::due(wanted, owned, findings)?;
    let values = account.values_of(address, owned);
    let mut decision = decision(account, address, Reason::HookDue, notes, steps);
    decision.before = Some(values.clone());
    decision.edit.after = Some(values);
    decision.position = Some(wanted.position.clone());
    Some(decision)
}

fn finish(
    account: &Account<'_>,
    wanted: &WantedKey,
    key: &Seen<'_>,
    source: SinkLocation,
    uncertain: Vec<UncertainKey>,
    findings: &mut Findings<'_>,
) -> Decision {
    let owned = account.owned(&wanted.address);
    let elsewhere = account.elsewhere(&wanted.address).filter(|_| owned.is_none());
    let address = &wanted.address;
    let before = match (owned, elsewhere) {
        (Some(owned), _) => Some(account.values_of(address, owned)),
        (None, Some((other, owned))) => Some(values_of(other, address, owned)),
        (None, None) => None,
    };
    let mut notes = vec![Note::Creation { marker: key.marker.clone(), id: Some(key.id.clone()) }];
    notes.extend(elsewhere.map(|(other, _)| Note::MovesFrom(other.clone())));
    let mut ours: BTreeSet<&KeyId> = account.index.own_ids(address, account.name());
    ours.extend(uncertain.iter().map(|uncertain| &uncertain.id));
    ours.insert(&key.id);
    let mut puts: Vec<Put> = wanted
        .sinks
        .iter()
        .filter(|location| !account.holds(location, &key.id) || location.at.follows_up())
        .map(|location| account.put(wanted, location, &ours, &mut notes, findings))
        .collect();
    readable_first(&mut puts);
    let settings = account.settings(wanted);
    let (name, access) = (key.pending.name.clone(), key.pending.access.clone());
    let after = values_with(wanted, Some(key.id.clone()), name, access, &settings);
    let finish = FinishPending {
        marker: key.marker.clone(),
        id: key.id.clone(),
        source,
        puts,
        generation: account.next_generation(&wanted.address),
        first_made: account.elsewhere(&wanted.address).map(|(_, owned)| owned.since()),
        settings,
        overlap: if key.pending.older == RevokeOld::Now { Duration::ZERO } else { wanted.overlap() },
        retire: owned.map(|owned| account.retiring_reason(owned)),
        uncertain,
    };
    let mut steps = vec![Step::FinishPending(finish)];
    // Those of all its locations: the run that gave it to some of them broke off before.
    hooks::run(wanted.hooks.clone(), &mut steps, &mut notes);
    if account.read.live.get(&key.id) != Some(&key.pending.name) {
        steps.push(Step::Rename { id: key.id.clone(), name: key.pending.name.clone() });
    }
    let mut decision = decision(account, address, Reason::SecretSurvived, notes, steps);
    decision.before = before;
    decision.edit.after = Some(after);
    decision.position = Some(wanted.position.clone());
    decision
}

/// What becomes of a creation whose address is wanted in another account by now: while somebody may read its key,
/// that one goes on working until another has been there for an overlap.
fn followed(account: &Account<'_>, wanted: &WantedKey, key: &Seen<'_>) -> Decision {
    let address = &wanted.address;
    let locations = locations(key.pending, wanted);
    let may_serve = |location: &&SinkLocation| {
        account.holds(location, &key.id)
            || matches!(account.observed(location), SinkObservation::Unreadable(_))
    };
    let over = match handover::replaced(account, wanted, key.pending.at) {
        // What a sink held before cannot be seen any more, so its readers are given the overlap.
        Some((over, successor)) => {
            let serves = |location| may_serve(&location) || handover::is_awaited(successor, location);
            over && !wanted.sinks.iter().any(serves)
        }
        None => !locations.iter().any(|location| may_serve(&location)) && !key.pending.may_be_in_write_only(),
    };
    if over {
        return discard(account, address, key);
    }
    let note = Note::Creation { marker: key.marker.clone(), id: Some(key.id.clone()) };
    decision(account, address, Reason::Unresolved, vec![note], Vec::new())
}

/// What becomes of a creation whose address is wanted no more. One that a sink may have, and that a person says is to stay
/// live, is not taken back.
fn left_over(
    account: &Account<'_>,
    address: &Address,
    key: &Seen<'_>,
    findings: &mut Findings<'_>,
) -> Decision {
    let may_be_read = key.pending.locations.iter().any(|location| may_hold(account, location, key));
    if may_be_read && account.index.lets_go_of(account.name(), address) {
        findings.raise(remove::settle_first(address).in_account(account.name()).at_address(address));
        let note = Note::Creation { marker: key.marker.clone(), id: Some(key.id.clone()) };
        return decision(account, address, Reason::Unresolved, vec![note], Vec::new());
    }
    discard(account, address, key)
}

fn discard(account: &Account<'_>, address: &Address, key: &Seen<'_>) -> Decision {
    let clear = key
        .pending
        .locations
        .iter()
        .filter(|location| account.other_user(address, &location.id()).is_none())
        .filter(|location| !account.is_given_elsewhere(address, &location.id()))
        .filter(|location| may_hold(account, location, key))
        .cloned()
        .collect();
    let note = Note::Creation { marker: key.marker.clone(), id: Some(key.id.clone()) };
    let step = Step::DiscardPending { marker: key.marker.clone(), id: key.id.clone(), clear };
    decision(account, address, Reason::NotWanted, vec![note], vec![step])
}

/// Whether a location has, or may have, the key. A write-only one may once delivery to such had begun;
/// before that, what it holds is not gridkey's.
fn may_hold(account: &Account<'_>, location: &SinkLocation, key: &Seen<'_>) -> bool {
    match account.observed(location) {
        SinkObservation::Holds(_) => account.holds(location, &key.id),
        SinkObservation::Unreadable(_) => true,
        SinkObservation::WriteOnly => key.pending.phase == PendingPhase::Delivering,
    }
}

fn decision(
    account: &Account<'_>,
    address: &Address,
    reason: Reason,
    notes: Vec<Note>,
    steps: Vec<Step>,
) -> Decision {
    let edit = Part {
        cause: Cause::Recovery,
        said: vec![(Action::Recover, reason)],
        notes,
        steps,
        ..Part::nothing(None)
    };
    Decision { settles: true, ..Decision::new(address, account.name(), None, edit) }
}
