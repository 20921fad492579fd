//! Hooks: what is done about deliveries, with the delivery itself, or later where it has not been seen to end well.

use crate::finding::{Code, Finding};
use crate::hook::{DueHook, Hook};
use crate::manifest::WantedKey;
use crate::plan::document::change::Note;
use crate::plan::document::step::{Put, Step};
use crate::plan::findings::{Findings, about};
use crate::state::OwnedKey;

/// The hooks of a key that follow a delivery to these locations.
pub(crate) fn following(wanted: &WantedKey, puts: &[Put]) -> Vec<Hook> {
    let follows = |hook: &&Hook| puts.iter().any(|put| hook.follows(&put.location.sink));
    wanted.hooks.iter().filter(follows).cloned().collect()
}

/// Runs hooks about what the steps so far deliver, and says so.
pub(crate) fn run(hooks: Vec<Hook>, steps: &mut Vec<Step>, notes: &mut Vec<Note>) {
    if hooks.is_empty() {
        return;
    }
    notes.extend(hooks.iter().cloned().map(Note::RunsHook));
    steps.push(Step::RunHooks { hooks, begun: false });
}

/// What an earlier run was to do about deliveries of a key, and did not, or not with success: as the manifest says by now,
/// with notes of it.
pub(crate) fn due(
    wanted: &WantedKey,
    owned: &OwnedKey,
    findings: &mut Findings<'_>,
) -> Option<(Vec<Note>, Step)> {
    let of_now = |due: &DueHook| wanted.hooks.iter().find(|hook| hook.sink == due.hook.sink);
    let due: Vec<(&Hook, &DueHook)> =
        owned.hooks_due.iter().filter_map(|due| Some((of_now(due)?, due))).collect();
    if due.is_empty() {
        return None;
    }
    for (hook, _) in &due {
        let message = format!(
            "{} of `{}` has not ended well since the key {} was delivered: programs that wait for it may use an older \
             one",
            hook.whose(),
            wanted.address,
            owned.id
        );
        let help = "the next apply runs it again; see what it says, and mend it";
        findings.raise(about(Finding::warns(Code::HookDue, message, help), wanted));
    }
    // What was to be run when it was delivered needs no further approval.
    let begun = due.iter().all(|(hook, due)| **hook == due.hook);
    let hooks: Vec<Hook> = due.into_iter().map(|(hook, _)| hook.clone()).collect();
    Some((hooks.iter().cloned().map(Note::RunsHook).collect(), Step::RunHooks { hooks, begun }))
}
