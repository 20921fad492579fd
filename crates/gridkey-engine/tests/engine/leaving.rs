//! Locations that a key leaves.

use std::collections::BTreeMap;

use futures::executor::block_on;
use gridkey_core::plan::{Options, Requests};
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{Ended, Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme};

#[test]
fn a_location_is_cleared_after_the_overlap_though_it_is_the_last_that_can_be_read() {
    let key = |locations| {
        let wanted = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations };
        WorldManifest::new(&[wanted], 10)
    };
    let (both, after, copied) = (key(&["ra", "wa"]), key(&["wa"]), key(&["wa", "wb"]));
    let world = World::new(10);
    let options = RunOptions::default();
    let run = |number, manifest: &WorldManifest| {
        let ended = block_on(world.run(number, manifest, &options));
        assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    };
    world.pass(OVERLAP);
    run(1, &both);
    run(2, &after);
    world.pass(OVERLAP * 2);
    // While something is to be copied from it, it stays.
    let untouched = world.fork();
    let ended = block_on(untouched.run(3, &copied, &options));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    let ids = |manifest: &WorldManifest| manifest.locations();
    let [first, second] = [0, 1].map(|index| untouched.lock().held(&ids(&copied)[index]));
    assert!(first.is_some() && first == second, "{first:?}, {second:?}");
    run(3, &after);
    assert_eq!(world.lock().held(&ids(&both)[0]), None, "it is cleared");
    let plan = block_on(world.plan(&after, &options));
    assert_eq!(violations(&world, &after, &plan, true), Vec::<String>::new());
}

#[test]
fn a_deletion_that_breaks_off_after_it_revoked_a_key_still_clears_what_that_key_was_given() {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["ra"] }];
    let (with, without) = (WorldManifest::new(&wanted, 10), WorldManifest::new(&[], 10));
    let world = World::new(10);
    let options = RunOptions::default();
    world.pass(OVERLAP);
    block_on(world.run(1, &with, &options));
    world.lock().effects.clear();
    // A rotation breaks off right after the sink took the secret: intend, POST, put.
    world.lock().schedule = BTreeMap::from([(2, Fault::KilledAfter)]);
    let mailer = "prod/mailer".parse().expect("an address");
    let requests = Requests { rotate: BTreeMap::from([(mailer, None)]), ..Requests::default() };
    let rotate = RunOptions { options: Options { requests, ..Options::default() }, ..RunOptions::default() };
    assert!(matches!(block_on(world.run(2, &with, &rotate)), Ended::Killed));
    world.pass(READ_LAG);
    world.lock().effects.clear();
    // And the deletion of both keys right after the second is revoked: its lock and its announcement are recorded, and
    // there is a request for each.
    world.lock().schedule = BTreeMap::from([(3, Fault::KilledAfter)]);
    assert!(matches!(block_on(world.run(3, &without, &options)), Ended::Killed));
    assert_eq!(world.lock().live_count(&acme()), 0);
    world.pass(READ_LAG);
    let ended = block_on(world.run(4, &without, &options));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    assert_eq!(world.lock().held(&with.locations()[0]), None, "it is cleared");
}
