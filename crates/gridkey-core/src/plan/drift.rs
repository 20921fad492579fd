//! Drift: what differs between state and what is live, whatever the manifest asks for by now.

use std::collections::BTreeMap;

use crate::finding::{Code, Severity};
use crate::manifest::{Manifest, Policy, Rule, Verdict};
use crate::name::Name;
use crate::plan::applied::as_applied as as_applied_key;
use crate::plan::document::change::{Plan, PlanKind};
use crate::plan::input::PlanInput;
use crate::plan::stages::plan;
use crate::state::AccountState;

/// The manifest that asks for just what state says.
pub fn as_applied(manifest: &Manifest, states: &BTreeMap<Name, AccountState>) -> Manifest {
    let keys = states.values().flat_map(|state| {
        let account = manifest.accounts.get(&state.account);
        account
            .into_iter()
            .flat_map(move |account| state.keys.iter().map(move |(address, owned)| (account, address, owned)))
    });
    let mut keys: Vec<_> = keys.collect();
    // Of a key that changed its account, the newest counts: it comes last.
    keys.sort_by_key(|(_, _, owned)| owned.generation);
    let keys = keys.into_iter().map(|(account, address, owned)| {
        (address.clone(), as_applied_key(manifest, account, address, owned))
    });
    // What was begun is not applied yet, and is wanted all the same.
    let begun = states.values().flat_map(|state| state.pending.values());
    let begun = begun.filter_map(|pending| manifest.keys.get_key_value(&pending.address));
    let mut all: BTreeMap<_, _> = begun.map(|(address, wanted)| (address.clone(), wanted.clone())).collect();
    all.extend(keys);
    Manifest {
        keys: all,
        moved: Vec::new(),
        import: Vec::new(),
        removed: Vec::new(),
        policy: Policy {
            foreign: manifest.policy.foreign.clone(),
            allow: manifest.policy.allow.clone(),
            full_access: Rule { default: Some(Verdict::Allow), exceptions: BTreeMap::new() },
            ..Policy::default()
        },
        ..manifest.clone()
    }
}

/// Decides what differs. The input's manifest is the one of [`as_applied`], and so is what was observed.
pub fn drift(input: &PlanInput<'_>) -> Plan {
    let mut plan = plan(input);
    plan.kind = PlanKind::Drift;
    plan.findings.retain(|finding| is_about_drift(finding.code));
    for finding in &mut plan.findings {
        let unreadable = matches!(
            finding.code,
            Code::AccountIdentity | Code::AccountLeft | Code::AccountMismatch | Code::AccountUnreadable
        );
        if !unreadable && finding.severity != Severity::Allowed {
            finding.severity = Severity::Warns;
        }
    }
    plan.findings.sort();
    plan
}

/// Whether a finding tells of something live; the others are about what somebody wants.
fn is_about_drift(code: Code) -> bool {
    matches!(
        code,
        Code::AccountIdentity
            | Code::AccountLeft
            | Code::AccountMismatch
            | Code::AccountUnreadable
            | Code::AllowanceEnded
            | Code::ForeignKey
            | Code::ForeignValue
            | Code::RetirementOverdue
            | Code::RetiringKeyChanged
            | Code::RotationDue
            | Code::SecretUnknown
            | Code::NotChecked
            | Code::RecoverWaits
            | Code::SinkMismatch
            | Code::SinkUnreadable
    )
}

impl Plan {
    /// Whether a report of drift has anything to report.
    pub fn has_drifted(&self) -> bool {
        let telling = |code| matches!(code, Code::ForeignKey | Code::RetiringKeyChanged | Code::SinkMismatch);
        !self.is_empty() || self.findings.iter().any(|finding| telling(finding.code))
    }
}
