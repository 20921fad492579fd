//! Sinks that cannot be read, and whose service tells that they were written since: what is lost there is put right, and nothing else
//! is taken for a loss.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::inventory::{SinkContent, SinkObservation};
use gridkey_core::plan::{Action, Code, Options, Plan, Reason, Severity};
use gridkey_core::state::{Delivery, OwnedKey};
use gridkey_core::{Address, KeyId, LocationId};
use gridkey_tests::world::{
    Effect, Ended, Fault, OVERLAP, RunOptions, SINK_LAG, Wanted, World, WorldManifest, acme, branch, location,
};

fn mailer(locations: &'static [&'static str]) -> WorldManifest {
    let wanted = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations };
    WorldManifest::new(&[wanted], 10)
}

/// The location that never tells its value.
fn silent() -> LocationId {
    location("wa").id()
}

fn run(world: &World, number: u64, manifest: &WorldManifest) {
    let ended = block_on(world.run(number, manifest, &RunOptions::default()));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
}

fn plan(world: &World, manifest: &WorldManifest) -> Plan {
    block_on(world.plan(manifest, &RunOptions::default()))
}

fn applied(manifest: &WorldManifest) -> World {
    let world = World::new(10);
    world.pass(Duration::from_secs(3600));
    run(&world, 1, manifest);
    world.pass(OVERLAP);
    world.lock().read_by_consumers.clear();
    world.lock().effects.clear();
    world
}

fn current(world: &World) -> OwnedKey {
    let address: Address = "prod/mailer".parse().unwrap();
    world.lock().state(&acme()).unwrap().keys[&address].clone()
}

/// What state says of the location.
fn delivery(world: &World) -> Option<Delivery> {
    current(world).sinks.into_iter().find(|delivery| delivery.location.id() == silent())
}

fn held(world: &World) -> Option<KeyId> {
    world.lock().held(&silent())
}

#[track_caller]
fn changes(plan: &Plan) -> Vec<(Action, Vec<Reason>)> {
    plan.effective().map(|change| (change.action, change.reasons.clone())).collect()
}

/// The next plan has nothing to do.
#[track_caller]
fn is_settled(world: &World, manifest: &WorldManifest) {
    world.pass(OVERLAP * 2);
    run(world, 90, manifest);
    world.pass(OVERLAP);
    let plan = plan(world, manifest);
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    assert_eq!(held(world), Some(current(world).id));
    assert_eq!(world.lock().broken, [] as [String; 0]);
}

/// A key that another program wrote.
fn write_another(world: &World) {
    let other = world.lock().make(&acme(), "made by hand".to_string(), gridkey_core::Access::Full, true);
    let secret = world.lock().keys[&other].secret.clone();
    world.lock().place(silent(), Some(secret));
}

#[test]
fn what_was_deleted_is_delivered_again_from_a_sink_that_can_be_read() {
    let manifest = mailer(&["ra", "wa"]);
    let world = applied(&manifest);
    let (id, before) = (current(&world).id, delivery(&world).unwrap());
    assert!(plan(&world, &manifest).is_empty());
    world.lock().place(silent(), None);
    let lost = plan(&world, &manifest);
    assert_eq!(changes(&lost), [(Action::Deliver, vec![Reason::LocationLost])]);
    assert!(
        lost.findings.iter().all(|finding| finding.severity > Severity::BlocksAccount),
        "{:?}",
        lost.findings
    );
    run(&world, 2, &manifest);
    assert_eq!(held(&world), Some(id.clone()));
    let after = delivery(&world).unwrap();
    assert!(after.receipt != before.receipt && after.at > before.at, "{after:?}");
    is_settled(&world, &manifest);
    assert_eq!(current(&world).id, id);
}

#[test]
fn where_no_other_sink_has_it_a_new_key_is_made() {
    let manifest = mailer(&["wa"]);
    let world = applied(&manifest);
    let id = current(&world).id;
    world.lock().place(silent(), None);
    assert_eq!(changes(&plan(&world, &manifest)), [(Action::Rotate, vec![Reason::SecretGone])]);
    run(&world, 2, &manifest);
    assert_ne!(current(&world).id, id);
    is_settled(&world, &manifest);
}

#[test]
fn what_another_program_wrote_is_overwritten_once_a_person_allows_it() {
    let manifest = mailer(&["ra", "wa"]);
    let world = applied(&manifest);
    write_another(&world);
    let theirs = held(&world);
    let ended = block_on(world.run(2, &manifest, &RunOptions::default()));
    let Ended::Blocked(plan) = ended else { panic!("{ended:?}") };
    let codes: Vec<Code> = plan.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&Code::ForeignValue), "{codes:?}");
    assert_eq!(held(&world), theirs);
    let allow = ["foreign_value".parse().unwrap()].into();
    let options = RunOptions { options: Options { allow, ..Options::default() }, ..RunOptions::default() };
    let ended = block_on(world.run(3, &manifest, &options));
    assert!(matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()), "{ended:?}");
    is_settled(&world, &manifest);
}

/// It may be what somebody needs, and the key is gone all the same.
#[test]
fn what_another_program_wrote_is_not_cleared_with_the_key() {
    let world = applied(&mailer(&["ra", "wa"]));
    let id = current(&world).id;
    write_another(&world);
    let theirs = held(&world);
    run(&world, 2, &WorldManifest::new(&[], 10));
    assert!(world.lock().keys[&id].revoked.is_some());
    assert_eq!(held(&world), theirs);
}

#[test]
fn a_look_that_trails_the_write_denies_nothing() {
    let manifest = mailer(&["wa"]);
    let world = World::new(10);
    world.pass(Duration::from_secs(3600));
    world.lock().stale = true;
    let see = |world: &World| {
        let inventory = block_on(world.observe(&manifest, &RunOptions::default()));
        inventory.sinks.get(&silent()).cloned()
    };
    run(&world, 1, &manifest);
    assert_eq!(see(&world), Some(SinkObservation::WriteOnly));
    let plan = plan(&world, &manifest);
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    world.pass(SINK_LAG);
    assert_eq!(see(&world), Some(SinkObservation::Holds(SinkContent::Key(current(&world).id))));
    world.lock().place(silent(), None);
    world.pass(SINK_LAG);
    assert_eq!(see(&world), Some(SinkObservation::Holds(SinkContent::Empty)));
}

#[test]
fn a_service_that_does_not_answer_denies_nothing() {
    let manifest = mailer(&["wa"]);
    let world = applied(&manifest);
    world.lock().place(silent(), None);
    world.lock().unreadable = 1;
    let plan = plan(&world, &manifest);
    assert!(plan.is_empty() && plan.findings.is_empty(), "{:?} {:?}", changes(&plan), plan.findings);
}

/// What the write of before, whose answer was lost, leaves there is gridkey's own.
#[test]
fn a_write_that_lands_late_is_no_other_programs() {
    let manifest = mailer(&["ra", "wa"]);
    for fault in [Fault::Late, Fault::VeryLate, Fault::AnswerLost, Fault::KilledAfter, Fault::KilledLate] {
        let world = applied(&manifest);
        let id = current(&world).id;
        world.lock().place(silent(), None);
        let put = {
            let undisturbed = world.fork();
            run(&undisturbed, 9, &manifest);
            let inner = undisturbed.lock();
            inner.effects.iter().position(|effect| *effect == Effect::Put).expect("it is delivered")
        };
        world.lock().schedule = BTreeMap::from([(put, fault)]);
        block_on(world.run(2, &manifest, &RunOptions::default()));
        assert_eq!(delivery(&world), None, "{fault:?}: state does not say that it has the secret");
        // Another run at once.
        run(&world, 3, &manifest);
        is_settled(&world, &manifest);
        assert_eq!(current(&world).id, id, "{fault:?}");
    }
}

/// A creation that broke off may have written there: what it was written for is told by the recovery, and by nothing else.
#[test]
fn a_creation_that_broke_off_is_not_taken_for_another_program() {
    let manifest = mailer(&["wa"]);
    let world = applied(&manifest);
    let mut rotate = RunOptions::default();
    rotate.options.requests.rotate.insert("prod/mailer".parse().unwrap(), None);
    let put = {
        let undisturbed = world.fork();
        block_on(undisturbed.run(9, &manifest, &rotate));
        let inner = undisturbed.lock();
        inner.effects.iter().position(|effect| *effect == Effect::Put).expect("it is delivered")
    };
    world.lock().schedule = BTreeMap::from([(put, Fault::KilledAfter)]);
    assert!(matches!(block_on(world.run(2, &manifest, &rotate)), Ended::Killed));
    world.pass(OVERLAP);
    let plan = plan(&world, &manifest);
    let codes: Vec<Code> = plan.findings.iter().map(|finding| finding.code).collect();
    assert!(!codes.contains(&Code::ForeignValue), "{codes:?}");
    assert!(plan.effective().all(|change| !change.reasons.contains(&Reason::LocationLost)));
    run(&world, 3, &manifest);
    is_settled(&world, &manifest);
}

/// State of the account that it left still has a receipt for the location.
#[test]
fn a_key_that_went_to_another_account_is_no_other_programs() {
    let before = mailer(&["wa"]).with_branch(&[], 10);
    let world = applied(&before);
    let after = before.with_branch(&["prod/mailer"], 10);
    run(&world, 2, &after);
    world.pass(OVERLAP / 2);
    let plan = plan(&world, &after);
    assert!(plan.is_empty() && plan.findings.is_empty(), "{:?} {:?}", changes(&plan), plan.findings);
    world.pass(OVERLAP);
    run(&world, 3, &after);
    let address: Address = "prod/mailer".parse().unwrap();
    let id = world.lock().state(&branch()).unwrap().keys[&address].id.clone();
    assert_eq!(held(&world), Some(id));
}
