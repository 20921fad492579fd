//! What is looked at once more before a run makes, copies or takes away: others act between the plan and the run.

use std::rc::Rc;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::{KeyId, LocationId};
use gridkey_engine::Outcome;
use gridkey_tests::world::{
    Effect, Ended, Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme, location,
};

use crate::stage::all_stages;

fn manifest(locations: &'static [&'static str]) -> WorldManifest {
    let wanted = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations };
    WorldManifest::new(&[wanted], 10)
}

/// A world where a manifest was applied a while ago.
fn applied(manifest: &WorldManifest) -> World {
    let world = World::new(10);
    world.pass(Duration::from_secs(3600));
    run(&world, 1, manifest, RunOptions::default());
    world.pass(OVERLAP * 2);
    let mut inner = world.lock();
    inner.effects.clear();
    inner.traced = true;
    drop(inner);
    world
}

fn run(world: &World, number: u64, manifest: &WorldManifest, options: RunOptions) -> Outcome {
    match block_on(world.run(number, manifest, &options)) {
        Ended::Applied(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn meanwhile(others: impl Fn(&World) + 'static) -> RunOptions {
    RunOptions { meanwhile: Some(Rc::new(others)), ..RunOptions::default() }
}

fn is_live(world: &World, id: &KeyId) -> bool {
    world.lock().keys[id].revoked.is_none()
}

/// What a location is given by another hand.
fn hold(world: &World, location: &LocationId, secret: String) {
    world.lock().place(location.clone(), Some(secret));
}

/// A world where a key is due to be revoked, the location that may go back to it, and the manifest that a run is to
/// apply: an older key after its overlap, one whose address is gone, and one that went to another account.
fn revocations() -> Vec<(&'static str, World, WorldManifest, KeyId, LocationId)> {
    let mailer = manifest(&["ra", "ra2"]);
    let place = mailer.locations()[0].clone();
    let mut all = Vec::new();

    let world = applied(&mailer);
    let older = world.lock().held(&place).expect("it was delivered");
    let mut rotate = RunOptions::default();
    rotate.options.requests.rotate.insert("prod/mailer".parse().expect("an address"), None);
    run(&world, 2, &mailer, rotate);
    world.pass(OVERLAP + READ_LAG);
    all.push(("retired", world, mailer.clone(), older, place.clone()));

    let before = mailer.clone().with_branch(&[], 10);
    let world = applied(&before);
    let older = world.lock().held(&place).expect("it was delivered");
    let after = before.with_branch(&["prod/mailer"], 10);
    run(&world, 2, &after, RunOptions::default());
    world.pass(OVERLAP + READ_LAG);
    all.push(("moved", world, after, older, place));
    all
}

#[test]
fn a_key_that_a_sink_went_back_to_is_not_revoked() {
    for (what, world, manifest, older, place) in revocations() {
        let undisturbed = world.fork();
        run(&undisturbed, 3, &manifest, RunOptions::default());
        assert!(!is_live(&undisturbed, &older), "{what}: it is due");
        let (id, at) = (older.clone(), place.clone());
        let options = meanwhile(move |world| {
            let secret = world.lock().keys[&id].secret.clone();
            hold(world, &at, secret);
        });
        let outcome = run(&world, 3, &manifest, options);
        assert!(is_live(&world, &older), "{what}\n{}", world.lock().trace.join("\n"));
        assert_eq!(outcome.failed.len(), 1, "{what}: {outcome:?}");
        assert!(outcome.failed[0].message.contains("went back to the older key"), "{what}: {outcome:?}");
    }
}

#[test]
fn a_key_is_not_revoked_while_a_sink_cannot_be_read() {
    for (what, world, manifest, older, _) in revocations() {
        let outcome = run(&world, 3, &manifest, meanwhile(|world| world.lock().unreadable = 1));
        assert!(is_live(&world, &older), "{what}");
        assert_eq!(outcome.failed.len(), 1, "{what}: {outcome:?}");
        assert!(outcome.failed[0].message.contains("cannot be read"), "{what}: {outcome:?}");
    }
}

/// What another hand puts into a location.
fn values(world: &World) -> Vec<String> {
    let other = world.lock().make(&acme(), "made by hand".to_string(), gridkey_core::Access::Full, true);
    let secret = world.lock().keys[&other].secret.clone();
    vec!["something else".to_string(), secret]
}

/// Clears: a deletion, a location that the manifest no longer has, and a creation that nobody wants any more.
#[test]
fn a_location_that_holds_something_else_than_the_key_is_not_cleared() {
    let both = manifest(&["ra", "rb"]);
    let (one, none) = (manifest(&["ra"]), WorldManifest::new(&[], 10));
    let relocated = || {
        let world = applied(&both);
        run(&world, 2, &one, RunOptions::default());
        world.pass(OVERLAP * 2);
        world
    };
    let begun = || {
        let world = applied(&none);
        world.lock().schedule.insert(3, Fault::KilledAfter);
        assert!(matches!(block_on(world.run(2, &both, &RunOptions::default())), Ended::Killed));
        world.pass(OVERLAP);
        world
    };
    let place = location("rb").id();
    for (what, world, manifest) in
        [("deleted", applied(&both), &none), ("relocated", relocated(), &one), ("begun", begun(), &none)]
    {
        let undisturbed = world.fork();
        run(&undisturbed, 3, manifest, RunOptions::default());
        assert_eq!(undisturbed.lock().locations[&place], None, "{what}: it is to be cleared");
        for value in values(&world) {
            let world = world.fork();
            let (at, held) = (place.clone(), value.clone());
            run(&world, 3, manifest, meanwhile(move |world| hold(world, &at, held.clone())));
            assert_eq!(world.lock().locations[&place], Some(value), "{what}");
        }
    }
}

/// Copies: to a location that the manifest has now, and where a creation broke off.
#[test]
fn a_secret_that_is_not_the_keys_is_not_copied() {
    let (one, both) = (manifest(&["ra"]), manifest(&["ra", "rb"]));
    let begun = || {
        let world = applied(&WorldManifest::new(&[], 10));
        world.lock().schedule.insert(2, Fault::KilledAfter);
        assert!(matches!(block_on(world.run(2, &both, &RunOptions::default())), Ended::Killed));
        world.pass(READ_LAG);
        world
    };
    let (source, target) = (location("ra").id(), location("rb").id());
    for (what, world) in [("delivered", applied(&one)), ("begun", begun())] {
        let undisturbed = world.fork();
        run(&undisturbed, 3, &both, RunOptions::default());
        let held = undisturbed.lock().held(&target);
        assert!(held.is_some() && held == world.lock().held(&source), "{what}: it is to be copied");
        for value in values(&world) {
            let world = world.fork();
            let at = source.clone();
            let outcome = run(&world, 3, &both, meanwhile(move |world| hold(world, &at, value.clone())));
            assert_eq!(world.lock().locations.get(&target).cloned().flatten(), None, "{what}");
            assert_eq!(outcome.failed.len(), 1, "{what}: {outcome:?}");
            assert!(outcome.failed[0].message.contains("no longer holds the key"), "{what}: {outcome:?}");
        }
    }
}

/// Each location that a new key goes to, alone.
#[test]
fn nothing_is_begun_where_a_sink_of_a_new_key_is_not_ready() {
    let mut refused = 0;
    for stage in all_stages() {
        for place in stage.manifest.locations() {
            let world = stage.world.fork();
            let undisturbed = world.fork();
            block_on(undisturbed.run(2, &stage.manifest, &stage.options()));
            let before = world.lock().locations.get(&place).cloned();
            let is_new = before != undisturbed.lock().locations.get(&place).cloned();
            world.lock().not_ready.insert(place.clone());
            let asked = world.lock().asked.len();
            let ended = block_on(world.run(2, &stage.manifest, &stage.options()));
            let Ended::GaveUp(message) = ended else {
                continue;
            };
            assert!(is_new, "{}: {place} is not written", stage.name);
            assert_eq!(message, "a sink is not ready, so no key was made");
            let inner = world.lock();
            let begun: Vec<_> = inner.asked[asked..].iter().map(|(_, effect)| *effect).collect();
            assert!(begun.iter().all(|effect| *effect != Effect::Create), "{}: {begun:?}", stage.name);
            assert_eq!(begun, [], "{}", stage.name);
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
}

/// A 404 of a gateway, or to a request for another account, is no revocation.
#[test]
fn a_404_is_not_believed_of_a_key_that_sendgrid_shows() {
    for (what, world, manifest, older, _) in revocations() {
        let owns = |world: &World| {
            let inner = world.lock();
            inner.states().any(|state| state.owned_ids().contains_key(&older))
        };
        world.lock().denies = true;
        let outcome = run(&world, 3, &manifest, RunOptions::default());
        assert_eq!(outcome.failed.len(), 1, "{what}: {outcome:?}");
        assert!(outcome.failed[0].message.contains("and still shows it"), "{what}: {outcome:?}");
        assert!(
            is_live(&world, &older) && owns(&world),
            "{what}: it is let go of\n{}",
            world.lock().trace.join("\n")
        );
        world.lock().denies = false;
        let outcome = run(&world, 4, &manifest, RunOptions::default());
        assert!(outcome.failed.is_empty(), "{what}: {outcome:?}");
        assert!(!is_live(&world, &older) && !owns(&world), "{what}");
    }
}
