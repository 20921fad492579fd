//! Planning: manifest, state and inventory in, a plan out. A pure function; the same bytes for the same inputs.
//!
//! The stages: [`moves`] and [`adopt`] say what is assumed; [`index`] makes the look-ups; [`decide`] says what may be
//! done for each key, in parts; [`choose`] takes those that are done in this run; [`judge`] says what stands against
//! them. Each takes values and returns values, and nothing is added behind the last one.

mod account;
mod adopt;
mod applied;
mod assemble;
mod choose;
mod comparison;
mod decide;
pub mod document;
mod drift;
mod findings;
mod index;
mod input;
mod judge;
mod moves;
mod seed;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use account::overlap_of;
pub use adopt::adoptable;
pub use assemble::ApprovedPlan;
pub use choose::approval::{AlreadyResolved, Approval, PlanFileError, Refusal};
pub use comparison::compare;
pub use decide::scopes::gives_scopes;
pub use document::change::{
    AccountPlan, Action, Capacity, Cause, Change, ComputedFrom, FORMAT_VERSION, KeyValues, Note, Plan,
    PlanKind, Reason, RotationDates, plan_schema,
};
pub use document::checked::CheckedPlan;
pub use document::effect::{Effect, Revocation};
pub use document::step::{Adopt, Delete, DeleteKey, FinishPending, Mint, Order, Phase, Put, Step};
pub use drift::{as_applied, drift};
pub use input::{DEFAULT_READ_LAG, Due, Extent, Options, PlanInput, Requests, RetireRequest, Selection};
pub use judge::policy::broken_by_move;
pub use judge::reach::{reach, reach_of_states};
pub use judge::risk::Risk;
pub use moves::{Finished, WithMoves, finished, with_moves};
pub use seed::Seed;

pub use crate::finding::{Allow, AllowError, Code, Finding, Severity};
pub use crate::inventory::may_be_full;
pub use crate::manifest::DEFAULT_OVERLAP;
pub use crate::state::{ABANDONED_KEPT, RevokeOld, Settings, UncertainKey};
pub use crate::text::pattern::matches_pattern;

use crate::name::Name;
use crate::state::AccountState;
use account::Account;
use adopt::Adoption;
use assemble::Assembly;
use findings::Findings;
use index::Index;
use moves::Unapproved;

type States = BTreeMap<Name, AccountState>;

/// Decides what has to be done.
///
/// Nothing is thrown: what blocks, what is refused and what is left alone is in the plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    plan_approved(input, None).plan
}

/// Decides what has to be done, and leaves out what the plan files, where there are any, do not approve.
pub fn plan_approved(input: &PlanInput<'_>, approval: Option<&Approval>) -> ApprovedPlan {
    let mut unapproved = Unapproved::new();
    loop {
        let moves =
            moves::chosen(input.manifest, input.selection, input.options.due, &unapproved, input.states);
        let assembly = staged(input, &moves, approval);
        // What was decided as if a move were done goes with the move: it is decided again without it.
        let only = approval.is_some_and(Approval::is_only);
        let refused: Unapproved =
            assembly.refused_moves().filter(|moved| !unapproved.contains(moved)).collect();
        if !only || refused.is_empty() {
            return assembly.finish(input);
        }
        unapproved.extend(refused);
    }
}

/// The stages, once, with these moves carried out.
fn staged(input: &PlanInput<'_>, moves: &WithMoves<'_>, approval: Option<&Approval>) -> Assembly {
    let before = input.states;
    let moved = PlanInput { states: &moves.states, ..*input };
    let mut findings = Findings::new(input);
    let bare = Index::new(&moved, moves);
    let accounts = moved.selection.accounts(moved.manifest, moved.states);
    let right: BTreeSet<&Name> =
        accounts.iter().filter(|name| judge::account::is_right(&moved, name, &mut findings)).collect();
    let adoptions = adoptions(&bare, &right, &mut findings);
    let documents = with_adopted(&bare, &adoptions);
    let input = PlanInput { states: &documents, ..moved };
    let index = Index::new(&input, moves);
    let mut assembly = Assembly::default();
    for name in &accounts {
        assembly.add_account(&input, name, before.get(name));
        let stands = |decision: &_, change: &_| judge::key::stands(&input, decision, change);
        if let Some(account) = account(&index, name).filter(|_| right.contains(name)) {
            let decisions = decide::key::of_account(&account, adoptions.get(name), moves, &mut findings);
            let wanted = assemble::wanted(approval, &decisions);
            let choice = choose::parts::choose(&account, decisions, approval, &stands);
            assembly.resolve(approval, name, wanted, &choice);
            assembly.add(&account, choice, &mut findings);
        } else if let Some(state) = left(&input, name) {
            let decisions = decide::key::of_left_account(&index, state, moves);
            let wanted = assemble::wanted(approval, &decisions);
            let choice = choose::parts::choose_unobserved(&input, decisions, approval, &stands);
            assembly.resolve(approval, name, wanted, &choice);
            assembly.take(&input, choice, &mut findings);
        }
    }
    assembly.judge_project(&input, before, &mut findings);
    findings.extend(moves.findings());
    assembly.with_findings(findings)
}

/// The document of an account that the manifest no longer has.
fn left<'a>(input: &PlanInput<'a>, name: &Name) -> Option<&'a AccountState> {
    input.states.get(name).filter(|_| !input.manifest.accounts.contains_key(name))
}

/// What decisions about one account look at, where it was read.
fn account<'a>(index: &'a Index<'a>, name: &Name) -> Option<Account<'a>> {
    let input = index.input;
    let declared = input.manifest.accounts.get(name)?;
    let read = input.inventory.account(name)?;
    Some(Account { index, input, declared, state: input.states.get(name), read })
}

fn adoptions(
    index: &Index<'_>,
    accounts: &BTreeSet<&Name>,
    findings: &mut Findings<'_>,
) -> BTreeMap<Name, BTreeMap<crate::address::Address, Adoption>> {
    let mut all = BTreeMap::new();
    for name in accounts {
        if let Some(account) = account(index, name) {
            let adoptions = adopt::adoptions(&account, findings);
            if !adoptions.is_empty() {
                all.insert((*name).clone(), adoptions);
            }
        }
    }
    all
}

/// The documents as they are once every key is adopted.
fn with_adopted<'a>(
    index: &Index<'a>,
    adoptions: &BTreeMap<Name, BTreeMap<crate::address::Address, Adoption>>,
) -> Cow<'a, States> {
    let mut states = Cow::Borrowed(index.input.states);
    for (name, of_account) in adoptions {
        if let Some(account) = account(index, name) {
            states.to_mut().insert(name.clone(), adopt::with_adopted(&account, of_account));
        }
    }
    states
}
