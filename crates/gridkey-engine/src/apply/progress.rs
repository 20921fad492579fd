//! How far the changes of an account's run have come, and what stands against going on.

use std::collections::{BTreeMap, BTreeSet};

use gridkey_core::Address;
use gridkey_core::plan::{Change, Phase, Step};

use super::account::StepError;

/// How far a change has come.
pub(super) enum Progress {
    Done,
    NotStarted,
    Failed(StepError),
}

/// The changes of an account, and what became of each so far.
pub(super) struct Ledger<'a> {
    pub changes: &'a [&'a Change],
    progress: BTreeMap<usize, Progress>,
    /// Addresses where something failed, or was not begun.
    broken: BTreeSet<Address>,
    /// Whether a key was to be made and was not.
    creation_failed: bool,
}

impl<'a> Ledger<'a> {
    pub fn new(changes: &'a [&'a Change]) -> Self {
        Self { changes, progress: BTreeMap::new(), broken: BTreeSet::new(), creation_failed: false }
    }

    /// The changes that have something to do in a phase, in the order of the plan.
    pub fn concerned(&self, phase: Phase) -> Vec<(usize, &'a Change)> {
        let concerned = |change: &Change| change.steps.iter().any(|step| step.phase() == phase);
        let all = self.changes.iter().copied().enumerate();
        all.filter(|(_, change)| concerned(change)).collect()
    }

    /// What became of a change in a phase.
    pub fn note(&mut self, index: usize, phase: Phase, result: Progress) {
        let failed = !matches!(result, Progress::Done);
        if failed {
            self.broken.insert(self.changes[index].address.clone());
            self.creation_failed |= matches!(phase, Phase::Create | Phase::Replace);
        }
        match self.progress.get(&index) {
            // The first failure is the one that people are told.
            Some(Progress::Failed(_)) if failed => {}
            _ => {
                self.progress.insert(index, result);
            }
        }
    }

    /// Whether what an earlier phase left undone at an address stands against going on there.
    pub fn is_broken(&self, address: &Address) -> bool {
        self.broken.contains(address)
    }

    /// Whether a key may be revoked before its successor is made: only as long as successors are made.
    pub fn may_replace(&self) -> bool {
        !self.creation_failed
    }

    /// The successor that a deletion waits for in vain.
    pub fn missing_successor(&self, change: &Change) -> Option<Address> {
        let deletions = change.steps.iter().filter_map(|step| {
            let Step::Delete(delete) = step else { return None };
            Some(&delete.successors)
        });
        deletions.flatten().find(|address| self.is_broken(address)).cloned()
    }

    /// What became of a change in the end.
    pub fn take(&mut self, index: usize) -> Option<Progress> {
        self.progress.remove(&index)
    }
}
