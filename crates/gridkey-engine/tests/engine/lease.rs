//! A lock is a lease, and a run that is told to stop begins nothing new: every effect, and what comes after it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures::executor::block_on;
use gridkey_core::Name;
use gridkey_core::plan::{Order, Plan};
use gridkey_tests::world::{Effect, Ended, Fault, RunOptions, World};
use strum::VariantArray;

use crate::stage::{Stage, all_stages, stages};

fn free_first(plan: &mut Plan) {
    plan.accounts.values_mut().for_each(|account| account.order = Order::FreeFirst);
}

/// Runs a stage with one fault, and gives what its run asked for after that, which promises broke, and how it ended.
fn disturbed(stage: &Stage, effect: usize, fault: Fault) -> (Vec<Effect>, Vec<String>, Ended) {
    let world = stage.world.fork();
    let before = world.lock().asked.len();
    world.lock().schedule = BTreeMap::from([(effect, fault)]);
    let ended = block_on(world.run(2, &stage.manifest, &stage.options()));
    let inner = world.lock();
    let after = inner.asked[before..].iter().skip(effect + 1).map(|(_, effect)| *effect).collect();
    (after, inner.broken.clone(), ended)
}

fn effects(stage: &Stage) -> usize {
    let world: World = stage.world.fork();
    block_on(world.run(2, &stage.manifest, &stage.options()));
    world.lock().effects.len()
}

#[test]
fn an_effect_is_begun_only_while_the_lease_outlasts_it_and_the_lease_is_renewed_for_it() {
    let mut next = BTreeSet::new();
    // An update is the first effect of those that make keys first, so that nothing comes before it.
    let freeing = stages(100).map(|stage| Stage { edit: Some(free_first as fn(&mut Plan)), ..stage });
    for stage in all_stages().into_iter().chain(freeing) {
        for effect in 0..effects(&stage) {
            let (after, broken, ended) = disturbed(&stage, effect, Fault::Slow);
            assert_eq!(broken, Vec::<String>::new(), "{} {effect}", stage.name);
            let Ended::Applied(outcome) = ended else { panic!("{}: {ended:?}", stage.name) };
            assert!(outcome.failed.is_empty(), "{} {effect}: {:?}", stage.name, outcome.failed);
            next.extend(after.first().copied());
        }
    }
    assert_eq!(next, Effect::VARIANTS.iter().copied().collect(), "each came first after a slow answer");
}

/// As if somebody had lifted the lock of a run that is at work, and had run themselves.
#[test]
fn what_another_run_wrote_is_not_taken_for_our_own_and_ends_the_work_on_the_account() {
    let mut asked = BTreeSet::new();
    for stage in all_stages() {
        let world = stage.world.fork();
        let before = world.lock().asked.len();
        let write = |world: &World| world.lock().written_by_another_run();
        let options = RunOptions { meanwhile: Some(Rc::new(write)), ..stage.options() };
        let Ended::Applied(outcome) = block_on(world.run(2, &stage.manifest, &options)) else {
            panic!("{}: it was applied", stage.name)
        };
        for failure in &outcome.failed {
            assert!(failure.message.contains("changed by another run"), "{}: {failure:?}", stage.name);
        }
        // An account that has no state yet was not written by anybody.
        let written: BTreeSet<Name> =
            stage.world.lock().states().map(|state| state.account.clone()).collect();
        let done = outcome.done.iter().find(|(account, _, _)| written.contains(account));
        assert_eq!(done, None, "{}: nothing counts as done without its record", stage.name);
        if outcome.done.is_empty() {
            asked.extend(world.lock().asked[before..].iter().map(|(_, effect)| *effect));
        }
    }
    assert!(asked.contains(&Effect::StateWrite) && asked.contains(&Effect::Update), "{asked:?}");
    let of_a_record = |effect: &&Effect| matches!(effect, Effect::Create | Effect::Delete);
    assert_eq!(asked.iter().find(of_a_record), None, "it is recorded before: {asked:?}");
}

#[test]
fn a_run_that_is_told_to_stop_ends_the_step_it_is_at_and_begins_no_other() {
    let mut last = BTreeSet::new();
    for stage in all_stages() {
        let all = effects(&stage);
        for effect in 0..all {
            let (after, broken, ended) = disturbed(&stage, effect, Fault::Interrupted);
            assert_eq!(broken, Vec::<String>::new(), "{} {effect}", stage.name);
            let Ended::Applied(outcome) = ended else { panic!("{}: {ended:?}", stage.name) };
            assert!(outcome.interrupted, "{} {effect}", stage.name);
            assert!(
                outcome.not_started.is_empty() || effect + 1 + after.len() < all,
                "{} {effect}",
                stage.name
            );
            last.extend(after.last().copied());
        }
    }
    assert!(last.contains(&Effect::StateWrite), "what was at work is recorded: {last:?}");
}
