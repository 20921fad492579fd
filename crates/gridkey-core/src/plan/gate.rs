//! Gates: what stands against a plan, and what was allowed to pass.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::inventory::{ReadAccount, SinkContent, SinkObservation, Unreadable, UnreadableReason};
use crate::key::KeyId;
use crate::manifest::{self, ImportKey, RemovedWhat, Rule, Share, Verdict};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::document::{Action, Change, Reason};
use crate::plan::input::{PlanInput, matches_pattern};
use crate::plan::step::Step;
use crate::plan::{Code, Finding, Severity};
use crate::state::AccountState;

/// Collects findings, and lets those pass that a person allowed.
pub(crate) struct Gates<'a> {
    input: &'a PlanInput<'a>,
    findings: Vec<Finding>,
}

impl<'a> Gates<'a> {
    pub fn new(input: &'a PlanInput<'a>) -> Self {
        Self { input, findings: Vec::new() }
    }

    pub fn raise(&mut self, mut finding: Finding) {
        let blocks = matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount);
        if blocks && self.is_allowed(finding.code, finding.address.as_ref()) {
            finding.severity = Severity::Allowed;
        }
        self.findings.push(finding);
    }

    /// Whether a person lets findings of this code pass, by `--allow` or in the manifest.
    pub fn is_allowed(&self, code: Code, address: Option<&Address>) -> bool {
        let today = jiff::tz::TimeZone::UTC.to_datetime(self.input.now).date();
        let by_manifest = self.input.manifest.policy.allow.iter().any(|allowance| {
            allowance.code == code.as_str()
                && (allowance.address.is_none() || allowance.address.as_ref() == address)
                && allowance.until.is_none_or(|until| today <= until)
        });
        let once = self.input.options.allow.iter().any(|allow| allow.covers(code, address));
        code.is_allowable() && (once || by_manifest)
    }

    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

fn blocks(code: Code, message: String, help: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Blocks,
        code,
        account: None,
        address: None,
        message,
        help: Some(help.into()),
        position: None,
    }
}

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
    left_accounts(input, gates);
    emptied_sinks(input, gates);
    not_supported(input, gates);
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
        let keys = if count == 1 { "1 key".to_string() } else { format!("{count} keys") };
        gates.raise(Finding {
            account: Some(name.clone()),
            ..blocks(
                Code::AccountLeft,
                format!("account `{name}` is no longer in the manifest, and state owns {keys} there"),
                format!("put the block of account `{name}` back, and remove its keys first"),
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

/// Parts of a manifest that this version reads and cannot act on: said, never skipped.
fn not_supported(input: &PlanInput<'_>, gates: &mut Gates<'_>) {
    let manifest = input.manifest;
    let owned = |address: &str| {
        input
            .states
            .values()
            .flat_map(|state| state.keys.keys())
            .any(|known| matches_pattern(address, &known.to_string()))
    };
    let mut say = |what: String, position: &manifest::Position| {
        gates.raise(Finding {
            position: Some(position.clone()),
            ..blocks(
                Code::NotSupported,
                format!("{what}, which this version of gridkey cannot do yet"),
                "take it out of the manifest to plan the rest",
            )
        });
    };
    for moved in manifest.moved.iter().filter(|moved| owned(&moved.from)) {
        say(format!("`moved` renames `{}` to `{}`", moved.from, moved.to), &moved.position);
    }
    for import in &manifest.import {
        let done = input.states.values().any(|state| state.keys.contains_key(&import.to));
        let what = match &import.key {
            ImportKey::Id(id) => format!("`import` adopts the key {id} as `{}`", import.to),
            ImportKey::Name(name) => format!("`import` adopts the key named `{name}` as `{}`", import.to),
        };
        if !done {
            say(what, &import.position);
        }
    }
    for removed in &manifest.removed {
        let (pending, what) = match &removed.what {
            RemovedWhat::Address(address) => (owned(address), format!("`removed` lets go of `{address}`")),
            RemovedWhat::Account(account) => (
                input.states.get(account).is_some_and(|state| !state.keys.is_empty()),
                format!("`removed` lets go of account `{account}`"),
            ),
        };
        if pending {
            say(what, &removed.position);
        }
    }
    for environment in manifest.environments.values() {
        let asked = input.selection.has_environment(manifest, Some(&environment.name));
        if let Some(pattern) = environment.pattern.as_ref().filter(|_| asked) {
            say(
                format!("environment `{}` comes from the pattern `{pattern}`", environment.name),
                &environment.position,
            );
        }
    }
    for (rule, position) in &manifest.policy.unsupported {
        say(format!("`policy` has the rule `{rule}`"), position);
    }
}

/// Whether what answered can be the account that state is about.
pub(crate) fn is_right_account(
    input: &PlanInput<'_>,
    declared: &manifest::Account,
    state: Option<&AccountState>,
    read: &ReadAccount,
    gates: &mut Gates<'_>,
) -> bool {
    let name = &declared.name;
    let finding = |code, message, help: String| Finding {
        severity: Severity::BlocksAccount,
        account: Some(name.clone()),
        position: Some(declared.position.clone()),
        ..blocks(code, message, help)
    };
    if let Some(state) = state.filter(|state| state.identity != declared.identity()) {
        gates.raise(finding(
            Code::AccountIdentity,
            format!("account `{name}` was {} when its state was written", describe(&state.identity)),
            format!(
                "it is {} in the manifest now; give another account another name, and keep this block as long as \
                 it has keys",
                describe(&declared.identity())
            ),
        ));
        return false;
    }
    let Some(doubt) = doubt(input, declared, state, read) else { return true };
    gates.raise(finding(
        Code::AccountMismatch,
        doubt,
        format!(
            "look whether the managing key is the right one; if the account really is the right one, `--allow {}`",
            Code::AccountMismatch
        ),
    ));
    gates.is_allowed(Code::AccountMismatch, None)
}

fn describe(identity: &crate::identity::AccountIdentity) -> String {
    let crate::identity::AccountIdentity { parent, region, on_behalf_of } = identity;
    let region = region.as_str();
    match (parent, on_behalf_of) {
        (Some(parent), Some(account)) => format!("`{account}` of `{parent}` ({region})"),
        _ => format!("an account of its own ({region})"),
    }
}

/// What makes an answer look like another account's.
fn doubt(
    input: &PlanInput<'_>,
    declared: &manifest::Account,
    state: Option<&AccountState>,
    read: &ReadAccount,
) -> Option<String> {
    let name = &declared.name;
    if let Some(account) = &declared.on_behalf_of {
        let managing = read.managing_key.as_ref().is_some_and(|id| read.live.contains_key(id));
        let parent = declared.parent.as_ref().and_then(|parent| input.inventory.account(parent));
        let same = parent.is_some_and(|parent| !read.live.is_empty() && parent.live == read.live);
        if managing || same {
            return Some(format!(
                "account `{name}` answered with its parent's keys, so the request on behalf of `{account}` was not \
                 honoured"
            ));
        }
    }
    let state = state?;
    let owned = state.keys.len();
    let live = state.keys.values().filter(|key| read.live.contains_key(&key.id)).count();
    if owned >= 3 && live * 2 < owned {
        return Some(format!(
            "state owns {owned} keys in account `{name}`, and only {live} of them are live"
        ));
    }
    let other_key = state.managing_key.is_some() && state.managing_key != read.managing_key;
    (owned > 0 && live == 0 && other_key).then(|| {
        let keys = if owned == 1 { "its one key".to_string() } else { format!("its {owned} keys") };
        format!("the managing key of account `{name}` is another than last time, and of {keys} none is live")
    })
}

pub(crate) fn unreadable(account: &Name, unreadable: &Unreadable, gates: &mut Gates<'_>) {
    let help = match unreadable.reason {
        UnreadableReason::Credential => "see that the managing key can be found where the manifest says",
        UnreadableReason::Unauthorized => {
            "the managing key is not valid: give one that is, in the right region"
        }
        UnreadableReason::Forbidden => {
            "the managing key needs the scopes `api_keys.create`, `api_keys.read`, `api_keys.update` and \
             `api_keys.delete`"
        }
        UnreadableReason::DataResidency => "the account lives in another region: set `region`",
        UnreadableReason::Unavailable => "run again once SendGrid can be reached",
    };
    gates.raise(Finding {
        severity: Severity::BlocksAccount,
        account: Some(account.clone()),
        ..blocks(
            Code::AccountUnreadable,
            format!("account `{account}` could not be read: {}", unreadable.message),
            help,
        )
    });
}

/// What concerns an account's changes taken together.
pub(crate) fn account(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) {
    managing_key(account, changes, gates);
    rotations_due(account, changes, gates);
    environment_limits(account, gates);
    let policy = &account.input.manifest.policy;
    let deletions: Vec<_> = changes.iter().filter(|change| change.action == Action::Delete).collect();
    let destroys_pattern = account.input.selection.destroy
        && deletions.iter().all(|change| is_from_pattern(account, change.address.environment.as_ref()));
    if !destroys_pattern {
        let share = policy.max_deletions.unwrap_or_default();
        over_share(account, Code::MaxDeletions, "delete", deletions.len(), share, gates);
    }
    let recreations = changes
        .iter()
        .filter(|change| change.action == Action::Create && change.reasons.contains(&Reason::Vanished));
    let share = policy.max_recreations.unwrap_or_default();
    over_share(account, Code::MaxRecreations, "make anew", recreations.count(), share, gates);
}

fn is_from_pattern(account: &Account<'_>, environment: Option<&Name>) -> bool {
    let manifest = account.input.manifest;
    environment.is_some_and(|name| match manifest.environments.get(name) {
        Some(known) => known.pattern.is_some(),
        None => manifest.patterns.keys().any(|pattern| matches_pattern(pattern, name.as_str())),
    })
}

fn over_share(
    account: &Account<'_>,
    code: Code,
    verb: &str,
    count: usize,
    Share { percent, at_least }: Share,
    gates: &mut Gates<'_>,
) {
    let owned = account.keys().filter(|(address, _)| account.is_selected(address)).count();
    let allowed = (owned * usize::from(percent) / 100).max(at_least as usize);
    if count <= allowed {
        return;
    }
    gates.raise(Finding {
        account: Some(account.name().clone()),
        ..blocks(
            code,
            format!(
                "this plan would {verb} {count} of the {owned} keys owned in account `{}`, and {allowed} are allowed \
                 at once ({percent} %, at least {at_least})",
                account.name(),
            ),
            format!("look at the list; if it is right, `--allow {code}`"),
        )
    });
}

/// The key gridkey itself works with is never touched.
fn managing_key(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) {
    let mut guarded: BTreeSet<&KeyId> = account.read.managing_key.iter().collect();
    guarded.extend(account.state.and_then(|state| state.managing_key.as_ref()));
    for change in changes {
        let touched = change.steps.iter().flat_map(touched_ids).find(|id| guarded.contains(id));
        if let Some(id) = touched {
            gates.raise(Finding {
                account: Some(account.name().clone()),
                address: Some(change.address.clone()),
                ..blocks(
                    Code::ManagingKey,
                    format!("`{}` would {} the managing key itself ({id})", change.address, change.action),
                    "keep the managing key out of the manifest; change it by hand",
                )
            });
        }
    }
}

/// The live keys that a step changes or revokes.
pub(crate) fn touched_ids(step: &Step) -> Vec<&KeyId> {
    match step {
        Step::FinishPending(finish) => vec![&finish.id],
        Step::RevokePending { id, .. }
        | Step::DiscardPending { id, .. }
        | Step::RevokeAbandoned { id }
        | Step::RetireKey { id, .. }
        | Step::Rename { id, .. }
        | Step::Update { id, .. } => vec![id],
        Step::Delete(delete) => delete.keys.iter().map(|key| &key.id).collect(),
        Step::AbandonPending { .. }
        | Step::PostponeRetirement { .. }
        | Step::RetireLocation { .. }
        | Step::Deliver { .. }
        | Step::Record(_)
        | Step::Mint(_) => Vec::new(),
    }
}

/// Keys whose rotation has come due, which this version cannot carry out.
fn rotations_due(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) {
    for (address, owned) in account.keys() {
        let Some(wanted) = account.wanted(address) else { continue };
        let Some(rotation) = wanted.rotate else { continue };
        let age = account.at().duration_since(owned.born.at());
        let made_anew = changes.iter().any(|change| {
            &change.address == address && change.steps.iter().any(|step| matches!(step, Step::Mint(_)))
        });
        if made_anew
            || age < jiff::SignedDuration::try_from(rotation.every).unwrap_or(jiff::SignedDuration::MAX)
        {
            continue;
        }
        let days = age.as_hours() / 24;
        gates.raise(Finding {
            account: Some(account.name().clone()),
            address: Some(address.clone()),
            position: Some(wanted.position.clone()),
            ..blocks(
                Code::RotationDue,
                format!(
                    "`{address}` is {days} days old and due for rotation, which this version of gridkey cannot do yet"
                ),
                format!("`--allow {}:{address}` plans the rest", Code::RotationDue),
            )
        });
    }
}

/// Environments that would hold more keys than they may.
fn environment_limits(account: &Account<'_>, gates: &mut Gates<'_>) {
    let manifest = account.input.manifest;
    for environment in manifest.environments.values() {
        let Some(max) = environment.max_keys else { continue };
        if environment.accounts.first() != Some(account.name()) || account.input.selection.destroy {
            continue;
        }
        let wanted =
            manifest.keys.keys().filter(|address| address.environment.as_ref() == Some(&environment.name));
        let count = wanted.count();
        if count > max as usize {
            gates.raise(Finding {
                position: Some(environment.position.clone()),
                ..blocks(
                    Code::MaxKeys,
                    format!(
                        "environment `{}` may hold {max} keys, and the manifest has {count}",
                        environment.name
                    ),
                    format!("raise its `max_keys`, or `--allow {}`", Code::MaxKeys),
                )
            });
        }
    }
}

/// What a rule says of an address: the most exact selector wins.
pub(crate) fn verdict(rule: &Rule, address: &Address, account: &Name) -> Verdict {
    let text = address.to_string();
    let exact = rule.exceptions.get(&text);
    let by_pattern = || {
        let matching = rule.exceptions.iter().filter(|(pattern, _)| matches_pattern(pattern, &text));
        matching.max_by_key(|(pattern, _)| pattern.len()).map(|(_, verdict)| verdict)
    };
    let by_place = || {
        let environment = address.environment.as_ref().and_then(|name| rule.exceptions.get(name.as_str()));
        environment.or_else(|| rule.exceptions.get(account.as_str()))
    };
    exact.or_else(by_pattern).or_else(by_place).copied().unwrap_or(rule.default)
}
