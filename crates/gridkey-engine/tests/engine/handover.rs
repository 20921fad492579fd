//! Keys that change their account, and what is asked of the one that they leave behind.

use std::collections::BTreeMap;

use futures::executor::block_on;
use gridkey_core::manifest::{AtLimit, Rotation};
use gridkey_core::plan::{Action, Code, Due, Options, Requests, RetireRequest};
use gridkey_core::state::RevokeOld;
use gridkey_core::{Address, KeyId, Name};
use gridkey_tests::invariants::violations;
use gridkey_tests::world::{
    Ended, Fault, OVERLAP, READ_LAG, RunOptions, Wanted, World, WorldManifest, acme, branch,
};

fn mailer() -> Address {
    "prod/mailer".parse().expect("an address")
}

/// The key with these locations, in `acme` or in `branch`.
fn manifest(in_branch: bool, locations: &'static [&'static str]) -> WorldManifest {
    let wanted = [Wanted { address: "prod/mailer", scopes: &["mail.send"], locations }];
    let moved: &[&str] = if in_branch { &["prod/mailer"] } else { &[] };
    WorldManifest::new(&wanted, 10).with_branch(moved, 10)
}

fn run(world: &World, number: u64, manifest: &WorldManifest, options: &RunOptions) {
    let ended = block_on(world.run(number, manifest, options));
    assert!(
        matches!(&ended, Ended::Applied(outcome) if outcome.failed.is_empty()),
        "run {number}: {ended:?}"
    );
}

fn asked(requests: Requests) -> RunOptions {
    RunOptions { options: Options { requests, ..Options::default() }, ..RunOptions::default() }
}

fn due_alone() -> RunOptions {
    RunOptions { options: Options { due: Due::Only, ..Options::default() }, ..RunOptions::default() }
}

/// The id of the key that an account has at the address.
fn current(world: &World, account: &Name) -> KeyId {
    let inner = world.lock();
    inner.state(account).and_then(|state| state.keys.get(&mailer())).expect("it was applied").id.clone()
}

fn is_live(world: &World, id: &KeyId) -> bool {
    world.lock().keys[id].revoked.is_none()
}

/// Applied in `acme`, and then in `branch`, with these locations.
fn moved(before: &'static [&'static str], after: &'static [&'static str]) -> (World, KeyId) {
    let world = World::new(10);
    world.pass(OVERLAP);
    run(&world, 1, &manifest(false, before), &RunOptions::default());
    let older = current(&world, &acme());
    world.pass(OVERLAP);
    run(&world, 2, &manifest(true, after), &RunOptions::default());
    (world, older)
}

#[test]
fn a_key_is_not_revoked_while_a_sink_that_never_tells_and_is_wanted_again_may_have_it() {
    let after = manifest(true, &["ra", "wa"]);
    for (what, narrow) in [("all", RunOptions::default()), ("due work alone", due_alone())] {
        let (world, older) = moved(&["ra", "wa"], &["ra"]);
        world.pass(OVERLAP * 2);
        // What the clock alone brings does not revoke it, as the location is not given its successor by that.
        run(&world, 3, &after, &narrow);
        assert!(is_live(&world, &older), "{what}");
        run(&world, 4, &after, &RunOptions::default());
        assert!(is_live(&world, &older), "who reads the location has the overlap");
        world.pass(OVERLAP * 2);
        run(&world, 5, &after, &RunOptions::default());
        assert!(!is_live(&world, &older), "{what}");
        let plan = block_on(world.plan(&after, &RunOptions::default()));
        assert_eq!(violations(&world, &after, &plan, true), Vec::<String>::new());
    }
}

#[test]
fn what_broke_off_is_not_revoked_while_a_sink_that_never_tells_and_is_wanted_again_may_have_it() {
    let world = World::new(10);
    world.pass(OVERLAP);
    // Its first key broke off after the sink took the secret: intend, POST, delivering, put.
    world.lock().schedule = BTreeMap::from([(3, Fault::KilledAfter)]);
    let ended = block_on(world.run(1, &manifest(false, &["wa"]), &RunOptions::default()));
    assert!(matches!(ended, Ended::Killed), "{ended:?}");
    world.pass(READ_LAG);
    run(&world, 2, &manifest(true, &["ra"]), &RunOptions::default());
    world.pass(OVERLAP * 2);
    let after = manifest(true, &["ra", "wa"]);
    run(&world, 3, &after, &due_alone());
    assert_eq!(world.lock().live_count(&acme()), 1, "the location may have it");
    run(&world, 4, &after, &RunOptions::default());
    world.pass(OVERLAP * 2);
    run(&world, 5, &after, &RunOptions::default());
    let plan = block_on(world.plan(&after, &RunOptions::default()));
    assert_eq!(violations(&world, &after, &plan, true), Vec::<String>::new());
}

#[test]
fn what_a_rotation_says_of_the_older_key_is_no_part_of_the_run_that_changes_its_account() {
    for revoke_old in [RevokeOld::Now, RevokeOld::Hold] {
        let world = World::new(10);
        world.pass(OVERLAP);
        let (before, after) = (manifest(false, &["ra"]), manifest(true, &["ra"]));
        run(&world, 1, &before, &RunOptions::default());
        let rotate =
            || Requests { rotate: BTreeMap::from([(mailer(), None)]), revoke_old, ..Requests::default() };
        let Ended::Blocked(plan) = block_on(world.run(2, &after, &asked(rotate()))) else {
            panic!("it went on")
        };
        assert!(plan.findings.iter().any(|finding| finding.code == Code::AccountChanges), "{plan:?}");
        // And back again, where the older key is one of this account.
        run(&world, 3, &after, &RunOptions::default());
        let Ended::Blocked(plan) = block_on(world.run(4, &before, &asked(rotate()))) else {
            panic!("it went on")
        };
        assert!(plan.findings.iter().any(|finding| finding.code == Code::AccountChanges), "{plan:?}");
    }
}

#[test]
fn what_a_person_said_is_kept_where_a_key_moves_back() {
    let (world, older) = moved(&["ra"], &["ra"]);
    let hold = RetireRequest::Hold(OVERLAP * 6);
    run(
        &world,
        3,
        &manifest(true, &["ra"]),
        &asked(Requests { retire: BTreeMap::from([(mailer(), hold)]), ..Requests::default() }),
    );
    let back = manifest(false, &["ra"]);
    run(&world, 4, &back, &RunOptions::default());
    world.pass(OVERLAP * 4);
    run(&world, 5, &back, &RunOptions::default());
    assert!(is_live(&world, &older), "it is held for six");
    world.pass(OVERLAP * 3);
    run(&world, 6, &back, &RunOptions::default());
    assert!(!is_live(&world, &older));
}

#[test]
fn a_key_that_a_sink_serves_is_not_retired_at_once_before_its_successor_is_there() {
    let (world, older) = moved(&["ra", "wa"], &["wa"]);
    let after = manifest(true, &["ra", "wa"]);
    let now = || {
        asked(Requests { retire: BTreeMap::from([(mailer(), RetireRequest::Now)]), ..Requests::default() })
    };
    let Ended::Blocked(plan) = block_on(world.run(3, &after, &now())) else { panic!("it went on") };
    assert!(plan.findings.iter().any(|finding| finding.code == Code::AccountChanges), "{plan:?}");
    assert!(is_live(&world, &older));
    run(&world, 4, &after, &RunOptions::default());
    run(&world, 5, &after, &now());
    assert!(!is_live(&world, &older), "its successor is there");
}

#[test]
fn due_work_makes_the_key_that_a_rotation_made_room_for_though_an_edit_wants_it_in_another_account() {
    let world = World::new(10);
    world.pass(OVERLAP);
    let with = |in_branch| {
        let mut manifest = manifest(in_branch, &["ra"]);
        for account in manifest.manifest.accounts.values_mut() {
            account.key_limit = 1;
        }
        for key in manifest.manifest.keys.values_mut() {
            key.rotate = Some(Rotation {
                every: OVERLAP * 3,
                overlap: OVERLAP,
                warn_before: None,
                at_limit: AtLimit::Replace,
            });
        }
        manifest
    };
    let (before, after) = (with(false), with(true));
    run(&world, 1, &before, &RunOptions::default());
    world.pass(OVERLAP * 4);
    world.lock().effects.clear();
    // Right after the new key was made: making room, revoking, intend, POST.
    world.lock().schedule = BTreeMap::from([(3, Fault::KilledAfter)]);
    let ended = block_on(world.run(2, &before, &due_alone()));
    assert!(matches!(ended, Ended::Killed), "{ended:?}");
    world.pass(READ_LAG * 2);
    run(&world, 3, &after, &due_alone());
    let plan = block_on(world.plan(&after, &due_alone()));
    assert!(plan.changes.iter().all(|change| change.action != Action::Create), "{plan:?}");
    let live = [acme(), branch()].map(|account| world.lock().live_count(&account));
    assert_eq!(live, [1, 0]);
    let held = world.lock().held(&before.locations()[0]);
    assert_eq!(held, Some(current(&world, &acme())));
}
