//! What broke in simpler apply protocols, one test for each: the shortest schedule that shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{
    Effect, Ended, Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme,
};

/// The effects of making one key, by number: intend, POST, (delivering,) put, record, PATCH.
const POST: usize = 1;
const READABLE_PUT: usize = 2;
const READABLE_RECORD: usize = 3;
const DELIVERING: usize = 2;
const WRITE_ONLY_PUT: usize = 3;

/// A manifest of one key, and a world where making it goes through a schedule.
fn one_key(
    locations: &'static [&'static str],
    schedule: &[(usize, Fault)],
    stale: bool,
) -> (WorldManifest, World) {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations }];
    let manifest = WorldManifest::new(&wanted, 10);
    let world = World::new(10);
    world.pass(Duration::from_secs(3600));
    world.lock().schedule = schedule.iter().copied().collect::<BTreeMap<_, _>>();
    world.lock().stale = stale;
    world.lock().traced = true;
    (manifest, world)
}

/// Makes one key through a schedule, runs once more, and once after every overlap; every promise holds.
fn holds(locations: &'static [&'static str], schedule: &[(usize, Fault)], stale: bool) {
    let (manifest, world) = one_key(locations, schedule, stale);
    let options = RunOptions::default();
    for number in 1..=2 {
        block_on(world.run(number, &manifest, &options));
    }
    assert!(world.lock().schedule.is_empty(), "the schedule names effects that were never asked for");
    for number in 3..=4 {
        world.pass(OVERLAP + READ_LAG);
        block_on(world.run(number, &manifest, &options));
    }
    world.pass(READ_LAG);
    let plan = block_on(world.plan(&manifest, &options));
    let broken = violations(&world, &manifest, &plan, true);
    assert!(broken.is_empty(), "{broken:?}\n{}", world.lock().trace.join("\n"));
}

#[test]
fn a_post_that_takes_effect_after_its_marker_was_given_up_leaves_no_orphan() {
    holds(&["r"], &[(POST, Fault::VeryLate)], false);
}

#[test]
fn a_repeated_post_has_a_marker_of_its_own() {
    holds(&["r"], &[(POST, Fault::LostBefore), (4, Fault::VeryLate)], false);
}

/// A sink refuses, so that the key is revoked the moment after it was made.
#[test]
fn a_404_of_a_replica_that_has_not_heard_of_a_key_is_no_revocation() {
    let (manifest, world) = one_key(&["r"], &[(READABLE_PUT, Fault::Refused)], true);
    let ended = block_on(world.run(1, &manifest, &RunOptions::default()));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.len() == 1), "{ended:?}");
    let trace = world.lock().trace.join("\n");
    assert!(trace.contains("404"), "the replica answered:\n{trace}");
    assert_eq!(world.lock().live_count(&acme()), 0, "the key is live after its revocation:\n{trace}");
    holds(&["r"], &[(POST, Fault::AnswerLost)], true);
    holds(&["r"], &[(READABLE_PUT, Fault::Refused)], true);
}

#[test]
fn a_list_that_hides_an_owned_key_does_not_make_it_vanish() {
    holds(&["r"], &[], true);
    holds(&["r"], &[(READABLE_RECORD, Fault::KilledAfter)], true);
}

#[test]
fn an_uncertain_key_of_a_write_only_sink_retires_with_the_overlap() {
    holds(&["w"], &[(WRITE_ONLY_PUT, Fault::KilledAfter)], false);
}

#[test]
fn a_crash_before_any_put_is_told_from_one_after_it() {
    holds(&["w"], &[(DELIVERING, Fault::KilledBefore)], false);
    holds(&["w"], &[(DELIVERING, Fault::KilledAfter)], false);
}

#[test]
fn an_unclear_put_with_a_stale_read_is_not_taken_for_nothing() {
    holds(&["r"], &[(READABLE_PUT, Fault::Late), (3, Fault::LostBefore), (4, Fault::LostBefore)], true);
}

/// Whatever the runner was at, and whether or not a sink could have stopped it by comparing.
#[test]
fn a_slow_runner_whose_lock_was_lifted_does_not_go_on() {
    for (locations, effects) in [
        (&["r"] as &'static [&'static str], &[POST, READABLE_PUT, READABLE_RECORD][..]),
        (&["w"], &[POST, DELIVERING, WRITE_ONLY_PUT, WRITE_ONLY_PUT + 1]),
    ] {
        for effect in effects {
            let (manifest, world) = one_key(locations, &[(*effect, Fault::Stalled)], false);
            let ended = block_on(world.run(1, &manifest, &RunOptions::default()));
            let trace = world.lock().trace.join("\n");
            let Ended::Applied(outcome) = ended else { panic!("{ended:?}\n{trace}") };
            let told = outcome.failed.iter().map(|failed| failed.message.as_str()).collect::<Vec<_>>();
            assert!(
                matches!(told[..], [one] if one.contains("was lost") || one.contains("by another run")),
                "effect {effect}: {told:?}\n{trace}"
            );
            let inner = world.lock();
            let asked = inner.asked.iter().filter(|(run, _)| *run == 1).map(|(_, effect)| *effect);
            let after: Vec<Effect> = asked.skip(effect + 1).collect();
            assert!(after.iter().all(|effect| *effect == Effect::StateWrite), "{after:?}\n{trace}");
            drop(inner);
            holds(locations, &[(*effect, Fault::Stalled)], false);
        }
    }
}
