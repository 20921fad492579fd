//! Planning: manifest, state and inventory in, a plan out. A pure function; the same bytes for the same
//! inputs.

mod account;
mod adopt;
mod choose;
mod comparison;
mod decide;
pub mod document;
mod drift;
mod findings;
mod input;
mod judge;
mod moves;
mod seed;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use account::overlap_of;
pub use adopt::{adoptable, may_be_full};
pub use choose::approval::{Approval, Noted, PlanFileError, Refusal};
pub use comparison::compare;
pub use decide::scopes::gives_scopes;
pub use document::change::{
    AccountPlan, Action, Capacity, Change, ComputedFrom, FORMAT_VERSION, KeyValues, Note, Plan, PlanKind,
    Reason, RotationDates, plan_schema,
};
pub use document::step::{Adopt, Delete, DeleteKey, FinishPending, Mint, Order, Phase, Put, Step};
pub use drift::{as_applied, drift};
pub use input::{DEFAULT_READ_LAG, Due, Extent, Options, PlanInput, Requests, RetireRequest, Selection};
pub use judge::reach::{reach, reach_of_states};
pub use judge::risk::Risk;
pub use moves::{AsMoved, Finished, as_moved, finished};
pub use seed::Seed;

pub use crate::finding::{Allow, AllowError, Code, Finding, Severity};
pub use crate::state::{ABANDONED_KEPT, DEFAULT_OVERLAP, RevokeOld, Settings, UncertainKey};
pub use crate::text::pattern::matches_pattern;

use crate::address::Address;
use crate::inventory::AccountInventory;
use crate::name::Name;
use account::Account;
use choose::approval::Judged;
use choose::schedule as clock;
use decide::remove as removal;
use findings::Gates;
use judge as gate;
use judge::capacity;

/// Decides what has to be done.
///
/// Nothing is thrown: what blocks, what is refused and what is left alone is in the plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    plan_approved(input, None).plan
}

/// A plan that does not go beyond what plan files approve.
#[derive(Debug)]
pub struct ApprovedPlan {
    pub plan: Plan,
    /// Wanted, and not approved.
    pub not_approved: Vec<Change>,
    /// Brought by the clock since the files were made, and left for a later run.
    pub left: Vec<Change>,
    /// Approved, and nothing to do.
    pub noted: Vec<Noted>,
}

/// Decides what has to be done, and leaves out what the plan files, where there are any, do not approve.
pub fn plan_approved(input: &PlanInput<'_>, approval: Option<&Approval>) -> ApprovedPlan {
    // Everything is decided as if the moves were carried out; they are the first steps of what is.
    let moved = as_moved(input.manifest, input.selection, input.states);
    let documents = input.states;
    let input = &PlanInput { states: &moved.states, ..*input };
    let mut gates = Gates::new(input);
    gate::project(input, &mut gates);
    moved.report(&mut gates);
    let owners = account::owners(input.states);
    let mut accounts = BTreeMap::new();
    let mut limited = Limited::default();
    let mut noted = Vec::new();
    for name in input.selection.accounts(input.manifest, input.states) {
        let state = input.states.get(&name);
        let summary = |identity| AccountPlan {
            identity,
            lineage: documents.get(&name).map(|state| state.lineage.clone()),
            serial: documents.get(&name).map_or(0, |state| state.serial),
            observed_at: None,
            order: document::step::Order::FreeFirst,
            capacity: None,
        };
        let Some(declared) = input.manifest.accounts.get(&name) else {
            if let Some(state) = state {
                limited.changes.extend(removal::let_go(input, state, &mut gates));
                accounts.insert(name.clone(), summary(state.identity.clone()));
            }
            continue;
        };
        let mut summary = summary(declared.identity());
        match input.inventory.accounts.get(&name) {
            Some(AccountInventory::Read(read)) => {
                summary.observed_at = Some(read.at);
                if gate::is_right_account(input, declared, state, read, &mut gates) {
                    let account = Account::new(input, declared, state, read, &owners);
                    let adoptions = adopt::adoptions(&account, &mut gates);
                    let adopted = adopt::with_adopted(&account, &adoptions);
                    let account = Account { state: adopted.as_ref().or(state), ..account };
                    let (mut planned, due) = account.plan(&mut gates);
                    moved.prepend(&name, &mut planned);
                    adopt::prepend(adoptions, &mut planned);
                    let mut all = approval.map(|_| planned.clone()).unwrap_or_default();
                    let mut planned = limited.take(&name, planned, input, approval, &mut gates);
                    let clock::Chosen { done, left } =
                        clock::choose(&account, &planned, due, approval, &mut gates);
                    limited.left.extend(left);
                    for change in done {
                        if approval.is_some() {
                            replace(&mut all, &change);
                        }
                        replace(&mut planned, &change);
                    }
                    if let Some(approval) = approval {
                        noted.extend(approval.noted(&name, &all));
                    }
                    summary.capacity = Some(capacity::check(&account, &planned, &mut gates));
                    gate::changes(&account, &planned, &mut gates);
                    gate::policy(&account, &planned, &mut gates);
                    gate::lints(&account, &planned, &mut gates);
                    gate::foreign(&account, &capacity::owned_and_pending(&account), &mut gates);
                    limited.changes.append(&mut planned);
                }
            }
            Some(AccountInventory::Unreadable(unreadable)) => gate::unreadable(&name, unreadable, &mut gates),
            None => {}
        }
        accounts.insert(name, summary);
    }
    let Limited { mut changes, mut not_approved, mut left } = limited;
    [&mut changes, &mut not_approved, &mut left].into_iter().for_each(|changes| sort(changes));
    let mut findings = gates.into_findings();
    findings.sort();
    findings.dedup();
    let allowed: BTreeSet<_> =
        input.options.allow.iter().chain(&input.options.approved_allow).cloned().collect();
    let plan = Plan {
        format_version: FORMAT_VERSION,
        kind: PlanKind::Plan,
        computed_from: ComputedFrom {
            manifest: input.manifest.sources.clone(),
            against: Vec::new(),
            policy: input.policy.map(|file| file.source.clone()),
            environments: input.selection.environments.clone(),
            only: input.selection.only.clone(),
            due: input.options.due,
            sinks: input.options.sinks,
        },
        allowed: allowed.into_iter().collect(),
        project: input.manifest.project.clone(),
        accounts,
        changes,
        findings,
    };
    ApprovedPlan { plan, not_approved, left, noted }
}

/// What the clock brings takes the place of what else would be done; state alone is told that all the same.
fn replace(changes: &mut Vec<Change>, by: &Change) {
    if !changes.iter().any(|change| change.address == by.address && change.action != Action::Recover) {
        changes.push(by.clone());
        return;
    }
    let in_place = changes.iter_mut().filter(|change| change.address == by.address);
    for change in in_place.filter(|change| change.action != Action::Recover) {
        let told = |step: &&Step| step.phase() == Phase::StateOnly;
        let steps: Vec<Step> = change.steps.iter().filter(told).chain(&by.steps).cloned().collect();
        let notes: Vec<Note> = change
            .notes
            .iter()
            .filter(|note| matches!(note, Note::MovedFrom(_)))
            .chain(&by.notes)
            .cloned()
            .collect();
        let mut reasons = by.reasons.clone();
        if steps.len() > by.steps.len() {
            reasons.push(Reason::Moved);
        }
        *change = Change { steps, notes, reasons, ..by.clone() };
    }
}

fn sort(changes: &mut [Change]) {
    changes.sort_by(|a, b| (&a.account, a.action, &a.address).cmp(&(&b.account, b.action, &b.address)));
}

/// What is done of what was planned, and what is left out.
#[derive(Default)]
struct Limited {
    changes: Vec<Change>,
    not_approved: Vec<Change>,
    left: Vec<Change>,
}

impl Limited {
    /// Takes out of an account's changes what `--due` or the plan files leave out, and what was found about
    /// keys that are left alone by it.
    fn take(
        &mut self,
        account: &Name,
        planned: Vec<Change>,
        input: &PlanInput<'_>,
        approval: Option<&Approval>,
        gates: &mut Gates<'_>,
    ) -> Vec<Change> {
        let mut kept = Vec::new();
        let mut dropped = BTreeSet::new();
        for change in planned {
            let address = change.address.clone();
            let due = match input.options.due {
                Due::Include => Some(change),
                Due::Exclude => Some(change.split().0),
                Due::Only if change.action == Action::Recover || change.action == Action::Keep => {
                    Some(change)
                }
                Due::Only => change.split().1,
            };
            let Some(change) = due else {
                dropped.insert(address);
                continue;
            };
            match approval.map_or(Judged::Approved, |approval| approval.judge(input.manifest, &change)) {
                Judged::Approved => kept.push(change),
                Judged::Outside => {
                    dropped.insert(address);
                }
                Judged::WithoutClock => {
                    let (rest, clock) = change.split();
                    kept.push(rest);
                    self.left.extend(clock);
                }
                Judged::Not => {
                    let (rest, clock) = change.split();
                    dropped.insert(address);
                    self.not_approved.push(rest);
                    self.left.extend(clock);
                }
            }
        }
        // A finding can be about a key that has no change, as what is wanted of it cannot be done at all.
        let effective: BTreeSet<&Address> = kept
            .iter()
            .filter(|change| change.action != Action::Keep)
            .map(|change| &change.address)
            .collect();
        let only = input.options.due == Due::Only || approval.is_some_and(Approval::is_only);
        gates.forget(account, |address| {
            dropped.contains(address)
                || (only && !effective.contains(address))
                || approval.is_some_and(|approval| !approval.is_about(input.manifest, address))
        });
        kept
    }
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
