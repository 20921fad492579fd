//! Live keys that no state owns: those that a policy tells of, and those with Full Access.

use std::collections::BTreeSet;

use crate::finding::{Code, Finding, Severity};
use crate::inventory::{KeyDetail, ReadAccount, may_be_full};
use crate::key::KeyId;
use crate::manifest::{Foreign, Manifest, Verdict};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::findings::{Findings, RuleSource};
use crate::plan::judge::policy::{Source, sources};
use crate::state::AccountState;
use crate::text::pattern::matches_pattern;

/// How many foreign keys a finding names: an account that was never looked after has dozens.
const NAMED: usize = 10;

/// A live key and its name.
type Live<'a> = (&'a KeyId, &'a String);

/// Under `policy.foreign`; one with Full Access by itself, and where no policy says anything, too.
pub(crate) fn foreign(account: &Account<'_>, ours: &BTreeSet<KeyId>, findings: &mut Findings<'_>) {
    let is_own = |id: &KeyId| ours.contains(id) || account.works_with(id);
    let foreign: Vec<Live<'_>> = account.read.live.iter().filter(|(id, _)| !is_own(id)).collect();
    let mut is_ruled = false;
    for source in sources(account.input) {
        let Some(rule) = source.policy.foreign.of_account(account.name()) else { continue };
        is_ruled = true;
        let severity = match rule.others {
            Verdict::Allow => continue,
            Verdict::Warn => Severity::Warns,
            Verdict::Deny => Severity::BlocksAccount,
        };
        let unknown = foreign.iter().copied().filter(|(id, name)| !is_known(rule, id, name));
        let (full, others): (Vec<Live<'_>>, Vec<Live<'_>>) =
            unknown.partition(|(id, _)| has_full_access(account.read, id));
        let known = known_of(source);
        let all = full.into_iter().map(|key| with_full_access(account, key, known));
        for finding in all.chain(together(account, source, &others)) {
            let position = Some(&account.declared.position);
            let finding = finding.with_severity(severity).in_account(account.name()).at_position(position);
            findings.raise_for(source.rules, finding);
        }
    }
    if !is_ruled {
        let full = foreign.into_iter().filter(|(id, _)| has_full_access(account.read, id));
        for key in full {
            let finding = with_full_access(account, key, "`policy.foreign.known`");
            let finding = finding.with_severity(Severity::Warns).in_account(account.name());
            findings.raise(finding.at_position(Some(&account.declared.position)));
        }
    }
}

/// The keys that have to be looked at to say which of those that are not ours have Full Access: none that the
/// manifest's policy says nothing of.
pub fn unknown_keys<'a>(
    manifest: &Manifest,
    name: &Name,
    state: Option<&AccountState>,
    live: impl Iterator<Item = (&'a KeyId, &'a String)>,
) -> Vec<&'a KeyId> {
    let rule = manifest.policy.foreign.of_account(name);
    if rule.is_some_and(|rule| rule.others == Verdict::Allow) {
        return Vec::new();
    }
    let owned = state.map(AccountState::owned_ids).unwrap_or_default();
    let managing = state.and_then(|state| state.managing_key.as_ref());
    let is_known = |id: &KeyId, name: &str| rule.is_some_and(|rule| is_known(rule, id, name));
    live.filter(|(id, name)| !owned.contains_key(id) && managing != Some(id) && !is_known(id, name))
        .map(|(id, _)| id)
        .collect()
}

fn is_known(rule: &Foreign, id: &KeyId, name: &str) -> bool {
    rule.known.iter().any(|known| known == id.as_str() || matches_pattern(known, name))
}

/// As far as the key was looked at.
fn has_full_access(read: &ReadAccount, id: &KeyId) -> bool {
    match read.details.get(id) {
        Some(KeyDetail::Scopes(scopes)) => may_be_full(scopes, &read.grantable),
        Some(KeyDetail::Missing) | None => false,
    }
}

/// Where a key is named that may be there.
fn known_of(source: Source<'_>) -> &'static str {
    match source.rules {
        RuleSource::Manifest => "`policy.foreign.known`",
        RuleSource::PolicyFile => "`foreign.known` of the policy file",
    }
}

fn with_full_access(account: &Account<'_>, (id, name): Live<'_>, known: &str) -> Finding {
    let message = format!("a key with Full Access that gridkey does not own: `{name}` ({id})");
    let help = format!(
        "`gridkey revoke {id} --account {}` if nothing uses it; adopt it, or add its id or name to {known}",
        account.name()
    );
    Finding::blocks(Code::ForeignKey, message, help)
}

fn together(account: &Account<'_>, source: Source<'_>, foreign: &[Live<'_>]) -> Option<Finding> {
    let count = match foreign.len() {
        0 => return None,
        1 => "1 live key".to_string(),
        count => format!("{count} live keys"),
    };
    let named: Vec<String> =
        foreign.iter().take(NAMED).map(|(id, name)| format!("`{name}` ({id})")).collect();
    let more = match foreign.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more, which `gridkey audit` shows"),
    };
    let message = format!(
        "account `{}` has {count} that neither gridkey nor {} knows: {}{more}",
        account.name(),
        source.name(),
        named.join(", "),
    );
    let known = known_of(source);
    let help = format!("adopt it, revoke it if nothing uses it, or add its id or name to {known}");
    Some(Finding::blocks(Code::ForeignKey, message, help))
}
