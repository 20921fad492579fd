//! Rules of the manifest's policy and of `--policy FILE`, key by key.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access::{Access, Scope};
use crate::finding::{Code, Finding, Severity};
use crate::key::KeyId;
use crate::manifest::{Policy, RequiredRotation, Rule, Vanished, Verdict, WantedKey};
use crate::plan::account::Account;
use crate::plan::decide::scopes::list;
use crate::plan::document::change::Change;
use crate::plan::findings::{Gates, Origin};
use crate::text::pattern::matches_pattern;

/// A policy and whose it is.
#[derive(Clone, Copy)]
struct Source<'a> {
    policy: &'a Policy,
    origin: Origin,
}

impl Source<'_> {
    /// How a message names it.
    fn name(self) -> &'static str {
        match self.origin {
            Origin::Manifest => "the manifest's policy",
            Origin::PolicyFile => "the policy file",
        }
    }

    /// How to let a finding pass once.
    fn help(self, way_out: &str, code: Code, wanted: &WantedKey) -> String {
        let exception = match self.origin {
            Origin::Manifest => "",
            Origin::PolicyFile => "; an exception in the manifest does not count against the policy file",
        };
        format!("{way_out}; `--allow {code}:{}` lets it pass once{exception}", wanted.address)
    }
}

/// Both policies, as far as there are both.
fn sources<'a>(account: &Account<'a>) -> impl Iterator<Item = Source<'a>> {
    let own = Source { policy: &account.input.manifest.policy, origin: Origin::Manifest };
    let file = account.input.policy;
    let file = file.map(|file| Source { policy: &file.policy, origin: Origin::PolicyFile });
    std::iter::once(own).chain(file)
}

fn finding(severity: Severity, code: Code, wanted: &WantedKey, message: String, help: String) -> Finding {
    Finding {
        severity,
        code,
        account: Some(wanted.account.clone()),
        address: Some(wanted.address.clone()),
        message,
        help: Some(help),
        position: Some(wanted.position.clone()),
    }
}

/// Rules over what single keys are, or would be.
///
/// They block what a person asks for now. A key that breaks a rule already, or that is only put right, is
/// warned of: a rule that is new must not stand in the way of repairs.
pub(crate) fn policy(account: &Account<'_>, changes: &[Change], gates: &mut Gates<'_>) {
    for change in changes {
        let Some(wanted) = account.wanted(&change.address) else { continue };
        let Some(after) = &change.after else { continue };
        let severity = if change.is_asked_for() { Severity::Blocks } else { Severity::Warns };
        for source in sources(account) {
            let broken = [
                forbidden(source, wanted, &after.access),
                rotation(source, wanted),
                sinks(source, wanted),
                owner(source, wanted),
                name(source, wanted),
            ];
            for (code, message, way_out) in broken.into_iter().flatten() {
                let help = source.help(&way_out, code, wanted);
                gates.raise_by(source.origin, finding(severity, code, wanted, message, help));
            }
        }
    }
}

type Broken = (Code, String, String);

fn rule<'p, T>(rule: &'p Rule<T>, wanted: &WantedKey) -> Option<&'p T> {
    rule.of_key(&wanted.address, &wanted.account)
}

fn forbidden(source: Source<'_>, wanted: &WantedKey, access: &Access) -> Option<Broken> {
    let forbidden = rule(&source.policy.forbid_scopes, wanted)?;
    if forbidden.is_empty() {
        return None;
    }
    let all = |scope: &&Scope| forbidden.iter().any(|forbidden| forbidden.covers(scope));
    let listed: Vec<String> = forbidden.iter().map(|forbidden| format!("`{}`", forbidden.0)).collect();
    let what = match access.scopes() {
        None => "Full Access, which covers them".to_string(),
        Some(scopes) => {
            let held: Vec<&Scope> = scopes.iter().filter(all).collect();
            if held.is_empty() {
                return None;
            }
            few(held)
        }
    };
    Some((
        Code::ForbiddenScope,
        format!("`{}` has {what}, and {} forbids {}", wanted.address, source.name(), listed.join(", ")),
        "take these scopes out".to_string(),
    ))
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

fn rotation(source: Source<'_>, wanted: &WantedKey) -> Option<Broken> {
    let RequiredRotation::Every(most) = *rule(&source.policy.require_rotation, wanted)? else { return None };
    let is = match wanted.rotate {
        None => "is never rotated".to_string(),
        Some(rotation) if rotation.every > most => format!("is rotated every {}", length(rotation.every)),
        Some(_) => return None,
    };
    let most = length(most);
    Some((
        Code::MissingRotation,
        format!("`{}` {is}, and {} requires a rotation every {most}", wanted.address, source.name()),
        format!("say `rotate: {{ every: {most} }}`"),
    ))
}

/// A length of time as a manifest writes it.
fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or(format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

fn sinks(source: Source<'_>, wanted: &WantedKey) -> Option<Broken> {
    let required = rule(&source.policy.require_sink, wanted)?;
    let given: BTreeSet<_> = wanted.sinks.iter().map(|location| &location.sink).collect();
    let missing: Vec<String> =
        required.iter().filter(|name| !given.contains(name)).map(|name| format!("`{name}`")).collect();
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(", ");
    Some((
        Code::MissingSink,
        format!(
            "the secret of `{}` does not go to {missing}, and {} requires it",
            wanted.address,
            source.name()
        ),
        format!("add {missing} to its `sinks`"),
    ))
}

fn owner(source: Source<'_>, wanted: &WantedKey) -> Option<Broken> {
    let required = *rule(&source.policy.require_owner, wanted)?;
    (required && wanted.owner.is_none()).then(|| {
        (
            Code::MissingOwner,
            format!("`{}` has no owner, and {} requires one", wanted.address, source.name()),
            "say who answers for it: `owner: …`".to_string(),
        )
    })
}

fn name(source: Source<'_>, wanted: &WantedKey) -> Option<Broken> {
    let pattern = rule(&source.policy.name_pattern, wanted)?;
    (!matches_pattern(pattern, &wanted.name)).then(|| {
        (
            Code::NamePattern,
            format!(
                "`{}` is named `{}`, and {} asks for `{pattern}`",
                wanted.address,
                wanted.name,
                source.name()
            ),
            "give it a `name` that fits".to_string(),
        )
    })
}

/// Full Access is never given quietly.
pub(crate) fn full_access(account: &Account<'_>, wanted: &WantedKey, gates: &mut Gates<'_>) {
    if wanted.access.scopes().is_some() {
        return;
    }
    let mut silent = true;
    for source in sources(account) {
        let Some(verdict) = rule(&source.policy.full_access, wanted) else { continue };
        silent = false;
        let severity = match verdict {
            Verdict::Allow => continue,
            Verdict::Warn => Severity::Warns,
            Verdict::Deny => Severity::Blocks,
        };
        let denied = match verdict {
            Verdict::Deny => format!(", and {} denies it", source.name()),
            Verdict::Allow | Verdict::Warn => String::new(),
        };
        gates.raise_by(source.origin, full_access_finding(severity, source.origin, wanted, &denied));
    }
    if silent {
        gates.raise(full_access_finding(Severity::Warns, Origin::Manifest, wanted, ""));
    }
}

fn full_access_finding(severity: Severity, origin: Origin, wanted: &WantedKey, denied: &str) -> Finding {
    let code = Code::FullAccess;
    let address = &wanted.address;
    let message = format!("`{address}` gets Full Access: everything but billing, and other keys too{denied}");
    let lasting = match origin {
        Origin::Manifest => format!(", or say `policy: {{ full_access: {{ {address}: allow }} }}`"),
        Origin::PolicyFile => String::new(),
    };
    let once = match severity {
        Severity::Blocks | Severity::BlocksAccount => {
            format!("; `--allow {code}:{address}` lets it pass once")
        }
        Severity::Allowed | Severity::Warns => String::new(),
    };
    let help = format!("name the scopes it needs{lasting}{once}");
    finding(severity, code, wanted, message, help)
}

/// A key that is gone from its account is made again, unless a policy says that somebody has to look first.
pub(crate) fn vanished(
    account: &Account<'_>,
    wanted: &WantedKey,
    name: &str,
    id: &KeyId,
    gates: &mut Gates<'_>,
) {
    for source in sources(account) {
        match rule(&source.policy.vanished, wanted) {
            None | Some(Vanished::Recreate) => continue,
            Some(Vanished::Block) => {}
        }
        let code = Code::Vanished;
        let message = format!("the key `{name}` ({id}) is gone from account `{}`", account.name());
        let help = format!(
            "{} says `vanished: block`; `--allow {code}:{}` makes a new one",
            source.name(),
            wanted.address
        );
        gates.raise_by(source.origin, finding(Severity::Blocks, code, wanted, message, help));
    }
}

/// Live keys that no state owns, under `policy.foreign`.
pub(crate) fn foreign(account: &Account<'_>, ours: &BTreeSet<KeyId>, gates: &mut Gates<'_>) {
    let recorded = account.state.and_then(|state| state.managing_key.as_ref());
    let managing = account.read.known_managing_key().or(recorded);
    for source in sources(account) {
        let Some(rule) = source.policy.foreign.of_account(account.name()) else { continue };
        let severity = match rule.others {
            Verdict::Allow => continue,
            Verdict::Warn => Severity::Warns,
            Verdict::Deny => Severity::BlocksAccount,
        };
        let is_known = |id: &KeyId, name: &str| {
            rule.known.iter().any(|known| known == id.as_str() || matches_pattern(known, name))
        };
        let foreign = account
            .read
            .live
            .iter()
            .filter(|(id, name)| !ours.contains(*id) && managing != Some(*id) && !is_known(id, name));
        let foreign: Vec<String> = foreign.map(|(id, name)| format!("`{name}` ({id})")).collect();
        if foreign.is_empty() {
            continue;
        }
        gates.raise_by(
            source.origin,
            Finding {
                severity,
                code: Code::ForeignKey,
                account: Some(account.name().clone()),
                address: None,
                message: format!(
                    "account `{}` has {} that neither gridkey nor {} knows: {}",
                    account.name(),
                    if foreign.len() == 1 {
                        "1 live key".to_string()
                    } else {
                        format!("{} live keys", foreign.len())
                    },
                    source.name(),
                    foreign.join(", "),
                ),
                help: Some(
                    "adopt it, revoke it if nobody uses it, or add its id or name to `policy.foreign.known`"
                        .to_string(),
                ),
                position: Some(account.declared.position.clone()),
            },
        );
    }
}
