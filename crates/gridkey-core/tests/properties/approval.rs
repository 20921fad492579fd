//! A plan file that is applied where it was made does just what it says, and elsewhere nothing beyond that.

use std::collections::BTreeSet;

use gridkey_core::plan::{Approval, Due, KeyValues, Plan, RevokeOld, Severity, Step};
use gridkey_core::{Access, Address, KeyId, LocationId, Name, SinkLocation};

use crate::effect::{Effect, When, effects, is_told};
use crate::harness::{Broken, Property, Tally, broken};
use crate::world::{EDITS, Event, HISTORY, Recipe, World};

/// What a person can ask of `gridkey plan`.
const ASKED: &[Event] =
    &[World::request_rotation, World::request_rotation, World::due_exclude, World::environments, World::only];

/// What a run finds that a plan did not know of.
const SINCE: &[Event] = &[World::time_passes, World::time_passes, World::tight, World::aged];

#[test]
fn a_plan_file_is_carried_out_as_it_is_and_covers_nothing_else() {
    let property = Property {
        name: "approval",
        always: &[],
        events: &[HISTORY, HISTORY, EDITS, EDITS, EDITS, ASKED],
        later: &[HISTORY, EDITS, SINCE, SINCE],
        interesting: &[
            ("a file that does something", 1500),
            ("a file with a mint", 700),
            ("a file with a move", 150),
            ("a change that is not approved", 500),
            ("a change that is left to the clock", 300),
            ("an approved effect in another world", 3000),
            ("settings by an approved change", 1000),
        ],
    };
    property.holds(check);
}

/// What `gridkey plan` can be asked: a run's other requests have no file.
fn plannable(world: &mut World) {
    world.options.requests.revoke_old = RevokeOld::AfterOverlap;
    world.options.requests.retire.clear();
    world.options.requests.from_sinks = false;
    world.selection.destroy = false;
}

fn check(recipe: &Recipe, tally: &mut Tally) -> Vec<Broken> {
    let mut world = recipe.world();
    plannable(&mut world);
    let file = world.plan();
    if file
        .findings
        .iter()
        .any(|finding| matches!(finding.severity, Severity::Blocks | Severity::BlocksAccount))
    {
        tally.count("a blocked plan");
        return Vec::new();
    }
    let steps = || file.changes.iter().flat_map(|change| &change.steps);
    if file.effective().next().is_some() {
        tally.count("a file that does something");
    }
    if steps().any(|step| matches!(step, Step::Mint(_))) {
        tally.count("a file with a mint");
    }
    if steps().any(|step| matches!(step, Step::Move { .. })) {
        tally.count("a file with a move");
    }
    let read = match Plan::from_json(file.to_json().as_bytes()) {
        Ok(read) if read == file => read,
        Ok(_) => return vec![broken("not read as written", "the file says something else once it is read")],
        Err(error) => return vec![broken("not read", error.to_string())],
    };
    let approval = Approval::new(vec![read], false).unwrap();
    let mut all: Vec<Broken> = refused(&world, &approval).into_iter().collect();
    all.extend(in_the_same_world(&world, &file, &approval));
    let mut later = recipe.later();
    plannable(&mut later);
    all.extend(in_another_world(&later, &file, &approval, tally));
    all
}

fn refused(world: &World, approval: &Approval) -> Option<Broken> {
    let refusals = approval.refusals(&world.manifest, |name| world.states.get(name).cloned());
    let first = refusals.first()?;
    Some(broken("refused where it was made", first.to_string()))
}

/// The run that `gridkey apply FILE` makes of a world.
fn applying(world: &World, approval: &Approval, due: Due) -> World {
    let mut world = world.clone();
    world.selection = approval.selection();
    world.options.due = due;
    world.options.allow.clear();
    world.options.approved_allow = approval.allowed();
    world
}

fn all_steps(plan: &Plan) -> Vec<(&Name, &Address, &Step)> {
    let changes = plan.changes.iter();
    changes
        .flat_map(|change| change.steps.iter().map(move |step| (&change.account, &change.address, step)))
        .collect()
}

fn in_the_same_world(world: &World, file: &Plan, approval: &Approval) -> Vec<Broken> {
    let world = applying(world, approval, world.options.due);
    let approved = world.plan_approved(approval);
    let mut all = Vec::new();
    for (what, changes) in [("not approved", &approved.not_approved), ("left", &approved.left)] {
        // A rotation that the file itself said has to wait is left once more.
        let said = |address: &Address| what == "left" && is_told(file, address);
        for change in changes.iter().filter(|change| !said(&change.address)) {
            let text = format!("{} of `{}` in `{}` is {what}", change.action, change.address, change.account);
            let reason = change.reasons.first();
            all.push(broken(
                format!("{what} where it was planned: {} because of {reason:?}", change.action),
                text,
            ));
        }
    }
    let (wanted, got) = (all_steps(file), all_steps(&approved.plan));
    if all.is_empty() && wanted != got {
        let missing = wanted.iter().find(|step| !got.contains(step));
        let more = got.iter().find(|step| !wanted.contains(step));
        let kind = match (missing, more) {
            (Some((.., step)), _) => format!("a step is missing: {:?}", step.phase()),
            (None, Some((.., step))) => format!("a step is too many: {:?}", step.phase()),
            (None, None) => "the steps have another order".to_string(),
        };
        all.push(broken(kind, format!("missing {missing:?}, too many {more:?}")));
    }
    if all.is_empty()
        && let Some(finding) =
            approved.plan.findings.iter().find(|finding| finding.severity == Severity::Blocks)
    {
        all.push(broken(format!("blocked where it was planned: {}", finding.code), finding.message.clone()));
    }
    all
}

fn in_another_world(later: &World, file: &Plan, approval: &Approval, tally: &mut Tally) -> Vec<Broken> {
    if !approval.refusals(&later.manifest, |name| later.states.get(name).cloned()).is_empty() {
        return Vec::new();
    }
    let run = applying(later, approval, Due::Include);
    let approved = run.plan_approved(approval);
    tally.add("a change that is not approved", approved.not_approved.len() as u64);
    tally.add("a change that is left to the clock", approved.left.len() as u64);
    let named: Vec<(&Name, Effect)> = of_plan(file);
    let mut all = of_another_manifest(file, &approved.plan, tally);
    for (account, effect) in of_plan(&approved.plan) {
        if is_clean_up(&effect) {
            continue;
        }
        if named.iter().any(|(of, named)| *of == account && covers(named, &effect)) {
            tally.count("an approved effect in another world");
            continue;
        }
        if let Effect::Write { id, name, access: None } = &effect
            && is_named_so(file, id, name)
        {
            continue;
        }
        let change = approved
            .plan
            .changes
            .iter()
            .find(|change| change.account == *account && effects(change).contains(&effect));
        let of = change.map(|change| format!("{} because of {:?}", change.action, change.reasons.first()));
        let of = of.unwrap_or_default();
        // A key that its successor was to outlive by an overlap goes at once.
        let own = change.and_then(|change| change.before.as_ref()?.id.as_ref());
        let at_once = own.is_some_and(|own| matches!(&effect, Effect::Revoke { id, .. } if id == own));
        let what = if at_once { "a revocation of the key itself" } else { kind(&effect) };
        all.push(broken(
            format!("not in the file: {what} by {of}"),
            format!("in `{account}`: {effect:?}, by {of}"),
        ));
    }
    all
}

/// Changes that leave a key with settings that the file does not have.
fn of_another_manifest(file: &Plan, plan: &Plan, tally: &mut Tally) -> Vec<Broken> {
    let mut all = Vec::new();
    for change in plan.effective().filter(|change| change.steps.iter().any(settles)) {
        let Some(after) = &change.after else { continue };
        tally.count("settings by an approved change");
        let approved: Vec<&KeyValues> = file
            .effective()
            .filter(|known| known.account == change.account && known.address == change.address)
            .filter_map(|known| known.after.as_ref())
            .collect();
        let same = approved.iter().any(|known| {
            known.owner == after.owner
                && known.protect == after.protect
                && known.on_delete == after.on_delete
                && places(&known.sinks) == places(&after.sinks)
                && known.rotate == after.rotate
                && known.ttl == after.ttl
        });
        if !same {
            let what = if approved.is_empty() { "no change of it" } else { "other settings" };
            let text = format!("{} of `{}`: {after:?}", change.action, change.address);
            all.push(broken(format!("settings where the file has {what}: {}", change.action), text));
        }
    }
    all
}

/// Whether state says of a key what the manifest does, once this step is done.
fn settles(step: &Step) -> bool {
    matches!(step, Step::Mint(_) | Step::FinishPending(_) | Step::Record(_) | Step::Adopt(_))
}

fn places(sinks: &[SinkLocation]) -> BTreeSet<LocationId> {
    sinks.iter().map(SinkLocation::id).collect()
}

/// Whether a file leaves a key with this name: one that an earlier run did not finish is no other than that.
fn is_named_so(file: &Plan, id: &KeyId, name: &str) -> bool {
    let after = file.effective().filter_map(|change| change.after.as_ref());
    after.filter(|after| after.id.as_ref() == Some(id)).any(|after| after.name == name)
}

fn of_plan(plan: &Plan) -> Vec<(&Name, Effect)> {
    plan.effective()
        .flat_map(|change| effects(change).into_iter().map(move |effect| (&change.account, effect)))
        .collect()
}

/// What makes nothing and takes nothing from anybody.
fn is_clean_up(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Revoke { when: When::CleanUp, .. } | Effect::Run { begun: true, .. } | Effect::Note { .. }
    )
}

/// Whether an access gives no more than another one.
fn is_within(access: &Access, approved: &Access) -> bool {
    match (access.scopes(), approved.scopes()) {
        (None, None) => true,
        (Some(access), Some(approved)) => access.as_set().is_subset(approved.as_set()),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Whether an effect that a file names is, or has in it, one that is done.
fn covers(named: &Effect, done: &Effect) -> bool {
    match (named, done) {
        (
            Effect::Mint { address, name, access },
            Effect::Mint { address: at, name: called, access: given },
        ) => address == at && name == called && is_within(given, access),
        // The key that was begun gets its name.
        (Effect::Mint { name, access, .. }, Effect::Write { name: called, access: given, .. }) => {
            name == called && given.as_ref().is_none_or(|given| is_within(given, access))
        }
        (Effect::Write { id, name, access }, Effect::Write { id: of, name: called, access: given }) => {
            let within = match (given, access) {
                (None, _) => true,
                (Some(given), Some(access)) => is_within(given, access),
                (Some(_), None) => false,
            };
            id == of && name == called && within
        }
        (Effect::Revoke { id, when }, Effect::Revoke { id: gone, when: then }) => {
            id == gone && (when == then || *when == When::Now)
        }
        (Effect::Run { address, does, .. }, Effect::Run { address: at, does: now, .. }) => {
            address == at && does == now
        }
        (named, done) => named == done,
    }
}

fn kind(effect: &Effect) -> &'static str {
    match effect {
        Effect::Move { .. } => "a move",
        Effect::Adopt { .. } => "an adoption",
        Effect::Forget { .. } => "a key that is let go of",
        Effect::Mint { .. } => "a new key",
        Effect::Write { .. } => "a write",
        Effect::Put { .. } => "a delivery",
        Effect::Clear { .. } => "a cleared location",
        Effect::Revoke { when: When::Now, .. } => "a revocation",
        Effect::Revoke { .. } => "a retirement",
        Effect::Run { .. } => "somebody who is told",
        Effect::Note { .. } => "a note in state",
    }
}
