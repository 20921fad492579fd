//! Crash everywhere: every effect of a run, in every way of failing, then pairs, then random schedules.
//!
//! The loops run over the effects that the engine really has, so a new one is covered the day it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::plan::{Action, Order, Plan, plan_schema};
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{Ended, Fault, OVERLAP, READ_LAG, RunOptions, World};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use strum::VariantArray;

use crate::stage::{READABLE, Stage, all_stages, into_another_account, lives, stage, stages};

const THREADS: usize = 2;

/// Checks a schedule, and again with a trace where it breaks a promise.
fn check(stage: &Stage, schedule: &BTreeMap<usize, Fault>, stale: bool) -> Result<BTreeSet<String>, String> {
    run_and_check(stage, schedule, stale, false).or_else(|_| run_and_check(stage, schedule, stale, true))
}

/// Runs until the schedule is used up, then once more undisturbed; says what is still broken.
fn run_and_check(
    stage: &Stage,
    schedule: &BTreeMap<usize, Fault>,
    stale: bool,
    traced: bool,
) -> Result<BTreeSet<String>, String> {
    block_on(async {
        let world = stage.world.fork();
        world.lock().schedule = schedule.clone();
        world.lock().stale = stale;
        world.lock().traced = traced;
        // What a person asked for is asked for once: by the runs that the schedule disturbs.
        let options = RunOptions { edit: stage.edit, ..RunOptions::default() };
        let approved = RunOptions { approval: stage.approval.clone(), ..stage.options() };
        let mut number = 2;
        loop {
            let ended = world.run(number, &stage.manifest, &approved).await;
            covered(&world, stage, schedule, ended)?;
            number += 1;
            if world.lock().schedule.is_empty() || number > 6 {
                break;
            }
        }
        world.lock().schedule.clear();
        world.pass(Duration::from_secs(1));
        let ended = world.run(number, &stage.manifest, &approved).await;
        covered(&world, stage, schedule, ended)?;
        // Reads trail what the run just did; the promise is about what is so.
        world.pass(READ_LAG);
        let plan = world.plan(&stage.manifest, &options).await;
        let late = schedule.values().any(|fault| *fault == Fault::VeryLate);
        if !late {
            report(&world, stage, schedule, violations(&world, &stage.manifest, &plan, false))?;
        }
        // What retires does so after its overlap, and what came very late is put right by the first run
        // that sees it.
        for _ in 0..2 {
            world.pass(OVERLAP + READ_LAG);
            number += 1;
            world.run(number, &stage.manifest, &options).await;
        }
        world.pass(READ_LAG);
        let plan = world.plan(&stage.manifest, &options).await;
        report(&world, stage, schedule, violations(&world, &stage.manifest, &plan, true))?;
        let carried_out = world.lock().carried_out.clone();
        Ok(carried_out)
    })
}

/// What a run of an approved plan left unfinished, the same plan covers.
fn covered(
    world: &World,
    stage: &Stage,
    schedule: &BTreeMap<usize, Fault>,
    ended: Ended,
) -> Result<(), String> {
    let Ended::NotApproved(changes) = ended else { return Ok(()) };
    let changes = changes.iter().map(|change| format!("not approved: {change:?}")).collect();
    report(world, stage, schedule, changes)
}

fn report(
    world: &World,
    stage: &Stage,
    schedule: &BTreeMap<usize, Fault>,
    broken: Vec<String>,
) -> Result<(), String> {
    if broken.is_empty() {
        return Ok(());
    }
    let trace = world.lock().trace.join("\n  ");
    Err(format!("{} {schedule:?}:\n- {}\n  {trace}", stage.name, broken.join("\n- ")))
}

/// How many effects an undisturbed run has.
fn effects(stage: &Stage) -> usize {
    let world = stage.world.fork();
    let ended = block_on(world.run(2, &stage.manifest, &stage.options()));
    assert!(matches!(ended, Ended::Applied(_)), "{ended:?}");
    let inner = world.lock();
    inner.effects.len()
}

/// Checks every schedule, on every core, and shows the shortest trace of those that break a promise.
/// Says what the plans had that were carried out.
fn check_all(
    what: &str,
    stages: &[Stage],
    schedules: Vec<(usize, BTreeMap<usize, Fault>, bool)>,
) -> BTreeSet<String> {
    let next = AtomicUsize::new(0);
    let carried_out: Mutex<BTreeSet<String>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((stage, schedule, stale)) = schedules.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    match check(&stages[*stage], schedule, *stale) {
                        Ok(had) => carried_out.lock().unwrap().extend(had),
                        Err(failure) => failures.lock().unwrap().push(failure),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(String::len);
    println!("{what}: {} schedules", schedules.len());
    assert!(
        failures.is_empty(),
        "{what}: {} of {} schedules break a promise; the shortest:\n{}",
        failures.len(),
        schedules.len(),
        failures[0],
    );
    carried_out.into_inner().unwrap()
}

#[test]
fn an_undisturbed_run_keeps_every_promise() {
    let mut stages: Vec<Stage> = stages(100).into();
    stages.extend(lives());
    stages.extend(into_another_account());
    let schedules = (0..stages.len()).map(|stage| (stage, BTreeMap::new(), false)).collect();
    check_all("undisturbed", &stages, schedules);
}

/// Every effect of every stage, in every way of failing, with fresh reads and with stale ones.
fn single_faults(stages: &[Stage]) -> Vec<(usize, BTreeMap<usize, Fault>, bool)> {
    let mut schedules = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        for effect in 0..effects(stage) {
            for fault in Fault::ALL.into_iter().chain([Fault::Stalled]) {
                for stale in [false, true] {
                    schedules.push((index, BTreeMap::from([(effect, fault)]), stale));
                }
            }
        }
    }
    schedules
}

#[test]
fn every_effect_may_fail_in_every_way() {
    let all = all_stages();
    let schedules = single_faults(&all);
    let carried_out = check_all("single faults", &all, schedules);
    let missing: Vec<String> = everything_there_is().difference(&carried_out).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "no stage puts these to the test");
}

/// One fault at every effect of every stage.
fn one_of(faults: &[Fault], stages: &[Stage]) -> Vec<(usize, BTreeMap<usize, Fault>, bool)> {
    let mut schedules = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        for effect in 0..effects(stage) {
            schedules.extend(faults.iter().map(|fault| (index, BTreeMap::from([(effect, *fault)]), false)));
        }
    }
    schedules
}

/// What is tried again may fail again, and at the last try it must not be believed.
#[test]
fn every_effect_may_fail_at_every_attempt() {
    let all = all_stages();
    all.iter().for_each(|stage| stage.world.lock().lasting = true);
    let schedules = one_of(&[Fault::Refused, Fault::LostBefore, Fault::AnswerLost], &all);
    check_all("faults that last", &all, schedules);
}

/// With answers so slow that the lease has to be renewed before whatever comes next, and told to stop in the middle.
#[test]
fn every_effect_may_be_slow_and_at_every_one_a_run_may_be_told_to_stop() {
    let all = all_stages();
    let schedules = one_of(&[Fault::Slow, Fault::Interrupted], &all);
    check_all("slow or interrupted", &all, schedules);
}

/// A read that fails says nothing: it is as if the run had not looked.
#[test]
fn every_read_may_get_no_answer() {
    for stage in all_stages() {
        let undisturbed = stage.world.fork();
        block_on(undisturbed.run(2, &stage.manifest, &stage.options()));
        let (first, end) = (stage.world.lock().reads, undisturbed.lock().reads);
        assert!(first < end, "{}: nothing was read", stage.name);
        for read in first..end {
            let world = stage.world.fork();
            world.lock().unanswered.insert(read);
            let Stage { name, world: _, manifest, requests, approval: _, edit } = &stage;
            let (manifest, requests) = (manifest.clone(), requests.clone());
            let disturbed = Stage { name, world, manifest, requests, approval: None, edit: *edit };
            if let Err(broken) = check(&disturbed, &BTreeMap::new(), false) {
                panic!("read {read}: {broken}");
            }
        }
    }
}

/// Every action, and every kind of step that the schema of plans knows.
fn everything_there_is() -> BTreeSet<String> {
    let actions = Action::VARIANTS.iter().copied().filter(|action| *action != Action::Keep);
    let mut all: BTreeSet<String> = actions.map(|action| format!("action {action}")).collect();
    let schema = plan_schema();
    let steps = schema["$defs"]["Step"]["oneOf"].as_array().expect("steps are one of several objects");
    for step in steps {
        let names = step["properties"].as_object().expect("a step is an object").keys();
        all.extend(names.map(|name| format!("step {name}")));
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

/// An account without slots for both revokes before it makes, and others make before they revoke: each is put through
/// the faults, whatever the planner chose for these stages.
#[test]
fn every_effect_may_fail_in_either_order() {
    for edit in [make_first as fn(&mut Plan), free_first] {
        let mut all: Vec<Stage> = stages(100).into();
        let [readable, ..] = lives();
        all.push(readable);
        let all: Vec<Stage> = all.into_iter().map(|stage| Stage { edit: Some(edit), ..stage }).collect();
        let schedules = single_faults(&all);
        check_all("single faults in one order", &all, schedules);
    }
}

fn make_first(plan: &mut Plan) {
    plan.accounts.values_mut().for_each(|account| account.order = Order::MakeFirst);
}

fn free_first(plan: &mut Plan) {
    plan.accounts.values_mut().for_each(|account| account.order = Order::FreeFirst);
}

#[test]
fn an_approved_plan_covers_every_crash_of_its_own() {
    let mut all: Vec<Stage> = stages(100).into();
    all.extend(lives());
    all.extend(into_another_account());
    let stages: Vec<Stage> = all.into_iter().map(Stage::approved).collect();
    let schedules = single_faults(&stages);
    check_all("single faults of an approved plan", &stages, schedules);
}

#[test]
fn every_pair_of_effects_may_fail() {
    let mut stages: Vec<Stage> = stages(100).into();
    let [_, _, mixed] = lives();
    stages.push(mixed);
    // The last stage has so many effects that its pairs are of kills and lost answers only.
    let few = [Fault::AnswerLost, Fault::KilledBefore, Fault::KilledAfter];
    let mut schedules = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let count = effects(stage);
        let faults = if index + 1 == stages.len() { &few[..] } else { &Fault::EVERYWHERE[..] };
        for first in 0..count {
            // The second fault may come in the run that puts the first one right.
            for second in first + 1..count + 4 {
                for one in faults {
                    for other in faults {
                        schedules.push((index, BTreeMap::from([(first, *one), (second, *other)]), false));
                    }
                }
            }
        }
    }
    check_all("pairs of faults", &stages, schedules);
}

#[test]
fn random_schedules_with_lag_keep_every_promise() {
    // The last stage has no slot but those that the run needs. Write-only sinks are not put through that:
    // a key that one may have then waits for a person's word, which a test of recovery shows.
    let mut stages: Vec<Stage> = stages(100).into();
    stages.extend(lives());
    stages.extend(into_another_account());
    stages.push(stage("readable, no spare slot", READABLE, 6));
    let mut random = StdRng::seed_from_u64(20_261_123);
    let schedules = (0..2_400)
        .map(|_| {
            let stage = random.random_range(0..stages.len());
            let faults = random.random_range(1..=4);
            let all: Vec<Fault> = Fault::ALL.into_iter().chain([Fault::Stalled]).collect();
            let schedule = (0..faults)
                .map(|_| (random.random_range(0..45), all[random.random_range(0..all.len())]))
                .collect();
            (stage, schedule, random.random_bool(0.7))
        })
        .collect();
    check_all("random schedules", &stages, schedules);
}
