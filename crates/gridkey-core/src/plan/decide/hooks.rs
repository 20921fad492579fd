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
    steps.push(Step::RunHooks { hooks, begun: false, due: false });
}

/// What an earlier run was to do about deliveries of a key, and did not, or not with success: as the manifest says by now,
/// with notes of it.
pub(crate) fn due(
    wanted: &WantedKey,
    owned: &OwnedKey,
    findings: &mut Findings<'_>,
) -> Option<(Vec<Note>, Vec<Step>)> {
    let due: Vec<(Hook, &DueHook)> =
        owned.hooks_due.iter().filter_map(|due| Some((of_now(wanted, due)?, due))).collect();
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
    let begun = due.iter().all(|(hook, due)| *hook == due.hook);
    let some = |recorded: bool| -> Vec<Hook> {
        let is_there =
            |due: &DueHook| due.locations.iter().any(|location| owned.is_delivered_to(location) == recorded);
        due.iter().filter(|(_, due)| is_there(due)).map(|(hook, _)| hook.clone()).collect()
    };
    // What is recorded is told before an older key is revoked; the others are told of once this run has recorded them.
    let steps = [(some(true), true), (some(false), false)]
        .into_iter()
        .filter(|(hooks, _)| !hooks.is_empty())
        .map(|(hooks, due)| Step::RunHooks { hooks, begun, due })
        .collect();
    let notes = due.into_iter().map(|(hook, _)| Note::RunsHook(hook)).collect();
    Some((notes, steps))
}

/// What the manifest says by now of a hook that is due, under the name that state knows its sink by: a sink may have another one since, and
/// the same places.
fn of_now(wanted: &WantedKey, due: &DueHook) -> Option<Hook> {
    let same = wanted.hooks.iter().find(|hook| hook.sink == due.hook.sink);
    let renamed = || {
        let mut sinks = wanted.sinks.iter().filter(|location| due.locations.contains(&location.id()));
        sinks.find_map(|location| wanted.hooks.iter().find(|hook| hook.sink.as_ref() == Some(&location.sink)))
    };
    let now = same.or_else(renamed)?;
    Some(Hook { sink: due.hook.sink.clone(), does: now.does.clone() })
}
