//! Rotations that have come due, or may be brought forward: as many as there are slots for, the oldest first.

use jiff::Timestamp;

use crate::finding::{Code, Finding};
use crate::manifest::AtLimit;
use crate::plan::account::Account;
use crate::plan::choose::capacity;
use crate::plan::decide::decision::Decision;
use crate::plan::decide::schedule::OVERDUE;
use crate::plan::document::change::Change;
use crate::plan::document::step::Step;
use crate::state::RevokeOld;
use crate::time::later;

/// A rotation that waits for a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    pub at: Timestamp,
    pub at_limit: AtLimit,
    /// Whether a plan file asks for no more than it.
    pub approved: bool,
}

/// Whether a rotation is made in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    No,
    Overlapping,
    /// The account has no slot for both, so the older key goes first.
    RevokedFirst,
}

/// Which rotations are made.
pub(crate) struct Fit {
    pub taken: Vec<Taken>,
    pub findings: Vec<Finding>,
}

/// Chooses as many rotations as there are slots for, and ahead of time as many as would be late otherwise: so keys of
/// one birthday spread out by themselves.
///
/// `rotations` are sorted by the time they come due; `others` is what else is done in the account.
pub(crate) fn fit(account: &Account<'_>, others: &[&Change], rotations: &[(&Decision, Rotation)]) -> Fit {
    let now = account.at();
    let total = capacity::free(account, others);
    let mut free = total;
    let approved = rotations.iter().any(|(_, rotation)| rotation.approved);
    let ahead = if approved { rotations.len() } else { needed_now(account, others, rotations, free) };
    let mut fit = Fit { taken: Vec::new(), findings: Vec::new() };
    let mut postponed = Vec::new();
    for (index, (decision, rotation)) in rotations.iter().enumerate() {
        let is_due = rotation.at <= now;
        let taken = if !is_due && index >= ahead {
            Taken::No
        } else if free > 0 {
            free -= 1;
            Taken::Overlapping
        } else {
            match rotation.at_limit {
                AtLimit::Replace if is_due => Taken::RevokedFirst,
                AtLimit::Block if is_due => {
                    fit.findings.push(postponement(account, &[*decision], total, true));
                    Taken::No
                }
                AtLimit::Postpone if is_due => {
                    postponed.push(*decision);
                    Taken::No
                }
                AtLimit::Postpone | AtLimit::Replace | AtLimit::Block => Taken::No,
            }
        };
        fit.taken.push(taken);
    }
    if !postponed.is_empty() {
        fit.findings.push(postponement(account, &postponed, total, false));
    }
    fit
}

/// How many of the rotations have to be made in this run so that none is late.
///
/// A slot serves one rotation in an overlap and the day until the next run. One that has to wait for more rounds than it
/// has time for makes the first ones go now.
fn needed_now(
    account: &Account<'_>,
    others: &[&Change],
    rotations: &[(&Decision, Rotation)],
    free: u32,
) -> usize {
    let now = account.at();
    let slots = (free + capacity::retiring(account, others)) as usize;
    let late = |index: usize, (decision, rotation): &(&Decision, Rotation)| {
        let after = decision.due.as_ref().and_then(|due| due.part.after.as_ref());
        let Some(settings) = after.and_then(|after| after.rotate) else { return false };
        let round = settings.overlap + OVERDUE;
        let rounds = u32::try_from(index / slots.max(1)).unwrap_or(u32::MAX);
        // Some runs fail, and some find a sink that cannot be read: a third of the time ahead is kept for that.
        let spare = settings.warn_before.unwrap_or_default() / 3;
        later(now, round.saturating_mul(rounds).saturating_add(spare)) > rotation.at
    };
    // One that is late in some round would be on time, were all before it that much earlier.
    let last = rotations.iter().enumerate().rev().find(|(index, rotation)| late(*index, rotation));
    last.map_or(0, |(index, _)| index + 1)
}

/// The older key goes before the new one is made, as the account has no slot for both.
pub(crate) fn revoke_first(decision: &mut Decision) {
    let id = decision.before.as_ref().and_then(|before| before.id.clone());
    let (Some(id), Some(due)) = (id, decision.due.as_deref_mut()) else { return };
    let part = &mut due.part;
    let born = decision.rotation.map_or(Timestamp::UNIX_EPOCH, |dates| dates.made);
    for step in &mut part.steps {
        if let Step::Mint(mint) = step {
            mint.older = RevokeOld::First;
        }
    }
    part.steps.insert(0, Step::RevokeFirst { id, born });
}

fn postponement(account: &Account<'_>, due: &[&Decision], slots: u32, blocks: bool) -> Finding {
    let named: Vec<String> = due.iter().take(5).map(|due| format!("`{}`", due.address)).collect();
    let more = match due.len().saturating_sub(5) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (rotations, are) = match due.len() {
        1 => ("the rotation of".to_string(), "is due"),
        count => (format!("{count} rotations, of"), "are due"),
    };
    let all_for = match slots {
        0 => "has no free slot for a second key".to_string(),
        1 => "has 1 free slot, which an older one takes".to_string(),
        slots => format!("has {slots} free slots, which older ones take"),
    };
    let how = if blocks { "and `at_limit: block` says to stop then" } else { "and postponed" };
    let message =
        format!("{rotations} {}{more} {are} {how}: account `{}` {all_for}", named.join(", "), account.name());
    let help = "free slots: remove keys that nothing uses; or say `rotate: { at_limit: replace }`, which revokes the \
                older key first";
    let finding = match blocks {
        true => Finding::blocks(Code::RotationPostponed, message, help),
        false => Finding::warns(Code::RotationPostponed, message, help),
    };
    let position = due.first().and_then(|due| due.position.as_ref());
    let finding = finding.in_account(account.name()).at_position(position);
    if let [one] = due { finding.at_address(&one.address) } else { finding }
}
