//! Recoveries that wait for a person's word.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::plan::{Code, Options};
use gridkey_tests::promise::broken;
use gridkey_tests::world::{Ended, Fault, RunOptions, Wanted, World, WorldManifest};

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
    assert_eq!(world.lock().live_count(), 1, "the key that a sink may have is left alone");
    let allow = vec!["uncertain_key:prod/mailer".parse().expect("a code and an address")];
    let allowed = RunOptions { options: Options { allow, ..Options::default() }, ..RunOptions::default() };
    let ended = block_on(world.run(3, &manifest, &allowed));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    let plan = block_on(world.plan(&manifest, &options));
    assert_eq!(broken(&world, &manifest, &plan, true), Vec::<String>::new());
}
