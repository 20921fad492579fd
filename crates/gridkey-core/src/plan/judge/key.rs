//! One key's change, judged: a plan is made of judged changes alone.

use crate::finding::Finding;
use crate::plan::choose::parts::Chosen;
use crate::plan::decide::decision::Decision;
use crate::plan::document::change::{Change, KeyValues};
use crate::plan::document::effect::Effect;
use crate::plan::findings::Findings;
use crate::plan::input::PlanInput;
use crate::plan::judge::{lint, policy, protection};

/// A change that protection, policy and lints have looked at.
#[derive(Debug)]
pub(crate) struct JudgedChange(Change);

impl JudgedChange {
    pub fn change(&self) -> &Change {
        &self.0
    }

    pub fn into_change(self) -> Change {
        self.0
    }
}

/// Judges the change of one key.
pub(crate) fn judge(input: &PlanInput<'_>, chosen: Chosen, findings: &mut Findings<'_>) -> JudgedChange {
    let Chosen { decision, change } = chosen;
    rules(input, &decision, &change, findings);
    lint::lints(input, &change, findings);
    JudgedChange(change)
}

/// What would stand against a change by itself, were it chosen.
pub(crate) fn stands(input: &PlanInput<'_>, decision: &Decision, change: &Change) -> Option<Finding> {
    let mut findings = Findings::new(input);
    rules(input, decision, change, &mut findings);
    findings.into_list().into_iter().find(Finding::is_blocking)
}

fn rules(input: &PlanInput<'_>, decision: &Decision, change: &Change, findings: &mut Findings<'_>) {
    let older = match adopts(change) {
        // A key that state does not own yet is not one that a rule was broken by.
        true => Older { before: None, recorded: None },
        false => Older { before: change.before.as_ref(), recorded: decision.recorded.as_ref() },
    };
    protection::protection(change, decision.recorded.as_ref(), findings);
    policy::policy(input, &older, change, findings);
}

/// What a key was, as far as rules held for it then: what it is at SendGrid, and what was last applied.
pub(crate) struct Older<'a> {
    pub before: Option<&'a KeyValues>,
    pub recorded: Option<&'a KeyValues>,
}

impl Older<'_> {
    /// Whether something held of the key already: as it was last applied, where that is known.
    pub fn any(&self, holds: impl Fn(&KeyValues) -> bool) -> bool {
        self.recorded.or(self.before).is_some_and(holds)
    }
}

fn adopts(change: &Change) -> bool {
    change.effects().any(|effect| matches!(effect, Effect::Adopts(_)))
}
