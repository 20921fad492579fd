//! What concerns an account's changes taken together: how many go, are made anew or replaced, and the managing key.

use std::collections::BTreeSet;

use crate::finding::{Code, Finding};
use crate::key::KeyId;
use crate::manifest::{Policy, Rule, Share};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::document::change::{Cause, Change};
use crate::plan::document::effect::Effect;
use crate::plan::findings::{Findings, RuleSource};
use crate::plan::input::PlanInput;
use crate::text::pattern::matches_pattern;

/// What concerns an account's changes taken together.
pub(crate) fn limits(account: &Account<'_>, changes: &[&Change], findings: &mut Findings<'_>) {
    managing_key(account, changes, findings);
    // What an environment's own `ttl` brings is no accident, and neither is a key that was handed over.
    let deletions: Vec<&Change> = changes.iter().copied().filter(|change| is_deletion(change)).collect();
    let unless_destroyed = |is_short_lived: &dyn Fn(&Change) -> bool| {
        let all = account.input.selection.destroy && deletions.iter().all(|change| is_short_lived(change));
        if all { 0 } else { deletions.len() }
    };
    let is_from_pattern = |change: &Change| is_from_pattern(account, change.address.environment.as_ref());
    // A manifest says of itself which environments come and go. A policy file goes by what the keys were made as: a
    // `ttl` that came later does not take them out of its limits.
    let is_short_lived =
        |change: &Change| account.owned(&change.address).is_some_and(|owned| owned.short_lived);
    let expiries = changes.iter().filter(|change| change.cause == Cause::Expired && change.ends_key());
    let expiries = expiries.filter(|change| !is_short_lived(change)).count();
    let by_cause = |cause| changes.iter().filter(|change| change.cause == cause).count();
    let same = |count| Counts { of_manifest: count, of_file: count };
    for limit in [
        Limit {
            code: Code::MaxDeletions,
            verb: "delete",
            counts: Counts {
                of_manifest: unless_destroyed(&is_from_pattern),
                of_file: unless_destroyed(&is_short_lived) + expiries,
            },
            rule: |policy| &policy.max_deletions,
        },
        Limit {
            code: Code::MaxRecreations,
            verb: "re-create",
            counts: same(by_cause(Cause::Vanished)),
            rule: |policy| &policy.max_recreations,
        },
        Limit {
            code: Code::MaxRotations,
            verb: "replace",
            counts: same(by_cause(Cause::SecretLost)),
            rule: |policy| &policy.max_rotations,
        },
    ] {
        limit.check(account, findings);
    }
}

fn is_deletion(change: &Change) -> bool {
    let wanted_no_more = match change.cause {
        Cause::Edited | Cause::Requested => true,
        Cause::InStep
        | Cause::Drifted
        | Cause::Vanished
        | Cause::SecretLost
        | Cause::Due
        | Cause::Expired
        | Cause::HandedOver
        | Cause::Recovery => false,
    };
    wanted_no_more && change.ends_key()
}

fn is_from_pattern(account: &Account<'_>, environment: Option<&Name>) -> bool {
    let manifest = account.input.manifest;
    environment.is_some_and(|name| match manifest.environments.get(name) {
        Some(known) => known.pattern.is_some(),
        None => manifest.patterns.keys().any(|pattern| matches_pattern(pattern, name.as_str())),
    })
}

/// How many changes count for the rule of a manifest, and of a policy file.
struct Counts {
    of_manifest: usize,
    of_file: usize,
}

/// How many changes of a kind a run may make.
struct Limit {
    code: Code,
    verb: &'static str,
    counts: Counts,
    rule: fn(&Policy) -> &Rule<Share>,
}

impl Limit {
    /// The manifest's share, or the one that is built in; and the policy file's, where it has one.
    fn check(&self, account: &Account<'_>, findings: &mut Findings<'_>) {
        let name = account.name();
        let own = (self.rule)(&account.input.manifest.policy).of_account(name).copied().unwrap_or_default();
        self.hold_against(account, own, RuleSource::Manifest, findings);
        let file = account.input.policy.and_then(|file| (self.rule)(&file.policy).of_account(name));
        if let Some(share) = file {
            self.hold_against(account, *share, RuleSource::PolicyFile, findings);
        }
    }

    fn hold_against(
        &self,
        account: &Account<'_>,
        Share { percent, at_least }: Share,
        source: RuleSource,
        findings: &mut Findings<'_>,
    ) {
        let Self { code, verb, counts, rule: _ } = self;
        let count = match source {
            RuleSource::Manifest => counts.of_manifest,
            RuleSource::PolicyFile => counts.of_file,
        };
        let owned = account.keys().filter(|(address, _)| account.is_selected(address)).count();
        let allowed = (owned * usize::from(percent) / 100).max(at_least as usize);
        if count <= allowed {
            return;
        }
        let are = if allowed == 1 { "is" } else { "are" };
        let by = match source {
            RuleSource::Manifest => "",
            RuleSource::PolicyFile => " by the policy file",
        };
        let name = account.name();
        let message = format!(
            "this plan would {verb} {count} of the {owned} keys owned in account `{name}`, and {allowed} {are} allowed \
             at once{by} ({percent} %, at least {at_least})"
        );
        let help = format!("look at the list; if it is right, `--allow {code}`");
        findings.raise_for(source, Finding::blocks(*code, message, help).in_account(name));
    }
}

/// The key gridkey itself works with is never touched.
fn managing_key(account: &Account<'_>, changes: &[&Change], findings: &mut Findings<'_>) {
    let mut guarded: BTreeSet<&KeyId> = account.read.known_managing_key().into_iter().collect();
    guarded.extend(account.state.and_then(|state| state.managing_key.as_ref()));
    for change in changes {
        let touched = change.effects().filter_map(Effect::touches);
        let Some(id) = touched.into_iter().find(|id| guarded.contains(id)) else { continue };
        let message = format!("`{}` would {} the managing key itself ({id})", change.address, change.action);
        let help = "keep the managing key out of the manifest; change it by hand";
        let finding = Finding::blocks(Code::ManagingKey, message, help);
        findings.raise(finding.in_account(account.name()).at_address(&change.address));
    }
}

/// Environments that would hold more keys than they may.
pub(crate) fn environments(input: &PlanInput<'_>, findings: &mut Findings<'_>) {
    if input.selection.destroy {
        return;
    }
    let limited = input.manifest.environments.values().filter_map(|known| Some((known, known.max_keys?)));
    for (environment, max) in limited {
        if !input.selection.has_environment(input.manifest, Some(&environment.name)) {
            continue;
        }
        let wanted = input.manifest.keys.keys();
        let count = wanted.filter(|address| address.environment.as_ref() == Some(&environment.name)).count();
        if count <= max as usize {
            continue;
        }
        let keys = if max == 1 { "1 key".to_string() } else { format!("{max} keys") };
        let message =
            format!("environment `{}` may hold {keys}, and the manifest has {count}", environment.name);
        let help = format!("raise its `max_keys`, or `--allow {}`", Code::MaxKeys);
        let finding = Finding::blocks(Code::MaxKeys, message, help);
        findings.raise(finding.at_position(Some(&environment.position)));
    }
}
