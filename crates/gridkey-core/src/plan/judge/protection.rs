//! Protected keys: they are not deleted, not let go of, and not widened to Full Access.

use crate::finding::{Code, Finding};
use crate::inventory::is_as_good_as_full;
use crate::plan::document::change::{Cause, Change, KeyValues};
use crate::plan::document::effect::Effect;
use crate::plan::findings::Findings;

/// Raises what a protected key would lose or gain.
///
/// Protection is what was applied: an edit that lifts it counts from the next run on.
pub(crate) fn protection(change: &Change, recorded: Option<&KeyValues>, findings: &mut Findings<'_>) {
    let Some(before) = recorded.or(change.before.as_ref()).filter(|before| before.protect) else { return };
    let Some(what) = harm(before, change) else { return };
    let address = &change.address;
    let finding = Finding::blocks(
        Code::Protected,
        format!("`{address}` is protected, and would {what}"),
        "apply `protect: false` on the key in a run of its own first",
    );
    findings
        .raise(finding.in_account(&change.account).at_address(address).at_position(change.position.as_ref()));
}

fn harm(before: &KeyValues, change: &Change) -> Option<&'static str> {
    match &change.after {
        Some(after) if is_as_good_as_full(&after.access) && !is_as_good_as_full(&before.access) => {
            Some("be widened to Full Access")
        }
        Some(_) => None,
        // Its successor, in another account, is what the address has.
        None if change.cause == Cause::HandedOver => None,
        None => change.effects().find_map(|effect| match effect {
            Effect::Revokes { .. } => Some("be deleted"),
            Effect::LetsGo(_) => Some("be forgotten"),
            Effect::Makes { .. }
            | Effect::Finishes(_)
            | Effect::Renames(_)
            | Effect::Rescopes(_)
            | Effect::Delivers(_)
            | Effect::Clears(_)
            | Effect::Moves(_)
            | Effect::Adopts(_)
            | Effect::Runs { .. } => None,
        }),
    }
}
