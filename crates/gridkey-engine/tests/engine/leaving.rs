//! Locations that a key leaves.

use futures::executor::block_on;
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{Ended, OVERLAP, RunOptions, Wanted, World, WorldManifest};

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
