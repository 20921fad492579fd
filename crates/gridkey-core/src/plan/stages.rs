//! The stages of planning: a pure function; the same bytes for the same inputs.
//!
//! [`moves`] and [`adopt`] say what is assumed; an [`Index`] makes the look-ups; [`decide`] says what may be done for
//! each key, in parts; [`choose`] takes those that are done in this run; [`judge`] says what stands against them. Each
//! takes values and returns values, and nothing is added behind the last one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::name::Name;
use crate::plan::account::Account;
use crate::plan::adopt::{self, Adoption};
use crate::plan::assemble::{self, ApprovedPlan, Assembly};
use crate::plan::choose;
use crate::plan::choose::approval::Approval;
use crate::plan::decide;
use crate::plan::document::change::Plan;
use crate::plan::findings::Findings;
use crate::plan::index::Index;
use crate::plan::input::PlanInput;
use crate::plan::judge;
use crate::plan::moves::{self, Unapproved, WithMoves};
use crate::state::AccountState;

type States = BTreeMap<Name, AccountState>;

/// Decides what has to be done.
///
/// Nothing is thrown: what blocks, what is refused and what is left alone is in the plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    plan_approved(input, None).plan
}

/// Decides what has to be done, and leaves out what the plan files, where there are any, do not approve.
pub fn plan_approved(input: &PlanInput<'_>, approval: Option<&Approval>) -> ApprovedPlan {
    let selection = input.selection.over(input.manifest, input.states);
    let input = &PlanInput { selection: &selection, ..*input };
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
    // Where nothing is adopted, the documents are those that the first index was made of.
    let index = if adoptions.is_empty() { bare } else { Index::new(&input, moves) };
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
    findings.extend(moves.findings(&input.options.requests));
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
) -> BTreeMap<Name, BTreeMap<Address, Adoption>> {
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
    adoptions: &BTreeMap<Name, BTreeMap<Address, Adoption>>,
) -> Cow<'a, States> {
    let mut states = Cow::Borrowed(index.input.states);
    for (name, of_account) in adoptions {
        if let Some(account) = account(index, name) {
            states.to_mut().insert(name.clone(), adopt::with_adopted(&account, of_account));
        }
    }
    states
}
