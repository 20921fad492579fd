//! Recoveries that wait for a person's word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::plan::{Action, Code, Due, Note, Options, Requests, Selection};
use gridkey_core::{Address, SinkLocation};
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{
    Ended, Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme, branch,
};

#[test]
fn an_uncertain_key_without_a_spare_slot_blocks_until_it_is_allowed_to_go() {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["wa"] }];
    let manifest = WorldManifest::new(&wanted, 1);
    let world = World::new(1);
    world.pass(Duration::from_secs(3600));
    // Killed right after state says that delivery to a sink that never tells has begun.
    world.lock().schedule = BTreeMap::from([(2, Fault::KilledAfter)]);
    let options = RunOptions::default();
    assert!(matches!(block_on(world.run(1, &manifest, &options)), Ended::Killed));
    let Ended::Blocked(plan) = block_on(world.run(2, &manifest, &options)) else { panic!("it went on") };
    assert!(plan.findings.iter().any(|finding| finding.code == Code::Capacity), "{:?}", plan.findings);
    assert_eq!(world.lock().live_count(&acme()), 1, "the key that a sink may have is left alone");
    let allow = vec!["uncertain_key:prod/mailer".parse().expect("a code and an address")];
    let allowed = RunOptions { options: Options { allow, ..Options::default() }, ..RunOptions::default() };
    let ended = block_on(world.run(3, &manifest, &allowed));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    let plan = block_on(world.plan(&manifest, &options));
    assert_eq!(violations(&world, &manifest, &plan, true), Vec::<String>::new());
}

#[test]
fn retirement_looks_at_the_sinks_first() {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["ra", "ra2"] }];
    let manifest = WorldManifest::new(&wanted, 10);
    let world = World::new(10);
    let options = RunOptions::default();
    let run = |number| {
        world.pass(OVERLAP * 2);
        let ended = block_on(world.run(number, &manifest, &options));
        assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    };
    run(1);
    let location = manifest.locations()[0].clone();
    let old = world.lock().held(&location).expect("it was just delivered");
    // Gone by somebody's hand, made anew, and then a sink is rolled back to the older value.
    world.lock().read_by_consumers.clear();
    world.lock().revoke(&old);
    run(2);
    let new = world.lock().held(&location).expect("it was just delivered");
    assert_ne!(old, new);
    let secret = world.lock().keys[&old].secret.clone();
    world.lock().place(location.clone(), Some(secret));
    run(3);
    assert_eq!(world.lock().held(&location), Some(new), "the current key is delivered again");
    let still = world.lock().state(&acme()).is_some_and(|state| state.owned_ids().contains_key(&old));
    assert!(still, "the overlap of the older one counts anew");
    run(4);
    let plan = block_on(world.plan(&manifest, &options));
    assert_eq!(violations(&world, &manifest, &plan, true), Vec::<String>::new());
}

#[test]
fn what_broke_off_on_the_way_to_another_account_goes_on_as_the_same_change() {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["ra"] }];
    let before = WorldManifest::new(&wanted, 10).with_branch(&[], 10);
    let after = before.clone().with_branch(&["prod/mailer"], 10);
    let world = World::new(10);
    let options = RunOptions::default();
    world.pass(OVERLAP);
    block_on(world.run(1, &before, &options));
    world.lock().effects.clear();
    let wanted = block_on(world.plan(&after, &options));
    let wanted = wanted.effective().next().expect("it goes to the other account").clone();
    // Killed right after the sink took the new key's secret: intend, POST, put.
    world.lock().schedule = BTreeMap::from([(2, Fault::KilledAfter)]);
    assert!(matches!(block_on(world.run(2, &after, &options)), Ended::Killed));
    world.pass(READ_LAG);
    let finished = block_on(world.plan(&after, &options));
    let finished = finished.effective().next().expect("there is something to finish").clone();
    assert_eq!(finished.action, Action::Recover);
    assert_eq!(finished.before, wanted.before, "it takes the place of the same key");
    assert!(finished.notes.contains(&Note::MovesFrom(acme())), "{:?}", finished.notes);
    let ended = block_on(world.run(3, &after, &options));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    let inner = world.lock();
    let generations: Vec<u32> =
        inner.states().flat_map(|state| state.keys.values()).map(|key| key.generation).collect();
    assert_eq!(generations, [1, 2], "the older key waits for its overlap");
}

/// A world where the manifest was applied, and a rotation that was asked for was killed right after this effect.
fn broken_off(manifest: &WorldManifest, address: &Address, options: &RunOptions, effect: usize) -> World {
    let world = World::new(10);
    world.pass(OVERLAP);
    block_on(world.run(1, manifest, options));
    world.pass(OVERLAP);
    world.lock().effects.clear();
    world.lock().schedule = BTreeMap::from([(effect, Fault::KilledAfter)]);
    let requests = Requests { rotate: BTreeMap::from([(address.clone(), None)]), ..Requests::default() };
    let rotate = RunOptions { options: Options { requests, ..Options::default() }, ..options.clone() };
    assert!(matches!(block_on(world.run(2, manifest, &rotate)), Ended::Killed), "effect {effect}");
    world
}

#[test]
fn what_broke_off_before_a_key_went_to_another_account_is_settled_without_waiting_for_the_older_key() {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["ra"] }];
    let before = WorldManifest::new(&wanted, 10).with_branch(&[], 10);
    let after = before.clone().with_branch(&["prod/mailer"], 10);
    let mailer: Address = "prod/mailer".parse().expect("an address");
    let options = RunOptions::default();
    let live = |world: &World| {
        let inner = world.lock();
        inner.live_count(&acme()) + inner.live_count(&branch())
    };
    let begun = |world: &World| world.lock().states().map(|state| state.pending.len()).sum::<usize>();
    // Intend and POST, and the put besides: no sink got the secret, or one did.
    for (effect, in_between) in [(1, 2), (2, 3)] {
        let world = broken_off(&before, &mailer, &options, effect);
        world.pass(READ_LAG);
        assert_eq!((live(&world), begun(&world)), (2, 1), "effect {effect}");
        let ended = block_on(world.run(3, &after, &options));
        assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
        // Where a program may have read its secret, it goes with the older key.
        assert_eq!((live(&world), begun(&world)), (in_between, in_between - 2), "effect {effect}");
        let plan = block_on(world.plan(&after, &options));
        let told = plan.changes.iter().filter(|change| change.action == Action::Recover).count();
        assert_eq!(told, in_between - 2, "effect {effect}: a creation that waits is told of");
        world.pass(OVERLAP * 2);
        let ended = block_on(world.run(4, &after, &options));
        assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
        assert_eq!((live(&world), begun(&world)), (1, 0), "effect {effect}");
        let plan = block_on(world.plan(&after, &options));
        assert_eq!(violations(&world, &after, &plan, true), Vec::<String>::new(), "effect {effect}");
    }
}

#[test]
fn what_broke_off_goes_with_the_key_of_an_environment_whose_time_is_over_wherever_it_is_wanted() {
    let wanted = [Wanted { address: "pr/mailer", scopes: &["mail.send"], locations: &["ra"] }];
    let mut before = WorldManifest::new(&wanted, 10).with_branch(&[], 10);
    for key in before.manifest.keys.values_mut() {
        key.ttl = Some(OVERLAP * 3);
    }
    let after = before.clone().with_branch(&["pr/mailer"], 10);
    let mailer: Address = "pr/mailer".parse().expect("an address");
    let selection = Selection::new(mailer.environment.clone().map(|name| BTreeSet::from([name])), None);
    let options = RunOptions { selection, ..RunOptions::default() };
    for effect in [1, 2] {
        let world = broken_off(&before, &mailer, &options, effect);
        world.pass(OVERLAP * 4);
        let ended = block_on(world.run(3, &after, &options));
        assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
        let inner = world.lock();
        assert_eq!(inner.live_count(&acme()) + inner.live_count(&branch()), 0, "effect {effect}");
        assert_eq!(inner.states().map(|state| state.pending.len()).sum::<usize>(), 0, "effect {effect}");
        assert_eq!(inner.held(&before.locations()[0]), None, "effect {effect}: it is cleared");
    }
}

#[test]
fn a_first_key_that_broke_off_goes_with_its_environment_wherever_it_is_wanted() {
    let other = Wanted { address: "pr/other", scopes: &["mail.send"], locations: &["rb"] };
    let mailer = Wanted { address: "pr/mailer", scopes: &["mail.send"], locations: &["ra"] };
    let short_lived = |wanted: &[Wanted]| {
        let mut manifest = WorldManifest::new(wanted, 10).with_branch(&[], 10);
        for key in manifest.manifest.keys.values_mut() {
            key.ttl = Some(OVERLAP * 3);
        }
        manifest
    };
    let (first, both) = (short_lived(std::slice::from_ref(&other)), short_lived(&[other, mailer]));
    let after = both.clone().with_branch(&["pr/mailer"], 10);
    let environment = "pr".parse().expect("a name");
    let selection = Selection::new(Some(BTreeSet::from([environment])), None);
    let options = RunOptions { selection, ..RunOptions::default() };
    let world = World::new(10);
    world.pass(OVERLAP);
    block_on(world.run(1, &first, &options));
    world.lock().effects.clear();
    // Right after the sink took the secret: intend, POST, put.
    world.lock().schedule = BTreeMap::from([(2, Fault::KilledAfter)]);
    assert!(matches!(block_on(world.run(2, &both, &options)), Ended::Killed));
    world.pass(OVERLAP * 4);
    let ended = block_on(world.run(3, &after, &options));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    let inner = world.lock();
    assert_eq!(inner.live_count(&acme()) + inner.live_count(&branch()), 0);
    assert_eq!(inner.states().map(|state| state.pending.len()).sum::<usize>(), 0);
    assert!(both.locations().iter().all(|location| inner.held(location).is_none()), "they are cleared");
}

#[test]
fn a_run_that_leaves_edits_for_another_finishes_a_rotation_as_it_was_applied() {
    let keys = |locations: &'static [&'static str]| {
        let mailer = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations };
        let other = Wanted { address: "prod/other", scopes: &["mail.send"], locations: &["rb"] };
        WorldManifest::new(&[mailer, other], 10)
    };
    let (before, after) = (keys(&["ra"]), keys(&["ra", "ra2"]));
    let mailer: Address = "prod/mailer".parse().expect("an address");
    let due =
        RunOptions { options: Options { due: Due::Only, ..Options::default() }, ..RunOptions::default() };
    let other = BTreeSet::from(["prod/other".parse().expect("an address")]);
    let beside = RunOptions {
        selection: Selection { only: Some(other), ..Selection::default() },
        ..RunOptions::default()
    };
    for (how, narrow) in [("due work alone", due), ("another key alone", beside)] {
        let world = World::new(10);
        world.pass(OVERLAP);
        block_on(world.run(1, &before, &RunOptions::default()));
        // A rotation breaks off right after the sink took the new key's secret: intend, POST, put.
        world.lock().effects.clear();
        world.lock().schedule = BTreeMap::from([(2, Fault::KilledAfter)]);
        let requests = Requests { rotate: BTreeMap::from([(mailer.clone(), None)]), ..Requests::default() };
        let rotate =
            RunOptions { options: Options { requests, ..Options::default() }, ..RunOptions::default() };
        assert!(matches!(block_on(world.run(2, &before, &rotate)), Ended::Killed), "{how}");
        world.pass(READ_LAG);
        let finished = block_on(world.plan(&after, &narrow));
        let finished = finished.effective().find(|change| change.address == mailer).expect("it is finished");
        assert_eq!(finished.action, Action::Recover, "{how}");
        let locations = |sinks: &[SinkLocation]| sinks.iter().map(SinkLocation::id).collect::<Vec<_>>();
        let sinks = finished.after.as_ref().map(|after| locations(&after.sinks));
        assert_eq!(
            sinks,
            Some(vec![before.locations()[0].clone()]),
            "{how}: the edit is left for another run"
        );
        let ended = block_on(world.run(3, &after, &narrow));
        assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{how}: {ended:?}");
        // The whole run carries the edit out, and after the overlap nothing is left.
        let options = RunOptions::default();
        let ended = block_on(world.run(4, &after, &options));
        assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{how}: {ended:?}");
        world.pass(OVERLAP * 2);
        block_on(world.run(5, &after, &options));
        let plan = block_on(world.plan(&after, &options));
        assert_eq!(violations(&world, &after, &plan, true), Vec::<String>::new(), "{how}");
    }
}

#[test]
fn a_sink_added_to_a_key_that_broke_off_stands_in_no_way_of_another_key() {
    let keys = |locations: &'static [&'static str]| {
        let mailer = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations };
        let other = Wanted { address: "prod/other", scopes: &["mail.send"], locations: &["rb"] };
        WorldManifest::new(&[mailer, other], 10)
    };
    let (before, after) = (keys(&["ra"]), keys(&["ra", "ra2"]));
    let world = World::new(10);
    world.pass(OVERLAP);
    world.lock().schedule = BTreeMap::from([(2, Fault::KilledAfter)]);
    assert!(matches!(block_on(world.run(1, &before, &RunOptions::default())), Ended::Killed));
    world.pass(READ_LAG);
    let other = BTreeSet::from(["prod/other".parse().expect("an address")]);
    let selection = Selection { only: Some(other), ..Selection::default() };
    let ended = block_on(world.run(2, &after, &RunOptions { selection, ..RunOptions::default() }));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    let options = RunOptions::default();
    block_on(world.run(3, &after, &options));
    let plan = block_on(world.plan(&after, &options));
    assert_eq!(violations(&world, &after, &plan, true), Vec::<String>::new());
}
