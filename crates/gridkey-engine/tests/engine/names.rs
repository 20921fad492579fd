//! Names that SendGrid does not hold as they were asked for, and what a key got that was to have Full Access.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use gridkey_core::manifest::WantedAccess;
use gridkey_core::state::OwnedKey;
use gridkey_core::{Marker, Scope};
use gridkey_engine::{LessThanFull, Outcome};
use gridkey_tests::world::{Effect, Ended, Fault, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme};

fn named(name: &str) -> WorldManifest {
    let wanted = Wanted { address: "prod/mailer", scopes: &["mail.send"], locations: &["ra"] };
    let mut manifest = WorldManifest::new(&[wanted], 10);
    manifest.manifest.keys.values_mut().for_each(|key| key.name = name.to_string());
    manifest
}

fn applied(world: &World, number: u64, manifest: &WorldManifest) -> Outcome {
    match block_on(world.run(number, manifest, &RunOptions::default())) {
        Ended::Applied(outcome) if outcome.failed.is_empty() => outcome,
        other => panic!("{other:?}"),
    }
}

fn world(name_length: Option<usize>) -> World {
    let world = World::new(10);
    world.pass(Duration::from_secs(3600));
    world.lock().name_length = name_length;
    world
}

fn owned(world: &World) -> OwnedKey {
    world.lock().state(&acme()).unwrap().keys.values().next().unwrap().clone()
}

#[test]
fn a_new_key_whose_name_is_cut_is_recorded_with_what_is_held() {
    let world = world(Some(40));
    let name = "n".repeat(60);
    applied(&world, 1, &named(&name));
    let key = owned(&world);
    assert_eq!((key.name, key.held_name), (name, Some("n".repeat(40))));
}

#[test]
fn a_name_that_is_held_as_asked_for_is_recorded_as_such() {
    let world = world(Some(40));
    applied(&world, 1, &named("Mailer"));
    assert_eq!(owned(&world).held_name, None);
}

#[test]
fn a_name_that_is_put_right_is_read_back() {
    let world = world(None);
    applied(&world, 1, &named("Mailer"));
    // From now on names are cut.
    world.lock().name_length = Some(4);
    world.pass(READ_LAG);
    applied(&world, 2, &named("Mailer of the shop"));
    let key = owned(&world);
    assert_eq!((key.name.as_str(), key.held_name.as_deref()), ("Mailer of the shop", Some("Mail")));
}

#[test]
fn an_update_notes_the_name_that_is_held() {
    let world = world(None);
    applied(&world, 1, &named("Mailer"));
    world.lock().name_length = Some(4);
    world.pass(READ_LAG);
    let mut manifest = named("Sender");
    let scopes = WorldManifest::new(
        &[Wanted { address: "prod/mailer", scopes: &["mail.send", "stats.read"], locations: &["ra"] }],
        10,
    );
    let access = scopes.manifest.keys.values().next().unwrap().access.clone();
    manifest.manifest.keys.values_mut().for_each(|key| key.access = access.clone());
    applied(&world, 2, &manifest);
    assert!(world.lock().effects.contains(&Effect::Update));
    let key = owned(&world);
    assert_eq!((key.name.as_str(), key.held_name.as_deref()), ("Sender", Some("Send")));
}

#[test]
fn a_key_with_a_long_name_that_broke_off_is_found_by_its_marker_where_names_are_cut() {
    let world = world(Some(100));
    let manifest = named(&"n".repeat(95));
    // Killed right after SendGrid made the key: its secret is lost.
    world.lock().schedule = BTreeMap::from([(1, Fault::KilledAfter)]);
    let ended = block_on(world.run(1, &manifest, &RunOptions::default()));
    assert!(matches!(ended, Ended::Killed), "{ended:?}");
    let names: Vec<String> = world.lock().keys.values().map(|key| key.name.clone()).collect();
    assert!(names.iter().all(|name| Marker::in_name(name).is_some()), "{names:?}");
    world.pass(READ_LAG);
    applied(&world, 2, &manifest);
    assert_eq!(world.lock().live_count(&acme()), 1, "the key whose secret is lost is revoked");
}

#[test]
fn a_key_that_did_not_get_full_access_is_told() {
    let world = world(None);
    let mut manifest = named("Breakglass");
    manifest.manifest.keys.values_mut().for_each(|key| key.access = WantedAccess::Full);
    let whole = world.fork();
    assert_eq!(applied(&whole, 1, &manifest).less_than_full, []);
    let scopes = [Scope::new("api_keys.create"), Scope::new("mail.send")];
    world.lock().instead_of_full = Some(scopes.clone().into());
    let outcome = applied(&world, 1, &manifest);
    let [LessThanFull { scopes: got, .. }] = &outcome.less_than_full[..] else { panic!("{outcome:?}") };
    assert_eq!(got, &scopes.into());
    assert_eq!(owned(&world).reported, None, "Full Access is never compared by scopes");
}
