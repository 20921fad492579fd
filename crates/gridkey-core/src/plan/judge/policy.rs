//! Rules of the manifest's policy and of `--policy FILE`, key by key.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access::{Access, Scope};
use crate::address::Address;
use crate::finding::{Code, Finding, Severity};
use crate::inventory::{KeyDetail, is_as_good_as_full};
use crate::manifest::{
    Manifest, Policy, PolicyFile, RequiredRotation, RequiredSink, Rule, Vanished, Verdict,
};
use crate::name::Name;
use crate::plan::account::{Account, values_of};
use crate::plan::decide::scopes::list;
use crate::plan::document::change::{Cause, Change, KeyValues};
use crate::plan::findings::{Findings, RuleSource};
use crate::plan::input::PlanInput;
use crate::plan::judge::key::Older;
use crate::state::OwnedKey;
use crate::text::pattern::matches_pattern;
use crate::time::written;

/// A policy and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub policy: &'a Policy,
    pub rules: RuleSource,
}

impl Source<'_> {
    /// How a message names it.
    pub fn name(self) -> &'static str {
        match self.rules {
            RuleSource::Manifest => "the manifest's policy",
            RuleSource::PolicyFile => "the policy file",
        }
    }

    /// How to let a finding pass once.
    fn help(self, way_out: &str, code: Code, key: &KeyValues) -> String {
        let exception = match self.rules {
            RuleSource::Manifest => "",
            RuleSource::PolicyFile => "; an exception in the manifest does not count against the policy file",
        };
        format!("{way_out}; `--allow {code}:{}` lets it pass once{exception}", key.address)
    }
}

/// Both policies, as far as there are both.
pub(super) fn sources<'a>(input: &PlanInput<'a>) -> impl Iterator<Item = Source<'a>> {
    both(input.manifest, input.policy)
}

fn both<'a>(manifest: &'a Manifest, file: Option<&'a PolicyFile>) -> impl Iterator<Item = Source<'a>> {
    let own = Source { policy: &manifest.policy, rules: RuleSource::Manifest };
    let file = file.map(|file| Source { policy: &file.policy, rules: RuleSource::PolicyFile });
    std::iter::once(own).chain(file)
}

/// A rule that a key breaks.
struct Broken {
    code: Code,
    message: String,
    way_out: String,
    /// By what it breaks it, where there can be more than one thing.
    by: BTreeSet<String>,
    /// How far it breaks it, where there is more than one degree of that.
    far: Duration,
}

impl Broken {
    fn new(code: Code, message: String, way_out: impl Into<String>) -> Self {
        Self { code, message, way_out: way_out.into(), by: BTreeSet::new(), far: Duration::ZERO }
    }

    fn by(self, by: impl IntoIterator<Item = String>) -> Self {
        Self { by: by.into_iter().collect(), ..self }
    }

    /// Whether the rule is broken no further than it was.
    fn is_within(&self, before: &Self) -> bool {
        before.by.is_superset(&self.by) && before.far >= self.far
    }
}

/// A rule, looked at in what a key is.
type Check = fn(Source<'_>, &KeyValues) -> Option<Broken>;

/// Every rule over what a key is.
const CHECKS: [Check; 6] = [forbidden, full_access, rotation, sinks, owner, name];

/// Rules over what a single key will be.
///
/// One that the key breaks from now on blocks, whatever brings it about. One that it breaks already is warned of: a rule
/// that is new must not stand in the way of repairs.
pub(crate) fn policy(input: &PlanInput<'_>, older: &Older<'_>, change: &Change, findings: &mut Findings<'_>) {
    let wanted = input.manifest.keys.get(&change.address).filter(|key| key.account == change.account);
    let (Some(after), Some(wanted)) = (&change.after, wanted) else { return };
    // State says of no location that it has a secret that is not known; the rules are about where it belongs.
    let placed;
    let after = match after.sinks.is_empty() {
        true => {
            placed = KeyValues { sinks: wanted.sinks.clone(), ..after.clone() };
            &placed
        }
        false => after,
    };
    let finding = |finding: Finding| {
        finding.in_account(&change.account).at_address(&change.address).at_position(change.position.as_ref())
    };
    for source in sources(input) {
        for check in CHECKS {
            let Some(broken) = check(source, after) else { continue };
            let as_far = |before: Broken| broken.is_within(&before);
            let already = older.any(|before| check(source, before).is_some_and(as_far));
            let Broken { code, message, way_out, by: _, far: _ } = broken;
            // What a person edits has to keep the rules from then on.
            let severity = match already && change.cause != Cause::Edited {
                true => Severity::Warns,
                false => Severity::Blocks,
            };
            let help = source.help(&way_out, code, after);
            let broken = Finding::blocks(code, message, help).with_severity(severity);
            findings.raise_for(source.rules, finding(broken));
        }
        if change.cause == Cause::Vanished
            && let Some(broken) = vanished(source, change)
        {
            findings.raise_for(source.rules, finding(broken));
        }
    }
    let had = older.any(|before| before.access == Access::Full);
    if after.access == Access::Full && !had && !is_full_access_ruled(input, after) {
        findings.raise(finding(gets_full_access(after)));
    }
}

/// What a key would break at another address, and does not break where it is. A move by hand is no way around a rule: at
/// the new address the next plan takes it for one that the key broke already.
pub fn broken_by_move(
    manifest: &Manifest,
    file: Option<&PolicyFile>,
    account: &Name,
    key: &OwnedKey,
    (from, to): (&Address, &Address),
) -> Vec<Finding> {
    let (before, after) = (values_of(account, from, key), values_of(account, to, key));
    let mut findings = Vec::new();
    for source in both(manifest, file) {
        let broken = CHECKS.iter().filter_map(|check| {
            let broken = check(source, &after)?;
            let already = check(source, &before).is_some_and(|before| broken.is_within(&before));
            (!already).then_some(broken)
        });
        findings.extend(broken.map(|Broken { code, message, way_out, by: _, far: _ }| {
            let help = format!(
                "{way_out}; or move it by `moved` in the manifest, where `--allow {code}:{to}` lets it pass once"
            );
            Finding::blocks(code, message, help).in_account(account).at_address(to)
        }));
    }
    findings
}

/// Whether a policy allows or denies Full Access in so many words.
fn is_full_access_ruled(input: &PlanInput<'_>, key: &KeyValues) -> bool {
    let verdicts = sources(input).filter_map(|source| rule(&source.policy.full_access, key).copied());
    verdicts.into_iter().any(|verdict| match verdict {
        Verdict::Allow | Verdict::Deny => true,
        Verdict::Warn => false,
    })
}

/// Full Access is never given quietly.
fn gets_full_access(key: &KeyValues) -> Finding {
    let address = &key.address;
    Finding::warns(
        Code::FullAccess,
        format!("`{address}` gets Full Access: everything but billing, and other keys too"),
        format!("name the scopes it needs, or say `policy: {{ full_access: {{ {address}: allow }} }}`"),
    )
}

fn rule<'p, T>(rule: &'p Rule<T>, key: &KeyValues) -> Option<&'p T> {
    rule.of_key(&key.address, &key.account)
}

fn full_access(source: Source<'_>, key: &KeyValues) -> Option<Broken> {
    let denied = rule(&source.policy.full_access, key) == Some(&Verdict::Deny);
    (denied && is_as_good_as_full(&key.access)).then(|| {
        let has = match key.access.scopes() {
            None => "Full Access".to_string(),
            Some(scopes) => {
                format!("{} scopes with those that make keys, which is Full Access", scopes.as_set().len())
            }
        };
        let message = format!("`{}` has {has}, and {} denies it", key.address, source.name());
        let lasting = match source.rules {
            RuleSource::Manifest => {
                format!(", or say `policy: {{ full_access: {{ {}: allow }} }}`", key.address)
            }
            RuleSource::PolicyFile => String::new(),
        };
        Broken::new(Code::FullAccess, message, format!("name the scopes it needs{lasting}"))
    })
}

fn forbidden(source: Source<'_>, key: &KeyValues) -> Option<Broken> {
    let forbidden = rule(&source.policy.forbid_scopes, key)?;
    if forbidden.is_empty() {
        return None;
    }
    let all = |scope: &&Scope| forbidden.iter().any(|forbidden| forbidden.covers(scope));
    let listed: Vec<String> = forbidden.iter().map(|forbidden| format!("`{}`", forbidden.0)).collect();
    let (what, by) = match key.access.scopes() {
        None => ("Full Access, which covers them".to_string(), vec!["full".to_string()]),
        Some(scopes) => {
            let held: Vec<&Scope> = scopes.iter().filter(all).collect();
            let by = held.iter().map(ToString::to_string).collect();
            (few(held), by)
        }
    };
    let message =
        format!("`{}` has {what}, and {} forbids {}", key.address, source.name(), listed.join(", "));
    (!by.is_empty()).then(|| Broken::new(Code::ForbiddenScope, message, "take these scopes out").by(by))
}

/// The first few scopes, and how many there are besides.
fn few(scopes: Vec<&Scope>) -> String {
    const NAMED: usize = 5;
    let named = list(scopes.iter().take(NAMED).copied());
    match scopes.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn rotation(source: Source<'_>, key: &KeyValues) -> Option<Broken> {
    let RequiredRotation::Every(most) = *rule(&source.policy.require_rotation, key)? else { return None };
    let (is, far) = match key.rotate {
        None => ("is never rotated".to_string(), Duration::MAX),
        Some(rotation) if rotation.every > most => {
            (format!("is rotated every {}", written(rotation.every)), rotation.every)
        }
        Some(_) => return None,
    };
    let most = written(most);
    let message = format!("`{}` {is}, and {} requires a rotation every {most}", key.address, source.name());
    let broken = Broken::new(Code::MissingRotation, message, format!("say `rotate: {{ every: {most} }}`"));
    Some(Broken { far, ..broken })
}

fn sinks(source: Source<'_>, key: &KeyValues) -> Option<Broken> {
    let required = rule(&source.policy.require_sink, key)?;
    let is_met = |sink: &&RequiredSink| key.sinks.iter().any(|location| sink.is_met_by(location));
    let missing = required.iter().filter(|sink| !is_met(sink));
    let missing: Vec<String> = missing.map(|sink| format!("`{sink}`")).collect();
    if missing.is_empty() {
        return None;
    }
    let listed = missing.join(", ");
    let message =
        format!("the secret of `{}` does not go to {listed}, and {} requires it", key.address, source.name());
    let way_out = required.iter().filter(|sink| !is_met(sink)).map(|sink| match sink {
        RequiredSink::Name(name) => format!("`{name}`"),
        RequiredSink::Kind(kind) => format!("a sink of the kind `{kind}`"),
    });
    let way_out = format!("add {} to its `sinks`", way_out.collect::<Vec<_>>().join(", "));
    Some(Broken::new(Code::MissingSink, message, way_out).by(missing))
}

fn owner(source: Source<'_>, key: &KeyValues) -> Option<Broken> {
    let required = *rule(&source.policy.require_owner, key)?;
    let is_told = key.owner.as_ref().is_some_and(|owner| owner.chars().any(char::is_alphanumeric));
    (required && !is_told).then(|| {
        let message = format!("`{}` has no owner, and {} requires one", key.address, source.name());
        Broken::new(Code::MissingOwner, message, "say who answers for it: `owner: …`")
    })
}

fn name(source: Source<'_>, key: &KeyValues) -> Option<Broken> {
    let pattern = rule(&source.policy.name_pattern, key)?;
    (!matches_pattern(pattern, &key.name)).then(|| {
        let message =
            format!("`{}` is named `{}`, and {} asks for `{pattern}`", key.address, key.name, source.name());
        Broken::new(Code::NamePattern, message, "give it a `name` that fits").by([key.name.clone()])
    })
}

/// A key that is gone from its account is made again, unless a policy says that a person has to look first.
fn vanished(source: Source<'_>, change: &Change) -> Option<Finding> {
    let before = change.before.as_ref()?;
    match rule(&source.policy.vanished, before)? {
        Vanished::Recreate => return None,
        Vanished::Block => {}
    }
    let code = Code::Vanished;
    let id = before.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    Some(Finding::blocks(
        code,
        format!("the key `{}`{id} is gone from account `{}`", before.name, before.account),
        format!(
            "{} says `vanished: block`; `--allow {code}:{}` makes a new one",
            source.name(),
            change.address
        ),
    ))
}

/// Older keys are live until they are revoked: one that was given what is forbidden is told.
pub(crate) fn retiring(account: &Account<'_>, findings: &mut Findings<'_>) {
    for (address, owned) in account.keys().filter(|(address, _)| account.is_selected(address)) {
        for older in &owned.retiring {
            let Some(KeyDetail::Scopes(live)) = account.read.details.get(&older.id) else { continue };
            for source in sources(account.input) {
                let rule = source.policy.forbid_scopes.of_key(address, account.name());
                let forbidden = rule.map(Vec::as_slice).unwrap_or_default();
                let held: Vec<&Scope> =
                    live.iter().filter(|scope| forbidden.iter().any(|rule| rule.covers(scope))).collect();
                if held.is_empty() {
                    continue;
                }
                let message = format!(
                    "the older key {} of `{address}` has {}, which {} forbids",
                    older.id,
                    few(held),
                    source.name()
                );
                let help = format!("`gridkey retire {address} --now` revokes it at once");
                let finding = Finding::warns(Code::ForbiddenScope, message, help);
                findings.raise_for(source.rules, finding.in_account(account.name()).at_address(address));
            }
        }
    }
}
