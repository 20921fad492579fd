//! Keys that are wanted and not there: new ones, and those that vanished.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access::Scopes;
use crate::finding::{Code, Finding, Severity};
use crate::inventory::SinkObservation;
use crate::manifest::WantedKey;
use crate::plan::account::{Account, Presence, overlap, values_of};
use crate::plan::choose::schedule as clock;
use crate::plan::decide::location::readable_first;
use crate::plan::decide::recover::{Recovered, retiring_reason};
use crate::plan::decide::scopes::effective;
use crate::plan::document::change::{Action, Change, KeyValues, Note, Reason};
use crate::plan::document::step::{Mint, Step};
use crate::plan::{findings::Gates, judge as gate};
use crate::state::RevokeOld;
use crate::state::{OwnedKey, Purpose};

pub(crate) fn changes(account: &Account<'_>, recovered: &Recovered, gates: &mut Gates<'_>) -> Vec<Change> {
    let manifest = account.input.manifest;
    let mut changes = Vec::new();
    for address in manifest.keys.keys() {
        let Some(wanted) = account.wanted(address) else { continue };
        if recovered.finished.contains(address) || recovered.waiting.contains(address) {
            continue;
        }
        match account.owned(address) {
            // What is past its time is not completed.
            None if clock::has_expired(account, address) => {}
            None => changes.extend(new(account, wanted, recovered, gates)),
            Some(owned) if account.presence(owned) == Presence::Gone => {
                changes.extend(vanished(account, wanted, owned, recovered, gates));
            }
            // The key is there, but a sink may serve one that a broken run left behind: only a successor
            // delivered everywhere makes sure that nobody reads a key that is about to retire.
            Some(owned) if recovered.uncertain.contains_key(address) => {
                let older = Older::Here(owned, RevokeOld::AfterOverlap);
                let reason = Reason::SecretUncertain;
                changes.extend(mint(account, wanted, older, Action::Rotate, reason, recovered, gates));
            }
            Some(_) => {}
        }
    }
    changes
}

fn new(
    account: &Account<'_>,
    wanted: &WantedKey,
    recovered: &Recovered,
    gates: &mut Gates<'_>,
) -> Option<Change> {
    if let Some((other, owned)) = account.elsewhere(&wanted.address) {
        let older = Older::Elsewhere(owned);
        let mut change =
            mint(account, wanted, older, Action::Rotate, Reason::AccountChanged, recovered, gates)?;
        change.notes.push(Note::MovesFrom(other.clone()));
        return Some(change);
    }
    mint(account, wanted, Older::None, Action::Create, Reason::New, recovered, gates)
}

fn vanished(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    recovered: &Recovered,
    gates: &mut Gates<'_>,
) -> Option<Change> {
    gate::vanished(account, wanted, &owned.name, &owned.id, gates);
    let older = Older::Here(owned, RevokeOld::AfterOverlap);
    mint(account, wanted, older, Action::Create, Reason::Vanished, recovered, gates)
}

/// The key that a new one takes the place of.
#[derive(Clone, Copy)]
pub(crate) enum Older<'a> {
    None,
    Here(&'a OwnedKey, RevokeOld),
    /// It lives in another account, whose own plan retires it.
    Elsewhere(&'a OwnedKey),
}

/// Plans a new key; `None` where there is nothing it could be given.
pub(crate) fn mint(
    account: &Account<'_>,
    wanted: &WantedKey,
    older: Older<'_>,
    action: Action,
    reason: Reason,
    recovered: &Recovered,
    gates: &mut Gates<'_>,
) -> Option<Change> {
    let (owned, before, revoke_old) = match older {
        Older::None => (None, None, RevokeOld::AfterOverlap),
        Older::Here(owned, revoke_old) => (Some(owned), Some(owned), revoke_old),
        Older::Elsewhere(owned) => (None, Some(owned), RevokeOld::AfterOverlap),
    };
    // What the older key was given needs no new look at what can be granted.
    let held = owned.map(|owned| scope_set(&owned.access)).unwrap_or_default();
    let effective = effective(wanted, &held, &account.read.grantable, gates);
    let access = effective.access?;
    if wanted.sinks.is_empty() {
        gates.raise(no_sink(wanted, action));
    }
    gate::full_access(account, wanted, gates);
    let uncertain = recovered.uncertain.get(&wanted.address).cloned().unwrap_or_default();
    let mut notes = Vec::new();
    if !effective.left_out.is_empty() {
        notes.push(Note::LeftOut(effective.left_out));
    }
    let mut ours = account.own_ids(&wanted.address);
    ours.extend(uncertain.iter().map(|key| &key.id));
    let mut puts: Vec<_> =
        wanted.sinks.iter().map(|location| account.put(wanted, location, &ours, &mut notes, gates)).collect();
    readable_first(&mut puts);
    let settings = account.settings(wanted);
    let mint = Mint {
        markers: account.input.seed.markers(account.name(), &wanted.address),
        purpose: match older {
            Older::None => Purpose::Create,
            Older::Here(owned, _) => Purpose::Replace(owned.id.clone()),
            Older::Elsewhere(owned) => Purpose::Follow(owned.id.clone()),
        },
        name: wanted.name.clone(),
        access: access.clone(),
        puts,
        generation: account.next_generation(&wanted.address),
        first_made: account.elsewhere(&wanted.address).map(|(_, owned)| owned.since()),
        settings: settings.clone(),
        overlap: if revoke_old == RevokeOld::Now { Duration::ZERO } else { overlap(wanted) },
        older: revoke_old,
        retire: owned.map(|owned| retiring_reason(account, owned)),
        uncertain,
    };
    let mut reasons = vec![reason];
    let now = owned.filter(|_| revoke_old == RevokeOld::Now);
    let now = now.map(|owned| Step::RevokeOlder { id: owned.id.clone(), born: owned.born.at() });
    if !mint.uncertain.is_empty() && reason != Reason::SecretUncertain {
        reasons.push(Reason::SecretUncertain);
    }
    let mut steps = vec![Step::Mint(mint)];
    steps.extend(now);
    Some(Change {
        address: wanted.address.clone(),
        account: account.name().clone(),
        action,
        reasons,
        before: before.map(values_of),
        after: Some(KeyValues {
            id: None,
            name: wanted.name.clone(),
            access,
            sinks: settings.locations,
            owner: settings.owner,
            protect: settings.protect,
            on_delete: settings.on_delete,
        }),
        notes,
        steps,
        rotation: None,
        position: Some(wanted.position.clone()),
    })
}

fn no_sink(wanted: &WantedKey, action: Action) -> Finding {
    Finding {
        severity: Severity::Blocks,
        code: Code::NoSink,
        account: Some(wanted.account.clone()),
        address: Some(wanted.address.clone()),
        message: format!(
            "`{}` has no sink, so the secret of a new key would be lost, and it cannot be {}",
            wanted.address,
            if action == Action::Rotate { "rotated" } else { "made" }
        ),
        help: Some("give it `sinks`: SendGrid shows a secret once".to_string()),
        position: Some(wanted.position.clone()),
    }
}

/// Whether a location cannot be read just now.
pub(crate) fn is_unreadable(observation: &SinkObservation) -> bool {
    match observation {
        SinkObservation::Unreadable(_) => true,
        SinkObservation::Holds(_) | SinkObservation::WriteOnly => false,
    }
}

/// The scopes of an access, as a set; none for Full Access.
pub(crate) fn scope_set(access: &crate::access::Access) -> BTreeSet<crate::access::Scope> {
    access.scopes().map(Scopes::as_set).cloned().unwrap_or_default()
}
