//! A plan that may be carried out: the only thing that apply takes.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Severity;
use crate::name::Name;
use crate::plan::document::change::{Change, Plan};

/// A plan whose findings let it be carried out, and in which accounts.
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

    /// What is to be done, by account.
    pub fn by_account(&self) -> BTreeMap<&Name, Vec<&Change>> {
        let mut accounts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for change in self.plan.effective().filter(|change| !self.blocked.contains(&change.account)) {
            accounts.entry(&change.account).or_default().push(change);
        }
        accounts
    }
}
