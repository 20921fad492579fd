//! Assembling: judged changes and findings become the plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::finding::{Code, Finding};
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::choose::approval::{AlreadyResolved, Approval};
use crate::plan::choose::capacity;
use crate::plan::choose::order::{self, Renamed};
use crate::plan::choose::parts::{Choice, Chosen};
use crate::plan::decide::decision::{Decision, Parts};
use crate::plan::document::change::{
    AccountPlan, Cause, Change, ComputedFrom, FORMAT_VERSION, Plan, PlanKind,
};
use crate::plan::document::effect::Effect;
use crate::plan::document::step::Order;
use crate::plan::findings::Findings;
use crate::plan::input::PlanInput;
use crate::plan::judge::key::{JudgedChange, judge};
use crate::plan::judge::{capacity as capacity_rules, foreign, limits, policy, project};
use crate::state::AccountState;

/// A plan that does not go beyond what plan files approve.
#[derive(Debug)]
pub struct ApprovedPlan {
    pub plan: Plan,
    /// Wanted, and not approved.
    pub not_approved: Vec<Change>,
    /// Brought by the clock since the files were made, and left for a later run.
    pub left: Vec<Change>,
    /// Approved, and nothing to do.
    pub resolved: Vec<AlreadyResolved>,
}

/// What a plan is put together from.
#[derive(Default)]
pub(crate) struct Assembly {
    accounts: BTreeMap<Name, AccountPlan>,
    changes: Vec<JudgedChange>,
    not_approved: Vec<Change>,
    left: Vec<Change>,
    resolved: Vec<AlreadyResolved>,
    findings: Vec<Finding>,
}

/// What would be done for each address of an account, were all of it approved.
type Wanted = BTreeMap<Address, Vec<Change>>;

/// All that was decided, where plan files are held against it.
pub(crate) fn wanted(approval: Option<&Approval>, decisions: &[Decision]) -> Wanted {
    let mut wanted = Wanted::new();
    let all = Parts { edit: true, due: false, retirement: true };
    for decision in decisions.iter().filter(|_| approval.is_some()) {
        wanted.entry(decision.address.clone()).or_default().push(decision.change(all));
    }
    wanted
}

impl Assembly {
    /// Adds what was chosen in an account that was read.
    pub fn add(&mut self, account: &Account<'_>, mut choice: Choice, findings: &mut Findings<'_>) {
        let name = account.name();
        let changes: Vec<&Change> = choice.done.iter().map(|chosen| &chosen.change).collect();
        let pairs = order::renames(account.input.manifest, &changes);
        order::after_successors(choice.done.iter_mut().map(|chosen| &mut chosen.change), &pairs);
        let changes: Vec<&Change> = choice.done.iter().map(|chosen| &chosen.change).collect();
        let counted = capacity::count(account, &changes);
        capacity_rules::check(account, &counted, findings);
        limits::limits(account, &changes, findings);
        policy::retiring(account, findings);
        foreign::foreign(account, &capacity::owned_and_pending(account), findings);
        pairs.iter().for_each(|pair| findings.raise(looks_renamed(name, pair, &changes)));
        if let Some(summary) = self.accounts.get_mut(name) {
            summary.observed_at = Some(account.at());
            summary.order = counted.order;
            summary.capacity = Some(counted.capacity);
        }
        self.take(account.input, choice, findings);
    }

    /// Adds what was chosen, key by key.
    pub fn take(&mut self, input: &PlanInput<'_>, choice: Choice, findings: &mut Findings<'_>) {
        let Choice { done, not_approved, left, findings: chosen } = choice;
        findings.extend(chosen);
        self.changes.extend(done.into_iter().map(|chosen: Chosen| judge(input, chosen, findings)));
        self.not_approved.extend(not_approved);
        self.left.extend(left);
    }

    /// What became of approved changes that nothing is done for.
    pub fn resolve(
        &mut self,
        approval: Option<&Approval>,
        account: &Name,
        mut wanted: Wanted,
        choice: &Choice,
    ) {
        let Some(approval) = approval else { return };
        for Chosen { change, .. } in &choice.done {
            wanted.entry(change.address.clone()).or_default().push(change.clone());
        }
        self.resolved.extend(approval.resolved(account, &wanted));
    }

    /// An account of the plan, before anything is known of it.
    pub fn add_account(&mut self, input: &PlanInput<'_>, name: &Name, before: Option<&AccountState>) {
        let declared = input.manifest.accounts.get(name).map(|account| account.identity());
        let Some(identity) = declared.or_else(|| before.map(|state| state.identity.clone())) else { return };
        let summary = AccountPlan {
            identity,
            lineage: before.map(|state| state.lineage.clone()),
            serial: before.map_or(0, |state| state.serial),
            observed_at: None,
            order: Order::default(),
            capacity: None,
        };
        self.accounts.insert(name.clone(), summary);
    }

    /// What concerns all changes of the project.
    pub fn judge_project(
        &self,
        input: &PlanInput<'_>,
        before: &BTreeMap<Name, AccountState>,
        findings: &mut Findings<'_>,
    ) {
        project::project(input, findings);
        let changes = self.changes.iter().map(JudgedChange::change);
        let deleted: Vec<&Change> = changes.filter(|change| revokes_for_good(change)).collect();
        project::unmatched_entries(input, before, &deleted, findings);
    }

    pub fn with_findings(self, findings: Findings<'_>) -> Self {
        Self { findings: findings.into_list(), ..self }
    }

    /// The moves of changes that no plan file approves.
    pub fn refused_moves(&self) -> impl Iterator<Item = (Name, Address)> {
        self.not_approved.iter().flat_map(|change| {
            let moves = change.effects().filter_map(Effect::moved_from);
            moves.map(|from| (change.account.clone(), from.clone()))
        })
    }

    pub fn finish(self, input: &PlanInput<'_>) -> ApprovedPlan {
        let Self { accounts, changes, mut not_approved, mut left, resolved, mut findings } = self;
        let mut changes: Vec<Change> = changes.into_iter().map(JudgedChange::into_change).collect();
        [&mut changes, &mut not_approved, &mut left].into_iter().for_each(|changes| sort(changes));
        findings.sort();
        findings.dedup();
        // With `--env` or `--only`, what else the files approve is another run's business.
        let mut resolved = resolved;
        resolved.retain(|note| input.selection.has(input.manifest, &note.address));
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
        ApprovedPlan { plan, not_approved, left, resolved }
    }
}

fn sort(changes: &mut [Change]) {
    changes.sort_by(|a, b| (&a.account, a.action, &a.address).cmp(&(&b.account, b.action, &b.address)));
}

/// Whether a key that the manifest no longer has is revoked.
fn revokes_for_good(change: &Change) -> bool {
    change.cause == Cause::Edited && change.ends_key()
}

fn looks_renamed(account: &Name, pair: &Renamed, changes: &[&Change]) -> Finding {
    let Renamed { from, to, led_to } = pair;
    let position =
        changes.iter().find(|change| change.address == *to).and_then(|change| change.position.as_ref());
    let finding = match led_to {
        None => Finding::warns(
            Code::LooksRenamed,
            format!("`{from}` would be revoked and `{to}` made, which looks like a rename"),
            format!("say `moved: [{{ from: {from}, to: {to} }}]` to keep the key"),
        ),
        Some(led_to) => Finding::blocks(
            Code::EntryUnmatched,
            format!(
                "`moved` leads `{from}` to `{led_to}`, which the manifest has no key at, so it would be revoked: did you \
                 mean `{to}`?"
            ),
            format!("say `to: {to}`; or take the entry out, where the key is not meant to stay"),
        ),
    };
    finding.in_account(account).at_address(to).at_position(position)
}
