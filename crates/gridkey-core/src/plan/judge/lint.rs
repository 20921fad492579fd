//! Lints: where a key gets more than it probably needs, and where nothing shows that it arrives. They warn, when it does.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::Scope;
use crate::finding::{Code, Finding};
use crate::manifest::{Rotation, WantedKey};
use crate::plan::decide::scopes::list;
use crate::plan::document::change::Change;
use crate::plan::findings::{Findings, about};
use crate::plan::input::PlanInput;
use crate::sink::{PickUp, SinkKind, SinkLocation};
use crate::time::written;

/// Points out what a key gains, and where it goes.
pub(crate) fn lints(input: &PlanInput<'_>, change: &Change, findings: &mut Findings<'_>) {
    let wanted = input.manifest.keys.get(&change.address).filter(|key| key.account == change.account);
    let Some(wanted) = wanted else { return };
    unproven(wanted, change, findings);
    picked_up_late(wanted, change, findings);
    let gained = change.gained();
    if gained.is_empty() {
        return;
    }
    let managing: Vec<&Scope> = gained.iter().filter(|scope| scope.manages_keys()).collect();
    if !managing.is_empty() {
        let message = format!(
            "`{}` gets {}, which lets its holder create or change API keys",
            wanted.address,
            list(managing)
        );
        let help = "an application hardly needs to manage keys; keep that to gridkey's own managing key";
        findings.raise(about(Finding::warns(Code::KeyManagement, message, help), wanted));
    }
    let by_pattern = writing_patterns(wanted, &gained);
    if by_pattern.is_empty() {
        return;
    }
    let patterns = by_pattern.iter().map(|(pattern, count)| match count {
        1 => format!("`{pattern}` (1 scope that writes)"),
        count => format!("`{pattern}` ({count} scopes that write)"),
    });
    let patterns = patterns.collect::<Vec<_>>().join(", ");
    let message = format!("`{}` gets write access by a pattern: {patterns}", wanted.address);
    let help = "write out the scopes that it needs, or use `PREFIX:read` where it only reads";
    findings.raise(about(Finding::warns(Code::WildcardWrite, message, help), wanted));
}

/// Points out commands that take the key from now on, and cannot be asked for it, where no other sink can be either: that they
/// end well is all there is.
fn unproven(wanted: &WantedKey, change: &Change, findings: &mut Findings<'_>) {
    let Some(after) = &change.after else { return };
    if after.sinks.iter().any(|location| location.at.is_readable()) {
        return;
    }
    let known: BTreeSet<_> =
        change.before.iter().flat_map(|before| &before.sinks).map(SinkLocation::id).collect();
    let taken_on_trust = after
        .sinks
        .iter()
        .filter(|location| location.at.kind() == SinkKind::Command && !known.contains(&location.id()));
    for location in taken_on_trust {
        let message = format!(
            "`{}` goes to the command of `{}`, and nothing proves that it arrives: the command has no `read`",
            wanted.address, location.sink
        );
        let help = "give it a `read` that prints what is stored, or the key a second sink that can be read";
        findings.raise(about(Finding::warns(Code::UnprovenDelivery, message, help), wanted));
    }
}

/// Points out sinks whose programs usually have a newer key only after the older one is revoked.
fn picked_up_late(wanted: &WantedKey, change: &Change, findings: &mut Findings<'_>) {
    let Some(Rotation { overlap, .. }) = wanted.rotate else { return };
    let Some(after) = &change.after else { return };
    let known = |location: &SinkLocation| {
        let before = change.before.iter().filter(|before| before.rotate == after.rotate);
        before.flat_map(|before| &before.sinks).any(|before| before.id() == location.id())
    };
    let mut told = BTreeSet::new();
    for location in after.sinks.iter().filter(|location| !known(location)) {
        if !told.insert(&location.sink) {
            continue;
        }
        let is_told = wanted.hooks.iter().any(|hook| hook.follows(&location.sink));
        let (message, help) = match location.at.pick_up() {
            PickUp::Within(usual) if overlap < usual => (
                format!(
                    "the overlap of `{}` is {}, and programs that read `{}` usually have a newer key within {}",
                    wanted.address,
                    written(overlap),
                    location.sink,
                    written(usual)
                ),
                "give it a longer `overlap`: the older key is revoked when it has passed",
            ),
            PickUp::AtStart if !is_told => (
                format!(
                    "programs that get the key `{}` of `{}` as a variable go on with the older one until they are started anew",
                    wanted.address, location.sink
                ),
                "name them in `restart`, or say with `after_delivery` what sees to it; where they read a mounted file, all is well",
            ),
            PickUp::Within(_) | PickUp::AtStart => continue,
        };
        findings.raise(about(Finding::warns(Code::OverlapShort, message, help), wanted));
    }
}

/// The patterns by which a key gains scopes that do more than read, and how many each brings.
fn writing_patterns<'a>(wanted: &'a WantedKey, gained: &BTreeSet<Scope>) -> BTreeMap<&'a str, usize> {
    let mut by_pattern: BTreeMap<&str, usize> = BTreeMap::new();
    let expanded = wanted.access.scopes().map(|scopes| &scopes.expanded);
    for (scope, pattern) in expanded.into_iter().flatten() {
        if gained.contains(scope) && !scope.only_reads() {
            *by_pattern.entry(pattern).or_default() += 1;
        }
    }
    by_pattern
}
