//! What a run makes of requests without an answer before it ends: the next run would put much right, and nobody knows
//! when that is.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::LocationId;
use gridkey_core::Scope;
use gridkey_core::manifest::WantedAccess;
use gridkey_core::state::AccountState;
use gridkey_engine::Outcome;
use gridkey_tests::world::{
    Effect, Ended, Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme,
};

fn mailer(locations: &'static [&'static str]) -> WorldManifest {
    let wanted = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations };
    WorldManifest::new(&[wanted], 10)
}

fn world() -> World {
    let world = World::new(10);
    world.pass(Duration::from_secs(3600));
    world.lock().traced = true;
    world
}

fn run(world: &World, number: u64, manifest: &WorldManifest) -> Outcome {
    match block_on(world.run(number, manifest, &RunOptions::default())) {
        Ended::Applied(outcome) => outcome,
        other => panic!("{other:?}\n{}", world.lock().trace.join("\n")),
    }
}

/// What the undisturbed run asks for, in order.
fn effects(world: &World, manifest: &WorldManifest) -> Vec<Effect> {
    let world = world.fork();
    let before = world.lock().effects.len();
    run(&world, 9, manifest);
    let inner = world.lock();
    inner.effects[before..].to_vec()
}

/// Lets the first effect of a kind fail; or every one, where `lasting`.
fn fails(world: &World, manifest: &WorldManifest, effect: Effect, fault: Fault, lasting: bool) {
    let at = effects(world, manifest).iter().position(|asked| *asked == effect).expect("it is asked for");
    let mut inner = world.lock();
    let first = inner.effects.len();
    inner.schedule = BTreeMap::from([(first + at, fault)]);
    inner.lasting = lasting;
}

fn state(world: &World) -> AccountState {
    world.lock().state(&acme()).expect("it was written").clone()
}

fn held(world: &World, location: &LocationId) -> bool {
    world.lock().held(location).is_some()
}

#[test]
fn a_key_whose_secret_was_lost_is_revoked_by_the_run_that_made_it() {
    let (world, manifest) = (world(), mailer(&["ra"]));
    fails(&world, &manifest, Effect::Create, Fault::AnswerLost, false);
    let outcome = run(&world, 1, &manifest);
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    assert_eq!(world.lock().live_count(&acme()), 1, "the first one is revoked");
    assert!(state(&world).pending.is_empty());
}

#[test]
fn a_put_without_an_answer_counts_where_the_sink_shows_it_and_nowhere_else() {
    for (location, fault, delivered) in [
        (&["ra"] as &'static [&'static str], Fault::AnswerLost, true),
        (&["ra"], Fault::LostBefore, false),
        // It may have got there, and this sink never tells.
        (&["w"], Fault::AnswerLost, false),
        (&["w"], Fault::LostBefore, false),
    ] {
        let (world, manifest) = (world(), mailer(location));
        fails(&world, &manifest, Effect::Put, fault, true);
        let outcome = run(&world, 1, &manifest);
        let what = format!("{location:?} {fault:?}: {outcome:?}\n{}", world.lock().trace.join("\n"));
        assert_eq!(outcome.failed.is_empty(), delivered, "{what}");
        assert_eq!(state(&world).keys.len(), usize::from(delivered), "{what}");
    }
}

#[test]
fn a_copy_without_an_answer_counts_where_the_sink_shows_it_and_nowhere_else() {
    for (fault, copied) in [(Fault::AnswerLost, true), (Fault::LostBefore, false)] {
        let (world, both) = (world(), mailer(&["ra", "rb"]));
        run(&world, 1, &mailer(&["ra"]));
        world.pass(OVERLAP);
        fails(&world, &both, Effect::Put, fault, true);
        let outcome = run(&world, 2, &both);
        let place = both.locations().into_iter().find(|place| place.to_string().contains("rb"));
        let place = place.expect("it is one of the two");
        assert_eq!(held(&world, &place), copied);
        assert_eq!(outcome.failed.is_empty(), copied, "{fault:?}: {outcome:?}");
        assert_eq!(state(&world).keys.values().next().unwrap().sinks.len(), 1 + usize::from(copied));
    }
}

#[test]
fn a_write_of_state_without_an_answer_is_known_for_our_own_and_each_counts() {
    let manifest = mailer(&["ra"]);
    let undisturbed = world();
    run(&undisturbed, 1, &manifest);
    let writes = effects(&world(), &manifest);
    let writes: Vec<usize> = writes
        .iter()
        .enumerate()
        .filter(|(_, effect)| **effect == Effect::StateWrite)
        .map(|(at, _)| at)
        .collect();
    assert!(writes.len() > 1, "{writes:?}");
    assert_eq!(usize::try_from(state(&undisturbed).serial).unwrap(), writes.len());
    for at in writes {
        let world = world();
        world.lock().schedule = BTreeMap::from([(at, Fault::AnswerLost)]);
        let outcome = run(&world, 1, &manifest);
        assert!(outcome.failed.is_empty(), "write {at}: {outcome:?}\n{}", world.lock().trace.join("\n"));
        assert!(world.lock().schedule.is_empty());
        assert_eq!(state(&world).serial, state(&undisturbed).serial, "write {at}");
    }
}

#[test]
fn a_run_that_takes_over_from_another_raises_the_epoch() {
    let (world, manifest) = (world(), mailer(&["ra"]));
    run(&world, 1, &manifest);
    let before = state(&world).epoch;
    run(&world, 2, &mailer(&["ra", "rb"]));
    let second = state(&world).epoch;
    run(&world, 3, &mailer(&["ra"]));
    assert!(before < second && second < state(&world).epoch, "{before} {second} {}", state(&world).epoch);
}

#[test]
fn a_key_that_was_not_revoked_after_all_is_no_longer_said_to_leave() {
    let (world, manifest) = (world(), mailer(&["ra"]));
    run(&world, 1, &manifest);
    world.pass(OVERLAP);
    let none = WorldManifest::new(&[], 10);
    fails(&world, &none, Effect::Delete, Fault::KilledBefore, false);
    let ended = block_on(world.run(2, &none, &RunOptions::default()));
    assert!(matches!(ended, Ended::Killed), "{ended:?}");
    assert_eq!(state(&world).leaving.len(), 1, "it was announced");
    world.pass(OVERLAP);
    // It is wanted again, in one place more so that state is written.
    run(&world, 3, &mailer(&["ra", "rb"]));
    assert!(state(&world).leaving.is_empty() && world.lock().live_count(&acme()) == 1);
}

/// A replica that has not heard of the new key yet.
#[test]
fn what_a_key_got_instead_of_full_access_is_told_once_reads_know_the_key() {
    let (world, mut manifest) = (world(), mailer(&["ra"]));
    manifest.manifest.keys.values_mut().for_each(|key| key.access = WantedAccess::Full);
    world.lock().stale = true;
    world.lock().instead_of_full = Some([Scope::new("mail.send")].into());
    let outcome = run(&world, 1, &manifest);
    assert_eq!(outcome.less_than_full.len(), 1, "{outcome:?}\n{}", world.lock().trace.join("\n"));
}

/// Where neither the answer nor a read says what name SendGrid holds, none is recorded.
#[test]
fn a_name_that_nothing_tells_of_is_not_recorded() {
    let named = |name: &str| {
        let mut manifest = mailer(&["ra"]);
        manifest.manifest.keys.values_mut().for_each(|key| key.name = name.to_string());
        manifest
    };
    for (length, told) in [(None, false), (Some(4), true)] {
        let world = world();
        run(&world, 1, &named("Mailer"));
        world.pass(READ_LAG);
        world.lock().name_length = length;
        let undisturbed = world.fork();
        let first = world.lock().reads;
        run(&undisturbed, 2, &named("Sender"));
        let reads = undisturbed.lock().reads;
        // The last look of the run is the one at the new name.
        world.lock().unanswered = [reads - 1].into();
        assert!(reads > first);
        let outcome = run(&world, 2, &named("Sender"));
        let key = state(&world).keys.values().next().unwrap().clone();
        if told {
            assert!(outcome.failed.is_empty(), "{outcome:?}");
            assert_eq!((key.name.as_str(), key.held_name.as_deref()), ("Sender", Some("Send")));
        } else {
            assert_eq!(outcome.failed.len(), 1, "{outcome:?}\n{}", world.lock().trace.join("\n"));
            assert!(outcome.failed[0].message.contains("could not be read back"), "{outcome:?}");
            assert_eq!(key.name, "Mailer");
        }
    }
}

/// One lost answer costs one pause; none costs nothing.
#[test]
fn a_revocation_is_repeated_after_a_pause() {
    let taken = |fault: Option<Fault>| {
        let (world, none) = (world(), WorldManifest::new(&[], 10));
        run(&world, 1, &mailer(&["ra"]));
        world.pass(OVERLAP);
        if let Some(fault) = fault {
            fails(&world, &none, Effect::Delete, fault, false);
        }
        let before = world.lock().now;
        let outcome = run(&world, 2, &none);
        assert!(outcome.failed.is_empty(), "{outcome:?}");
        let inner = world.lock();
        inner.now - before
    };
    assert_eq!(taken(Some(Fault::LostBefore)) - taken(None), Duration::from_secs(1));
}
