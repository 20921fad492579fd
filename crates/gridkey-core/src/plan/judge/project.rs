//! What concerns the project as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Code, Finding};
use crate::inventory::{SinkContent, SinkObservation};
use crate::manifest::RemovedWhat;
use crate::name::Name;
use crate::plan::document::change::Change;
use crate::plan::findings::Findings;
use crate::plan::input::PlanInput;
use crate::plan::judge::limits;
use crate::plan::moves::{brought, is_near};
use crate::state::AccountState;
use crate::text::pattern::matches_pattern;
use crate::text::suggest::closest;

/// What concerns the project as a whole.
pub(crate) fn project(input: &PlanInput<'_>, findings: &mut Findings<'_>) {
    if input.options.ephemeral_state {
        findings.raise(Finding::blocks(
            Code::EphemeralState,
            "there is no state yet, it would be kept in a local folder, and this looks like a CI runner that is thrown \
             away",
            format!(
                "keep the folder between runs or use a shared store; `--allow {}` goes on",
                Code::EphemeralState
            ),
        ));
    }
    ended_allowances(input, findings);
    unknown_places(input, findings);
    if !input.options.sinks {
        findings.raise(Finding::warns(
            Code::NotChecked,
            "the sinks were not looked at, so whether they have lost a value, or hold one that is not gridkey's, is not \
             known",
            "apply looks, and stops before it overwrites anything",
        ));
    }
    for (name, state) in input.states {
        left_account(input, name, state, findings);
    }
    for name in input.selection.apart.iter().filter(|_| input.selection.environments.is_none()) {
        let message = format!(
            "environment `{name}` came from a pattern that is no longer in the manifest; state owns keys in it, which this \
             run leaves"
        );
        let help = format!("`gridkey destroy --env {name}` ends it; or put its block back");
        findings.raise(Finding::warns(Code::EnvironmentLeft, message, help));
    }
    limits::environments(input, findings);
    emptied_sinks(input, findings);
}

/// An account that state still owns keys in, and that the manifest no longer has.
fn left_account(input: &PlanInput<'_>, name: &Name, state: &AccountState, findings: &mut Findings<'_>) {
    let begun = state.pending.values().map(|pending| &pending.address);
    let concerned = state.keys.keys().chain(begun);
    // With `--env`, keys of other environments are another run's business.
    let concerned = concerned.filter(|address| {
        input.selection.environments.is_none()
            || input.selection.has_environment(input.manifest, address.environment.as_ref())
    });
    let count = concerned.count();
    if count == 0 || input.manifest.accounts.contains_key(name) {
        return;
    }
    let removed =
        input.manifest.removed.iter().find(|removed| removed.what == RemovedWhat::Account(name.clone()));
    let Some(removed) = removed else {
        let keys = if count == 1 { "1 key".to_string() } else { format!("{count} keys") };
        let message = format!("account `{name}` is no longer in the manifest, and state owns {keys} there");
        let help = format!(
            "put the block of account `{name}` back and remove its keys first; or let go of them, as they are: \
             `removed: [{{ account: {name}, revoke: false }}]`"
        );
        return findings.raise(Finding::blocks(Code::AccountLeft, message, help).in_account(name));
    };
    let (why, help) = match (removed.revoke, state.pending.is_empty()) {
        (false, true) => return,
        (true, _) => (
            "revoking its keys takes its managing key",
            "put its block back with `removed`, apply, and then take both out",
        ),
        (false, false) => (
            "an earlier run began keys there that have to be settled first",
            "put its block back, apply, and then let go of it",
        ),
    };
    let message = format!("account `{name}` is no longer in the manifest, and {why}");
    let finding = Finding::blocks(Code::AccountLeft, message, help);
    findings.raise(finding.in_account(name).at_position(Some(&removed.position)));
}

/// Entries of `moved` and `removed` that match nothing, where a key would be revoked that was probably meant.
pub(crate) fn unmatched_entries(
    input: &PlanInput<'_>,
    before: &BTreeMap<Name, AccountState>,
    deleted: &[&Change],
    findings: &mut Findings<'_>,
) {
    let known = || {
        before
            .values()
            .flat_map(|state| state.keys.keys().chain(state.pending.values().map(|pending| &pending.address)))
    };
    let moved = input.manifest.moved.iter().map(|moved| {
        let matches =
            known().any(|address| moved.from.moves(address)) || brought(input.manifest, moved, before);
        ("moved", &moved.from, matches, &moved.position)
    });
    // One that revokes asks for what is done anyway.
    let removed = input.manifest.removed.iter().filter(|removed| !removed.revoke);
    let removed = removed.filter_map(|removed| match &removed.what {
        RemovedWhat::Address(pattern) => {
            let let_go = before.values().flat_map(|state| &state.let_go);
            let matches = known().chain(let_go).any(|address| pattern.matches(address));
            Some(("removed", pattern, matches, &removed.position))
        }
        RemovedWhat::Account(_) => None,
    });
    for (field, from, matches, position) in moved.chain(removed) {
        if matches {
            continue;
        }
        let Some(meant) = deleted.iter().find(|change| is_near(from, &change.address)) else { continue };
        let address = &meant.address;
        let message = format!(
            "the entry `{field}: {{ from: {from} }}` matches no key, and `{address}` would be revoked: did you mean `{address}`?"
        );
        let help = format!("say `from: {address}` if that key is meant; else take the entry out");
        let finding = Finding::blocks(Code::EntryUnmatched, message, help);
        findings.raise(finding.in_account(&meant.account).at_address(address).at_position(Some(position)));
    }
}

/// Sinks whose every location that tells is empty: more likely the wrong folder, mount or namespace than a loss.
fn emptied_sinks(input: &PlanInput<'_>, findings: &mut Findings<'_>) {
    let mut by_sink: BTreeMap<&Name, (u32, u32)> = BTreeMap::new();
    for (address, key) in input.states.values().flat_map(|state| &state.keys) {
        if !input.selection.has_environment(input.manifest, address.environment.as_ref()) {
            continue;
        }
        for delivery in &key.sinks {
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
            findings.raise(Finding::blocks(
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

/// Rules of a policy file for a place that is not there, and that is called almost like one that is. The file may serve
/// other projects too, so a place that looks like nothing here is no finding.
fn unknown_places(input: &PlanInput<'_>, findings: &mut Findings<'_>) {
    let Some(file) = input.policy else { return };
    let manifest = input.manifest;
    for (rule, selector) in file.policy.selectors_of_accounts() {
        let is_environment = manifest.environments.keys().any(|name| name.as_str() == selector);
        if is_environment && !manifest.accounts.keys().any(|name| name.as_str() == selector) {
            let message = format!(
                "the rule `{rule}` of {} is about `{selector}`, which is an environment here, and `{rule}` goes by \
                 account: it holds for nothing",
                file.source.file
            );
            let help = "name an account, or say `default`";
            findings.raise(Finding::warns(Code::UnknownPlace, message, help));
        }
    }
    let environments =
        manifest.environments.keys().chain(manifest.keys.keys().flat_map(|key| &key.environment));
    let names: BTreeSet<&str> = environments.chain(manifest.accounts.keys()).map(Name::as_str).collect();
    let addresses = || manifest.keys.keys().map(ToString::to_string);
    for (rule, selector) in file.policy.selectors().filter(|(_, selector)| !selector.contains('*')) {
        let is_pattern = manifest.patterns.keys().any(|pattern| matches_pattern(pattern, selector));
        if is_pattern || names.contains(selector) || addresses().any(|address| address == selector) {
            continue;
        }
        let meant = closest(selector, &names).or_else(|| closest(selector, addresses()));
        let Some(meant) = meant else { continue };
        let message = format!(
            "the rule `{rule}` of {} is about `{selector}`, which this manifest has not: did you mean `{meant}`?",
            file.source.file
        );
        let help =
            "a rule about a place that is not there holds for nothing; correct it, if this project is meant";
        findings.raise(Finding::warns(Code::UnknownPlace, message, help));
    }
}

/// Exceptions that hold no longer, and that were to be looked at again.
fn ended_allowances(input: &PlanInput<'_>, findings: &mut Findings<'_>) {
    let today = input.today();
    let of_file = input.policy.into_iter().flat_map(|file| &file.policy.allow);
    for allowance in input.manifest.policy.allow.iter().chain(of_file) {
        let Some(until) = allowance.until.filter(|until| *until < today) else { continue };
        let about = allowance.address.as_ref().map(|address| format!(" of `{address}`")).unwrap_or_default();
        let message =
            format!("the finding `{}`{about} was allowed until {until}, which has passed", allowance.code);
        let help = "take the entry out, or give it a later day and a reason that still holds";
        let finding = Finding::warns(Code::AllowanceEnded, message, help);
        let finding = finding.at_position(Some(&allowance.position));
        findings.raise(match &allowance.address {
            Some(address) => finding.at_address(address),
            None => finding,
        });
    }
}
