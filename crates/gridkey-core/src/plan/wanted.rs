//! Keys that are wanted and not there: new ones, and those that vanished.

use std::collections::BTreeSet;

use crate::access::Scopes;
use crate::inventory::SinkObservation;
use crate::key::KeyId;
use crate::manifest::WantedKey;
use crate::plan::account::{Account, Presence, overlap, values_of};
use crate::plan::document::{Action, Change, KeyValues, Note, Reason};
use crate::plan::gate::{self, Gates};
use crate::plan::location::readable_first;
use crate::plan::recover::{Recovered, older_ids, retiring_reason};
use crate::plan::scopes::effective;
use crate::plan::step::{Mint, Put, Step};
use crate::plan::{Code, Finding, Severity};
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
            None => changes.extend(new(account, wanted, recovered, gates)),
            Some(owned) if account.presence(owned) == Presence::Gone => {
                changes.extend(vanished(account, wanted, owned, recovered, gates));
            }
            // The key is there, but a sink may serve one that a broken run left behind: only a successor
            // delivered everywhere makes sure that nobody reads a key that is about to retire.
            Some(owned) if recovered.uncertain.contains_key(address) => {
                let change = mint(
                    account,
                    wanted,
                    Some(owned),
                    Action::Rotate,
                    Reason::SecretUncertain,
                    recovered,
                    gates,
                );
                changes.extend(change);
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
    let owner = account.owners.get(&wanted.address).copied();
    if let Some(other) = owner.filter(|other| *other != account.name()) {
        gates.raise(needs_rotation(
            wanted,
            format!(
                "the key of `{}` lives in account `{other}`, and is wanted in `{}`",
                wanted.address,
                account.name()
            ),
        ));
        return None;
    }
    mint(account, wanted, None, Action::Create, Reason::New, recovered, gates)
}

fn vanished(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: &OwnedKey,
    recovered: &Recovered,
    gates: &mut Gates<'_>,
) -> Option<Change> {
    gate::vanished(account, wanted, &owned.name, &owned.id, gates);
    mint(account, wanted, Some(owned), Action::Create, Reason::Vanished, recovered, gates)
}

/// Plans a new key; `None` where there is nothing it could be given.
fn mint(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: Option<&OwnedKey>,
    action: Action,
    reason: Reason,
    recovered: &Recovered,
    gates: &mut Gates<'_>,
) -> Option<Change> {
    let effective = effective(wanted, &BTreeSet::new(), &account.read.grantable, gates);
    let access = effective.access?;
    gate::full_access(account, wanted, gates);
    let uncertain = recovered.uncertain.get(&wanted.address).cloned().unwrap_or_default();
    let mut notes = Vec::new();
    if !effective.left_out.is_empty() {
        notes.push(Note::LeftOut(effective.left_out));
    }
    let puts =
        puts(account, wanted, owned, &uncertain.iter().map(|key| &key.id).collect(), &mut notes, gates);
    let settings = account.settings(wanted);
    let mint = Mint {
        markers: account.input.seed.markers(account.name(), &wanted.address),
        purpose: owned.map_or(Purpose::Create, |owned| Purpose::Replace(owned.id.clone())),
        name: wanted.name.clone(),
        access: access.clone(),
        puts,
        generation: owned.map_or(0, |owned| owned.generation) + 1,
        settings: settings.clone(),
        overlap: overlap(wanted),
        retire: owned.map(|owned| retiring_reason(account, owned)),
        uncertain,
    };
    let mut reasons = vec![reason];
    if !mint.uncertain.is_empty() && reason != Reason::SecretUncertain {
        reasons.push(Reason::SecretUncertain);
    }
    Some(Change {
        address: wanted.address.clone(),
        account: account.name().clone(),
        action,
        reasons,
        before: owned.map(values_of),
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
        steps: vec![Step::Mint(mint)],
        rotation: None,
        position: Some(wanted.position.clone()),
    })
}

fn puts(
    account: &Account<'_>,
    wanted: &WantedKey,
    owned: Option<&OwnedKey>,
    uncertain: &BTreeSet<&KeyId>,
    notes: &mut Vec<Note>,
    gates: &mut Gates<'_>,
) -> Vec<Put> {
    let mut ours = uncertain.clone();
    ours.extend(owned.into_iter().flat_map(older_ids));
    let mut puts: Vec<_> =
        wanted.sinks.iter().map(|location| account.put(wanted, location, &ours, notes, gates)).collect();
    readable_first(&mut puts);
    puts
}

/// A change that only a new key could bring about.
pub(crate) fn needs_rotation(wanted: &WantedKey, message: String) -> Finding {
    Finding {
        severity: Severity::Blocks,
        code: Code::NeedsRotation,
        account: Some(wanted.account.clone()),
        address: Some(wanted.address.clone()),
        message,
        help: Some(
            "this needs a new key in place of the old one, which this version of gridkey cannot do; rename the \
             key in the manifest to get a new one now, and remove the old one once nothing uses it"
                .to_string(),
        ),
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
