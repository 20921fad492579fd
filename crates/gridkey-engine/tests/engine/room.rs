//! Sinks without room for a secret.

use futures::executor::block_on;
use gridkey_engine::Concurrency;
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{Effect, Ended, OVERLAP, RunOptions, Wanted, World, WorldManifest, acme, branch};

#[test]
fn once_a_sink_has_no_room_no_further_key_is_made_in_any_account_and_what_needs_none_goes_on() {
    let key = |address, locations| Wanted { address, scopes: &["mail.send"], locations };
    // With other scopes, so that no new key looks like this one renamed.
    let other = Wanted { address: "prod/older", scopes: &["stats.read"], locations: &["rz"] };
    let before = WorldManifest::new(&[other], 10).with_branch(&[], 10);
    let all =
        [key("prod/a", &["ra"]), key("prod/b", &["rb"]), key("prod/c", &["rc"]), key("prod/d", &["rd"])];
    let after = WorldManifest::new(&all, 10).with_branch(&["prod/c", "prod/d"], 10);
    let world = World::new(10);
    world.pass(OVERLAP);
    block_on(world.run(1, &before, &RunOptions::default()));
    let one = std::num::NonZeroUsize::MIN;
    let concurrency = Concurrency { accounts: one, keys: one, ..Concurrency::default() };
    let options = RunOptions { concurrency, ..RunOptions::default() };
    world.lock().effects.clear();
    world.lock().no_room = true;
    let Ended::Applied(outcome) = block_on(world.run(2, &after, &options)) else { panic!("it goes on") };
    let made = world.lock().effects.iter().filter(|effect| **effect == Effect::Create).count();
    assert_eq!(made, 1, "the first one shows that nothing fits");
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    assert!(outcome.failed[0].message.contains("no space left"), "{outcome:?}");
    assert_eq!((outcome.done.len(), outcome.not_started.len()), (1, 3), "{outcome:?}");
    let inner = world.lock();
    assert_eq!(
        inner.live_count(&acme()) + inner.live_count(&branch()),
        0,
        "the one that was made is revoked"
    );
    drop(inner);
    world.lock().no_room = false;
    let ended = block_on(world.run(3, &after, &options));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    let plan = block_on(world.plan(&after, &options));
    assert_eq!(violations(&world, &after, &plan, true), Vec::<String>::new());
}
