//! What concerns the project as a whole.

use std::collections::BTreeMap;

use crate::finding::{Code, Finding, Severity};
use crate::inventory::{SinkContent, SinkObservation};
use crate::manifest::RemovedWhat;
use crate::name::Name;
use crate::plan::findings::{Gates, blocks};
use crate::plan::input::PlanInput;

/// What concerns the project as a whole.
pub(crate) fn project(input: &PlanInput<'_>, gates: &mut Gates<'_>) {
    if input.options.ephemeral_state {
        gates.raise(blocks(
            Code::EphemeralState,
            "there is no state yet, it would be kept in a local folder, and this looks like a CI runner that is \
             thrown away"
                .to_string(),
            format!(
                "keep the folder between runs or use a shared store; `--allow {}` goes on",
                Code::EphemeralState
            ),
        ));
    }
    ended_allowances(input, gates);
    if !input.options.sinks {
        gates.raise(Finding {
            severity: Severity::Warns,
            ..blocks(
                Code::NotChecked,
                "the sinks were not looked at, so nobody knows whether they have lost a value, or hold one that is \
                 not gridkey's"
                    .to_string(),
                "apply looks, and stops before it overwrites anything",
            )
        });
    }
    left_accounts(input, gates);
    emptied_sinks(input, gates);
}

/// Accounts that state still owns keys in, and that the manifest no longer has.
fn left_accounts(input: &PlanInput<'_>, gates: &mut Gates<'_>) {
    if input.selection.environments.is_some() {
        return;
    }
    for (name, state) in input.states {
        let count = state.keys.len() + state.pending.len();
        if count == 0 || input.manifest.accounts.contains_key(name) {
            continue;
        }
        let removed =
            input.manifest.removed.iter().find(|removed| removed.what == RemovedWhat::Account(name.clone()));
        match removed {
            Some(removed) if !removed.revoke && state.pending.is_empty() => continue,
            Some(removed) => {
                let (why, help) = if removed.revoke {
                    (
                        "revoking its keys takes its managing key",
                        "put its block back with `removed`, apply, and then take both out",
                    )
                } else {
                    (
                        "an earlier run began keys there that have to be settled first",
                        "put its block back, apply, and then let go of it",
                    )
                };
                gates.raise(Finding {
                    account: Some(name.clone()),
                    position: Some(removed.position.clone()),
                    ..blocks(
                        Code::AccountLeft,
                        format!("account `{name}` is no longer in the manifest, and {why}"),
                        help,
                    )
                });
                continue;
            }
            None => {}
        }
        let keys = if count == 1 { "1 key".to_string() } else { format!("{count} keys") };
        gates.raise(Finding {
            account: Some(name.clone()),
            ..blocks(
                Code::AccountLeft,
                format!("account `{name}` is no longer in the manifest, and state owns {keys} there"),
                format!(
                    "put the block of account `{name}` back and remove its keys first; or let go of them, as they \
                     are: `removed: [{{ account: {name}, revoke: false }}]`"
                ),
            )
        });
    }
}

/// Sinks whose every location is empty: more likely the wrong folder, mount or namespace than a loss.
fn emptied_sinks(input: &PlanInput<'_>, gates: &mut Gates<'_>) {
    let mut by_sink: BTreeMap<&Name, (u32, u32)> = BTreeMap::new();
    for (address, key) in input.states.values().flat_map(|state| &state.keys) {
        if !input.selection.has_environment(input.manifest, address.environment.as_ref()) {
            continue;
        }
        for delivery in key.sinks.iter().filter(|delivery| delivery.location.at.is_readable()) {
            let (given, empty) = by_sink.entry(&delivery.location.sink).or_default();
            match input.inventory.sinks.get(&delivery.location.id()) {
                Some(SinkObservation::Holds(SinkContent::Empty)) => {
                    *given += 1;
                    *empty += 1;
                }
                Some(SinkObservation::Holds(_)) => *given += 1,
                Some(SinkObservation::Unreadable(_) | SinkObservation::WriteOnly) | None => {}
            }
        }
    }
    for (sink, (given, empty)) in by_sink {
        // Fewer than three empty locations can be one lost file, which is simply put right.
        if given >= 3 && given == empty {
            gates.raise(blocks(
                Code::SinkMismatch,
                format!("sink `{sink}` was given {given} locations, and all of them are empty"),
                format!(
                    "look whether this is the right folder, mount or namespace; if the values really are gone, \
                     `--allow {}`",
                    Code::SinkMismatch
                ),
            ));
        }
    }
}

/// Exceptions that hold no longer, and that somebody meant to look at again.
fn ended_allowances(input: &PlanInput<'_>, gates: &mut Gates<'_>) {
    let today = input.today();
    let of_file = input.policy.into_iter().flat_map(|file| &file.policy.allow);
    for allowance in input.manifest.policy.allow.iter().chain(of_file) {
        let Some(until) = allowance.until.filter(|until| *until < today) else { continue };
        let about = allowance.address.as_ref().map(|address| format!(" of `{address}`")).unwrap_or_default();
        gates.raise(Finding {
            severity: Severity::Warns,
            address: allowance.address.clone(),
            position: Some(allowance.position.clone()),
            ..blocks(
                Code::AllowanceEnded,
                format!(
                    "the finding `{}`{about} was allowed until {until}, which has passed",
                    allowance.code
                ),
                "take the entry out, or give it a later day and a reason that still holds",
            )
        });
    }
}
