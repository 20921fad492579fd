//! Planning: manifest, state and inventory in, a plan out. A pure function; the same bytes for the same
//! inputs.

mod account;
mod capacity;
mod document;
mod finding;
mod gate;
mod input;
mod location;
mod owned;
mod recover;
mod risk;
mod scopes;
mod seed;
mod step;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

pub use document::{
    AccountPlan, Action, Capacity, Change, ComputedFrom, FORMAT_VERSION, KeyValues, Note, Plan, PlanKind,
    Reason, RotationDates,
};
pub use finding::{Allow, AllowError, Code, Finding, Severity};
pub use input::{
    ABANDONED_KEPT, DEFAULT_OVERLAP, DEFAULT_READ_LAG, Due, Options, PlanInput, Selection, matches_pattern,
};
pub use risk::Risk;
pub use seed::Seed;
pub use step::{Delete, DeleteKey, FinishPending, Mint, Phase, Put, Settings, Step, UncertainKey};

use crate::address::Address;
use crate::inventory::AccountInventory;
use crate::name::Name;
use crate::state::AccountState;
use account::Account;
use gate::Gates;

pub use scopes::gives_scopes;

/// Decides what has to be done.
///
/// Nothing is thrown: what blocks, what is refused and what is left alone is in the plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let mut gates = Gates::new(input);
    gate::project(input, &mut gates);
    let owners = owners(input.states);
    let mut accounts = BTreeMap::new();
    let mut changes = Vec::new();
    for name in input.selection.accounts(input.manifest, input.states) {
        let state = input.states.get(&name);
        let mut summary = AccountPlan {
            lineage: state.map(|state| state.lineage.clone()),
            serial: state.map_or(0, |state| state.serial),
            observed_at: None,
            capacity: None,
        };
        let Some(declared) = input.manifest.accounts.get(&name) else { continue };
        match input.inventory.accounts.get(&name) {
            Some(AccountInventory::Read(read)) => {
                summary.observed_at = Some(read.at);
                if gate::is_right_account(input, declared, state, read, &mut gates) {
                    let account = Account::new(input, declared, state, read, &owners);
                    let mut planned = account.plan(&mut gates);
                    summary.capacity = Some(capacity::check(&account, &planned, &mut gates));
                    gate::account(&account, &planned, &mut gates);
                    changes.append(&mut planned);
                }
            }
            Some(AccountInventory::Unreadable(unreadable)) => gate::unreadable(&name, unreadable, &mut gates),
            None => {}
        }
        accounts.insert(name, summary);
    }
    changes.sort_by(|a, b| (&a.account, a.action, &a.address).cmp(&(&b.account, b.action, &b.address)));
    let mut findings = gates.into_findings();
    findings.sort();
    findings.dedup();
    Plan {
        format_version: FORMAT_VERSION,
        kind: PlanKind::Plan,
        computed_from: ComputedFrom {
            manifest: input.manifest.sources.clone(),
            against: Vec::new(),
            policy: None,
            environments: input.selection.environments.clone(),
            only: input.selection.only.clone(),
            due: input.options.due,
            sinks: input.options.sinks,
        },
        allowed: input.options.allow.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        project: input.manifest.project.clone(),
        accounts,
        changes,
        findings,
    }
}

/// In which account's state each address is owned.
fn owners(states: &BTreeMap<Name, AccountState>) -> BTreeMap<&Address, &Name> {
    states
        .values()
        .flat_map(|state| state.keys.keys().map(move |address| (address, &state.account)))
        .collect()
}

/// A plan whose findings let it be carried out, and in which accounts.
///
/// This is the only thing that apply takes.
#[derive(Debug)]
pub struct CheckedPlan {
    plan: Plan,
    /// Accounts in which nothing may be done.
    blocked: BTreeSet<Name>,
}

impl Plan {
    /// Whether anything stands against carrying it out: in all, or in single accounts.
    ///
    /// # Errors
    /// The plan itself, where a finding blocks all of it.
    pub fn check(self) -> Result<CheckedPlan, Box<Plan>> {
        if self.findings.iter().any(|finding| finding.severity == Severity::Blocks) {
            return Err(Box::new(self));
        }
        let blocked = self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::BlocksAccount)
            .filter_map(|finding| finding.account.clone())
            .collect();
        Ok(CheckedPlan { plan: self, blocked })
    }
}

impl CheckedPlan {
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether some account is left out.
    pub fn is_partly_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// What is to be done, by account.
    pub fn by_account(&self) -> BTreeMap<&Name, Vec<&Change>> {
        let mut accounts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for change in self.plan.effective().filter(|change| !self.blocked.contains(&change.account)) {
            accounts.entry(&change.account).or_default().push(change);
        }
        accounts
    }
}
