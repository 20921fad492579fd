//! The order in which an account's changes are carried out, and what does not follow a failure.

use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::Address;
use gridkey_core::manifest::{AtLimit, Rotation};
use gridkey_core::plan::{Action, Order, Plan, RevokeOld, Step};
use gridkey_engine::Outcome;
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{Effect, Ended, Fault, OVERLAP, RunOptions, Wanted, World, WorldManifest, acme};

fn key(address: &'static str, locations: &'static [&'static str]) -> Wanted {
    Wanted { address, scopes: &["mail.send"], locations }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// A world where a manifest was applied a month ago.
fn a_month_after(manifest: &WorldManifest) -> World {
    let world = World::new(100);
    world.pass(Duration::from_secs(3600));
    let outcome = applied(&world, 1, manifest, None);
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    world.pass(OVERLAP * 31);
    world.lock().effects.clear();
    world
}

fn applied(world: &World, number: u64, manifest: &WorldManifest, edit: Option<fn(&mut Plan)>) -> Outcome {
    let options = RunOptions { edit, ..RunOptions::default() };
    match block_on(world.run(number, manifest, &options)) {
        Ended::Applied(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn make_first(plan: &mut Plan) {
    plan.accounts.values_mut().for_each(|account| account.order = Order::MakeFirst);
}

fn free_first(plan: &mut Plan) {
    plan.accounts.values_mut().for_each(|account| account.order = Order::FreeFirst);
}

/// Whether each key that is rotated is revoked before its successor is made.
fn revoke_before_making(plan: &mut Plan) {
    for change in &mut plan.changes {
        let Some(before) = change.before.as_ref().and_then(|before| before.id.clone()) else { continue };
        for step in &mut change.steps {
            if let Step::Mint(mint) = step {
                mint.older = RevokeOld::First;
            }
        }
        if change.action == Action::Rotate {
            let born = "2026-01-01T00:00:00Z".parse().unwrap();
            change.steps.insert(0, Step::RevokeFirst { id: before, born });
        }
    }
}

/// Deletions wait for every creation.
fn with_successors(plan: &mut Plan) {
    make_first(plan);
    let created = plan.changes.iter().filter(|change| change.action == Action::Create);
    let new: Vec<_> = created.map(|change| change.address.clone()).collect();
    for step in plan.changes.iter_mut().flat_map(|change| &mut change.steps) {
        if let Step::Delete(delete) = step {
            delete.successors.clone_from(&new);
        }
    }
}

fn first(world: &World, effect: Effect) -> usize {
    let inner = world.lock();
    inner.effects.iter().position(|done| *done == effect).unwrap_or_else(|| panic!("{:?}", inner.effects))
}

fn addresses(changes: &[(gridkey_core::Name, Address, Action)]) -> Vec<String> {
    changes.iter().map(|(_, address, _)| address.to_string()).collect()
}

#[test]
fn keys_are_made_before_others_are_revoked_or_after_as_the_plan_says() {
    let before = WorldManifest::new(&[key("prod/mailer", &["ra"])], 100);
    let after = WorldManifest::new(&[key("prod/sender", &["rb"])], 100);
    let world = a_month_after(&before);
    let other = world.fork();
    applied(&world, 2, &after, Some(make_first));
    assert!(first(&world, Effect::Put) < first(&world, Effect::Delete));
    applied(&other, 2, &after, Some(free_first));
    assert!(first(&other, Effect::Delete) < first(&other, Effect::Create));
}

#[test]
fn a_key_whose_successor_was_not_made_is_not_revoked() {
    let before = WorldManifest::new(&[key("prod/mailer", &["ra"]), key("prod/other", &["rc"])], 100);
    let after = WorldManifest::new(&[key("prod/sender", &["rb"]), key("prod/other", &["rc"])], 100);
    let world = a_month_after(&before);
    // Others filled the account since it was looked at.
    world.lock().limit = 2;
    let outcome = applied(&world, 2, &after, Some(with_successors));
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    assert_eq!(addresses(&outcome.not_started), ["prod/mailer"]);
    assert!(!world.lock().effects.contains(&Effect::Delete));
    world.lock().limit = 100;
    let outcome = applied(&world, 3, &after, Some(with_successors));
    assert_eq!(addresses(&outcome.done), ["prod/mailer", "prod/sender"]);
}

/// Three keys that come due, each revoked before its successor is made.
fn three_that_are_replaced() -> (WorldManifest, World) {
    let keys = [key("prod/a", &["ra"]), key("prod/b", &["rb"]), key("prod/c", &["rc"])];
    let mut manifest = WorldManifest::new(&keys, 100);
    for wanted in manifest.manifest.keys.values_mut() {
        let every = OVERLAP * 30;
        let at_limit = AtLimit::Postpone;
        wanted.rotate = Some(Rotation { every, overlap: OVERLAP, warn_before: None, at_limit });
    }
    let world = a_month_after(&manifest);
    {
        let mut inner = world.lock();
        let ids = inner.state(&acme()).map(|state| state.keys.values().map(|key| key.id.clone()).collect());
        let ids: Vec<_> = ids.unwrap();
        inner.given_up.extend(ids);
    }
    (manifest, world)
}

#[test]
fn keys_that_go_first_are_replaced_one_by_one() {
    let (manifest, world) = three_that_are_replaced();
    let outcome = applied(&world, 2, &manifest, Some(revoke_before_making));
    assert_eq!(addresses(&outcome.done), ["prod/a", "prod/b", "prod/c"]);
    let inner = world.lock();
    let effects = inner.effects.iter().filter(|e| matches!(e, Effect::Delete | Effect::Put));
    let effects: Vec<_> = effects.copied().collect();
    let (gone, delivered) = (Effect::Delete, Effect::Put);
    assert_eq!(effects, [gone, delivered, gone, delivered, gone, delivered]);
}

#[test]
fn no_further_key_is_revoked_first_after_one_whose_successor_was_not_made() {
    let (manifest, world) = three_that_are_replaced();
    world.lock().limit = 2;
    let outcome = applied(&world, 2, &manifest, Some(revoke_before_making));
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    assert_eq!(addresses(&outcome.not_started), ["prod/b", "prod/c"]);
    assert_eq!(world.lock().live_count(&acme()), 2, "one key is missing, and no more");
}

#[test]
fn no_key_is_revoked_first_after_a_creation_that_failed() {
    let (mut manifest, world) = three_that_are_replaced();
    let another = WorldManifest::new(&[key("prod/new", &["rn"])], 100).manifest.keys;
    manifest.manifest.keys.extend(another);
    world.lock().limit = 3;
    let outcome = applied(&world, 2, &manifest, Some(revoke_before_making));
    assert_eq!(
        outcome.failed.iter().map(|failed| &failed.address).collect::<Vec<_>>(),
        [&address("prod/new")]
    );
    assert_eq!(addresses(&outcome.not_started), ["prod/a", "prod/b", "prod/c"]);
    assert!(!world.lock().effects.contains(&Effect::Delete));
}

#[test]
fn the_time_at_the_question_is_none_of_the_overlap() {
    let manifest = WorldManifest::new(&[key("prod/mailer", &["ra"])], 100);
    let world = a_month_after(&manifest);
    let hour = Duration::from_secs(3600);
    let mut rotated = RunOptions { thinks: 2 * hour, ..RunOptions::default() };
    rotated.options.requests.rotate.insert("prod/mailer".parse().unwrap(), None);
    assert!(matches!(block_on(world.run(2, &manifest, &rotated)), Ended::Applied(_)));
    world.pass(OVERLAP - hour);
    block_on(world.run(3, &manifest, &RunOptions::default()));
    let plan = block_on(world.plan(&manifest, &RunOptions::default()));
    let broken = violations(&world, &manifest, &plan, false);
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(world.lock().live_count(&acme()), 2, "the older key is still there");
}

/// A list that trails still shows the key that was revoked, so that there seems to be nothing to do.
#[test]
fn a_key_that_was_revoked_first_is_made_by_a_run_within_the_read_lag() {
    let (manifest, world) = three_that_are_replaced();
    world.lock().stale = true;
    // State says that the key makes room, and then it is revoked.
    world.lock().schedule = [(1, Fault::KilledAfter)].into();
    let options = RunOptions { edit: Some(revoke_before_making), ..RunOptions::default() };
    assert!(matches!(block_on(world.run(2, &manifest, &options)), Ended::Killed));
    assert_eq!(world.lock().live_count(&acme()), 2, "one was revoked");
    applied(&world, 3, &manifest, None);
    let inner = world.lock();
    let id = &inner.state(&acme()).unwrap().keys[&address("prod/a")].id;
    assert!(inner.keys[id].revoked.is_none(), "the address has a key again");
}
