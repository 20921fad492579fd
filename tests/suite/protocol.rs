//! What broke in simpler apply protocols, one test for each: the shortest schedule that shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest};

/// The effects of making one key, by number: intend, POST, (delivering,) put, record, PATCH.
const POST: usize = 1;
const READABLE_PUT: usize = 2;
const READABLE_RECORD: usize = 3;
const DELIVERING: usize = 2;
const WRITE_ONLY_PUT: usize = 3;

/// Makes one key through a schedule, runs once more, and once after every overlap; every promise holds.
fn holds(locations: &'static [&'static str], schedule: &[(usize, Fault)], stale: bool) {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations }];
    let manifest = WorldManifest::new(&wanted, 10);
    let world = World::new(10);
    let options = RunOptions::default();
    world.pass(Duration::from_secs(3600));
    world.lock().schedule = schedule.iter().copied().collect::<BTreeMap<_, _>>();
    world.lock().stale = stale;
    world.lock().traced = true;
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

#[test]
fn a_404_of_a_replica_that_has_not_heard_of_a_key_is_no_revocation() {
    holds(&["r"], &[(POST, Fault::AnswerLost)], true);
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

#[test]
fn a_slow_runner_whose_lock_was_lifted_does_not_go_on() {
    for effect in [POST, READABLE_PUT, READABLE_RECORD] {
        holds(&["r"], &[(effect, Fault::Stalled)], false);
    }
}
