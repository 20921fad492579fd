//! What concerns an account's changes taken together.

use std::collections::BTreeSet;

use crate::finding::{Code, Finding};
use crate::key::KeyId;
use crate::manifest::{Policy, Rule, Share};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::document::change::{Action, Change, Reason};
use crate::plan::document::step::Step;
use crate::plan::findings::{Gates, Origin, blocks};
use crate::text::pattern::matches_pattern;

/// What concerns an account's changes taken together.
pub(crate) fn changes(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) {
    managing_key(account, changes, gates);
    environment_limits(account, gates);
    // What an environment's own `ttl` brings is no accident.
    let deletions = changes.iter().filter(|change| change.action == Action::Delete && !change.is_by_clock());
    let deletions: Vec<_> = deletions.collect();
    let destroys_pattern = account.input.selection.destroy
        && deletions.iter().all(|change| is_from_pattern(account, change.address.environment.as_ref()));
    if !destroys_pattern {
        share(account, Code::MaxDeletions, "delete", deletions.len(), |policy| &policy.max_deletions, gates);
    }
    let recreations = changes
        .iter()
        .filter(|change| change.action == Action::Create && change.reasons.contains(&Reason::Vanished));
    let count = recreations.count();
    share(account, Code::MaxRecreations, "re-create", count, |policy| &policy.max_recreations, gates);
    let lost = |reason: &Reason| matches!(reason, Reason::SecretGone | Reason::SecretUncertain);
    let rotations =
        changes.iter().filter(|change| change.action == Action::Rotate && change.reasons.iter().any(lost));
    let count = rotations.count();
    share(account, Code::MaxRotations, "replace", count, |policy| &policy.max_rotations, gates);
}

fn is_from_pattern(account: &Account<'_>, environment: Option<&Name>) -> bool {
    let manifest = account.input.manifest;
    environment.is_some_and(|name| match manifest.environments.get(name) {
        Some(known) => known.pattern.is_some(),
        None => manifest.patterns.keys().any(|pattern| matches_pattern(pattern, name.as_str())),
    })
}

/// The manifest's share, or the one that is built in; and the policy file's, where it has one.
fn share(
    account: &Account<'_>,
    code: Code,
    verb: &str,
    count: usize,
    rule: impl Fn(&Policy) -> &Rule<Share>,
    gates: &mut Gates<'_>,
) {
    let name = account.name();
    let own = rule(&account.input.manifest.policy).of_account(name).copied().unwrap_or_default();
    over_share(account, code, verb, count, own, Origin::Manifest, gates);
    let file = account.input.policy.and_then(|file| rule(&file.policy).of_account(name));
    if let Some(share) = file {
        over_share(account, code, verb, count, *share, Origin::PolicyFile, gates);
    }
}

fn over_share(
    account: &Account<'_>,
    code: Code,
    verb: &str,
    count: usize,
    Share { percent, at_least }: Share,
    origin: Origin,
    gates: &mut Gates<'_>,
) {
    let owned = account.keys().filter(|(address, _)| account.is_selected(address)).count();
    let allowed = (owned * usize::from(percent) / 100).max(at_least as usize);
    if count <= allowed {
        return;
    }
    let are = if allowed == 1 { "is" } else { "are" };
    let by = match origin {
        Origin::Manifest => String::new(),
        Origin::PolicyFile => " by the policy file".to_string(),
    };
    gates.raise_by(
        origin,
        Finding {
            account: Some(account.name().clone()),
            ..blocks(
                code,
                format!(
                    "this plan would {verb} {count} of the {owned} keys owned in account `{}`, and {allowed} {are} \
                     allowed at once{by} ({percent} %, at least {at_least})",
                    account.name(),
                ),
                format!("look at the list; if it is right, `--allow {code}`"),
            )
        },
    );
}

/// The key gridkey itself works with is never touched.
fn managing_key(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) {
    let mut guarded: BTreeSet<&KeyId> = account.read.known_managing_key().into_iter().collect();
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
        Step::Adopt(adopt) => vec![&adopt.id],
        Step::RevokePending { id, .. }
        | Step::DiscardPending { id, .. }
        | Step::RevokeAbandoned { id }
        | Step::RetireKey { id, .. }
        | Step::RevokeFirst { id, .. }
        | Step::RevokeOlder { id, .. }
        | Step::Rename { id, .. }
        | Step::Update { id, .. } => vec![id],
        Step::Delete(delete) => delete.keys.iter().map(|key| &key.id).collect(),
        Step::Move { .. }
        | Step::Forget { .. }
        | Step::AbandonPending { .. }
        | Step::PostponeRetirement { .. }
        | Step::RetireLocation { .. }
        | Step::Deliver { .. }
        | Step::Record(_)
        | Step::Mint(_) => Vec::new(),
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
                        "environment `{}` may hold {}, and the manifest has {count}",
                        environment.name,
                        if max == 1 { "1 key".to_string() } else { format!("{max} keys") }
                    ),
                    format!("raise its `max_keys`, or `--allow {}`", Code::MaxKeys),
                )
            });
        }
    }
}
